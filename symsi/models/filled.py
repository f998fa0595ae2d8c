"""Calls of a network in whole multiples of 16 rows: a sample gets the same bits in a call of any number of rows.

Torch rounds by that number: below 16 rows it takes other kernels, and what is left over of a vector, or of a thread's
share, is computed by other instructions.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor

__all__ = ["filled"]

_ROWS = 16


def filled(forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return forward(net, x, ...) in calls filled up with the last row, whose copies are left out of what it returns.

    All tensors with as many rows as x are filled up. What is compiled or exported keeps the rows that it is given.
    """

    @wraps(forward)
    def whole(net: Any, x: Tensor, *given: Any, **conditions: Any) -> Tensor:
        if torch.compiler.is_compiling() or len(x) % _ROWS == 0:
            return forward(net, x, *given, **conditions)
        count = len(x)
        rows = torch.arange(count + -count % _ROWS, device=x.device).clamp(max=count - 1)

        def fill(value: Any) -> Any:
            return value[rows] if isinstance(value, Tensor) and value.ndim and len(value) == count else value

        told = {name: fill(value) for name, value in conditions.items()}
        return forward(net, fill(x), *map(fill, given), **told)[:count]

    return whole

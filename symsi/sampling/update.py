"""A row of a plan, applied: z <- keep z + sum_j weights[j] g_j + noise n, with g = state z + prediction P + offset."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from symsi.sampling.plan import Coefficient, Row

__all__ = ["add", "advance", "beside"]


def advance(
    row: Row, z: Tensor, prediction: Tensor, fields: list[Tensor], history: int, *, in_place: bool = True
) -> Tensor:
    """Return keep z + sum_j weights[j] g_j, in z itself or, without `in_place`, in memory of its own.

    `fields` holds g_1, g_2, ... of the rows before, newest first; g_0 joins them and at most `history` are held, for
    1 none. Out of place nothing that autograd needs is overwritten, the layout of z is kept, and rows with keep = 1,
    state = 0 round as z + weight P does in torch.
    """
    (weight, *_), numbers = row.weights, (row.keep, row.state, row.prediction, row.offset, row.weights[0])
    if history == 1 and not any(isinstance(value, Tensor) for value in numbers) and row.offset == 0:
        a, b = row.keep + weight * row.state, weight * row.prediction
        if a == 1 and not in_place:
            return z + prediction.to(z.dtype) * b
        return add(z.mul_(a) if in_place else z * a, prediction, b)
    spare = fields.pop() if len(fields) == history else None
    if spare is None or spare.is_inference() or _recorded(spare, z, prediction):
        g = prediction.to(z.dtype) * row.prediction
    elif prediction.dtype == z.dtype:
        g = torch.mul(prediction, row.prediction, out=spare)
    else:
        g = spare.copy_(prediction).mul_(row.prediction)
    add(g, z, row.state)
    if isinstance(row.offset, Tensor) or row.offset != 0:
        g.add_(row.offset)
    fields.insert(0, g)
    z = z.mul_(row.keep) if in_place else z * row.keep
    for weight, field in zip(row.weights, fields, strict=False):
        add(z, field, weight)
    return z


def add(z: Tensor, other: Tensor, weight: Coefficient) -> Tensor:
    """z <- z + weight other, in place."""
    if isinstance(weight, Tensor):
        return z.addcmul_(other, weight)
    return z if weight == 0 else z.add_(other, alpha=weight)


def _recorded(*tensors: Tensor) -> bool:
    """Whether autograd follows what is computed from these."""
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)


def beside(row: Row, z: Tensor) -> Row:
    """Put a row's tensors on the device of z, in its dtype."""

    def place(value: Coefficient) -> Coefficient:
        return value.to(z) if isinstance(value, Tensor) else value

    return replace(
        row,
        state=place(row.state),
        prediction=place(row.prediction),
        keep=place(row.keep),
        weights=tuple(place(w) for w in row.weights),
        noise=place(row.noise),
        offset=place(row.offset),
    )

"""What should be known of a fit before it is believed: whether the model looks at x, and whether the data decides."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor

from symsi.calibration.student import Student

__all__ = ["warn_if_blind", "warn_if_few"]

_ROWS = 8  # samples that are looked at
_CALLER = 3  # frames from a warning to who called `fit_solver`


def warn_if_blind(student: Student, where: Sequence[tuple[Tensor, float]]) -> None:
    """Warn where a model predicts the same for other states: two evaluations of a few samples at each state and time.

    At one time alone a model that is right may do so, as the velocity of N(0, 1) does at t = 1/2.
    """
    ask = "prediction" if student.guidance == 1 else "conditional"

    def blind(states: Tensor, time: float) -> bool:
        size = min(_ROWS, len(states) // 2, student.batch)
        rows = slice(0, size)
        here, there = (student.predict(ask, x, time, rows) for x in (states[rows], states[size : 2 * size]))
        return torch.equal(here, there)

    if all(blind(*there) for there in where):
        warnings.warn(
            f"{student.model.name} predicts the same for any x: its output does not depend on x. Check what wraps the "
            "network; it is called as model(x, t, **conditions).",
            stacklevel=_CALLER,
        )


def warn_if_few(unknown: int, equations: int) -> None:
    """Warn where a row of a table has more numbers than the samples of the fit give."""
    if equations < unknown:
        warnings.warn(
            f"a row of {unknown} numbers is fitted to {equations} of the samples: the ridge decides, which draws it to "
            "the theory's row. Give more samples.",
            stacklevel=_CALLER,
        )

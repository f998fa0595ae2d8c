"""What should be known of a fit before it is believed: whether model and features look at x, and what data decides."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from symsi.calibration.student import Student
from symsi.errors import SymsiError

__all__ = ["check_features", "check_finite", "warn_if_blind", "warn_if_few"]

_WIDE = (torch.float32, torch.float64)
_ROWS = 8  # samples that are looked at
_CALLER = 3  # frames from a warning to who called `fit_solver`


@torch.no_grad()
def check_features(features: Callable[[Tensor], Tensor], samples: Tensor) -> None:
    """Raise SymsiError unless features of samples (N, *shape) are float32 or float64 numbers, some of each sample."""
    if not callable(features):
        raise SymsiError(f"features is a function of samples (N, *shape); got {type(features).__name__}.")
    found, count = features(samples.clone()), len(samples)
    if not isinstance(found, Tensor):
        raise SymsiError(f"features must return a tensor, numbers of each sample; got {type(found).__name__}.")
    fits = found.dtype in _WIDE and found.device == samples.device and found.ndim > 1 and len(found) == count
    if not fits or not found.numel():
        raise SymsiError(
            f"features must return float32 or float64 numbers of each sample on the {samples.device}, ({count}, F) for "
            f"{count} samples; got {tuple(found.shape)} {found.dtype} on {found.device}."
        )


@torch.no_grad()
def check_finite(features: Callable[[Tensor], Tensor], samples: Tensor, batch: int) -> None:
    """Raise SymsiError unless features of all samples (N, *shape) are finite; `batch` are taken at a time."""
    for first in range(0, len(samples), batch):
        if not torch.isfinite(features(samples[first : first + batch].clone())).all():
            raise SymsiError(
                f"features of the teacher's samples are not finite, first among samples {first} to "
                f"{min(first + batch, len(samples)) - 1}; check what they are a function of."
            )


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

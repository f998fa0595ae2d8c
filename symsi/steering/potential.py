"""What a level's reward adds to a particle's weight: increments of log potentials U_k that end in r(x_1)/lambda (T25).

With A_k the accumulated reward over lambda and gamma_k the tempering, U_k = gamma_k A_k, and log w += U_k - U_{k-1}:

    difference  A_k = r_k/lambda
    max         A_k = A_{k-1} + max_{j <= k} r_j/lambda
    sum         A_k = A_{k-1} + sum_{j <= k} r_j/lambda

At last U_N = r(x_1)/lambda of the sample itself, so that the increments add up to the tilt, whatever came before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from symsi.steering.resampling import effective

__all__ = ["POTENTIALS", "TEMPERINGS", "Past", "accumulate", "gamma_at"]

TEMPERINGS = ("fixed", "linear", "ess")
_HALVINGS = 50


@dataclass(frozen=True, eq=False)
class Past:
    """What a potential remembers of each particle: A_k, and the maximum or the sum so far."""

    total: Tensor
    running: Tensor

    @classmethod
    def new(cls, count: int, potential: str) -> Past:
        """Return the past of particles without any."""
        nothing = -torch.inf if potential == "max" else 0.0
        return cls(torch.zeros(count, dtype=torch.float64), torch.full((count,), nothing, dtype=torch.float64))

    def __getitem__(self, rows: Tensor) -> Past:
        """Return the past of some particles."""
        return Past(self.total[rows], self.running[rows])


POTENTIALS: Mapping[str, Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]] = {
    "difference": lambda total, running, r: (r, r),
    "max": lambda total, running, r: (total + torch.maximum(running, r), torch.maximum(running, r)),
    "sum": lambda total, running, r: (total + running + r, running + r),
}


def accumulate(potential: str, past: Past, rewards: Tensor) -> Past:
    """Return the past after rewards r_k/lambda."""
    return Past(*POTENTIALS[potential](past.total, past.running, rewards))


def gamma_at(
    tempering: str, level: int, levels: int, before: float, log_weights: Tensor, total: Tensor, target: float
) -> float:
    """Return gamma of a level: 1 ("fixed"), (k + 1)/N ("linear"), or by ESS.

    "ess": the largest from gamma_{k-1} to (k + 1)/N with which the weights log w + gamma A_k, log w without U_{k-1},
    have an ESS of `target` times their number, found by bisection. What is beyond is left for later levels, as at the
    start, where all rewards are alike and any gamma would do.
    """
    if tempering == "fixed":
        return 1.0
    most = min(1.0, (level + 1) / levels)
    wanted = target * len(total)
    if tempering == "linear" or effective(log_weights + most * total) >= wanted:
        return most
    low, high = before, most
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if effective(log_weights + middle * total) >= wanted else (low, middle)
    return low

"""A plan is what a sampler does, as numbers: one row an evaluation of the model.

z is the state in model coordinates; with a reference N(m, U diag U^T) it is U^T (x - mean m), and P likewise. A row
evaluates the prediction P, forms the field g = state z + prediction P + offset, and moves z <- keep z + sum_j
weights[j] g_j + noise n, with g_0 this row's field, g_1 the one before, and n ~ N(0, I). Every solver is such a table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor

__all__ = ["Coefficient", "Plan", "Row"]

Coefficient: TypeAlias = "float | Tensor"


@dataclass(frozen=True)
class Row:
    """One evaluation at the model's `time` and what follows from it; `step` counts the grid's steps from 1."""

    step: int
    time: float
    state: Coefficient
    prediction: Coefficient
    keep: Coefficient
    weights: tuple[Coefficient, ...]
    noise: Coefficient = 0.0
    offset: Coefficient = 0.0
    mean: float = 0.0


@dataclass(frozen=True)
class Plan:
    """The rows, and at the K + 1 points of the grid (in the schedule's time t) the model's time tau, scale c and beta.

    The state in the schedule's coordinates is x = scale (U z + beta m), or scale z without a reference. z starts as
    `start` n; `modal` says that z are modes.
    """

    rows: tuple[Row, ...]
    grid: tuple[float, ...]
    times: tuple[float, ...]
    scales: tuple[float, ...]
    beta: tuple[float, ...]
    start: Coefficient
    modal: bool = False

    @property
    def evaluations(self) -> int:
        """Evaluations of the model a trajectory."""
        return len(self.rows)

    @property
    def history(self) -> int:
        """The number of fields that a row may use, its own included."""
        return max(len(row.weights) for row in self.rows)

    @property
    def stochastic(self) -> bool:
        """Whether any row adds noise."""
        return any(isinstance(row.noise, Tensor) or row.noise != 0 for row in self.rows)

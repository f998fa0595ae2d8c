"""A plan is what a sampler does, as numbers: one row an evaluation of the model.

z is the state in model coordinates; with a reference N(m, U diag U^T) it is U^T (x - mean m), and P likewise. A row
evaluates the prediction P, forms the field g = state z + prediction P + offset, and moves z <- keep z + sum_j
weights[j] g_j + noise n, with g_0 this row's field, g_1 the one before, and n ~ N(0, I). Every solver is such a table.

Read from the side of g_k, the state after row k + j needs weights_{k+j}[j] g_k: a row's *terms* a z + b P + c are what
its evaluation adds to the state after it, the one after that, and so on.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from torch import Tensor

__all__ = ["Coefficient", "Plan", "Row", "Term"]

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

    @property
    def noisy(self) -> bool:
        """Whether noise is added."""
        return isinstance(self.noise, Tensor) or self.noise != 0


@dataclass(frozen=True)
class Term:
    """a z + b P + c."""

    a: Coefficient
    b: Coefficient
    c: Coefficient = 0.0


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

    @cached_property
    def terms(self) -> tuple[tuple[Term | None, ...], ...]:
        """By row k: the terms of its evaluation in the states after rows k, k + 1, ...; the first has `keep` too."""
        most = max(len(row.weights) for row in self.rows)
        found = []
        for k in range(len(self.rows)):
            terms = [self._term(k, j) for j in range(min(most, len(self.rows) - k))]
            while terms[-1] is None:
                terms.pop()
            found.append(tuple(terms))
        return tuple(found)

    def _term(self, k: int, j: int) -> Term | None:
        row, weights = self.rows[k], self.rows[k + j].weights
        if j >= len(weights):
            return None
        a, b, c = (weights[j] * value for value in (row.state, row.prediction, row.offset))
        return Term(row.keep + a if j == 0 else a, b, c)

    @property
    def stochastic(self) -> bool:
        """Whether any row adds noise."""
        return any(row.noisy for row in self.rows)

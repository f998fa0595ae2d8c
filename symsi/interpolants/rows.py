"""An interpolant is a row of coefficients over independent parts, and every field is a row over their means.

I_t = sum_i a_i(t) part_i: noise and data for a schedule, I = alpha Z + beta X; two ends and a latent for a bridge,
I = alpha x0 + beta x1 + gamma z. What is linear in the conditional means
eta_i = E[part_i | I_t = x] is a row of as many coefficients: the state x = sum a_i eta_i, the velocity
v = sum a_i' eta_i, ... With n parts the state and n - 1 other rows determine every row, by one n x n solve, `combine`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import permutations
from typing import Any

from sympy import Add, Expr, Integer, Mul, Symbol, diff, sympify

from symsi.algebra.symbols import t

__all__ = ["Combination", "Pair", "Row", "Triple", "combine", "determinant"]


class Row(Mapping[str, Expr]):
    """Coefficients by part: Row(noise=a, data=b) is a eta_noise + b eta_data; called with the means, it is that sum."""

    def __init__(self, **coefficients: Expr) -> None:
        self._coefficients = {part: sympify(value) for part, value in coefficients.items()}

    def __getitem__(self, part: str) -> Expr:
        return self._coefficients[part]

    def __iter__(self) -> Iterator[str]:
        return iter(self._coefficients)

    def __len__(self) -> int:
        return len(self._coefficients)

    def __repr__(self) -> str:
        return f"Row({', '.join(f'{part}={value}' for part, value in self.items())})"

    def __call__(self, **means: Expr) -> Expr:
        """Return sum_i coefficient_i mean_i."""
        return Add(*(self[part] * means[part] for part in self))


@dataclass(frozen=True)
class Pair:
    """The four numbers (alpha, beta, d alpha/dt, d beta/dt) of a schedule at one time, as expressions."""

    alpha: Expr
    beta: Expr
    alpha_dot: Expr
    beta_dot: Expr

    @classmethod
    def of(cls, alpha: Expr, beta: Expr, time: Symbol = t) -> Pair:
        """Differentiate alpha and beta by `time`."""
        return cls(alpha, beta, diff(alpha, time), diff(beta, time))

    def at(self, value: Expr, time: Symbol = t) -> Pair:
        """Return the pair at another time: `time` replaced by `value` after differentiation."""
        return Pair(*(e.subs(time, value) for e in (self.alpha, self.beta, self.alpha_dot, self.beta_dot)))

    @property
    def ratio(self) -> Expr:
        """The signal-to-noise ratio rho = beta / alpha."""
        return self.beta / self.alpha

    @property
    def state(self) -> Row:
        """The row of the state itself: x = alpha eta_Z + beta eta_X."""
        return Row(noise=self.alpha, data=self.beta)

    @property
    def velocity(self) -> Row:
        """The row of the velocity: v = alpha' eta_Z + beta' eta_X."""
        return Row(noise=self.alpha_dot, data=self.beta_dot)


@dataclass(frozen=True)
class Triple:
    """alpha, beta and gamma of I = alpha x0 + beta x1 + gamma z at one time, their derivatives, and gamma gamma'.

    gamma gamma' = (gamma^2)'/2 is kept whole: it has limits where gamma' has none.
    """

    alpha: Expr
    beta: Expr
    gamma: Expr
    alpha_dot: Expr
    beta_dot: Expr
    gamma_dot: Expr
    gamma_rate: Expr

    @classmethod
    def of(cls, alpha: Expr, beta: Expr, gamma: Expr, time: Symbol = t) -> Triple:
        """Differentiate all three, and gamma^2/2, by `time`."""
        return cls(alpha, beta, gamma, *(diff(e, time) for e in (alpha, beta, gamma, gamma**2 / 2)))

    @classmethod
    def one_sided(cls, p: Pair) -> Triple:
        """A schedule's noise is the latent, its data the end: alpha = 0, gamma the coefficient of the noise."""
        nothing = Integer(0)
        return cls(nothing, p.beta, p.alpha, nothing, p.beta_dot, p.alpha_dot, p.alpha * p.alpha_dot)

    def at(self, value: Expr, time: Symbol = t) -> Triple:
        """Return the triple at another time: `time` replaced by `value` after differentiation."""
        return Triple(*(getattr(self, f.name).subs(time, value) for f in fields(self)))

    @property
    def state(self) -> Row:
        """x = alpha eta_0 + beta eta_1 + gamma eta_z."""
        return Row(x0=self.alpha, x1=self.beta, latent=self.gamma)

    @property
    def velocity(self) -> Row:
        """v = alpha' eta_0 + beta' eta_1 + gamma' eta_z."""
        return Row(x0=self.alpha_dot, x1=self.beta_dot, latent=self.gamma_dot)


@dataclass(frozen=True)
class Combination:
    """The formula `state * x + sum_i predictions[i] * P_i` for a field, given the predictions P_i at the state x."""

    state: Expr
    predictions: tuple[Expr, ...]

    @property
    def prediction(self) -> Expr:
        """The coefficient of the only prediction."""
        (only,) = self.predictions
        return only

    def __call__(self, x: Any, *predictions: Any) -> Any:
        """Evaluate `state * x + sum_i predictions[i] * P_i`."""
        total = self.state * x
        for coefficient, prediction in zip(self.predictions, predictions, strict=True):
            total = total + coefficient * prediction
        return total


def determinant(p: Pair | Triple) -> Expr:
    """alpha beta' - alpha' beta = alpha^2 rho', positive for every schedule (T1); that of the ends for a bridge."""
    return p.alpha * p.beta_dot - p.alpha_dot * p.beta


def combine(state: Row, given: Row | Sequence[Row], wanted: Row) -> Combination:
    """Express the field `wanted` by the state and the given fields: one for two parts, n - 1 for n.

    wanted = sum_i c_i row_i over the rows (state, *given), by Cramer's rule: c_i = det(rows with the i-th replaced by
    wanted) / det(rows). Raises ValueError for rows over other parts, or another number of them.
    """
    rows = (state, *([given] if isinstance(given, Row) else given))
    parts = tuple(state)
    if len(rows) != len(parts) or any(set(row) != set(parts) for row in (*rows, wanted)):
        raise ValueError(f"{len(parts)} parts {parts} need the state and {len(parts) - 1} rows over the same parts.")
    lines = [[row[part] for part in parts] for row in rows]
    goal = [wanted[part] for part in parts]
    whole = _determinant(lines)
    found = [_determinant([*lines[:i], goal, *lines[i + 1 :]]) / whole for i in range(len(lines))]
    return Combination(found[0], tuple(found[1:]))


def _determinant(lines: Sequence[Sequence[Expr]]) -> Expr:
    """The sum over permutations, as it stands: no pivot is tested for zero."""
    size = range(len(lines))
    return Add(*(_sign(order) * Mul(*(lines[i][order[i]] for i in size)) for order in permutations(size)))


def _sign(order: Sequence[int]) -> Expr:
    swaps = sum(order[i] > order[j] for i in range(len(order)) for j in range(i + 1, len(order)))
    return Integer(-1) ** swaps

"""T1, T2: the fields of an interpolant I_t = alpha Z + beta X, and how each determines the others.

Every field that symsi knows is linear in the two conditional means eta_Z = E[Z | I_t = x] and
eta_X = E[X | I_t = x], so a field *is* its row of two coefficients, and every conversion formula is one
2 x 2 solve, `combine`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from sympy import Expr, Integer, Symbol, diff

from symsi.errors import unknown
from symsi.symbolic.symbols import t

__all__ = [
    "PREDICTIONS",
    "Combination",
    "Pair",
    "Row",
    "combine",
    "determinant",
    "drift_row",
    "predict",
    "row",
]

PREDICTIONS = ("velocity", "score", "noise", "data")


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
        return Row(self.alpha, self.beta)


class Row(NamedTuple):
    """Coefficients of a field: field = noise * eta_Z + data * eta_X."""

    noise: Expr
    data: Expr


@dataclass(frozen=True)
class Combination:
    """The formula `state * x + prediction * P` for a field, given the prediction P at the state x."""

    state: Expr
    prediction: Expr

    def __call__(self, x: Any, prediction: Any) -> Any:
        """Evaluate `state * x + prediction * P`."""
        return self.state * x + self.prediction * prediction


def determinant(p: Pair) -> Expr:
    """alpha beta' - alpha' beta = alpha^2 rho', positive for every schedule (T1)."""
    return p.alpha * p.beta_dot - p.alpha_dot * p.beta


def row(p: Pair, kind: str) -> Row:
    """Return the row of a prediction (math.md section 1).

    velocity v = alpha' eta_Z + beta' eta_X, score s = -eta_Z / alpha, noise eta_Z, data eta_X.
    """
    match kind:
        case "velocity":
            return Row(p.alpha_dot, p.beta_dot)
        case "score":
            return Row(-1 / p.alpha, Integer(0))
        case "noise":
            return Row(Integer(1), Integer(0))
        case "data":
            return Row(Integer(0), Integer(1))
    raise unknown("prediction", kind, PREDICTIONS)


def drift_row(p: Pair, epsilon: Expr) -> Row:
    """T2: the drift b = v + epsilon s of dX = b dt + sqrt(2 epsilon) dW; -epsilon gives the reverse-time drift."""
    return Row(p.alpha_dot - epsilon / p.alpha, p.beta_dot)


def combine(state: Row, given: Row, wanted: Row) -> Combination:
    """Express the field `wanted` by the state and the field `given`.

    With (x, P) = M (eta_Z, eta_X), M = [[a, b], [p, q]] the rows of state and given, and wanted = (r, s):
    wanted = ((r q - s p) x + (s a - r b) P) / (a q - b p).
    """
    (a, b), (p, q), (r, s) = state, given, wanted
    det = a * q - b * p
    return Combination((r * q - s * p) / det, (s * a - r * b) / det)


def predict(p: Pair, given: str, wanted: str) -> Combination:
    """T1: one network, four predictions. Return `wanted` as a combination of the state and `given`."""
    return combine(p.state, row(p, given), row(p, wanted))

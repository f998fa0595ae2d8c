"""T1, T2: the fields of an interpolant I_t = alpha Z + beta X, and how each determines the others."""

from __future__ import annotations

from sympy import Expr, Integer

from symsi.errors import unknown
from symsi.interpolants.rows import Combination, Pair, Row, combine

__all__ = ["PREDICTIONS", "drift_row", "predict", "row"]

PREDICTIONS = ("velocity", "score", "noise", "data")


def row(p: Pair, kind: str) -> Row:
    """Return the row of a prediction over eta_Z = E[Z | I_t = x] and eta_X = E[X | I_t = x].

    velocity v = alpha' eta_Z + beta' eta_X, score s = -eta_Z / alpha, noise eta_Z, data eta_X.
    """
    match kind:
        case "velocity":
            return p.velocity
        case "score":
            return Row(noise=-1 / p.alpha, data=Integer(0))
        case "noise":
            return Row(noise=Integer(1), data=Integer(0))
        case "data":
            return Row(noise=Integer(0), data=Integer(1))
    raise unknown("prediction", kind, PREDICTIONS)


def drift_row(p: Pair, epsilon: Expr) -> Row:
    """T2: the drift b = v + epsilon s of dX = b dt + sqrt(2 epsilon) dW; -epsilon gives the reverse-time drift."""
    return Row(noise=p.alpha_dot - epsilon / p.alpha, data=p.beta_dot)


def predict(p: Pair, given: str, wanted: str) -> Combination:
    """T1: one network, four predictions. Return `wanted` as a combination of the state and `given`."""
    return combine(p.state, row(p, given), row(p, wanted))

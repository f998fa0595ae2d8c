"""T8: Gaussian data N(m, lambda I), where every field, the flow map and every SDE transition are closed forms.

For any covariance the formulas hold mode by mode, with lambda the variance of the mode.
"""

from __future__ import annotations

from dataclasses import dataclass

from sympy import Expr, sqrt

from symsi.errors import unknown
from symsi.interpolants.rows import Pair, Row
from symsi.theory.fields import PREDICTIONS, drift_row, row

__all__ = [
    "Transition",
    "flow_map",
    "gaussian_drift",
    "gaussian_field",
    "hidden",
    "marginal_variance",
    "revealed",
    "transition",
]


@dataclass(frozen=True)
class Transition:
    """X_t | X_s = x is N(beta_t m + factor (x - beta_s m), variance)."""

    factor: Expr
    variance: Expr


def marginal_variance(p: Pair, variance: Expr) -> Expr:
    """S = alpha^2 + beta^2 lambda."""
    return p.alpha**2 + p.beta**2 * variance


def revealed(p: Pair, variance: Expr) -> Expr:
    """w = lambda rho^2 / (1 + lambda rho^2) = lambda beta^2 / S, the fraction of the mode that is already revealed."""
    return variance * p.beta**2 / marginal_variance(p, variance)


def hidden(p: Pair, variance: Expr) -> Expr:
    """1 - w = 1/(1 + lambda rho^2) = alpha^2 / S, the fraction of the mode that is still hidden."""
    return p.alpha**2 / marginal_variance(p, variance)


def gaussian_field(p: Pair, kind: str, x: Expr, mean: Expr, variance: Expr) -> Expr:
    """Return velocity, score, noise or data prediction at x, by eta_Z = (alpha/S)(x - beta m) and T1."""
    if kind not in PREDICTIONS:
        raise unknown("prediction", kind, PREDICTIONS)
    return _by_row(p, row(p, kind), x, mean, variance)


def gaussian_drift(p: Pair, epsilon: Expr, x: Expr, mean: Expr, variance: Expr) -> Expr:
    """b = beta' m + ((S'/2 - epsilon)/S)(x - beta m), as the drift row of T2."""
    return _by_row(p, drift_row(p, epsilon), x, mean, variance)


def _by_row(p: Pair, coefficients: Row, x: Expr, mean: Expr, variance: Expr) -> Expr:
    centred = (x - p.beta * mean) / marginal_variance(p, variance)
    noise, data = p.alpha * centred, mean + p.beta * variance * centred
    return coefficients(noise=noise, data=data)


def flow_map(start: Pair, stop: Pair, x: Expr, mean: Expr, variance: Expr) -> Expr:
    """X_{s,t}(x) = beta_t m + sqrt(S_t/S_s) (x - beta_s m)."""
    growth = sqrt(marginal_variance(stop, variance) / marginal_variance(start, variance))
    return stop.beta * mean + growth * (x - start.beta * mean)


def transition(start: Pair, stop: Pair, variance: Expr, kappa: Expr) -> Transition:
    """The law of X_t given X_s under epsilon = kappa epsilon*, with w the revealed fraction.

    factor = sqrt(S_t/S_s) (w_s/w_t)^(kappa/2), variance = S_t (1 - (w_s/w_t)^kappa).
    """
    s_start, s_stop = marginal_variance(start, variance), marginal_variance(stop, variance)
    kept = (revealed(start, variance) / revealed(stop, variance)) ** kappa
    return Transition(sqrt(s_stop / s_start) * sqrt(kept), s_stop * (1 - kept))

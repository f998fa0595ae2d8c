"""T19 to T23: the map X_{s,t}(x) = x + (t - s) u_{s,t}(x) of a flow, what characterises it, and its conversion."""

from __future__ import annotations

from sympy import Expr, diff, sqrt

from symsi.interpolants.rows import Combination, Pair
from symsi.theory.gaussian import Transition

__all__ = [
    "converted",
    "covariance",
    "displacement",
    "eulerian",
    "lagrangian",
    "reached",
    "renoised",
    "semigroup",
    "slope",
]


def displacement(x: Expr, s: Expr, t: Expr, u: Expr) -> Expr:
    """X_{s,t}(x) = x + (t - s) u."""
    return x + (t - s) * u


def slope(moved: Expr, x: Expr, s: Expr, t: Expr) -> Expr:
    """u = (X_{s,t}(x) - x)/(t - s), where s and t differ."""
    return (moved - x) / (t - s)


def lagrangian(moved: Expr, velocity_there: Expr, t: Expr) -> Expr:
    """T19: the residual d/dt X_{s,t}(x) - v_t(X_{s,t}(x))."""
    return diff(moved, t) - velocity_there


def eulerian(moved: Expr, velocity_here: Expr, x: Expr, s: Expr) -> Expr:
    """T19: the residual d/ds X_{s,t}(x) + grad X_{s,t}(x) v_s(x)."""
    return diff(moved, s) + diff(moved, x) * velocity_here


def semigroup(direct: Expr, composed: Expr) -> Expr:
    """T19: the residual X_{s,t}(x) - X_{q,t}(X_{s,q}(x))."""
    return direct - composed


def renoised(jumped: Pair, stop: Pair, share: Expr) -> Transition:
    """T19: from u back to an earlier time, x_stop = (beta_stop/beta_u) x_u + sqrt(share) alpha_stop z.

    It has the law of that time where `share` of its noise's variance is new: rho_u = rho_stop/sqrt(1 - share).
    """
    return Transition(stop.beta / jumped.beta, share * stop.alpha**2)


def reached(stop: Pair, share: Expr) -> Expr:
    """T19: the linear schedule's time at that u, rho_u/(1 + rho_u); where all noise is new it is 1, the data."""
    return stop.beta / (stop.beta + sqrt(1 - share) * stop.alpha)


def converted(s: Expr, t: Expr, times: tuple[Expr, Expr], scales: tuple[Expr, Expr]) -> Combination:
    """T21: u of the target at (s, t) from x and the base's u at (tau_s, tau_t, x/c_s).

    u_bar = [(c_t/c_s - 1) x + c_t (tau_t - tau_s) u]/(t - s), so that X_bar = c_t X_{tau_s, tau_t}(x/c_s). At s = t it
    is the velocity of T6.
    """
    (c_s, c_t), (tau_s, tau_t) = scales, times
    return Combination((c_t / c_s - 1) / (t - s), (c_t * (tau_t - tau_s) / (t - s),))


def covariance(c_t: Expr, rate_s: Expr, rate_t: Expr) -> dict[str, Expr]:
    """T21: what the residuals of any map are multiplied by, at (tau_s, tau_t, x/c_s): c_t tau_t', c_t tau_s', c_t."""
    return {"lagrangian": c_t * rate_t, "eulerian": c_t * rate_s, "semigroup": c_t}

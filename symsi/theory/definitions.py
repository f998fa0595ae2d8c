"""The coefficients of a conversion as a textbook writes them: T4 to T6 from alpha and beta, divided forms and all.

The base has alpha, beta at tau, where rho(tau) = rho_bar(t). A field of the target is F = F_state x + F_given P:
Cramer's rule for x = alpha_bar eta_Z + beta_bar eta_X and the base's prediction P = g_Z eta_Z + g_X eta_X.
"""

from __future__ import annotations

from collections.abc import Mapping

from sympy import Expr, Integer, Symbol, diff

from symsi.algebra.symbols import t, tau
from symsi.interpolants.schedule import Schedule
from symsi.theory.diffusion import Diffusion

__all__ = ["definitions"]


def definitions(base: Schedule, target: Schedule, diffusion: Diffusion, prediction: str) -> Mapping[str, Expr]:
    """Return every coefficient by name, as expressions in t and tau.

    c = alpha_bar/alpha, tau' = rho_bar'/rho'(tau), epsilon* = alpha^2 beta'/beta - alpha alpha', epsilon_bar =
    c^2 tau' epsilon; velocity (alpha', beta'), score (-1/alpha, 0), noise (1, 0), data (0, 1), drift v + epsilon s.
    """
    time = t if base == target else tau
    a, b = base.alpha.subs(t, time), base.beta.subs(t, time)
    a_bar, b_bar = target.alpha, target.beta
    rows = _rows(a, b, time)
    goals = _rows(a_bar, b_bar, t)
    best = a_bar**2 * diff(b_bar, t) / b_bar - a_bar * diff(a_bar, t)
    epsilon = _epsilon(diffusion, a_bar, b_bar, best)
    goals["drift"] = tuple(v + epsilon * s for v, s in zip(goals["velocity"], goals["score"], strict=True))
    scale, rate = a_bar / a, diff(b_bar / a_bar, t) / diff(b / a, time)
    given = rows[prediction]
    determinant = a_bar * given[1] - b_bar * given[0]
    found = {
        "alpha": a_bar,
        "beta": b_bar,
        "time": time,
        "time_rate": rate,
        "scale": scale,
        "diffusion": epsilon,
        "base_diffusion": epsilon / (scale**2 * rate),
    }
    for name, goal in goals.items():
        state = (goal[0] * given[1] - goal[1] * given[0]) / determinant
        found[f"{name}_state"] = state
        found[f"{name}_input"] = state * scale
        found[f"{name}_prediction"] = (a_bar * goal[1] - b_bar * goal[0]) / determinant
    return found


def _rows(a: Expr, b: Expr, time: Symbol) -> dict[str, tuple[Expr, ...]]:
    return {
        "velocity": (diff(a, time), diff(b, time)),
        "score": (-1 / a, Integer(0)),
        "noise": (Integer(1), Integer(0)),
        "data": (Integer(0), Integer(1)),
    }


def _epsilon(diffusion: Diffusion, alpha: Expr, beta: Expr, best: Expr) -> Expr:
    if diffusion.expression is None:
        return diffusion.kappa * best
    return diffusion.expression.subs({Symbol("alpha"): alpha, Symbol("beta"): beta, Symbol("optimal"): best})

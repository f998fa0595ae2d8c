"""T4 to T6 as rules: what a conversion multiplies and substitutes, for any two schedules.

A bar (target) marks the new schedule at t; the base is taken at tau, where rho(tau) = rho_bar(t).
"""

from __future__ import annotations

from sympy import Expr

from symsi.interpolants.rows import Combination, Pair, combine, determinant
from symsi.theory.fields import PREDICTIONS, drift_row, row

__all__ = ["FIELDS", "coefficients", "diffusion_factor", "field_in", "scale", "time_rate"]

FIELDS = (*PREDICTIONS, "drift")


def scale(base: Pair, target: Pair) -> Expr:
    """T4: c = alpha_bar/alpha = beta_bar/beta, written (alpha_bar + beta_bar)/(alpha + beta), regular at both ends."""
    return (target.alpha + target.beta) / (base.alpha + base.beta)


def diffusion_factor(base: Pair, target: Pair) -> Expr:
    """T5: epsilon_bar / epsilon = c^2 dtau/dt, which is the ratio of the two determinants (T1)."""
    return determinant(target) / determinant(base)


def time_rate(base: Pair, target: Pair) -> Expr:
    """T4: dtau/dt = rho_bar'/rho'(tau), by implicit differentiation."""
    return diffusion_factor(base, target) / scale(base, target) ** 2


def field_in(base: Pair, target: Pair, prediction: str, wanted: str, epsilon: Expr) -> Combination:
    """T6: a field of the target at (t, x) from the base's prediction at (tau, x/c).

    eta_Z and eta_X are the same for both, so the base's prediction is one row, x = alpha_bar eta_Z + beta_bar eta_X
    the other. For velocities this is v_bar = (c'/c) x + c tau' v.
    """
    goal = drift_row(target, epsilon) if wanted == "drift" else row(target, wanted)
    return combine(target.state, row(base, prediction), goal)


def coefficients(base: Pair, target: Pair, prediction: str, epsilon: Expr, time: Expr) -> dict[str, Expr]:
    """Every coefficient of a conversion by name, as `Conversion.coefficients` lists them; `time` is tau."""
    found: dict[str, Expr] = {
        "alpha": target.alpha,
        "beta": target.beta,
        "time": time,
        "time_rate": time_rate(base, target),
        "scale": scale(base, target),
        "diffusion": epsilon,
        "base_diffusion": epsilon / diffusion_factor(base, target),
    }
    for name in FIELDS:
        combination = field_in(base, target, prediction, name, epsilon)
        found[f"{name}_state"] = combination.state
        found[f"{name}_input"] = combination.state * found["scale"]
        found[f"{name}_prediction"] = combination.prediction
    return found

"""What the theorems start from: a schedule or a triple of undetermined functions, and a conversion."""

from __future__ import annotations

from sympy import Expr, Symbol

from symsi.algebra.proof import Derivation
from symsi.interpolants.rows import Pair, Triple

__all__ = ["at_one_time", "conversion", "increasing_ratio", "schedule", "two_sided"]


def schedule(d: Derivation) -> tuple[Symbol, Pair]:
    """t and (alpha, beta), undetermined positive functions of t: nothing else is assumed of them."""
    t = d.symbol("t", 0, 1)
    return t, Pair.of(d.function("alpha")(t), d.function("beta")(t), t)


def increasing_ratio(d: Derivation, time: Symbol) -> Pair:
    """(alpha, beta) with beta = rho alpha: any positive alpha and any increasing rho."""
    alpha = d.function("alpha")(time)
    return Pair.of(alpha, d.function("rho", "positive increasing")(time) * alpha, time)


def conversion(d: Derivation) -> tuple[Symbol, Expr, Expr, Pair, Pair]:
    """t, tau, c, the base at tau and the target (c alpha(tau), c beta(tau)) at t, by T4; tau, c undetermined."""
    t, u = d.symbol("t", 0, 1), d.symbol("u", 0, 1)
    tau, c = d.function("tau", "increasing")(t), d.function("c")(t)
    base = Pair.of(d.function("alpha")(u), d.function("beta")(u), u).at(tau, u)
    return t, tau, c, base, Pair.of(c * base.alpha, c * base.beta, t)


def at_one_time(d: Derivation) -> Triple:
    """A triple at one time, where its values and slopes are any numbers, gamma a positive one."""
    alpha, beta, alpha_dot, beta_dot, gamma_dot = (
        d.real(name) for name in ("alpha", "beta", "alpha'", "beta'", "gamma'")
    )
    gamma = d.symbol("gamma")
    return Triple(alpha, beta, gamma, alpha_dot, beta_dot, gamma_dot, gamma * gamma_dot)


def two_sided(d: Derivation) -> tuple[Symbol, Triple]:
    """t and (alpha, beta, gamma), undetermined functions of t of which gamma alone is known to be positive."""
    t = d.symbol("t", 0, 1)
    alpha, beta = (d.function(name, "any")(t) for name in ("alpha", "beta"))
    return t, Triple.of(alpha, beta, d.function("gamma")(t), t)

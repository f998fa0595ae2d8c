"""What the theorems start from: a schedule of undetermined functions, and a conversion of it."""

from __future__ import annotations

from sympy import Expr, Symbol

from symsi.algebra.proof import Derivation
from symsi.interpolants.rows import Pair

__all__ = ["conversion", "increasing_ratio", "schedule"]


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

"""Positivity on 0 < t < 1: proved by SymPy's assumptions where that is possible, else checked on a fine grid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import lcm
from typing import Any

import sympy as sp
from sympy import Expr, Rational

from symsi.algebra.multiprecision import sample_together
from symsi.algebra.simplify import opaque, simplify
from symsi.algebra.symbols import t

__all__ = ["Violation", "proved_positive", "violation", "violations"]


@dataclass(frozen=True)
class Violation:
    """A time in (0, 1) at which an expression is not positive; value is None where it is not even real and finite."""

    time: Any
    value: Any


def violation(expr: Expr) -> Violation | None:
    """Look for a violation of expr > 0 on a grid of (0, 1) that is fine near both ends."""
    return violations(expr)[0]


def violations(*exprs: Expr) -> list[Violation | None]:
    """Look for the first violation of each expr > 0; what they share is evaluated once."""
    found: list[Violation | None] = [None] * len(exprs)
    for time, values in sample_together(*exprs):
        for k, value in enumerate(values):
            if found[k] is None and (value is None or value <= 0):
                found[k] = Violation(time, value)
    return found


def proved_positive(expr: Expr) -> bool:
    """Try to prove expr > 0 for 0 < t < 1 and all positive parameters; False where no proof was found."""
    p = sp.Dummy("p", positive=True)
    parameters = {s: sp.Dummy(s.name, positive=True) for s in expr.free_symbols - {t}}
    expr = _without_roots_of_t(expr)
    for form in _forms(expr):
        if _positive_polynomial(form):
            return True
        bounded = _abstract(form).xreplace(parameters)
        for inside in (1 / (1 + p), p / (1 + p)) if bounded.has(t) else (p,):  # both map p > 0 onto 0 < t < 1
            abstract = opaque(bounded.subs(t, inside))[0]
            if sp.factor(sp.together(abstract)).is_positive or abstract.is_positive:  # factors show their signs at once
                return True
    return False


def _forms(expr: Expr) -> Iterator[Expr]:
    """The expression as it is, and only then in its short form."""
    yield expr
    short = simplify(expr)
    if short != expr:
        yield short


def _without_roots_of_t(expr: Expr) -> Expr:
    """Replace t by t^k, which maps (0, 1) onto itself, so that no fractional power of t is left."""
    powers = [e.exp for e in expr.atoms(sp.Pow) if e.base == t and e.exp.is_Rational]
    k = lcm(*(int(p.q) for p in powers))
    z = sp.Dummy("z", positive=True)
    return expr.subs(t, z**k).subs(z, t) if k > 1 else expr


def _positive_polynomial(expr: Expr) -> bool:
    """Sturm's theorem, for a polynomial in t with rational coefficients."""
    if expr.free_symbols != {t} or not expr.is_polynomial(t):
        return False
    poly = sp.Poly(expr, t)
    if not all(c.is_Rational for c in poly.all_coeffs()):
        return False
    roots = poly.count_roots(0, 1) - sum(1 for end in (0, 1) if poly.eval(end) == 0)
    return bool(roots == 0 and poly.eval(Rational(1, 2)) > 0)


def _abstract(expr: Expr) -> Expr:
    """Replace exp, sin, cos and tan of monotone arguments by positive unknowns with the range they have on (0, 1)."""
    swaps: dict[Expr, Expr] = {}
    for f in expr.atoms(sp.exp, sp.sin, sp.cos, sp.tan):
        argument = f.args[0]
        if not argument.has(t) or argument.free_symbols != {t}:
            continue
        q = sp.Dummy("q", positive=True)
        if isinstance(f, sp.exp):
            if _argument_below(argument, 0):
                swaps[f] = 1 / (1 + q)  # exp of a negative number
            elif _argument_below(-argument, 0):
                swaps[f] = 1 + q
            continue
        if not argument.is_polynomial(t) or sp.degree(argument, t) != 1:
            continue
        ends = sorted([argument.subs(t, 0), argument.subs(t, 1)], key=float)
        if ends[0] >= 0 and ends[1] <= sp.pi / 2:  # below the greatest value, that at one of the ends
            bound = sp.cos(ends[0]) if isinstance(f, sp.cos) else sp.sin(ends[1])
            swaps[f] = q if isinstance(f, sp.tan) else bound / (1 + q)
    return expr.xreplace(swaps)


def _argument_below(expr: Expr, bound: int) -> bool:
    if (
        expr.is_polynomial(t)
        and sp.Poly(expr, t).all_coeffs()
        and all(c.is_real for c in sp.Poly(expr, t).all_coeffs())
    ):
        p = sp.Dummy("p", positive=True)
        return any(sp.factor(sp.together((bound - expr).subs(t, w))).is_positive for w in (1 / (1 + p), p / (1 + p)))
    return False

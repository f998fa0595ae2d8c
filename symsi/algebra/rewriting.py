"""Residuals rewritten to exactly 0, by rules that hold under the assumptions that the unknowns carry, and only those.

No rule is forced: sqrt(x^2) is x where x is positive, and |x| where it is real. A rewriting that may fail is tried
after those that are cheap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import sympy as sp
from sympy import Expr

from symsi.algebra.declared import Abstract, Declared, bound_values

__all__ = ["nonzero", "positive", "reduce_to_zero", "zeros_of_divisors"]

_RATIONAL = 2  # the first rules decide a rational function
_QUICK, _SHORT = 7, 4  # the next are seldom slow, and less so without exponentials, logarithms, sines


def reduce_to_zero(residual: Expr, declared: Declared, quick: bool = False) -> str:
    """Name the rewriting that turns `residual` into exactly 0, or return "".

    An unknown of a bounded range (a, b) is written (a + b p)/(1 + p) with p > 0 where its sign alone does not do.
    Integrals over the same range are added up, and their integrands must reduce to 0. Raises ValueError where an
    undetermined function of a bound variable is left. `quick` leaves out the rewritings that may search for long.
    """
    if residual.has(sp.Integral) and residual.atoms(sp.core.function.AppliedUndef):
        return _integrands(residual, declared)
    if residual.has(sp.exp) and residual.has(sp.log):
        residual = _expand_exponents(residual)
    given = declared.abstract(residual)
    (expr,) = given.exprs
    many = _SHORT if expr.has(sp.exp, sp.log, sp.sin, sp.cos, sp.tan) else _QUICK
    count = _RATIONAL if expr.is_rational_function() else many if quick else None
    for name, rewrite in list(_rules(given).items())[:count]:
        try:
            if rewrite(expr) == 0:
                return name
        except (sp.PolynomialError, NotImplementedError):
            continue
    return ""


def _rules(given: Abstract) -> Mapping[str, Callable[[Expr], Expr]]:
    def rational(e: Expr) -> Expr:
        return sp.cancel(sp.together(e))

    def on_ranges(e: Expr) -> Expr:
        stretched = given.stretched(_settle_exponents(e))
        return sp.factor(sp.together(sp.powsimp(stretched)))

    return {
        "expansion": sp.expand,
        "common denominator": rational,
        "half angles": lambda e: rational(_half_angles(e)) if e.has(sp.sin, sp.cos, sp.tan) else e,
        "powers": lambda e: rational(sp.powsimp(sp.powdenest(sp.expand(e)))),
        "power expansion": lambda e: rational(sp.expand(sp.expand_power_base(sp.powdenest(sp.factor(e))))),
        "roots": lambda e: rational(sp.expand(_factor_roots(_settle_exponents(e)))),
        "roots on the declared ranges": lambda e: rational(sp.expand(_factor_roots(_settle_exponents(on_ranges(e))))),
        "trigonometry": lambda e: sp.trigsimp(sp.together(sp.expand(e))),
        "logarithms": lambda e: sp.simplify(sp.expand_log(e)),
        "simplification": sp.simplify,
    }


def _integrands(residual: Expr, declared: Declared) -> str:
    """Reduce a sum of coefficient * Integral by its integrands, range by range, and what is left by itself."""
    rest: Expr = sp.Integer(0)
    groups: dict[tuple[Any, ...], Expr] = {}
    for term in sp.Add.make_args(sp.expand(residual)):
        coefficient, inner = term.as_independent(sp.Integral, as_Add=False)
        if inner == 1:
            rest += term
            continue
        bound = {s for limits in getattr(inner, "limits", ()) for s in limits[:1]}
        if not isinstance(inner, sp.Integral) or coefficient.free_symbols & bound:
            raise ValueError(f"{inner} is no integral with a factor that its variable leaves alone")
        groups[inner.limits] = groups.get(inner.limits, sp.Integer(0)) + coefficient * inner.function
    for limits, integrand in groups.items():
        inside = Declared(dict(declared.functions), dict(declared.symbols))
        for variable, low, high in limits:
            inside.symbols[variable] = (low, high)
        if not reduce_to_zero(integrand, inside):
            return ""
    return "the integrands" if rest == 0 or reduce_to_zero(rest, declared) else ""


def nonzero(expr: Expr, given: Abstract) -> bool:
    """Whether an abstract expression is certain not to vanish under the declared assumptions."""
    return any(form.is_nonzero or form.is_positive or form.is_negative for form in _forms(expr, given))


def positive(expr: Expr, given: Abstract) -> bool:
    """Whether an abstract expression is certain to be positive under the declared assumptions."""
    return any(form.is_positive for form in _forms(expr, given))


def _forms(expr: Expr, given: Abstract) -> Iterator[Expr]:
    yield expr
    with suppress(sp.PolynomialError, NotImplementedError):
        yield sp.factor(sp.together(given.stretched(expr)))


def zeros_of_divisors(declared: Declared, *exprs: Expr) -> tuple[Expr, ...]:
    """Return what stands under a fraction bar or a logarithm and may be 0 somewhere, without repetition."""
    divisors = dict.fromkeys(d for e in exprs for d in _divisors(e) if not d.is_number and not bound_values(d))
    given = declared.abstract(*divisors)
    found: dict[Expr, None] = {}
    for divisor in given.exprs:
        if not nonzero(divisor, given):
            found.update((f.xreplace(dict(given.meaning)), None) for f in _vanishing_factors(divisor, given))
    return tuple(found)


def _divisors(expr: Expr) -> Iterator[Expr]:
    for node in sp.preorder_traversal(expr):
        if node.is_Pow and node.exp.could_extract_minus_sign():
            yield node.base
        elif isinstance(node, sp.log):
            yield node.args[0]


def _vanishing_factors(divisor: Expr, given: Abstract) -> Iterator[Expr]:
    for factor in sp.Mul.make_args(sp.factor(divisor)):
        base: Expr = factor.base if factor.is_Pow else factor
        if not base.is_number and not nonzero(base, given):
            yield base


def _half_angles(expr: Expr) -> Expr:
    """Write sines and cosines of multiples of an angle by u = tan(angle/2), of which they are rational functions."""
    angles = sorted({f.args[0] for f in expr.atoms(sp.sin, sp.cos, sp.tan)}, key=sp.default_sort_key)
    groups: list[tuple[Expr, list[Expr]]] = []
    for angle in angles:
        for lead, members in groups:
            if sp.cancel(angle / lead).is_Rational:
                members.append(angle)
                break
        else:
            groups.append((angle, [angle]))
    swaps: dict[Expr, Expr] = {}
    for lead, members in groups:
        ratios = {a: sp.Rational(sp.cancel(a / lead)) for a in members}
        unit = sp.Rational(1, sp.ilcm(1, *(r.q for r in ratios.values())))
        u = sp.Dummy("u", real=True)
        cosine, sine = (1 - u**2) / (1 + u**2), 2 * u / (1 + u**2)
        for angle, ratio in ratios.items():
            n = abs(int(ratio / unit))
            c, s = sp.chebyshevt(n, cosine), sp.sign(ratio) * sine * sp.chebyshevu(n - 1, cosine)
            swaps |= {sp.cos(angle): c, sp.sin(angle): s, sp.tan(angle): s / c}
    return expr.xreplace(swaps)


def _settle_exponents(expr: Expr) -> Expr:
    """Cancel inside exponents: w^(2 kappa (kappa/2 + 1/2)/(kappa + 1)) is w^kappa."""
    return expr.replace(lambda e: e.is_Pow and not e.exp.is_Rational, lambda e: e.base ** sp.cancel(e.exp))


def _expand_exponents(expr: Expr) -> Expr:
    """Multiply exponents out, so that exp(a + b log(c)) becomes exp(a) c^b."""
    return expr.replace(lambda e: isinstance(e, sp.exp), lambda e: sp.exp(sp.expand(e.args[0], log=False)))


def _factor_roots(expr: Expr) -> Expr:
    """Pull positive factors out of every root."""
    return sp.powsimp(
        expr.replace(
            lambda e: e.is_Pow and e.exp.is_Rational and not e.exp.is_Integer,
            lambda e: sp.expand_power_base(sp.factor(sp.expand_power_exp(e.base)) ** e.exp),
        )
    )

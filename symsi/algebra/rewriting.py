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
from sympy.concrete.expr_with_limits import ExprWithLimits
from sympy.core.function import AppliedUndef

from symsi.algebra.declared import Abstract, Declared, bound_values

__all__ = ["nonzero", "positive", "reduce_to_zero", "split_integrals", "zeros_of_divisors"]

_RATIONAL = 2  # the first rules decide a rational function
_QUICK, _SHORT = 7, 4  # the next are seldom slow, and less so without exponentials, logarithms, sines

_LINE: tuple[Expr, Expr] = (-sp.oo, sp.oo)
_POLES: dict[Any, Callable[[Expr], Expr]] = {  # functions with poles on the real line, and what is 0 at these
    sp.log: lambda a: a,
    sp.tan: sp.cos,
    sp.sec: sp.cos,
    sp.cot: sp.sin,
    sp.csc: sp.sin,
    sp.coth: sp.sinh,
    sp.csch: sp.sinh,
    sp.atanh: lambda a: 1 - a**2,
}
_NO_POLES = (
    *(sp.exp, sp.sin, sp.cos, sp.asin, sp.acos, sp.atan, sp.atan2, sp.sinh, sp.cosh, sp.tanh, sp.sech, sp.asinh),
    *(sp.acosh, sp.erf, sp.erfc, sp.Abs, sp.sign, sp.Max, sp.Min, sp.floor, sp.ceiling, sp.Heaviside, sp.Piecewise),
    *(sp.re, sp.im, sp.conjugate),
)


def reduce_to_zero(residual: Expr, declared: Declared, quick: bool = False) -> str:
    """Name the rewriting that turns `residual` into exactly 0, or return "".

    An unknown of a bounded range (a, b) is written (a + b p)/(1 + p) with p > 0 where its sign alone does not do.
    Integrals over the same range are added up, and their integrands must reduce to 0. Raises ValueError where an
    undetermined function of a bound variable is left. `quick` leaves out the rewritings that may search for long.
    """
    if residual.has(sp.Integral) and residual.atoms(AppliedUndef):
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


def split_integrals(residual: Expr) -> tuple[dict[tuple[Any, ...], Expr], Expr]:
    """Split a sum of coefficient * Integral into the sum of integrands by limits, and what holds no integral.

    Raises ValueError for anything else, and for an integral without limits.
    """
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
        if any(len(limits) != 3 for limits in inner.limits) or inner.function.has(sp.Integral):
            raise ValueError(f"{inner} is no integral between two limits of what holds none")
        groups[inner.limits] = groups.get(inner.limits, sp.Integer(0)) + coefficient * inner.function
    return groups, rest


def _integrands(residual: Expr, declared: Declared) -> str:
    """Reduce a sum of coefficient * Integral by its integrands, range by range, and what is left by itself."""
    groups, rest = split_integrals(residual)
    for limits, integrand in groups.items():
        if not reduce_to_zero(integrand, _inside(declared, limits)):
            return ""
    return "the integrands" if rest == 0 or reduce_to_zero(rest, declared) else ""


def _inside(declared: Declared, limits: tuple[Any, ...]) -> Declared:
    """The declarations inside an integral or a sum: its variables lie between the least and the greatest limit.

    A limit is a number or a declared symbol, which has a range of its own; else the variable is just real.
    """
    inside = Declared(dict(declared.functions), dict(declared.symbols))
    for variable, *ends in reversed(limits):  # the outer variables first: inner limits may hold them
        spans = [(e, e) if e.is_number else inside.symbols.get(e, _LINE) for e in ends] or [_LINE]
        low, high = sp.Min(*(a for a, _ in spans)), sp.Max(*(b for _, b in spans))
        comparable = low.is_extended_real and high.is_extended_real and (low < high) == True  # noqa: E712
        inside.symbols[variable] = (low, high) if comparable else _LINE
    return inside


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
    """Return what stands under a fraction bar or a logarithm, or is 0 at a pole, and may be 0; without repetition."""
    limits = [tuple(e.limits) for whole in exprs for e in whole.atoms(ExprWithLimits)]
    inside = _inside(declared, tuple(one for several in limits for one in several))
    divisors = dict.fromkeys(d for e in exprs for d in _divisors(e) if not d.is_number and not bound_values(d))
    given = inside.abstract(*divisors)
    found: dict[Expr, None] = {}
    for divisor in given.exprs:
        if not nonzero(divisor, given):
            found.update((f.xreplace(dict(given.meaning)), None) for f in _vanishing_factors(divisor, given))
    return tuple(found)


def _divisors(expr: Expr) -> Iterator[Expr]:
    """What is 0 where a part of the expression has no value; of a function not known here, its reciprocal."""
    nodes: Iterator[Any] = sp.preorder_traversal(expr)
    for node in nodes:
        if node.is_Pow and node.exp.could_extract_minus_sign():
            yield node.base
        elif node.func in _POLES:
            yield _POLES[node.func](node.args[0])
        elif isinstance(node, sp.Function) and not isinstance(node, (*_NO_POLES, AppliedUndef)):
            yield 1 / node


def _vanishing_factors(divisor: Expr, given: Abstract) -> Iterator[Expr]:
    for factor in sp.Mul.make_args(sp.factor(divisor)):
        base: Expr = factor.base if factor.is_Pow and not factor.exp.could_extract_minus_sign() else factor
        if not base.is_number and not isinstance(base, sp.gamma) and not nonzero(base, given):
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

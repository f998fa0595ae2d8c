"""Closed-form inverses of increasing functions on (0, 1): t from rho(t) = beta/alpha, where algebra can find it.

An equation f(t) = r is peeled from the outside: invertible functions are undone one by one, and a rational function
of one inner expression (t itself, t^(1/3), exp(q(t)), cos(...), ...) of degree at most two is solved for it.
Candidates are believed only after 40-digit checks, so a wrong branch never leaves this module.

The inverse is written in alpha and beta > 0, not in their quotient r: r/sqrt(r^2 + 1) is beta/sqrt(alpha^2 + beta^2),
which is beta where the variance is preserved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from math import gcd, lcm

import mpmath
import sympy as sp
from sympy import Expr, Integer, Rational, Symbol

from symsi.algebra.draws import draw_parameters
from symsi.algebra.multiprecision import evaluate
from symsi.algebra.simplify import simplify
from symsi.algebra.symbols import t

__all__ = ["PARTS", "at_parts", "invert"]

PARTS = (Symbol("alpha of r"), Symbol("beta of r"))  # letters that no schedule has
_R = Symbol("r = beta/alpha")  # the value of the function that is inverted
_DEPTH = 6
_ROOTS = 12  # roots of a higher common order are left alone
_UNDO = {
    sp.exp: (sp.log,),
    sp.log: (sp.exp,),
    sp.sin: (sp.asin, lambda y: sp.pi - sp.asin(y)),
    sp.cos: (sp.acos, lambda y: -sp.acos(y)),
    sp.tan: (sp.atan,),
    sp.cot: (sp.acot,),
    sp.asin: (sp.sin,),
    sp.acos: (sp.cos,),
    sp.atan: (sp.tan,),
    sp.sinh: (sp.asinh,),
    sp.cosh: (sp.acosh,),
    sp.tanh: (sp.atanh,),
    sp.asinh: (sp.sinh,),
    sp.acosh: (sp.cosh,),
    sp.atanh: (sp.tanh,),
}


def invert(f: Expr) -> Expr | None:
    """Return g with f(g) = r and g in (0, 1), for f increasing in t on (0, 1); None if none was found.

    r = beta/alpha, and g is written in these two, which are `PARTS`.
    """
    tried: set[tuple[Expr, Expr]] = set()
    for form, power in _forms(f):
        if (form, power) in tried:
            continue
        tried.add((form, power))
        for candidate in _solve(form, _R**power, _DEPTH):
            if _is_inverse(candidate, f):
                return _in_parts(candidate)
    return None


def at_parts(g: Expr, alpha: Expr, beta: Expr) -> Expr:
    """Return an inverse at r = beta/alpha."""
    return g.xreplace({PARTS[0]: alpha, PARTS[1]: beta})


def _in_parts(g: Expr) -> Expr:
    """g(beta/alpha) without quotients inside quotients; a sum stays one, so that cos(acos(...)) of it is undone."""
    given = g.subs(_R, PARTS[1] / PARTS[0])
    inside = given.replace(lambda e: isinstance(e, sp.Function), lambda e: e.func(*map(simplify, e.args)))
    return sp.expand_mul(simplify(inside))


def _forms(f: Expr) -> Iterator[tuple[Expr, Expr]]:
    """Rewritings of f = r, or of f^k = r^k without roots, that may show t only once; what is cheap comes first."""
    factors = [(e.base, e.exp) if e.is_Pow and e.exp.is_Rational else (e, Integer(1)) for e in sp.Mul.make_args(f)]
    common = Rational(gcd(*(int(e.p) for _, e in factors)), lcm(*(int(e.q) for _, e in factors)))
    yield sp.Mul(*(base ** (e / common) for base, e in factors)), 1 / common
    yield f, Integer(1)
    if f.has(sp.sin, sp.cos, sp.tan, sp.cot, sp.sinh, sp.cosh, sp.tanh):
        yield sp.trigsimp(f), Integer(1)
    yield sp.cancel(sp.together(f)), Integer(1)
    roots = lcm(2, *(int(p.exp.q) for p in f.atoms(sp.Pow) if p.exp.is_Rational))
    for k in dict.fromkeys((2, roots)):
        if k <= _ROOTS:
            power = sp.powsimp(sp.expand_power_base(f**k, force=True), force=True)
            yield power, Integer(k)
            yield sp.cancel(sp.together(power)), Integer(k)


def _solve(f: Expr, value: Expr, depth: int) -> Iterator[Expr]:
    if f == t:
        yield value
        return
    if depth == 0 or not f.has(t):
        return
    if f.func in _UNDO and len(f.args) == 1:
        for undo in _UNDO[f.func]:
            yield from _solve(f.args[0], undo(value), depth - 1)
        return
    if f.is_Pow and not f.exp.has(t):
        yield from _solve(f.base, value ** (1 / f.exp), depth - 1)
        return
    if f.is_Pow and not f.base.has(t):
        yield from _solve(f.exp, sp.log(value) / sp.log(f.base), depth - 1)
        return
    for inner in _generators(f):
        z = sp.Dummy("z")
        body = _express(f, inner, z)
        if body is None:
            continue
        if not body.is_rational_function(z):
            if inner != t and not inner.is_Pow:
                for root in _solve(body.subs(z, t), value, depth - 1):
                    yield from _solve(inner, root, depth - 1)
            continue
        top = sp.Poly(sp.numer(sp.cancel(body - value)), z)
        for root in _roots(top):
            yield from _solve(inner, root, depth - 1)


def _roots(p: sp.Poly) -> list[Expr]:
    """Roots of a z^n + c (the positive one) and of quadratics."""
    degree = p.degree()
    if degree >= 1 and len(p.terms()) == 2 and p.nth(0) != 0:
        return [sp.cancel(-p.nth(0) / p.LC()) ** Rational(1, degree)]
    if degree != 2:
        return []
    a, b, c = (sp.factor(k) for k in p.all_coeffs())
    root = sp.sqrt(sp.factor(b**2 - 4 * a * c))
    return [(-b + root) / (2 * a), (-b - root) / (2 * a)]


def _generators(f: Expr) -> list[Expr]:
    """Inner expressions in which f may be rational: a common power of t, then the other functions of t in f."""
    powers = {p.exp for p in f.atoms(sp.Pow) if p.base == t and not p.exp.has(t)}
    found: list[Expr] = []
    rational = [p for p in powers if p.is_Rational]
    if rational:
        bare = f.xreplace({p: sp.Dummy() for p in f.atoms(sp.Pow) if p.base == t})
        exponents = rational + ([Integer(1)] if bare.has(t) else [])
        found.append(t ** Rational(gcd(*(e.p for e in exponents)), lcm(*(e.q for e in exponents))))
    found += [t**p for p in powers if not p.is_Rational]
    found += [a for a in f.atoms(sp.Function) if a.has(t)]
    found += [a for a in f.atoms(sp.Pow) if a.base != t and a.has(t) and not a.exp.is_Integer]
    found.append(t)
    return sorted(found, key=lambda e: -sp.count_ops(e))


def _express(f: Expr, inner: Expr, z: Symbol) -> Expr | None:
    """Write f as a function of z = inner alone."""
    if (inner.is_Pow and inner.base == t) or inner == t:
        if not _only_in(f, lambda e: e == t or (e.is_Pow and e.base == t)):
            return None
        step = inner.exp if inner.is_Pow else Integer(1)
        body = f.xreplace({p: z ** (p.exp / step) for p in f.atoms(sp.Pow) if p.base == t}).subs(t, z ** (1 / step))
    elif isinstance(inner, sp.exp):
        if not _only_in(f, lambda e: isinstance(e, sp.exp)):
            return None
        body = f.xreplace({e: z ** sp.cancel(e.args[0] / inner.args[0]) for e in f.atoms(sp.exp)})
    else:
        if not _only_in(f, lambda e: e == inner):
            return None
        body = f.xreplace({inner: z})
    return None if body.has(t) else body


def _only_in(f: Expr, found: Callable[[Expr], bool]) -> bool:
    """Whether t is nowhere in f but inside what is `found`."""
    if found(f):
        return True
    return f != t and all(_only_in(a, found) for a in f.args if a.has(t))


def _is_inverse(g: Expr, f: Expr) -> bool:
    times = (Rational(1, 50), Rational(1, 3), Rational(17, 20), Rational(99, 100))
    for draws, time in product(draw_parameters(f.free_symbols - {t}, 2 if f.free_symbols - {t} else 1), times):
        r = evaluate(f, {**draws, t: time}, 60)
        gap = abs(evaluate(g, {**draws, _R: r}, 60) - evaluate(time, {}, 60))
        if not gap < mpmath.mpf("1e-40"):
            return False
    return True

"""Short forms of derived coefficients: targeted rewriting, all symbols positive, the shortest result wins."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import lcm

import sympy as sp
from sympy import Expr, Integer, Symbol

from symsi.algebra.symbols import t, tau

__all__ = ["count", "in_roots", "opaque", "simplify"]


def _reduced(e: Expr) -> Expr:
    return sp.cancel(sp.together(e))


_REWRITES: tuple[Callable[[Expr], Expr], ...] = (
    _reduced,
    lambda e: sp.factor(sp.together(e)),
    lambda e: sp.powdenest(sp.powsimp(e)),
)
_TRIGONOMETRIC = (sp.sin, sp.cos, sp.tan)
_FOREIGN = (sp.Abs, sp.sign, sp.arg, sp.re, sp.im, sp.Piecewise)
_ALGEBRA_LIMIT = 160  # polynomial algebra over several roots is slow on longer formulas
_TRIGONOMETRIC_LIMIT = 60  # so is trigsimp


@lru_cache(maxsize=8192)
def simplify(expr: Expr) -> Expr:
    """Return an equal expression on 0 < t, tau < 1 with positive parameters, no longer than the given one.

    Polynomial algebra knows nothing of the sines of numbers, and takes long to see it: they are letters to it.
    """
    if expr.is_Atom or count(expr) > (4 if expr.free_symbols else 1) * _ALGEBRA_LIMIT:
        return expr
    start, hidden = opaque(_legs(expr))
    known = {a: _unknown(a, positive=True) for a in start.atoms(*_TRIGONOMETRIC) if a.is_number and a.is_positive}
    known |= {s: _unknown(s, positive=True) for s in start.free_symbols - set(hidden)}
    hidden |= {d: a for a, d in known.items()}
    times = tuple(known[s] for s in (t, tau) if s in known)
    start = _pull_roots(start.xreplace(known), times)
    candidates = [start]
    if count(start) <= _ALGEBRA_LIMIT:
        for rewrite in _REWRITES:
            try:
                candidates.append(_pull_roots(rewrite(start), times))
            except (sp.PolynomialError, NotImplementedError, ZeroDivisionError):
                continue
    shortest = min(candidates, key=_length)
    while shortest.free_symbols & set(hidden):  # an exponential may hide a logarithm in its exponent
        shortest = shortest.xreplace(hidden)
    best = min(expr, shortest, key=_length)
    functions = best.atoms(*_TRIGONOMETRIC)
    if (len(functions) > 1 or any(f.free_symbols for f in functions)) and count(best) <= _TRIGONOMETRIC_LIMIT:
        best = min(best, sp.trigsimp(best), key=_length)
    return best


def _legs(expr: Expr) -> Expr:
    """Write 1 - cos(a)^2 as sin(a)^2, and the other way round, for numbers a."""
    legs = {sp.cos: sp.sin, sp.sin: sp.cos}
    return expr.xreplace({1 - f**2: legs[f.func](*f.args) ** 2 for f in expr.atoms(*legs) if f.is_number})


@lru_cache(maxsize=4096)
def _unknown(meant: Expr, **assumptions: bool) -> sp.Dummy:
    """The symbol that stands for an expression, the same each time: SymPy remembers the parts that formulas share."""
    return sp.Dummy(getattr(meant, "name", "q"), **assumptions)


def in_roots(expr: Expr, u: Symbol, w: Symbol) -> Expr:
    """Return `expr` by the roots u = sqrt(t) and w = sqrt(1 - t), 0 < t < 1, in lowest terms and factors.

    Where numerator and denominator are polynomials in u and w, each of even or of odd terms only, u^2 + w^2 = 1 makes
    both homogeneous, and what they have in common shows. Any other expression is returned as it is.
    """
    a, b = sp.symbols("a b", positive=True)

    def split(e: Expr) -> Expr:
        for base, root in ((t, a), (1 - t, b), (t * (1 - t), a * b)):
            if sp.expand(e.base - base) == 0:
                return root ** (2 * e.exp)
        return e

    def homogeneous(polynomial: Expr) -> Expr:
        terms = sp.Poly(polynomial, a, b).terms()
        degree = max(i + j for (i, j), _ in terms)
        if any((degree - i - j) % 2 for (i, j), _ in terms):
            raise sp.PolynomialError("even and odd terms")
        return sp.Add(*(c * a**i * b**j * (a**2 + b**2) ** ((degree - i - j) // 2) for (i, j), c in terms))

    quotient = expr.replace(lambda e: e.is_Pow and e.exp.is_Rational and e.exp.q == 2, split).subs(t, a**2)
    try:
        numerator, denominator = (homogeneous(sp.expand(part)) for part in sp.fraction(sp.together(quotient)))
    except sp.PolynomialError:
        return expr
    return sp.factor(sp.cancel(numerator / denominator)).subs({a: u, b: w})


def _pull_roots(expr: Expr, times: tuple[Expr, ...]) -> Expr:
    """Take factors of constant sign on (0, 1) out of roots: sqrt(t^2 (1 - t)^2 q) is t (1 - t) sqrt(q)."""

    def is_root(e: Expr) -> bool:
        return bool(e.is_Pow and e.exp.is_Rational and not e.exp.is_Integer and (e.base.is_Add or e.base.is_Mul))

    try:
        return expr.replace(is_root, lambda e: _pulled(e.base, e.exp, times))
    except sp.PolynomialError:
        return expr


@lru_cache(maxsize=4096)
def _pulled(base: Expr, power: Expr, times: tuple[Expr, ...]) -> Expr:
    """One root of those; formulas share many."""
    if count(base) > _ALGEBRA_LIMIT:
        return base**power
    coefficient, factors = sp.factor_list(sp.together(base))
    outside, inside = [], [coefficient]
    for factor, k in factors:
        sign = _constant_sign(factor, times)
        inside.append(sign**k if sign else factor**k)
        if sign:
            outside.append((sign * factor) ** (k * power))
    return sp.Mul(*outside) * sp.Mul(*inside) ** power


def _constant_sign(factor: Expr, times: tuple[Expr, ...]) -> int:
    """1 or -1 for a polynomial in one time without a root in (0, 1), or a positive symbol; 0 if that is not certain."""
    if factor.is_positive:
        return 1
    for time in times:
        if factor.free_symbols == {time} and factor.is_polynomial(time):
            poly = sp.Poly(factor, time)
            if all(c.is_Rational for c in poly.all_coeffs()):
                roots = poly.count_roots(0, 1) - sum(1 for end in (0, 1) if poly.eval(end) == 0)
                return 0 if roots else int(sp.sign(poly.eval(sp.Rational(1, 2))))
    return 0


@lru_cache(maxsize=8192)
def count(expr: Expr) -> int:
    """Length of a formula: its operations plus its nodes."""
    return int(sp.count_ops(expr)) + sum(1 for _ in sp.preorder_traversal(expr))


def opaque(expr: Expr) -> tuple[Expr, dict[Expr, Expr]]:
    """Hide exponentials and logarithms behind unknowns, so that polynomial algebra does not split their arguments.

    exp(a) and exp(k a) with rational k share one positive unknown. Returns the expression and what to substitute back.
    """
    logarithms = {a: _unknown(a, real=True) for a in expr.atoms(sp.log) if a.free_symbols}
    expr = expr.xreplace(logarithms)
    groups: list[tuple[Expr, list[tuple[Expr, sp.Rational]]]] = []
    for atom in sorted((a for a in expr.atoms(sp.exp, sp.Pow) if _exponential(a)), key=sp.default_sort_key):
        exponent = sp.expand_log(sp.log(atom), force=True) if atom.is_Pow else atom.args[0]
        for lead, members in groups:
            ratio = sp.cancel(exponent / lead)
            if ratio.is_Rational:
                members.append((atom, ratio))
                break
        else:
            groups.append((exponent, [(atom, Integer(1))]))
    swaps: dict[Expr, Expr] = {}
    hidden: dict[Expr, Expr] = {d: a for a, d in logarithms.items()}
    for lead, members in groups:
        unit = Integer(1) / lcm(*(int(r.q) for _, r in members))
        first = members[0][0]
        meant = first.base ** (first.exp * unit) if first.is_Pow else sp.exp(lead * unit)
        q = _unknown(meant, positive=True)
        hidden[q] = meant
        swaps.update({atom: q ** (r / unit) for atom, r in members})
    return expr.xreplace(swaps), hidden


def _exponential(e: Expr) -> bool:
    return isinstance(e, sp.exp) or bool(e.is_Pow and e.base.is_number and e.exp.free_symbols)


def _length(expr: Expr) -> tuple[bool, int]:
    return expr.has(*_FOREIGN), count(expr)

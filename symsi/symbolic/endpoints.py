"""T11: the behaviour of every coefficient at the ends of its domain, as data that later code uses.

A coefficient is expanded in a generalized power series sum_k c_k u^{p_k} (rational p_k, exact c_k) in the distance
u from the end. Its first term is the limit, or says how the coefficient diverges. The expansion is our own because
SymPy's `limit` is slow on composite time maps and wrong under positive assumptions; coefficients that cancel are
recognised by 60-digit arithmetic, and every leading term is compared with multiprecision values close to the end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import mpmath
import sympy as sp
from sympy import Expr, Integer, Rational, Symbol

from symsi.errors import EndpointError
from symsi.symbolic.numeric import evaluate
from symsi.symbolic.symbols import t

__all__ = ["Expansion", "Limit", "Series", "Unsupported", "limit", "near"]

_SIZES = (4, 8, 16)  # terms carried; more are tried only when the leading ones cancel
Order = Fraction | float


class Unsupported(Exception):
    """The function has no generalized power series here (an essential or a logarithmic singularity)."""


class _Cancelled(Exception):
    """All carried terms cancelled; carry more."""


@dataclass(frozen=True)
class Series:
    """sum c u^p over `terms` in ascending p, with an error O(u^order); order is inf for an exact sum."""

    terms: tuple[tuple[Fraction, Expr], ...]
    order: Order = math.inf

    @property
    def leading(self) -> tuple[Fraction, Expr]:
        """Exponent and coefficient of the first term."""
        if not self.terms:
            raise _Cancelled
        return self.terms[0]

    @property
    def start(self) -> Order:
        """Exponent from which the series starts."""
        return self.terms[0][0] if self.terms else self.order

    def expr(self, u: Expr) -> Expr:
        """Return the carried terms as an expression in u."""
        return sp.Add(*(c * u ** Rational(p) for p, c in self.terms))


def _constant(value: Expr) -> Series:
    return Series(() if is_zero(value) else ((Fraction(0), value),))


def near(end: Expr, side: int) -> Series:
    """Return the series of the time itself: end + side * u."""
    return _sum([_constant(end), Series(((Fraction(1), Integer(side)),))], 4)


@lru_cache(maxsize=65536)
def is_zero(value: Expr) -> bool:
    """Decide whether an exact constant is 0, by 60-digit arithmetic at two draws of its positive parameters."""
    if value.is_Rational:
        return bool(value == 0)
    symbols = sorted(value.free_symbols, key=str)
    for seed in (7, 11) if symbols else (7,):
        draw = {s: Rational(seed + 5 * i, 8 + 3 * i) for i, s in enumerate(symbols)}
        scale = max([abs(evaluate(a, draw, 100)) for a in sp.Add.make_args(value)] + [mpmath.mpf(1)])
        if not abs(evaluate(value, draw, 100)) < scale * mpmath.mpf("1e-60"):
            return False
    return True


@lru_cache(maxsize=65536)
def _sign(value: Expr) -> int:
    if value.is_Rational:
        return int(sp.sign(value))
    draw = {s: Rational(7 + 5 * i, 8 + 3 * i) for i, s in enumerate(sorted(value.free_symbols, key=str))}
    number = evaluate(value, draw, 60)
    if abs(mpmath.im(number)) > mpmath.mpf("1e-50") * abs(number):
        return 0
    return int(mpmath.sign(mpmath.re(number)))


def _collect(pairs: Iterable[tuple[Fraction, Expr]], order: Order, size: int) -> Series:
    bins: dict[Fraction, list[Expr]] = {}
    for p, c in pairs:
        if p < order:
            bins.setdefault(p, []).append(c)
    kept = []
    for p in sorted(bins):
        total = sp.Add(*bins[p])
        if not is_zero(total):
            if len(kept) == size:
                return Series(tuple(kept), p)
            kept.append((p, total))
    return Series(tuple(kept), order)


def _sum(parts: list[Series], size: int) -> Series:
    return _collect((term for s in parts for term in s.terms), min(s.order for s in parts), size)


def _product(a: Series, b: Series, size: int) -> Series:
    order = min(a.order + b.start, b.order + a.start)
    return _collect(((p + q, c * d) for p, c in a.terms for q, d in b.terms), order, size)


class Expansion:
    """Expands expressions about u = 0+, given the series of the symbols that depend on u."""

    def __init__(self, environment: Mapping[Symbol, Series], size: int = _SIZES[0]) -> None:
        self.size = size
        self._known: dict[Expr, Series] = dict(environment)
        self._moving = set(environment)

    def __call__(self, expr: Expr) -> Series:
        """Return the series of `expr`. Raises Unsupported where there is none."""
        found = self._known.get(expr)
        if found is None:
            found = self._known[expr] = self._expand(expr)
        return found

    def _expand(self, expr: Expr) -> Series:
        if not expr.free_symbols & self._moving:
            return _constant(expr)
        if expr.is_Add:
            return _sum([self(a) for a in expr.args], self.size)
        if expr.is_Mul:
            product = _constant(Integer(1))
            for a in expr.args:
                product = _product(product, self(a), self.size)
            return product
        if isinstance(expr, sp.exp):
            return self.exp(self(expr.args[0]))
        if expr.is_Pow:
            base, power = expr.args
            if power.free_symbols & self._moving:
                return self.exp(_product(self(power), self.log(self(base)), self.size))
            return self.power(self(base), power)
        if isinstance(expr, sp.log):
            return self.log(self(expr.args[0]))
        if isinstance(expr, sp.Function) and len(expr.args) == 1:
            return self._function(expr.func, self(expr.args[0]))
        raise Unsupported(f"{expr.func.__name__} has no expansion rule")

    def power(self, f: Series, power: Expr) -> Series:
        """(a u^p (1 + g))^q = a^q u^{pq} sum_k binomial(q, k) g^k."""
        if power.is_Integer and power > 0 and not f.terms:
            return Series((), f.order * int(power))
        p, a = f.leading
        if not power.is_Rational and (p != 0 or not power.is_real):
            raise Unsupported(f"the exponent {power} is not a rational number")
        if not power.is_Integer and _sign(a) <= 0:
            raise Unsupported("a root of a negative number")
        g = self._relative(f)
        head = Series(((p * Fraction(int(power.p), int(power.q)) if p else Fraction(0), a**power),))
        return _product(head, self._compose(g, lambda k: sp.ff(power, k) / sp.factorial(k)), self.size)

    def exp(self, f: Series) -> Series:
        """exp(c + g) = exp(c) sum_k g^k / k!."""
        c, g = self._split(f)
        return _product(_constant(sp.exp(c)), self._compose(g, lambda k: 1 / sp.factorial(k)), self.size)

    def log(self, f: Series) -> Series:
        """log(a (1 + g)) = log(a) + sum_k (-1)^(k+1) g^k / k; a logarithmic singularity is unsupported."""
        p, a = f.leading
        if p != 0:
            raise Unsupported("a logarithmic singularity")
        tail = self._compose(self._relative(f), lambda k: Integer(0) if k == 0 else Integer(-1) ** (k + 1) / k)
        return _sum([_constant(sp.log(a)), tail], self.size)

    def shift(self, f: Series, constant: Expr) -> Series:
        """f + constant."""
        return _sum([f, _constant(constant)], self.size)

    def multiply(self, f: Series, factor: Expr, *others: Series) -> Series:
        """factor * f * others."""
        for other in (_constant(factor), *others):
            f = _product(f, other, self.size)
        return f

    def substitute(self, f: Series, w: Series) -> Series:
        """f(w(u)) for a series f in w with exponents >= 0 and a series w that vanishes at u = 0."""
        parts = [_scaled(self.power(w, Rational(p)), c) if p else _constant(c) for p, c in f.terms]
        return _sum([*parts, Series((), f.order * w.start)], self.size)

    def _function(self, func: Callable[..., Expr], f: Series) -> Series:
        if func is sp.atan and f.start < 0:  # atan(f) = ±pi/2 - atan(1/f)
            inner = self._function(sp.atan, self.power(f, Integer(-1)))
            return _sum([_constant(_sign(f.leading[1]) * sp.pi / 2), _scaled(inner, -1)], self.size)
        c, g = self._split(f)
        if func in (sp.tan, sp.cot):
            sine, cosine = self._function(sp.sin, f), self._function(sp.cos, f)
            top, bottom = (sine, cosine) if func is sp.tan else (cosine, sine)
            return _product(top, self.power(bottom, Integer(-1)), self.size)
        if func in (sp.asin, sp.acos) and is_zero(c**2 - 1):
            return self._arc(func, c, g)
        z = sp.Dummy()
        derivatives = [func(z)]

        def taylor(k: int) -> Expr:
            while len(derivatives) <= k:
                derivatives.append(derivatives[-1].diff(z))
            value = derivatives[k].subs(z, c)
            if value.has(sp.nan, sp.oo, -sp.oo, sp.zoo, sp.AccumBounds):
                raise Unsupported(f"{func.__name__} is singular at {c}")
            return value / sp.factorial(k)

        return self._compose(g, taylor)

    def _arc(self, func: Callable[..., Expr], c: Expr, g: Series) -> Series:
        """acos(1 + g) = 2 asin(sqrt(-g/2)); acos(-f) = pi - acos(f); asin = pi/2 - acos."""
        at_one = _sign(c) > 0
        half = _scaled(g, Rational(-1, 2) if at_one else Rational(1, 2))
        arc = _scaled(self._function(sp.asin, self.power(half, Rational(1, 2))), 2)
        acos = arc if at_one else _sum([_constant(sp.pi), _scaled(arc, -1)], self.size)
        return acos if func is sp.acos else _sum([_constant(sp.pi / 2), _scaled(acos, -1)], self.size)

    def _split(self, f: Series) -> tuple[Expr, Series]:
        """f = c + g with g -> 0."""
        if f.start < 0:
            raise Unsupported("an essential singularity")
        if f.order <= 0:
            raise _Cancelled
        constant = dict(f.terms).get(Fraction(0), Integer(0))
        return constant, Series(tuple((p, c) for p, c in f.terms if p > 0), f.order)

    @staticmethod
    def _relative(f: Series) -> Series:
        """f = a u^p (1 + g): return g."""
        p, a = f.leading
        return Series(tuple((q - p, c / a) for q, c in f.terms[1:]), f.order - p)

    def _compose(self, g: Series, coefficient: Callable[[int], Expr]) -> Series:
        """sum_k coefficient(k) g^k for a series g that vanishes at u = 0."""
        total, power = _constant(coefficient(0)), _constant(Integer(1))
        if not g.terms:
            return Series(total.terms, g.order)
        for k in range(1, self.size + 1):
            power = _product(power, g, self.size)
            total = _sum([total, _scaled(power, coefficient(k))], self.size)
        return Series(total.terms, min(total.order, g.start * (self.size + 1)))


def _scaled(f: Series, factor: Expr | int) -> Series:
    return _product(f, _constant(sp.sympify(factor)), len(f.terms) or 1)


@dataclass(frozen=True)
class Limit:
    """Behaviour of a coefficient at `end`: `coefficient * u^exponent` to leading order, u = |t - end|.

    `exponent` is None where no power law could be established; `reason` then says why.
    """

    end: Expr
    side: int
    coefficient: Expr
    exponent: Rational | None
    reason: str = ""

    @property
    def value(self) -> Expr | None:
        """The finite limit, or None."""
        if self.exponent is None or self.exponent < 0:
            return None
        return self.coefficient if self.exponent == 0 else Integer(0)

    @property
    def leading(self) -> Expr | None:
        """The leading term as an expression in t."""
        if self.exponent is None:
            return None
        return self.coefficient * (self.side * (t - self.end)) ** self.exponent

    def require(self, name: str) -> Expr:
        """Return the finite limit, or raise EndpointError naming the coefficient and how it diverges."""
        if self.value is None:
            raise EndpointError(f"{name} has no finite limit at t = {self.end}: {self}.")
        return self.value

    def __str__(self) -> str:
        if self.exponent is None:
            return f"undecided: {self.reason}"
        return f"= {self.value}" if self.value is not None and self.exponent == 0 else f"~ {self.leading}"


def limit(expr: Expr, environment: Callable[[int], Mapping[Symbol, Series]], end: Expr, side: int) -> Limit:
    """Return the behaviour of `expr` as u -> 0+, where `environment(size)` gives the series of its moving symbols.

    Falls back on SymPy's `limit` (in u, without assumptions) for a function of t alone that has no power series.
    """
    for size in _SIZES:
        try:
            series = Expansion(environment(size), size)(expr)
            if not series.terms and series.order == math.inf:
                return Limit(end, side, Integer(0), Integer(0))
            power, coefficient = series.leading
            return Limit(end, side, sp.simplify(coefficient), Rational(power))
        except _Cancelled:
            continue
        except Unsupported as reason:
            return _sympy_limit(expr, end, side, str(reason))
    return Limit(end, side, Integer(0), None, f"the first {_SIZES[-1]} terms cancel")


def _sympy_limit(expr: Expr, end: Expr, side: int, reason: str) -> Limit:
    """SymPy's limit, believed only if multiprecision values approach it."""
    if expr.free_symbols != {t}:
        return Limit(end, side, Integer(0), None, reason)
    u = sp.Dummy("u")
    try:
        value = sp.limit(expr.subs(t, end + side * u), u, 0, "+")
    except (NotImplementedError, ValueError, TypeError):
        return Limit(end, side, Integer(0), None, reason)
    if not value.is_number or not value.is_finite:
        return Limit(end, side, Integer(0), None, reason)
    gaps = [abs(evaluate(expr, {t: end + side * Rational(10) ** -k}, 500) - evaluate(value, {}, 500)) for k in (20, 60, 180)]
    if all(later <= earlier / 2 for earlier, later in zip(gaps, gaps[1:], strict=False)):
        return Limit(end, side, value, Integer(0))
    return Limit(end, side, Integer(0), None, reason)


def check_limit(found: Limit, value_at: Callable[[Any], Any]) -> bool:
    """Compare a power law with multiprecision values at u = 1e-30 and 1e-60 (`value_at` maps u to a number)."""
    if found.exponent is None:
        return False
    draws = {s: Rational(7, 8) for s in found.coefficient.free_symbols}
    gaps = []
    for digits in (30, 60):
        u = Rational(10) ** -digits
        value = value_at(u)
        if found.coefficient == 0:
            return bool(value == 0)
        with mpmath.workdps(200):
            power = evaluate(found.coefficient * u**found.exponent, draws, 200)
            gaps.append(abs(value / power - 1))
    return bool(gaps[1] <= gaps[0] / 2 or gaps[1] < mpmath.mpf("1e-40"))

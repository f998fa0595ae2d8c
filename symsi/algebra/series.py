"""T11: the behaviour of every coefficient at the ends of its domain, as data that later code uses.

A coefficient is expanded in a generalized power series sum_k c_k u^{p_k} (rational p_k, exact c_k) in the distance
u from the end. Its first term is the limit, or says how the coefficient diverges. The expansion is our own because
SymPy's `limit` is slow on composite time maps and wrong under positive assumptions; coefficients that cancel are
recognised by 60-digit arithmetic, and every leading term is compared with multiprecision values close to the end.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import Any

import mpmath
import sympy as sp
from sympy import Expr, Integer, Rational, Symbol

from symsi.algebra.draws import draw_parameters
from symsi.algebra.multiprecision import evaluate

__all__ = [
    "SIZES",
    "CancelledError",
    "Coefficient",
    "Decisions",
    "Expansion",
    "Series",
    "UnsupportedError",
    "decisions",
    "near",
]

SIZES = (4, 8, 16)  # terms carried; more are tried only when the leading ones cancel
_DPS = 150
_MP = mpmath.mp.clone()  # the numbers of series have a precision of their own
_MP.dps = _DPS
_TINY = _MP.mpf("1e-60")
_LONGEST = 10**6
Order = Fraction | float


class UnsupportedError(Exception):
    """The function has no generalized power series here (an essential or a logarithmic singularity)."""


class CancelledError(Exception):
    """All carried terms cancelled; carry more."""


@dataclass
class Decisions:
    """What an expansion took for granted about its constants, because 150-digit values at two draws show it.

    It holds at parameters where all of `zeros` vanish, none of `nonzeros` does, and all of `positives` are positive.
    """

    zeros: list[Expr] = field(default_factory=list)
    nonzeros: list[Expr] = field(default_factory=list)
    positives: list[Expr] = field(default_factory=list)


_record: ContextVar[Decisions | None] = ContextVar("decisions", default=None)


@contextmanager
def decisions() -> Iterator[Decisions]:
    """Collect the decisions of the expansions made inside."""
    found = Decisions()
    token = _record.set(found)
    try:
        yield found
    finally:
        _record.reset(token)


class Coefficient:
    """An exact constant whose expression is built only when asked for.

    Arithmetic runs on `values`, the constant at two draws of its positive parameters with 150 digits, or one number
    where it has none; `expr` is the exact expression. Most coefficients of a series are only ever tested for zero.
    """

    __slots__ = ("_build", "_expr", "length", "size", "values")

    def __init__(self, values: tuple[Any, ...], build: Callable[[], Expr], size: Any = None, length: int = 0) -> None:
        self.values, self._build = values, build
        self.length = min(length, _LONGEST)  # of the irrational numbers that it is made of, together
        self._expr: Expr | None = None
        self.size = max(abs(v) for v in values) if size is None else size  # magnitude before cancellation

    @property
    def expr(self) -> Expr:
        """The exact constant."""
        if self._expr is None:
            self._expr = self._build()
        return self._expr

    def __bool__(self) -> bool:
        """Whether the constant is nonzero: 60 digits below the magnitude of its parts counts as zero."""
        nonzero = any(abs(v) > self.size * _TINY for v in self.values)
        found = _record.get()
        if found is not None and not nonzero:
            found.zeros.append(self.expr)
        return nonzero

    def __mul__(self, other: Coefficient) -> Coefficient:
        return self._with(operator.mul, other)

    def __truediv__(self, other: Coefficient) -> Coefficient:
        return self._with(operator.truediv, other)

    def to(self, power: Coefficient) -> Coefficient:
        """Return the constant to a constant power."""
        return self._with(operator.pow, power)

    def _with(self, operation: Callable[[Any, Any], Any], other: Coefficient) -> Coefficient:
        values = tuple(operation(a, b) for a, b in _aligned(self.values, other.values))
        length = self.length + other.length
        return Coefficient(values, lambda: operation(self.expr, other.expr), length=length)

    def apply(self, numeric: Callable[[Any], Any], exact: Callable[[Expr], Expr], floor: int = 0) -> Coefficient:
        """Return a function of the constant; `floor` is the function's size where it may have a zero, as cos has."""
        values = tuple(_MP.convert(numeric(v)) for v in self.values)
        return Coefficient(values, lambda: exact(self.expr), max(floor, *map(abs, values)), self.length)

    @property
    def sign(self) -> int:
        """1 or -1 where both draws agree and are real, else 0."""
        signs = {int(mpmath.sign(mpmath.re(v))) if abs(mpmath.im(v)) <= abs(v) * _TINY else 0 for v in self.values}
        sign = signs.pop() if len(signs) == 1 and self else 0
        found = _record.get()
        if found is not None and sign:
            found.positives.append(sign * self.expr)
        return sign

    def needed(self) -> None:
        """Record that an expansion divides by the constant, or takes its root or logarithm."""
        found = _record.get()
        if found is not None:
            found.nonzeros.append(self.expr)


def _aligned(*values: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """The values of several constants draw by draw; a number is the same at each."""
    count = max(map(len, values))
    return zip(*(v * count if len(v) == 1 else v for v in values), strict=True)


def _total(parts: list[Coefficient]) -> Coefficient:
    if len(parts) == 1:
        return parts[0]
    values = tuple(map(sum, _aligned(*(p.values for p in parts))))
    length = sum(p.length for p in parts)
    return Coefficient(values, lambda: sp.Add(*(p.expr for p in parts)), max(p.size for p in parts), length)


@lru_cache(maxsize=16384)
def constant(value: Expr) -> Coefficient:
    """Wrap an exact constant, which may hold positive parameters."""
    draws = draw_parameters(value.free_symbols) if value.free_symbols else [{}]
    parts = [abs(evaluate(a, draws[0], _DPS)) for a in sp.Add.make_args(value)]
    values = tuple(_MP.convert(evaluate(value, d, _DPS)) for d in draws)
    length = 0 if value.is_Rational else sum(1 for _ in sp.preorder_traversal(value))
    return Coefficient(values, lambda: value, _MP.convert(max(parts)), length)


@dataclass(frozen=True)
class Series:
    """sum c u^p over `terms` in ascending p, with an error O(u^order); order is inf for an exact sum."""

    terms: tuple[tuple[Fraction, Coefficient], ...]
    order: Order = math.inf

    @property
    def leading(self) -> tuple[Fraction, Coefficient]:
        """Exponent and coefficient of the first term."""
        if not self.terms:
            raise CancelledError
        return self.terms[0]

    @property
    def start(self) -> Order:
        """Exponent from which the series starts."""
        return self.terms[0][0] if self.terms else self.order


def _constant(value: Expr | int | Coefficient) -> Series:
    c = value if isinstance(value, Coefficient) else constant(sp.sympify(value))
    return Series(((Fraction(0), c),) if c else ())


def near(end: Expr, side: int) -> Series:
    """Return the series of the time itself: end + side * u."""
    return _sum([_constant(end), Series(((Fraction(1), constant(Integer(side))),))], 4)


def _collect(pairs: Iterable[tuple[Fraction, Coefficient]], order: Order, size: int) -> Series:
    bins: dict[Fraction, list[Coefficient]] = {}
    for p, c in pairs:
        if p < order:
            bins.setdefault(p, []).append(c)
    kept: list[tuple[Fraction, Coefficient]] = []
    for p in sorted(bins):
        total = _total(bins[p])
        if total:
            if len(kept) == size:
                return Series(tuple(kept), p)
            kept.append((p, total))
    return Series(tuple(kept), order)


def _sum(parts: list[Series], size: int) -> Series:
    return _collect((term for s in parts for term in s.terms), min(s.order for s in parts), size)


def _product(a: Series, b: Series, size: int) -> Series:
    order = min(a.order + b.start, b.order + a.start)
    products = [(p + q, c * d) for p, c in a.terms for q, d in b.terms if p + q < order]
    return _collect(products, order, size)


class Expansion:
    """Expands expressions about u = 0+, given the series of the symbols that depend on u."""

    def __init__(self, environment: Mapping[Symbol, Series], size: int = SIZES[0]) -> None:
        self.size = size
        self._known: dict[Expr, Series] = dict(environment)
        self._moving = set(environment)

    def __call__(self, expr: Expr) -> Series:
        """Return the series of `expr`. Raises UnsupportedError where there is none."""
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
        if isinstance(expr, sp.Piecewise):
            return self(next(piece for piece, holds in expr.args if self._holds(holds)))
        if isinstance(expr, sp.Function) and len(expr.args) == 1:
            return self._function(expr.func, self(expr.args[0]))
        raise UnsupportedError(f"{expr.func.__name__} has no expansion rule")

    def _holds(self, condition: Any) -> bool:
        """Whether an inequality holds near u = 0: that of the two sides' limits, which must differ."""
        if condition in (sp.true, sp.false):
            return bool(condition)
        low, high = (condition.lhs, condition.rhs) if condition.rel_op in "<=" else (condition.rhs, condition.lhs)
        gap, _ = self._split(_sum([self(high), _scaled(self(low), -1)], self.size))
        if not gap.sign:
            raise UnsupportedError("a condition that changes there")
        return gap.sign > 0

    def power(self, f: Series, power: Expr) -> Series:
        """(a u^p (1 + g))^q = a^q u^{pq} sum_k binomial(q, k) g^k."""
        if power.is_Integer and power > 0 and not f.terms:
            return Series((), f.order * int(power))
        p, a = f.leading
        if not power.is_Rational and p != 0:
            raise UnsupportedError(f"the exponent {power} is not a rational number")
        if not power.is_Integer and a.sign <= 0:
            raise UnsupportedError("a root of a negative number")
        a.needed()
        g = self._relative(f)
        scaled = a.to(constant(power))
        head = Series(((p * Fraction(int(power.p), int(power.q)) if p else Fraction(0), scaled),))
        return _product(head, self._compose(g, lambda k: sp.ff(power, k) / sp.factorial(k)), self.size)

    def exp(self, f: Series) -> Series:
        """exp(c + g) = exp(c) sum_k g^k / k!."""
        c, g = self._split(f)
        return _product(_constant(c.apply(_MP.exp, sp.exp)), self._compose(g, lambda k: 1 / sp.factorial(k)), self.size)

    def log(self, f: Series) -> Series:
        """log(a (1 + g)) = log(a) + sum_k (-1)^(k+1) g^k / k; a logarithmic singularity is unsupported."""
        p, a = f.leading
        if p != 0:
            raise UnsupportedError("a logarithmic singularity")
        a.needed()
        tail = self._compose(self._relative(f), lambda k: Integer(0) if k == 0 else Integer(-1) ** (k + 1) / k)
        return _sum([_constant(a.apply(_MP.log, sp.log, floor=1)), tail], self.size)

    def subtract(self, f: Series, value: Coefficient) -> Series:
        """f - value."""
        return _sum([f, _scaled(_constant(value), -1)], self.size)

    def divide(self, f: Series, factor: Coefficient, divisor: Series | None = None) -> Series:
        """f / (factor * divisor)."""
        f = _product(f, self.power(_constant(factor), Integer(-1)), self.size)
        return f if divisor is None else _product(f, self.power(divisor, Integer(-1)), self.size)

    def substitute(self, f: Series, w: Series) -> Series:
        """f(w(u)) for a series f in w with exponents >= 0 and a series w that vanishes at u = 0."""
        parts = [_scaled(self.power(w, Rational(p)), c) if p else _constant(c) for p, c in f.terms]
        return _sum([*parts, Series((), f.order * w.start)], self.size)

    def _function(self, func: Callable[..., Expr], f: Series) -> Series:
        if func is sp.atan and f.start < 0:  # atan(f) = ±pi/2 - atan(1/f)
            inner = self._function(sp.atan, self.power(f, Integer(-1)))
            return _sum([_constant(f.leading[1].sign * sp.pi / 2), _scaled(inner, -1)], self.size)
        c, g = self._split(f)
        if func in (sp.tan, sp.cot):
            sine, cosine = self._function(sp.sin, f), self._function(sp.cos, f)
            top, bottom = (sine, cosine) if func is sp.tan else (cosine, sine)
            return _product(top, self.power(bottom, Integer(-1)), self.size)
        if func in _SINGULAR:
            square = Coefficient(tuple(v * v - 1 for v in c.values), lambda: c.expr**2 - 1, 1 + max(map(abs, c.values)))
            if not square and func in (sp.asin, sp.acos):
                return self._arc(func, c, g)
            square.needed()

        def taylor(k: int) -> Coefficient:
            derivative = _derivative(func, k)
            if derivative.has(sp.Derivative, sp.Subs, sp.DiracDelta):
                raise UnsupportedError(f"{func.__name__} has no Taylor series")
            found = c.apply(lambda v: evaluate(derivative, {_Z: v}, _DPS), lambda e: derivative.subs(_Z, e), floor=1)
            if not all(mpmath.isfinite(v) for v in found.values):
                raise UnsupportedError(f"{func.__name__} is singular there")
            return found

        return self._compose(g, taylor)

    def _arc(self, func: Callable[..., Expr], c: Coefficient, g: Series) -> Series:
        """acos(1 + g) = 2 asin(sqrt(-g/2)); acos(-f) = pi - acos(f); asin = pi/2 - acos."""
        at_one = c.sign > 0
        half = _scaled(g, Rational(-1, 2) if at_one else Rational(1, 2))
        arc = _scaled(self._function(sp.asin, self.power(half, Rational(1, 2))), 2)
        acos = arc if at_one else _sum([_constant(sp.pi), _scaled(arc, -1)], self.size)
        return acos if func is sp.acos else _sum([_constant(sp.pi / 2), _scaled(acos, -1)], self.size)

    def _split(self, f: Series) -> tuple[Coefficient, Series]:
        """f = c + g with g -> 0."""
        if f.start < 0:
            raise UnsupportedError("an essential singularity")
        if f.order <= 0:
            raise CancelledError
        head = dict(f.terms).get(Fraction(0), constant(Integer(0)))
        return head, Series(tuple((p, c) for p, c in f.terms if p > 0), f.order)

    @staticmethod
    def _relative(f: Series) -> Series:
        """f = a u^p (1 + g): return g."""
        p, a = f.leading
        return Series(tuple((q - p, c / a) for q, c in f.terms[1:]), f.order - p)

    def _compose(self, g: Series, coefficient: Callable[[int], Expr | Coefficient]) -> Series:
        """sum_k coefficient(k) g^k for a series g that vanishes at u = 0."""
        total, power = _constant(coefficient(0)), _constant(Integer(1))
        if not g.terms:
            return Series(total.terms, g.order)
        for k in range(1, self.size + 1):
            power = _product(power, g, self.size)
            total = _sum([total, _scaled(power, coefficient(k))], self.size)
        return Series(total.terms, min(total.order, g.start * (self.size + 1)))


def _scaled(f: Series, factor: Expr | int | Coefficient) -> Series:
    return _product(f, _constant(factor), len(f.terms) or 1)


_Z = Symbol("z")
_SINGULAR = (sp.asin, sp.acos, sp.atanh, sp.acosh)  # at 1 or -1


@lru_cache(maxsize=512)
def _derivative(func: Callable[..., Expr], k: int) -> Expr:
    """The k-th Taylor coefficient of a function, as an expression in its argument."""
    return sp.diff(func(_Z), _Z, k) / sp.factorial(k)

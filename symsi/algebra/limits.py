"""T11: the limit of a coefficient at an end of its domain, or how it diverges, as data that later code uses."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import mpmath
import sympy as sp
from sympy import Expr, Integer, Rational, Symbol

from symsi.algebra.draws import draw_parameters
from symsi.algebra.multiprecision import evaluate
from symsi.algebra.series import SIZES, CancelledError, Coefficient, Expansion, UnsupportedError
from symsi.algebra.simplify import count, simplify
from symsi.algebra.symbols import t
from symsi.errors import EndpointError

_READABLE = 40  # a constant longer than that is told as a number
_UNREADABLE = 160  # the irrational numbers in one that is certain to stay so, however it is tidied
_SIMPLE = 60  # a denominator

__all__ = ["Limit", "check_limit", "limit", "series_limit"]


@dataclass(frozen=True)
class Unwritten:
    """An exact constant of a series that is written down, and tidied by `rewrite`, only when somebody wants to read it.

    The longest take seconds; whoever is told them as numbers need not wait.
    """

    found: Coefficient
    rewrite: Callable[[Expr], Expr]

    @cached_property
    def expr(self) -> Expr:
        """The exact constant."""
        return self.rewrite(self.found.expr)

    @property
    def long(self) -> bool:
        """Whether it is a number that is certain to be too long to be read."""
        if len(self.found.values) > 1 or self.found.length <= _UNREADABLE:
            return False
        value = _SIMPLE * self.found.values[0]  # what is a simple fraction is seen to be one when it is written
        return bool(abs(value - mpmath.nint(mpmath.re(value))) > mpmath.mpf("1e-30"))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unwritten) and self.expr == other.expr

    def __hash__(self) -> int:
        return hash(self.expr)

    def __reduce__(self) -> tuple[Any, ...]:
        return sp.sympify, (self.expr,)


@dataclass(frozen=True)
class Limit:
    """Behaviour of a coefficient at `end`: `coefficient * u^exponent` to leading order, u = |t - end|.

    `constant` is the coefficient, or what writes it. `exponent` is None where no power law could be established;
    `reason` then says why.
    """

    end: Expr
    side: int
    constant: Expr | Unwritten
    exponent: Rational | None
    reason: str = ""

    @property
    def coefficient(self) -> Expr:
        """The exact constant."""
        return self.constant.expr if isinstance(self.constant, Unwritten) else self.constant

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

    def record(self) -> dict[str, str | None]:
        """Return value and leading term as strings that SymPy parses back, and the whole as text."""
        value, leading = (None if e is None else sp.sstr(e) for e in (self.value, self.leading))
        return {"value": value, "leading": leading, "text": str(self)}

    @property
    def short(self) -> str:
        """The same for a reader: a constant too long to be read is told as a number."""
        if self.exponent is None:
            return str(self)
        long = isinstance(self.constant, Unwritten) and self.constant.long
        readable = not long and _is_short(self.coefficient)
        if readable and (self.exponent == 0 or _is_short(self.end)):
            return str(self)
        end = str(self.end) if _is_short(self.end) else mpmath.nstr(evaluate(self.end, {}), 8)
        factor = str(self.coefficient) if readable else self._number
        distance = f"(t - {end})" if self.side > 0 else f"({end} - t)"
        power = distance if self.exponent == 1 else f"{distance}**({self.exponent})"
        return f"≈ {factor}" if self.exponent == 0 else f"~ {factor}*{power}"

    @property
    def _number(self) -> str:
        known = isinstance(self.constant, Unwritten) and self.constant.found.values[0]
        return str(mpmath.nstr(mpmath.re(known or evaluate(self.coefficient, {})), 8))


def _is_short(e: Expr) -> bool:
    return bool(e.free_symbols) or count(e) <= _READABLE


def limit(
    expr: Expr, expansion: Callable[[int], Expansion], end: Expr, side: int, rewrite: Callable[[Expr], Expr] = simplify
) -> Limit:
    """Return the behaviour of `expr` as u -> 0+, where `expansion(size)` knows the series of its moving symbols.

    Falls back on SymPy's `limit` (in u, without assumptions) for a function of t alone that has no power series.
    `rewrite` gives the constant the form in which it is wanted.
    """
    try:
        return series_limit(expr, expansion, end, side, rewrite)
    except UnsupportedError as reason:
        return _sympy_limit(expr, end, side, str(reason))


def series_limit(
    expr: Expr, expansion: Callable[[int], Expansion], end: Expr, side: int, rewrite: Callable[[Expr], Expr] = simplify
) -> Limit:
    """Return the same by a power series alone. Raises UnsupportedError where there is none."""
    for size in SIZES:
        try:
            series = expansion(size)(expr)
            if not series.terms and series.order == math.inf:
                return Limit(end, side, Integer(0), Integer(0))
            power, coefficient = series.leading
            return Limit(end, side, Unwritten(coefficient, rewrite), Rational(power))
        except CancelledError:
            continue
    exponent = Integer(0) if simplify(expr) == 0 else None
    return Limit(end, side, Integer(0), exponent, f"the first {SIZES[-1]} terms cancel")


def _sympy_limit(expr: Expr, end: Expr, side: int, reason: str) -> Limit:
    """SymPy's limit of a function of t and positive parameters, believed only if multiprecision values approach it."""
    undecided = Limit(end, side, Integer(0), None, reason)
    if t not in expr.free_symbols or Symbol("tau") in expr.free_symbols:
        return undecided
    u = sp.Dummy("u")
    positive = {s: sp.Dummy(s.name, positive=True) for s in expr.free_symbols - {t}}
    try:
        value = sp.limit(expr.xreplace(positive).subs(t, end + side * u), u, 0, "+")
    except (NotImplementedError, ValueError, TypeError):
        return undecided
    value = value.xreplace({d: s for s, d in positive.items()})
    if value.has(sp.oo, -sp.oo, sp.zoo, sp.nan, sp.AccumBounds, sp.Limit) or not value.free_symbols <= set(positive):
        return undecided
    for draw in draw_parameters(positive):
        goal = evaluate(value, draw, 500)
        gaps = [abs(evaluate(expr, {**draw, t: end + side * Rational(10) ** -k}, 500) - goal) for k in (20, 60, 180)]
        if not all(later <= earlier / 2 for earlier, later in pairwise(gaps)):
            return undecided
    return Limit(end, side, value, Integer(0))


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

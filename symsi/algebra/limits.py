"""T11: the limit of a coefficient at an end of its domain, or how it diverges, as data that later code uses."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import mpmath
import sympy as sp
from sympy import Expr, Integer, Rational, Symbol

from symsi.algebra.draws import draw_parameters
from symsi.algebra.multiprecision import evaluate
from symsi.algebra.series import SIZES, CancelledError, Expansion, UnsupportedError
from symsi.algebra.simplify import count, simplify
from symsi.algebra.symbols import t
from symsi.errors import EndpointError

_READABLE = 40  # a constant longer than that is told as a number

__all__ = ["Limit", "check_limit", "limit", "series_limit"]


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

    @property
    def short(self) -> str:
        """The same for a reader: a constant too long to be read is told as a number."""
        if self.exponent is None or all(_is_short(e) for e in (self.coefficient, self.end)):
            return str(self)
        end, factor = (
            str(e) if _is_short(e) else mpmath.nstr(evaluate(e, {}), 8) for e in (self.end, self.coefficient)
        )
        distance = f"(t - {end})" if self.side > 0 else f"({end} - t)"
        power = distance if self.exponent == 1 else f"{distance}**({self.exponent})"
        return f"≈ {factor}" if self.exponent == 0 else f"~ {factor}*{power}"


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
            return Limit(end, side, rewrite(coefficient.expr), Rational(power))
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

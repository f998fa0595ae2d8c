"""A conversion at the ends of its domain, and about a time inside: its coefficients as power series."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from fractions import Fraction
from functools import lru_cache
from math import inf
from typing import TYPE_CHECKING, Any

import mpmath
from sympy import Expr, Float, Integer, Rational, Symbol

from symsi.algebra.limits import Limit, limit
from symsi.algebra.multiprecision import evaluate
from symsi.algebra.series import CancelledError, Expansion, Series, UnsupportedError, near
from symsi.algebra.symbols import t, tau
from symsi.interpolants.schedule import Kind
from symsi.theory.conversion_numbers import EXACT_DIGITS, solve_ratio

if TYPE_CHECKING:
    from symsi.theory.conversion import Conversion
    from symsi.theory.functions import Formulas

__all__ = ["end_value", "limit_of", "series_at", "series_of"]


def limit_of(conversion: Conversion, name: str, end: int) -> Limit:
    """Return the behaviour of a coefficient at the start (`end` 0) or at t = 1."""
    point, side = (conversion.start, 1) if end == 0 else (Integer(1), -1)
    return limit(conversion.coefficients[name], lambda size: _expansion(conversion, end, size), point, side)


@lru_cache(maxsize=256)
def series_of(conversion: Conversion, end: int, size: int) -> Mapping[str, Series]:
    """Power series in the distance from an end; coefficients that have none are left out."""
    found: dict[str, Series] = {}
    with suppress(UnsupportedError, CancelledError):
        expansion = _expansion(conversion, end, size)
        for name, expr in conversion.coefficients.items():
            with suppress(UnsupportedError, CancelledError):
                series = expansion(expr)
                if series.terms or series.order == inf:
                    found[name] = series
    return found


def series_at(conversion: Conversion, name: str, point: Expr, size: int) -> Series:
    """Taylor series of a coefficient about a time inside the domain."""

    def origin() -> Expr:
        return Float(conversion.evaluate_time(point, EXACT_DIGITS), EXACT_DIGITS)

    return Expansion(_around(conversion, point, 1, origin, size), size)(conversion.coefficients[name])


def end_value(formulas: Formulas, name: str, end: int) -> Any | None:
    """Return the finite limit of a coefficient as a number, or None; without building the exact expression."""
    for size in (4, 8):
        found = formulas.series(end, size).get(name)
        if found is not None:
            power, value = found.leading if found.terms else (0, None)
            return None if power < 0 else mpmath.re(value.values[0]) if power == 0 and value else mpmath.mpf(0)
    limit_value = formulas.limit(name, end).value
    return None if limit_value is None else evaluate(limit_value, {})


@lru_cache(maxsize=256)
def _expansion(conversion: Conversion, end: int, size: int) -> Expansion:
    """What expands a coefficient at an end; it remembers the parts that coefficients share."""
    if end == 0:
        return Expansion(_around(conversion, conversion.start, 1, lambda: _time_at_start(conversion), size), size)
    return Expansion(_around(conversion, Integer(1), -1, lambda: Integer(1), size), size)


def _around(
    conversion: Conversion, point: Expr, side: int, origin: Callable[[], Expr], size: int
) -> Mapping[Symbol, Series]:
    """t and tau as series in the distance from a time; `origin` gives tau there, for an implicit time map."""
    times = {t: near(point, side)}
    if conversion._time is not None:
        return {**times, tau: Expansion(times, size)(conversion._time)}
    wanted = Expansion(times, size)(conversion.target.ratio)
    start = origin()
    distance = _revert(Expansion({t: near(start, side)}, size)(conversion.base.ratio), wanted, size)
    shifted = Expansion({tau: distance}, size)(start + side * tau)
    return {**times, tau: shifted}


def _time_at_start(conversion: Conversion) -> Expr:
    """tau at the start of the domain, for an implicit time map."""
    if conversion.start != 0 or conversion.target.kind is not Kind.TRUNCATED:
        return Integer(0)
    wanted = evaluate(conversion.target.start_ratio, {}, 2 * EXACT_DIGITS)
    return Float(solve_ratio(conversion.base, wanted, EXACT_DIGITS), EXACT_DIGITS)


def _revert(f: Series, wanted: Series, size: int) -> Series:
    """Solve f(w) = wanted(u) for the series w(u), by fixed-point iteration on the leading power."""
    expansion = Expansion({}, size)
    start = dict(f.terms).get(Fraction(0)) if f.start >= 0 else None
    f, g = (expansion.subtract(s, start) if start else s for s in (f, wanted))
    p, a = f.leading
    root = Rational(p.denominator, p.numerator)
    w = expansion.power(expansion.divide(g, a), root)
    relative = Series(tuple((q - p, c / a) for q, c in f.terms), f.order - p)
    for _ in range(size):
        w = expansion.power(expansion.divide(g, a, expansion.substitute(relative, w)), root)
    return w

"""A conversion at the ends of its domain, and about a time inside: its coefficients as power series."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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

__all__ = ["end_value", "known", "limit_of", "series_at", "series_of"]


def limit_of(conversion: Conversion, name: str, end: int) -> Limit:
    """Return the behaviour of a coefficient at the start (`end` 0) or at t = 1."""
    point, side = (conversion.start, 1) if end == 0 else (Integer(1), -1)
    return limit(conversion.coefficients[name], lambda size: _expansion(conversion, end, size, point), point, side)


@lru_cache(maxsize=4096)
def series_of(conversion: Conversion, name: str, end: int, size: int) -> Series | None:
    """Power series of a coefficient in the distance from an end; None where there is none."""
    try:
        point = conversion._start if end == 0 else Integer(1)
        return known(_expansion(conversion, end, size, point)(conversion.coefficients[name]))
    except (UnsupportedError, CancelledError):
        return None


def known(series: Series) -> Series | None:
    """Return a series of which there is a term, or which is 0; None for one whose terms have all cancelled."""
    return series if series.terms or series.order == inf else None


def series_at(conversion: Conversion, name: str, point: Expr, size: int) -> Series:
    """Taylor series of a coefficient about a time inside the domain."""

    def origin() -> Expr:
        return Float(conversion.evaluate_time(point, EXACT_DIGITS), EXACT_DIGITS)

    return Expansion(_around(conversion, point, 1, origin, size), size)(conversion.coefficients[name])


def end_value(formulas: Formulas, name: str, end: int) -> Any | None:
    """Return the finite limit of a coefficient as a number, or None; without building the exact expression."""
    for size in (4, 8):
        found = formulas.series_of(name, end, size)
        if found is not None:
            power, value = found.leading if found.terms else (0, None)
            return None if power < 0 else mpmath.re(value.values[0]) if power == 0 and value else mpmath.mpf(0)
    limit_value = formulas.limit(name, end).value
    return None if limit_value is None else evaluate(limit_value, {})


def _expansion(conversion: Conversion, end: int, size: int, point: Expr) -> Expansion:
    """What expands a coefficient at an end, written as `point`; it remembers the parts that coefficients share."""
    found = _tried(conversion, end, size, point)
    if isinstance(found, Exception):
        raise found
    return found


@lru_cache(maxsize=256)
def _tried(conversion: Conversion, end: int, size: int, point: Expr) -> Expansion | UnsupportedError | CancelledError:
    """The same, or why the time map has no series there: what is remembered is not tried again."""
    try:
        side, origin = (1, lambda: _time_at_start(conversion)) if end == 0 else (-1, lambda: Integer(1))
        return Expansion(_around(conversion, point, side, origin, size), size)
    except (UnsupportedError, CancelledError) as error:
        return error


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
    if conversion._start != 0 or conversion.target.kind is not Kind.TRUNCATED:
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

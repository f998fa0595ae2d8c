"""Multiprecision evaluation of expressions: the independent check of everything that is derived."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any

import mpmath
from sympy import Expr, Rational, Symbol, Tuple

from symsi.algebra.operations import Operations
from symsi.algebra.symbols import t

__all__ = ["DIGITS", "evaluate", "evaluate_many", "sample_together", "sample_unit", "solve_increasing", "unit_grid"]

DIGITS = 50
_PARAMETER_DRAWS = (Rational(7, 10), Rational(19, 10), Rational(53, 17))


@lru_cache(maxsize=4096)
def _operations(*exprs: Expr) -> Operations:
    return Operations(exprs)


def evaluate(expr: Expr, values: Mapping[Symbol, Any], digits: int = DIGITS) -> Any:
    """Evaluate `expr` at `values` with `digits` decimal digits; an mpmath number, NaN where undefined."""
    try:
        return _run(_operations(expr), values, digits)[0]
    except (ZeroDivisionError, ValueError, OverflowError):
        return mpmath.nan


def evaluate_many(formulas: Tuple, values: Mapping[Symbol, Any], digits: int = DIGITS) -> list[Any]:
    """Evaluate several expressions at once, sharing common subexpressions; raises ZeroDivisionError at a pole."""
    return _run(_operations(*formulas), values, digits)


def _run(operations: Operations, values: Mapping[Symbol, Any], digits: int) -> list[Any]:
    with mpmath.workdps(digits):
        point = {s: _number(values[s], mpmath.mp.prec) for s in operations.symbols}
        return [mpmath.mpmathify(v) for v in operations(point)]


def _number(value: Any, precision: int) -> Any:
    return _constant(value, precision) if isinstance(value, Expr) else mpmath.mpmathify(value)


@lru_cache(maxsize=4096)
def _constant(value: Expr, precision: int) -> Any:
    return value._to_mpmath(precision)


@lru_cache
def unit_grid(points: int = 200, depth: int = 30) -> list[Rational]:
    """Exact rational times in (0, 1): `points` even ones, and 2^-k, 1 - 2^-k for k up to `depth`."""
    near = [Fraction(1, 2**k) for k in range(2, depth + 1)]
    even = [Fraction(k, points) for k in range(1, points)]
    return [Rational(u.numerator, u.denominator) for u in sorted({*even, *near, *(1 - u for u in near)})]


def sample_unit(expr: Expr) -> Iterator[tuple[Rational, Any]]:
    """Yield (time, value) over `unit_grid`; value is None where `expr` is complex, infinite or undefined.

    Free symbols other than t are positive parameters; each of a few fixed draws of them is tried.
    """
    yield from ((time, values[0]) for time, values in sample_together(expr))


def sample_together(*exprs: Expr) -> Iterator[tuple[Rational, list[Any]]]:
    """Yield (time, value of each expression) in the same way; what they share is evaluated once."""
    free = set().union(*(e.free_symbols for e in exprs))
    parameters = sorted(free - {t}, key=str)
    rounds = range(len(_PARAMETER_DRAWS)) if parameters else range(1)
    for shift in rounds:
        draws = {p: _PARAMETER_DRAWS[(shift + i) % len(_PARAMETER_DRAWS)] for i, p in enumerate(parameters)}
        for time in unit_grid():
            point = {**draws, t: time}
            try:
                values = evaluate_many(Tuple(*exprs), point)
            except (ZeroDivisionError, ValueError, OverflowError):
                values = [evaluate(e, point) for e in exprs]
            yield time, [_real(v) for v in values]


def _real(value: Any) -> Any:
    if isinstance(value, mpmath.mpc):
        if abs(value.imag) > mpmath.mpf(10) ** (5 - DIGITS) * (1 + abs(value.real)):
            return None
        value = value.real
    return value if mpmath.isfinite(value) else None


def solve_increasing(log_ratio: Callable[[Any], Any], wanted: Any, digits: int = DIGITS) -> Any:
    """Solve log_ratio(tau) = wanted for a function that increases on (0, 1); relative accuracy 10^-digits at both ends.

    The unknown is the logit z = log(tau / (1 - tau)); the root is bracketed by doubling, then found by
    Anderson-Björck. Raises ValueError where `wanted` lies outside the function's range.
    """

    def time(z: Any) -> Any:
        return 1 / (1 + mpmath.exp(-z))

    def gap(z: Any) -> Any:
        with mpmath.workdps(2 * digits + 20 + int(abs(z))):  # 1 - tau is about exp(-z): keep its digits
            return log_ratio(time(z)) - wanted

    with mpmath.workdps(2 * digits):
        low, high = mpmath.mpf(-1), mpmath.mpf(1)
        while gap(low) > 0:
            low *= 2
            if low < -4096:
                raise ValueError("the wanted signal-to-noise ratio lies below the schedule's start")
        while gap(high) < 0:
            high *= 2
            if high > 4096:
                raise ValueError("the wanted signal-to-noise ratio lies above the schedule's end")
        root = mpmath.findroot(gap, (low, high), solver="anderson", tol=mpmath.mpf(10) ** (-2 * digits), maxsteps=200)
        with mpmath.workdps(2 * digits + int(abs(root))):
            return time(root)

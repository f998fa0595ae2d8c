"""A conversion in numbers: its time map and its coefficients at one time, to any number of digits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import mpmath
from sympy import Expr, Float, Integer, Rational, Symbol, Tuple, log

from symsi.algebra.draws import draw_parameters
from symsi.algebra.multiprecision import evaluate, evaluate_many, solve_increasing
from symsi.algebra.symbols import t, tau
from symsi.errors import ScheduleError, SymsiError
from symsi.interpolants.schedule import Schedule

if TYPE_CHECKING:
    from symsi.theory.conversion import Conversion
    from symsi.theory.functions import Formulas

__all__ = ["EXACT_DIGITS", "coefficients_at", "solve_ratio", "time_at", "vanishing", "zero_between"]

EXACT_DIGITS = 120  # digits of numbers that stand for algebraic ones without a closed form
_GUARD = 15
_PROBES = 3
Parameters = Mapping[Symbol, Any] | Mapping[str, Any] | None


def vanishing(conversion: Conversion, exprs: Iterable[Expr]) -> frozenset[Expr]:
    """Return which of `exprs` are 0 for every t and all parameters: at draws of both on no lattice, 100 digits and 200.

    What has no value at a draw is not among them.
    """
    left = list(dict.fromkeys(exprs))
    for k in range(_PROBES):
        for digits in (100, 200):
            point = _probe(conversion, k, digits + 10)
            left = [e for e in left if e.free_symbols <= point.keys()]
            values = _values(left, point, digits)
            left = [e for e, value in zip(left, values, strict=True) if abs(value) < mpmath.mpf(10) ** (40 - digits)]
    return frozenset(left)


def _values(exprs: Sequence[Expr], point: Mapping[Symbol, Any], digits: int) -> list[Any]:
    """All at once; one by one where one of them has no value."""
    try:
        return evaluate_many(Tuple(*exprs), point, digits)
    except (ZeroDivisionError, ValueError, OverflowError):
        return [evaluate(e, point, digits) for e in exprs]


@lru_cache(maxsize=64)
def _probe(conversion: Conversion, k: int, digits: int) -> dict[Symbol, Any]:
    """Random parameters, a random time in the later half of the domain, and tau there if there is one."""
    pairs = (conversion.base.pair, conversion.target.pair)
    symbols = {s for pair in pairs for e in (pair.alpha, pair.beta) for s in e.free_symbols}
    symbols |= conversion.diffusion.of(conversion.target.pair).free_symbols
    drawn: dict[Symbol, Any] = draw_parameters((symbols | {t}) - {tau}, _PROBES)[k]
    try:
        start = Rational(conversion.start_time)
    except ScheduleError:  # it depends on a parameter
        start = Integer(0)
    drawn[t] = start + (1 - start) * (1 + drawn[t]) / 3
    with suppress(ValueError):
        drawn[tau] = time_at(conversion, drawn[t], digits, drawn)
    return drawn


def time_at(conversion: Conversion, time: Any, digits: int, parameters: Parameters = None) -> Any:
    """Return tau(time), by the closed form or by solving rho(tau) = rho_bar(time)."""
    given = _by_symbol(parameters)
    return _time_at(conversion, time, digits, tuple(given.items()))


@lru_cache(maxsize=4096)
def _time_at(conversion: Conversion, time: Any, digits: int, parameters: tuple[tuple[Symbol, Any], ...]) -> Any:
    given = dict(parameters)
    if conversion._time is not None:
        _require(conversion._time, given)
        return evaluate(conversion._time, {**given, t: time}, digits)
    ratio = conversion.target.ratio
    _require(ratio, given)
    return solve_ratio(conversion.base, evaluate(ratio, {**given, t: time}, 2 * digits), digits, given)


def coefficients_at(
    conversion: Conversion, time: Any, names: Iterable[str], digits: int, parameters: Parameters = None
) -> dict[str, Any]:
    """Return coefficients at one time inside the domain; several at once share what they have in common.

    Raises SymsiError for a parameter that is still a symbol and has no value in `parameters`.
    """
    working, wanted = digits + _GUARD, tuple(names)
    formulas = Tuple(*(conversion.coefficients[name] for name in wanted))
    given = _by_symbol(parameters)
    _require(formulas, given)
    point = {**given, t: time, tau: time_at(conversion, time, working, given)}
    return dict(zip(wanted, evaluate_many(formulas, point, working), strict=True))


def _by_symbol(parameters: Parameters) -> dict[Symbol, Any]:
    return {Symbol(str(name)): value for name, value in (parameters or {}).items()}


def _require(expr: Expr | Tuple, given: Mapping[Symbol, Any]) -> None:
    missing = sorted(str(s) for s in _parameters(expr) - set(given))
    if missing:
        raise SymsiError(
            f'this conversion depends on the parameter {missing[0]}; give it: parameters={{"{missing[0]}": 0.5}}.'
        )


@lru_cache(maxsize=4096)
def _parameters(expr: Expr | Tuple) -> frozenset[Symbol]:
    return frozenset(expr.free_symbols - {t, tau})


def zero_between(formulas: Formulas, name: str, low: Any, high: Any, parameters: Parameters = None) -> Float | None:
    """Return the time between `low` and `high` at which a coefficient crosses or touches 0, if there is one."""
    step = mpmath.mpf(10) ** -(EXACT_DIGITS // 3)

    def value(time: Any) -> Any:
        return mpmath.re(formulas.evaluate(name, time, EXACT_DIGITS, parameters))

    def slope(time: Any) -> Any:
        return value(time + step) - value(time - step)

    with mpmath.workdps(EXACT_DIGITS):
        a, b = mpmath.mpf(low), mpmath.mpf(high)
        crosses = value(a) * value(b) <= 0
        if not crosses and slope(a) * slope(b) > 0:
            return None
        root = mpmath.findroot(
            value if crosses else slope, (a, b), solver="anderson", tol=mpmath.mpf("1e-110"), maxsteps=100, verify=False
        )
        return Float(root, EXACT_DIGITS) if abs(value(root)) < mpmath.mpf("1e-60") * abs(value(a)) else None


def solve_ratio(schedule: Schedule, wanted: Any, digits: int, parameters: Parameters = None) -> Any:
    """Solve rho(tau) = wanted numerically, in log rho. Raises SymsiError for a parameter without a value."""
    log_ratio, given = log(schedule.ratio), _by_symbol(parameters)
    _require(log_ratio, given)
    with mpmath.workdps(2 * digits):
        goal = mpmath.log(wanted)

    def value(time: Any) -> Any:
        return mpmath.re(evaluate(log_ratio, {**given, t: time}, mpmath.mp.dps))

    return solve_increasing(value, goal, digits)

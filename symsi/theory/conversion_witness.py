"""Numbers that witness a conversion: its definitions at random times inside the domain, and close to both ends."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import mpmath
from sympy import Expr, Rational, Symbol, Tuple, cos, exp, log, sin, tan

from symsi.algebra.checks import Check, settle
from symsi.algebra.draws import draw_points
from symsi.algebra.inverse import PARTS
from symsi.algebra.limits import Limit
from symsi.algebra.multiprecision import evaluate, evaluate_many
from symsi.algebra.symbols import t, tau
from symsi.theory.conversion_numbers import solve_ratio

if TYPE_CHECKING:
    from symsi.theory.conversion import Conversion

__all__ = ["Witness"]

_POINTS = 6
_DISTANCES = tuple(Rational(10) ** -k for k in (30, 60))  # from the end, where limits are seen
_NEAR_DIGITS = 400


class Witness:
    """Random times of a conversion's domain with their tau, solved from rho(tau) = rho_bar(t) and nothing else.

    `formulas` are all that will be compared: they are evaluated together.
    """

    def __init__(self, conversion: Conversion, formulas: Iterable[Expr]) -> None:
        self.base, self.target, self.start = conversion.base, conversion.target, conversion.start
        parameters = self.base.free_parameters | self.target.free_parameters
        ranges = {t: (Rational(0), Rational(1)), **{s: (Rational(1, 2), Rational(2)) for s in parameters}}
        rng = random.Random(f"{self.base}:{self.target}")  # noqa: S311 - reproducible draws, no secrets
        self.points = draw_points(ranges, _POINTS, rng)
        self.parameters = {s: v for s, v in self.points[0].items() if s != t}
        self._formulas = Tuple(*dict.fromkeys(formulas))
        self._index = {e: k for k, e in enumerate(self._formulas)}
        self._values: dict[tuple[int, int], list[Any]] = {}
        self._times: dict[tuple[Any, int], Any] = {}
        self._constants: dict[Expr, Any] = {}

    def check(self, left: Expr, right: Expr, exact: Callable[[], str]) -> Check:
        """Compare two of the formulas at every point; `exact` names what else proves them equal, if anything does.

        Without it the check is by numbers alone: 50 digits at least must agree.
        """
        worst, where, points = mpmath.mpf(0), "", 0
        for k in range(len(self.points)):
            found = settle(lambda digits, at=k: self._sides(left, right, at, digits))  # type: ignore[misc]
            if found is None:
                continue
            gap, refuted = found
            points += 1
            if refuted > bool(where) or (refuted == bool(where) and gap > worst):
                worst, where = gap, f"t={float(self._time(k)):.6g}" if refuted else ""
        if where:
            return Check("", points, float(worst), where)
        method = exact()
        numbers = f"numbers alone, 50 digits at {points} points"
        return Check(method or numbers, points, float(worst), by_numbers=not method)

    def _sides(self, left: Expr, right: Expr, k: int, digits: int) -> tuple[Any, Any, Any]:
        values = self._at(k, digits)
        a, b = values[self._index[left]], values[self._index[right]]
        with mpmath.workdps(digits):
            return a, b, a - b

    def _time(self, k: int) -> Expr:
        return self.start + (1 - self.start) * self.points[k][t]

    def _at(self, k: int, digits: int) -> list[Any]:
        """Every formula at the k-th point."""
        found = self._values.get((k, digits))
        if found is None:
            given = {s: v for s, v in self.points[k].items() if s != t}
            point = {**given, t: self._time(k), tau: self.time(self._time(k), digits, given)}
            try:
                found = evaluate_many(self._formulas, point, digits)
            except (ZeroDivisionError, ValueError, OverflowError):
                found = [evaluate(e, point, digits) for e in self._formulas]
            self._values[k, digits] = found
        return found

    def time(self, time: Expr, digits: int, given: dict[Symbol, Expr]) -> Any:
        """tau at a time, by the base's inverse where that solves the equation to all digits, else by its root."""
        key = (time, digits)
        if key not in self._times:
            self._times[key] = self._solve(time, digits, given)
        return self._times[key]

    def _solve(self, time: Expr, digits: int, given: dict[Symbol, Expr]) -> Any:
        working = digits + 20
        if self.base == self.target:
            return evaluate(t, {t: time}, working)
        with mpmath.workdps(2 * working):
            parts = [evaluate(e, {**given, t: time}, 2 * working) for e in (self.target.alpha, self.target.beta)]
            wanted = parts[1] / parts[0]
            if self.base.inverse is not None:
                found = evaluate(self.base.inverse, {**given, **dict(zip(PARTS, parts, strict=True))}, 2 * working)
                again = evaluate(self.base.ratio, {**given, t: found}, 2 * working)
                if abs(again / wanted - 1) < mpmath.mpf(10) ** -working and 0 < mpmath.re(found) < 1:
                    return found
            return solve_ratio(self.base, wanted, working, given)

    def near(self, end: int, formulas: Tuple) -> list[list[Any]]:
        """Values of several expressions at 1e-30 and 1e-60 from an end."""
        rows = []
        for distance in _DISTANCES:
            time = self.start + distance if end == 0 else 1 - distance
            point = {**self.parameters, t: time, tau: self.time(time, _NEAR_DIGITS, self.parameters)}
            rows.append(evaluate_many(formulas, point, _NEAR_DIGITS))
        return rows

    def check_limit(self, found: Limit, values: list[Any]) -> Check:
        """Compare a power law with values at 1e-30 and 1e-60 from the end: their quotient tends to 1."""
        gaps = []
        size = self._constant(found.coefficient)
        with mpmath.workdps(_NEAR_DIGITS):
            for distance, value in zip(_DISTANCES, values, strict=True):
                if found.coefficient == 0:
                    gaps.append(abs(value) * mpmath.mpf(10) ** 200)
                else:
                    law = size * evaluate(distance**found.exponent, {}, _NEAR_DIGITS)
                    gaps.append(abs(value / law - 1))
            right = gaps[1] <= gaps[0] / 2 or gaps[1] < mpmath.mpf("1e-40")
        method = "a power series, and by numbers at 1e-30 and 1e-60 from the end"
        where = "" if right else f"1e-60 from the end, where the quotient is off by {mpmath.nstr(gaps[1], 3)}"
        return Check("" if where else method, len(gaps), 0.0 if right else float(gaps[1]), where, by_numbers=True)

    def _constant(self, expr: Expr) -> Any:
        """An exact constant as a number; what several have in common is evaluated once, and nothing is rewritten."""
        if expr not in self._constants:
            with mpmath.workdps(_NEAR_DIGITS):
                self._constants[expr] = self._number(expr)
        return self._constants[expr]

    def _number(self, expr: Expr) -> Any:
        if expr.is_Add:
            return mpmath.fsum(self._constant(a) for a in expr.args)
        if expr.is_Mul:
            return mpmath.fprod(self._constant(a) for a in expr.args)
        if expr.is_Pow:
            return mpmath.power(self._constant(expr.base), self._constant(expr.exp))
        if isinstance(expr, (exp, log, sin, cos, tan)):
            return getattr(mpmath, type(expr).__name__)(self._constant(expr.args[0]))
        return evaluate(expr, self.parameters, _NEAR_DIGITS)

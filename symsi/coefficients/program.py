"""A program: named coefficients as straight-line formulas, with a power series at each end.

Inside the domain the formulas are evaluated as they are; within `radius` of an end the series is used, which contains
the limit and cancels nothing. The radius is where the two are equally accurate, found by comparing both with
multiprecision values at distances 2^-2 to 2^-40 when the program is built. Where a coefficient crosses zero inside the
domain its formula cancels as well, so there it has a Taylor series of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache
from math import isnan

import mpmath
from sympy import Expr, Rational, Symbol, cse, diff, log, numbered_symbols

from symsi.algebra.multiprecision import evaluate
from symsi.algebra.series import CancelledError, Series, UnsupportedError
from symsi.algebra.symbols import t, tau
from symsi.errors import SymsiError, unknown
from symsi.theory.conversion import FIELDS, Conversion
from symsi.theory.functions import Formulas

__all__ = ["End", "Program", "TimeMap", "Zero", "build", "formulas", "probes", "program"]

_SIZES = (8, 12, 16)  # terms of a series; more only where fewer are not accurate enough
_GOAL = 2.0**-32  # relative accuracy that is worth more terms
_DEPTH = 40  # distances 2^-2 ... 2^-40 are probed
_EVEN = 32  # times at which signs are compared
_ZERO_GOAL = 2.0**-45
_DIGITS = 40
Terms = tuple[tuple[Fraction, float], ...]


@dataclass(frozen=True)
class End:
    """The end at distance u = 0: for u <= radius a coefficient is the sum of c u^p over its terms.

    A coefficient without a power series has its limit at u = 0 (nan if it has none), and its formula elsewhere.
    """

    radius: float
    series: Mapping[str, Terms]
    limits: Mapping[str, float] = field(default_factory=dict)

    def only(self, names: Iterable[str]) -> End:
        """Return the end for some coefficients alone."""
        wanted = set(names)
        series = {n: v for n, v in self.series.items() if n in wanted}
        return End(self.radius, series, {n: v for n, v in self.limits.items() if n in wanted})

    def vanishes(self, name: str) -> bool:
        """Whether a coefficient is 0 at the end."""
        terms = self.series.get(name)
        return self.limits.get(name) == 0 if terms is None else not terms or terms[0][0] > 0

    def divergence(self, name: str, distance: str) -> str:
        """Say how a coefficient behaves that has no finite limit at the end; "" for one that has."""
        terms = self.series.get(name)
        if terms:
            power, c = terms[0]
            return f"{name} ~ {c:.6g} {distance}^({power})" if power < 0 else ""
        return f"{name} has no limit that is known" if isnan(self.limits.get(name, 0.0)) else ""


@dataclass(frozen=True)
class Zero:
    """A time inside the domain at which a coefficient is 0: for |w| < radius it is sum c_k w^k, w = t - time - rest."""

    time: float
    rest: float  # what rounding the exact time to float64 leaves
    radius: float
    terms: Terms


@dataclass(frozen=True)
class TimeMap:
    """An implicit time map: the tau with log_ratio(tau) = wanted(t), and d log_ratio / d tau for Newton's method."""

    wanted: Expr
    log_ratio: Expr
    slope: Expr


@dataclass(frozen=True)
class Program:
    """Coefficients `results` in t, tau and the shared subexpressions, to be evaluated in this order."""

    start: float  # the domain is [start + start_rest, 1]
    start_rest: float  # what rounding the exact start to float64 leaves
    time: Expr | TimeMap
    shared: tuple[tuple[Symbol, Expr], ...]
    results: Mapping[str, Expr]
    ends: tuple[End, End]
    zeros: Mapping[str, tuple[Zero, ...]]
    accuracy: float = 0.0  # worst relative error at the probes, in float64

    def only(self, names: Iterable[str]) -> Program:
        """Return the program of some coefficients alone."""
        wanted = tuple(names)
        for name in wanted:
            if name not in self.results:
                raise unknown("coefficient", name, self.results)
        needed = {s for n in wanted for s in self.results[n].free_symbols}
        for symbol, expr in reversed(self.shared):
            if symbol in needed:
                needed |= expr.free_symbols
        return replace(
            self,
            shared=tuple((s, e) for s, e in self.shared if s in needed),
            results={n: self.results[n] for n in wanted},
            ends=(self.ends[0].only(wanted), self.ends[1].only(wanted)),
            zeros={n: self.zeros[n] for n in wanted if n in self.zeros},
        )

    def endless(self) -> dict[str, tuple[str, str]]:
        """Return, by field and for "step", which coefficient has no finite limit at (the start, t = 1), and how.

        "" where all have one; what has both is left out. At a point mass F_input stands for F_state.
        """
        found: dict[str, tuple[str, str]] = {}
        for what in (*FIELDS, "step"):
            reasons = []
            for end, distance in zip(self.ends, ("t" if self.start == 0 else "(t - start)", "(1 - t)"), strict=True):
                field_name = "drift" if what == "step" else what
                state = f"{field_name}_input" if end.vanishes("scale") else f"{field_name}_state"
                names = (state, f"{field_name}_prediction", *(("diffusion",) if what == "step" else ()))
                reasons.append(next((r for r in (end.divergence(n, distance) for n in names) if r), ""))
            if any(reasons):
                found[what] = (reasons[0], reasons[1])
        return found


_NEVER = End(-1.0, {})  # the formulas alone
Runner = Callable[[Program], Callable[[Sequence[float]], Mapping[str, Sequence[float]]]]


@lru_cache(maxsize=128)
def program(given: Formulas, run: Runner) -> Program:
    """Return the program of all coefficients of `given`; `run` evaluates one in float64, to place the radii.

    Raises SymsiError where it still has symbolic parameters.
    """
    return build(given, run)


def build(given: Formulas, run: Runner) -> Program:
    """Build without the cache."""
    free = given.free_parameters.union(*(e.free_symbols for e in given.coefficients.values())) - {t, tau}
    if free:
        names = ", ".join(sorted(map(str, free)))
        raise SymsiError(f"a kernel needs numbers; {names} is symbolic. Give it a value, as in variance=2.")
    plain = formulas(given)
    points = [probes(plain.start, end) for end in (0, 1)]
    truth = [_truth(given, p) for p in points]
    formula = run(plain)
    found = [formula(p) for p in points]
    ends, worst = [], 0.0
    for end in (0, 1):
        chosen, accuracy = _end(given, end, points[end], truth[end], found[end], plain, run)
        ends.append(chosen)
        worst = max(worst, accuracy)
    return replace(
        plain, ends=(ends[0], ends[1]), zeros=_zeros(given, tuple(zip(points, truth, strict=True))), accuracy=worst
    )


def formulas(given: Formulas, coefficients: Mapping[str, Expr] | None = None) -> Program:
    """Return the formulas (by default all) as they are, without series at the ends."""
    wanted = given.coefficients if coefficients is None else coefficients
    time: Expr | TimeMap
    if isinstance(given, Conversion) and given.time is None:
        log_ratio = log(given.base.ratio).subs(t, tau)
        time = TimeMap(log(given.target.ratio), log_ratio, diff(log_ratio, tau))
    else:
        time = given.time or t
    shared, results = cse(list(wanted.values()), symbols=numbered_symbols("k"), order="none")
    start = given.start_time
    rest = float(evaluate(given.start - Rational(start), {}, _DIGITS))
    return Program(start, rest, time, tuple(shared), dict(zip(wanted, results, strict=True)), (_NEVER, _NEVER), {})


def probes(start: float, end: int) -> list[float]:
    """Times at distances near 2^-2 ... 2^-40 of an end, each exact in float64."""
    width = 1 - start
    distances = [width * 0.9 * 2.0**-k for k in range(2, _DEPTH + 1)]
    return [start + u for u in distances] if end == 0 else [1 - u for u in distances]


def _truth(given: Formulas, times: Sequence[float]) -> Mapping[str, list[float]]:
    names = tuple(given.coefficients)
    rows = [given.evaluate_all(Rational(time), names, _DIGITS) for time in times]
    return {name: [float(row[name]) for row in rows] for name in names}


def _errors(found: Mapping[str, Sequence[float]], truth: Mapping[str, Sequence[float]]) -> list[float]:
    """The largest relative error over the coefficients, per time; a value that is not finite counts as 1."""
    per_name = [[_relative(a, b) for a, b in zip(found[n], truth[n], strict=True)] for n in truth]
    return [max(column) for column in zip(*per_name, strict=True)]


def _relative(value: float, truth: float) -> float:
    if value == truth:
        return 0.0
    error = abs(value - truth) / abs(truth) if truth else 1.0
    return min(error, 1.0) if error == error else 1.0


def _end(
    given: Formulas,
    end: int,
    times: Sequence[float],
    truth: Mapping[str, list[float]],
    found: Mapping[str, Sequence[float]],
    plain: Program,
    run: Runner,
) -> tuple[End, float]:
    """Choose the number of terms and the radius that make the worst error over the probes smallest.

    `found` are the values of the formulas; where a coefficient has no series they are all there is.
    """
    middle = _errors(found, truth)
    best: tuple[End, float] | None = None
    for size in _SIZES:
        series = {name: _terms(s) for name, s in given.series(end, size).items()}
        if not series:
            break
        limits = {n: _limit(given, n, end) for n in given.coefficients if n not in series}
        whole = End(2.0, series)
        ends = (whole, _NEVER) if end == 0 else (_NEVER, whole)
        near = _errors(run(replace(plain, ends=ends).only(series))(times), {n: truth[n] for n in series})
        for k in range(1, len(times)):  # the series from the k-th probe on
            accuracy = max(*middle[:k], *near[k:])
            if best is None or accuracy < best[1]:
                distance = abs(times[k] - (plain.start if end == 0 else 1.0))
                best = (End(1.25 * distance, series, limits), accuracy)
        if best is not None and best[1] < _GOAL:
            break
    chosen, accuracy = best or (End(-1.0, {}, {n: _limit(given, n, end) for n in given.coefficients}), 0.0)
    alone = {n: truth[n] for n in chosen.limits}
    return chosen, max([accuracy, *_errors(found, alone)])


def _zeros(
    given: Formulas, near: Iterable[tuple[Sequence[float], Mapping[str, Sequence[float]]]]
) -> Mapping[str, tuple[Zero, ...]]:
    """Find where each coefficient crosses or touches zero, and expand there.

    Its signs are compared on an even grid, and outside that at times `near` the ends, where values are known.
    """
    start = given.start_time
    even = [start + (1 - start) * (k + 0.5) / _EVEN for k in range(_EVEN)]
    found: dict[str, tuple[Zero, ...]] = {}
    for name, inside in _truth(given, even).items():
        known = {time: v for times, rows in near for time, v in zip(times, rows[name], strict=True)}
        outside = {time: v for time, v in known.items() if not even[0] <= time <= even[-1]}
        times, values = zip(*sorted([*zip(even, inside, strict=True), *outside.items()]), strict=True)
        brackets = []
        for k in range(len(times) - 1):
            here, after = values[k : k + 2]
            if here * after <= 0 < abs(after):
                brackets.append((times[k], times[k + 1]))
        for k in range(1, len(times) - 1):
            around = values[k - 1 : k + 2]
            before, here, after = map(abs, around)
            if before > here <= after and min(around) * max(around) > 0 and here < max(before, after) / 5:
                brackets.append((times[k - 1], times[k + 1]))
        zeros = [given.zero(name, *bracket) for bracket in brackets]
        expanded = [_zero(given, name, z) for z in dict.fromkeys(zeros) if z is not None]
        if any(expanded):
            found[name] = tuple(z for z in expanded if z is not None)
    return found


def _zero(given: Formulas, name: str, exact: Expr) -> Zero | None:
    """Expand about a zero; the radius is the largest 2^-k at which 8 terms are right to float64, nearly."""
    try:
        terms = _terms(given.series_at(name, exact))
    except (UnsupportedError, CancelledError):
        return None
    time = float(exact)
    room = min(time - given.start_time, 1 - time) / 4
    for radius in (room * 2.0**-k for k in range(_DEPTH)):
        errors = []
        for w in (-radius, radius):
            truth = float(given.evaluate(name, exact + Rational(w), _DIGITS))
            errors.append(_relative(sum(c * w ** int(p) for p, c in terms), truth))
        if max(errors) < _ZERO_GOAL:
            return Zero(time, float(evaluate(exact - Rational(time), {}, _DIGITS)), radius, terms)
    return None


def _limit(given: Formulas, name: str, end: int) -> float:
    value = given.end_value(name, end)
    return float("nan") if value is None else float(value)


def _terms(series: Series) -> Terms:
    with mpmath.workdps(_DIGITS):
        return tuple((p, float(mpmath.re(c.values[0]))) for p, c in series.terms)

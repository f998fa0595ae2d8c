"""The checks of a statement: its residual is rewritten to exactly 0, and random values leave nothing of it.

 * With every undetermined function and derivative replaced by an independent unknown (`declared`), the residual
   left - right must be rewritten to exactly 0 (`rewriting`), so that it holds for all functions, and
 * at random points with random functions of the declared shapes (`draws`), the residual must vanish: what is left of it
   at 80 digits must be gone at 160, so that there is no tolerance that a small true difference could slip under.
A statement that fails numerically is *refuted*, with the point; one that only resists rewriting is *undecided*.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any

import mpmath
from sympy import Expr, Integer, Integral, Rational, Symbol, Tuple, oo, sstr
from sympy.concrete.expr_with_limits import ExprWithLimits
from sympy.core.function import AppliedUndef

from symsi.algebra.declared import Abstract, Declared, bound_values, in_range
from symsi.algebra.draws import concretize, draw_function, draw_points
from symsi.algebra.limits import series_limit
from symsi.algebra.multiprecision import evaluate, evaluate_many
from symsi.algebra.quadrature import gap_of
from symsi.algebra.rewriting import nonzero, positive, reduce_to_zero, zeros_of_divisors
from symsi.algebra.series import Expansion, UnsupportedError, decisions, near

__all__ = ["Check", "Declared", "Verdict", "check_equal", "check_tends", "reduce_to_zero", "settle"]

DRAWS, TIMES = 4, 4  # random function draws, and points for each
_DIGITS = (80, 160, 320, 640)  # working precisions; a residual that does not shrink from one to the next is there
_ZERO = mpmath.mpf("1e-30")
_QUADRATURES = 3
_NEAR_DIGITS = 400
_SHRINKS = 1 - mpmath.mpf("1e-6")  # from 1e-60 to 1e-120 from the end: less, and there is another limit


class Verdict(StrEnum):
    """Outcome of a step or of a proof; a step is confirmed where numbers agree and nothing else is known."""

    PROVED = "proved"
    CONFIRMED = "confirmed"
    REFUTED = "refuted"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Check:
    """What the checks found: the rewriting, the points, the largest residual, and where it is refuted.

    `excluded` are the conditions under which the statement has no meaning, such as "x = 0" for x/x = 1; `reason` says
    why a statement that numbers confirm is not proved.
    """

    method: str
    points: int
    worst: float
    where: str = ""
    excluded: tuple[str, ...] = ()
    reason: str = ""
    by_numbers: bool = False

    @property
    def verdict(self) -> Verdict:
        """Refuted by a counterexample; proved by a rewriting that numbers confirm; else undecided.

        Confirmed where `by_numbers` says that there is no rewriting.
        """
        if self.where:
            return Verdict.REFUTED
        if not (self.method and self.worst < _ZERO and self.points):
            return Verdict.UNDECIDED
        return Verdict.CONFIRMED if self.by_numbers else Verdict.PROVED


def check_equal(left: Expr, right: Expr, declared: Declared, seed: str) -> Check:
    """Check left = right both ways; `seed` fixes the random draws. Raises ValueError for what is not declared."""
    declared.require(left, right)
    twice = sorted(map(str, _bound(left, right) & (left.free_symbols | right.free_symbols)))
    if twice:
        return Check("", 0, 0.0, reason=f"{twice[0]} is a bound variable and a free symbol; rename the bound one")
    integrals = not (bound_values(left) or bound_values(right))
    done = tuple(side.doit(integrals=integrals) for side in (left, right))
    residual = done[0] - done[1]
    if not residual.has(Integral) and bound_values(residual):
        return Check("", 0, 0.0, reason=f"{bound_values(residual)[0]} depends on a bound variable, and is no constant")
    if residual.has(Integral):
        try:
            points, worst, where = _by_quadrature(residual, declared, seed)
        except ValueError as error:
            return Check("", 0, 0.0, reason=str(error))
    else:
        points, worst, where = _numeric(declared.abstract(*done, residual, bare=True), declared, seed)
    if where:
        return Check("", points, worst, where)
    try:
        method, reason = reduce_to_zero(residual, declared), "no rewriting reduces the residual to 0"
    except ValueError as error:
        method, reason = "", str(error)
    excluded = _excluded(declared, left, right, *done)
    return Check(method, points, worst, "", excluded, "" if method else reason)


def _bound(*exprs: Expr) -> set[Symbol]:
    """The variables of integrals and sums."""
    return {limits[0] for e in exprs for node in e.atoms(ExprWithLimits) for limits in node.limits}


def _numeric(given: Abstract, declared: Declared, seed: str) -> tuple[int, float, str]:
    """Evaluate (left, right, residual) at random points of random functions; return points, worst, counterexample."""
    formulas, worst, where, points = Tuple(*given.exprs), mpmath.mpf(0), "", 0
    for draw, point in _draws(given, declared, seed):
        values = _values(given, declared, draw, point)
        found = settle(lambda digits, at=values: evaluate_many(formulas, at(digits), digits))  # type: ignore[misc]
        if found is None:
            continue
        gap, refuted = found
        points += 1
        if refuted > bool(where) or (refuted == bool(where) and gap > worst):  # a counterexample outranks
            worst, where = gap, _show({**point, **values(20)}) if refuted else ""
    return points, float(worst), where


def settle(sides: Callable[[int], Sequence[Any]]) -> tuple[Any, bool] | None:
    """Return how much of left - right is left, relative to the sides, and whether it is there for good.

    `sides` gives (left, right, left - right) to a working precision; None where they are not defined.
    """
    before = gap = None
    for digits in _DIGITS:
        try:
            found = sides(digits)
        except (ZeroDivisionError, ValueError, OverflowError):
            return None
        if not all(mpmath.isfinite(v) for v in found):
            return None
        left, right, gap = (abs(v) for v in found)
        relative = gap / max(left, right) if gap < max(left, right) else gap
        if before is not None:
            if gap <= before * mpmath.mpf(10) ** (-digits // 4):
                return min(gap, relative), False
            if abs(gap - before) <= gap / 1000:
                return relative, True
        before = gap
    return gap, False


def _show(values: Mapping[Symbol, Any]) -> str:
    named = {s.name: mpmath.nstr(mpmath.mpmathify(v), 6) for s, v in values.items()}
    return ", ".join(f"{name}={v}" for name, v in named.items()) or "everywhere"


def _draws(given: Abstract, declared: Declared, seed: str) -> Iterator[tuple[int, dict[Symbol, Expr]]]:
    """Which functions to draw, and a point for them: one for a statement between numbers."""
    rng = random.Random(seed)  # noqa: S311 - reproducible draws, no secrets
    symbols = sorted({s for a in given.meaning.values() for s in a.free_symbols}, key=str)
    ranges = {s: declared.symbols[s] for s in symbols}
    count = DRAWS * TIMES if given.meaning else 1
    for k, point in enumerate(draw_points(ranges, count, rng)):
        yield k % DRAWS, point


def _values(
    given: Abstract, declared: Declared, draw: int, point: Mapping[Symbol, Expr]
) -> Callable[[int], dict[Expr, Any]]:
    """The values of the unknowns at a point, by working precision."""
    atoms = {s: a if isinstance(a, Symbol) else _concrete(a, declared, draw) for s, a in given.meaning.items()}
    return lambda digits: {s: point[a] if a in point else evaluate(a, point, digits + 10) for s, a in atoms.items()}


def _concrete(atom: Expr, declared: Declared, draw: int) -> Expr:
    found = declared.drawn.get((atom, draw))
    if found is None:
        found = declared.drawn[atom, draw] = concretize(atom, _bodies(declared, draw))
    return found


def _bodies(declared: Declared, draw: int) -> dict[Any, Callable[..., Expr]]:
    """The functions of one draw: the same for every statement of a derivation."""
    return {
        f: draw_function(words, random.Random(f"{f.__name__}:{draw}"))  # noqa: S311
        for f, words in declared.functions.items()
    }


def _by_quadrature(residual: Expr, declared: Declared, seed: str) -> tuple[int, float, str]:
    """The same where the residual holds integrals: 50 digits, of which 30 must be gone."""
    worst, where, points = mpmath.mpf(0), "", 0
    rng = random.Random(seed)  # noqa: S311
    for draw, point in enumerate(draw_points(declared.symbols, _QUADRATURES, rng)):
        gap = gap_of(residual, _bodies(declared, draw), point)
        if gap is not None:
            points += 1
            worst = max(worst, gap.relative)
            where = _show(point) if gap.refutes else where
    return points, float(worst), where


def check_tends(expr: Expr, variable: Symbol, value: Expr, declared: Declared, side: int, end: int) -> Check:
    """Check that expr -> value as variable -> end from above (side = 1) or below (side = -1).

    The expansion must be valid, and its terms must vanish or give `value`, for every parameter in its range: exactly,
    by rewriting. At random parameters, the distance from `value` must shrink as the end is approached.
    """
    declared.require(expr, value)
    if (expr + value).atoms(AppliedUndef):
        return Check("", 0, 0.0, reason="an undetermined function has no power series")
    reason = _expands(expr, variable, value, declared, side, end)
    rng = random.Random(sstr(expr))  # noqa: S311
    ranges = {s: declared.symbols[s] for s in sorted((expr.free_symbols | value.free_symbols) - {variable}, key=str)}
    points, where, worst = 0, "", mpmath.mpf(0)
    for draw in draw_points(ranges, TIMES, rng):
        goal = evaluate(value, draw, _NEAR_DIGITS)
        gaps = [
            abs(evaluate(expr, {**draw, variable: end + side * Rational(10) ** -k}, _NEAR_DIGITS) - goal)
            for k in (30, 60, 120)
        ]
        if not all(map(mpmath.isfinite, gaps)):
            continue
        points += 1
        if gaps[-1] and gaps[-1] > gaps[-2] * _SHRINKS:
            sign = "+" if side > 0 else "-"
            at = "".join(f", {s}={float(v):.6g}" for s, v in draw.items())
            where, worst = f"{variable} = {end} {sign} 1e-120{at}, gap {mpmath.nstr(gaps[-1], 3)}", gaps[-1]
        elif not all(after <= before / 2 for before, after in pairwise(gaps)):
            reason = reason or "the distance from the limit shrinks, but too slowly for numbers to confirm it"
    excluded = () if where else _excluded(declared, expr, value, without=variable)
    return Check("" if reason or where else "series", points, float(worst), where, excluded, reason)


def _excluded(declared: Declared, *exprs: Expr, without: Symbol | None = None) -> tuple[str, ...]:
    """Where an expression has no meaning, as text; `without` the zeros that move with a variable."""
    zeros = zeros_of_divisors(declared, *exprs)
    return tuple(f"{sstr(z)} = 0" for z in zeros if without is None or without not in z.free_symbols)


def _expands(expr: Expr, variable: Symbol, value: Expr, declared: Declared, side: int, end: int) -> str:
    """Why the power series of `expr` does not prove its limit for all declared parameters, or ""."""
    inside = Declared()
    swaps = {s: _of_positives(*declared.symbols[s], inside) for s in sorted(declared.symbols, key=str) if s != variable}
    expr, value = expr.xreplace(swaps), value.xreplace(swaps)

    def expansion(size: int) -> Expansion:
        return Expansion({variable: near(Integer(end), side)}, size)

    with decisions() as made:
        try:
            found = series_limit(expr, expansion, Integer(end), side)
        except (UnsupportedError, ValueError) as error:
            return f"no power series: {error}"
    if found.value is None:
        return f"the expansion {found}"
    for zero in [*made.zeros, found.value - value]:
        if not reduce_to_zero(zero, inside):
            return f"{sstr(zero)} is not 0 for all parameters"
    given = inside.abstract(*made.nonzeros, *made.positives)
    for k, part in enumerate(given.exprs):
        if not (nonzero(part, given) if k < len(made.nonzeros) else positive(part, given)):
            wanted = "nonzero" if k < len(made.nonzeros) else "positive"
            return f"{sstr([*made.nonzeros, *made.positives][k])} is not {wanted} for all parameters"
    return ""


def _of_positives(low: Expr, high: Expr, inside: Declared) -> Expr:
    """Write a number of the range (low, high) by positive ones."""
    p, q = (inside.symbol(f"{name}{len(inside.symbols)}", 0, oo) for name in ("p", "q"))
    return p - q if low == -oo and high == oo else in_range(p, low, high)

"""The certificate: worst errors of tables and kernels, in ulp, against multiprecision values of the definitions.

The truth is not evaluated from the formulas that run: it comes from `definitions`, T4 to T6 as a textbook states them,
divided forms and all, with 110 digits, where cancellation costs nothing. The same textbook forms in float32, as they
stand and with t clamped to [1e-5, 1 - 1e-5], are the hand-written code that ours is compared with.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
import torch
from sympy import Expr, Rational, Tuple

from symsi.algebra.multiprecision import evaluate, evaluate_many
from symsi.algebra.symbols import t, tau
from symsi.coefficients.kernels import kernels, load
from symsi.coefficients.program import formulas
from symsi.coefficients.tables import tabulate
from symsi.coefficients.textbook import definitions
from symsi.errors import SymsiError, unknown
from symsi.theory.conversion import Conversion, convert

__all__ = ["DIFFUSIONS", "SCHEDULES", "Worst", "certify", "kernel_errors", "pairs", "summary"]

SCHEDULES = (
    "linear",
    "trigonometric",
    "vp",
    "ddpm",
    "polynomial",
    "cosine",
    "ve",
    "edm",
    "shifted",
    "lazy(kappa=1/2)",
    "lazy(kappa=1)",
)
DIFFUSIONS = ("ode", "optimal", "alpha")
CLAMP = 1e-5
_DEPTH = 40
_DIGITS = 110  # of the truth: 50, and 60 for what its divided forms cancel
_FAR = 250  # decimal places between an end and the time that stands for it
_ZERO = mpmath.mpf("1e-50")
_DEPENDENT = ("diffusion", "base_diffusion", "drift_state", "drift_input", "drift_prediction")


@dataclass(frozen=True)
class Worst:
    """One coefficient of one conversion: worst errors in ulp, and the time at which the kernel's is worst.

    `handwritten_ulp` is the textbook form's worst error where it is finite, `clamped_ulp` the same with t clamped;
    the counts say at how many of the times each gave nan or inf though the truth is finite.
    """

    coefficient: str
    pair: str
    diffusion: str
    where: float
    ulp: float
    table_ulp: float
    handwritten_ulp: float
    clamped_ulp: float
    nonfinite: int
    handwritten_nonfinite: int
    points: int


def pairs(schedules: Sequence[str] = SCHEDULES) -> list[tuple[str, str]]:
    """Return every ordered pair, a schedule with itself included."""
    return [(base, target) for base in schedules for target in schedules]


def certify(
    wanted: Sequence[tuple[str, str]], randoms: int = 1000, workers: int = 1, seed: int = 0
) -> Iterator[tuple[list[Worst], tuple[str, tuple[tuple[float, float, float], ...]]]]:
    """Yield the rows of each pair, and its curve, as they are done; `workers` processes share the pairs."""
    if workers <= 1:
        for base, target in wanted:
            yield _pair(base, target, randoms, seed)
        return
    with ProcessPoolExecutor(workers) as pool:
        futures = [pool.submit(_pair, base, target, randoms, seed) for base, target in wanted]
        for future in futures:
            yield future.result()


def summary(rows: Sequence[Worst]) -> dict[str, Any]:
    """Return the certificate as JSON data."""
    return {
        "worst_table_ulp": max(r.table_ulp for r in rows),
        "worst_kernel_ulp": max(r.ulp for r in rows),
        "nonfinite": sum(r.nonfinite for r in rows),
        "coefficients": len(rows),
        "points": sum(r.points for r in rows),
        "handwritten": {
            "worst_ulp": max(r.handwritten_ulp for r in rows),
            "nonfinite": sum(r.handwritten_nonfinite for r in rows),
            "coefficients_above_1000_ulp": sum(r.handwritten_ulp > 1000 for r in rows),
            "clamped_coefficients_above_1000_ulp": sum(r.clamped_ulp > 1000 for r in rows),
        },
        "by_coefficient": [
            _of_coefficient([r for r in rows if r.coefficient == name])
            for name in dict.fromkeys(r.coefficient for r in rows)
        ],
    }


def _of_coefficient(rows: Sequence[Worst]) -> dict[str, Any]:
    """The worst errors over conversions, and where the kernel's is."""
    worst = max(rows, key=lambda r: r.ulp)
    return {
        "coefficient": worst.coefficient,
        "conversions": len(rows),
        "kernel_ulp": worst.ulp,
        "table_ulp": max(r.table_ulp for r in rows),
        "textbook_ulp": max(r.handwritten_ulp for r in rows),
        "clamped_ulp": max(r.clamped_ulp for r in rows),
        "textbook_nonfinite": sum(r.handwritten_nonfinite for r in rows),
        "pair": worst.pair,
        "diffusion": worst.diffusion,
        "where": worst.where,
    }


def times(start: float, randoms: int, seed: int) -> list[float]:
    """Times in float32: both ends, 2^-k and 1 - 2^-k for k <= 40, and uniform random ones; sorted, in the domain."""
    draw = random.Random(seed)  # noqa: S311 - a grid, not a secret
    width = 1 - start
    raw = [start, 1.0]
    raw += [start + width * 2.0**-k for k in range(1, _DEPTH + 1)] + [1 - width * 2.0**-k for k in range(1, _DEPTH + 1)]
    raw += [start + width * draw.random() for _ in range(randoms)]
    return sorted({float(np.float32(v)) for v in raw if start <= float(np.float32(v)) <= 1})


def kernel_errors(
    conversion: Conversion, name: str, times: Sequence[float]
) -> tuple[tuple[float, float, float, float], ...]:
    """Return (t, ours, textbook, clamped) for float32 times inside (0, 1): errors of one coefficient in float32 ulp.

    `textbook` is the form of `definitions`, `clamped` the same with t 1e-5 away from both ends; inf stands for nan and
    inf. Raises UnknownNameError for a coefficient that a textbook does not define, and SymsiError for a conversion of
    another prediction than velocity or times that do not lie inside its domain.
    """
    if conversion.prediction != "velocity":
        raise SymsiError(
            f"textbook forms are those of a velocity prediction; this conversion has {conversion.prediction}."
        )
    known = definitions(conversion)
    if name not in known:
        raise unknown("coefficient", name, known)
    points = torch.tensor(times, dtype=torch.float32)
    outside = [value for value in points.tolist() if not conversion.start_time < value < 1]
    if outside:
        raise SymsiError(f"times must lie inside ({conversion.start_time:.6g}, 1); got {outside[0]:.6g}.")
    textbook = {name: known[name]}
    sides = [side[name] for side in _float32(conversion, textbook, points)]
    found = []
    for time, *values in zip(points.tolist(), *sides, strict=True):
        truth = _truth(conversion, textbook, Rational(time))[name]
        ours, theirs, cut = (_ulps(value, truth, np.float32) for value in values)
        found.append((time, ours, theirs, cut))
    return tuple(found)


def _float32(
    conversion: Conversion, textbook: Mapping[str, Expr], points: torch.Tensor
) -> list[dict[str, list[float]]]:
    """Return the values of our kernels, of the textbook forms, and of those with t clamped, by coefficient."""
    compiled = kernels(conversion)
    plain = load(formulas(conversion, textbook), dtype="torch.float32")
    clamped = points.clamp(conversion.start_time + CLAMP, 1 - CLAMP)
    ours = {n: compiled.functions[n](points)[n].to(torch.float32).tolist() for n in textbook}
    return [ours, *({n: v.tolist() for n, v in plain(at).items()} for at in (points, clamped))]


def _pair(base: str, target: str, randoms: int, seed: int) -> tuple[list[Worst], Any]:
    rows: list[Worst] = []
    curve: tuple[tuple[float, float, float], ...] = ()
    for diffusion in DIFFUSIONS:
        conversion = convert(base, target, diffusion)
        names = tuple(conversion.coefficients) if diffusion == DIFFUSIONS[0] else _DEPENDENT
        found, curve_here = _measure(conversion, names, randoms, seed)
        rows += found
        curve = curve or curve_here
    return rows, (f"{base} -> {target}", curve)


def _measure(conversion: Conversion, names: tuple[str, ...], randoms: int, seed: int) -> tuple[list[Worst], Any]:
    start = conversion.start_time
    grid = times(start, randoms, seed)
    deep = sorted(
        {
            *grid,
            start,
            *(start + (1 - start) * 2.0**-k for k in range(1, _DEPTH + 1)),
            *(1 - (1 - start) * 2.0**-k for k in range(1, _DEPTH + 1)),
        }
    )
    textbook = {n: e for n, e in definitions(conversion).items() if n in names}
    inside = [v for v in deep if start < v < 1]
    truth: dict[float, dict[str, Any]] = {v: _truth(conversion, textbook, Rational(v)) for v in inside}
    for end, value in ((0, start), (1, 1.0)):
        near = _near_end(conversion, textbook, end)
        truth[value] = {n: None if conversion.end_value(n, end) is None else near[n] for n in names}
    table = dict(zip(inside, _table_rows(conversion, inside, names), strict=True))
    for value in (start, 1.0):
        finite = tuple(n for n in names if truth[value][n] is not None)
        table[value] = next(iter(_table_rows(conversion, [value], finite)))
    ours, divided, clamped = _float32(conversion, textbook, torch.tensor(grid, dtype=torch.float32))
    rows = []
    for n in names:
        kept = [(k, v) for k, v in enumerate(grid) if truth[v][n] is not None]
        mine = [_ulps(ours[n][k], truth[v][n], np.float32) for k, v in kept]
        theirs = [_ulps(divided[n][k], truth[v][n], np.float32) for k, v in kept]
        cut = [_ulps(clamped[n][k], truth[v][n], np.float32) for k, v in kept]
        tabled = [_ulps(table[v][n], truth[v][n], np.float64) for v in deep if truth[v][n] is not None]
        rows.append(
            Worst(
                coefficient=n,
                pair=f"{conversion.base} -> {conversion.target}",
                diffusion=str(conversion.diffusion),
                where=kept[max(range(len(mine)), key=mine.__getitem__)][1],
                ulp=max(mine),
                table_ulp=max(tabled),
                handwritten_ulp=_worst_finite(theirs),
                clamped_ulp=_worst_finite(cut),
                nonfinite=sum(map(math.isinf, [*mine, *tabled])),
                handwritten_nonfinite=sum(map(math.isinf, theirs)),
                points=len(kept),
            )
        )
    return rows, _curve(grid, ours, divided, truth, "velocity_prediction") if "velocity_prediction" in names else ()


def _curve(
    grid: Sequence[float],
    ours: Mapping[str, Sequence[float]],
    divided: Mapping[str, Sequence[float]],
    truth: Mapping[float, Mapping[str, Any]],
    name: str,
) -> tuple[tuple[float, float, float], ...]:
    found = []
    for k, v in enumerate(grid):
        if v < 1 and truth[v][name] is not None:
            error = [_ulps(side[name][k], truth[v][name], np.float32) for side in (ours, divided)]
            found.append((1 - v, error[0], error[1]))
    return tuple(found)


def _truth(conversion: Conversion, textbook: Mapping[str, Expr], time: Expr, digits: int = _DIGITS) -> dict[str, Any]:
    """Evaluate the definitions at an exact time; tau is checked against rho(tau) = rho_bar(t)."""
    with mpmath.workdps(digits):
        at = conversion.evaluate_time(time, digits)
        here = evaluate(conversion.target.ratio, {t: time}, digits)
        if not abs(evaluate(conversion.base.ratio, {t: at}, digits) / here - 1) < mpmath.mpf("1e-60"):
            raise AssertionError(f"tau({time}) of {conversion.base} -> {conversion.target} does not solve its equation")
        values = evaluate_many(Tuple(*textbook.values()), {t: time, tau: at}, digits)
        return {n: mpmath.re(v) if abs(v) > _ZERO else mpmath.mpf(0) for n, v in zip(textbook, values, strict=True)}


def _near_end(conversion: Conversion, textbook: Mapping[str, Expr], end: int) -> dict[str, Any]:
    """The definitions so close to an end that, where there is a limit, they have it to 50 digits."""
    exact_start = evaluate(conversion.start, {}, 4 * _FAR)
    with mpmath.workdps(4 * _FAR):
        distance = mpmath.mpf(10) ** -_FAR
        return _truth(conversion, textbook, exact_start + distance if end == 0 else 1 - distance, 4 * _FAR)


def _table_rows(conversion: Conversion, grid: Sequence[float], names: tuple[str, ...]) -> Iterator[dict[str, float]]:
    found = tabulate(conversion, grid, names)
    for k in range(len(grid)):
        yield {n: found[n][k].item() for n in names}


def _ulps(value: float, truth: Any, kind: type[np.floating[Any]]) -> float:
    """|value - truth| in units of the spacing of `kind` at the truth (at 1 if the truth is 0); inf for nan and inf.

    Where the truth is beyond the largest number of `kind`, the infinity of its sign is right, and nothing else.
    """
    if abs(truth) > float(np.finfo(kind).max):
        return 0.0 if value == math.copysign(math.inf, truth) else math.inf
    if not math.isfinite(value):
        return math.inf
    with mpmath.workdps(60):
        spacing = float(np.spacing(kind(abs(float(truth)) or 1.0)))
        return float(abs(mpmath.mpf(value) - truth) / spacing)


def _worst_finite(errors: Sequence[float]) -> float:
    return max((e for e in errors if math.isfinite(e)), default=0.0)

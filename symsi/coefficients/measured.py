"""Errors in ulp of what runs, against multiprecision values of textbook definitions: what the certificates share.

The truth is not evaluated from the formulas that run: it comes from `symsi.coefficients.textbook`, divided forms and
all, with 110 digits, where cancellation costs nothing. The same textbook forms in float32, as they stand and with t
clamped to [1e-5, 1 - 1e-5], are the hand-written code that ours is compared with.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
import torch
from sympy import Expr, Rational, Tuple
from torch import Tensor

from symsi.algebra.multiprecision import evaluate, evaluate_many
from symsi.algebra.symbols import t, tau
from symsi.coefficients.kernels import load
from symsi.coefficients.program import formulas
from symsi.coefficients.tables import tabulate
from symsi.theory.conversion import Conversion
from symsi.theory.functions import Formulas

__all__ = ["Curve", "Subject", "Worst", "errors", "measure", "shared", "summary"]

Curve = tuple[tuple[float, float, float], ...]
CLAMP = 1e-5
_DEPTH = 40
_DIGITS = 110  # of the truth: 50, and 60 for what its divided forms cancel
_FAR = 250  # decimal places between an end and the time that stands for it
_ZERO = mpmath.mpf("1e-50")


@dataclass(frozen=True)
class Worst:
    """One coefficient of one subject: worst errors in ulp, and the time at which the kernel's is worst.

    `pair` names the subject: "base -> target", or an interpolant and the predictions that it is given.
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


@dataclass(frozen=True)
class Subject:
    """What is judged: the formulas `given`, their `textbook` forms, and the kernels `ours`, all by coefficient.

    `ours` takes float32 times. `name` and `diffusion` are what its rows are called by.
    """

    given: Formulas
    textbook: Mapping[str, Expr]
    ours: Callable[[Tensor], Mapping[str, Tensor]]
    name: str
    diffusion: str


def measure(
    subject: Subject, randoms: int, seed: int, around: Sequence[float] = (), drawn: str = ""
) -> tuple[list[Worst], Curve]:
    """Return the rows of all coefficients that `subject.textbook` has, and the curve of the one called `drawn`.

    Times are both ends, 2^-k and 1 - 2^-k for k <= 40, `randoms` uniform ones, and those 2^-k off each of `around`;
    what float32 does not hold is measured of tables alone.
    """
    given, names = subject.given, tuple(subject.textbook)
    start = given.start_time
    grid = _times(start, randoms, seed, around)
    deep = sorted({*grid, *_near_ends(start)})
    inside = [v for v in deep if start < v < 1]
    true: dict[float, dict[str, Any]] = {v: _truth(subject, Rational(v)) for v in inside}
    for end, value in ((0, start), (1, 1.0)):
        near = _near_end(subject, end)
        true[value] = {n: None if given.end_value(n, end) is None else near[n] for n in names}
    table = dict(zip(inside, _table_rows(given, inside, names), strict=True))
    for value in (start, 1.0):
        finite = tuple(n for n in names if true[value][n] is not None)
        table[value] = next(iter(_table_rows(given, [value], finite)))
    ours, divided, clamped = _float32(subject, torch.tensor(grid, dtype=torch.float32))
    rows = []
    for n in names:
        kept = [(k, v) for k, v in enumerate(grid) if true[v][n] is not None]
        mine = [_ulps(ours[n][k], true[v][n], np.float32) for k, v in kept]
        theirs = [_ulps(divided[n][k], true[v][n], np.float32) for k, v in kept]
        cut = [_ulps(clamped[n][k], true[v][n], np.float32) for k, v in kept]
        tabled = [_ulps(table[v][n], true[v][n], np.float64) for v in deep if true[v][n] is not None]
        rows.append(
            Worst(
                coefficient=n,
                pair=subject.name,
                diffusion=subject.diffusion,
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
    return rows, _curve(grid, ours, divided, true, drawn) if drawn in names else ()


def errors(subject: Subject, times: Sequence[float]) -> Iterator[tuple[float, dict[str, tuple[float, float, float]]]]:
    """Yield each float32 time inside the domain with the errors of ours, the textbook's and the clamped form's."""
    sides = _float32(subject, torch.tensor(times, dtype=torch.float32))
    for k, time in enumerate(times):
        true = _truth(subject, Rational(time))
        found = {n: [_ulps(side[n][k], true[n], np.float32) for side in sides] for n in subject.textbook}
        yield time, {n: (ours, theirs, cut) for n, (ours, theirs, cut) in found.items()}


def shared(
    job: Callable[[Any, int, int], tuple[list[Worst], Curve]],
    wanted: Sequence[Any],
    randoms: int,
    workers: int,
    seed: int,
) -> Iterator[tuple[list[Worst], Curve]]:
    """Yield job(item, randoms, seed) of each item, in order, as they are done; `workers` processes share the items."""
    if workers <= 1:
        for item in wanted:
            yield job(item, randoms, seed)
        return
    with ProcessPoolExecutor(workers) as pool:
        for future in [pool.submit(job, item, randoms, seed) for item in wanted]:
            yield future.result()


def summary(rows: Sequence[Worst], subjects: str = "conversions") -> dict[str, Any]:
    """Return the certificate as JSON data; `subjects` is what its rows are of."""
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
            _of_coefficient([r for r in rows if r.coefficient == name], subjects)
            for name in dict.fromkeys(r.coefficient for r in rows)
        ],
    }


def _of_coefficient(rows: Sequence[Worst], subjects: str) -> dict[str, Any]:
    """The worst errors over the subjects, and where the kernel's is."""
    worst = max(rows, key=lambda r: r.ulp)
    return {
        "coefficient": worst.coefficient,
        subjects: len(rows),
        "kernel_ulp": worst.ulp,
        "table_ulp": max(r.table_ulp for r in rows),
        "textbook_ulp": max(r.handwritten_ulp for r in rows),
        "clamped_ulp": max(r.clamped_ulp for r in rows),
        "textbook_nonfinite": sum(r.handwritten_nonfinite for r in rows),
        "pair": worst.pair,
        "diffusion": worst.diffusion,
        "where": worst.where,
    }


def _times(start: float, randoms: int, seed: int, around: Sequence[float]) -> list[float]:
    """Times in float32: those near the ends and `around`, and uniform random ones; sorted, in the domain."""
    draw = random.Random(seed)  # noqa: S311 - a grid, not a secret
    raw = [*_near_ends(start), *(start + (1 - start) * draw.random() for _ in range(randoms))]
    raw += [v + side * 2.0**-k for v in around for k in range(2, _DEPTH + 1) for side in (-1, 1)] + list(around)
    return sorted({float(np.float32(v)) for v in raw if start <= float(np.float32(v)) <= 1})


def _near_ends(start: float) -> list[float]:
    """Both ends, 2^-k and 1 - 2^-k for k <= 40, in units of the domain."""
    distances = [(1 - start) * 2.0**-k for k in range(1, _DEPTH + 1)]
    return [start, 1.0, *(start + u for u in distances), *(1 - u for u in distances)]


def _float32(subject: Subject, points: Tensor) -> list[dict[str, list[float]]]:
    """Return the values of our kernels, of the textbook forms, and of those with t clamped, by coefficient."""
    plain = load(formulas(subject.given, subject.textbook), dtype="torch.float32")
    clamped = points.clamp(subject.given.start_time + CLAMP, 1 - CLAMP)
    ours = subject.ours(points)
    found = [{n: ours[n].to(torch.float32).tolist() for n in subject.textbook}]
    return [*found, *({n: v.tolist() for n, v in plain(at).items()} for at in (points, clamped))]


def _curve(
    grid: Sequence[float],
    ours: Mapping[str, Sequence[float]],
    divided: Mapping[str, Sequence[float]],
    true: Mapping[float, Mapping[str, Any]],
    name: str,
) -> Curve:
    """(distance from t = 1, our error, the textbook's) of one coefficient."""
    found = []
    for k, v in enumerate(grid):
        if v < 1 and true[v][name] is not None:
            error = [_ulps(side[name][k], true[v][name], np.float32) for side in (ours, divided)]
            found.append((1 - v, error[0], error[1]))
    return tuple(found)


def _truth(subject: Subject, time: Expr, digits: int = _DIGITS) -> dict[str, Any]:
    """Evaluate the textbook forms at an exact time; tau of a conversion is checked against rho(tau) = rho_bar(t)."""
    given, at = subject.given, {t: time}
    with mpmath.workdps(digits):
        if isinstance(given, Conversion):
            at[tau] = given.evaluate_time(time, digits)
            here = evaluate(given.target.ratio, {t: time}, digits)
            if not abs(evaluate(given.base.ratio, {t: at[tau]}, digits) / here - 1) < mpmath.mpf("1e-60"):
                raise AssertionError(f"tau({time}) of {subject.name} does not solve its equation")
        values = evaluate_many(Tuple(*subject.textbook.values()), at, digits)
        return {
            n: mpmath.re(v) if abs(v) > _ZERO else mpmath.mpf(0) for n, v in zip(subject.textbook, values, strict=True)
        }


def _near_end(subject: Subject, end: int) -> dict[str, Any]:
    """The textbook forms so close to an end that, where there is a limit, they have it to 50 digits."""
    exact_start = evaluate(subject.given.start, {}, 4 * _FAR)
    with mpmath.workdps(4 * _FAR):
        distance = mpmath.mpf(10) ** -_FAR
        return _truth(subject, exact_start + distance if end == 0 else 1 - distance, 4 * _FAR)


def _table_rows(given: Formulas, grid: Sequence[float], names: tuple[str, ...]) -> Iterator[dict[str, float]]:
    found = tabulate(given, grid, names)
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

"""`symsi bench certificate`: worst errors of tables and kernels."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from symsi.coefficients.certificate import BRIDGES, SCHEDULES, certify, certify_bridges, pairs
from symsi.coefficients.measured import Curve, Worst, summary
from symsi.errors import SymsiError
from symsi.interpolants.named import schedule
from symsi.interpolants.named_two_sided import interpolant
from symsi.plotting.mosaic import check_picture
from symsi.plotting.pictures import plot_certificate

__all__ = ["certificate"]


@click.command("certificate")
@click.option(
    "--schedule",
    "schedules",
    multiple=True,
    metavar="NAME",
    help="Use these schedules only; repeat for several. Default: all eleven, 121 pairs.",
)
@click.option("--bridges", is_flag=True, help="Of the fields between two laws instead: all twelve named interpolants.")
@click.option(
    "--interpolant",
    "interpolants",
    multiple=True,
    metavar="NAME",
    help="Of these alone, such as 'linear(gamma=sine)'; repeat for several.",
)
@click.option("--randoms", default=1000, show_default=True, help="Random times, beside the ends and 2^-k, 1 - 2^-k.")
@click.option("--quick", is_flag=True, help="Three schedules or interpolants, 100 random times: some 40 s.")
@click.option("--workers", default=0, metavar="N", help="Processes; default: one a core.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE", help="Draw the four hardest pairs near t = 1.")
@click.option("--force", is_flag=True, help="Replace the plot if it is there.")
def certificate(
    schedules: tuple[str, ...],
    bridges: bool,
    interpolants: tuple[str, ...],
    randoms: int,
    quick: bool,
    workers: int,
    as_json: bool,
    plot: Path | None,
    force: bool,
) -> None:
    """Worst errors in ulp, of all tables and kernels.

    Every coefficient of every conversion between the schedules, under three diffusions, ends included. With --bridges
    or --interpolant, of every field of the interpolants, under three diffusions, from four pairs of predictions.

    The truth is the textbook definition in 110-digit arithmetic. Beside ours stand the same textbook forms in float32.
    """
    two_sided = bridges or bool(interpolants)
    if two_sided and (schedules or plot):
        raise SymsiError(f"{'--schedule' if schedules else '--plot'} is of conversions; leave --bridges out.")
    for name in schedules:
        schedule(name)  # a wrong name is refused here
    for name in interpolants:
        interpolant(name)
    if plot:
        check_picture(plot, force=force)
    times = min(randoms, 100) if quick else randoms
    processes = workers or os.cpu_count() or 1
    if two_sided:
        few = ("linear(gamma=brownian)", "trigonometric(gamma=quadratic)", "encoding-decoding(gamma=sine)")
        names: Sequence[str] = interpolants or (few if quick else BRIDGES)
        wanted, unit, subjects = list(names), "interpolant", "bridges"
        results = certify_bridges(names, times, processes)
    else:
        both = pairs(schedules or (("linear", "trigonometric", "lazy(kappa=1)") if quick else SCHEDULES))
        wanted, unit, subjects = [f"{base} -> {target}" for base, target in both], "pair", "conversions"
        results = certify(both, times, processes)
    rows: list[Worst] = []
    curves: dict[str, Curve] = {}
    bar = tqdm(results, total=len(wanted), desc="certifying", unit=unit, disable=None)
    for name, (found, curve) in zip(wanted, bar, strict=True):
        rows += found
        curves[name] = curve
    if plot:
        hardest = sorted(curves, key=lambda pair: -_worst(curves[pair]))[:4]
        plot_certificate({pair: curves[pair] for pair in hardest}, plot, force=force)
    total = summary(rows, subjects)
    click.echo(json.dumps(_finite(total), indent=1) if as_json else _table(total, f"{len(wanted)} {unit}s"))


def _table(total: Mapping[str, Any], of: str) -> str:
    """The certificate as aligned text."""
    lines = [
        f"{'coefficient':<22}{'kernel ulp':>11}{'table ulp':>11}{'textbook':>11}{'clamped':>11}{'textbook nan/inf':>18}"
    ]
    lines += [
        f"{row['coefficient']:<22}{row['kernel_ulp']:>11.2f}{row['table_ulp']:>11.2f}"
        f"{row['textbook_ulp']:>11.2g}{row['clamped_ulp']:>11.2g}{row['textbook_nonfinite']:>18}"
        for row in total["by_coefficient"]
    ]
    lines.append(
        f"{of}, {total['coefficients']} coefficients, {total['points']} points: "
        f"kernels {total['worst_kernel_ulp']:.2f} ulp, tables {total['worst_table_ulp']:.2f} ulp, "
        f"{total['nonfinite']} not finite."
    )
    return "\n".join(lines)


def _worst(curve: Sequence[tuple[float, float, float]]) -> float:
    """The largest finite error of the textbook form."""
    return max((theirs for _, _, theirs in curve if math.isfinite(theirs)), default=0.0)


def _finite(data: Any) -> Any:
    """JSON has no infinity: null stands for it."""
    if isinstance(data, dict):
        return {k: _finite(v) for k, v in data.items()}
    if isinstance(data, list):
        return [_finite(v) for v in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data

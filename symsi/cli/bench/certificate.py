"""`symsi bench certificate`: worst errors of tables and kernels."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from symsi.coefficients.certificate import SCHEDULES, Worst, certify, pairs, summary
from symsi.interpolants.named import schedule
from symsi.plotting.pictures import check_picture, plot_certificate

__all__ = ["certificate"]


@click.command("certificate")
@click.option(
    "--schedule",
    "schedules",
    multiple=True,
    metavar="NAME",
    help="Use these schedules only; repeat for several. Default: all eleven, 121 pairs.",
)
@click.option("--randoms", default=1000, show_default=True, help="Random times, beside the ends and 2^-k, 1 - 2^-k.")
@click.option("--quick", is_flag=True, help="Three schedules and 100 random times: some 40 s.")
@click.option("--workers", default=0, metavar="N", help="Processes; default: one a core.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE", help="Draw the four hardest pairs near t = 1.")
@click.option("--force", is_flag=True, help="Replace the plot if it is there.")
def certificate(
    schedules: tuple[str, ...], randoms: int, quick: bool, workers: int, as_json: bool, plot: Path | None, force: bool
) -> None:
    """Worst errors in ulp, of all tables and kernels.

    Every coefficient of every conversion between the schedules, under three diffusions, ends included.

    The truth is the textbook definition in 110-digit arithmetic. Beside ours stand the same textbook forms in float32.
    """
    for name in schedules:
        schedule(name)  # a wrong name is refused here
    if plot:
        check_picture(plot, force=force)
    names = schedules or (("linear", "trigonometric", "lazy(kappa=1)") if quick else SCHEDULES)
    wanted = pairs(names)
    rows: list[Worst] = []
    curves: dict[str, Any] = {}
    results = certify(wanted, min(randoms, 100) if quick else randoms, workers or os.cpu_count() or 1)
    for found, (pair, curve) in tqdm(results, total=len(wanted), desc="certifying", unit="pair", disable=None):
        rows += found
        curves[pair] = curve
    if plot:
        hardest = sorted(curves, key=lambda pair: -_worst(curves[pair]))[:4]
        plot_certificate({pair: curves[pair] for pair in hardest}, plot, force=force)
    if as_json:
        click.echo(json.dumps(_finite(summary(rows)), indent=1))
        return
    click.echo(
        f"{'coefficient':<22}{'kernel ulp':>11}{'table ulp':>11}{'textbook':>11}{'clamped':>11}{'textbook nan/inf':>18}"
    )
    total = summary(rows)
    for row in total["by_coefficient"]:
        click.echo(
            f"{row['coefficient']:<22}{row['kernel_ulp']:>11.2f}{row['table_ulp']:>11.2f}"
            f"{row['textbook_ulp']:>11.2g}{row['clamped_ulp']:>11.2g}{row['textbook_nonfinite']:>18}"
        )
    click.echo(
        f"{len(wanted)} pairs, {total['coefficients']} coefficients, {total['points']} points: "
        f"kernels {total['worst_kernel_ulp']:.2f} ulp, tables {total['worst_table_ulp']:.2f} ulp, "
        f"{total['nonfinite']} not finite."
    )


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

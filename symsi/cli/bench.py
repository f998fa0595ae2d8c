"""`symsi bench`: measured, never asserted by the clock: accuracy of the formulas, speed of the fused step."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from symsi.compile.certificate import SCHEDULES, Row, certify, pairs, summary
from symsi.plotting import plot_certificate

__all__ = ["command"]


@click.group("bench")
def command() -> None:
    """Measure accuracy and speed on this machine.

    \b
    Examples:
      symsi bench certificate --quick
      symsi bench certificate --json --plot certificate.png > certificate.json
    """


@command.command("certificate")
@click.option("--schedule", "schedules", multiple=True, metavar="NAME",
              help="Use these schedules only; repeat for several. Default: all eleven, 121 pairs.")  # fmt: skip
@click.option("--randoms", default=1000, show_default=True, help="Random times, beside the ends and 2^-k, 1 - 2^-k.")
@click.option("--quick", is_flag=True, help="Three schedules and 100 random times: some 40 s.")
@click.option("--workers", default=0, metavar="N", help="Processes; default: one a core.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE", help="Draw error against distance from t = 1.")
@click.option("--force", is_flag=True, help="Replace the plot if it is there.")
def certificate(
    schedules: tuple[str, ...], randoms: int, quick: bool, workers: int, as_json: bool, plot: Path | None, force: bool
) -> None:
    """Worst error in ulp of every coefficient of every conversion, tables and kernels, ends included.

    The truth is the textbook definition in 110-digit arithmetic. Beside ours stand the same textbook forms in float32.
    """
    names = schedules or (("linear", "trigonometric", "lazy(kappa=1)") if quick else SCHEDULES)
    wanted = pairs(names)
    rows: list[Row] = []
    curves: dict[str, Any] = {}
    results = certify(wanted, min(randoms, 100) if quick else randoms, workers or os.cpu_count() or 1)
    for found, (pair, curve) in tqdm(results, total=len(wanted), desc="certifying", unit="pair", disable=None):
        rows += found
        base, _, target = pair.partition(" -> ")
        if base != target and len(curves) < 4 and curve:
            curves[pair] = curve
    if plot:
        plot_certificate(curves, plot, force=force)
    if as_json:
        click.echo(json.dumps(_finite(summary(rows)), indent=1))
        return
    click.echo(
        f"{'coefficient':<22}{'kernel ulp':>11}{'table ulp':>11}{'textbook':>11}{'clamped':>11}{'textbook nan/inf':>18}"
    )
    for name in dict.fromkeys(r.coefficient for r in rows):
        some = [r for r in rows if r.coefficient == name]
        click.echo(
            f"{name:<22}{max(r.ulp for r in some):>11.2f}{max(r.table_ulp for r in some):>11.2f}"
            f"{max(r.handwritten_ulp for r in some):>11.2g}{max(r.clamped_ulp for r in some):>11.2g}"
            f"{sum(r.handwritten_nonfinite for r in some):>18}"
        )
    total = summary(rows)
    click.echo(
        f"{len(wanted)} pairs, {total['coefficients']} coefficients, {total['points']} points: "
        f"kernels {total['worst_kernel_ulp']:.2f} ulp, tables {total['worst_table_ulp']:.2f} ulp, "
        f"{total['nonfinite']} not finite."
    )


def _finite(data: Any) -> Any:
    """JSON has no infinity: null stands for it."""
    if isinstance(data, dict):
        return {k: _finite(v) for k, v in data.items()}
    if isinstance(data, list):
        return [_finite(v) for v in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data

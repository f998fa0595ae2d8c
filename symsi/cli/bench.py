"""`symsi bench`: measured, never asserted by the clock: accuracy of the formulas, speed of the fused step."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import torch
from tqdm import tqdm

from symsi.bench.kernels import SIZES, device_name, measure, wait_until_quiet
from symsi.cli.bench_nfe import nfe, sampler
from symsi.cli.bench_pipelines import pipelines
from symsi.coefficients.certificate import SCHEDULES, Row, certify, pairs, summary
from symsi.errors import SymsiError
from symsi.interpolants.named import schedule
from symsi.plotting.pictures import check_picture, plot_certificate

__all__ = ["command"]


@click.group("bench")
def command() -> None:
    """Measure accuracy and speed on this machine.

    \b
    Examples:
      symsi bench certificate --quick
      symsi bench certificate --json --plot certificate.png > certificate.json
      symsi bench kernels --size 100000 --size 10000000
      symsi bench nfe --model digits28 --nfe 2,4,8 --plot nfe.png
      symsi bench sampler
    """


command.add_command(nfe)
command.add_command(sampler)
command.add_command(pipelines)


@command.command("certificate")
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
    rows: list[Row] = []
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


@command.command("kernels")
@click.option(
    "--size", "sizes", multiple=True, type=click.IntRange(1), metavar="N", help="Elements; default 10^4..10^8."
)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), help="Default: the GPU if there is one.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def kernels(sizes: tuple[int, ...], device: str | None, as_json: bool) -> None:
    """Speed of the step x <- a x + b p + c n.

    Beside it: a triad that moves the same bytes, plain torch, and diffusers' Euler step.
    ratio_triad is ours / triad (1 is the memory's speed); ratio_diffusers is diffusers / ours. Needs an idle machine.
    """
    where = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if where == "cuda" and not torch.cuda.is_available():
        raise SymsiError("no GPU is visible to torch; use --device cpu.")
    quiet = wait_until_quiet()
    if not quiet:
        click.echo("symsi: other processes are busy; the times below are not reliable.", err=True)
    wanted = sizes or SIZES
    rows = list(tqdm(measure(wanted, where), desc="timing", unit="row", disable=None))
    if as_json:
        click.echo(json.dumps({"device": device_name(where), "quiet": quiet, "rows": rows}, indent=1))
        return
    click.echo(device_name(where))
    columns = list(rows[0])
    click.echo("".join(f"{c:>16}" for c in columns))
    for row in rows:
        click.echo("".join(f"{row[c]!s:>16}" for c in columns))


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

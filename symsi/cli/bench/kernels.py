"""`symsi bench kernels`: the speed of the fused step."""

from __future__ import annotations

import json

import click
import torch
from tqdm import tqdm

from symsi.bench.kernels import SIZES, device_name, kernel_times, wait_until_quiet
from symsi.errors import SymsiError

__all__ = ["kernels"]


@click.command("kernels")
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
    rows = list(tqdm(kernel_times(wanted, where), desc="timing", unit="row", disable=None))
    if as_json:
        click.echo(json.dumps({"device": device_name(where), "quiet": quiet, "rows": rows}, indent=1))
        return
    click.echo(device_name(where))
    columns = list(rows[0])
    click.echo("".join(f"{c:>16}" for c in columns))
    for row in rows:
        click.echo("".join(f"{row[c]!s:>16}" for c in columns))

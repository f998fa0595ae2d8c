"""`symsi bench gpu`: what a GPU does, checked and measured in one command."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click
import torch
from tqdm import tqdm

from symsi.bench.gpu import CHECKS, FAILED, device_checks
from symsi.bench.kernels import device_name
from symsi.models.protocol import as_device

__all__ = ["gpu"]


@click.command("gpu")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), help="Default: the GPU if there is one.")
@click.option("--model", default="digits28", show_default=True, metavar="NAME|FILE", help="As for `symsi sample`.")
@click.option("--batch", default=256, show_default=True, type=click.IntRange(1), help="Samples.")
@click.option("--only", multiple=True, metavar="NAME", help=f"One of {', '.join(CHECKS)}; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def gpu(device: str | None, model: str, batch: int, only: tuple[str, ...], as_json: bool) -> None:
    """Check a GPU: bits of noise, waits in the loop, dtypes; measure its step, samples a second, and torch.compile.

    On a CPU all of it runs that needs no GPU, and what does says so. Exits with 1 where a check fails.

    \b
    Examples:
      symsi bench gpu --json
      symsi bench gpu --device cpu --model digits8 --only noise --only agreement
    """
    where = device or ("cuda" if torch.cuda.is_available() else "cpu")
    as_device(where)
    total = len(only or CHECKS)
    found = list(tqdm(device_checks(model, where, batch, only), desc="checking", total=total, disable=None))
    if as_json:
        about = {"device": device_name(where), "torch": torch.__version__, "model": model, "batch": batch}
        click.echo(json.dumps({**about, "checks": [asdict(check) for check in found]}, indent=1))
    else:
        click.echo(f"{device_name(where)}, torch {torch.__version__}: {model}, {batch} samples")
        for check in found:
            numbers = ", ".join(f"{name} {value:.4g}" for name, value in check.numbers.items())
            click.echo(f"{check.name:<12}{check.verdict:<10}{check.words}{': ' * bool(numbers)}{numbers}")
    if any(check.verdict == FAILED for check in found):
        sys.exit(1)

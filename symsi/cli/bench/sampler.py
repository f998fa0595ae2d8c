"""`symsi bench sampler`: the sampler's own cost."""

from __future__ import annotations

import json

import click
from tqdm import tqdm

from symsi.bench.kernels import wait_until_quiet
from symsi.bench.overhead import overhead

__all__ = ["sampler"]


@click.command("sampler")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def sampler(as_json: bool) -> None:
    """What sampling costs beyond the network: time as a share of the network's, memory in states.

    digits28 at batch 64, a latent of 10^6 numbers with a network of 50 ms, and vectors of 2 and 16 numbers with a small
    network, many or few at once. Needs an idle machine.

    \b
    Example:
      symsi bench sampler --json
    """
    quiet = wait_until_quiet()
    if not quiet:
        click.echo("symsi: other processes are busy; the times below are not reliable.", err=True)
    rows = list(tqdm(overhead(), desc="timing", unit="row", disable=None))
    if as_json:
        click.echo(json.dumps({"quiet": quiet, "rows": rows}, indent=1))
        return
    click.echo(f"{'case':<12}{'solver':<14}{'network ms':>11}{'overhead':>10}{'buffers':>9}")
    for row in rows:
        click.echo(
            f"{row['case']:<12}{row['solver']:<14}{row['network_ms']:>11.3g}{row['overhead']:>10.2%}"
            f"{row['buffers']:>9.2f}"
        )

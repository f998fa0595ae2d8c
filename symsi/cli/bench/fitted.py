"""`symsi bench fitted`: what fitted plans cost where guidance is spared, or fitted elsewhere, and gain by channel."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click
from tqdm import tqdm

from symsi.bench import fitted as benchmark
from symsi.cli.options import read_counts

__all__ = ["fitted"]

_OF_A_MODEL = ("guidance", "transfer")
_PARTS = (*_OF_A_MODEL, "channels")


@click.command("fitted")
@click.option(
    "--model", default="digits28", show_default=True, help="A network with classes; channels has its own data."
)
@click.option("--steps", default="3,4", show_default=True, metavar="N,N,...")
@click.option("--guidance", default=2.0, show_default=True, help="Of the part guidance.")
@click.option(
    "--part", "parts", multiple=True, type=click.Choice(_PARTS), help="Only this; default: guidance, transfer."
)
@click.option("--samples", default=500, show_default=True, type=click.IntRange(2), help="Per plan and seed.")
@click.option("--repeats", default=3, show_default=True, type=click.IntRange(2), help="Seeds.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def fitted(
    model: str, steps: str, guidance: float, parts: tuple[str, ...], samples: int, repeats: int, as_json: bool
) -> None:
    """Fitted plans that spare evaluations, and plans that are used elsewhere.

    guidance: plans with an unconditional evaluation in the first steps alone. transfer: plans fitted on other classes,
    or under guidance 1, beside those fitted where they are used. FD is the Frechet distance to converged samples of
    other seeds. channels: plans with a number a channel beside those of one number for all, calibrated with 8 and with
    32 samples, on an exact mixture: --model and --guidance say nothing there.

    \b
    Examples:
      symsi bench fitted --part guidance --steps 4
      symsi bench fitted --model fashion28 --json > fitted.json
      symsi bench fitted --part channels --steps 1,2,3,4 --repeats 5
    """
    counts = read_counts("--steps", steps)
    common: dict[str, Any] = {"steps": counts, "samples": samples, "repeats": repeats}
    made: dict[str, tuple[Iterator[dict[str, Any]], int]] = {
        "guidance": (benchmark.guidance_rows(model, guidance=guidance, **common), 1 + sum(counts)),
        "transfer": (benchmark.transfer_rows(model, **common), 4 * len(counts)),
        "channels": (benchmark.channel_rows(**common), 4 * len(counts)),
    }
    found: dict[str, Any] = common if parts == ("channels",) else {"model": model, **common}
    for part in parts or _OF_A_MODEL:
        rows, total = made[part]
        found[part] = held = list(tqdm(rows, total=total, desc=part, unit="plan", disable=None))
        for row in () if as_json else held:
            click.echo("  ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()))
    if as_json:
        click.echo(json.dumps(found, indent=1))

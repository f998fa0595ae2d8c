"""`symsi bench pipelines`: our scheduler beside diffusers' own, through the pipeline interface."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

import click
from tqdm import tqdm

from symsi.bench.kernels import wait_until_quiet

__all__ = ["pipelines"]

_PARTS = ("quality", "marginals", "steps")


@click.command("pipelines")
@click.option("--part", "parts", multiple=True, type=click.Choice(_PARTS), help="Only this; may be repeated.")
@click.option("--model", default="digits28", show_default=True, help="The network, for quality.")
@click.option("--samples", default=500, show_default=True, type=click.IntRange(2), help="Per scheduler and seed.")
@click.option("--repeats", default=3, show_default=True, type=click.IntRange(2), help="Seeds.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def pipelines(parts: tuple[str, ...], model: str, samples: int, repeats: int, as_json: bool) -> None:
    """Schedulers of diffusers and ours in one pipeline.

    quality: Frechet distance of samples at few steps. marginals: variance of X ~ N(0, 1/4) under the stochastic modes.
    steps: time of a step at (1, 16, 128, 128), needs an idle machine. Needs `pip install "symsi[diffusers]"`.

    \b
    Examples:
      symsi bench pipelines --json > pipelines.json
      symsi bench pipelines --part marginals
    """
    benchmark = import_module("symsi.bench.schedulers")  # only this command needs diffusers
    found: dict[str, Any] = {}
    for part in parts or _PARTS:
        if part == "quality":
            total = sum(len(entry.steps) for entry in benchmark.QUALITY)
            rows = benchmark.quality_in_pipelines(model, samples=samples, repeats=repeats)
            found |= {"model": model, "samples": samples, "repeats": repeats}
        elif part == "marginals":
            total, rows = 3 * len(benchmark.MARGINALS), benchmark.marginals()
        else:
            total, rows = 2 * len(benchmark.TIMED), benchmark.step_times()
            found["quiet"] = wait_until_quiet()
        found[part] = list(tqdm(rows, total=total, desc=part, unit="row", disable=None))
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    for part in _PARTS:
        for row in found.get(part, ()):
            first, *rest = row.items()
            cells = "".join(f"  {k} {v:.4g}" if isinstance(v, float) else f"  {k} {v}" for k, v in rest)
            click.echo(f"{first[1]:<38}{cells}")

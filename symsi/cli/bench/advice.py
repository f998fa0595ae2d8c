"""`symsi bench advice`: which schedule, grid and solver is best for a model."""

from __future__ import annotations

import json
from itertools import groupby
from operator import itemgetter

import click
from tqdm import tqdm

from symsi.bench import advice as benchmark
from symsi.cli.options import read_counts

__all__ = ["advice"]


@click.command("advice")
@click.option("--model", default="digits28", show_default=True, metavar="|".join(benchmark.MODELS))
@click.option("--nfe", "counts", default="3,4,6,10", show_default=True, metavar="N,N,...")
@click.option("--samples", default=32, show_default=True, type=click.IntRange(1))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Of the noise that all start from.")
@click.option("--fitted", is_flag=True, help="Also a solver fitted to the model, which takes minutes.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def advice(model: str, counts: str, samples: int, seed: int, fitted: bool, as_json: bool) -> None:
    """How far schedules, grids and solvers end from converged samples of the same noise (root mean square).

    For networks that predict noise, DDIM at diffusers' timesteps stands beside them.

    \b
    Examples:
      symsi bench advice --model 8gaussians --samples 500
      symsi bench advice --model fashion28-noise --nfe 3,4,5,6,8,10,20,50 --json
    """
    nfe = read_counts("--nfe", counts)
    with tqdm(desc="measuring", unit="method", disable=None) as bar:

        def tick(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        found = benchmark.distances(model, nfe, samples=samples, seed=seed, fitted=fitted, tick=tick)
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    click.echo(f"converged samples are known to {found['doubt']:.3f}")
    click.echo(f"{'method':<32}" + "".join(f"{n:>8}" for n in nfe))
    for method, rows in groupby(found["rows"], itemgetter("method")):
        held = {row["nfe"]: row["rms"] for row in rows}
        click.echo(f"{method:<32}" + "".join(f"{held[n]:>8.3f}" if n in held else f"{'':>8}" for n in nfe))

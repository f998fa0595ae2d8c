"""`symsi bench restore`: degraded digits restored by a bridge, and by a regression."""

from __future__ import annotations

import json
from pathlib import Path

import click
from tqdm import tqdm

from symsi.bench import restore as benchmark
from symsi.cli.options import read_counts

__all__ = ["restore"]


@click.command("restore")
@click.option("--model", default="digits28-restore", show_default=True, metavar="NAME|FILE", help="The bridge.")
@click.option("--regression", default="digits28-regression", show_default=True, metavar="NAME|FILE")
@click.option("--nfe", "counts", default=",".join(map(str, benchmark.NFE)), show_default=True, metavar="N,N,...")
@click.option("--samples", default=500, show_default=True, type=click.IntRange(2), help="Per method, NFE and repeat.")
@click.option("--repeats", default=3, show_default=True, type=click.IntRange(2), help="Other digits, other noise.")
@click.option("--data", type=click.Path(path_type=Path), help="Where MNIST lies, as for `symsi train flow`.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def restore(
    model: str, regression: str, counts: str, samples: int, repeats: int, data: Path | None, as_json: bool
) -> None:
    """Restore degraded digits that no training saw: by the ODE, by an SDE, by a regression.

    FD is the Frechet distance to held-out digits in the features of a classifier, SW their sliced Wasserstein distance
    in pixels, rmse the error of a pixel in [0, 1],
    accuracy the share of restorations that the classifier gives the true class.

    \b
    Examples:
      symsi bench restore --nfe 3,10 --samples 100
      symsi bench restore --json > restore.json
    """
    nfe = read_counts("--nfe", counts)
    found = benchmark.restoration_rows(model, regression, nfe=nfe, samples=samples, repeats=repeats, data=data)
    total = 3 + len(benchmark.METHODS) * len(nfe)
    rows = list(tqdm(found, total=total, desc="restoring", unit="row", disable=None))
    if as_json:
        about = {"model": model, "regression": regression, "samples": samples, "repeats": repeats}
        click.echo(json.dumps({**about, "rows": rows}, indent=1))
        return
    click.echo(
        f"{'method':<12}{'nfe':>4}{'FD':>9}{'+-':>7}{'SW':>9}{'+-':>8}{'rmse':>9}{'+-':>8}{'accuracy':>10}{'+-':>7}"
    )
    for row in rows:
        click.echo(
            f"{row['method']:<12}{row['nfe']:>4}{row['fd']:>9.2f}{row['fd_spread']:>7.2f}"
            f"{row['sw']:>9.4f}{row['sw_spread']:>8.4f}{row['rmse']:>9.4f}"
            f"{row['rmse_spread']:>8.4f}{row['accuracy']:>10.3f}{row['accuracy_spread']:>7.3f}"
        )

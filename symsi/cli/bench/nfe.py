"""`symsi bench nfe`: quality at equal network evaluations."""

from __future__ import annotations

import json
from pathlib import Path

import click
from tqdm import tqdm

from symsi.bench import nfe as benchmark
from symsi.cli.options import read_counts
from symsi.plotting.mosaic import check_picture
from symsi.plotting.pictures import plot_nfe

__all__ = ["nfe"]


@click.command("nfe")
@click.option("--model", default="digits28", show_default=True, metavar="|".join(benchmark.TASKS))
@click.option("--nfe", "counts", default=",".join(map(str, benchmark.NFE)), show_default=True, metavar="N,N,...")
@click.option(
    "--method",
    "methods",
    multiple=True,
    metavar="NAME",
    help="Only this one, or this one at these NFE: NAME@N,N; may be repeated.",
)
@click.option("--samples", default=500, show_default=True, type=click.IntRange(2), help="Per method, NFE and seed.")
@click.option("--repeats", default=3, show_default=True, type=click.IntRange(2), help="Seeds.")
@click.option("--list", "listing", is_flag=True, help="List the methods and stop.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE", help="Draw Frechet distance against NFE.")
@click.option("--force", is_flag=True, help="Replace the plot if it is there.")
def nfe(
    model: str,
    counts: str,
    methods: tuple[str, ...],
    samples: int,
    repeats: int,
    listing: bool,
    as_json: bool,
    plot: Path | None,
    force: bool,
) -> None:
    """Sample quality at equal network evaluations, ours and diffusers' solvers.

    FD is the Frechet distance of samples to real data in the features of a classifier (pixels for digits8);
    recall is the share of the data that samples cover, rmse compares with converged samples from the same noise,
    calibration counts the evaluations of a sample that fitting a plan took. Everything at one NFE and seed starts from
    one noise. A method that has settled at the converged FD at two NFE in a row is not run at more.

    \b
    Examples:
      symsi bench nfe --nfe 2,4,8 --plot nfe.png
      symsi bench nfe --method "lazy VP AB2, shift 2@3,4" --method UniPC@6,8 --json
    """
    if listing:
        for name in [*benchmark.CONTENDERS, *benchmark.PEERS]:
            click.echo(name)
        return
    wanted = read_counts("--nfe", counts)
    if plot:
        check_picture(plot, force=force)
    with tqdm(desc="measuring", unit="method", disable=None) as bar:

        def tick(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        found = benchmark.quality_at_nfe(model, wanted, samples=samples, repeats=repeats, methods=methods, tick=tick)
    if plot:
        plot_nfe(found, plot, force=force)
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    floor, end = found["floor"], found["converged"]
    click.echo(f"real against real: FD {floor['fd']:.2f} +- {floor['spread']:.2f}; converged samples: {end['fd']:.2f}")
    click.echo(
        f"{'method':<34}{'nfe':>4}{'FD':>9}{'+-':>7}{'recall':>8}{'accuracy':>10}{'rmse':>8}{'calibration':>13}{'us/sample':>11}"
    )
    for row in found["rows"]:
        right = "" if row["accuracy"] is None else f"{row['accuracy']:.3f}"
        error = "" if row["rmse_converged"] is None else f"{row['rmse_converged']:.3f}"
        click.echo(
            f"{row['method']:<34}{row['nfe']:>4}{row['fd']:>9.2f}{row['fd_spread']:>7.2f}{row['recall']:>8.3f}"
            f"{right:>10}{error:>8}{row['calibration'] or '':>13}{row['us_per_sample']:>11.0f}"
        )

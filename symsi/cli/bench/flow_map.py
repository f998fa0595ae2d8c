"""`symsi bench map`: a flow map against its teacher and against solvers of few evaluations."""

from __future__ import annotations

import json
from typing import Any

import click
from tqdm import tqdm

from symsi.bench import flow_map as benchmark
from symsi.cli.options import read_counts

__all__ = ["flow_map"]

_QUICK: dict[str, Any] = {"samples": 4, "repeats": 2, "knots": 2, "steps": (1,), "others": ()}


@click.command("map")
@click.argument("name", metavar="[MAP]", default="digits28-map")
@click.option("--steps", default="1,2,4,8", show_default=True, metavar="N,N,...", help="Of the map.")
@click.option("--nfe", default="1,2,3,4", show_default=True, metavar="N,N,...", help="Evaluations of the others.")
@click.option(
    "--method",
    "methods",
    multiple=True,
    metavar="NAME",
    help=f"Of `symsi bench nfe --list`, beside the map; may be repeated. Default: {'; '.join(benchmark.OTHERS)}.",
)
@click.option("--samples", default=500, show_default=True, type=click.IntRange(2), help="Per method, NFE and seed.")
@click.option("--repeats", default=3, show_default=True, type=click.IntRange(2), help="Seeds.")
@click.option("--knots", default=32, show_default=True, type=click.IntRange(2), help="Of the certificate, even.")
@click.option("--quick", is_flag=True, help="Few samples of the map alone: that it runs, not what it is worth.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def flow_map(
    name: str,
    steps: str,
    nfe: str,
    methods: tuple[str, ...],
    samples: int,
    repeats: int,
    knots: int,
    quick: bool,
    as_json: bool,
) -> None:
    """How good a flow map is: MAP is one that ships, or a file that `symsi distill` wrote.

    error is E|X - x|^2 between one step of the map and the teacher's path, a number of a sample; bound is that of T23,
    which is at least the error, and quadrature how much it grew with the last doubling of its knots. FD is the Frechet
    distance of samples to real data, ratio that to converged samples; rmse compares with converged samples of the same
    noise. Other samplers run the teacher.

    \b
    Examples:
      symsi bench map digits28-map.safetensors
      symsi bench map digits28-map.safetensors --steps 1,2 --method fitted --method UniPC --json > map.json
    """
    asked: dict[str, Any] = {
        "steps": read_counts("--steps", steps),
        "nfe": read_counts("--nfe", nfe),
        "others": methods or benchmark.OTHERS,
        "samples": samples,
        "repeats": repeats,
        "knots": knots,
    }
    with tqdm(desc="measuring", unit="row", disable=None) as bar:

        def tick(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        found = benchmark.map_quality(name, tick=tick, **(asked | (_QUICK if quick else {})))
    click.echo(json.dumps(found, indent=1) if as_json else _text(found))


def _text(found: dict[str, Any]) -> str:
    c, end, cost = found["certificate"], found["converged"], found["cost"]
    said = [f"{key} {value}" for key, value in cost.items()] or [found["note"] or "not said by the file"]
    lines = [
        f"{found['map']}, of {found['teacher']}; training: {', '.join(said)}",
        f"one step, {c['samples']} samples: error {c['error']:.4g} <= bound {c['bound']:.4g}, quadrature "
        f"{c['quadrature']:.2g} at {c['knots']} knots",
        f"residuals: semigroup {c['semigroup']:.4g}, Lagrangian {c['lagrangian']:.4g}; roughness of u in s "
        f"{c['roughness']['s']:.2g}, in t {c['roughness']['t']:.2g}",
        f"real against real: FD {found['floor']['fd']:.2f}; converged samples: {end['fd']:.2f}",
        f"{'method':<34}{'nfe':>4}{'FD':>9}{'+-':>7}{'ratio':>8}{'accuracy':>10}{'rmse':>8}{'us/sample':>11}",
    ]
    for row in found["rows"]:
        right = "" if row["accuracy"] is None else f"{row['accuracy']:.3f}"
        lines.append(
            f"{row['method']:<34}{row['nfe']:>4}{row['fd']:>9.2f}{row['fd_spread']:>7.2f}{row['ratio']:>8.2f}"
            f"{right:>10}{row['rmse_converged']:>8.3f}{row['us_per_sample']:>11.0f}"
        )
    return "\n".join(lines)

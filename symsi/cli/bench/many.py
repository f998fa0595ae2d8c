"""`symsi bench many`: how long a million samples take, by one process or a thousand that die."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from symsi.bench.kernels import device_name
from symsi.bench.many import clock_of, measured_times, ranks_of_a_store, runs
from symsi.bench.ranks import Times
from symsi.cli.options import read_counts
from symsi.errors import SymsiError
from symsi.models.pretrained import load
from symsi.models.protocol import as_device
from symsi.solvers.plan import load_plan
from symsi.solvers.planning import plan as make_plan

__all__ = ["many"]


@click.command("many")
@click.option("--model", default="digits28", show_default=True, metavar="NAME|FILE", help="As for `symsi sample`.")
@click.option("--plan", "plan_file", type=click.Path(path_type=Path), metavar="FILE", help="Default: 4 steps.")
@click.option("--count", default=1_000_000, show_default=True, type=click.IntRange(1), help="Samples.")
@click.option("--batch", default=256, show_default=True, type=click.IntRange(1), help="Samples a shard.")
@click.option("--ranks", default="1,8,1000", show_default=True, metavar="N,N,...", help="Processes.")
@click.option("--failures", default="0,0.01,0.1,1", show_default=True, metavar="X,X,...", help="Of a rank an hour.")
@click.option("--back", default=60.0, show_default=True, type=click.FloatRange(0), help="Seconds until a new start.")
@click.option(
    "--evaluation",
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="Of a sample, in the place of the measured network: for a model, or a GPU, that is not here.",
)
@click.option("--folder", default=".", type=click.Path(path_type=Path), help="On whose disk to write; default: here.")
@click.option("--device", default="cpu", show_default=True, metavar="cpu|cuda", help="Where the model runs.")
@click.option("--seed", default=0, show_default=True, help="Of the simulated deaths.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def many(
    model: str,
    plan_file: Path | None,
    count: int,
    batch: int,
    ranks: str,
    failures: str,
    back: float,
    evaluation: float | None,
    folder: Path,
    device: str,
    seed: int,
    as_json: bool,
) -> None:
    """How long many samples take: this machine's times, and simulated runs of ranks that die.

    Measures network, noise, write and sync of a shard, a request to the store and the start of a process, here and
    once; then simulates 20 runs of each number of ranks, each as fast as this one. After a death one rank comes back
    and joins ("one"), all are started again ("all", as torchrun --max-restarts does), or none until the run has ended
    ("none").

    \b
    Examples:
      symsi bench many --plan solver.json
      symsi bench many --ranks 8 --failures 0.1,1 --batch 64 --json
      symsi bench many --evaluation 0.25 --batch 16 --ranks 1000
    """
    numbers, rates = read_counts("--ranks", ranks), _rates(failures)
    if not folder.is_dir():
        raise SymsiError(f"--folder {folder} is no folder; name one that is there.")
    as_device(device)
    network = load(model, device=device)
    plan = make_plan(network, shape=network.shape, steps=4) if plan_file is None else load_plan(plan_file)
    times = measured_times(model, network, plan, batch=batch, place=folder, device=device)
    if evaluation is not None:
        times = replace(times, network=evaluation * batch * plan.evaluations)
    rows = list(runs(times, count, batch, ranks=numbers, failures=rates, back=back, seed=seed))
    one: dict[str, Any] = {
        "device": device_name(device),
        "clock": clock_of(device)[0],
        "model": model,
        "evaluations": plan.evaluations,
        "evaluation": evaluation,
        "count": count,
        "batch": batch,
        "times": asdict(times),
        "samples_per_second": batch / (times.shard + times.ask),
        "ranks_of_a_store": ranks_of_a_store(times),
        "back": back,
        "rows": rows,
    }
    if as_json:
        click.echo(json.dumps(one, indent=1))
        return
    click.echo(f"{one['device']}: {model}, {plan.evaluations} evaluations, {batch} samples a shard")
    click.echo(_words(times))
    speed, full = one["samples_per_second"], one["ranks_of_a_store"]
    click.echo(f"a rank draws {speed:.4g} samples a second; {full:.3g} ranks fill a store")
    heads = "".join(f"{name:>10}" for name in ("hours", "10 %", "90 %", "runs", "lost", "ideal"))
    click.echo(f"{'ranks':>6}{'deaths/h':>10}{'restart':>9}{heads}")
    for row in rows:
        named = f"{row['ranks']:>6}{row['failures']:>10g}{row['restart']:>9}"
        click.echo(named + (f"{'never':>10}" if row["hours"] is None else _numbers(row)))


def _words(times: Times) -> str:
    parts = {"network": times.network, "noise": times.noise, "rest": times.rest, "write": times.write}
    told = ", ".join(f"{name} {seconds * 1e3:.4g} ms" for name, seconds in parts.items())
    return (
        f"a shard takes {times.shard:.4g} s: {told}; a request {times.ask * 1e3:.3g} ms, a start {times.start:.3g} s, "
        f"a shard's seal {times.seal * 1e3:.3g} ms"
    )


def _numbers(row: dict[str, Any]) -> str:
    hours = "".join(f"{row[key]:>10.4g}" for key in ("hours", "low", "high"))
    return f"{hours}{row['runs']:>10.1f}{row['lost']:>10.1f}{row['ideal']:>10.1%}"


def _rates(text: str) -> list[float]:
    """Return the numbers of --failures. Raises SymsiError."""
    try:
        found = [float(item) for item in text.split(",")]
    except ValueError:
        found = [-1.0]
    if not all(0 <= rate < 1e6 for rate in found):
        raise SymsiError(f"--failures takes deaths of a rank an hour, such as 0,0.1,1; got {text!r}.")
    return found

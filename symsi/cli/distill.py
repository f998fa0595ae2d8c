"""`symsi distill`: a flow map of a model that ships or lies in a file."""

from __future__ import annotations

from pathlib import Path

import click

from symsi.cli.options import device_of_rank
from symsi.models.pretrained import load
from symsi.processes.ranks import Ranks
from symsi.training.distill import distill
from symsi.training.distillation import LOSSES, MapRecipe

__all__ = ["command"]

_DEFAULT = MapRecipe()


@click.command("distill")
@click.argument("model")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, metavar="MAP.safetensors")
@click.option(
    "--steps", default=_DEFAULT.steps, show_default=True, type=click.IntRange(1), help="Of --batch images each."
)
@click.option("--batch", default=_DEFAULT.batch, show_default=True, type=click.IntRange(1))
@click.option("--rate", default=_DEFAULT.rate, show_default=True, type=click.FloatRange(0, min_open=True))
@click.option(
    "--decay",
    default=_DEFAULT.decay,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True),
    help="Share of the steps over which the rate falls to 0.",
)
@click.option(
    "--chunks",
    default=_DEFAULT.chunks,
    show_default=True,
    type=click.IntRange(1),
    help=f"Of {_DEFAULT.chunk} trajectories of the teacher.",
)
@click.option(
    "--loss",
    default=_DEFAULT.loss,
    show_default=True,
    type=click.Choice(LOSSES),
    help="Of the last --late of the steps: regression from where the map itself comes (student, a quarter more), the "
    "slope in t against the teacher's velocity (lmd, 3 times the cost), or two steps against one (psd-m, twice the "
    "cost). Before that, and by default, regression on trajectories.",
)
@click.option("--late", default=_DEFAULT.late, show_default=True, type=click.FloatRange(0, 1), help="Share of --steps.")
@click.option(
    "--start",
    metavar="MAP",
    help="A map to go on from, a name or a file; with another --seed from other trajectories. Default: the model.",
)
@click.option(
    "--minutes", type=click.FloatRange(0, min_open=True), help="Stop then at the latest; the map so far is written."
)
@click.option("--seed", default=_DEFAULT.seed, show_default=True)
@click.option("--device", default="cpu", show_default=True, metavar="cpu|cuda", help="Where the networks run.")
@click.option("--force", is_flag=True, help="Replace the map if it is there.")
def command(
    model: str,
    output: Path,
    steps: int,
    batch: int,
    rate: float,
    decay: float,
    chunks: int,
    loss: str,
    late: float,
    start: str | None,
    minutes: float | None,
    seed: int,
    device: str,
    force: bool,
) -> None:
    """Train a flow map of MODEL, a name or a file of weights, from trajectories of 8 evaluations.

    The map starts as the model, in the lazy (trigonometric) schedule or a noise network's own. MAP.checkpoint is
    written every 50 steps and MAP.trajectories holds what the teacher ran: the same command goes on from there after a
    stop, also with more --steps or another --loss. The log, with the error of held-out samples at 1, 2 and 4
    evaluations, goes to MAP.log. Under torchrun processes share the rows of each batch; cuda is the GPU of their rank.

    \b
    Examples:
      symsi distill digits28 --minutes 60 -o digits28-map.safetensors
      torchrun --nproc-per-node 2 -m symsi distill digits28 -o digits28-map.safetensors
      symsi distill digits28 --loss lmd --late 0.5 -o digits28-map.safetensors
      symsi distill digits28 --start digits28-map.safetensors --seed 1 --steps 1000 -o better.safetensors
    """
    with Ranks.join() as ranks:
        made = distill(
            load(model, device=device_of_rank(device)),
            output,
            start=start,
            minutes=minutes,
            log=click.echo,
            force=force,
            ranks=ranks,
            steps=steps,
            batch=batch,
            rate=rate,
            decay=decay,
            chunks=chunks,
            loss=loss,
            late=late,
            seed=seed,
        )
        if ranks.rank == 0:
            click.echo(f"{made.name}: {output}; {output.with_suffix('.checkpoint')} lets it go on")

"""`symsi distill`: a flow map of a model that ships or lies in a file."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

import click
import torch

from symsi.cli.running import check_weights, reporter, until
from symsi.errors import SymsiError
from symsi.models.map_net import MapNet
from symsi.models.pretrained import load
from symsi.models.pretrained_map import save_map
from symsi.models.unet import UNet
from symsi.solvers.planning import plan
from symsi.training.distillation import MapRecipe, distill_map

__all__ = ["command"]

_SCHEDULE = "trigonometric"


@click.command("distill")
@click.argument("model")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, metavar="MAP.safetensors")
@click.option("--steps", default=7000, show_default=True, type=click.IntRange(1), help="Of --batch images each.")
@click.option("--batch", default=32, show_default=True, type=click.IntRange(1))
@click.option("--rate", default=4e-4, show_default=True, type=click.FloatRange(0, min_open=True))
@click.option(
    "--decay",
    default=0.4,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True),
    help="Share of the steps over which the rate falls to 0.",
)
@click.option(
    "--chunks", default=24, show_default=True, type=click.IntRange(1), help="Of 256 trajectories of the teacher."
)
@click.option(
    "--minutes", type=click.FloatRange(0, min_open=True), help="Stop then at the latest; the map so far is written."
)
@click.option("--seed", default=0, show_default=True)
@click.option("--force", is_flag=True, help="Replace the map if it is there.")
def command(
    model: str,
    output: Path,
    steps: int,
    batch: int,
    rate: float,
    decay: float,
    chunks: int,
    minutes: float | None,
    seed: int,
    force: bool,
) -> None:
    """Train a flow map of MODEL, a name or a file of weights, from trajectories of 8 evaluations.

    The map starts as the model, in the lazy (trigonometric) schedule. MAP.checkpoint is written every 50 steps and
    MAP.trajectories holds what the teacher ran: the same command goes on from there after a stop. The log, with the
    error of held-out samples at 1, 2 and 4 evaluations, goes to MAP.log.

    \b
    Example:
      symsi distill digits28 --minutes 60 -o digits28-map.safetensors
    """
    check_weights(output, force=force)
    started = time.monotonic()
    teacher, own = load(model), load(model).function
    if not isinstance(own, UNet):
        raise SymsiError(f"a map is made from a U-Net such as digits28; {teacher.name} is none.")
    torch.manual_seed(seed)
    net = MapNet(own, teacher.schedule, _SCHEDULE, teacher.prediction)
    net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    checkpoint, report, late = output.with_suffix(".checkpoint"), reporter(output, force=force), until(minutes)
    recipe = MapRecipe(steps=steps, batch=batch, rate=rate, decay=decay, chunks=chunks, seed=seed)
    path = plan(teacher, schedule=_SCHEDULE, solver="ab2", steps=8, grid="shifted(shift=2)")
    cache = output.with_suffix(".trajectories")
    average = distill_map(net, teacher, path, recipe, checkpoint, cache, report, until=late)
    options = f"--steps {steps} --batch {batch} --rate {rate} --decay {decay} --chunks {chunks} --seed {seed}"
    note = f"`symsi distill {teacher.name} {options}`, {(time.monotonic() - started) / 60:.0f} minutes"
    save_map(output, average, own.config, teacher, _SCHEDULE, asdict(recipe), note=note, force=force)
    click.echo(f"{sum(w.numel() for w in average.values())} weights: {output}; {checkpoint} lets it go on")

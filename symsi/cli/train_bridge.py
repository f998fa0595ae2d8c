"""`symsi train bridge`: the bridge from degraded images to images, and the regression beside it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor

from symsi.models.datasets import Dataset, dataset
from symsi.models.pretrained_bridge import save_bridge
from symsi.models.restoring import BLOCK, HEADS, SIGMA, Restorer, degrade
from symsi.models.two_sided import BridgeModel
from symsi.models.unet import Config, UNet
from symsi.processes.ranks import Ranks
from symsi.training.bridging import BridgeRecipe, train_bridge
from symsi.training.running import check_weights, reporter, until

__all__ = ["bridge"]

_PAIRS = 128  # held out, for the loss in the log


@click.command("bridge")
@click.argument("output", type=click.Path(path_type=Path), metavar="OUTPUT.safetensors")
@click.option("--dataset", "name", default="mnist", show_default=True, metavar="mnist|fashion")
@click.option("--data", type=click.Path(path_type=Path), help="Where the images lie, as for `symsi train flow`.")
@click.option("--regression", is_flag=True, help="Train the mean of the image given the degraded one instead.")
@click.option("--gamma", default="brownian(a=0.0625)", show_default=True, metavar="NAME|EXPR", help="Of the latent.")
@click.option("--steps", default=2100, show_default=True, type=click.IntRange(1), help="Of --batch pairs each.")
@click.option("--batch", default=32, show_default=True, type=click.IntRange(1))
@click.option("--rate", default=1e-3, show_default=True, type=click.FloatRange(0, min_open=True))
@click.option(
    "--decay",
    default=0.6,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True),
    help="Share of the steps over which the rate falls to 0.",
)
@click.option(
    "--minutes", type=click.FloatRange(0, min_open=True), help="Stop then at the latest; the bridge so far is written."
)
@click.option("--seed", default=0, show_default=True)
@click.option("--force", is_flag=True, help="Replace the weights if they are there.")
def bridge(
    output: Path,
    name: str,
    data: Path | None,
    regression: bool,
    gamma: str,
    steps: int,
    batch: int,
    rate: float,
    decay: float,
    minutes: float | None,
    seed: int,
    force: bool,
) -> None:
    """Train a U-Net to bridge from degraded images to images, velocity and latent in one; 40 minutes on a core.

    Degraded are means of 4 x 4 pixels, enlarged, with noise; each is paired with its image. OUTPUT.checkpoint is
    written every 50 steps: the same command goes on from there, with other --steps, --decay or --minutes too. The log,
    with losses of held-out pairs, goes to OUTPUT.log. Under torchrun processes share the rows of each batch.
    """
    check_weights(output, force=force)
    late, given = until(minutes), dataset(name)
    x0, x1 = _pairs(given, data, "train", 2 * seed)
    held_out = _pairs(given, data, "test", 2 * seed + 1)
    recipe = BridgeRecipe(steps=steps, batch=batch, rate=rate, decay=decay, seed=seed)
    if regression:
        recipe = BridgeRecipe(**{**asdict(recipe), "predictions": ("ends",), "antithetic": False, "at": 0.0})
    torch.manual_seed(seed)
    shape = tuple(x0.shape[1:])
    net = Restorer(UNet(Config(channels=HEADS * shape[0], classes=0)), len(recipe.predictions))
    net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    model = BridgeModel(
        net,
        f"linear(gamma={gamma})",
        "velocity" if regression else recipe.predictions,
        shape,
        output.stem,
        offset=given.mean,
        gain=given.std,
    )
    checkpoint, pairs = output.with_suffix(".checkpoint"), (x0, x1, held_out)
    with Ranks.join() as ranks:
        report = reporter(output, click.echo, ranks, force=force)
        told: dict[str, Any] = {"start": True, "until": late, "run": name, "ranks": ranks}
        average = train_bridge(net, *pairs, model.interpolant, recipe, checkpoint, report, **told)
        if ranks.rank:
            return
    options = f"--dataset {name} --gamma {gamma!r} --steps {steps} --batch {batch} --rate {rate} --decay {decay}"
    options += f" --seed {seed}" + " --regression" * regression
    note = f"x0: means of {BLOCK} x {BLOCK} pixels, enlarged, with noise of {SIGMA} standard deviations of the pixels; "
    note += f"the 60 000 training images of {given.source}; `symsi train bridge {options}`"
    save_bridge(output, average, model, asdict(recipe), note=note, force=force)
    click.echo(f"{sum(w.numel() for w in average.values())} weights: {output}; {checkpoint} lets it go on")


def _pairs(given: Dataset, path: Path | None, part: str, seed: int) -> tuple[Tensor, Tensor]:
    """The images of a part and what they degrade to: all of "train", the first few of "test"."""
    images, _ = given.read(path, part)
    images = images if part == "train" else images[:_PAIRS]
    return degrade(images, torch.randn(images.shape, generator=torch.Generator().manual_seed(seed))), images

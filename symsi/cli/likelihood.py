"""`symsi likelihood`: how likely a model finds data, in bits a dimension."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch import Tensor

from symsi.cli.options import read_grid
from symsi.errors import SymsiError
from symsi.models.datasets import DATASETS, dataset
from symsi.models.pretrained import load
from symsi.models.protocol import Model
from symsi.models.reference import load as load_reference
from symsi.sampling.arrays import READ, read_samples
from symsi.sampling.likelihood import DIVERGENCES, log_likelihood

__all__ = ["command"]


@click.command("likelihood")
@click.argument("model", metavar="MODEL")
@click.option(
    "--data",
    required=True,
    metavar="|".join([*DATASETS, "FILE"]),
    help="Held-out images of a data set, with noise within each of the 256 levels; or samples (N, ...) in the units of "
    "the data as .npy, or those that `symsi sample` wrote as .npz or .safetensors, as they are.",
)
@click.option("--folder", type=click.Path(path_type=Path), metavar="PATH", help="Where the data set's files lie.")
@click.option("--count", default=16, show_default=True, type=click.IntRange(1), help="Samples, the first ones.")
@click.option("--schedule", default="trigonometric", show_default=True, metavar="NAME", help="The path back to noise.")
@click.option("--solver", metavar="NAME", help="dopri5 (6 evaluations a step), rk4, heun, ab2, euler. Default: dopri5.")
@click.option("--steps", type=int, help="Steps.  [default: 8]")
@click.option(
    "--grid",
    metavar="NAME|TIMES",
    help="As in `symsi sample`, or times such as 0,0.5,0.9: one that ends short of 1 takes the data for noisy samples.",
)
@click.option("--reference", type=click.Path(path_type=Path), metavar="FILE", help="See `symsi calibrate reference`.")
@click.option(
    "--divergence",
    type=click.Choice(DIVERGENCES),
    help="A product with the Jacobian a dimension, or a probe. Default: exact up to 64 dimensions.",
)
@click.option("--probes", default=8, show_default=True, type=click.IntRange(2), help="Of hutchinson.")
@click.option("--seed", default=0, show_default=True, help="The probes of sample i depend on (seed, i) alone.")
@click.option("--batch", default=64, show_default=True, type=click.IntRange(1), help="Samples a call at most.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with a number for each sample.")
def command(
    model: str,
    data: str,
    folder: Path | None,
    count: int,
    schedule: str,
    solver: str | None,
    steps: int | None,
    grid: str | None,
    reference: Path | None,
    divergence: str | None,
    probes: int,
    seed: int,
    batch: int,
    as_json: bool,
) -> None:
    """Print the bits a dimension of data under a model: -log2 p(x) / D, less for what it finds likelier.

    The samples go back to noise along the probability-flow ODE, and its divergence is added up. The units are those of
    the data, pixels in [0, 1] for images: add 8 to compare with models of 256 levels. Raise --steps until the bits
    stay: networks are steep close to the data.

    \b
    Examples:
      symsi likelihood digits8 --data digits.npy --count 8
      symsi likelihood digits28 --data mnist --count 16 --solver ab2 --steps 48 --probes 4
      symsi likelihood digits28 --data fashion --json
    """
    network = load(model)
    x = _samples(network, data, folder, count, seed)
    found = log_likelihood(
        network,
        x,
        schedule=schedule,
        solver=solver,
        steps=steps,
        grid=None if grid is None else read_grid(grid),
        reference=None if reference is None else load_reference(reference),
        divergence=divergence,
        probes=probes,
        seed=seed,
        batch=batch,
    )
    bits = found.bits_per_dim + float(np.log2(abs(network.gain)))
    mean, spread = float(bits.mean()), float(bits.std() if len(bits) > 1 else 0.0)
    error = float(found.bits_error.square().sum().sqrt()) / len(bits)
    if as_json:
        row: dict[str, Any] = {"model": model, "data": data, "samples": len(bits), "bits_per_dim": mean}
        row |= {"standard_error": error, "spread": spread, "nfe": found.nfe, "products": found.products}
        row |= {"each": bits.tolist(), "each_standard_error": found.bits_error.tolist()}
        click.echo(json.dumps(row, indent=1))
        return
    click.echo(
        f"{len(bits)} samples of {data}: {mean:.4f} bits a dimension (standard error of the probes {error:.2g}, "
        f"spread of the samples {spread:.2g}), {found.nfe} evaluations and {found.products} products in each"
    )


def _samples(model: Model, data: str, folder: Path | None, count: int, seed: int) -> Tensor:
    """The first samples of a data set or file, in model units. Raises SymsiError for what holds no samples."""
    if data in DATASETS:
        known = dataset(data)
        images, _ = known.read(folder, "test")
        generator = torch.Generator().manual_seed(seed)
        pixels = images[:count] * known.std + known.mean
        pixels = (255 * pixels + torch.rand(pixels.shape, generator=generator)) / 256
        return (pixels - model.offset) / model.gain
    if folder is not None:
        raise SymsiError(f"--folder is where the files of {' or '.join(DATASETS)} lie; --data is {data}.")
    path = Path(data)
    if path.suffix not in READ:
        raise SymsiError(
            f"--data is {', '.join(DATASETS)}, or a .npy, .npz or .safetensors file of samples (N, ...); got {data!r}."
        )
    found = read_samples(path)[:count]
    found = found if found.is_floating_point() else found.to(torch.float32)
    return (found - model.offset) / model.gain if path.suffix == ".npy" else found

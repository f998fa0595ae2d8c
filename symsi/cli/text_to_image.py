"""`symsi sample --pipeline`, `symsi calibrate reference --pipeline` and `solver --pipeline`: pipelines of diffusers."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from matplotlib.image import imread
from torch import Tensor

from symsi.errors import SymsiError
from symsi.files import check_regular, read_text, trouble
from symsi.metrics import rmse
from symsi.models.protocol import Model
from symsi.plotting.mosaic import PICTURES, check_picture
from symsi.plotting.pictures import plot_images

__all__ = ["latents", "model_of_pipeline", "sample_pipeline"]

_PROMPTS = 2**24  # bytes
_PIXELS = 2**26
_MORE = 4  # times the steps, of the samples that --compare takes for converged


def sample_pipeline(
    output: Path,
    where: str,
    prompts: Sequence[str],
    *,
    steps: int,
    count: int,
    seed: int,
    compare: bool,
    config: dict[str, Any],
    call: dict[str, Any],
    device: str,
    dtype: str,
    force: bool,
) -> None:
    """Draw samples of a pipeline under the lazy scheduler of this config, and write the picture.

    With `compare`, beside those of its own scheduler at as many steps as ours evaluates and at four times as many, from
    the same seeds, with the root mean square difference to the latter. Raises SymsiError before the pipeline is loaded
    for an output that is no picture, for a missing prompt, and for settings that do not go together.
    """
    if output.suffix not in PICTURES:
        raise SymsiError(f"--pipeline writes a picture ({', '.join(PICTURES)}); got {output.name!r}.")
    check_picture(output, force=force)
    checked = None if "plan" in config else {**config, "steps": steps}
    pipe, tools = _load(where, prompts, device, dtype, checked)
    own, lazy = pipe.scheduler, tools.lazy_scheduler(pipe, **config)

    def run(scheduler: Any, n: int) -> Tensor:
        pipe.scheduler = scheduler
        found: Tensor = tools.generate(pipe, prompts, n, count, seed=seed, **call)
        return found

    evaluations = steps * lazy.order
    panels, titles = [run(lazy, steps)], [f"{type(lazy).__name__}, {evaluations} evaluations"]
    if compare:
        for n in (evaluations, _MORE * evaluations):
            panels.append(run(own, n))
            titles.append(f"{type(own).__name__}, {n} steps")
    plot_images(panels, output, titles=titles, force=force)
    click.echo(f"{count} images at {steps} steps, {evaluations} evaluations each: {output}")
    if compare:
        ours, theirs = (rmse(panel, panels[2]) for panel in panels[:2])
        far = f"rms difference to {_MORE * evaluations} steps of its own"
        click.echo(f"{far}: {ours:.4f}; its own at {evaluations}: {theirs:.4f}")


def latents(
    where: str,
    prompts: Sequence[str],
    images: Path | None,
    *,
    steps: int,
    count: int,
    seed: int,
    kind: str | None,
    call: dict[str, Any],
    device: str,
    dtype: str,
) -> Tensor:
    """Return latents of a pipeline, of a folder of pictures or of its own samples, to calibrate a reference on.

    Raises SymsiError for kinds of modes that need images where the latents are tokens.
    """
    pipe, tools = _load(where, prompts if images is None else ("",), device, dtype)
    if images is not None:
        found: Tensor = tools.encode(pipe, _pictures(images))
    else:
        found = tools.generate(pipe, prompts, steps, count, seed=seed, latent=True, **call)
    if found.ndim != 4 and kind in ("channel", "dct"):
        raise SymsiError(
            f"the latents of {type(pipe).__name__} are tokens {tuple(found.shape[1:])}, without rows and columns; use "
            "--kind isotropic or --kind pca."
        )
    return found


def model_of_pipeline(where: str, prompts: Path | None, *, call: dict[str, Any], device: str, dtype: str) -> Model:
    """Return a pipeline as a model, conditioned on the prompts of a file, one a line.

    Raises SymsiError, before the pipeline is loaded, for a file that is missing, no text, or empty.
    """
    if prompts is None:
        raise SymsiError("--pipeline needs --prompts FILE.txt, one prompt a line.")
    try:
        lines = read_text(prompts, _PROMPTS).splitlines()
    except (OSError, ValueError) as error:
        raise SymsiError(f"cannot read prompts from {prompts}: {trouble(error)}.") from None
    texts = [line.strip() for line in lines if line.strip()]
    if not texts:
        raise SymsiError(f"{prompts} has no prompts; write one a line.")
    pipe, _ = _load(where, texts, device, dtype)
    given = {key: value for key, value in call.items() if value is not None}
    found: Model = import_module("symsi.diffusers").pipeline_model(pipe, texts, **given)
    return found


def _load(
    where: str, prompts: Sequence[str], device: str, dtype: str, config: Mapping[str, Any] | None = None
) -> tuple[Any, Any]:
    """Load a pipeline, when all that can be checked without it is well; return it with the tools for it."""
    if not prompts:
        raise SymsiError("--pipeline needs --prompt TEXT; it may be repeated, prompts are taken in turn.")
    import_module("symsi.diffusers")  # says which extra is missing
    tools = import_module("symsi.adapters.diffusers.loading")
    if config is not None:
        tools.check_method(**config)
    pipe = tools.load_pipeline(where, device=device, dtype=getattr(torch, dtype))
    pipe.set_progress_bar_config(leave=False)
    return pipe, tools


def _pictures(folder: Path) -> Tensor:
    """Read a folder of PNG files of one size, as (N, 3, H, W) in [0, 1]."""
    names = sorted(folder.glob("*.png")) if folder.is_dir() else []
    if not names:
        raise SymsiError(f"--images takes a folder of .png files of one size; {folder} has none.")
    read: list[np.ndarray[Any, Any]] = []
    for name in names:
        try:
            _check_size(name)
            image = np.asarray(imread(name), dtype=np.float32)
        except (OSError, ValueError, SyntaxError) as error:
            raise SymsiError(f"cannot read the picture {name}: {trouble(error)}.") from None
        image = image[..., None].repeat(3, -1) if image.ndim == 2 else image[..., :3]
        if read and image.shape != read[0].shape:
            raise SymsiError(f"{name} is {image.shape[:2]}, {names[0].name} {read[0].shape[:2]}; give one size.")
        read.append(image)
    return torch.from_numpy(np.stack(read)).permute(0, 3, 1, 2)


def _check_size(name: Path) -> None:
    """Raise ValueError for what is no PNG file, or would unpack to more than `_PIXELS`."""
    check_regular(name)
    with name.open("rb") as file:
        head = file.read(24)
    if head[:8] != b"\x89PNG\r\n\x1a\n" or len(head) < 24:
        raise ValueError("it is no PNG file")
    width, height = struct.unpack(">II", head[16:])
    if width * height > _PIXELS:
        raise ValueError(f"it has {width} x {height} pixels, more than {_PIXELS}")

"""Whole pipelines: loaded from a folder or the Hub, given a lazy scheduler, run for images or for their latents."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DiffusionPipeline
from diffusers import __version__ as _diffusers
from safetensors import SafetensorError
from torch import Tensor

from symsi.adapters.diffusers.config import as_flow_config
from symsi.adapters.diffusers.diffusion import LazyDiffusionScheduler
from symsi.adapters.diffusers.flow_match import LazyFlowMatchScheduler
from symsi.adapters.diffusers.method import make_method
from symsi.errors import SchedulerError, SymsiError
from symsi.files import read_data
from symsi.models.protocol import as_device

__all__ = ["check_call", "check_method", "encode", "generate", "lazy_scheduler", "load_pipeline"]

# Later versions of diffusers warn of the older name; earlier ones do not know the other.
_DTYPE = "dtype" if tuple(map(int, _diffusers.split(".")[:2])) >= (0, 41) else "torch_dtype"


def load_pipeline(where: str, *, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Any:
    """Return the pipeline of a folder that `save_pretrained` wrote, or of a repository of the Hub.

    Weights are read from safetensors only, all in one dtype. Raises SymsiError where there is no such pipeline, or no
    network.
    """
    folder, place = Path(where), as_device(device)
    if not folder.exists() and (where.startswith((".", "/", "~")) or where.count("/") != 1):
        raise SymsiError(f"there is no folder {where}; give one that save_pretrained made, or OWNER/NAME on the Hub.")
    given: dict[str, Any] = {_DTYPE: dtype}
    try:
        if folder.exists():
            given |= dict.fromkeys(_absent(folder)) | {"local_files_only": True}
        pipe = DiffusionPipeline.from_pretrained(where, use_safetensors=True, **given)
    except (OSError, ValueError, ImportError, AttributeError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        hint = (
            ""
            if folder.exists()
            else " There is no such folder here, and the Hub did not give it; on a machine with network: "
            f"`hf download {where} --local-dir FOLDER`."
        )
        raise SymsiError(f"cannot load the pipeline {where!r}.{hint} ({reason})") from None
    return pipe.to(place)


def _absent(folder: Path) -> list[str]:
    """Components that a pipeline was saved without, such as SD3's third text encoder. Raises SymsiError, ValueError."""
    index = folder / "model_index.json"
    if not index.is_file():
        raise SymsiError(f"{folder} is no pipeline: it has no model_index.json. Give a folder of save_pretrained.")
    held = read_data(index)
    if not isinstance(held, dict):
        raise SymsiError(f"{index} holds {type(held).__name__}, not the parts of a pipeline by name.")
    return [name for name, kind in held.items() if kind == [None, None]]


def check_method(
    schedule: str | None,
    diffusion: str,
    solver: str | None,
    last: str | None,
    reference: str | None,
    grid: Any,
    steps: int,
) -> None:
    """Raise SymsiError for the settings of a lazy scheduler that cannot go together, whatever the pipeline."""
    method = make_method(schedule or "trigonometric", diffusion, solver, last, "velocity", reference)
    if grid is not None:
        method.taus(grid, steps)


def lazy_scheduler(pipe: Any, **options: Any) -> Any:
    """Return the lazy scheduler that fits the pipeline's own: of flow models, or of diffusion models.

    `options` are its config, such as schedule, solver or plan; None is left out. Diffusion models get trailing
    timesteps. Raises SymsiError where neither fits.
    """
    config, given = pipe.scheduler.config, {key: value for key, value in options.items() if value is not None}
    try:
        as_flow_config(config)
    except SchedulerError:
        if "beta_schedule" not in config:
            raise
        return LazyDiffusionScheduler.from_config(config, **{"timestep_spacing": "trailing", **given})
    return LazyFlowMatchScheduler.from_config(config, **given)


def check_call(pipe: Any, names: Sequence[str]) -> None:
    """Raise SymsiError for a pipeline whose call has not these arguments, and for one that makes videos."""
    known = inspect.signature(pipe.__call__).parameters
    for name in names:
        if name not in known:
            raise SymsiError(f"{type(pipe).__name__} has no argument {name!r}; it takes {', '.join(known)}.")
    if "num_frames" in known:
        raise SymsiError(f"{type(pipe).__name__} makes videos, which are not drawn here; use its scheduler in Python.")


def generate(
    pipe: Any, prompts: Sequence[str], steps: int, count: int, *, seed: int = 0, latent: bool = False, **options: Any
) -> Tensor:
    """Return `count` samples, prompts in turn: images (N, 3, H, W) in [0, 1], or latents as the scheduler sees them.

    Sample i starts from a generator of seed + i, which is also the seed of the noise in its steps. `options` go to the
    pipeline's call; None is left to it. Raises SymsiError for a pipeline without prompts, for an option that its call
    does not have, and for what the pipeline refuses.
    """
    given = {key: value for key, value in options.items() if value is not None}
    check_call(pipe, ("prompt", "num_inference_steps", *given))
    found, scheduler = [], pipe.scheduler
    try:
        for k in range(count):
            if "seed" in scheduler.config:
                pipe.scheduler = type(scheduler).from_config(scheduler.config, seed=seed + k)
            call = pipe(
                prompt=prompts[k % len(prompts)],
                num_inference_steps=steps,
                output_type="latent" if latent else "pt",
                generator=torch.Generator().manual_seed(seed + k),
                **given,
            )
            found.append(torch.as_tensor(call.images).float().cpu())
    except (ValueError, TypeError, RuntimeError) as error:
        raise error if isinstance(error, SymsiError) else SymsiError(f"{type(pipe).__name__}: {error}") from None
    finally:
        pipe.scheduler = scheduler
    return torch.cat(found)


@torch.no_grad()
def encode(pipe: Any, images: Tensor) -> Tensor:
    """Return the latents of images (N, 3, H, W) in [0, 1], as the scheduler sees them: (z - shift) scale.

    z is the mode of the encoder's law. Raises SymsiError for a pipeline without an autoencoder, and for one that packs
    its latents into tokens.
    """
    vae = getattr(pipe, "vae", None)
    if not isinstance(vae, AutoencoderKL):
        what = "no autoencoder" if vae is None else f"a {type(vae).__name__}, which is not read here"
        raise SymsiError(f"{type(pipe).__name__} has {what}; calibrate on its own samples, with --prompt.")
    if hasattr(pipe, "_pack_latents"):
        raise SymsiError(
            f"{type(pipe).__name__} packs its latents into tokens; calibrate on its own samples, with --prompt."
        )
    first = next(vae.parameters())
    found = []
    for image in images:
        z = vae.encode((2 * image[None] - 1).to(first)).latent_dist.mode()
        found.append(((z - (vae.config.shift_factor or 0.0)) * vae.config.scaling_factor).float().cpu())
    return torch.cat(found)

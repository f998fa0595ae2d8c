"""Steering a pipeline: images of one prompt that a reward prefers, by the pipeline's own call."""

from __future__ import annotations

import hashlib
import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import DiffusionPipeline
from torch import Tensor

from symsi.adapters.diffusers.loading import check_call
from symsi.adapters.diffusers.outputs import check_output, shown
from symsi.adapters.diffusers.probe import Asked
from symsi.errors import SymsiError
from symsi.models.protocol import Model
from symsi.sampling.inputs import whole_number
from symsi.steering.budget import Budget
from symsi.steering.result import Steered
from symsi.steering.steer import steer as steer_model

__all__ = ["SteeredImages", "steer"]

_OPTIONS = frozenset(inspect.signature(steer_model).parameters)
# What is no argument here, and what takes its place.
_INSTEAD = {
    **dict.fromkeys(("model", "decode", "conditions", "shape", "dtype", "device", "cost"), "the pipeline says it"),
    "guidance": "the pipeline guides by itself; give guidance_scale",
    "num_inference_steps": "give steps",
    "generator": "give seed",
    "latents": "give seed",
    "num_images_per_prompt": "give particles",
    "sigmas": "give grid",
    "timesteps": "give grid",
    "callback_on_step_end": "give callback",
    "return_dict": "the result is a SteeredImages",
}
_HOW_TO_SAMPLE = ("plan", "preset", "grid")


@dataclass(frozen=True, eq=False)
class SteeredImages:
    """The images of `result.x`, in its order, and the run: rewards, weights, evaluations, calls of the reward.

    `images` are a list of PIL images, or (N, H, W, 3), (N, 3, H, W) in [0, 1], or the latents.
    """

    images: Any
    result: Steered

    @property
    def best(self) -> Any:
        """The image of the highest reward."""
        return self.images[int(self.result.rewards.argmax())]

    def __repr__(self) -> str:
        return f"<SteeredImages: {len(self.images)} images of {self.result!r}>"


def steer(
    pipe: Any,
    reward: Callable[..., Tensor],
    *,
    prompt: str | None = None,
    method: str = "smc",
    budget: Budget | int = 500,
    guidance_scale: float | None = None,
    height: int | None = None,
    width: int | None = None,
    steps: int | None = None,
    output_type: str = "pil",
    batch: int = 4,
    reward_batch: int = 4,
    **options: Any,
) -> SteeredImages:
    """Spend a budget of evaluations on images of a prompt that a reward prefers, by `symsi.steer`.

    pipe        a flow model's, text to image: StableDiffusion3Pipeline, FluxPipeline, ...; its call encodes the prompt
                once, guides, packs and decodes latents
    reward      reward(images) -> (B,) of images (B, 3, H, W) in [0, 1], float32; it gets t, the model time (1 for
                samples), and conditions = {"prompt": prompt} if it has arguments of these names
    budget      evaluations of the network, two a row where the pipeline guides by a second one (SD3's guidance_scale,
                FLUX's true_cfg_scale), beside the one row that shows the latents' shape; or Budget(nfe, rewards)
    guidance_scale, height, width   those of the pipeline's call
    steps       10 by default, on the grid of the pipeline's shift unless plan, preset or grid say otherwise
    output_type "pil", "np", "pt" or "latent"
    batch, reward_batch   rows a call of the pipeline, and of its decoder and the reward, at most; images are the same
    options     of `symsi.steer`: particles, children, temperature, twist, diffusion, seed, state, callback, progress,
                ...; all others are the pipeline's, such as negative_prompt, or prompt_embeds of one row instead of a
                prompt

    Raises SymsiError for several prompts, a pipeline of another kind, and as `symsi.steer`.
    """
    check_output(output_type)
    for name in options:
        if name in _INSTEAD:
            raise SymsiError(f"steer takes no {name} for a pipeline: {_INSTEAD[name]}.")
    told = {key: value for key, value in options.items() if key in _OPTIONS}
    call = {key: value for key, value in options.items() if key not in _OPTIONS}
    area = {"guidance_scale": guidance_scale, "height": height, "width": width}
    call |= {key: value for key, value in area.items() if value is not None}
    ready = _Ready(pipe, prompt, call)
    if bool(getattr(pipe, "_progress_bar_config", {}).get("disable")):
        told.setdefault("progress", False)
    if not any(told.get(name) is not None for name in _HOW_TO_SAMPLE):
        told["steps"] = 10 if steps is None else steps
        told |= {} if method == "sop" else {"grid": ready.grid}  # which has a grid of its own
    elif steps is not None:
        told["steps"] = steps
    reward_batch = whole_number("reward_batch", reward_batch, 1)
    result = steer_model(
        ready.model,
        reward,
        method,
        budget=budget,
        decode=ready.decode,
        conditions={"prompt": prompt},
        batch=batch,
        reward_batch=reward_batch,
        dtype=ready.first.dtype,
        device=ready.first.device,
        cost=ready.cost,
        **told,
    )
    if output_type == "latent":
        return SteeredImages(result.x, result)
    with torch.no_grad():
        images = torch.cat([ready.decode(x).cpu() for x in result.x.split(reward_batch)])
    return SteeredImages(shown(images, output_type), result)


class _Ready:
    """A pipeline and a prompt: the model, what a row of it costs, the decoder, and the grid of the pipeline's shift."""

    def __init__(self, pipe: Any, prompt: str | None, call: Mapping[str, Any]) -> None:
        if not isinstance(pipe, DiffusionPipeline) or not hasattr(pipe, "scheduler"):
            raise SymsiError(
                f"steer takes a pipeline of diffusers that has a scheduler; got {type(pipe).__name__}. For a model use "
                "symsi.steer(model, reward)."
            )
        _check_prompt(prompt, call)
        needed = ("prompt", "num_inference_steps", "latents", "output_type")
        check_call(pipe, (*needed, *(["num_images_per_prompt"] if prompt is not None else []), *call))
        self._asked = Asked(pipe, "steer that: symsi.steer(model, reward)")
        self._prompt, self._call = prompt, call
        start = torch.Generator().manual_seed(0)
        with _counted(pipe) as rows:
            self.first, _ = self._asked.predict(0.0, generator=start, **self._rows(1))
        self.cost = max(sum(rows), 1)
        about = repr([pipe.name_or_path, prompt, *sorted((key, _numbers(value)) for key, value in call.items())])
        self.model = Model(
            self._predict,
            prediction=self._asked.method.prediction,
            shape=tuple(self.first.shape[1:]),
            name=f"{self._asked.name} {hashlib.sha256(about.encode()).hexdigest()[:8]}",
        )

    @property
    def grid(self) -> str:
        """Uniform in the time of the config's shift, or of `mu`, by which the pipeline shifts for its image's size."""
        config, mu = self._asked.probe.config, self._asked.probe.mu
        shift = config.shift
        if config.use_dynamic_shifting and mu is not None:
            shift = mu if config.time_shift_type == "linear" else math.exp(mu)
        return f"shifted(shift={shift:.17g})" if shift > 0 else "uniform"

    def decode(self, x: Tensor) -> Tensor:
        """Return images (B, 3, H, W) in [0, 1] of latents."""
        return self._asked.images(latents=x, **self._rows(len(x)))

    def _predict(self, x: Tensor, t: Tensor, prompt: str | None) -> Tensor:
        state, found = self._asked.predict(float(t[0]), latents=x.to(self.first), **self._rows(len(x)))
        if state.shape != x.shape:
            raise SymsiError(
                f"{self._asked.name} steps on {tuple(state.shape)} where latents {tuple(x.shape)} were given."
            )
        return found.to(x) * self._asked.method.factor

    def _rows(self, count: int) -> dict[str, Any]:
        """The arguments of the call for so many images."""
        if self._prompt is not None:
            return {"prompt": self._prompt, "num_images_per_prompt": count, **self._call}
        return {key: v.expand(count, *v.shape[1:]) if _rowed(v) else v for key, v in self._call.items()}


@contextmanager
def _counted(pipe: Any) -> Iterator[list[int]]:
    """The rows of every call of a pipeline's network."""
    network = getattr(pipe, "transformer", None) or getattr(pipe, "unet", None)
    if network is None:
        raise SymsiError(
            f"{type(pipe).__name__} has neither transformer nor unet, whose evaluations are to be counted. Wrap its "
            "network as a symsi.Model, and steer that: symsi.steer(model, reward)."
        )
    rows: list[int] = []

    def count(network: Any, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        rows.append(next(len(value) for value in (*given, *named.values()) if isinstance(value, (Tensor, list))))

    hook = network.register_forward_pre_hook(count, with_kwargs=True)
    try:
        yield rows
    finally:
        hook.remove()


def _check_prompt(prompt: Any, call: Mapping[str, Any]) -> None:
    """Raise SymsiError unless there is one prompt, or one row of embeddings."""
    if isinstance(prompt, (list, tuple)):
        raise SymsiError(
            f"steer takes one prompt, a text; got {len(prompt)} in a {type(prompt).__name__}. Call it for each."
        )
    if prompt is None and not any(isinstance(value, Tensor) for value in call.values()):
        raise SymsiError("give prompt, a text, or what the pipeline takes instead, such as prompt_embeds of one row.")
    if prompt is not None and not isinstance(prompt, str):
        raise SymsiError(f"prompt must be a text; got {type(prompt).__name__}.")
    for name, value in call.items():
        if isinstance(value, Tensor) and value.ndim > 1 and len(value) > 1:
            raise SymsiError(f"{name} has {len(value)} rows; steer takes one prompt, a row for all particles.")
        if name.startswith(("prompt_", "negative_prompt")) and isinstance(value, (list, tuple)):
            raise SymsiError(f"{name} must be one, for all particles; got {len(value)} in a {type(value).__name__}.")


def _rowed(value: Any) -> bool:
    return isinstance(value, Tensor) and value.ndim > 1 and len(value) == 1


def _numbers(value: Any) -> Any:
    """A tensor as its numbers, for what tells calls apart."""
    if not isinstance(value, Tensor):
        return repr(value)
    return tuple(value.shape), hashlib.sha256(value.detach().float().cpu().numpy().tobytes()).hexdigest()

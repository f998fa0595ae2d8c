"""A pipeline behind a probe: what its network predicts at one state and time, and the images that latents are."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from diffusers.schedulers.scheduling_utils import SchedulerOutput
from torch import Tensor

from symsi.adapters.diffusers.flow_match import LazyFlowMatchScheduler
from symsi.adapters.diffusers.method import Method
from symsi.adapters.diffusers.planned import SAID
from symsi.errors import SchedulerError, SymsiError

__all__ = ["Asked", "Probe"]

_COPIES = "num_images_per_prompt"


class Probe(LazyFlowMatchScheduler):
    """A scheduler of one evaluation, at the model time `tau`, that keeps the state and the prediction it is given.

    Without a time there is no evaluation, and latents stay what they are. `mu` is what the pipeline shifts by.
    """

    tau: float | None = 0.0
    mu: float | None = None
    seen: tuple[Tensor, Tensor] | None = None

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: str | torch.device | None = None,
        sigmas: Any = None,
        mu: float | None = None,
        timesteps: Any = None,
    ) -> None:
        """Be at `tau`, whatever is asked for."""
        rising = self.config.invert_sigmas
        levels = [] if self.tau is None else [self.tau if rising else 1 - self.tau]
        self.sigmas = torch.tensor([*levels, 1.0 if rising else 0.0], device=device)
        self.timesteps = self.sigmas[:-1] * self.config.num_train_timesteps
        self.num_inference_steps, self.mu, self.seen = len(levels), mu, None

    def set_begin_index(self, begin_index: int = 0) -> None:
        """There is one evaluation."""

    def step(
        self, model_output: Tensor, timestep: Any, sample: Tensor, *args: Any, return_dict: bool = True, **options: Any
    ) -> SchedulerOutput | tuple[Tensor]:
        """Keep what is given, and leave the state as it is."""
        self.seen = sample, model_output
        return SchedulerOutput(prev_sample=sample) if return_dict else (sample,)


class Asked:
    """A flow model's pipeline that is asked through its own call, which encodes each text once.

    Raises SymsiError for a pipeline of another kind of model, saying what to do `instead`.
    """

    def __init__(self, pipe: Any, instead: str) -> None:
        self.name = type(pipe).__name__
        config = {key: value for key, value in pipe.scheduler.config.items() if key not in (*SAID, "plan")}
        try:
            self.probe: Probe = Probe.from_config(config)
        except SchedulerError as error:
            raise SymsiError(
                f"{self.name} is no flow model's pipeline, whose network can be asked at any noise level. Wrap its "
                f"network as a symsi.Model with its schedule and prediction, and {instead}. ({error})"
            ) from None
        self.method: Method = self.probe._driver.method
        self._pipe, self._known = pipe, dict[str, Any]()

    def predict(self, tau: float, **call: Any) -> tuple[Tensor, Tensor]:
        """Return the state and the network's prediction at `tau`. Raises SymsiError for what the pipeline refuses."""
        self.probe.tau = tau
        with torch.no_grad():
            self._call(type(self._pipe).__call__, output_type="latent", **call)
        seen: tuple[Tensor, Tensor] | None = self.probe.seen
        if seen is None:
            raise SymsiError(f"{self.name} gave its scheduler nothing to step with.")
        return seen

    def images(self, **call: Any) -> Tensor:
        """Return images (B, 3, H, W) in [0, 1] of `latents`, in float32, differentiable where gradients are wanted."""
        self.probe.tau = None
        found = self._call(inspect.unwrap(type(self._pipe).__call__), output_type="pt", **call).images
        if not isinstance(found, Tensor):
            raise SymsiError(f"{self.name} makes a {type(found).__name__} of output_type='pt', not a tensor of images.")
        return found.float()

    def _call(self, function: Callable[..., Any], **call: Any) -> Any:
        with _probed(self._pipe, self.probe, self._known):
            try:
                return function(self._pipe, num_inference_steps=1, **call)
            except torch.OutOfMemoryError:
                raise
            except (ValueError, TypeError, RuntimeError) as error:
                raise error if isinstance(error, SymsiError) else SymsiError(f"{self.name}: {error}") from None


@contextmanager
def _probed(pipe: Any, probe: Probe, known: dict[str, Any]) -> Iterator[None]:
    """Give a pipeline the probe and a memory of the texts it has encoded, without its bar; take them back."""
    scheduler, bar, encode = pipe.scheduler, dict(getattr(pipe, "_progress_bar_config", {})), _own(pipe)
    pipe.scheduler = probe
    pipe.set_progress_bar_config(**{**bar, "disable": True})
    if encode is not None:
        pipe.encode_prompt = _remembered(encode, known)
    try:
        yield
    finally:
        pipe.scheduler = scheduler
        pipe.set_progress_bar_config(**bar)
        if encode is not None:
            del pipe.encode_prompt
            if pipe.encode_prompt != encode:  # it was set on the pipeline itself
                pipe.encode_prompt = encode


def _own(pipe: Any) -> Callable[..., Any] | None:
    found: Callable[..., Any] | None = getattr(pipe, "encode_prompt", None)
    return found


def _remembered(encode: Callable[..., Any], known: dict[str, Any]) -> Callable[..., Any]:
    """An encoder that encodes what it is asked once; copies of one text are rows of it, repeated."""

    def remembered(*args: Any, **options: Any) -> Any:
        if any(isinstance(value, Tensor) for value in (*args, *options.values())):
            return encode(*args, **options)
        copies = options.get(_COPIES, 1) if isinstance(options.get("prompt"), str) else 1
        if copies > 1:
            options[_COPIES] = 1
        key = repr((args, sorted(options.items())))
        if key not in known:
            known[key] = encode(*args, **options)
        found = known[key]
        return found if copies == 1 else tuple(_repeated(value, copies) for value in found)

    return remembered


def _repeated(value: Any, copies: int) -> Any:
    one = isinstance(value, Tensor) and value.ndim > 1 and len(value) == 1
    return value.expand(copies, *value.shape[1:]) if one else value

"""A pipeline as a model: what it predicts at any state and time, guidance and all, asked through its own call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from diffusers.schedulers.scheduling_utils import SchedulerOutput
from torch import Tensor

from symsi.adapters.diffusers.flow_match import LazyFlowMatchScheduler
from symsi.adapters.diffusers.loading import check_call
from symsi.adapters.diffusers.planned import SAID
from symsi.errors import SchedulerError, SymsiError
from symsi.models.protocol import Model

__all__ = ["pipeline_model"]


class Probe(LazyFlowMatchScheduler):
    """A scheduler of one evaluation, at the model time `tau`, that keeps the state and the prediction it is given."""

    tau: float = 0.0
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
        level = self.tau if self.config.invert_sigmas else 1 - self.tau
        self.sigmas = torch.tensor([level, 1.0 if self.config.invert_sigmas else 0.0], device=device)
        self.timesteps = self.sigmas[:1] * self.config.num_train_timesteps
        self.num_inference_steps, self.seen = 1, None

    def set_begin_index(self, begin_index: int = 0) -> None:
        """There is one evaluation."""

    def step(
        self, model_output: Tensor, timestep: Any, sample: Tensor, *args: Any, return_dict: bool = True, **options: Any
    ) -> SchedulerOutput | tuple[Tensor]:
        """Keep what is given, and leave the state as it is."""
        self.seen = sample, model_output
        return SchedulerOutput(prev_sample=sample) if return_dict else (sample,)


def pipeline_model(pipe: Any, prompts: Sequence[str], **call: Any) -> Model:
    """Return a flow model's pipeline as a Model, for `symsi.fit_solver`.

    Its condition `label` (N,) is the number of each sample's prompt, by default in turn; `call` are arguments of the
    pipeline's call, such as guidance_scale, height and width: the prediction is the guided one. A sample is the latents
    as its scheduler sees them. Every evaluation is a call of one step, texts are encoded once. Raises SymsiError for a
    pipeline of a diffusion model, one without prompts, latents or such arguments, and what the pipeline refuses.
    """
    if not prompts or not all(isinstance(text, str) for text in prompts):
        raise SymsiError("prompts must be one text or more.")
    check_call(pipe, ("prompt", "num_inference_steps", "latents", "output_type", *call))
    name = type(pipe).__name__
    config = {key: value for key, value in pipe.scheduler.config.items() if key not in (*SAID, "plan")}
    try:
        probe: Probe = Probe.from_config(config)
    except SchedulerError as error:
        raise SymsiError(
            f"{name} is no flow model's pipeline, whose network can be asked at any noise level. Wrap its network as a "
            "symsi.Model with its schedule and prediction, and fit to that: symsi.fit_solver(model, steps). "
            f"({error})"
        ) from None
    method = probe._driver.method
    known: dict[str, Any] = {}

    def ask(tau: float, texts: list[str], **start: Any) -> tuple[Tensor, Tensor]:
        probe.tau = tau
        with _probed(pipe, probe, known), torch.no_grad():
            try:
                pipe(prompt=texts, num_inference_steps=1, output_type="latent", **start, **call)
            except (ValueError, TypeError, RuntimeError) as error:
                raise error if isinstance(error, SymsiError) else SymsiError(f"{name}: {error}") from None
        seen: tuple[Tensor, Tensor] | None = probe.seen
        if seen is None:
            raise SymsiError(f"{name} gave its scheduler nothing to step with.")
        return seen

    first, _ = ask(0.0, [prompts[0]], generator=torch.Generator().manual_seed(0))

    def predict(x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        if bool((t != t[0]).any()):
            raise SymsiError(f"{name} is asked at one time a call; got {t.tolist()}.")
        texts = [prompts[int(k)] for k in label.expand(len(x))]
        state, found = ask(float(t[0]), texts, latents=x.to(first))
        if state.shape != x.shape:
            raise SymsiError(f"{name} steps on {tuple(state.shape)} where latents {tuple(x.shape)} were given.")
        return found.to(x) * method.factor

    shape = tuple(first.shape[1:])
    return Model(predict, prediction=method.prediction, shape=shape, name=name, classes=len(prompts))


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
    def remembered(*args: Any, **options: Any) -> Any:
        if any(isinstance(value, Tensor) for value in (*args, *options.values())):
            return encode(*args, **options)
        key = repr((args, sorted(options.items())))
        if key not in known:
            known[key] = encode(*args, **options)
        return known[key]

    return remembered

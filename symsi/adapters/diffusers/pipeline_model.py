"""A pipeline as a model: what it predicts at any state and time, guidance and all, asked through its own call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from symsi.adapters.diffusers.loading import check_call
from symsi.adapters.diffusers.probe import Asked
from symsi.errors import SymsiError
from symsi.models.protocol import Model

__all__ = ["pipeline_model"]


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
    asked = Asked(pipe, "fit to that: symsi.fit_solver(model, steps)")
    first, _ = asked.predict(0.0, prompt=[prompts[0]], generator=torch.Generator().manual_seed(0), **call)

    def predict(x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        if bool((t != t[0]).any()):
            raise SymsiError(f"{asked.name} is asked at one time a call; got {t.tolist()}.")
        texts = [prompts[int(k)] for k in label.expand(len(x))]
        state, found = asked.predict(float(t[0]), prompt=texts, latents=x.to(first), **call)
        if state.shape != x.shape:
            raise SymsiError(f"{asked.name} steps on {tuple(state.shape)} where latents {tuple(x.shape)} were given.")
        return found.to(x) * asked.method.factor

    shape = tuple(first.shape[1:])
    return Model(predict, prediction=asked.method.prediction, shape=shape, name=asked.name, classes=len(prompts))

"""The least pipeline: a model of symsi and any flow scheduler, driven as diffusers' own pipelines drive theirs."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import DiffusionPipeline
from torch import Tensor, nn

from symsi.errors import SymsiError
from symsi.models.protocol import Model

__all__ = ["FlowPipeline"]


class FlowPipeline(DiffusionPipeline):
    """Sample a model of the linear schedule with `pipe.scheduler`, whichever it is.

    The network is told timestep / 1000 as SD3's and FLUX's are, and gives noise - data.
    """

    def __init__(self, network: nn.Module, scheduler: Any) -> None:
        super().__init__()
        self.register_modules(network=network, scheduler=scheduler)

    @classmethod
    def of(cls, model: Model, scheduler: Any) -> FlowPipeline:
        """Make a pipeline of a model. Raises SymsiError unless it is a network that predicts the linear velocity."""
        if (
            not isinstance(model.function, nn.Module)
            or str(model.schedule) != "linear"
            or model.prediction != "velocity"
        ):
            raise SymsiError(f"a flow pipeline needs a network that predicts the linear velocity; got {model.name}.")
        return cls(model.function, scheduler)

    @torch.no_grad()
    def __call__(self, latents: Tensor, num_inference_steps: int = 4, sigmas: Any = None, **conditions: Any) -> Tensor:
        """Return the samples that the noise `latents` becomes, conditioned row by row; FLUX's, say, passes `sigmas`."""
        scheduler = self.scheduler
        scheduler.set_timesteps(num_inference_steps, **({} if sigmas is None else {"sigmas": sigmas}))
        x = latents
        for t in scheduler.timesteps:
            time = (1 - t / scheduler.config.num_train_timesteps).to(x.dtype)
            velocity = self.network(x, time.repeat(len(x)), **conditions)
            x = scheduler.step(-velocity, t, x, return_dict=False)[0]
        return x

"""A flow map as a pipeline of diffusers: images in one, two, four or any number of evaluations, saved and loaded.

A scheduler of diffusers is given the prediction at one time, and a map needs two; so this pipeline has none, and steps
by the map's own plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import ConfigMixin, DiffusionPipeline, ImagePipelineOutput, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from symsi.adapters.diffusers.outputs import check_output, shown
from symsi.errors import SymsiError
from symsi.models.flow_map import FlowMap
from symsi.models.map_net import MapNet
from symsi.models.unet import Config, UNet
from symsi.sampling.sample import sample
from symsi.solvers.flow_map import map_plan
from symsi.solvers.grids import Grid

__all__ = ["FlowMapNetwork", "FlowMapPipeline"]


class FlowMapNetwork(ModelMixin, ConfigMixin):
    """u_{s,t}(x) of a distilled map as a network of diffusers, with what a `symsi.FlowMap` says in its config."""

    @register_to_config
    def __init__(
        self,
        unet: dict[str, Any],
        shape: Sequence[int],
        base: str = "linear",
        schedule: str = "trigonometric",
        prediction: str = "velocity",
        gain: float = 1.0,
        offset: float = 0.0,
        name: str = "map",
        grid: str = "uniform",
    ) -> None:
        super().__init__()
        self.map = MapNet(UNet(Config.from_json(unet)), base, schedule, prediction)

    @classmethod
    def of(cls, flow: FlowMap) -> FlowMapNetwork:
        """Return the network of a map, with copies of its weights. Raises SymsiError for a map of another network."""
        net = flow.function
        if not isinstance(net, MapNet) or flow.shape is None:
            raise SymsiError(
                f"a pipeline is made of a map that symsi.distill or symsi.models.load_map gave; {flow.name} is none."
            )
        conversion = net.conversion
        found: FlowMapNetwork = cls(
            net.net.config.to_json(),
            list(flow.shape),
            str(conversion.base),
            str(conversion.target),
            conversion.prediction,
            flow.gain,
            flow.offset,
            flow.name,
            flow.grid,
        )
        found.map.load_state_dict(net.state_dict())
        weight = next(net.parameters())
        found.to(device=weight.device, dtype=weight.dtype).eval().requires_grad_(False)
        return found

    def forward(self, x: Tensor, s: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        """Return u_{s,t}(x)."""
        found: Tensor = self.map(x, s, t, label)
        return found

    def flow_map(self) -> FlowMap:
        """Return the map: X_{s,t}(x) = x + (t - s) u_{s,t}(x)."""
        said = self.config
        return FlowMap(
            self, said.schedule, tuple(said.shape), said.name, classes=said.unet["classes"], offset=said.offset,
            gain=said.gain, grid=said.grid,
        )  # fmt: skip


class FlowMapPipeline(DiffusionPipeline):
    """Images of a flow map, `pipe(class_labels=[3, 7], num_inference_steps=1)`; no scheduler.

    >>> pipe = symsi.diffusers.FlowMapPipeline.of(symsi.models.load_map("map.safetensors"))
    >>> pipe.save_pretrained("digits-map")  # FlowMapPipeline.from_pretrained("digits-map") reads it
    """

    model_cpu_offload_seq = "network"

    def __init__(self, network: FlowMapNetwork) -> None:
        super().__init__()
        self.register_modules(network=network)

    @classmethod
    def of(cls, flow: FlowMap) -> FlowMapPipeline:
        """Make a pipeline of a map. Raises SymsiError as `FlowMapNetwork.of`."""
        return cls(FlowMapNetwork.of(flow))

    @torch.no_grad()
    def __call__(
        self,
        class_labels: Sequence[int] | None = None,
        num_inference_steps: int = 1,
        *,
        batch_size: int = 1,
        grid: Grid | None = None,
        stochastic: bool | float = False,
        generator: torch.Generator | list[torch.Generator] | None = None,
        latents: Tensor | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
    ) -> ImagePipelineOutput | tuple[Any]:
        """Return images, "pil", "np" (B, H, W, C) or "pt" (B, C, H, W) in [0, 1], or as the map has them ("latent").

        A map with classes takes one for each image; another takes batch_size. `latents` is the unit noise to start
        from, (B, C, H, W); `grid` (one of times stands for num_inference_steps) and `stochastic` are those of
        `symsi.sample`, the grid by default the map's. Raises SymsiError for what does not fit.
        """
        check_output(output_type)
        flow, network = self.network.flow_map(), self.network
        if bool(flow.classes) != (class_labels is not None):
            takes = f"one of its {flow.classes} classes for each image" if flow.classes else "batch_size, no classes"
            raise SymsiError(f"{flow.name} takes {takes}: class_labels={class_labels}.")
        told = {} if class_labels is None else {"label": torch.as_tensor(class_labels, device=network.device)}
        whole = (batch_size if class_labels is None else len(class_labels), *(flow.shape or ()))
        steps = num_inference_steps if grid is None or isinstance(grid, str) else None
        plan = map_plan(flow, steps, grid, stochastic)

        def draw() -> Tensor:
            found: Tensor = randn_tensor(whole, generator=generator, device=network.device, dtype=torch.float32)
            return found

        with self.progress_bar(total=plan.evaluations) as bar:
            x = sample(
                flow,
                shape=whole,
                plan=plan,
                conditions=told,
                start=draw() if latents is None else latents,
                noise=torch.stack([draw() for _ in plan.grid[1:]]) if plan.stochastic else None,
                device=network.device,
                dtype=network.dtype,
                progress=False,
                callback=lambda snapshot: bar.update() and None,
            ).x
        self.maybe_free_model_hooks()
        images = x if output_type == "latent" else shown(x * flow.gain + flow.offset, output_type)
        return ImagePipelineOutput(images=images) if return_dict else (images,)


for _class in (FlowMapNetwork, FlowMapPipeline):
    _class.__module__ = "symsi.diffusers"  # where saved pipelines look for it

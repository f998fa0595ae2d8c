"""Schedulers for the pipelines of diffusers, a pipeline of a flow map, a pipeline as a model, steered pipelines.

`pip install "symsi[diffusers]"`.

A pipeline saved with one of them names this module: import it before `DiffusionPipeline.from_pretrained`.
"""

from symsi.adapters.diffusers import (
    FlowMapNetwork,
    FlowMapPipeline,
    LazyDiffusionScheduler,
    LazyFlowMatchScheduler,
    ModelMixin,
    SchedulerMixin,
    SteeredImages,
    pipeline_model,
    steer,
)

# diffusers loads a component by the base class of that name in its module.
__all__ = [
    "FlowMapNetwork",
    "FlowMapPipeline",
    "LazyDiffusionScheduler",
    "LazyFlowMatchScheduler",
    "ModelMixin",
    "SchedulerMixin",
    "SteeredImages",
    "pipeline_model",
    "steer",
]

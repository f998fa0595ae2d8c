"""symsi inside diffusers: what its pipelines call a scheduler, made of symsi's plans."""

from symsi.errors import MissingPackageError

try:
    from diffusers import ModelMixin, SchedulerMixin
except ImportError as error:
    raise MissingPackageError('symsi.diffusers needs diffusers; pip install "symsi[diffusers]".') from error

from symsi.adapters.diffusers.diffusion import LazyDiffusionScheduler
from symsi.adapters.diffusers.flow_match import LazyFlowMatchScheduler
from symsi.adapters.diffusers.map_pipeline import FlowMapNetwork, FlowMapPipeline
from symsi.adapters.diffusers.pipeline_model import pipeline_model
from symsi.adapters.diffusers.steering import SteeredImages, steer

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

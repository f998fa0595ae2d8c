"""Schedulers for the pipelines of diffusers; `pip install "symsi[diffusers]"`.

A pipeline saved with one of them names this module: import it before `DiffusionPipeline.from_pretrained`.
"""

from symsi.adapters.diffusers import LazyDiffusionScheduler, LazyFlowMatchScheduler, SchedulerMixin

# diffusers loads a component by the base class of that name in its module.
__all__ = ["LazyDiffusionScheduler", "LazyFlowMatchScheduler", "SchedulerMixin"]

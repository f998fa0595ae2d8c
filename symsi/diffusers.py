"""Schedulers for the pipelines of diffusers; `pip install "symsi[diffusers]"`.

A pipeline saved with one of them names this module: import it before `DiffusionPipeline.from_pretrained`.
"""

from symsi.adapters.diffusers import LazyFlowMatchScheduler

__all__ = ["LazyFlowMatchScheduler"]

"""Which scheduler configs are a flow model's, and which a diffusion model's."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from symsi.errors import SchedulerError, unknown

__all__ = ["as_diffusion_config", "as_flow_config", "check_settings"]

_DIFFUSION = ("beta_schedule", "beta_start", "trained_betas", "sigma_data", "prediction_type")
_FLOW_TYPES = ("flow_prediction", None)


def as_flow_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config of a flow scheduler, `flow_shift` read as `shift`.

    Raises SchedulerError for the config of another kind of model.
    """
    found = dict(config)
    flow = bool(found.get("use_flow_sigmas")) or found.get("prediction_type") == "flow_prediction"
    foreign = [key for key in _DIFFUSION if key in found]
    if foreign and not (flow and found.get("prediction_type") in _FLOW_TYPES):
        betas = "beta_schedule" in found or found.get("trained_betas") is not None
        advice = (
            "use LazyDiffusionScheduler for this model" if betas else
            "for models of other kinds, such as EDM's, wrap the network as a symsi.Model with its schedule"
        )  # fmt: skip
        raise SchedulerError(
            f"this is no flow model's config: {foreign[0]} = {found[foreign[0]]!r}, prediction_type = "
            f"{found.get('prediction_type')!r}. LazyFlowMatchScheduler serves the models that "
            "FlowMatchEulerDiscreteScheduler serves (SD3, FLUX, Z-Image, ...), or DPM-Solver and UniPC with "
            f"use_flow_sigmas=True and prediction_type='flow_prediction'; {advice}."
        )
    if "flow_shift" in found:
        found.setdefault("shift", found.pop("flow_shift"))
    return found


def as_diffusion_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the config of a scheduler of a variance-preserving diffusion model, as it is.

    Raises SchedulerError for the config of another kind of model.
    """
    kind = config.get("prediction_type", "epsilon")
    betas = "beta_schedule" in config or config.get("trained_betas") is not None
    if not betas or config.get("use_flow_sigmas") or kind not in ("epsilon", "sample", "v_prediction"):
        raise SchedulerError(
            f"this config is not that of a diffusion model trained with betas: prediction_type = {kind!r}, "
            f"beta_schedule = {config.get('beta_schedule')!r}. Use LazyFlowMatchScheduler for flow models."
        )
    return config


def check_settings(scheduler: type, names: Iterable[str]) -> None:
    """Raise UnknownNameError for keywords that are no settings of a scheduler; diffusers would drop them in silence."""
    known = [name for name in inspect.signature(scheduler).parameters if name != "self"]
    for name in names:
        if name not in known:
            raise unknown("setting", name, known)

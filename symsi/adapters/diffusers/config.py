"""Which scheduler configs are a flow model's, and which a diffusion model's."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from diffusers import SchedulerMixin
from diffusers.utils import logging

from symsi.errors import SchedulerError, unknown

__all__ = ["as_diffusion_config", "as_flow_config", "check_settings", "check_timesteps", "fast_grid"]

_DIFFUSION = ("beta_schedule", "beta_start", "trained_betas", "sigma_data", "prediction_type")
_FLOW = ("shift", "flow_shift", "use_flow_sigmas")
_TIMESTEPS = 10**6
_LEAST = 2.0  # shift of few steps
_SPACED = ("shift_terminal", "use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas")
_FLOW_TYPES = ("flow_prediction", None)
# Settings that the schedulers of distilled models have, and no others: LCM and TCD, and LCM's for flows.
_DISTILLED = ("original_inference_steps", "timestep_scaling", "scale_factors")
# Settings of a diffusion model that its alphas_cumprod and prediction do not tell, and the value without effect.
_UNSUPPORTED = {"snr_shift_scale": 1.0, "timestep_type": "discrete", "thresholding": False}

_SPACING = "set grid, e.g. 'log-snr', or timestep_spacing"
# Settings that others' configs often have, which are left out with a warning.
_DROPPED = {
    "clip_sample": "the steps are linear in what the network gives",
    **dict.fromkeys(("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas", "use_lu_lambdas"), _SPACING),
}


def check_timesteps(count: Any) -> None:
    """Raise SchedulerError unless this is a number of timesteps that a network was trained with."""
    if isinstance(count, bool) or not isinstance(count, int) or not 2 <= count <= _TIMESTEPS:
        raise SchedulerError(
            f"num_train_timesteps must be a whole number from 2 to {_TIMESTEPS}, as the model was trained with (1000 "
            f"as a rule); got {count!r}."
        )


def as_flow_config(config: Any, shift: float | None = None) -> dict[str, Any]:
    """Return the config of a flow scheduler, with another `shift` if one is given; `flow_shift` is read as such.

    Raises SchedulerError for the config of another kind of model, and what is no config.
    """
    found = _read(config) | ({} if shift is None else {"shift": shift})
    flow = bool(found.get("use_flow_sigmas")) or found.get("prediction_type") == "flow_prediction"
    foreign = [key for key in _DIFFUSION if key in found]
    if foreign and not (flow and found.get("prediction_type") in _FLOW_TYPES):
        advice = (
            "use LazyDiffusionScheduler for this model"
            if _has_betas(found)
            else "for models of other kinds, such as EDM's, wrap the network as a symsi.Model with its schedule"
        )
        raise SchedulerError(
            f"this is no flow model's config: {foreign[0]} = {found[foreign[0]]!r}, prediction_type = "
            f"{found.get('prediction_type')!r}. LazyFlowMatchScheduler serves the models that "
            "FlowMatchEulerDiscreteScheduler serves (SD3, FLUX, Z-Image, ...), or DPM-Solver and UniPC with "
            f"use_flow_sigmas=True and prediction_type='flow_prediction'; {advice}."
        )
    if not any(key in found for key in _FLOW):
        held = ", ".join(found) or "nothing"
        raise SchedulerError(f"this is no flow model's config: it has none of {', '.join(_FLOW)}; it has {held}.")
    if "flow_shift" in found:
        found["flow_shift"] = found.setdefault("shift", found["flow_shift"])
    return found


def fast_grid(config: Mapping[str, Any], shift: float) -> str:
    """Return the grid that is uniform in the time of a shift, of 2 at least, which few steps are best with.

    "sigmas" where the config spaces them by more than a shift, or by one that is none, which is refused there.
    """
    more = any(config.get(key) for key in _SPACED) or not shift > 0
    return "sigmas" if more else f"shifted(shift={max(shift, _LEAST):.17g})"


def as_diffusion_config(config: Any) -> dict[str, Any]:
    """Return the config of a scheduler of a variance-preserving diffusion model, less what has no meaning here.

    Raises SchedulerError for the config of another kind of model, for settings that the steps cannot honour, and for
    what is no config.
    """
    found = _read(config)
    kind = found.get("prediction_type", "epsilon")
    if not _has_betas(found) or found.get("use_flow_sigmas") or kind not in ("epsilon", "sample", "v_prediction"):
        raise SchedulerError(
            f"this config is not that of a diffusion model trained with betas: prediction_type = {kind!r}, "
            f"beta_schedule = {found.get('beta_schedule')!r}. Use LazyFlowMatchScheduler for flow models; for models "
            "of other kinds, such as EDM's, wrap the network as a symsi.Model with its schedule."
        )
    for key, without in _UNSUPPORTED.items():
        if found.get(key, without) != without:
            raise SchedulerError(
                f"LazyDiffusionScheduler cannot honour {key} = {found[key]!r} of this config; keep its own scheduler."
            )
    for key, instead in _DROPPED.items():
        if found.get(key):
            logging.get_logger(__name__).warning(f"{key} = {found[key]!r} of this config is not honoured: {instead}.")
            found[key] = False
    return found


def check_settings(scheduler: type, names: Iterable[str]) -> None:
    """Raise UnknownNameError for keywords that are no settings of a scheduler; diffusers would drop them in silence."""
    known = inspect.signature(scheduler).parameters
    for name in names:
        if name not in known:
            raise unknown("setting", name, known)


def _read(config: Any) -> dict[str, Any]:
    if not isinstance(config, Mapping):
        what = "pass its .config" if isinstance(config, SchedulerMixin) else f"got {type(config).__name__}"
        raise SchedulerError(f"from_config takes the config of a scheduler, a mapping; {what}.")
    for key in _DISTILLED:
        if key in config:
            raise SchedulerError(
                f"this is the config of a distilled model (it has {key}), whose network jumps to data and gives no "
                "velocity; keep its own scheduler."
            )
    return dict(config)


def _has_betas(config: Mapping[str, Any]) -> bool:
    return "beta_schedule" in config or config.get("trained_betas") is not None

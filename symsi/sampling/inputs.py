"""What a call of `sample` may ask for, checked before anything is drawn."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite, nan, prod
from numbers import Real
from operator import index
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from symsi.errors import PlanError, SymsiError
from symsi.models.flow_map import FlowMap
from symsi.models.protocol import Model, check_dtype, fingerprint
from symsi.models.two_sided import BridgeModel
from symsi.sampling.moves import check_modes
from symsi.solvers.bridge_planning import bridge_origin
from symsi.solvers.plan import Plan
from symsi.solvers.planning import origin_of

__all__ = [
    "check_bridge_plan",
    "check_inputs",
    "check_memory",
    "check_noise",
    "check_plan",
    "read_shape",
    "read_start",
    "whole_number",
]

_ASKS = {"prediction", "conditional", "unconditional"}
_ALWAYS_FREE = 1 << 22  # bytes of samples that are drawn without a look at the memory
_CALLER = 6  # frames from a warning to who called `sample`, which torch's two contexts wrap


def check_plan(
    plan: Any, given: Model | FlowMap, options: Mapping[str, Any], form: tuple[int, ...], guidance: float
) -> Plan:
    """Return a plan for a model or a flow map.

    Raises SymsiError for options beside it, and PlanError for one of another schedule or prediction, that asks for what
    the model does not say, or whose numbers are those of other channels or modes. Warns where it was fitted to another
    network, shape or guidance.
    """
    if not isinstance(plan, Plan):
        raise SymsiError(
            f"plan must be a symsi.Plan, as symsi.plan or symsi.load_plan gives; got {type(plan).__name__}."
        )
    for name in options:
        raise SymsiError(f"plan= says how to sample; leave {name} out, or make the plan with it.")
    model = given.model() if isinstance(given, FlowMap) else given
    for name, value in origin_of(model).items():
        if plan.origin.get(name, value) != value:
            raise PlanError(
                f"the plan was made for a model of another {name}: {plan.origin[name]}; {model.name} has {value}. "
                "Make one for it by symsi.plan(model, ...)."
            )
    if any(stage.until is not None for stage in plan.stages) and not isinstance(given, FlowMap):
        raise PlanError(
            f"the plan asks for predictions at two times, which a symsi.FlowMap makes; {model.name} takes one time."
        )
    asked = {ask for stage in plan.stages for ask in stage.asks}
    if not asked <= _ASKS:
        raise PlanError(
            f"the plan asks for {', '.join(sorted(asked - _ASKS))}; `sample` answers {', '.join(sorted(_ASKS))}."
        )
    if plan.grid[-1] < plan.grid[0]:
        raise PlanError("the plan goes backward, as a bridge's may; `sample` goes from noise at t = 0 to data.")
    if "unconditional" in asked and not model.unconditional:
        raise PlanError(
            f"the plan asks {model.name} for its unconditional prediction, and it does not say what that is; give "
            "Model(..., unconditional={'label': ...})."
        )
    for k, stage in enumerate(plan.stages):
        if len(stage.asks) > 1:
            raise PlanError(
                f"row {k} asks for {', '.join(stage.asks)}; `sample` runs plans of one prediction at one time. Take "
                "the others by symsi.step."
            )
    check_modes(plan, form)
    _warn(plan, model, form, guidance, parts="conditional" in asked)
    return plan


def check_bridge_plan(plan: Any, model: BridgeModel, options: Iterable[str], form: tuple[int, ...]) -> Plan:
    """Return a plan that was given for a two-sided model.

    Raises SymsiError for options beside it and references of samples of another shape, and PlanError for one of another
    interpolant, other predictions, or numbers of other modes.
    """
    if not isinstance(plan, Plan):
        raise SymsiError(f"plan must be a symsi.Plan, as symsi.bridge_plan gives; got {type(plan).__name__}.")
    for name in options:
        raise SymsiError(f"plan= says how to sample; leave {name} out, or make the plan with it.")
    for name, value in bridge_origin(model).items():
        if plan.origin.get(name, value) != value:
            raise PlanError(
                f"the plan was made for a model of another {name}: {plan.origin[name]}; {model.name} has {value}. "
                "Make one for it by symsi.bridge_plan(model, ...)."
            )
    for k, stage in enumerate(plan.stages):
        if stage.asks != tuple(model.predictions):
            raise PlanError(
                f"row {k} asks for {', '.join(stage.asks)}; {model.name} gives {', '.join(model.predictions)}."
            )
    check_modes(plan, form)
    return plan


def read_start(start: Any, model: BridgeModel) -> Tensor:
    """Return the states to start from. Raises SymsiError for another shape than the model's, and for nan or inf."""
    if not isinstance(start, Tensor) or not start.is_floating_point() or start.ndim < 2 or not len(start):
        got = f"{start.dtype} of shape {tuple(start.shape)}" if isinstance(start, Tensor) else type(start).__name__
        raise SymsiError(f"start must be a floating-point tensor of samples, (N, *shape); got {got}.")
    if model.shape is not None and tuple(start.shape[1:]) != tuple(model.shape):
        raise SymsiError(
            f"{model.name} bridges samples of shape {tuple(model.shape)}; start has the shape {tuple(start.shape)}, "
            f"and {(len(start), *model.shape)} would fit."
        )
    wrong = (~torch.isfinite(start.detach().flatten(1)).all(1)).nonzero().flatten().tolist()
    if wrong:
        also = f", and in {len(wrong) - 1} more rows" if len(wrong) > 1 else ""
        raise SymsiError(f"start has nan or inf in row {wrong[0]}{also}.")
    return start


def _warn(plan: Plan, model: Model, form: tuple[int, ...], guidance: float, *, parts: bool) -> None:
    """Warn where a plan was fitted to something else than it is used for."""
    fitted = plan.origin.get("parameters", "")
    here = fingerprint(model) if fitted else ""
    if here and fitted != here:
        warnings.warn(
            f"this plan was fitted to {plan.origin.get('model', 'a model')} (parameters {fitted}); {model.name} has "
            f"others ({here}). Fit one for it: symsi.fit_solver(model, steps), or `symsi calibrate solver`.",
            stacklevel=_CALLER,
        )
    shape = plan.origin.get("shape", str(form))
    if shape != str(form):
        warnings.warn(
            f"this plan was fitted to samples of shape {shape}, and is used for {form}. "
            "Fit one for them: symsi.fit_solver(model, steps, shape=...).",
            stacklevel=_CALLER,
        )
    try:
        own = float(plan.origin.get("guidance", guidance))
    except ValueError:
        own = nan
    if not isfinite(own):
        raise PlanError(f"the plan says that its guidance is {plan.origin['guidance']!r:.40}, no finite number.")
    if own != guidance and not (parts and guidance == 1):
        what = "has it built in" if parts else "is used with another"
        warnings.warn(
            f"this plan was fitted at guidance {own:g} and {what}; guidance={guidance:g} was given. "
            "Fit one for it: symsi.fit_solver(model, steps, guidance=...).",
            stacklevel=_CALLER,
        )


def check_memory(count: int, form: tuple[int, ...], dtype: torch.dtype, device: torch.device, frames: int) -> None:
    """Raise SymsiError where the samples (and a path of `frames` states) cannot be held, before they are drawn."""
    needed = count * prod(form) * dtype.itemsize * (1 + frames)
    free = None if needed < _ALWAYS_FREE else _free_memory(device)
    if free is not None and needed > free:
        raise SymsiError(
            f"{count} samples of shape {form} take {needed / 1e9:,.0f} GB, and {free / 1e9:,.0f} GB of memory are free "
            f"on {device}. Draw fewer; in Python shape=N, first=K continues where K samples ended."
        )


def _free_memory(device: torch.device) -> int | None:
    """The bytes that can be allocated: on a CPU what Linux says is available, else the whole memory."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    meminfo = Path("/proc/meminfo")
    if device.type == "cpu" and meminfo.exists():
        for line in meminfo.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    if device.type == "cpu" and hasattr(os, "sysconf"):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None


def whole_number(name: str, value: Any, least: int) -> int:
    """Return an integer of at least `least`, below 2^63."""
    try:
        found = index(value)
    except TypeError:
        found = -1
    if not least <= found < 1 << 63:
        raise SymsiError(f"{name} must be an integer of at least {least}; got {value!r}.")
    return found


def read_shape(shape: Any, model: Model) -> tuple[int, tuple[int, ...]]:
    """Return N and the shape of a sample. Raises SymsiError where they are not told, or not the model's."""
    alone = hasattr(shape, "__index__")
    if alone and model.shape is None:
        raise SymsiError(f"{model.name} does not know the shape of a sample; give shape=(N, ...), not {shape}.")
    if not alone and not isinstance(shape, Sequence):
        raise SymsiError(f"shape must be (N, ...) in positive integers, or N; got {shape!r}.")
    given = (shape, *(model.shape or ())) if alone else shape
    whole = tuple(whole_number("each entry of shape, (N, ...),", n, 1) for n in given)
    if len(whole) < 2:
        raise SymsiError(f"shape must be (N, ...) in positive integers; got {whole}.")
    if model.shape is not None and whole[1:] != tuple(model.shape):
        raise SymsiError(f"{model.name} makes samples of shape {tuple(model.shape)}; got shape={whole}.")
    return whole[0], whole[1:]


def check_inputs(
    model: Model, device: torch.device, dtype: Any, guidance: Any, given: Mapping[str, Any], conditions: Any, count: int
) -> None:
    """Raise SymsiError for a device, dtype, guidance or conditions that the model cannot take."""
    place, kind = model.device, model.dtype
    if place is not None and place.type != device.type:
        raise SymsiError(f"{model.name} is on {place}, device={device} was asked for; move the model there.")
    check_dtype(dtype)
    if kind is not None and dtype != kind:
        raise SymsiError(f"{model.name} has weights in {kind}; load it in {dtype}, or leave dtype out.")
    if not isinstance(conditions, Mapping | None):
        raise SymsiError(f"conditions must be a mapping of names to values; got {type(conditions).__name__}.")
    for told in (given, *([{**given, **model.unconditional}] if guidance != 1 else [])):
        model.check_conditions(told)
    label = given.get("label")
    if model.classes and label is not None:
        if not _labels(label) or not -1 <= int(label.min()) <= int(label.max()) < model.classes:
            got = f"; got {label.dtype}, {tuple(label.shape)}" if isinstance(label, Tensor) else ""
            raise SymsiError(
                f"label must be (N,) integers from 0 to {model.classes - 1}, or -1 for no class, in int64 or "
                f"int32{got}."
            )
        if len(label) not in (1, count):
            raise SymsiError(
                f"label has {len(label)} rows, and {count} samples are to be drawn; give a label for each, or one for "
                "all."
            )
    if isinstance(guidance, bool) or not isinstance(guidance, Real) or not isfinite(guidance):
        raise SymsiError(f"guidance must be a finite number; got {guidance!r}.")
    if guidance != 1 and not model.unconditional:
        raise SymsiError(
            f"{model.name} does not say what its unconditional prediction is; "
            "give Model(..., unconditional={'label': ...}) or leave guidance=1."
        )


def _labels(label: Any) -> bool:
    """Whether these are one or more dense integers that an embedding takes."""
    whole = isinstance(label, Tensor) and label.dtype in (torch.int64, torch.int32) and label.ndim == 1
    return whole and label.layout is torch.strided and not label.is_meta and len(label) > 0


def check_noise(name: str, noise: Tensor | None, wanted: Mapping[str, int], form: tuple[int, ...]) -> None:
    """Check noise that the user gives, of shape (*wanted, *form)."""
    if noise is None:
        return
    shape, letters = (*wanted.values(), *form), ", ".join(wanted)
    if not (isinstance(noise, Tensor) and noise.is_floating_point()):
        raise SymsiError(f"{name} must be a floating-point tensor, ({letters}, *shape); got {type(noise).__name__}.")
    if tuple(noise.shape) != shape:
        raise SymsiError(f"{name} must have the shape ({letters}, *shape) = {shape}; got {tuple(noise.shape)}.")
    if not bool(torch.isfinite(noise).all()):
        raise SymsiError(f"{name} has nan or inf.")

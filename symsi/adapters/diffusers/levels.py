"""Noise levels: what a call to `set_timesteps` may ask for, checked; and the step that a timestep belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any

import torch
from torch import Tensor

from symsi.errors import SchedulerError

__all__ = ["check_falling", "check_grid", "check_timestep", "count_steps", "evenly", "index_of", "numbers"]

_CLOSE = 1e-5


def numbers(name: str, values: Any) -> list[float]:
    """Return a list, array or tensor of numbers as floats. Raises SchedulerError for anything else."""
    try:
        return [float(v) for v in (values.tolist() if hasattr(values, "tolist") else list(values))]
    except (TypeError, ValueError):
        raise SchedulerError(f"{name} must be a list, array or tensor of numbers; got {values!r:.80}.") from None


def count_steps(steps: Any, sigmas: Sequence[float] | None, timesteps: Sequence[float] | None) -> int:
    """Return the number of steps that the arguments of `set_timesteps` agree on. Raises SchedulerError."""
    given = {name: len(v) for name, v in (("sigmas", sigmas), ("timesteps", timesteps)) if v is not None}
    if steps is not None:
        try:
            given["num_inference_steps"] = index(steps)
        except TypeError:
            raise SchedulerError(f"num_inference_steps must be an integer; got {steps!r}.") from None
    if not given:
        raise SchedulerError("give num_inference_steps, sigmas or timesteps.")
    if len(set(given.values())) > 1:
        stated = ", ".join(f"{name}: {count}" for name, count in given.items())
        raise SchedulerError(
            f"sigmas, timesteps and num_inference_steps must agree on the number of steps; got {stated}."
        )
    name, count = next(iter(given.items()))
    if count < 1:
        raise SchedulerError(f"{name} must give at least 1 step; got {count}.")
    return count


def check_grid(grid: Any) -> None:
    """Raise SchedulerError for a grid that is neither a name, a list of times nor None."""
    if not isinstance(grid, (str, list, tuple, type(None))):
        raise SchedulerError(f"grid must be a name or a list of times; got {type(grid).__name__}.")


def check_falling(name: str, values: Sequence[float], most: float) -> None:
    """Raise SchedulerError unless most >= values[0] > values[1] > ... > 0."""
    for k, value in enumerate(values):
        if not 0 <= value <= most:
            raise SchedulerError(f"{name} must lie in (0, {most:g}]; {name}[{k}] = {value:.6g}.")
        if k and not value < values[k - 1]:
            raise SchedulerError(f"{name} must fall; {name}[{k}] = {value:.6g} follows {values[k - 1]:.6g}.")
        if value == 0:
            raise SchedulerError(f"{name}[{k}] = 0: the last step goes to 0 by itself; leave the 0 out.")


def evenly(sigmas: Sequence[float]) -> bool:
    """Whether N sigmas are 1, 1 - 1/N, ..., 1/N, as pipelines pass them by themselves."""
    count = len(sigmas)
    return all(abs(sigma - (1 - k / count)) < _CLOSE for k, sigma in enumerate(sigmas))


def check_timestep(timestep: Any) -> None:
    """Raise SchedulerError for an integer, which is an index or a rounded timestep."""
    whole = not timestep.is_floating_point() if isinstance(timestep, Tensor) else isinstance(timestep, int)
    if whole:
        raise SchedulerError(
            f"timestep must be one of scheduler.timesteps, a floating-point number; got the integer {timestep}. "
            "Loop over scheduler.timesteps itself, not over enumerate's indices."
        )


def index_of(timestep: Any, known: Sequence[float]) -> int:
    """Return the index of `timestep` among the float32 numbers `known`, at its own precision if that is lower.

    Where a number stands twice (two evaluations at one noise level) it is the second, where a step begins. Raises
    SchedulerError for a timestep that is not there, or that stands for several because its dtype is too coarse.
    """
    dtype = timestep.dtype if isinstance(timestep, Tensor) and timestep.is_floating_point() else torch.float32
    rounded = torch.tensor(known).to(dtype).double()
    try:
        value = torch.as_tensor(timestep, device="cpu").to(dtype).double()
    except (TypeError, ValueError, RuntimeError):
        raise SchedulerError(f"timestep must be one of scheduler.timesteps; got {timestep!r:.80}.") from None
    if value.numel() != 1:
        raise SchedulerError(f"timestep must be one number; got shape {tuple(value.shape)}.")
    found: list[int] = (rounded == value).nonzero().flatten().tolist()
    if not found:
        near = known[int((rounded - value).abs().argmin())]
        raise SchedulerError(
            f"timestep = {float(value):.6g} is not in the grid; the nearest is {near:.6g}. "
            "Pass one of scheduler.timesteps itself."
        )
    if len({known[k] for k in found}) > 1:
        raise SchedulerError(
            f"timestep = {float(value):.6g} in {dtype} stands for {len(found)} timesteps of the grid; "
            "pass scheduler.timesteps' own, in float32, or call set_begin_index."
        )
    return found[min(1, len(found) - 1)]

"""Sampled paths between schedules (T5), and the noise that drove them (T7)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from symsi.coefficients.tables import tabulate
from symsi.errors import SymsiError
from symsi.interpolants.named import as_schedule
from symsi.interpolants.schedule import Kind, Schedule
from symsi.models.protocol import Model, as_model
from symsi.sampling.state import init, model_input, step
from symsi.solvers.plan import Plan
from symsi.theory.conversion import convert

__all__ = ["Path", "convert_path", "recover_noise"]


@dataclass(frozen=True)
class Path:
    """States (K + 1, N, *shape) of a process of `schedule` at increasing times in [0, 1].

    `start` is the noise z of the start, x_0 = alpha_0 z: at a point mass x_0 = 0 alone would not say where the path
    came from.
    """

    schedule: Schedule
    times: tuple[float, ...]
    states: Tensor
    start: Tensor


def convert_path(path: Path, schedule: Schedule | str) -> Path:
    """Return the same path under another schedule: x_bar = c x at the time t with rho_bar(t) = rho(tau) (T5).

    It holds for paths of the ODE and of every SDE alike: the diffusion becomes c^2 tau' epsilon, which
    `symsi.convert(..., diffusion=...)` relates. Raises SymsiError for a path of a point mass that starts later than 0.
    """
    target = as_schedule(schedule)
    from_point_mass = path.schedule.kind is Kind.POINT_MASS
    if from_point_mass and path.times[0] != 0:
        raise SymsiError(f"a path of a point mass is converted from t = 0 on; this one starts at {path.times[0]}.")
    if len(path.times) != len(path.states):
        raise SymsiError(f"the path has {len(path.times)} times and {len(path.states)} states.")
    times = tabulate(convert(target, path.schedule), path.times, ("time",))["time"]
    inner = int(from_point_mass)
    scales = tabulate(convert(path.schedule, target), times[inner:], ("scale",))["scale"].tolist()
    states = [c * x for c, x in zip(scales, path.states[inner:], strict=True)]
    if from_point_mass:
        alpha = float(tabulate(convert(target, target), times[:1], ("alpha",))["alpha"][0])
        states.insert(0, alpha * path.start)
    return Path(target, tuple(times.tolist()), torch.stack(states), path.start)


@torch.no_grad()
def recover_noise(
    path: Path, plan: Plan, model: Model | Callable[..., Tensor], conditions: Mapping[str, Any] | None = None
) -> Tensor:
    """Return the unit noises n of each step, (K, N, *shape): dW = (dx - b dt)/sqrt(2 epsilon) (T7).

    `plan` is the one that made the path, or that of another solver on the same grid; the model is evaluated along the
    path. A step without noise gives zeros. Raises SymsiError where the plan's grid is not the path's, or its state is
    in modes of a reference.
    """
    known = as_model(model)
    if len(plan.grid) != len(path.times) or max(abs(a - b) for a, b in zip(plan.grid, path.times, strict=True)) > 1e-9:
        raise SymsiError("the plan's grid is not the path's; make the plan with grid=path.times.")
    if plan.modal:
        raise SymsiError("the noise of a path in modes of a reference is not recovered; use a plan without one.")
    found: list[Tensor] = []
    silent = torch.zeros_like(path.start)
    state = init(plan, path.start)
    for k, stage in enumerate(plan.stages):
        prediction = known(*model_input(plan, state), **(conditions or {}))
        state = step(plan, state, prediction, silent)
        if k + 1 == len(plan.stages) or plan.stages[k + 1].step > stage.step:
            moved, reached = state.z, path.states[stage.step] / plan.scales[stage.step]
            spread = torch.as_tensor(stage.noise, dtype=torch.float64).to(reached)
            found.append(torch.where(spread == 0, 0.0, (reached - moved) / spread))
            state = replace(state, z=reached)
    return torch.stack(found)

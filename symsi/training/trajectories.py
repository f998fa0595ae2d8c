"""Trajectories of a teacher, in chunks on disk: what a flow map learns from, made once and read again after a stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from symsi.coefficients.kernels import kernels
from symsi.coefficients.runtime import mix
from symsi.errors import SymsiError
from symsi.files import write_atomic
from symsi.models.protocol import Model
from symsi.models.tensor_file import read_tensors
from symsi.processes.ranks import ALONE, Ranks
from symsi.sampling.sample import sample
from symsi.solvers.plan import Plan
from symsi.theory.conversion import convert

__all__ = ["Trajectories", "trajectories"]


@dataclass(frozen=True)
class Trajectories:
    """States x (K + 1, N, *shape) and velocities (K, N, *shape) at the knots of the teacher's grid, and labels (N,).

    A label of -1 is none. States and velocities are those of the plan's schedule, in float16 on the CPU; the last state
    is a sample, where nothing was evaluated.
    """

    x: Tensor
    velocity: Tensor
    label: Tensor

    def __len__(self) -> int:
        return self.x.shape[1]

    def at(self, row: Tensor, place: Tensor, times: Tensor) -> tuple[Tensor, Tensor]:
        """Return states and velocities (B, *shape), float32, of rows (B,) at places (B,) from 0 to K: knots are whole.

        Between knots, whose times are (K + 1,), they are those of the cubic through the states and velocities of both;
        in the last step, at whose end there is no velocity, of the quadratic.
        """
        last = len(self.velocity) - 1
        knot = place.long().clamp(max=last)
        form = (-1, *[1] * (self.x.ndim - 2))
        p, h = (v.reshape(form) for v in (place - knot, times[knot + 1] - times[knot]))
        x, slope = self.x[knot, row].float(), h * self.velocity[knot, row].float()
        change = self.x[knot + 1, row].float() - x
        other = h * self.velocity[(knot + 1).clamp(max=last), row].float()
        other = torch.where((knot == last).reshape(form), 2 * change - slope, other)
        square, cube = 3 * change - 2 * slope - other, slope + other - 2 * change
        return x + p * (slope + p * (square + p * cube)), (slope + p * (2 * square + 3 * p * cube)) / h

    def joined(self, other: Trajectories) -> Trajectories:
        """Return both, one after the other."""
        return Trajectories(
            torch.cat([self.x, other.x], 1),
            torch.cat([self.velocity, other.velocity], 1),
            torch.cat([self.label, other.label]),
        )


def trajectories(
    model: Model, plan: Plan, first: int, count: int, seed: int, folder: Path, ranks: Ranks = ALONE
) -> Trajectories:
    """Return those of samples first, ..., first + count - 1, from `folder` where they lie or by running the teacher.

    The plan evaluates a velocity once a step (Euler, Adams-Bashforth). Classes are in turn. The `ranks` share the rows,
    and rank 0 writes. Raises SymsiError for other plans, and for a file that is damaged or of another plan, seed or
    model.
    """
    if plan.evaluations != len(plan.grid) - 1 or plan.modal or plan.stochastic:
        raise SymsiError("a teacher's plan has one evaluation a step and no noise, such as solver='ab2'.")
    path = folder / f"{seed}-{first}-{count}.safetensors"
    about = f"{model.name} {plan.hash}"
    if path.exists():
        return _read(path, about, (len(plan.grid), count, *(model.shape or ())))
    held = _run(ranks.shared(model), plan, first, count, seed)
    tensors = {"x": held.x, "velocity": held.velocity, "label": held.label}
    if ranks.rank == 0:
        write_atomic(path, lambda temporary: save_file(tensors, temporary, metadata={"about": about}))
    return held


def _run(model: Model, plan: Plan, first: int, count: int, seed: int) -> Trajectories:
    heard: list[Tensor] = []

    def listening(x: Tensor, t: Tensor, **conditions: Any) -> Tensor:
        heard.append(model(x, t, **conditions))
        return heard[-1]

    index = torch.arange(first, first + count)
    conditions = {"label": index % model.classes} if model.classes else {}
    hearing = replace(model, function=listening)
    asked: dict[str, Any] = {"seed": seed, "first": first, "trajectory": True, "progress": False}
    asked |= {"device": model.device, "dtype": model.dtype}
    made = sample(hearing, plan=plan, shape=(count, *(model.shape or ())), conditions=conditions, **asked)
    path = made.path
    assert path is not None
    velocity = _velocity(model, plan)
    values = [velocity(k, path[k], heard[k]).half().cpu() for k in range(len(heard))]
    return Trajectories(path.half().cpu().contiguous(), torch.stack(values), conditions.get("label", index * 0 - 1))


def _velocity(model: Model, plan: Plan) -> Callable[[int, Tensor, Tensor], Tensor]:
    """The velocity of the plan's schedule at knot k, from the state and the model's prediction there (T6)."""
    field = kernels(convert(model.schedule, plan.origin["schedule"], prediction=model.prediction))
    found = field.functions["velocity"](torch.tensor(plan.grid[:-1], dtype=torch.float64))
    return lambda k, x, p: mix(found["velocity_state"][k], x, found["velocity_prediction"][k], p)


def _read(path: Path, about: str, shape: tuple[int, ...]) -> Trajectories:
    metadata, held = read_tensors(path, "trajectories", "Delete it to make them anew.")
    if metadata.get("about") != about:
        raise SymsiError(f"{path} holds trajectories of another model or plan; delete its folder.")
    points, count, *form = shape
    wanted = {
        "x": (torch.float16, shape),
        "velocity": (torch.float16, (points - 1, count, *form)),
        "label": (torch.int64, (count,)),
    }
    if {name: (value.dtype, tuple(value.shape)) for name, value in held.items()} != wanted:
        raise SymsiError(f"{path} does not hold {count} trajectories of {points} points. Delete it to make them anew.")
    if not all(bool(value.isfinite().all()) for value in held.values()):
        raise SymsiError(f"{path} holds trajectories that are nan or inf. Delete it to make them anew.")
    return Trajectories(**held)

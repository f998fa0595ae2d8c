"""Where the ODE of a model takes its samples: states at the points of a fine plan, and whether they have converged."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from symsi.errors import SymsiError
from symsi.interpolants.schedule import Schedule
from symsi.models.protocol import Model
from symsi.sampling.noise import standard_normal
from symsi.sampling.predictions import rows_of
from symsi.sampling.sample import Snapshot, sample
from symsi.solvers.advice import advice
from symsi.solvers.plan import Plan
from symsi.solvers.planning import plan

__all__ = ["Trajectories", "check_teacher", "clock_of", "teach", "teacher_of"]

_HELD = 2**30  # bytes of states that are kept in memory; more lie in a temporary file
_STEPS = 64
_EASE = 1.5


@dataclass(frozen=True)
class Trajectories:
    """States (K + 1, N, *shape) in model coordinates at the times `clock` of `clock_of`, from noise to samples.

    The noise has standard deviation `size`: less than 1 where the model's schedule starts later.
    `doubt` is the median over samples of the root mean square difference to those of half the steps: where the flow
    branches, a sample may go either way at any number of steps.
    """

    clock: Tensor
    states: Tensor
    size: float
    doubt: float

    def at(self, t: float) -> Tensor:
        """Return the states at a time of the clock, on the cubic through the four nearest."""
        if t >= 1:
            return self.states[-1]
        size = min(4, len(self.clock))
        begin = min(max(int(torch.searchsorted(self.clock, t)) - size // 2, 0), len(self.clock) - size)
        near = self.clock[begin : begin + size]
        total = torch.zeros_like(self.states[0])
        for i in range(size):
            others = torch.cat([near[:i], near[i + 1 :]])
            total.add_(self.states[begin + i], alpha=float(((t - others) / (near[i] - others)).prod()))
        return total


def clock_of(model: Model) -> Schedule:
    """Return the schedule in whose time states are smooth and grids are searched: lazy, or a noise network's own."""
    return advice(model).schedule


def teacher_of(model: Model) -> Plan:
    """Return 64 steps of Heun in the clock's schedule, or 128 of AB2, which end closer where Heun has to land.

    In a noise network's own schedule they lie still closer at data than those of its samples.
    """
    clock, steps = clock_of(model), 2 * _STEPS
    found = plan(model, schedule=clock, solver="heun", steps=_STEPS)
    if found.evaluations == steps:
        return found
    if advice(model).grid != "eased":
        return plan(model, schedule=clock, solver="ab2", steps=steps)
    return plan(model, schedule=clock, solver="ab2", grid=[1 - (1 - k / steps) ** _EASE for k in range(steps + 1)])


def check_teacher(made: Plan, most: int, clock: Schedule) -> None:
    """Raise SymsiError unless a plan can teach `most` steps: the clock's, without noise, by a named solver."""
    if not isinstance(made, Plan) or made.stochastic or made.modal or "solver" not in made.origin:
        raise SymsiError("a teacher is a plan of symsi.plan without noise and reference.")
    if made.origin.get("schedule") != str(clock):
        raise SymsiError(
            f"a teacher of this model follows schedule={str(clock)!r}; this one {made.origin.get('schedule')}."
        )
    if len(made.grid) - 1 <= max(most, 3):
        raise SymsiError(
            f"the teacher makes {len(made.grid) - 1} steps; it must make more than {max(most, 3)} to teach {most}."
        )


def teach(
    model: Model,
    made: Plan,
    *,
    count: int,
    form: tuple[int, ...],
    conditions: Mapping[str, Any],
    guidance: float,
    seed: int,
    batch: int,
    tick: Callable[[int], None],
) -> Trajectories:
    """Run the teacher's plan, and half its steps to say how far it is from converged; `tick(rows)` follows.

    Raises ModelError as `sample` does.
    """
    grid = [*made.grid[:-1:2], made.grid[-1]]
    coarse = plan(model, schedule=clock_of(model), solver=made.origin["solver"], grid=grid)
    states = _room((len(made.grid), count, *form))
    calls, squares = 1 if guidance == 1 else 2, torch.empty(count, dtype=torch.float64)
    for first in range(0, count, batch):
        rows = slice(first, min(first + batch, count))
        size = rows.stop - first
        told = rows_of(conditions, rows, count, model.device or torch.device("cpu"))

        def keep(seen: Snapshot, rows: slice = rows) -> None:
            states[seen.step, rows] = (seen.x / made.scales[seen.step]).to(states)

        states[0, rows] = float(made.start) * standard_normal(seed, range(first, rows.stop), 0, form)
        options: dict[str, Any] = {"conditions": told, "guidance": guidance, "seed": seed, "first": first}
        sample(model, shape=(size, *form), plan=made, callback=keep, progress=False, **options)
        tick(made.evaluations * calls * size)
        rough = sample(model, shape=(size, *form), plan=coarse, progress=False, **options).x
        tick(coarse.evaluations * calls * size)
        squares[rows] = (rough.to(states) - states[-1, rows]).double().square().flatten(1).mean(1).cpu()
    clock, doubt = torch.tensor(made.grid, dtype=torch.float64), float(squares.quantile(0.5).sqrt())
    return Trajectories(clock, states, float(made.start), doubt)


def _room(shape: tuple[int, ...]) -> Tensor:
    """Float32 memory, in an unnamed file where it is much."""
    size = prod(shape)
    if 4 * size <= _HELD:
        return torch.empty(shape)
    folder = Path(tempfile.mkdtemp(prefix="symsi-"))
    found = torch.from_file(str(folder / "states"), shared=True, size=size).reshape(shape)
    (folder / "states").unlink()  # the mapping holds it
    folder.rmdir()
    return found

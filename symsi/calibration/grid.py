"""The best grid for a model, a solver and a number of steps."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from torch import Tensor

from symsi.errors import SymsiError
from symsi.interpolants.named import as_schedule
from symsi.interpolants.schedule import Schedule
from symsi.models.protocol import Model, as_model
from symsi.sampling.sample import sample
from symsi.solvers.advice import advice
from symsi.solvers.grids import GRIDS, time_grid
from symsi.solvers.planning import plan

__all__ = ["optimal_grid"]


def optimal_grid(
    model: Model | Callable[..., Tensor],
    steps: int,
    *,
    shape: tuple[int, ...] | int,
    schedule: Schedule | str | None = None,
    solver: str = "ab2",
    rounds: int = 3,
    converged: int = 48,
    **options: Any,
) -> tuple[float, ...]:
    """Return the `steps` + 1 times of `schedule` that bring this model's samples closest to the converged ones.

    By default the schedule is "trigonometric", of a noise network under ddpm its own.
    The criterion is what a user of a solver of the ODE means by its error: the root mean square difference, over N
    calibration samples, to `converged` steps of ab2 from the same noise. (Sums of local errors were worse: the flow of
    data with several modes stretches early errors.) The best of the named grids is the start; then `rounds` times each
    inner point tries to move towards either neighbour, by a third of the way, half as far each round, and stays where
    the error falls: some 2 rounds (steps - 1) + 5 runs. `options` are `symsi.sample`'s. Raises SymsiError as `sample`
    does, and for a diffusion.
    """
    if "diffusion" in options:
        raise SymsiError("an optimal grid is defined for the ODE; leave diffusion out.")
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise SymsiError(f"steps must be an integer of at least 1; got {steps!r}.")
    target = advice(as_model(model)).schedule if schedule is None else as_schedule(schedule)
    run = partial(sample, model, shape=shape, schedule=target, **options)
    truth = run(solver="ab2", steps=converged).x.double()

    def error(times: tuple[float, ...]) -> float:
        return float((run(solver=solver, grid=times).x.double() - truth).square().mean().sqrt())

    base = plan(model, schedule=target, steps=1)
    starts = set()
    for name in GRIDS:
        with suppress(SymsiError):  # a grid with points before a truncated start
            starts.add(time_grid(target, name, steps, start=base.grid[0]))
    best, times = min((error(grid), grid) for grid in starts)
    share = 1 / 3
    for _ in range(rounds):
        for k in range(1, steps):
            for neighbour in (times[k - 1], times[k + 1]):
                moved = (*times[:k], times[k] + share * (neighbour - times[k]), *times[k + 1 :])
                found = error(moved)
                if found < best:
                    best, times = found, moved
                    break
        share /= 2
    return times

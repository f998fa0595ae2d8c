"""Objectives of flow maps on a law whose exact map is known: how near each comes in the same time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from symsi.bench.mean_flow import mean_flow_floor
from symsi.bench.small_map import Batch, SmallMap, SmallRecipe, counted, train_map
from symsi.errors import SymsiError, unknown
from symsi.models.analytic import mixture
from symsi.models.exact_map import exact_map
from symsi.training.objectives.flow_maps import (
    diagonal,
    esd,
    eulerian,
    lagrangian,
    loss,
    lsd,
    map_matching,
    mean_flow,
    progressive,
    psd,
)

__all__ = ["DIAGONAL", "LAW", "OBJECTIVES", "Objective", "objective_rows", "steps_of", "velocity"]

LAW = mixture([0.35, 0.65], [[-1.0], [1.0]], [0.25, 0.16])
DIAGONAL = 0.75  # the share of a batch with s = t, where there is no teacher
_HORIZONS = (0.25, 0.5, 1.0)  # of PFMM
_SHAPE: Mapping[str, Any] = {"width": 64, "depth": 3, "waves": (1.0, 2.0)}

Average = Callable[[Tensor, Tensor, Tensor], Tensor]
Velocity = Callable[[Tensor, Tensor], Tensor]
Residual = Callable[[Average, Batch], Tensor]


class Objective(NamedTuple):
    """loss(u, teacher, batch), what its teacher is, and `cost`, a step's time as a multiple of PSD-M's."""

    loss: Callable[[Average, Any, Batch], Tensor]
    teacher: str
    cost: float


def _alone(residual: Residual) -> Callable[[Average, Any, Batch], Tensor]:
    """The velocity's loss |u_tt(I_t) - I'_t|^2 on DIAGONAL of the rows, that of a residual on the others."""

    def total(u: Average, _: Any, batch: Batch) -> Tensor:
        same, apart = batch.split(DIAGONAL)
        x, rate = same.at(same.t)
        return DIAGONAL * loss(diagonal(u, x, same.t, rate)) + (1 - DIAGONAL) * loss(residual(u, apart))

    return total


def _matched(u: Average, _: Any, batch: Batch) -> Tensor:
    """FMM with every other pair of times turned round, so that they cover the square."""
    turn = torch.arange(len(batch.s)) % 2 == 0
    s, t = torch.where(turn, batch.t, batch.s), torch.where(turn, batch.s, batch.t)
    x, rate = batch.at(t)
    speed, inverse = map_matching(u, x, s, t, rate)
    return loss(speed) + loss(inverse)


def velocity(x: Tensor, t: Tensor) -> Tensor:
    """v_t(x) = E[X | x] + (1 - t) score_t(x), the exact one of `LAW`; as `LAW.model()` has it, for half the time."""
    alpha = 1 - t.double()
    score, data = LAW.score_and_data(x.double(), alpha, 1 - alpha)
    return (data + alpha[:, None] * score).to(x.dtype)


def _start(batch: Batch) -> Tensor:
    return batch.at(batch.s)[0]


OBJECTIVES: Mapping[str, Objective] = {
    "LMD": Objective(lambda u, v, b: loss(lagrangian(u, v, _start(b), b.s, b.t)), "velocity", 2.1),
    "EMD": Objective(lambda u, v, b: loss(eulerian(u, v, _start(b), b.s, b.t)), "velocity", 2.3),
    "FMM": Objective(_matched, "none", 2.6),
    "PFMM": Objective(lambda u, y, b: loss(progressive(u, y, _start(b), b.s, b.q, b.t)), "velocity", 1.3),
    "LSD": Objective(_alone(lambda u, b: lsd(u, _start(b), b.s, b.t)), "none", 2.3),
    "ESD": Objective(_alone(lambda u, b: esd(u, _start(b), b.s, b.t)), "none", 3.9),
    "PSD-M": Objective(_alone(lambda u, b: psd(u, _start(b), b.s, b.q, b.t)), "none", 1.0),
    "MeanFlow": Objective(_alone(lambda u, b: mean_flow(u, _start(b), b.s, b.t, b.at(b.s)[1])), "none", 1.9),
}


def steps_of(name: str, steps: int) -> int:
    """How many steps of an objective take the time of `steps` of PSD-M, in whole parts of PFMM."""
    parts = len(_HORIZONS) if name == "PFMM" else 1
    return parts * max(1, math.ceil(round(steps / OBJECTIVES[name].cost) / parts))


def objective_rows(
    names: Sequence[str] = tuple(OBJECTIVES),
    *,
    steps: int = 8000,
    count: int = 8192,
    seed: int = 0,
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Return {"law", "schedule", "network", "recipe", "still", "mean_flow_floor", "rows"} of the mixture `LAW`.

    A row is {"objective", "teacher", "steps", "seconds", "whole", "between"}: from the same start, `steps_of` the
    objective; seconds of one processor; root mean squares of X_{0,1} minus the exact map's over noise, and of X_{s,t}
    over (s, t) uniform on s < t and x = I_s, `count` draws that no step saw. "still" are those of
    the identity. Raises SymsiError for unknown objectives, and for counts below 1.
    """
    for name in names:
        if name not in OBJECTIVES:
            raise unknown("objective", name, OBJECTIVES)
    if min(steps, count) < 1:
        raise SymsiError(f"steps and count must be 1 or more; got {steps} and {count}.")
    exact, held = exact_map(LAW), Batch.draw(_law, count, torch.Generator().manual_seed(1 << 33))
    ends = (torch.zeros(count), torch.ones(count))
    states = {"whole": (held.z, *ends), "between": (_start(held), held.s, held.t)}
    goals = {key: exact(x.double(), s.double(), t.double()) for key, (x, s, t) in states.items()}

    @torch.no_grad()
    def errors(u: Average) -> dict[str, float]:
        there = {key: x + (t - s)[:, None] * u(x, s, t) for key, (x, s, t) in states.items()}
        return {key: float((there[key] - goal).square().mean().sqrt()) for key, goal in goals.items()}

    planned = {name: steps_of(name, steps) for name in names}
    rows, one = [], counted(tick, sum(planned.values()))
    for name, own in planned.items():
        torch.manual_seed(seed)
        net, begun = SmallMap(1, **_SHAPE), time.process_time()
        _train(name, net, SmallRecipe(own, seed=seed), one)
        seconds = time.process_time() - begun
        about = {"objective": name, "teacher": OBJECTIVES[name].teacher, "steps": own, "seconds": seconds}
        rows.append(about | errors(net))
    recipe = {key: value for key, value in vars(SmallRecipe(steps, seed=seed)).items() if key != "steps"}
    return {
        "law": {
            "weights": LAW.weights.tolist(),
            "means": LAW.means[:, 0].tolist(),
            "variances": LAW.eigenvalues[:, 0].tolist(),
        },
        "schedule": "linear",
        "network": dict(_SHAPE),
        "recipe": recipe,
        "still": errors(lambda x, s, t: torch.zeros_like(x)),
        "mean_flow_floor": mean_flow_floor(LAW, count=8 * count),
        "rows": rows,
    }


def _law(count: int, generator: torch.Generator) -> Tensor:
    return LAW.sample(count, int(torch.randint(2**62, (), generator=generator))).float()


def _train(name: str, net: SmallMap, recipe: SmallRecipe, tick: Callable[[], None]) -> None:
    objective = OBJECTIVES[name].loss
    if name != "PFMM":
        train_map(net, lambda batch: objective(net, velocity, batch), _law, recipe, tick)
        return
    part = replace(recipe, steps=recipe.steps // len(_HORIZONS))
    frozen: Average = _runge_kutta(velocity)
    for horizon in _HORIZONS:

        def doubled(batch: Batch, frozen: Average = frozen, horizon: float = horizon) -> Tensor:
            return objective(net, frozen, batch.within(horizon))

        train_map(net, doubled, _law, part, tick)
        frozen = deepcopy(net)


def _runge_kutta(v: Velocity) -> Average:
    """The mean slope of one classical step of the velocity, from s to t."""

    def u(x: Tensor, s: Tensor, t: Tensor) -> Tensor:
        h, q = (t - s)[:, None], (s + t) / 2
        k1 = v(x, s)
        k2 = v(x + h / 2 * k1, q)
        k3 = v(x + h / 2 * k2, q)
        return (k1 + 2 * k2 + 2 * k3 + v(x + h * k3, t)) / 6

    return u

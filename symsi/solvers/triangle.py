"""A deterministic solver as a lower-triangular table of its evaluations, and the plan of such a table.

    x_{k+1} = a_k z + sum_{e <= k} b_ke P_e + c_k

in model coordinates, z the state that the plan starts from, P_e the prediction of evaluation e. Every solver is one, so
that the best of them is a linear problem.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from symsi.errors import PlanError
from symsi.solvers.modal import as_coefficient
from symsi.solvers.plan import Plan
from symsi.solvers.stage import Stage

__all__ = ["Triangle", "triangle_of"]


@dataclass(frozen=True)
class Triangle:
    """N steps; step k evaluates the model at `times[k]` once for each of `asks[k]`, and ends in row k.

    `rows[k]` are float64 numbers (1 + E_k + 1): a_k, b_ke of the E_k evaluations so far, c_k; by channel, of samples
    (C, *more), they are (1 + E_k + 1, C, *ones), a number a channel. `start` is the size of the state at the first
    time.
    """

    times: tuple[float, ...]
    rows: tuple[Tensor, ...]
    asks: tuple[tuple[str, ...], ...] = ()
    start: float = 1.0
    origin: Mapping[str, str] = field(default_factory=dict)

    def plan(self) -> Plan:
        """Return the plan: a stage an evaluation, of which the last of a step moves the state.

        x_{k+1} = r x_k + sum_e (b_ke - r b_{k-1,e}) P_e + (c_k - r c_{k-1}), r = a_k/a_{k-1}. Raises PlanError where a
        row but the last has forgotten the start, a_k = 0, and where one adds a constant but not its own prediction (in
        any channel).
        """
        asks = self.asks or (("prediction",),) * len(self.times)
        stages: list[Stage] = []
        offsets = torch.zeros_like(self.rows[0][:0])
        before = torch.stack([torch.ones_like(self.rows[0][0]), torch.zeros_like(self.rows[0][0])])
        for k, (time, row) in enumerate(zip(self.times, self.rows, strict=True)):
            if (before[0] == 0).any():
                raise PlanError(f"row {k - 1} of the table has forgotten the start; no step can bring it back.")
            keep = row[0] / before[0]
            made = len(row) - len(before)
            known = torch.cat([before[1:-1], torch.zeros_like(row[:made])])
            weights = (row[1:-1] - keep * known).flip(0)  # the newest first
            rest = row[-1] - keep * before[-1] - (weights[made:] * offsets.flip(0)).sum(0)
            if ((rest != 0) & (weights[0] == 0)).any():
                raise PlanError(f"row {k} of the table adds a constant and no prediction of its own.")
            for ask in asks[k][:-1]:
                stages.append(Stage(k + 1, time, [0.0], asks=[ask]))
            offset = torch.where(rest == 0, 0.0, rest / weights[0])
            own, constant, *numbers = map(as_coefficient, (keep, offset, *weights))
            stages.append(Stage(k + 1, time, numbers, own, offset=constant, asks=asks[k][-1:]))
            offsets = torch.cat([offsets, torch.zeros_like(row[: made - 1]), offset[None]])
            before = row
        return Plan(stages, grid=[*self.times, 1.0], start=self.start, spans=(), origin=self.origin)


def triangle_of(plan: Plan) -> Triangle:
    """Return the table of a plan without noise or reference, whose coefficients are numbers.

    Raises PlanError for another plan.
    """
    stages = plan.stages
    numbers = all(
        isinstance(v, float) for s in stages for v in (s.time, s.keep, s.state, s.offset, *s.gains, *s.weights)
    )
    if plan.stochastic or plan.modal or not numbers or not isinstance(plan.start, float):
        raise PlanError("only plans without noise and reference, of plain numbers, are tables of their evaluations.")
    total = len(stages)
    state = torch.zeros(total + 2, dtype=torch.float64)
    state[0] = 1
    fields: list[Tensor] = []
    rows = []
    for k, stage in enumerate(stages):
        gains = torch.zeros_like(state)
        gains[k + 1], gains[-1] = stage.gain, stage.offset
        fields.insert(0, stage.state * state + gains)
        state = stage.keep * state + sum(w * g for w, g in zip(stage.weights, fields, strict=False))
        rows.append(torch.cat([state[: k + 2], state[-1:]]))
    times = tuple(float(s.time) for s in stages)
    return Triangle(times, tuple(rows), tuple(tuple(s.asks) for s in stages), plan.start, plan.origin)

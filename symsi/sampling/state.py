"""A plan, stepped by hand: `init`, then for each evaluation `model_input`, the model, `step`; `observe` looks at it.

    state = symsi.init(plan, z)
    for stage in plan.stages:
        x, t = symsi.model_input(plan, state)
        state = symsi.step(plan, state, model(x, t), noise)
    samples = symsi.observe(plan, state)

A state is a value: stepping it gives another one, and `state[rows]`, `state.repeat(4)` and `State.join` copy, resample
and gather its samples. Everything is differentiable in state, predictions, noise and the plan's coefficients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from symsi.coefficients.runtime import working
from symsi.errors import PlanError
from symsi.sampling.moves import advance, check_modes, log_density, move_at
from symsi.solvers.plan import Plan

__all__ = ["State", "density", "init", "model_input", "observe", "step"]


@dataclass(frozen=True, eq=False)
class State:
    """Where B samples are: z (B, *modes) in model coordinates, and how many evaluations were made.

    `ahead` are the sums so far of states to come, which a multistep solver remembers; `shape` is that of a sample.
    """

    z: Tensor
    shape: tuple[int, ...]
    evaluations: int = 0
    ahead: tuple[Tensor | None, ...] = ()

    def __len__(self) -> int:
        return len(self.z)

    def __getitem__(self, rows: Any) -> State:
        """Return the state of some samples: a slice, a list or tensor of indices (with repetitions), or a mask."""
        found = self._each(lambda v: v[rows])
        if found.z.shape[1:] != self.z.shape[1:]:
            raise PlanError("a state is indexed by sample; write state[[k]] or state[k : k + 1] for one of them.")
        return found

    def repeat(self, times: int) -> State:
        """Return each sample `times` times, copies beside each other."""
        return self._each(lambda v: v.repeat_interleave(times, 0))

    @classmethod
    def join(cls, states: Sequence[State]) -> State:
        """Return the samples of several states after the same evaluation of a plan, one after the other."""
        if not states:
            raise PlanError("there are no states to join.")
        first = states[0]
        remembered = {tuple(held is None for held in s.ahead) for s in states}
        if len({(s.evaluations, s.shape) for s in states}) > 1 or len(remembered) > 1:
            raise PlanError("states can be joined after the same evaluation of the same plan only.")
        ahead = zip(*(s.ahead for s in states), strict=True)
        joined = tuple(None if parts[0] is None else torch.cat(parts) for parts in ahead)
        return replace(first, z=torch.cat([s.z for s in states]), ahead=joined)

    def _each(self, take: Any) -> State:
        ahead = tuple(None if held is None else take(held) for held in self.ahead)
        return replace(self, z=take(self.z), ahead=ahead)


def init(plan: Plan, z: Tensor) -> State:
    """Return the state before the first evaluation, from unit noise z (B, *shape); 16-bit z becomes float32."""
    if not isinstance(plan, Plan) or not isinstance(z, Tensor) or z.ndim < 2:
        what = f"{type(z).__name__} {tuple(z.shape)}" if isinstance(z, Tensor) else type(z).__name__
        raise PlanError(f"init takes a symsi.Plan and noise (B, *shape); got {type(plan).__name__} and {what}.")
    kind, shape = working(z), tuple(z.shape[1:])
    z = z.to(kind)
    check_modes(plan, shape)
    if plan.reference is not None:
        z = plan.reference.beside(z).forward(z)
    start = plan.start.to(z) if isinstance(plan.start, Tensor) else plan.start
    return State(z * start, shape)


def model_input(plan: Plan, state: State) -> tuple[Tensor, Tensor]:
    """Return x (B, *shape) in model coordinates and t (B,), where the next stage calls the model.

    Both have the dtype of the state, float32 or float64. Raises PlanError after the last stage, and for a stage that
    asks for two times.
    """
    stage = plan.stages[_index(plan, state)]
    if stage.until is not None:
        raise PlanError(f"row {state.evaluations} asks a flow map for two times; models of one time cannot answer.")
    x = _whole(plan, state, stage.mean)
    time = torch.as_tensor(stage.time, dtype=torch.float64)
    return x, time.to(x).repeat(len(x))


def step(plan: Plan, state: State, prediction: Tensor | Sequence[Tensor], noise: Tensor | None = None) -> State:
    """Return the state after the next stage: z <- keep z + sum_j weights[j] g_j + noise n (`Plan`).

    `prediction` is what the model gave at `model_input`, (B, *shape), or one for each name that the stage asks for;
    `noise` n ~ N(0, I) of that shape, for a stage that adds some. Raises PlanError after the last stage, for missing
    noise, and for shapes or numbers of predictions that do not fit.
    """
    stage = plan.stages[_index(plan, state)]
    if stage.noisy and noise is None:
        raise PlanError(
            f"row {state.evaluations} adds noise; give step(..., noise) of shape {(len(state), *state.shape)}."
        )
    z, ahead = _moved(plan, state, prediction, noise if stage.noisy else None)
    return State(z, state.shape, state.evaluations + 1, ahead)


def density(plan: Plan, state: State, prediction: Tensor | Sequence[Tensor], after: State) -> Tensor:
    """Return log p(after | state), (B,), summed over each sample's components: the Gaussian that `step` draws from.

    Differentiable in prediction, states and the plan's coefficients. Raises PlanError for a stage without noise.
    """
    k = _index(plan, state)
    if not plan.stages[k].noisy:
        raise PlanError(f"row {k} (step {plan.stages[k].step}) adds no noise and has no density.")
    if not isinstance(after, State) or after.z.shape != state.z.shape or after.evaluations != k + 1:
        raise PlanError(f"after must be a state of these {len(state)} samples after evaluation {k + 1}.")
    mean, _ = _moved(plan, state, prediction, None)
    return log_density(move_at(plan, k, state.z), mean, after.z, torch.Size(state.shape).numel())


def observe(plan: Plan, state: State) -> Tensor:
    """Return x (B, *shape) in the schedule's coordinates, x = scale (U z + beta m), where the state has arrived."""
    point = plan.stages[state.evaluations - 1].step if state.evaluations else 0
    beta, scales = plan.beta, plan.scales
    x = _whole(plan, state, beta[point])
    return x if scales[point] == 1 else x * scales[point]


def _moved(
    plan: Plan, state: State, prediction: Tensor | Sequence[Tensor], noise: Tensor | None
) -> tuple[Tensor, tuple[Tensor | None, ...]]:
    """The next z and the sums ahead, from predictions and noise that fit."""
    k, whole = state.evaluations, (len(state), *state.shape)
    asks, move = plan.stages[k].asks, move_at(plan, k, state.z)
    given: list[Any] = list(prediction) if isinstance(prediction, (list, tuple)) else [prediction]
    if len(given) != len(asks):
        raise PlanError(f"row {k} asks for {len(asks)} predictions ({', '.join(asks)}); got {len(given)}.")
    for name, tensor in [*zip(asks, given, strict=True), *([] if noise is None else [("noise", noise)])]:
        if not isinstance(tensor, Tensor) or tuple(tensor.shape) != whole:
            got = tuple(tensor.shape) if isinstance(tensor, Tensor) else type(tensor).__name__
            raise PlanError(f"{name} must be a tensor of shape {whole}; got {got}.")
    if move.reference is not None:
        given = [move.reference.forward(p.to(state.z.dtype)) for p in given]
    return advance(move, state.z, given, state.ahead, None if noise is None else noise.to(state.z))


def _whole(plan: Plan, state: State, mean: Any) -> Tensor:
    """U z + mean m in memory of its own."""
    reference = move_at(plan, 0, state.z).reference
    if reference is None:
        return state.z.clone()
    found: Tensor = reference.inverse(state.z, state.shape) + mean * reference.mean
    return found


def _index(plan: Plan, state: State) -> int:
    if state.evaluations >= len(plan.stages):
        raise PlanError(f"all {len(plan.stages)} evaluations of this plan are done.")
    return state.evaluations

"""A stage of a plan, ready to be taken, and the one step: an evaluation is added to the next states.

Read from the side of a field g_k, the state after stage k + j needs weights_{k+j}[j] g_k: a stage's *terms*
a z + sum_i b_i P_i + c are what its evaluation adds to the state after it, the one after that, and so on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from symsi.errors import PlanError
from symsi.models.reference import Reference
from symsi.solvers.plan import Plan
from symsi.solvers.stage import Coefficient, Stage

__all__ = ["Memory", "Move", "Term", "advance", "check_modes", "log_density", "move_at", "moves"]


class Memory(IntEnum):
    """Whose memory a step may write into: nobody's, that of the sums of states to come, or that of the state too."""

    KEPT = 0
    SUMS = 1
    ALL = 2


@dataclass(frozen=True, eq=False)
class Term:
    """a z + sum_i b_i P_i + c."""

    a: Coefficient
    b: tuple[Coefficient, ...]
    c: Coefficient = 0.0


@dataclass(frozen=True, eq=False)
class Move:
    """A stage's terms and noise, whose tensors lie on the device and in the dtype of the states, as the reference does.

    `means` are the coefficients of the reference's mean in the state before and after.
    """

    terms: tuple[Term | None, ...]
    noise: Coefficient
    means: tuple[Coefficient, Coefficient]
    reference: Reference | None


# By plan, so that what was placed goes when the plan does.
_PLACED: WeakKeyDictionary[Plan, dict[tuple[torch.dtype, torch.device], tuple[Move, ...]]] = WeakKeyDictionary()
_FITTING: WeakKeyDictionary[Plan, set[tuple[int, ...]]] = WeakKeyDictionary()


@torch.inference_mode(False)
def moves(plan: Plan, like: Tensor) -> tuple[Move, ...]:
    """Return the moves of a plan's stages, for states like `like`; kept with the plan unless they carry gradients."""
    key = (like.dtype, like.device)
    kept = _PLACED.setdefault(plan, {})
    if key in kept:
        return kept[key]
    reference = None if plan.reference is None else plan.reference.beside(like)
    made = tuple(_move(plan, k, like, reference) for k in range(len(plan.stages)))
    if not any(map(_differentiable, plan.stages)):
        kept[key] = made
    return made


def move_at(plan: Plan, k: int, like: Tensor) -> Move:
    """Return the move of one stage; with gradients nothing but this stage is placed anew."""
    if any(map(_differentiable, plan.stages)):
        return _move(plan, k, like, None if plan.reference is None else plan.reference.beside(like))
    return moves(plan, like)[k]


def check_modes(plan: Plan, modes: tuple[int, ...]) -> None:
    """Raise PlanError unless each coefficient of the plan is one number, or one a mode."""
    fitting = _FITTING.setdefault(plan, set())
    if modes in fitting:
        return
    for k, stage in enumerate(plan.stages):
        values = (stage.keep, stage.state, stage.offset, stage.noise, *stage.gains, *stage.weights, plan.start)
        for value in values:
            shape = tuple(value.shape) if isinstance(value, Tensor) else ()
            paired = zip(reversed(shape), reversed(modes), strict=False)
            if len(shape) > len(modes) or any(n not in (1, m) for n, m in paired):
                raise PlanError(
                    f"row {k} (step {stage.step}): a coefficient of shape {shape} is neither one number nor one "
                    f"for each of the modes {modes}."
                )
    fitting.add(modes)


def _move(plan: Plan, k: int, like: Tensor, reference: Reference | None) -> Move:
    stage, most = plan.stages[k], max(len(stage.weights) for stage in plan.stages)
    terms = _terms(plan.stages, k, most, like)
    return Move(terms, _place(stage.noise, like), (stage.mean, plan.beta[stage.step]), reference)


def _terms(stages: Sequence[Stage], k: int, most: int, like: Tensor) -> tuple[Term | None, ...]:
    """The terms of evaluation k in the states after stages k, k + 1, ...; the first has `keep` too."""
    found = [_term(stages[k], stages[k + j], j, like) for j in range(min(most, len(stages) - k))]
    while found[-1] is None:
        found.pop()
    return tuple(found)


def _term(stage: Stage, later: Stage, j: int, like: Tensor) -> Term | None:
    if j >= len(later.weights):
        return None
    weight = later.weights[j]
    a, c = weight * stage.state, weight * stage.offset
    gains = tuple(_place(weight * gain, like) for gain in stage.gains)
    return Term(_place(stage.keep + a if j == 0 else a, like), gains, _place(c, like))


def _place(value: Coefficient, like: Tensor) -> Coefficient:
    return value.to(like) if isinstance(value, Tensor) else value


def _differentiable(stage: Stage) -> bool:
    values = (stage.keep, stage.state, stage.offset, stage.noise, *stage.gains, *stage.weights)
    return any(isinstance(value, Tensor) and value.requires_grad for value in values)


def advance(
    move: Move,
    z: Tensor,
    predictions: Sequence[Tensor],
    ahead: Sequence[Tensor | None] = (),
    noise: Tensor | None = None,
    memory: Memory = Memory.KEPT,
) -> tuple[Tensor, tuple[Tensor | None, ...]]:
    """Return the state after a stage, and the sums of states to come; `ahead` are those of before, at first none.

    Predictions are in modes, noise is not. With `memory` KEPT everything that is given stays as it is, and gradients
    flow through all of it; else the memory of the sums, or of z too, is used again. The numbers are the same, but for a
    stage with a = 1 alone: it rounds as z + b P does in torch unless the memory of z is used.
    """
    predictions = [p if p.dtype == z.dtype else p.to(z.dtype) for p in predictions]
    sums: list[Tensor | None] = []
    for j, term in enumerate(move.terms):
        held = ahead[j] if j < len(ahead) else None
        if term is not None:
            last = memory is Memory.ALL and j + 1 == len(move.terms)
            held = _onto(held, z, predictions, term, spare=last, own=memory is not Memory.KEPT)
        sums.append(held)
    after, *rest = sums
    assert after is not None  # a stage's first term is never left out
    if noise is not None:
        after = _add(after, noise if move.reference is None else move.reference.forward(noise), move.noise)
    return after, tuple(rest)


def log_density(move: Move, mean: Tensor, after: Tensor, size: int) -> Tensor:
    """Return log N(after; mean, noise^2), summed over the `size` components of each sample: (B,).

    It is -sum_i (r_i^2/2 + log noise_i) - size log(2 pi)/2, r_i = (after_i - mean_i) / noise_i, over the modes of the
    reference if there is one; nan or infinite where a stage adds no noise.
    """
    noise = torch.as_tensor(move.noise, dtype=mean.dtype, device=mean.device)
    r = ((after - mean) / noise).flatten(1)
    scale = noise.expand_as(mean).flatten(1).log()
    volume = scale.sum(1)
    if r.shape[1] > size:  # a low-rank basis: what is left of x has as many numbers as x, but r dimensions fewer
        rank = r.shape[1] - size
        volume = scale[:, :rank].sum(1) + (size - rank) * scale[:, -1]
    return -r.square().sum(1) / 2 - volume - size * math.log(2 * math.pi) / 2


def _add(z: Tensor, other: Tensor, weight: Coefficient) -> Tensor:
    """z <- z + weight other, in place."""
    if isinstance(weight, Tensor):
        return z.addcmul_(other, weight)
    return z if weight == 0 else z.add_(other, alpha=weight)


def _sum(z: Tensor, other: Tensor, weight: Coefficient) -> Tensor:
    """z + weight other, in memory of its own."""
    return torch.addcmul(z, other, weight) if isinstance(weight, Tensor) else torch.add(z, other, alpha=weight)


def _onto(
    held: Tensor | None, z: Tensor, predictions: Sequence[Tensor], term: Term, *, spare: bool, own: bool
) -> Tensor:
    """held + a z + sum_i b_i P_i + c in the memory of `held` if it is our `own`, of a `spare` z, or in new memory."""
    first, *others = zip(predictions, term.b, strict=True)
    if held is not None:
        if held.is_inference() and not torch.is_inference_mode_enabled():
            held, own = held.clone(), True
        total = _add((_add if own else _sum)(held, z, term.a), *first)
    elif spare:
        total = _add(z.mul_(term.a), *first)
    elif isinstance(term.a, Tensor) or term.a != 1:
        total = _add(z * term.a, *first)
    else:
        scaled = first[0] * first[1]
        total = scaled.add_(z) if scaled.stride() == z.stride() else z + scaled
    for prediction, gain in others:
        total = _add(total, prediction, gain)
    return total if not isinstance(term.c, Tensor) and term.c == 0 else total.add_(term.c)

"""A stage of a plan, ready to be taken, and the one step: an evaluation is added to the next states.

Read from the side of a field g_k, the state after stage k + j needs weights_{k+j}[j] g_k: a stage's *terms*
a z + sum_i b_i P_i + c are what its evaluation adds to the state after it, the one after that, and so on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Any, NamedTuple
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


class Term(NamedTuple):
    """a z + sum_i b_i P_i + c."""

    a: Coefficient
    b: tuple[Coefficient, ...]
    c: Coefficient = 0.0


class Move(NamedTuple):
    """A stage's terms and noise, whose tensors lie on the device and in the dtype of the states, as the reference does.

    `means` are the coefficients of the reference's mean in the state before and after.
    """

    terms: tuple[Term | None, ...]
    noise: Coefficient
    means: tuple[Coefficient, Coefficient]
    reference: Reference | None


# By plan, so that what was placed goes when the plan does; None stands for any states, where there is nothing to place.
_PLACED: WeakKeyDictionary[Plan, dict[tuple[torch.dtype, torch.device] | None, tuple[Move, ...]]] = WeakKeyDictionary()
_FITTING: WeakKeyDictionary[Plan, set[tuple[int, ...]]] = WeakKeyDictionary()


@torch.inference_mode(False)
def moves(plan: Plan, like: Tensor) -> tuple[Move, ...]:
    """Return the moves of a plan's stages, for states like `like`; kept with the plan unless they carry gradients."""
    kept = _PLACED.setdefault(plan, {})
    key = None if None in kept else (like.dtype, like.device)
    if key in kept:
        return kept[key]
    tensors = _tensors(plan)
    made = tuple(_moves(plan, range(len(plan.stages)), like, placed=bool(tensors)))
    if not any(value.requires_grad for value in tensors):
        kept[key if tensors or plan.modal else None] = made
    return made


def move_at(plan: Plan, k: int, like: Tensor) -> Move:
    """Return the move of one stage; with gradients nothing but this stage is placed anew."""
    if any(value.requires_grad for value in _tensors(plan)):
        return next(_moves(plan, range(k, k + 1), like, placed=True))
    return moves(plan, like)[k]


def check_modes(plan: Plan, form: tuple[int, ...]) -> None:
    """Raise SymsiError unless the plan's reference is of samples of shape `form`, and its numbers of their modes.

    A coefficient may be one number, or a tensor that broadcasts to the modes, by torch's rule, and not beyond them:
    PlanError. What fits is kept with the plan.
    """
    fitting = _FITTING.setdefault(plan, set())
    if form in fitting:
        return
    modes, law = form, plan.reference
    if law is not None:
        law.check(form)
        modes = form if law.basis is None else tuple(law.modal_variances.shape)
    for k, stage in enumerate(plan.stages):
        for value in (*stage.coefficients, plan.start):
            if isinstance(value, Tensor) and not _serves(value.shape, modes):
                raise PlanError(
                    f"row {k} (step {stage.step}): a coefficient of shape {tuple(value.shape)} does not broadcast "
                    f"to the modes {modes}; make a plan for samples of this shape."
                )
    fitting.add(form)


def _serves(shape: Sequence[int], modes: Sequence[int]) -> bool:
    """Whether a tensor of that shape broadcasts to the modes, which keep their shape: from the last dimension on."""
    paired = zip(reversed(shape), reversed(modes), strict=False)
    return len(shape) <= len(modes) and all(n in (1, m) for n, m in paired)


def _tensors(plan: Plan) -> list[Tensor]:
    """The coefficients of the stages that are more than numbers."""
    return [value for stage in plan.stages for value in stage.coefficients if isinstance(value, Tensor)]


def _moves(plan: Plan, which: range, like: Tensor, *, placed: bool) -> Iterator[Move]:
    """The moves of some stages; their coefficients are `placed` beside the states unless they are numbers anyway."""
    stages, beta = plan.stages, plan.beta
    longest = max(len(stage.weights) for stage in stages)
    reference = None if plan.reference is None else plan.reference.beside(like)
    for k in which:
        stage = stages[k]
        found: list[Term | None] = []
        for j, later in enumerate(stages[k : k + longest]):
            term = _term(stage, later, j)
            found.append(_placed(term, like) if placed and term is not None else term)
        while found[-1] is None:
            found.pop()
        noise = _place(stage.noise, like) if placed else stage.noise
        yield Move(tuple(found), noise, (stage.mean, beta[stage.step]), reference)


def _term(stage: Stage, later: Stage, j: int) -> Term | None:
    """What the evaluation of a stage adds to the state after the j-th stage from it; the first keeps z too."""
    if j >= len(later.weights):
        return None
    weight, a = later.weights[j], _product(later.weights[j], stage.state)
    gains = tuple([weight * gain for gain in stage.gains])
    return Term(a if j else stage.keep + a, gains, _product(weight, stage.offset))


def _product(weight: Coefficient, value: Coefficient) -> Coefficient:
    """Weight by mode times 0 is 0, of which nothing is added."""
    return 0.0 if isinstance(value, float) and value == 0 else weight * value


def _placed(term: Term, like: Tensor) -> Term:
    return Term(_place(term.a, like), tuple(_place(b, like) for b in term.b), _place(term.c, like))


def _place(value: Coefficient, like: Tensor) -> Coefficient:
    return value.to(like) if isinstance(value, Tensor) else value


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
    kind, terms = z.dtype, move.terms
    for p in predictions:
        if p.dtype != kind:
            predictions = [p.to(kind) for p in predictions]
            break
    given, last = len(ahead), len(terms) - 1 if memory is Memory.ALL else -1
    sums: list[Any] = []
    for j, term in enumerate(terms):
        held = ahead[j] if j < given else None
        sums.append(held if term is None else _onto(held, z, predictions, term, memory, j == last))
    after = sums.pop(0)
    if noise is not None:
        after = _add(after, noise if move.reference is None else move.reference.forward(noise), move.noise)
    return after, tuple(sums)


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
    if isinstance(weight, float):
        return z.add_(other, alpha=weight) if weight else z
    return z.addcmul_(other, weight)


def _sum(z: Tensor, other: Tensor, weight: Coefficient) -> Tensor:
    """z + weight other, in memory of its own."""
    return torch.add(z, other, alpha=weight) if isinstance(weight, float) else torch.addcmul(z, other, weight)


def _onto(
    held: Tensor | None, z: Tensor, predictions: Sequence[Tensor], term: Term, memory: Memory, spare: bool
) -> Tensor:
    """held + a z + sum_i b_i P_i + c in the memory of `held` if it is ours, of a `spare` z, or in new memory."""
    a, b, c = term
    first = predictions[0]
    if held is not None:
        if held.is_inference() and not torch.is_inference_mode_enabled():
            held, memory = held.clone(), Memory.SUMS
        total = _add(_sum(held, z, a) if memory is Memory.KEPT else _add(held, z, a), first, b[0])
    elif spare:
        total = _add(z.mul_(a), first, b[0])
    elif not isinstance(a, float) or a != 1:
        total = _add(z * a, first, b[0])
    else:
        scaled = first * b[0]
        total = scaled.add_(z) if scaled.stride() == z.stride() else z + scaled
    for i in range(1, len(b)):
        total = _add(total, predictions[i], b[i])
    return total if isinstance(c, float) and c == 0 else total.add_(c)

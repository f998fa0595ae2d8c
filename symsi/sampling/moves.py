"""A plan, applied: an evaluation's terms a z + b P + c are added to the next state and to the sums of those to come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from symsi.solvers.plan import Coefficient, Plan, Row, Term

__all__ = ["Move", "add", "advance", "moves"]


@dataclass(frozen=True)
class Move:
    """A row with its terms and its noise, whose tensors lie on the device and in the dtype of the states."""

    row: Row
    terms: tuple[Term | None, ...]
    noise: Coefficient


def moves(plan: Plan, like: Tensor) -> list[Move]:
    """Return the moves of a plan's rows, for states like `like`."""

    def place(value: Coefficient) -> Coefficient:
        return value.to(like) if isinstance(value, Tensor) else value

    def placed(term: Term | None) -> Term | None:
        return None if term is None else Term(place(term.a), place(term.b), place(term.c))

    return [
        Move(row, tuple(map(placed, terms)) if plan.modal else terms, place(row.noise))
        for row, terms in zip(plan.rows, plan.terms, strict=True)
    ]


def advance(
    terms: Sequence[Term | None], z: Tensor, prediction: Tensor, ahead: list[Tensor | None], *, in_place: bool = True
) -> Tensor:
    """Return the state after a row, before its noise; `ahead` holds the sums of states to come, at first none.

    `in_place`, the memory of z may be used and its numbers are lost. Otherwise z and what autograd recorded stay as
    they are, and a row with a = 1 alone rounds as z + b P does in torch.
    """
    if prediction.dtype != z.dtype:
        prediction = prediction.to(z.dtype)
    sums: list[Tensor | None] = []
    for j, term in enumerate(terms):
        held = ahead[j] if j < len(ahead) else None
        if term is not None:
            held = _onto(held, z, prediction, term, spare=in_place and j + 1 == len(terms))
        sums.append(held)
    after, *ahead[:] = sums
    assert after is not None  # a row's first term is none of the None
    return after


def add(z: Tensor, other: Tensor, weight: Coefficient) -> Tensor:
    """z <- z + weight other, in place."""
    if isinstance(weight, Tensor):
        return z.addcmul_(other, weight)
    return z if weight == 0 else z.add_(other, alpha=weight)


def _onto(held: Tensor | None, z: Tensor, prediction: Tensor, term: Term, *, spare: bool) -> Tensor:
    """held + a z + b P + c in the memory of `held` or, if there is none, of a `spare` z or its own, laid out as z."""
    if held is not None:
        if held.is_inference() and not torch.is_inference_mode_enabled():
            held = held.clone()
        total = add(add(held, z, term.a), prediction, term.b)
    elif spare:
        total = add(z.mul_(term.a), prediction, term.b)
    elif isinstance(term.a, Tensor) or term.a != 1:
        total = add(z * term.a, prediction, term.b)
    else:
        scaled = prediction * term.b
        total = scaled.add_(z) if scaled.stride() == z.stride() else z + scaled
    return total if not isinstance(term.c, Tensor) and term.c == 0 else total.add_(term.c)

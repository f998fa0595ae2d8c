"""One run through a plan, an evaluation at a time, as a pipeline's loop drives it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from symsi.coefficients.runtime import working
from symsi.models.reference import Reference
from symsi.sampling.moves import add, advance, moves
from symsi.solvers.plan import Plan

__all__ = ["Run"]


class Run:
    """A plan that begins at evaluation `first` of the grid, on states like `sample`, and the sums of states to come."""

    def __init__(self, plan: Plan, first: int, sample: Tensor, reference: Reference | None) -> None:
        self._kind = working(sample)
        like = torch.empty(0, dtype=self._kind, device=sample.device)
        self.shape = sample.shape
        self.reference = reference.beside(like) if reference is not None and plan.modal else None
        self._plan, self._first = plan, first
        self._moves = moves(plan, like)
        self._ahead: list[Tensor | None] = []

    def step(self, k: int, prediction: Tensor, sample: Tensor, draw: Callable[[int, torch.dtype], Tensor]) -> Tensor:
        """Return the state after evaluation k, in float32 (float64 for float64 states), in memory of its own.

        `draw(step, dtype)` gives noise like the sample for a step that adds some, counted from 1 at the run's first; it
        may raise before anything has changed.
        """
        move, modes = self._moves[k - self._first], self.reference
        noise = draw(move.row.step, self._kind) if move.row.noisy else None
        z = sample if sample.dtype == self._kind else sample.to(self._kind)
        if modes is not None:
            z, prediction = modes.forward(z - move.row.mean * modes.mean), modes.forward(prediction.to(z.dtype))
        z = advance(move.terms, z, prediction, self._ahead, in_place=False)
        if noise is not None:
            add(z, noise if modes is None else modes.forward(noise), move.noise)
        if modes is None:
            return z
        return modes.inverse(z, tuple(self.shape[1:])) + self._plan.beta[move.row.step] * modes.mean

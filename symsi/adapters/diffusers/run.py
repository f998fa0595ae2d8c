"""One run through a plan, an evaluation at a time, as a pipeline's loop drives it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from symsi.coefficients.runtime import working
from symsi.sampling.moves import Memory, advance, check_modes, moves
from symsi.solvers.plan import Plan

__all__ = ["Run"]


class Run:
    """A plan that begins at evaluation `first` of the grid, on states like `sample`, and the sums of states to come."""

    def __init__(self, plan: Plan, first: int, sample: Tensor) -> None:
        check_modes(plan, tuple(sample.shape[1:]))
        self._kind = working(sample)
        self.shape = sample.shape
        self._plan, self._first = plan, first
        self._moves = moves(plan, torch.empty(0, dtype=self._kind, device=sample.device))
        self._ahead: tuple[Tensor | None, ...] = ()

    def step(self, k: int, prediction: Tensor, sample: Tensor, draw: Callable[[int, torch.dtype], Tensor]) -> Tensor:
        """Return the state after evaluation k, in float32 (float64 for float64 states), in memory of its own.

        `draw(step, dtype)` gives noise like the sample for a step that adds some, counted from 1 at the run's first; it
        may raise before anything has changed.
        """
        stage, move = self._plan.stages[k - self._first], self._moves[k - self._first]
        noise = draw(stage.step, self._kind) if stage.noisy else None
        z = sample if sample.dtype == self._kind else sample.to(self._kind)
        modes = move.reference
        if modes is None:
            after, self._ahead = advance(move, z, (prediction,), self._ahead, noise, Memory.SUMS)
            return after
        z, prediction = modes.forward(z - move.means[0] * modes.mean), modes.forward(prediction.to(z.dtype))
        z, self._ahead = advance(move, z, (prediction,), self._ahead, noise, Memory.SUMS)
        return modes.inverse(z, tuple(self.shape[1:])) + move.means[1] * modes.mean

"""A table refined by gradient descent through the network: all of its numbers and times, for any loss of its end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf

import torch
from torch import Tensor

from symsi.calibration.student import Student
from symsi.solvers.triangle import Triangle

__all__ = ["Descent"]

_BACKWARD = 2  # evaluations that the way back through one costs


@dataclass(frozen=True)
class Descent:
    """Adam on the mean square of features(end) - features(target), over the first `fitted` samples of a student.

    Of all learning rates, which fall to 0 by a cosine, and rounds, the table is kept whose loss is least on the other
    samples. A row's constant moves where `constant` is set.
    """

    student: Student
    target: Tensor
    fitted: int
    constant: bool = False
    features: Callable[[Tensor], Tensor] | None = None
    rates: Sequence[float] = (3e-3, 1e-2)
    rounds: int = 100

    def refine(self, table: Triangle) -> tuple[Triangle, float]:
        """Return the best table found from this one, which may be this one, and the square root of its loss."""
        best, found = inf, table
        for rate in self.rates:
            free = [number.requires_grad_() for number in self._numbers(table)]
            adam = torch.optim.Adam(free, lr=rate)
            falls = torch.optim.lr_scheduler.CosineAnnealingLR(adam, self.rounds)
            for left in range(self.rounds, -1, -1):
                made = self._table(table, free)
                held = self._held(made)
                if held < best:
                    best, found = held, made
                if left and held < inf:
                    self._slopes(table, free)
                    adam.step()
                    falls.step()
        return found, best**0.5

    def _held(self, table: Triangle) -> float:
        """The loss on the samples held out; inf for nan."""
        with torch.no_grad():
            free = self._numbers(table)
            count = len(self.target)
            parts = [self._loss(table, free, rows) for rows in self.student.batches(self.fitted, count)]
        total = float(torch.stack(parts).sum()) / (count - self.fitted)
        return total if total == total else inf

    def _slopes(self, table: Triangle, free: Sequence[Tensor]) -> None:
        """Put the loss' derivatives beside the numbers, a batch at a time."""
        for number in free:
            number.grad = torch.zeros_like(number)
        for rows in self.student.batches(0, self.fitted):
            loss = self._loss(table, free, rows) / self.fitted
            for number, slope in zip(free, torch.autograd.grad(loss, free), strict=True):
                assert number.grad is not None
                number.grad += slope
            self.student.tick(_BACKWARD * (rows.stop - rows.start) * sum(map(len, table.asks)))

    def _loss(self, table: Triangle, free: Sequence[Tensor], rows: slice) -> Tensor:
        """The sum over samples of the mean square over a sample's features."""
        columns = [self.student.start[rows]]
        state = columns[0]
        for k, (time, row) in enumerate(zip(self._times(free), self._rows(table, free), strict=True)):
            at = time.to(state).expand(len(state))
            columns += [self.student.evaluate(ask, state, at, rows) for ask in table.asks[k]]
            total = row[-1].to(state).expand_as(state)
            for number, column in zip(row, columns, strict=False):
                total = total + number.to(state) * column
            state = total
        end, goal = state, self.target[rows]
        if self.features is not None:
            end, goal = self.features(end), self.features(goal.clone())  # which may write into what it is given
        return (end - goal).flatten(1).square().mean(1).sum().double()

    def _numbers(self, table: Triangle) -> list[Tensor]:
        """Copies of what moves: the logarithms of the gaps between times, from 0 to 1, and the rows.

        A first time of 0 stays: the logarithm of its gap is -inf.
        """
        ends = torch.tensor([0.0, *table.times, 1.0], dtype=torch.float64)
        return [ends.diff().log(), *(row[: len(row) - (not self.constant)].clone() for row in table.rows)]

    def _times(self, free: Sequence[Tensor]) -> Tensor:
        return free[0].softmax(0).cumsum(0)[:-1]

    def _rows(self, table: Triangle, free: Sequence[Tensor]) -> list[Tensor]:
        given = zip(free[1:], table.rows, strict=True)
        return [row if self.constant else torch.cat([row, before[-1:]]) for row, before in given]

    def _table(self, table: Triangle, free: Sequence[Tensor]) -> Triangle:
        """The table of these numbers."""
        free = [number.detach().clone() for number in free]
        return replace(table, times=tuple(self._times(free).tolist()), rows=tuple(self._rows(table, free)))

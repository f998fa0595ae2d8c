"""A table, run on samples batch by batch, and its rows by least squares from float64 sums of products."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from symsi.models.protocol import Model
from symsi.sampling.predictions import check_form, not_finite, predictor, rows_of
from symsi.solvers.triangle import Triangle

__all__ = ["Gram", "Student", "combine", "solve"]


@dataclass
class Gram:
    """Sums over samples and components of products of columns (m, m), of columns with a target (m,), and its square."""

    columns: Tensor
    target: Tensor
    square: Tensor
    numbers: int

    @classmethod
    def of(cls, parts: Iterable[tuple[Sequence[Tensor], Tensor]]) -> Gram:
        """Return the sums over batches of columns and target, (B, *shape) each."""
        total: Gram | None = None
        for columns, target in parts:
            held, aim = torch.stack([c.double().flatten() for c in columns]), target.double().flatten()
            found = cls(held @ held.T, held @ aim, aim @ aim, aim.numel())
            total = found if total is None else total + found
        assert total is not None
        return total

    def __add__(self, other: Gram) -> Gram:
        """Return the sums of both."""
        sums = (self.columns + other.columns, self.target + other.target, self.square + other.square)
        return Gram(*sums, self.numbers + other.numbers)

    def error(self, row: Tensor) -> float:
        """Return the root mean square of target - sum_i row_i column_i."""
        total = self.square - 2 * row @ self.target + row @ self.columns @ row
        return math.sqrt(max(float(total), 0.0) / self.numbers)


def solve(gram: Gram, prior: Tensor, ridge: float) -> Tensor:
    """Return the row that minimises |target - sum_i row_i column_i|^2 + ridge sum_i G_ii (row_i - prior_i)^2.

    G are the sums of products: these are the normal equations. Where a column is zero the row keeps the prior's number.
    """
    size = gram.columns.diagonal()
    scale = torch.where(size > 0, size, 1.0).rsqrt()
    whole = scale[:, None] * gram.columns * scale + ridge * torch.eye(len(scale), dtype=scale.dtype)
    off = scale * (gram.target - gram.columns @ prior)
    found: Tensor = torch.linalg.lstsq(whole, off, driver="gelsd").solution
    return prior + scale * found


def combine(row: Tensor, columns: Sequence[Tensor]) -> Tensor:
    """Return sum_i row_i column_i + c, where a row has one number more than there are columns, its constant c."""
    total = columns[0] * float(row[0])
    for number, column in zip(row[1:].tolist(), columns[1:], strict=False):
        total.add_(column, alpha=number)
    return total.add_(float(row[len(columns)])) if len(row) > len(columns) else total


@dataclass(frozen=True)
class Student:
    """The model as a table's steps call it, on states (N, *shape), `batch` rows at a time.

    A prediction is asked for by name: "prediction" is the guided one where guidance != 1, and costs two evaluations
    then; "conditional" and "unconditional" are its parts. `tick(rows)` follows.
    """

    model: Model
    start: Tensor
    conditions: Mapping[str, Any]
    guidance: float
    batch: int
    tick: Callable[[int], None]

    def batches(self, begin: int, end: int) -> Iterator[slice]:
        """Yield the rows from `begin` to `end`, a batch at a time."""
        for first in range(begin, end, self.batch):
            yield slice(first, min(first + self.batch, end))

    @torch.no_grad()
    def predict(self, ask: str, x: Tensor, time: float, rows: slice) -> Tensor:
        """Return a prediction at states x of some rows. Raises ModelError where it is none, or not finite."""
        return self.evaluate(ask, x, torch.full((len(x),), time, dtype=torch.float64), rows)

    def evaluate(self, ask: str, x: Tensor, t: Tensor, rows: slice) -> Tensor:
        """Return what `predict` does, at times t (B,), differentiable in both."""
        model, device = self.model, self.model.device or x.device
        told = rows_of(self.conditions, rows, len(self.start), device)
        predict = predictor(model, told, {**told, **model.unconditional}, self.guidance)
        found = predict(ask, x.to(device, model.dtype or x.dtype), t.to(device, x.dtype))
        self.tick(len(x) * (2 if ask == "prediction" and self.guidance != 1 else 1))
        time = float(t.detach()[0])
        check_form(found, tuple(x.shape), device, time)
        if not torch.isfinite(found).all():
            raise not_finite(time, finite=False)
        return found.to(x)

    def columns(self, table: Triangle, rows: slice) -> list[Tensor]:
        """Return z and all predictions of a table on some rows."""
        state = self.start[rows]
        found = [state]
        for k, (time, row) in enumerate(zip(table.times, table.rows, strict=True)):
            found += [self.predict(ask, state, time, rows) for ask in table.asks[k]]
            state = combine(row, found)
        return found

    def error(self, table: Triangle, target: Tensor, begin: int, end: int) -> float:
        """Return the root mean square of the table's end to the target (N, *shape), on some rows, and inf for nan."""
        squares, numbers = 0.0, 0
        for rows in self.batches(begin, end):
            off = combine(table.rows[-1], self.columns(table, rows)) - target[rows]
            squares, numbers = squares + float(off.double().square().sum()), numbers + off.numel()
        return math.inf if math.isnan(squares) else math.sqrt(squares / numbers)

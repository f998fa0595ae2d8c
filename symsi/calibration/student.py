"""A table, run on samples batch by batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from symsi.models.protocol import Model
from symsi.sampling.predictions import check_form, not_finite, predictor, rows_of
from symsi.solvers.regression import combine
from symsi.solvers.triangle import Triangle

__all__ = ["Student", "fitted_rows"]


def fitted_rows(count: int) -> int:
    """Return to how many of the samples a table is fitted; the others, a quarter, are held out."""
    return count - max(1, count // 4)


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

    @torch.no_grad()
    def error(
        self, table: Triangle, target: Tensor, begin: int, end: int, features: Callable[[Tensor], Tensor] | None = None
    ) -> float:
        """Return the root mean square of the table's end to the target (N, *shape), on some rows, and inf for nan.

        With `features` it is that of theirs.
        """
        squares, numbers = 0.0, 0
        for rows in self.batches(begin, end):
            found, aim = combine(table.rows[-1], self.columns(table, rows)), target[rows]
            if features is not None:
                found, aim = features(found), features(aim.clone())  # which may write into what it is given
            off = found - aim
            squares, numbers = squares + float(off.double().square().sum()), numbers + off.numel()
        return math.inf if math.isnan(squares) else math.sqrt(squares / numbers)

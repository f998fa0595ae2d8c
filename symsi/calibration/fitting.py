"""A table fitted to a teacher: its rows one after the other, its times by search, then all of it together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from symsi.calibration.student import Student
from symsi.solvers.regression import Gram, combine, solve
from symsi.solvers.triangle import Triangle

__all__ = ["Fitter"]

_STRIDES = (0.12, 0.06, 0.03, 0.015)  # of the search, on the clock
_CLOSEST = 1e-3  # of two times on the clock
_GAIN = 1e-4  # of an error that is worth a move
_DIFFERENCE = 1e-3  # of a derivative by differences
_DAMPING = (1e-3, 1e-1, 3.0)
_ROUNDS = 5

Clock = tuple[float, ...]
Point = tuple[Clock, tuple[float, ...]]  # times, and what rows are multiplied by


@dataclass
class Fitter:
    """Fits tables of one number of steps on the first `count` samples of a student.

    Times lie on a clock from `earliest` to 1; the teacher is `target(t)` there, (count, *shape). The first evaluation
    is of the noise, at a time of its own: at 0 a prediction says no more than the mean.
    `prior(clock)` is the theory's table for those times, towards which a ridge of relative strength `ridge` draws.
    Rows minimise squared differences, by which times are compared, too; `together` those of `features` of the ends,
    (B, F), where they are given. With several `channels`, the first dimension of a sample, each has numbers of its own.
    """

    student: Student
    count: int
    target: Callable[[float], Tensor]
    prior: Callable[[Clock], Triangle]
    constant: bool = False
    channels: int = 1
    features: Callable[[Tensor], Tensor] | None = None
    ridge: float = 1e-6
    earliest: float = 0.0
    _best: Point = field(default=((), ()), init=False)
    _known: dict[Point, list[Tensor]] = field(default_factory=dict, init=False)  # predictions under this ridge

    def rows(self, clock: Clock, scales: Sequence[float] = ()) -> tuple[Triangle, Tensor]:
        """Fit each row to the teacher's state where it ends, the student running; return the table and its errors.

        Inner rows are then multiplied by `scales`. Errors are mean squares of samples' last differences, (count,).
        """
        prior, ends = self.prior(clock), (*clock[1:], 1.0)
        rows: list[Tensor] = []
        columns = [self.student.start[: self.count]]
        state = columns[0]
        parts = _parts(clock, scales)
        for k, (time, key) in enumerate(zip(prior.times, parts, strict=True)):
            if key not in self._known:
                self._known[key] = self._evaluate(prior.asks[k], time, state)
            columns += self._known[key]
            row = self._row(columns, self.target(ends[k]), prior.rows[k])
            rows.append(row * scales[k] if k < len(scales) else row)
            state = combine(rows[-1], columns)
        near = {*parts, *_parts(*self._best)}
        self._known = {key: held for key, held in self._known.items() if key in near}
        missed = (state[part] - self.target(1.0)[part] for part in self._batches())
        return replace(prior, rows=tuple(rows)), torch.cat([d.double().flatten(1).square().mean(1) for d in missed])

    def search(self, starts: Sequence[Clock]) -> Clock:
        """Return the times with the least error: from the best of some, one moved at a time, ever less.

        Each start competes with itself begun half way to its second time: a first evaluation is worth most there.
        None moves where that helps the samples by less than its standard error: few samples say little about times.
        """
        later = [(0.5 * (s[0] + (*s, 1.0)[1]), *s[1:]) for s in starts]
        start = min([*starts, *later], key=lambda s: float(self.rows(s)[1].mean()))
        return self._descend((start, ()), _helps)[0]

    @torch.no_grad()
    def together(self, clock: Clock) -> tuple[Clock, Triangle]:
        """Return times and rows refined against the end alone, by damped Gauss-Newton steps.

        They start where times and sizes of the inner rows, moved one at a time as in `search`, are best: a network may
        be told of less noise than there is. Derivatives are differences. The last row is always the best for the
        others, drawn by the ridge; where features are compared it moves with them, held by the damping alone. Only
        steps that lower the error are taken.
        """
        ones = (1.0,) * (len(clock) - 1)
        clock, scales = self._descend((clock, ones), lambda gains: True)
        table, error = self.last(clock, self.rows(clock, scales)[0])
        if self.features is not None:
            table, error = self._ended(clock, table)
        for _ in range(_ROUNDS):
            tried = [(*self._ended(there, moved), there) for there, moved in self._newton(clock, table)]
            found = min(tried, key=lambda t: t[1], default=None)
            if found is None or not found[1] < error * (1 - _GAIN):
                break
            table, error, clock = found
        return clock, table

    def last(self, clock: Clock, table: Triangle) -> tuple[Triangle, float]:
        """Return a table with the best last row, and its error."""
        target = self.target(1.0)
        parts = ((self.student.columns(table, rows), target[rows]) for rows in self._batches())
        gram = Gram.of((self._with_constant(columns), aim) for columns, aim in parts)
        row = self._solved(gram, self.prior(clock).rows[-1])
        return replace(table, rows=(*table.rows[:-1], row)), gram.error(row[: len(gram.target)])

    def _descend(self, at: Point, helps: Callable[[Tensor], bool]) -> Point:
        """Move one number of a point at a time, ever less, where that `helps` by what the samples gain."""
        self._best, best = at, self.rows(*at)[1]
        for stride in _STRIDES:
            moved = True
            while moved:
                moved = False
                for candidate in _neighbours(self._best, stride, self.earliest):
                    found = self.rows(*candidate)[1]
                    if helps(best - found) and found.mean() < best.mean() * (1 - _GAIN):
                        self._best, best, moved = candidate, found, True
                        break
        return self._best

    def _ended(self, clock: Clock, table: Triangle) -> tuple[Triangle, float]:
        """A table with its error in what is compared: in features, or in samples, with the best last row."""
        if self.features is None:
            return self.last(clock, table)
        return table, self.student.error(table, self.target(1.0), 0, self.count, self.features)

    def _newton(self, clock: Clock, table: Triangle) -> Iterator[tuple[Clock, Triangle]]:
        """The tables at the ends of Gauss-Newton steps of different damping."""
        free, last, target = self._pack(clock, table), table.rows[-1], self.target(1.0)
        sides = [self._unpack(clock, table, free + step)[1] for step in _DIFFERENCE * torch.eye(len(free)).double()]

        def parts() -> Iterator[tuple[list[Tensor], Tensor]]:
            for rows in self._batches():
                columns = self.student.columns(table, rows)
                here, held = combine(last, columns), self._with_constant(columns)
                ends = [combine(last, self.student.columns(side, rows)) for side in sides]
                if self.features is None:
                    yield [*((end - here) / _DIFFERENCE for end in ends), *held], target[rows] - here
                    continue
                ends += [here + _DIFFERENCE * column for column in held]
                seen, *moved, aim = map(self.features, (here, *ends, target[rows].clone()))
                yield [(found - seen) / _DIFFERENCE for found in moved], aim - seen

        gram = Gram.of(parts())
        if not (gram.columns.isfinite().all() and gram.target.isfinite().all()):
            return  # features that have no value where a number moves to
        for damping in _DAMPING:
            step = solve(gram, torch.zeros_like(gram.target), damping)
            there, moved = self._unpack(clock, table, free + step[: len(free)])
            if _ordered(there):
                end = pad(step[len(free) :], (0, not self.constant))
                yield there, replace(moved, rows=(*moved.rows[:-1], last + end))

    def _pack(self, clock: Clock, table: Triangle) -> Tensor:
        """What is free beside the last row: the times, and the rows without constants that are not fitted."""
        rows = [row[: len(row) - (not self.constant)] for row in table.rows[:-1]]
        return torch.cat([torch.tensor(clock, dtype=torch.float64), *rows])

    def _unpack(self, clock: Clock, table: Triangle, free: Tensor) -> tuple[Clock, Triangle]:
        begin = len(clock)
        there = (max(float(free[0]), self.earliest), *free[1:begin].tolist())
        rows = []
        for row in table.rows[:-1]:
            size = len(row) - (not self.constant)
            rows.append(torch.cat([free[begin : begin + size], row[size:]]))
            begin += size
        times = self.prior(there).times if _ordered(there) else table.times
        return there, replace(table, times=times, rows=(*rows, table.rows[-1]))

    def _evaluate(self, asks: Sequence[str], time: float, state: Tensor) -> list[Tensor]:
        found = [torch.empty_like(state) for _ in asks]
        for rows in self._batches():
            for held, ask in zip(found, asks, strict=True):
                held[rows] = self.student.predict(ask, state[rows], time, rows)
        return found

    def _row(self, columns: Sequence[Tensor], target: Tensor, prior: Tensor) -> Tensor:
        parts = ((self._with_constant([c[rows] for c in columns]), target[rows]) for rows in self._batches())
        row = self._solved(Gram.of(parts, self.channels), prior)
        return row if self.channels == 1 else row.mT.reshape(-1, self.channels, *(1,) * (target.ndim - 2))

    def _with_constant(self, columns: Sequence[Tensor]) -> list[Tensor]:
        return [*columns, torch.ones_like(columns[0])] if self.constant else list(columns)

    def _solved(self, gram: Gram, prior: Tensor) -> Tensor:
        row = solve(gram, prior[: gram.target.shape[-1]], self.ridge)
        return row if self.constant else pad(row, (0, 1))

    def _batches(self) -> Iterator[slice]:
        return self.student.batches(0, self.count)


def _helps(gains: Tensor) -> bool:
    """Whether the mean of samples' gains is above its standard error, where there is one."""
    return len(gains) == 1 or bool(gains.mean() > gains.std() / len(gains) ** 0.5)


def _neighbours(at: Point, stride: float, earliest: float) -> Iterator[Point]:
    clock, scales = at
    for k in range(len(clock)):
        for aim in (max(clock[k] - stride, earliest), clock[k] + stride):
            candidate = (*clock[:k], aim, *clock[k + 1 :])
            if candidate != clock and _ordered(candidate):
                yield candidate, scales
        for aim in (scales[k] - stride, scales[k] + stride) if k < len(scales) else ():
            yield clock, (*scales[:k], aim, *scales[k + 1 :])


def _parts(clock: Clock, scales: Sequence[float]) -> list[Point]:
    """What the evaluations of a point depend on, one after the other."""
    return [(clock[: k + 1], tuple(scales[:k])) for k in range(len(clock))]


def _ordered(clock: Clock) -> bool:
    return all(after - before > _CLOSEST for before, after in zip(clock, (*clock[1:], 1.0), strict=True))

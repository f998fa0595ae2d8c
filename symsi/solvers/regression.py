"""Rows of a table by least squares (T24): float64 sums of products of columns, normal equations, and a ridge."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Gram", "combine", "solve"]


@dataclass
class Gram:
    """Sums over samples and components of products of columns (m, m), of columns with a target (m,), and its square.

    By channel they are (C, m, m), (C, m) and (C,).
    """

    columns: Tensor
    target: Tensor
    square: Tensor
    numbers: int

    @classmethod
    def of(cls, parts: Iterable[tuple[Sequence[Tensor], Tensor]], channels: int = 1) -> Gram:
        """Return the sums over batches of columns and target, (B, *shape) each; of each of several `channels`."""
        total: Gram | None = None
        for columns, target in parts:
            held, aim = torch.stack([_flat(c, channels) for c in columns], -2), _flat(target, channels)
            products = (held @ aim[..., None])[..., 0]
            found = cls(held @ held.mT, products, torch.linalg.vecdot(aim, aim), aim.shape[-1])
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
    Of sums by channel it is a row for each, (C, m).
    """
    size = gram.columns.diagonal(dim1=-2, dim2=-1)
    scale = torch.where(size > 0, size, 1.0).rsqrt()
    whole = scale[..., None] * gram.columns * scale[..., None, :] + ridge * torch.eye(len(prior), dtype=scale.dtype)
    off = scale * (gram.target - gram.columns @ prior)
    found: Tensor = torch.linalg.lstsq(whole, off[..., None], driver="gelsd").solution
    return prior + scale * found[..., 0]


def combine(row: Tensor, columns: Sequence[Tensor]) -> Tensor:
    """Return sum_i row_i column_i + c, where a row has one number more than there are columns, its constant c.

    Columns are (B, *shape), row_i numbers, or tensors that broadcast to `shape`.
    """
    numbers = row.tolist() if row.ndim == 1 else row.to(columns[0])
    total = columns[0] * numbers[0]
    for number, column in zip(numbers[1:], columns[1:], strict=False):
        total = total.add_(column, alpha=number) if row.ndim == 1 else total.addcmul_(column, number)
    return total.add_(numbers[len(columns)]) if len(row) > len(columns) else total


def _flat(x: Tensor, channels: int) -> Tensor:
    """The numbers of a batch in float64, (n,), or of each of its channels, (C, n)."""
    return x.double().flatten() if channels == 1 else x.double().transpose(0, 1).flatten(1)

"""How far samples are from data: distances between sets of samples, and the floor that finite sampling puts under them.

Sets are matrices, one sample a row; all is computed in float64 and returned as a float.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from symsi.errors import MetricError

__all__ = [
    "Floor",
    "MetricError",
    "Moments",
    "accuracy",
    "energy_distance",
    "frechet_distance",
    "recall",
    "rmse",
    "sampling_floor",
    "sliced_wasserstein",
    "weighted_energy_distance",
]

_CHUNK = 1024  # rows and columns of a block of pairwise distances: 8 MiB
_DIRECTIONS = 32  # projected at once


@dataclass(frozen=True)
class Floor:
    """The value of a metric between real and real samples: its mean and standard deviation over repeated draws."""

    mean: float
    spread: float


@dataclass(frozen=True)
class Moments:
    """Of N rows: `mean` m (D,) and `scatter` S, an upper triangle with S^T S = sum_i (x_i - m)(x_i - m)^T."""

    count: int
    mean: Tensor
    scatter: Tensor

    @classmethod
    def of(cls, x: Tensor) -> Moments:
        """Return the moments of x (N, D). Raises MetricError unless it is finite, with 1 row or more."""
        x = _numbers("x", x)
        if x.ndim != 2:
            raise MetricError(f"x must have the shape (N, D); got {tuple(x.shape)}. Flatten samples: x.flatten(1).")
        mean = x.mean(0)
        return cls(len(x), mean, torch.linalg.qr(x - mean, mode="r").R)

    def merge(self, other: Moments) -> Moments:
        """Return the moments of both sets of rows together, to rounding, whichever rows are where.

        With d = m' - m, m + d N'/(N + N') and S^T S + S'^T S' + N N'/(N + N') d d^T (Chan et al. 1979), whose root is
        the R of a QR decomposition of the three on top of each other. Raises MetricError for other columns.
        """
        if self.mean.shape != other.mean.shape:
            raise MetricError(
                f"moments must have as many columns; got {len(self.mean)} and {len(other.mean)}: of other features."
            )
        count, apart = self.count + other.count, other.mean - self.mean
        between = apart * math.sqrt(self.count * other.count / count)
        rows = torch.cat([self.scatter, other.scatter, between[None]])
        mean = self.mean + apart * (other.count / count)
        return Moments(count, mean, torch.linalg.qr(rows, mode="r").R)

    def root(self) -> Tensor:
        """Return R with R^T R the unbiased covariance."""
        return self.scatter / math.sqrt(self.count - 1)


def frechet_distance(x: Tensor | Moments, y: Tensor | Moments) -> float:
    """Return the squared Fréchet distance of the normal laws with the moments of x (N, D) and y (M, D).

    Either may be given as its `Moments`, which merge over parts of a set that is too large to be held.

    |m_x - m_y|^2 + tr(C_x + C_y - 2 (C_x^{1/2} C_y C_x^{1/2})^{1/2}), with the unbiased covariances (N - 1). The last
    trace is the nuclear norm of R_x R_y^T for C = R^T R, R from a QR decomposition of the centred samples: no root is
    taken of a rounding error, so that singular covariances (of N <= D samples, say) cost no accuracy.

    Finite samples bias it upwards, the more so the fewer they are; compare it with `sampling_floor` at the same count.
    Raises MetricError unless both are finite, with 2 rows or more and as many columns.
    """
    of_x, of_y = _moments("x", x), _moments("y", y)
    if of_x.mean.shape != of_y.mean.shape:
        raise MetricError(f"x and y must have as many columns; got {len(of_x.mean)} and {len(of_y.mean)}.")
    root_x, root_y = of_x.root(), of_y.root().to(of_x.mean.device)
    spread = root_x.square().sum() + root_y.square().sum() - 2 * torch.linalg.svdvals(root_x @ root_y.T).sum()
    return max(float((of_x.mean - of_y.mean.to(of_x.mean.device)).square().sum() + spread), 0.0)


def energy_distance(x: Tensor, y: Tensor) -> float:
    """Return the unbiased estimate of 2 E|X - Y| - E|X - X'| - E|Y - Y'| from x (N, D) and y (M, D).

    A U-statistic: X and X' are different rows. Its expectation is 0 for equal laws and positive for others, so that it
    can be slightly negative. Time is (N + M)^2 D; memory stays at a few blocks of 8 MiB.
    Raises MetricError unless both are finite, with 2 rows or more and as many columns.
    """
    x, y = _pair(x, y)
    n, m = len(x), len(y)
    within = _distances(x, x) / (n * (n - 1)) + _distances(y, y) / (m * (m - 1))
    return 2 * _distances(x, y) / (n * m) - within


def weighted_energy_distance(x: Tensor, log_weights: Tensor, y: Tensor) -> float:
    """Return 2 E|X - Y| - E|X - X'| - E|Y - Y'| for X of the law sum_i W_i delta_{x_i}, W = softmax(log_weights).

    x is (N, D), log_weights (N,), y (M, D) independent samples of the other law, whose own distance is a U-statistic.
    Of N independent samples of that law with equal weights it is E|Y - Y'|/N in expectation, and not 0. Raises
    MetricError unless all are finite, with 2 rows or more, as many columns, and one weight a row.
    """
    x, y = _pair(x, y)
    weights = torch.softmax(_numbers("log_weights", log_weights), 0)
    if weights.shape != x.shape[:1]:
        raise MetricError(f"log_weights must have the shape ({len(x)},), one a row; got {tuple(log_weights.shape)}.")
    near = "donot_use_mm_for_euclid_dist"
    across = weights @ torch.cdist(x, y, compute_mode=near).mean(1)
    within = weights @ torch.cdist(x, x, compute_mode=near) @ weights
    return float(2 * across - within) - _distances(y, y) / (len(y) * (len(y) - 1))


def sliced_wasserstein(x: Tensor, y: Tensor, directions: int = 256, seed: int = 0) -> float:
    """Return the sliced 2-Wasserstein distance of the empirical laws of x (N, D) and y (M, D).

    The root mean square over `directions` u, uniform on the sphere, of W_2(u.x, u.y), where
    W_2^2 = int_0^1 (F_x^{-1}(q) - F_y^{-1}(q))^2 dq is summed exactly over the steps of both quantile functions, for
    N and M that differ too. A shift by v gives the root mean square of u.v, which tends to |v| / sqrt(D).
    Raises MetricError unless both are finite, with 2 rows or more and as many columns, and `directions` is 1 or more.
    """
    x, y = _pair(x, y)
    if directions < 1:
        raise MetricError(f"directions must be 1 or more; got {directions}.")
    normals = torch.randn(directions, x.shape[1], generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    units = (normals / normals.norm(dim=1, keepdim=True)).to(x.device)
    n, m = len(x), len(y)
    # The quantile functions step at i/n and at j/m: in units of 1/(nm), at the integers i m and j n (twice: width 0).
    left = torch.cat([torch.arange(n) * m, torch.arange(m) * n]).to(x.device).sort().values
    width = torch.cat([left[1:], left.new_tensor([n * m])]).sub(left).double() / (n * m)
    total = 0.0
    for unit in torch.split(units, _DIRECTIONS):
        quantiles_x, quantiles_y = (x @ unit.T).sort(0).values, (y @ unit.T).sort(0).values
        total += (width @ (quantiles_x[left // m] - quantiles_y[left // n]).square()).sum().item()
    return math.sqrt(total / directions)


def recall(x: Tensor, y: Tensor, neighbours: int = 3) -> float:
    """Return the share of rows of y (M, D) that lie as near to a row of x (N, D) as its k-th neighbour in x does.

    Whether samples x cover data y (Kynkäänniemi et al. 2019, with k = `neighbours`); 1 is all of it. Fewer samples
    cover less: compare it with as many of the data's own. Raises MetricError unless both are finite, with 2 rows or
    more and as many columns, and 1 <= k < N.
    """
    x, y = _pair(x, y)
    if not 1 <= neighbours < len(x):
        raise MetricError(f"neighbours must be 1 to N - 1 = {len(x) - 1}; got {neighbours}.")
    radii = torch.cat([torch.cdist(part, x).kthvalue(neighbours + 1).values for part in torch.split(x, _CHUNK)])
    covered = sum(int((torch.cdist(part, x) <= radii).any(1).sum()) for part in torch.split(y, _CHUNK))
    return covered / len(y)


def rmse(x: Tensor, y: Tensor) -> float:
    """Return the root mean square of x - y. Raises MetricError unless they have one shape, are finite and not empty."""
    x, y = _numbers("x", x), _numbers("y", y)
    if x.shape != y.shape:
        raise MetricError(f"x and y must have one shape; got {tuple(x.shape)} and {tuple(y.shape)}.")
    return (x - y.to(x.device)).square().mean().sqrt().item()


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Return the share of rows of logits (B, K) whose largest entry is at the label, of labels (B,) in 0..K-1.

    Raises MetricError for other shapes, labels that are no integers or outside that range, or logits not finite.
    """
    logits = _numbers("logits", logits)
    if logits.ndim != 2:
        raise MetricError(f"logits must have the shape (B, K); got {tuple(logits.shape)}.")
    if not isinstance(labels, Tensor) or labels.dtype not in (torch.uint8, torch.int16, torch.int32, torch.int64):
        raise MetricError(f"labels must be a tensor of integers; got {_kind(labels)}.")
    if labels.shape != logits.shape[:1]:
        raise MetricError(f"labels must have the shape ({len(logits)},), one a row; got {tuple(labels.shape)}.")
    if labels.min() < 0 or labels.max() >= logits.shape[1]:
        raise MetricError(
            f"labels must lie in 0..{logits.shape[1] - 1}, the columns of logits; "
            f"got {int(labels.min())}..{int(labels.max())}."
        )
    return (logits.argmax(1) == labels.to(logits.device)).double().mean().item()


def sampling_floor(
    metric: Callable[[Tensor, Tensor], float], real: Tensor, count: int, *, repeats: int = 5, seed: int = 0
) -> Floor:
    """Return what `metric` says of `count` real samples against the others, for real (N, D).

    Each of `repeats` draws `count` rows without replacement and calls metric(drawn, rest): two disjoint sets that make
    up `real` together. `spread` is the standard deviation over repeats (with repeats - 1), which share one pool of data
    and so understate the spread of a fresh one. A model whose value is at the floor cannot be told from the data by it.
    Raises MetricError unless `real` is finite and 2 <= count <= N - 2, and `repeats` is 2 or more.
    """
    real = _matrix("real", real)
    if not 2 <= count <= len(real) - 2:
        raise MetricError(
            f"count must leave 2 samples on either side, 2 to N - 2; got count = {count} of N = {len(real)} real "
            "samples. Ask for fewer, or bring more real samples."
        )
    if repeats < 2:
        raise MetricError(f"repeats must be 2 or more, to have a spread; got {repeats}.")
    generator = torch.Generator().manual_seed(seed)
    values = []
    for _ in range(repeats):
        order = torch.randperm(len(real), generator=generator).to(real.device)
        values.append(metric(real[order[:count]], real[order[count:]]))
    return Floor(statistics.fmean(values), statistics.stdev(values))


def _moments(name: str, x: Tensor | Moments) -> Moments:
    if not isinstance(x, Moments):
        return Moments.of(_matrix(name, x))
    if x.count < 2:
        raise MetricError(f"{name} must be the moments of 2 samples or more; got {x.count}.")
    return x


def _distances(x: Tensor, y: Tensor) -> float:
    """The sum of |x_i - y_j|, block by block; without the matrix product, which is inexact for near samples."""
    total = 0.0
    for rows in torch.split(x, _CHUNK):
        for others in torch.split(y, _CHUNK):
            total += torch.cdist(rows, others, compute_mode="donot_use_mm_for_euclid_dist").sum().item()
    return total


def _pair(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    x, y = _matrix("x", x), _matrix("y", y)
    if x.shape[1] != y.shape[1]:
        raise MetricError(f"x and y must have as many columns; got {x.shape[1]} and {y.shape[1]}.")
    return x, y.to(x.device)


def _matrix(name: str, x: Tensor) -> Tensor:
    x = _numbers(name, x)
    if x.ndim != 2:
        raise MetricError(
            f"{name} must have the shape (N, D); got {tuple(x.shape)}. Flatten samples: {name}.flatten(1)."
        )
    if len(x) < 2:
        raise MetricError(f"{name} must hold 2 samples or more, one a row; got {len(x)}.")
    return x


def _numbers(name: str, x: Tensor) -> Tensor:
    """Return x in float64, if it is a tensor of finite real numbers and not empty."""
    if not isinstance(x, Tensor) or x.is_complex() or x.dtype == torch.bool:
        raise MetricError(f"{name} must be a tensor of real numbers; got {_kind(x)}.")
    if not x.numel():
        raise MetricError(f"{name} is empty: it has the shape {tuple(x.shape)}.")
    x = x.detach().to(torch.float64)
    if not x.isfinite().all():
        bad = int((~x.isfinite()).sum())
        raise MetricError(f"{name} must be finite; {bad} of its {x.numel()} numbers are nan or inf.")
    return x


def _kind(x: object) -> str:
    return f"one of {x.dtype}" if isinstance(x, Tensor) else type(x).__name__

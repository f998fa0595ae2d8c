"""A Gaussian reference from samples: of data, or a model's own."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from symsi.errors import SymsiError, unknown
from symsi.models.protocol import Model, as_model
from symsi.models.reference import KINDS, Reference
from symsi.sampling.sample import sample
from symsi.solvers.advice import advice

__all__ = ["LARGEST", "check_options", "estimate", "reference_of_model"]

LARGEST = 8192  # numbers in a sample, for all of its principal components


def estimate(data: Tensor, kind: str = "pca", *, rank: int | None = None, shrinkage: float = 0.05) -> Reference:
    """Fit a reference to samples (N, *shape): mean, and variances (1 - shrinkage) lambda_i + shrinkage mean(lambda).

    `rank` keeps the leading principal components; the others share their mean variance. Raises SymsiError for an
    unknown kind, fewer than two samples, values that are not finite, data without variance, an unfit rank or shrinkage,
    or all components of more than 8192 numbers. Without shrinkage near-null modes have large time steps and make
    multistep solvers unstable.
    """
    check_options(kind, rank, shrinkage)
    if not isinstance(data, Tensor) or data.is_complex():
        raise SymsiError(f"the calibration data must be a real tensor; got {getattr(data, 'dtype', type(data))}.")
    if data.ndim < 2 or len(data) < 2 or not data.numel():
        raise SymsiError(f"a reference needs at least two samples, (N, *shape); got {tuple(data.shape)}.")
    if not torch.isfinite(data).all():
        raise SymsiError("the calibration data has nan or inf; clean it first.")
    x = data.to("cpu", torch.float64)
    mean = x.mean(0)
    centred = x - mean
    average = float(centred.square().mean())
    if average == 0:
        raise SymsiError("the calibration data has no variance: all samples are the same.")

    def shrunk(variances: Tensor) -> Tensor:
        found = (1 - shrinkage) * variances + shrinkage * average
        if not (found > 0).all():
            raise SymsiError("some mode of the data has no variance; use shrinkage > 0.")
        return found

    if kind == "isotropic":
        return Reference(kind, torch.tensor([average], dtype=torch.float64), mean)
    if kind == "channel":
        axes = (0, *range(2, x.ndim))
        if x.ndim < 3:
            raise SymsiError(f"kind 'channel' needs samples with a channel axis and more; got {tuple(x.shape[1:])}.")
        return Reference(kind, shrunk(centred.square().mean(axes, keepdim=True)[0]), mean)
    if kind == "dct":
        if x.ndim < 3:
            raise SymsiError(f"kind 'dct' needs images, (N, ..., H, W); got samples {tuple(x.shape[1:])}.")
        modes = Reference(kind, torch.ones_like(mean), mean).forward(centred)
        return Reference(kind, shrunk(modes.square().mean(0)), mean)
    flat = centred.reshape(len(x), -1)
    size = flat.shape[1]
    if rank is not None and not 1 <= rank <= min(size, len(x) - 1):
        raise SymsiError(f"rank must lie in 1..{min(size, len(x) - 1)} for {len(x)} samples of {size}; got {rank}.")
    if rank is None and size > LARGEST:
        raise SymsiError(
            f"all {size} principal components need a basis of {8e-9 * size**2:.0f} GB; give rank, at most "
            f"{len(x) - 1} for {len(x)} samples, or kind 'channel' or 'dct'."
        )
    if rank is None or size <= len(x):
        values, vectors = torch.linalg.eigh(flat.mT @ flat / len(x))
        values, vectors = values.flip(0).clamp(min=0), vectors.flip(1)
    else:
        _, roots, rows = torch.linalg.svd(flat / math.sqrt(len(x)), full_matrices=False)
        values, vectors = roots.square(), rows.mT
    if rank is not None and rank < size:
        rest = (size * average - values[:rank].sum()) / (size - rank)
        values, vectors = torch.cat([values[:rank], rest.clamp(min=0)[None]]), vectors[:, :rank]
    return Reference(kind, shrunk(values), mean, vectors.contiguous())


def check_options(kind: str, rank: int | None, shrinkage: float, count: int | None = None) -> None:
    """Raise SymsiError for options of `estimate` that cannot go together, or with `count` samples."""
    if kind not in KINDS:
        raise unknown("reference", kind, KINDS)
    if rank is not None and kind != "pca":
        raise SymsiError(f"rank is for kind 'pca'; got kind={kind!r}.")
    if rank is not None and count is not None and rank >= count:
        raise SymsiError(f"rank must lie below the number of samples, {count}; got {rank}.")
    if not 0 <= shrinkage <= 1:
        raise SymsiError(f"shrinkage must lie in [0, 1]; got {shrinkage}.")


def reference_of_model(
    model: Model | Callable[..., Tensor],
    *,
    shape: tuple[int, ...] | int,
    kind: str = "pca",
    rank: int | None = None,
    shrinkage: float = 0.05,
    steps: int = 16,
    **options: Any,
) -> Reference:
    """Return a Gaussian reference estimated from the model's own samples: N of them, `steps` evaluations each.

    They are drawn by ab2 in the variance-preserving schedule of angle t, of a noise network under ddpm in its own;
    `options` go to `symsi.sample`. Raises SymsiError as `sample` and `estimate` do.
    """
    schedule = advice(as_model(model)).schedule
    found = sample(model, shape=shape, schedule=schedule, solver="ab2", steps=steps, **options)
    return estimate(found.x, kind, rank=rank, shrinkage=shrinkage)

"""What a Gaussian's law is to a formula that treats each mode alike: its variances, how many have each, its mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from symsi.errors import SymsiError
from symsi.models.reference import Reference

__all__ = ["Spectrum", "as_spectrum", "spectrum_of"]


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Modes (M,) in float64: variance, share of all components (they sum to 1), and the mean's coefficient.

    `means` are scaled by the root of 1/D, so that their squares sum to the mean square of the mean's D components.
    """

    variances: Tensor
    shares: Tensor
    means: Tensor


def spectrum_of(reference: Reference) -> Spectrum:
    """Return the spectrum of a reference. A pca reference of low rank counts what is left with its one variance."""
    variances, mean = reference.modal_variances.cpu(), reference.mean.cpu()
    shares = torch.ones_like(variances)
    if reference.kind == "pca" and reference.basis is not None:
        size, rank = reference.basis.shape
        mean = mean.expand(size) if mean.ndim == 0 else mean
        if rank < size:
            shares[rank:] = (size - rank) / size
    modes = reference.forward(mean.expand(variances.shape)[None] if mean.ndim == 0 else mean[None])[0]
    shares = shares.expand(modes.shape).flatten()
    total = shares.sum()
    return Spectrum(variances.expand(modes.shape).flatten(), shares / total, modes.flatten() / total.sqrt())


def as_spectrum(variances: Sequence[float] | Tensor) -> Spectrum:
    """Return that of equally many components of each variance, mean 0. Raises SymsiError unless all are positive."""
    try:
        found = torch.as_tensor(variances, dtype=torch.float64).flatten().cpu()
    except (TypeError, ValueError, RuntimeError):
        found = torch.zeros(0)
    if not len(found) or not bool((found > 0).all()) or not bool(torch.isfinite(found).all()):
        raise SymsiError(f"a spectrum is the variances of the data's modes, positive numbers; got {variances!r:.60}.")
    return Spectrum(found, torch.full_like(found, 1 / len(found)), torch.zeros_like(found))

"""Exact two-sided models without a network: between Gaussians, mixtures and small data sets, of independent ends (T16).

For a pair (i, j) of components of x0 ~ sum_i w_i N(m_i, C_i) and x1 ~ sum_j u_j N(n_j, D_j) the fields are those of two
Gaussians (`symsi.theory.two_gaussians.fields_at_ends`), direction by direction, with mu = alpha m_i + beta n_j,
S = alpha^2 C_i + beta^2 D_j + gamma^2 and e = x - mu. The mixtures' are their means under the responsibilities

    pi_ij = softmax_ij(log w_i + log u_j - sum_d (e_d^2/S_d + log S_d)/2)

(Albergo, Boffi, Vanden-Eijnden, arXiv:2303.08797). Nothing divides by gamma: where both laws have densities all
predictions are finite at t = 0 and t = 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from symsi.coefficients.runtime import as_time, working
from symsi.coefficients.two_sided import InterpolantKernels, interpolant_kernels
from symsi.errors import SymsiError
from symsi.interpolants.named_two_sided import as_interpolant
from symsi.interpolants.rows import Triple
from symsi.interpolants.two_sided import Interpolant
from symsi.models.analytic import Mixture
from symsi.models.two_sided import BridgeModel
from symsi.theory.two_gaussians import GaussianEnds, bridge_mean, bridge_variance, fields_at_ends

__all__ = ["Between", "between"]

_NUMBERS = 2**20  # float64 numbers that one intermediate may hold


@dataclass(frozen=True, eq=False)
class Between:
    """The exact predictions between two laws as a function of (x, t), which is what its BridgeModel calls."""

    ends: tuple[Mixture, Mixture]
    predictions: tuple[str, ...]
    kernels: InterpolantKernels

    def __call__(self, x: Tensor, t: Tensor) -> tuple[Tensor, ...]:
        """Return each prediction at x (B, *shape) and t, (B,) or 0-d: float64 inside, rounded once to the dtype of x.

        Raises SymsiError for other shapes, and for what is not floating point.
        """
        working(x)
        shape = self.ends[0].shape
        if x.shape[1:] != shape or x.ndim != 1 + len(shape):
            raise SymsiError(f"x must have shape (B, *{shape}) for ends of shape {shape}; got {tuple(x.shape)}.")
        time = as_time(t, 0.0).to(x.device, torch.float64).expand(len(x))
        found = self.kernels.coefficients(time)
        table = torch.stack([found[f.name] for f in fields(Triple)])
        flat, pairs = x.to(torch.float64).flatten(1), self._pairs(x.device)
        rows = max(1, _NUMBERS // pairs[1].numel())
        parts = [self._fields(flat[k : k + rows], table[:, k : k + rows], *pairs) for k in range(0, len(x), rows)]
        each = zip(*parts, strict=True) if parts else [(flat,)] * len(self.predictions)
        return tuple(torch.cat(list(part)).reshape(x.shape).to(x.dtype) for part in each)

    def _pairs(self, device: torch.device) -> tuple[Tensor, ...]:
        """The log weights (P,) of the pairs of components, m, C, n, D, (P, D or 1), and 0, the covariance."""
        first, second = (end.to(device) for end in self.ends)
        count = (len(first.means), len(second.means))
        i, j = (index.flatten() for index in torch.meshgrid(*(torch.arange(n) for n in count), indexing="ij"))
        spread = [end.eigenvalues.expand(n, -1) for end, n in zip((first, second), count, strict=True)]
        weights = first.weights.log()[i] + second.weights.log()[j]
        return weights, first.means[i], spread[0][i], second.means[j], spread[1][j], weights.new_zeros(())

    def _fields(self, x: Tensor, table: Tensor, weights: Tensor, *pairs: Any) -> Iterator[Tensor]:
        """Each prediction at x (B, D): of each pair, (B, P, D), and then their mean."""
        triple: Any = Triple(*table[:, :, None, None])
        ends: Any = GaussianEnds(*pairs)
        state: Any = x[:, None]
        mean, spread = bridge_mean(triple, ends), bridge_variance(triple, ends)
        terms = (state - mean).square() / spread + spread.log()
        share = torch.softmax(weights - terms.sum(-1) / 2, dim=1)[:, None]
        of_pair = fields_at_ends(triple, ends, state)
        return ((share @ of_pair[kind])[:, 0] for kind in self.predictions)


def between(
    law0: Mixture,
    law1: Mixture,
    interpolant: Interpolant | str = "linear",
    predictions: Sequence[str] | str = ("velocity", "latent"),
) -> BridgeModel:
    """Return the exact model between two laws of `gaussian`, `mixture` or `empirical`, of independent ends.

    Covariances are numbers or diagonals. A call costs B x K_0 x K_1 x D numbers, for K_0 and K_1 components. Raises
    SymsiError for laws of other shapes, for covariance matrices, and as `BridgeModel`.
    """
    for law in (law0, law1):
        if not isinstance(law, Mixture):
            raise SymsiError(f"a law is one of symsi.models.gaussian, mixture, empirical; got {type(law).__name__}.")
        if law.eigenvectors is not None:
            raise SymsiError(
                "the ends of an exact bridge have variances, a number or one a dimension; got covariance matrices. "
                "Rotate both laws into a basis where they are diagonal."
            )
    if law0.shape != law1.shape:
        raise SymsiError(f"both ends have samples of one shape; got {law0.shape} and {law1.shape}.")
    path = as_interpolant(interpolant)
    made = BridgeModel(_silent, path, predictions, law0.shape, f"{law0.name} to {law1.name}")
    function = Between((law0, law1), tuple(made.predictions), interpolant_kernels(path))
    return BridgeModel(function, path, made.predictions, made.shape, made.name)


def _silent(x: Tensor, t: Tensor) -> Tensor:
    return x

"""Exact flow maps of one-dimensional mixtures: X_{s,t} = F_t^-1 o F_s, the increasing map between two laws.

F_t(x) = sum_k w_k Phi((x - beta m_k)/sigma_k) is the distribution function of alpha Z + beta X at t, with
sigma_k^2 = alpha^2 + beta^2 C_k. The ODE keeps the order of its paths on a line, and so the probability below each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from symsi.coefficients.kernels import Coefficients, kernels
from symsi.errors import SymsiError
from symsi.interpolants.named import as_schedule
from symsi.interpolants.schedule import Schedule
from symsi.models.analytic import Mixture
from symsi.models.flow_map import FlowMap
from symsi.models.protocol import Model

__all__ = ["exact_map"]

_ROOT = math.log(2 * math.pi) / 2
_HALVINGS = 60  # of a bracket some standard deviations wide: to the last bits of float64


def exact_map(data: Mixture, schedule: Schedule | str = "linear") -> FlowMap:
    """Return the flow map of a mixture on a line, samples of shape (1,), both ways in time, in float64 inside.

    It has derivatives in the state and in both times (`torch.func.jvp`), as objectives need them.

    Raises SymsiError for samples of more than one number, and for a component of variance 0, which has no density.
    """
    if data.shape != (1,):
        raise SymsiError(
            f"F_t^-1 o F_s is the map of data on a line, of shape (1,); {data.name} has the shape {data.shape}."
        )
    if not bool((data.eigenvalues > 0).all()):
        raise SymsiError(f"{data.name} has a component of variance 0; at t = 1 it has no density to be carried to.")
    path = as_schedule(schedule)
    function = _Average(data, kernels(path).functions["schedule"], data.model(path))
    return FlowMap(function, schedule=path, shape=(1,), name=f"exact map of {data.name}", forwards=False)


@dataclass(frozen=True, eq=False)
class _Average:
    """u_{s,t}(x) = (F_t^-1(F_s(x)) - x)/(t - s), and the velocity where s = t."""

    data: Mixture
    coefficients: Coefficients
    velocity: Model

    def __call__(self, x: Tensor, s: Tensor, t: Tensor) -> Tensor:
        """Return u for x (B, 1) and times (B,), in the dtype of x."""
        begin, end, y = s.double().contiguous(), t.double().contiguous(), x.double()
        same = (s == t)[:, None]
        slope = (self._moved(y, begin, end) - y) / torch.where(same, 1.0, (end - begin)[:, None])
        return torch.where(same, self.velocity.function(y, begin), slope).to(x.dtype)

    def _moved(self, x: Tensor, s: Tensor, t: Tensor) -> Tensor:
        """F_t^-1(F_s(x)), by halving what lies between the components' own quantiles at that probability.

        In the half where F_s(x) is nearer to 1 it is 1 - F that is inverted, by its logarithm as F is. A step of
        Newton's ends it, which has the derivatives of the inverse.
        """
        means, deviations = self._at(t)
        from_means, from_deviations = self._at(s)
        z = (x - from_means) / from_deviations
        below, above = self._log(z), self._log(-z)
        upper, wanted = above < below, torch.minimum(above, below)
        low = (means + deviations * z.amin(1, keepdim=True)).amin(1, keepdim=True).detach()
        high = (means + deviations * z.amax(1, keepdim=True)).amax(1, keepdim=True).detach()
        for _ in range(_HALVINGS):
            y = (low + high) / 2
            z = (y - means) / deviations
            found = self._log(torch.where(upper, -z, z))
            right = (found < wanted) ^ upper  # whether the state lies right of y
            low, high = torch.where(right, y, low), torch.where(right, high, y)
        y = ((low + high) / 2).detach()
        z = (y - means) / deviations
        found = self._log(torch.where(upper, -z, z))
        density = torch.logsumexp(self.data.weights.log() - z.square() / 2 - deviations.log() - _ROOT, 1, keepdim=True)
        return y - (found - wanted) * torch.exp(found - density) * torch.where(upper, -1.0, 1.0)

    def _log(self, z: Tensor) -> Tensor:
        """log sum_k w_k Phi(z_k), (B, 1)."""
        return torch.logsumexp(self.data.weights.log() + torch.special.log_ndtr(z), 1, keepdim=True)

    def _at(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Means beta m_k and deviations sigma_k at t, (B, K)."""
        found = self.coefficients(t)
        alpha, beta = found["alpha"][:, None], found["beta"][:, None]
        return beta * self.data.means[:, 0], torch.sqrt(alpha**2 + beta**2 * self.data.eigenvalues[:, 0])

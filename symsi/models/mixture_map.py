"""The exact flow map of a one-dimensional mixture of Gaussians, without a network."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from symsi.coefficients.kernels import kernels
from symsi.errors import SymsiError
from symsi.models.analytic import Mixture
from symsi.models.flow_map import FlowMap

__all__ = ["mixture_map"]

_FAR = 1e3  # states are looked for up to there
_HALVINGS = 70


def mixture_map(law: Mixture, schedule: str = "linear") -> FlowMap:
    """X_{s,t} = F_t^-1 o F_s, with F_t(x) = sum_k w_k Phi((x - beta m_k)/sqrt(alpha^2 + beta^2 lambda_k)).

        >>> exact = mixture_map(symsi.models.mixture([0.4, 0.6], [[-1.0], [1.0]], [0.1, 0.2]))
        >>> exact(x, 0.0, 1.0)  # noise x (B, 1) to data

    It moves in one dimension as the ODE does, since paths do not cross. F_t^-1 is found by halving, then one step of
    Newton, which carries the derivatives in x, s and t (`torch.func.jvp`); all in float64, good to 1e-16 over the
    density. u_{t,t} is the exact velocity. Goes both ways. Raises SymsiError for data of more than one number.
    """
    if law.shape != (1,):
        raise SymsiError(f"F_t^-1 o F_s is the map of one number; samples of this law have the shape {law.shape}.")
    pair, velocity = kernels(schedule).functions["schedule"], law.model(schedule).function
    weights, means, variances = law.weights, law.means[:, 0], law.eigenvalues[:, 0]

    def modes(t: Tensor) -> tuple[Tensor, Tensor]:
        """beta m_k and sqrt(alpha^2 + beta^2 lambda_k), (B, K)."""
        alpha, beta = (value[:, None] for value in pair(t).values())
        return beta * means, (alpha.square() + beta.square() * variances).sqrt()

    def below(x: Tensor, centres: Tensor, widths: Tensor) -> Tensor:
        return (weights * (1 + torch.erf((x[:, None] - centres) / (widths * math.sqrt(2)))) / 2).sum(1)

    def density(x: Tensor, centres: Tensor, widths: Tensor) -> Tensor:
        z = (x[:, None] - centres) / widths
        return (weights * torch.exp(-z.square() / 2) / (widths * math.sqrt(2 * math.pi))).sum(1)

    def moved(x: Tensor, s: Tensor, t: Tensor) -> Tensor:
        level, end = below(x, *modes(s)), modes(t)
        low, high = torch.full_like(x, -_FAR), torch.full_like(x, _FAR)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            short = below(middle, *end) < level
            low, high = torch.where(short, middle, low), torch.where(short, high, middle)
        y = (low + high) / 2
        return y - (below(y, *end) - level) / density(y, *end)

    def u(x: Tensor, s: Tensor, t: Tensor) -> Tensor:
        place, start, end = x[:, 0].double(), s.double().clone(), t.double().clone()
        span = torch.where(start == end, 1.0, end - start)
        mean = ((moved(place, start, end) - place) / span)[:, None]
        return torch.where((start == end)[:, None], velocity(x.double(), start), mean).to(x.dtype)

    return FlowMap(u, schedule=schedule, shape=(1,), name="mixture map", forwards=False)

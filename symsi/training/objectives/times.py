"""Laws of the times at which a loss is taken, with the weights that make its mean the integral over [0, 1]."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from symsi.errors import SymsiError, unknown

__all__ = ["LAWS", "times"]

# Quantile functions: t and 1/density from u, uniform in (0, 1).
LAWS: Mapping[str, Callable[[Tensor], tuple[Tensor, Tensor]]] = {
    "uniform": lambda u: (u, torch.ones_like(u)),
    "arcsine": lambda u: (torch.sin(torch.pi * u / 2).square(), torch.pi / 2 * torch.sin(torch.pi * u)),
}


def times(count: int, law: str = "uniform", generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """Return times t and weights w = 1/p(t), (count,) in float64: mean(w loss(t)) estimates int_0^1 E loss(t) dt.

    t = Q((k + u_k)/count), u_k uniform: one time in each of `count` parts of equal probability. "uniform" is p = 1 and
    serves antithetic pairs. "arcsine" is p = 1/(pi sqrt(t (1 - t))), t = sin(pi u/2)^2: under a Brownian gamma the
    variance of the plain velocity loss, of the order 1/t + 1/(1 - t), integrates to a finite int Var/p dt with it and
    to none with the uniform law. Raises SymsiError for a count below 1, UnknownNameError for a law.
    """
    if law not in LAWS:
        raise unknown("law of times", law, LAWS)
    if count < 1:
        raise SymsiError(f"count must be 1 or more; got {count}.")
    device = generator.device if generator else None
    u = torch.rand(count, generator=generator, device=device, dtype=torch.float64)
    return LAWS[law]((torch.arange(count, device=u.device) + u) / count)

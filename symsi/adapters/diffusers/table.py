"""Steps that need their own evaluation alone, x <- a x + b P + c + noise n, as tables on a device.

Samples, or tokens, at different steps gather their numbers from it; nothing waits for the device.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from symsi.coefficients.runtime import working
from symsi.models.reference import Reference
from symsi.solvers.plan import Coefficient, Plan

__all__ = ["StepTable", "log_density", "make_table", "step_tokens"]


@dataclass(frozen=True)
class StepTable:
    """By step (K, *modes or *ones): the numbers of x <- a x + b P + c + noise n, and the means at both ends.

    `silent` says on the host which steps add no noise.
    With a reference, x and P stand for U^T (x - mean m) and U^T P, and the result for U^T (x' - mean_after m).
    """

    a: Tensor
    b: Tensor
    c: Tensor
    noise: Tensor
    mean: Tensor
    mean_after: Tensor
    silent: tuple[bool, ...]
    reference: Reference | None


def make_table(plan: Plan, reference: Reference | None, sample: Tensor) -> StepTable:
    """Return the table of a plan whose rows use one field, for states like `sample`, in float32 or its float64."""
    like = torch.empty(0, dtype=working(sample), device=sample.device)
    modes = reference.beside(like) if reference is not None and plan.modal else None
    depth = sample.ndim - 1
    modal = depth if modes is None else modes.forward(sample[:1].to(like)).ndim - 1

    def stack(values: list[Coefficient], ndim: int) -> Tensor:
        tensors = [torch.as_tensor(v, dtype=torch.float64, device="cpu") for v in values]
        shape = max((t.shape for t in tensors), key=len)
        ones = (1,) * (ndim - len(shape))
        return torch.stack([t.expand(shape) for t in tensors]).reshape(len(values), *ones, *shape).to(like)

    rows, terms = plan.rows, [first for first, *_ in plan.terms if first is not None]
    return StepTable(
        a=stack([term.a for term in terms], modal),
        b=stack([term.b for term in terms], modal),
        c=stack([term.c for term in terms], modal),
        noise=stack([row.noise for row in rows], modal),
        mean=stack([row.mean for row in rows], depth),
        mean_after=stack([plan.beta[row.step] for row in rows], depth),
        silent=tuple(not row.noisy for row in rows),
        reference=modes,
    )


def log_density(table: StepTable, at: Tensor, prediction: Tensor, sample: Tensor, after: Tensor) -> Tensor:
    """Return log N(after; mean, noise^2) of steps `at` (B,), summed over the components of each sample: (B,).

    With D components it is -sum_i (r_i^2/2 + log noise_i) - D log(2 pi)/2, r_i = (after_i - mean_i) / noise_i, over the
    modes of the reference if there is one; nan or infinite where a step adds no noise.
    """
    a, b, c, noise, mean, mean_after = (
        v[at] for v in (table.a, table.b, table.c, table.noise, table.mean, table.mean_after)
    )
    modes = table.reference
    x, p, y = (v.to(table.a.dtype) for v in (sample, prediction, after))
    if modes is not None:
        x, p, y = modes.forward(x - mean * modes.mean), modes.forward(p), modes.forward(y - mean_after * modes.mean)
    r = ((y - (a * x + b * p + c)) / noise).flatten(1)
    size = sample[0].numel()
    scale = noise.expand(len(noise), *y.shape[1:]).flatten(1).log()
    volume = scale.sum(1)
    if r.shape[1] > size:  # a low-rank basis: what is left of x has as many numbers as x, but r dimensions fewer
        rank = r.shape[1] - size
        volume = scale[:, :rank].sum(1) + (size - rank) * scale[:, -1]
    return -r.square().sum(1) / 2 - volume - size * math.log(2 * math.pi) / 2


def step_tokens(
    table: StepTable, levels: Tensor, sigma: Tensor, prediction: Tensor, sample: Tensor, sign: float
) -> Tensor:
    """Take each token (B, T) of states (B, T, C) from its own sigma to the next of `levels`, which fall to 0.

    A token at a level takes that level's step, one at 0 none. One between levels takes Euler's step of the flow,
    x + (sigma - next) v with v = sign P.
    """
    near = (levels - sigma[..., None]).abs()
    at, on = near.argmin(-1), near.amin(-1) <= _CLOSE
    after = torch.where(levels < sigma[..., None] - _CLOSE, levels, 0).amax(-1)
    one, zero = torch.ones_like(table.a[:1]).flatten(), torch.zeros_like(table.a[:1]).flatten()
    a = torch.where(on, torch.cat([table.a.flatten(), one])[at], 1.0)
    b = torch.where(on, torch.cat([table.b.flatten(), zero])[at], sign * (sigma - after))
    return a[..., None] * sample.to(table.a.dtype) + b[..., None] * prediction


_CLOSE = 1e-6

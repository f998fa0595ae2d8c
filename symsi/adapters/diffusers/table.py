"""Steps that need their own evaluation alone, x <- a x + b P + c + noise n, as tables on a device.

Samples, or tokens, at different steps gather their numbers from it; nothing waits for the device.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from symsi.coefficients.runtime import working
from symsi.models.reference import Reference
from symsi.sampling.moves import Move, Term, advance, check_modes, log_density, moves
from symsi.solvers.plan import Plan
from symsi.solvers.stage import Coefficient

__all__ = ["StepTable", "make_table", "step_density", "step_tokens"]


@dataclass(frozen=True)
class StepTable:
    """By step (K, *modes or *ones): the numbers of x <- a x + b P + c + noise n, and the means at both ends.

    `silent` says on the host which steps add no noise.
    """

    a: Tensor
    b: Tensor
    c: Tensor
    noise: Tensor
    means: tuple[Tensor, Tensor]
    silent: tuple[bool, ...]
    reference: Reference | None

    def move(self, at: Tensor) -> Move:
        """Return each sample's own step, `at` (B,), as one move."""
        term = Term(self.a[at], (self.b[at],), self.c[at])
        return Move((term,), self.noise[at], (self.means[0][at], self.means[1][at]), self.reference)


def make_table(plan: Plan, sample: Tensor) -> StepTable:
    """Return the table of a plan whose stages use one field, for states like `sample`, in float32 or its float64.

    Raises SymsiError where the plan is of other samples (`check_modes`).
    """
    check_modes(plan, tuple(sample.shape[1:]))
    like = torch.empty(0, dtype=working(sample), device=sample.device)
    exact, reference = moves(plan, torch.empty(0, dtype=torch.float64)), moves(plan, like)[0].reference
    depth = sample.ndim - 1
    modal = depth if reference is None else reference.forward(sample[:1].to(like)).ndim - 1

    def stack(values: list[Coefficient], ndim: int) -> Tensor:
        tensors = [torch.as_tensor(v, dtype=torch.float64) for v in values]
        table = torch.stack(torch.broadcast_tensors(*tensors))
        return table.reshape(len(values), *(1,) * (ndim + 1 - table.ndim), *table.shape[1:]).to(like)

    terms = [move.terms[0] for move in exact]
    return StepTable(
        a=stack([term.a for term in terms if term], modal),
        b=stack([term.b[0] for term in terms if term], modal),
        c=stack([term.c for term in terms if term], modal),
        noise=stack([move.noise for move in exact], modal),
        means=(stack([move.means[0] for move in exact], depth), stack([move.means[1] for move in exact], depth)),
        silent=tuple(not stage.noisy for stage in plan.stages),
        reference=reference,
    )


def step_density(table: StepTable, at: Tensor, prediction: Tensor, sample: Tensor, after: Tensor) -> Tensor:
    """Return log p(after | sample) of steps `at` (B,), summed over the components of each sample: (B,)."""
    move, modes = table.move(at), table.reference
    x, p, y = (v.to(table.a.dtype) for v in (sample, prediction, after))
    if modes is not None:
        before, behind = move.means
        x, p, y = modes.forward(x - before * modes.mean), modes.forward(p), modes.forward(y - behind * modes.mean)
    mean, _ = advance(move, x, [p])
    return log_density(move, mean, y, sample[0].numel())


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

"""One step of training: the rate's rise and fall, clipped AdamW, and the average of the weights."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from symsi.errors import SymsiError
from symsi.processes.ranks import ALONE, Ranks

__all__ = ["RiseAndFall", "descend"]


class RiseAndFall:
    """A recipe whose learning rate rises over `warmup` steps and falls to 0 over the last `decay` of all `steps`."""

    steps: int
    warmup: int
    decay: float

    def rate_at(self, step: int) -> float:
        """Return the learning rate of a step, as a multiple of `rate`."""
        return min(1.0, (step + 1) / self.warmup, (self.steps - step) / (self.decay * self.steps))


def descend(
    loss: Tensor,
    weights: Mapping[str, Tensor],
    average: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
    *,
    step: int,
    rate: float,
    ema: float,
    ranks: Ranks = ALONE,
) -> None:
    """Move the weights against a loss' gradient, clipped to length 1, and their average towards them.

    The gradient is the sum of those of all `ranks`, each of its own rows. The average keeps a share of
    min(ema, (step + 1)/(step + 10)). Raises SymsiError, before anything is changed, where the loss or its gradient is
    nan or infinite, naming the step.
    """
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    ranks.sum([weight.grad for weight in weights.values() if weight.grad is not None])
    length = nn.utils.clip_grad_norm_(weights.values(), 1.0)
    if not bool(loss.isfinite() & length.isfinite()):
        raise SymsiError(
            f"the loss of step {step + 1} is {loss.item():.4g} and its gradient's length {float(length):.4g}; the "
            "last checkpoint is as it was. Check the data and the teacher, or start anew with a smaller rate."
        )
    optimizer.step()
    keep = min(ema, (step + 1) / (step + 10))
    with torch.no_grad():
        for name, weight in weights.items():
            average[name].lerp_(weight, 1 - keep)

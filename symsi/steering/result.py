"""What a steered run gives: samples, their weights, what was spent, and the course of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from symsi.models.protocol import Model
from symsi.solvers.plan import Plan
from symsi.steering.budget import Entry

__all__ = ["Steered"]


@dataclass(frozen=True, eq=False)
class Steered:
    """Samples x (N, *shape) in model units with their rewards (N,), and what they cost.

    Weighted by `weights` = softmax(log_weights), x stands for the tilt p(x) exp(r(x)/lambda)/Z of the methods that
    sample it ("smc", "dts"), whose estimate of log Z is `log_normalizer`; the others search, and leave log_weights 0
    and log_normalizer None. `best` is x of the highest reward. `peak` (1, *shape) is what had the highest of all
    that were ever rated, posterior means among them, at model time `peak_time`. `ancestry` (L, P) are the parents of
    level k + 1 in level k; `parents` (N,) those of x in the last. `entries` tell the course of it.
    """

    x: Tensor
    rewards: Tensor
    log_weights: Tensor
    log_normalizer: float | None
    nfe: int
    reward_calls: int
    entries: tuple[Entry, ...]
    ancestry: Tensor
    parents: Tensor
    peak: Tensor
    peak_reward: float
    peak_time: float
    plan: Plan
    model: Model
    method: str

    @property
    def weights(self) -> Tensor:
        """softmax(log_weights), (N,)."""
        return torch.softmax(self.log_weights, 0)

    @property
    def best(self) -> Tensor:
        """The sample of the highest reward, (1, *shape)."""
        top = int(self.rewards.argmax())
        return self.x[top : top + 1]

    @property
    def ess(self) -> tuple[float, ...]:
        """The effective sample size at each level, nan where a method has none."""
        return tuple(entry.ess for entry in self.entries)

    def plot(self, path: str | Path | None = None, *, force: bool = False) -> Any:
        """Return a figure of reward against evaluations, and of the ancestry if there is one; write it to `path`."""
        from symsi.plotting.steering import plot_steering  # a drawing library, which steering does without

        return plot_steering(self.entries, self.ancestry, self.rewards, path, force=force)

    def __repr__(self) -> str:
        spent = f"{self.nfe} evaluations, {self.reward_calls} rewards"
        return (
            f"<Steered: {len(self.x)} samples by {self.method}, best reward {float(self.rewards.max()):.4g}, {spent}>"
        )

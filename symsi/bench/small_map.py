"""A small network of a flow map, and the loop that trains it by any objective."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count, pairwise

import torch
from torch import Tensor, nn

from symsi.training.descent import RiseAndFall, descend

__all__ = ["Batch", "SmallMap", "SmallRecipe", "counted", "train_map"]


class SmallMap(nn.Module):
    """u_{s,t}(x) by an MLP of x (B, D), s, t - s, and sin and cos of f x for f in `waves`, of pi s and of pi t.

    Smooth in both times, so that every objective may differentiate it.
    """

    def __init__(self, size: int, *, width: int, depth: int, waves: Sequence[float]) -> None:
        super().__init__()
        self.waves = tuple(waves)
        sizes = [size * (1 + 2 * len(waves)) + 6, *[width] * depth]
        layers = [part for a, b in pairwise(sizes) for part in (nn.Linear(a, b), nn.SiLU())]
        self.net = nn.Sequential(*layers, nn.Linear(width, size))

    def forward(self, x: Tensor, s: Tensor, t: Tensor) -> Tensor:
        """Return u_{s,t}(x), (B, D)."""
        turns = [f * x for f in self.waves] + [torch.pi * s[:, None], torch.pi * t[:, None]]
        angles = torch.cat(turns, 1)
        told = [x, s[:, None], (t - s)[:, None], torch.sin(angles), torch.cos(angles)]
        found: Tensor = self.net(torch.cat(told, 1))
        return found


@dataclass(frozen=True)
class SmallRecipe(RiseAndFall):
    """How long, how fast: the rate rises over `warmup` steps and falls to 0 over the last `decay` of all."""

    steps: int
    batch: int = 512
    rate: float = 4e-3
    warmup: int = 100
    decay: float = 0.8
    ema: float = 0.998
    seed: int = 0


@dataclass(frozen=True)
class Batch:
    """Noise z and data y (B, D) of the linear schedule, and times s < q < t (B,): uniform, q in the middle."""

    z: Tensor
    y: Tensor
    s: Tensor
    t: Tensor

    @property
    def q(self) -> Tensor:
        """The middle of s and t."""
        return (self.s + self.t) / 2

    def at(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """I_t = (1 - t) z + t y and its derivative, y - z."""
        return torch.lerp(self.z, self.y, t[:, None]), self.y - self.z

    def split(self, share: float) -> tuple[Batch, Batch]:
        """The first `share` of the rows, and the others."""
        cut = round(share * len(self.z))
        rows = [(part[:cut], part[cut:]) for part in (self.z, self.y, self.s, self.t)]
        return Batch(*(a for a, _ in rows)), Batch(*(b for _, b in rows))

    def within(self, horizon: float) -> Batch:
        """The same with times at most `horizon` apart: t - s is multiplied by it, s uniform on what is left."""
        span = self.t - self.s
        s = self.s / (1 - span) * (1 - horizon * span)
        return replace(self, s=s, t=s + horizon * span)

    @staticmethod
    def draw(law: Callable[[int, torch.Generator], Tensor], count: int, generator: torch.Generator) -> Batch:
        """A batch of `law(count, generator)`, (B, D), in its dtype."""
        y = law(count, generator)
        z = torch.randn(y.shape, generator=generator, dtype=y.dtype)
        s, t = torch.rand(2, count, generator=generator, dtype=y.dtype).sort(0).values
        return Batch(z, y, s, t)


def counted(tick: Callable[[int, int], None], total: int) -> Callable[[], None]:
    """One more of `total` at each call, as tick(done, total)."""
    done = count(1)
    return lambda: tick(next(done), total)


def train_map(
    net: SmallMap,
    objective: Callable[[Batch], Tensor],
    law: Callable[[int, torch.Generator], Tensor],
    recipe: SmallRecipe,
    tick: Callable[[], object] = lambda: None,
) -> None:
    """Descend `objective` by Adam, and leave the average of the weights in `net`; step k depends on (seed, k) alone."""
    weights = dict(net.named_parameters())
    average = {name: weight.detach().clone() for name, weight in weights.items()}
    optimizer = torch.optim.AdamW(weights.values(), lr=recipe.rate, betas=(0.9, 0.99), weight_decay=0.0, fused=True)
    for step in range(recipe.steps):
        generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step)
        loss = objective(Batch.draw(law, recipe.batch, generator))
        rate = recipe.rate * recipe.rate_at(step)
        descend(loss, weights, average, optimizer, step=step, rate=rate, ema=recipe.ema)
        tick()
    net.load_state_dict(average)

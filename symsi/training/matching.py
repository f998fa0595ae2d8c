"""Training by matching, resumable: regress dI_t/dt, Z or X on (I_t, t) for I_t = alpha_t Z + beta_t X."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from symsi.processes.ranks import ALONE, Ranks
from symsi.training.checkpoint import agree, resume, save_checkpoint
from symsi.training.descent import RiseAndFall, descend

__all__ = ["Recipe", "train_flow"]

Interpolant = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Recipe(RiseAndFall):
    """How long and how fast: the learning rate rises over `warmup` steps and falls to 0 over the last `decay` of all.

    `unlabelled` is the share of samples without a label, for classifier-free guidance; `ema` the decay of the average
    of the weights, which is what is saved.
    """

    steps: int = 10_000
    batch: int = 64
    rate: float = 1e-3
    warmup: int = 300
    decay: float = 0.5
    ema: float = 0.999
    unlabelled: float = 0.1
    seed: int = 0


def train_flow(
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    interpolant: Interpolant,
    recipe: Recipe,
    checkpoint: Path,
    log: Callable[[str], None],
    every: int = 250,
    run: str = "",
    prediction: str = "velocity",
    ranks: Ranks = ALONE,
) -> dict[str, Tensor]:
    """Train `net` to predict what `interpolant(z, x, t)` was made of, or its velocity; return the averaged weights.

    The target of `prediction` "noise" is z, of "data" x, of "velocity" the derivative of the interpolant by t, by
    forward-mode differentiation of the compiled formula; times are uniform, one in each of `batch` equal parts of
    [0, 1]. State is written to `checkpoint` (safetensors) `every` steps, and read from there if it exists, so that a
    run can be broken off at any time. Batches depend on the seed and the step alone, and the `ranks` share the rows of
    each. Raises SymsiError, before anything is changed, for a checkpoint that is damaged, of another network, or of
    another recipe or `run`, and for ranks that do not agree.
    """
    weights = dict(net.named_parameters())
    optimizer = torch.optim.AdamW(weights.values(), lr=recipe.rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
    average = {name: weight.detach().clone() for name, weight in weights.items()}
    about = json.dumps(asdict(recipe) | {"run": run})
    first = resume(checkpoint, weights, average, optimizer, about, recipe.steps) if checkpoint.exists() else 0
    agree(ranks, weights, about, first)
    started, total, since = time.monotonic(), 0.0, first
    net.train()
    for step in range(first, recipe.steps):
        generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step)
        index = torch.randint(len(images), (recipe.batch,), generator=generator)
        z = torch.randn(images[index].shape, generator=generator)
        t = (torch.arange(recipe.batch) + torch.rand(recipe.batch, generator=generator)) / recipe.batch
        hidden = torch.rand(recipe.batch, generator=generator) < recipe.unlabelled
        path = partial(interpolant, z, images[index])
        state, velocity = torch.func.jvp(path, (t,), (torch.ones_like(t),))[:2]
        target = {"velocity": velocity, "noise": z, "data": images[index]}[prediction]
        predicted = ranks.spread(net, state, t, torch.where(hidden, -1, labels[index]))
        loss = (predicted - target).square().mean()
        rate = recipe.rate * recipe.rate_at(step)
        descend(loss, weights, average, optimizer, step=step, rate=rate, ema=recipe.ema, ranks=ranks)
        total += loss.item()
        if (step + 1) % every == 0 or step + 1 == recipe.steps:
            count, elapsed = step + 1 - since, time.monotonic() - started
            log(
                json.dumps(
                    {
                        "step": step + 1,
                        "images": (step + 1) * recipe.batch,
                        "loss": round(total / count, 5),
                        "images_per_s": round((step + 1 - first) * recipe.batch / elapsed),
                        "minutes": round(elapsed / 60, 1),
                    }
                )
            )
            total, since = 0.0, step + 1
            if ranks.rank == 0:
                save_checkpoint(checkpoint, weights, average, optimizer, {"step": str(step + 1), "about": about})
    return average

"""Training of a bridge between two sets of samples by quadratic regressions (T14), resumable."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from symsi.interpolants.named_two_sided import as_interpolant
from symsi.interpolants.two_sided import Interpolant
from symsi.processes.ranks import ALONE, Ranks
from symsi.training.checkpoint import agree, resume, save_checkpoint
from symsi.training.couplings import check_samples, paired
from symsi.training.descent import RiseAndFall, descend
from symsi.training.objectives.bridges import bridge_losses
from symsi.training.objectives.times import times

__all__ = ["BridgeRecipe", "Coupling", "train_bridge"]

Coupling = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
_MAY_CHANGE = ("steps", "decay")  # of a recipe when its run goes on
_HELD_OUT = 1 << 33  # the seed of the times and latents of held-out losses


@dataclass(frozen=True)
class BridgeRecipe(RiseAndFall):
    """What is learned, how long and how fast.

    `predictions` are fields of `symsi.bridge`, one a head, each regressed in pairs +z, -z where `antithetic`. Times
    have the `law` of `symsi.objectives.times`, or are all `at`. The learning rate rises over `warmup` steps and falls
    to 0 over the last `decay` of all `steps`; `ema` is the decay of the average of the weights, which is what is saved.
    """

    steps: int = 2100
    batch: int = 32
    rate: float = 1e-3
    warmup: int = 100
    decay: float = 0.6
    ema: float = 0.998
    predictions: tuple[str, ...] = ("velocity", "latent")
    antithetic: bool = True
    law: str = "uniform"
    at: float | None = None
    seed: int = 0


def train_bridge(
    net: nn.Module,
    x0: Tensor,
    x1: Tensor,
    held_out: tuple[Tensor, Tensor],
    interpolant: Interpolant | str,
    recipe: BridgeRecipe,
    checkpoint: Path,
    log: Callable[[str], None],
    *,
    coupling: Coupling | None = None,
    start: bool = False,
    every: int = 50,
    until: Callable[[], bool] = lambda: False,
    run: str = "",
    ranks: Ranks = ALONE,
) -> dict[str, Tensor]:
    """Train net(x, t), or net(x, t, start=x0) with `start`, on pairs of x0 and x1; return the average of its weights.

    The net returns a tensor like x for each of the recipe's predictions, in a tuple if there are several. Row i of x0
    goes with row i of x1, both (N, *shape); with a `coupling`, such as `symsi.couplings.optimal`, batches of either are
    drawn apart and it pairs their rows. Step k uses random numbers of (seed, k) alone, but for a coupling's own, so
    that a run that was killed goes on from `checkpoint`, written every `every` steps, to the same bits; steps and decay
    may be others then. The `ranks` share the rows of each batch, and rank 0 writes. `log` gets a JSON line with the
    losses, a mean over numbers, of the steps since the last line and of the `held_out` pairs under the averaged
    weights. It stops early, with a checkpoint, where `until()` holds for one of the ranks.

    Raises SymsiError for unequal counts without a coupling, for samples that are nan or infinite, with the first such
    row, for a checkpoint of another recipe, interpolant or `run`, and for a loss that is not finite, with its step: the
    checkpoint is as it was.
    """
    path = as_interpolant(interpolant)
    (paired if coupling is None else check_samples)(x0, x1)
    paired(*held_out)
    weights = dict(net.named_parameters())
    optimizer = torch.optim.AdamW(weights.values(), lr=recipe.rate, betas=(0.9, 0.99), weight_decay=0.0, fused=True)
    average = {name: weight.detach().clone() for name, weight in weights.items()}
    told = {name: value for name, value in asdict(recipe).items() if name not in _MAY_CHANGE}
    about = json.dumps(told | {"interpolant": str(path), "run": run})
    begun = resume(checkpoint, weights, average, optimizer, about, recipe.steps) if checkpoint.exists() else 0
    agree(ranks, weights, about, begun)
    learn = partial(_losses, path=path, recipe=recipe, start=start, ranks=ranks)
    begin, totals, since = time.monotonic(), dict.fromkeys(recipe.predictions, 0.0), begun
    net.train()
    for step in range(begun, recipe.steps):
        generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step)
        rows = torch.randint(len(x0), (recipe.batch,), generator=generator)
        if coupling is None:
            batch = x0[rows], x1[rows]
        else:
            batch = coupling(x0[rows], x1[torch.randint(len(x1), (recipe.batch,), generator=generator)])
        losses = learn(net, *batch, generator)
        loss = torch.stack(list(losses.values())).sum()
        rate = recipe.rate * recipe.rate_at(step)
        descend(loss, weights, average, optimizer, step=step, rate=rate, ema=recipe.ema, ranks=ranks)
        totals = {name: total + losses[name].item() for name, total in totals.items()}
        stop = ranks.any(until())
        if (step + 1) % every == 0 or step + 1 == recipe.steps or stop:
            count, elapsed = step + 1 - since, time.monotonic() - begin
            line = {
                "step": step + 1,
                "pairs": (step + 1) * recipe.batch,
                "loss": {name: round(total / count, 5) for name, total in totals.items()},
                "held_out": _held_out(net, average, held_out, learn),
                "pairs_per_s": round((step + 1 - begun) * recipe.batch / elapsed, 1),
                "minutes": round(elapsed / 60, 1),
            }
            log(json.dumps(line))
            totals, since = dict.fromkeys(totals, 0.0), step + 1
            if ranks.rank == 0:
                save_checkpoint(checkpoint, weights, average, optimizer, {"step": str(step + 1), "about": about})
        if stop:
            break
    return average


def _losses(
    model: Callable[..., Any],
    x0: Tensor,
    x1: Tensor,
    generator: torch.Generator,
    *,
    path: Interpolant,
    recipe: BridgeRecipe,
    start: bool,
    ranks: Ranks,
) -> dict[str, Tensor]:
    """The loss of each prediction, a mean over pairs, times and numbers."""
    t, weight = times(len(x0), recipe.law, generator)
    if recipe.at is not None:
        t, weight = torch.full_like(t, recipe.at), torch.ones_like(t)
    z = torch.randn(x0.shape, generator=generator, dtype=x0.dtype)

    def of_pairs(x0: Tensor, x1: Tensor, t: Tensor, z: Tensor) -> Tensor:
        told: Mapping[str, Tensor] = {"start": x0} if start else {}

        def heads(x: Tensor, t: Tensor) -> tuple[Tensor, ...]:
            found = model(x, t, **told)
            return found if isinstance(found, tuple) else (found,)

        found = bridge_losses(heads, path, recipe.predictions, x0, x1, t, z, recipe.antithetic)
        return torch.stack([found[name] for name in recipe.predictions], 1)

    found = ranks.spread(of_pairs, x0, x1, t, z).unbind(1)
    return {name: (weight * loss).mean() / x0[0].numel() for name, loss in zip(recipe.predictions, found, strict=True)}


@torch.no_grad()
def _held_out(
    net: nn.Module, average: dict[str, Tensor], pairs: tuple[Tensor, Tensor], learn: Callable[..., dict[str, Tensor]]
) -> dict[str, float]:
    """The losses of the averaged weights on pairs that no step sees, always at the same times and latents."""

    def averaged(*inputs: Tensor, **told: Tensor) -> Any:
        return torch.func.functional_call(net, average, inputs, told)

    found = learn(averaged, *pairs, torch.Generator().manual_seed(_HELD_OUT))
    return {name: round(loss.item(), 5) for name, loss in found.items()}

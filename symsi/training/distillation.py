"""Distillation of a flow map from cached trajectories of a teacher, resumable."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from symsi.errors import SymsiError
from symsi.models.map_net import MapNet
from symsi.models.protocol import Model
from symsi.solvers.plan import Plan
from symsi.training.checkpoint import resume, save_checkpoint
from symsi.training.descent import descend, rise_and_fall
from symsi.training.trajectories import Trajectories, trajectories

__all__ = ["MapRecipe", "distill_map", "regression"]

_HELD_OUT = 1 << 33  # the seed of trajectories that no step sees, plus the recipe's
_MAY_CHANGE = ("steps", "decay", "chunks")  # of a recipe when its run goes on: how long it is, and on how many paths
_TEACHER = 1 << 34  # and of those that it learns from; the judges' seeds are small


@dataclass(frozen=True)
class MapRecipe:
    """How long, how fast, and from which pairs of times.

    The learning rate rises over `warmup` steps, stays, and falls to 0 over the last `decay` of all `steps`. Of each
    batch a share `diagonal` has s = t and learns the velocity; of the rest, `noise` starts from the noise, and `whole`
    of that goes all the way. The teacher runs `chunk` trajectories at a time, `chunks` in all, one more every `grow`
    steps. `ema` is the decay of the average of the weights, which is what is saved.
    """

    steps: int = 1400
    batch: int = 32
    rate: float = 4e-4
    warmup: int = 40
    decay: float = 0.4
    ema: float = 0.998
    noise: float = 0.4
    whole: float = 0.7
    diagonal: float = 0.125
    chunk: int = 256
    chunks: int = 24
    first: int = 2
    grow: int = 100
    held_out: int = 64
    seed: int = 0

    def rate_at(self, step: int) -> float:
        """Return the learning rate of a step, as a multiple of `rate`."""
        return rise_and_fall(step, self.steps, self.warmup, self.decay)

    def chunks_at(self, step: int) -> int:
        """Return how many chunks of trajectories a step draws from."""
        return min(self.chunks, self.first + step // self.grow)


def distill_map(
    net: MapNet,
    model: Model,
    plan: Plan,
    recipe: MapRecipe,
    checkpoint: Path,
    cache: Path,
    log: Callable[[str], None],
    every: int = 50,
    until: Callable[[], bool] = lambda: False,
) -> dict[str, Tensor]:
    """Train `net`, a MapNet around the model's, on trajectories of `plan`; return the average of its weights.

    Step k uses random numbers of (seed, k) alone and chunks that lie in `cache`, so a run that was killed goes on from
    `checkpoint`, written every `every` steps, to the same weights; steps, decay and chunks may be others then. `log`
    gets a JSON line with the root mean square error of held-out samples at 1, 2 and 4 steps. It stops early, with a
    checkpoint, where `until()` holds. Raises SymsiError for a loss that is nan or infinite, naming the step: the last
    checkpoint is as it was.
    """
    cache.mkdir(exist_ok=True)
    weights = dict(net.named_parameters())
    for weight in weights.values():
        weight.requires_grad_(True)
    optimizer = torch.optim.AdamW(weights.values(), lr=recipe.rate, betas=(0.9, 0.99), weight_decay=0.0, fused=True)
    average = {name: weight.detach().clone() for name, weight in weights.items()}
    told = {name: value for name, value in asdict(recipe).items() if name not in _MAY_CHANGE}
    about = json.dumps(told | {"plan": plan.hash, "model": model.name})
    begun = resume(checkpoint, weights, average, optimizer, about, recipe.steps) if checkpoint.exists() else 0
    times = torch.tensor(plan.grid, dtype=torch.float32)
    judge = trajectories(model, plan, 0, recipe.held_out, _HELD_OUT + recipe.seed, cache)
    held: Trajectories | None = None
    taken, started, total, since = 0, time.monotonic(), 0.0, begun
    net.train()
    for step in range(begun, recipe.steps):
        while taken < recipe.chunks_at(step):
            more = trajectories(model, plan, taken * recipe.chunk, recipe.chunk, _TEACHER + recipe.seed, cache)
            held, taken = more if held is None else held.joined(more), taken + 1
        assert held is not None
        generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step)
        loss = regression(net, held, times, recipe, generator)
        if not bool(loss.isfinite()):
            raise SymsiError(
                f"the loss of step {step + 1} is {loss.item()}; {checkpoint} holds the last good step. "
                "Go on from it with a smaller rate, or check the teacher."
            )
        rate = recipe.rate * recipe.rate_at(step)
        descend(loss, weights, average, optimizer, step=step, rate=rate, ema=recipe.ema)
        total += loss.item()
        stop = until()
        if (step + 1) % every == 0 or step + 1 == recipe.steps or stop:
            count, elapsed = step + 1 - since, time.monotonic() - started
            line = {
                "step": step + 1,
                "images": (step + 1) * recipe.batch,
                "loss": round(total / count, 5),
                "held_out_rmse": _held_out(net, average, judge, times),
                "trajectories": len(held),
                "minutes": round(elapsed / 60, 1),
            }
            log(json.dumps(line))
            total, since = 0.0, step + 1
            save_checkpoint(checkpoint, weights, average, optimizer, {"step": str(step + 1), "about": about})
        if stop:
            break
    return average


def regression(
    net: nn.Module, held: Trajectories, times: Tensor, recipe: MapRecipe, generator: torch.Generator
) -> Tensor:
    """Return the mean of |X_{s,t}(x_s) - x_t|^2/(t - s) over pairs of knots, with |u_{s,s}(x_s) - v_s|^2 at s = t."""
    knots, batch = len(times) - 1, recipe.batch
    row = torch.randint(len(held), (batch,), generator=generator)
    dice = torch.rand(4, batch, generator=generator)
    start = torch.where(dice[0] < recipe.noise, 0, (dice[1] * knots).long())
    stop = start + 1 + (dice[2] * (knots - start)).long()
    stop = torch.where((dice[0] < recipe.noise * recipe.whole), knots, stop)
    same = dice[3] < recipe.diagonal
    start = torch.where(same, (dice[1] * knots).long(), start)
    stop = torch.where(same, start, stop)
    s, t = times[start], times[stop]
    x, after = held.x[start, row].float(), held.x[stop, row].float()
    span = (t - s).reshape(-1, *[1] * (x.ndim - 1))
    flat = same.reshape(span.shape)
    target = torch.where(flat, held.velocity[start, row].float(), (after - x) / torch.where(flat, 1.0, span))
    weight = torch.where(flat, 0.25, span)
    found: Tensor = (weight * (net(x, s, t, label=held.label[row]) - target).square()).mean()
    return found


@torch.no_grad()
def _held_out(net: nn.Module, average: dict[str, Tensor], judge: Trajectories, times: Tensor) -> dict[str, float]:
    """The error of 1, 2 and 4 equal steps of the averaged weights against the teacher's samples."""
    found = {}
    for steps in (1, 2, 4):
        x = judge.x[0].float()
        points = torch.linspace(float(times[0]), float(times[-1]), steps + 1)
        for s, t in pairwise(points):
            moment = [torch.full((len(x),), float(v)) for v in (s, t)]
            x = x + (t - s) * torch.func.functional_call(net, average, (x, *moment), {"label": judge.label})
        found[str(steps)] = round(float((x - judge.x[-1].float()).square().mean().sqrt()), 4)
    return found

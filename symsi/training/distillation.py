"""Distillation of a flow map from cached trajectories of a teacher, then by an objective, resumable."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from symsi.errors import SymsiError, unknown
from symsi.models.map_net import MapNet
from symsi.models.protocol import Model
from symsi.models.velocity_field import VelocityField
from symsi.processes.ranks import ALONE, Ranks
from symsi.solvers.plan import Plan
from symsi.training.checkpoint import agree, metadata_of, resume, save_checkpoint
from symsi.training.descent import RiseAndFall, descend
from symsi.training.objectives.flow_maps import lagrangian, loss, psd, roughness
from symsi.training.trajectories import Trajectories, trajectories

__all__ = ["LOSSES", "MapRecipe", "consistency_loss", "distill_map", "regression"]

LOSSES = ("regression", "student", "lmd", "psd-m")

_APART = 0.5  # of the teacher's steps, at least, from s to t where they differ: states are kept in float16
_HELD_OUT = 1 << 33  # the seed of trajectories that no step sees, plus the recipe's
_MAY_CHANGE = ("steps", "decay", "chunks", "loss", "late")  # of a recipe when its run goes on
_ROUGH = 0.25  # of a derivative, at which it says little of differences
_TEACHER = 1 << 34  # and of those that it learns from; the judges' seeds are small


@dataclass(frozen=True)
class MapRecipe(RiseAndFall):
    """How long, how fast, and from which pairs of times.

    The learning rate rises over `warmup` steps, stays, and falls to 0 over the last `decay` of all `steps`. Of each
    batch a share `diagonal` has s = t and learns the velocity; of the rest, `noise` starts from the noise, and `whole`
    of that goes all the way. The teacher runs `chunk` trajectories at a time, `chunks` in all, one more every `grow`
    steps. `ema` is the decay of the average of the weights, which is what is saved. All is regression on pairs of
    states, or, in the last `late` of the steps, the `loss`: "student", where half of the pairs start from where the map
    itself comes (see `regression`), "lmd" or "psd-m" (see `consistency_loss`). Raises SymsiError for another loss and
    for numbers out of range.
    """

    steps: int = 7000
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
    loss: str = "regression"
    late: float = 0.3

    def __post_init__(self) -> None:
        """Check the loss and the numbers."""
        if self.loss not in LOSSES:
            raise unknown("loss", self.loss, LOSSES)
        for name in ("steps", "batch", "warmup", "chunk", "chunks", "first", "grow", "held_out"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise SymsiError(f"{name} must be a whole number from 1 on; got {value!r}.")
        for name in ("decay", "ema", "noise", "whole", "diagonal", "late"):
            if not 0 <= getattr(self, name) <= 1:
                raise SymsiError(f"{name} is a share, from 0 to 1; got {getattr(self, name)}.")
        if not (self.rate > 0 and self.decay > 0):
            raise SymsiError(f"rate and decay must be positive; got {self.rate} and {self.decay}.")

    def loss_at(self, step: int) -> str:
        """Return the loss of a step."""
        return self.loss if step >= self.steps * (1 - self.late) else "regression"

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
    start: str = "",
    every: int = 50,
    until: Callable[[], bool] = lambda: False,
    ranks: Ranks = ALONE,
) -> dict[str, Tensor]:
    """Train `net`, a MapNet around the model's, on trajectories of `plan`; return the average of its weights.

    Step k uses random numbers of (seed, k) alone and chunks that lie in `cache`, so a run that was killed goes on from
    `checkpoint`, written every `every` steps, to the same weights; steps, decay, chunks and the late loss may be others
    then. `start` names the weights that `net` came with, where they are not the model's. The `ranks` share the rows of
    each batch and of the teacher, and rank 0 writes. `log` gets a JSON line with the root mean square error of held-out
    samples at 1, 2 and 4 steps, and minutes with those of runs before. It stops early, with a checkpoint, where
    `until()` holds for one of the ranks. Raises SymsiError for a loss or gradient that is nan or infinite,
    naming the step: the last checkpoint is as it was. Warns where the network's derivative in t says little of it
    (`roughness`), and "lmd" needs it.
    """
    cache.mkdir(exist_ok=True)
    weights = dict(net.named_parameters())
    for weight in weights.values():
        weight.requires_grad_(True)
    optimizer = torch.optim.AdamW(weights.values(), lr=recipe.rate, betas=(0.9, 0.99), weight_decay=0.0, fused=True)
    average = {name: weight.detach().clone() for name, weight in weights.items()}
    told = {name: value for name, value in asdict(recipe).items() if name not in _MAY_CHANGE}
    about = json.dumps(told | {"plan": plan.hash, "model": model.name} | ({"start": start} if start else {}))
    begun, before = 0, 0.0
    if checkpoint.exists():
        begun = resume(checkpoint, weights, average, optimizer, about, recipe.steps)
        before = float(metadata_of(checkpoint).get("minutes", 0))
    agree(ranks, weights, about, begun)
    field = VelocityField(model, plan.origin["schedule"])
    times = torch.tensor(plan.grid, dtype=torch.float32)
    judge = trajectories(model, plan, 0, recipe.held_out, _HELD_OUT + recipe.seed, cache, ranks)
    held: Trajectories | None = None
    taken, started, total, since = 0, time.monotonic(), 0.0, begun
    net.train()
    rough = recipe.loss != "lmd" or ranks.rank > 0  # nothing to look at
    for step in range(begun, recipe.steps):
        while taken < recipe.chunks_at(step):
            more = trajectories(model, plan, taken * recipe.chunk, recipe.chunk, _TEACHER + recipe.seed, cache, ranks)
            held, taken = more if held is None else held.joined(more), taken + 1
        assert held is not None
        generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step)
        if (late := recipe.loss_at(step)) in ("regression", "student"):
            found = regression(net, held, times, recipe, generator, own=late == "student", ranks=ranks)
        else:
            if not rough:
                rough = _look(net, judge, times)
            found = consistency_loss(net, field, held, times, recipe, generator, ranks)
        rate = recipe.rate * recipe.rate_at(step)
        descend(found, weights, average, optimizer, step=step, rate=rate, ema=recipe.ema, ranks=ranks)
        total += found.item()
        stop = ranks.any(until())
        if (step + 1) % every == 0 or step + 1 == recipe.steps or stop:
            count, minutes = step + 1 - since, before + (time.monotonic() - started) / 60
            line = {
                "step": step + 1,
                "images": (step + 1) * recipe.batch,
                "loss": round(total / count, 5),
                "held_out_rmse": _held_out(net, average, judge, times, ranks),
                "trajectories": len(held),
                "minutes": round(minutes, 1),
            }
            log(json.dumps(line))
            total, since = 0.0, step + 1
            told_of = {"step": str(step + 1), "about": about, "minutes": repr(minutes), "trajectories": str(len(held))}
            if ranks.rank == 0:
                save_checkpoint(checkpoint, weights, average, optimizer, told_of)
        if stop:
            break
    return average


def regression(
    net: nn.Module,
    held: Trajectories,
    times: Tensor,
    recipe: MapRecipe,
    generator: torch.Generator,
    *,
    own: bool = False,
    ranks: Ranks = ALONE,
) -> Tensor:
    """Return the mean of |X_{s,t}(x_s) - x_t|^2/(t - s) over pairs of times, with |u_{s,s}(x_s) - v_s|^2 at s = t.

    With `own` half of the pairs s < t start from X_{r,s}(x_r), r < s, in the place of x_s, and count as
    |X_{s,t} - x_t|^2: as when the map takes several steps. The exact map is the minimiser of both.
    """
    pairs = _pairs(held, times, recipe, generator)
    s, t, label = (v.to(_place(net)) for v in (pairs.s, pairs.t, pairs.label))
    x, velocity = (v.to(s.device) for v in held.at(pairs.row, pairs.start, times))
    after = held.at(pairs.row, pairs.stop, times)[0].to(s.device)
    form = (-1, *[1] * (x.ndim - 1))
    span = (t - s).reshape(form)
    flat = span == 0
    weight = torch.where(flat, 0.25, span)
    if own:
        dice = torch.rand(2, recipe.batch, generator=generator)
        before = dice[0] * pairs.start
        mine = ((dice[1] < 0.5) & (pairs.start > 0) & (pairs.start < pairs.stop)).to(s.device)
        y, r = (v.to(s.device)[mine] for v in (held.at(pairs.row, before, times)[0], _time(before, times)))
        with torch.no_grad():
            if len(y):  # which a small batch may have none of
                x[mine] = y + (s[mine] - r).reshape(form) * ranks.spread(net, y, r, s[mine], label[mine])
        weight = torch.where(mine.reshape(form), span.square(), weight)
    target = torch.where(flat, velocity, (after - x) / torch.where(flat, 1.0, span))
    found: Tensor = (weight * (ranks.spread(net, x, s, t, label) - target).square()).mean()
    return found


def consistency_loss(
    net: nn.Module,
    field: VelocityField,
    held: Trajectories,
    times: Tensor,
    recipe: MapRecipe,
    generator: torch.Generator,
    ranks: Ranks = ALONE,
) -> Tensor:
    """The mean of alpha_t r^2, r `lagrangian`, stopped, at t from s to a later time, or of `psd` at a middle one.

    Off its data a teacher's velocity grows towards t = 1: without alpha_t the last tenth of times weighs some three
    times all others (digits28). At s = t the first is the teacher's velocity; to the second that is added, from a share
    of `diagonal` of the batch.
    """
    pairs = _pairs(held, times, recipe, generator)
    part = torch.rand(recipe.batch, generator=generator)
    between, middle = pairs.s + part * (pairs.t - pairs.s), _time((pairs.start + pairs.stop) / 2, times)
    x, velocity = (v.to(_place(net)) for v in held.at(pairs.row, pairs.start, times))
    s, q, t, between, label = (v.to(x.device) for v in (pairs.s, middle, pairs.t, between, pairs.label))
    if recipe.loss == "lmd":
        plain = _plain(net)
        weight = field.kernels.functions["schedule"](between.to(torch.float64))["alpha"].to(x.dtype)

        def along(label: Tensor, x: Tensor, s: Tensor, t: Tensor) -> Tensor:
            return lagrangian(partial(_told, plain, label), partial(field, label=label), x, s, t, stop=True)

        found = ranks.spread(along, label, x, s, between)
        return loss(found * weight.sqrt().reshape(-1, *[1] * (x.ndim - 1)))
    few = slice(0, max(1, round(recipe.diagonal * recipe.batch)))
    halves = ranks.spread(lambda label, *given: psd(partial(_told, net, label), *given), label, x, s, q, t)
    flat = ranks.spread(net, x[few], s[few], s[few], label[few]) - velocity[few]
    return loss(halves) + recipe.diagonal * loss(flat)


class _Pairs(NamedTuple):
    """Rows of trajectories, places on them (knots are whole) with their times s <= t, and labels."""

    row: Tensor
    start: Tensor
    stop: Tensor
    s: Tensor
    t: Tensor
    label: Tensor


def _pairs(held: Trajectories, times: Tensor, recipe: MapRecipe, generator: torch.Generator) -> _Pairs:
    """Places all along the trajectories, also between knots; s < t are half a step of the teacher's apart at least."""
    end, batch = float(len(times) - 1), recipe.batch
    row = torch.randint(len(held), (batch,), generator=generator)
    dice = torch.rand(4, batch, generator=generator)
    start = torch.where(dice[0] < recipe.noise, 0, dice[1] * (end - _APART))
    stop = start + _APART + dice[2] * (end - _APART - start)
    stop = torch.where((dice[0] < recipe.noise * recipe.whole), end, stop)
    same = dice[3] < recipe.diagonal
    start = torch.where(same, dice[1] * end, start)
    stop = torch.where(same, start, stop)
    return _Pairs(row, start, stop, _time(start, times), _time(stop, times), held.label[row])


def _time(place: Tensor, times: Tensor) -> Tensor:
    """The time at a place between knots."""
    knot = place.long().clamp(max=len(times) - 2)
    return torch.lerp(times[knot], times[knot + 1], place - knot)


def _plain(net: nn.Module) -> Callable[..., Tensor]:
    """The network with weights laid out in their order: torch has no forward derivative of GroupNorm in another."""
    weights = {name: weight.clone(memory_format=torch.contiguous_format) for name, weight in net.named_parameters()}
    return lambda *given, **told: torch.func.functional_call(net, weights, given, told)


def _told(net: Callable[..., Tensor], label: Tensor, x: Tensor, s: Tensor, t: Tensor) -> Tensor:
    return net(x, s, t, label=label)


def _place(net: nn.Module) -> torch.device:
    return next(net.parameters()).device


def _look(net: nn.Module, judge: Trajectories, times: Tensor) -> bool:
    """Warn where the derivative in t that LMD takes says little of the network; return True."""
    knot = len(times) // 2
    x, label = (v[:8].to(_place(net)) for v in (judge.x[knot].float(), judge.label))
    s = times[knot].to(x.device).repeat(len(x))
    share = roughness(partial(_told, _plain(net), label), x, s, (s + times[-1].to(x.device)) / 2)[1]
    if share > _ROUGH:
        warnings.warn(
            f"the network's derivative in t is {100 * share:.0f} % off a difference over 0.02: its embedding of t "
            "turns too fast for loss 'lmd'. Use 'psd-m', or a smoother embedding.",
            stacklevel=3,
        )
    return True


@torch.no_grad()
def _held_out(
    net: nn.Module, average: dict[str, Tensor], judge: Trajectories, times: Tensor, ranks: Ranks
) -> dict[str, float]:
    """The error of 1, 2 and 4 equal steps of the averaged weights against the teacher's samples."""

    def averaged(*given: Tensor) -> Tensor:
        found: Tensor = torch.func.functional_call(net, average, given)
        return found

    found = {}
    for steps in (1, 2, 4):
        x, label = judge.x[0].float().to(_place(net)), judge.label.to(_place(net))
        points = torch.linspace(float(times[0]), float(times[-1]), steps + 1)
        for s, t in pairwise(points):
            moment = [torch.full((len(x),), float(v), device=x.device) for v in (s, t)]
            x = x + float(t - s) * ranks.spread(averaged, x, *moment, label)
        found[str(steps)] = round(float((x.cpu() - judge.x[-1].float()).square().mean().sqrt()), 4)
    return found

"""Training by matching, resumable: regress dI_t/dt, Z or X on (I_t, t) for I_t = alpha_t Z + beta_t X."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from symsi.errors import SymsiError
from symsi.files import write_atomic

__all__ = ["Recipe", "train_flow"]

_MOMENTS = ("exp_avg", "exp_avg_sq")  # what AdamW keeps of each weight
_KINDS = ("weight", "average", *_MOMENTS)
Interpolant = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Recipe:
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

    def rate_at(self, step: int) -> float:
        """Return the learning rate of a step, as a multiple of `rate`."""
        return min(1.0, (step + 1) / self.warmup, (self.steps - step) / (self.decay * self.steps))


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
) -> dict[str, Tensor]:
    """Train `net` to predict what `interpolant(z, x, t)` was made of, or its velocity; return the averaged weights.

    The target of `prediction` "noise" is z, of "data" x, of "velocity" the derivative of the interpolant by t, by
    forward-mode differentiation of the compiled formula; times are uniform, one in each of `batch` equal parts of
    [0, 1]. State is written to `checkpoint` (safetensors) `every` steps, and read from there if it exists, so that a
    run can be broken off at any time. Batches depend on the seed and the step alone. Raises SymsiError, before anything
    is changed, for a checkpoint that is damaged, of another network, or of another recipe or `run`.
    """
    weights = dict(net.named_parameters())
    optimizer = torch.optim.AdamW(weights.values(), lr=recipe.rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
    average = {name: weight.detach().clone() for name, weight in weights.items()}
    about = json.dumps(asdict(recipe) | {"run": run})
    first = _resume(checkpoint, weights, average, optimizer, about, recipe.steps) if checkpoint.exists() else 0
    started, total, since = time.monotonic(), 0.0, first
    net.train()
    for step in range(first, recipe.steps):
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate * recipe.rate_at(step)
        generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step)
        index = torch.randint(len(images), (recipe.batch,), generator=generator)
        z = torch.randn(images[index].shape, generator=generator)
        t = (torch.arange(recipe.batch) + torch.rand(recipe.batch, generator=generator)) / recipe.batch
        hidden = torch.rand(recipe.batch, generator=generator) < recipe.unlabelled
        path = partial(interpolant, z, images[index])
        state, velocity = torch.func.jvp(path, (t,), (torch.ones_like(t),))[:2]
        target = {"velocity": velocity, "noise": z, "data": images[index]}[prediction]
        loss = (net(state, t, torch.where(hidden, -1, labels[index])) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(weights.values(), 1.0)
        optimizer.step()
        keep = min(recipe.ema, (step + 1) / (step + 10))
        with torch.no_grad():
            for name, weight in weights.items():
                average[name].lerp_(weight, 1 - keep)
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
            _save(checkpoint, weights, average, optimizer, {"step": str(step + 1), "about": about})
    return average


def _save(
    path: Path,
    weights: Mapping[str, Tensor],
    average: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
    metadata: dict[str, str],
) -> None:
    tensors = {f"average.{n}": v for n, v in average.items()} | {f"weight.{n}": v.detach() for n, v in weights.items()}
    for name, weight in weights.items():
        for kind in _MOMENTS:
            tensors[f"{kind}.{name}"] = optimizer.state[weight][kind]
    held = {name: tensor.contiguous() for name, tensor in tensors.items()}
    write_atomic(path, lambda temporary: save_file(held, temporary, metadata=metadata), force=True)


def _resume(
    path: Path,
    weights: Mapping[str, Tensor],
    average: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
    about: str,
    steps: int,
) -> int:
    """Read a checkpoint whole, check it, and only then copy it: the optimiser's fused step reads past other shapes."""
    try:
        with safe_open(path, "pt") as file:
            metadata = dict(file.metadata() or {})
            held = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (OSError, SafetensorError) as error:
        raise _unfit(path, str(error)) from None
    if metadata.get("about") != about:
        raise SymsiError(
            f"{path} is the checkpoint of another run, {metadata.get('about')}; this one is {about}. "
            "Delete it to start anew, or give the same options."
        )
    step = metadata.get("step", "")
    if not (step.isdecimal() and int(step) <= steps):
        raise _unfit(path, f"its step is {step[:20]!r}, not a number from 0 to {steps}")
    for name, weight in weights.items():
        for kind in _KINDS:
            _check(path, f"{kind}.{name}", held, weight)
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(held[f"weight.{name}"])
            average[name] = held[f"average.{name}"].to(weight.device)
            moments = {kind: held[f"{kind}.{name}"].to(weight.device) for kind in _MOMENTS}
            optimizer.state[weight] = {"step": torch.tensor(float(step), device=weight.device), **moments}
    return int(step)


def _check(path: Path, name: str, held: Mapping[str, Tensor], weight: Tensor) -> None:
    """Raise SymsiError unless a tensor is there, finite, and of the weight's shape and dtype."""
    found = held.get(name)
    if found is None:
        raise _unfit(path, f"it has no {name}")
    if found.shape != weight.shape or found.dtype != weight.dtype:
        here, there = ((tuple(v.shape), str(v.dtype).removeprefix("torch.")) for v in (found, weight))
        raise _unfit(path, f"its {name} is {here[0]} in {here[1]}, the network's {there[0]} in {there[1]}")
    if not found.isfinite().all() or (name.startswith("exp_avg_sq.") and bool((found < 0).any())):
        raise _unfit(path, f"its {name} holds numbers that no training leaves, nan, infinite or a negative square")


def _unfit(path: Path, reason: str) -> SymsiError:
    return SymsiError(f"cannot go on from {path}: {reason}. Delete it to start anew.")

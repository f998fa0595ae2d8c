"""Flow-matching training, resumable: regress dI_t/dt on (I_t, t) for I_t = alpha_t Z + beta_t X."""

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
) -> dict[str, Tensor]:
    """Train `net` to predict the velocity of `interpolant(z, x, t)` and return the averaged weights.

    The target is the derivative of the interpolant by t, by forward-mode differentiation of the compiled formula; times
    are uniform, one in each of `batch` equal parts of [0, 1]. State is written to `checkpoint` (safetensors) `every`
    steps, and read from there if it exists, so that a run can be broken off at any time. Batches depend on the seed and
    the step alone. Raises SymsiError for a checkpoint that is damaged, or of another recipe or `run`.
    """
    weights = dict(net.named_parameters())
    optimizer = torch.optim.AdamW(weights.values(), lr=recipe.rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
    average = {name: weight.detach().clone() for name, weight in weights.items()}
    about = json.dumps(asdict(recipe) | {"run": run})
    first = _resume(checkpoint, weights, average, optimizer, about) if checkpoint.exists() else 0
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
        loss = (net(state, t, torch.where(hidden, -1, labels[index])) - velocity).square().mean()
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
        for kind in ("exp_avg", "exp_avg_sq"):
            tensors[f"{kind}.{name}"] = optimizer.state[weight][kind]
    held = {name: tensor.contiguous() for name, tensor in tensors.items()}
    write_atomic(path, lambda temporary: save_file(held, temporary, metadata=metadata), force=True)


def _resume(
    path: Path, weights: Mapping[str, Tensor], average: dict[str, Tensor], optimizer: torch.optim.Optimizer, about: str
) -> int:
    try:
        with safe_open(path, "pt") as file, torch.no_grad():
            if file.metadata().get("about") != about:
                raise SymsiError(
                    f"{path} is the checkpoint of another run, {file.metadata().get('about')}; this one is {about}. "
                    "Delete it to start anew, or give the same options."
                )
            step = int(file.metadata()["step"])
            for name, weight in weights.items():
                weight.copy_(file.get_tensor(f"weight.{name}"))
                average[name] = file.get_tensor(f"average.{name}")
                optimizer.state[weight] = {
                    "step": torch.tensor(float(step)),
                    **{kind: file.get_tensor(f"{kind}.{name}") for kind in ("exp_avg", "exp_avg_sq")},
                }
    except (OSError, SafetensorError, KeyError, AttributeError, ValueError, RuntimeError) as error:
        raise SymsiError(f"cannot go on from {path}: {error}. Delete it to start anew.") from None
    return step

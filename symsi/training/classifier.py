"""Training of classifiers of digits: of the one whose features the metrics use, and of the one that rewards ask."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from symsi.errors import SymsiError
from symsi.models.features import check_digits

__all__ = ["train_classifier"]

_Net = TypeVar("_Net", bound=nn.Module)

_BATCH, _RATE, _SHIFT = 128, 3e-3, 2


def train_classifier(
    build: Callable[[], _Net],
    images: Tensor,
    labels: Tensor,
    *,
    epochs: int,
    seed: int,
    log: Callable[[str], None],
    noise: float = 0.0,
) -> _Net:
    """Return what `build` gives, trained on images (N, 1, 28, 28) with labels (N,) in 0..9, in eval mode.

    AdamW on the cross-entropy; the learning rate rises and falls in one cycle; every image is shifted by up to 2 pixels
    each way, its border repeated, and gets Gaussian noise of its own standard deviation, uniform from 0 to `noise`. It
    is trained on the device of the images. Everything random follows from `seed`, and the global generator is left
    alone. `log` gets a line of JSON for each epoch. Raises SymsiError for other shapes or labels, or fewer than one
    epoch.
    """
    check_digits(images, labels)
    if epochs < 1:
        raise SymsiError(f"epochs must be 1 or more; got {epochs}.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = build().to(images.device)
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(net.parameters(), lr=_RATE, weight_decay=0.01)
    steps = epochs * math.ceil(len(images) / _BATCH)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=max(steps, 2))
    started = time.monotonic()
    net.train()
    for epoch in range(epochs):
        total, right = 0.0, 0
        order = torch.randperm(len(images), generator=generator).to(images.device)
        for index in torch.split(order, _BATCH):
            logits = net(_noised(_shifted(images[index], generator), noise, generator))
            loss = functional.cross_entropy(logits, labels[index])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            cycle.step()
            total += loss.item() * len(index)
            right += int((logits.argmax(1) == labels[index]).sum())
        line = {
            "epoch": epoch + 1,
            "loss": round(total / len(images), 5),
            "accuracy_in_training": round(right / len(images), 5),
            "seconds": round(time.monotonic() - started),
        }
        log(json.dumps(line))
    return net.eval()


def _shifted(x: Tensor, generator: torch.Generator) -> Tensor:
    """Shift each image by its own dy, dx in -2..2; what comes in repeats the border."""
    batch, _, height, width = x.shape
    dy, dx = torch.randint(2 * _SHIFT + 1, (2, batch, 1), generator=generator).to(x.device)
    padded = functional.pad(x, (_SHIFT,) * 4, mode="replicate")
    rows = (torch.arange(height, device=x.device) + dy)[:, :, None]
    columns = (torch.arange(width, device=x.device) + dx)[:, None, :]
    return padded[torch.arange(batch, device=x.device)[:, None, None], 0, rows, columns][:, None]


def _noised(x: Tensor, noise: float, generator: torch.Generator) -> Tensor:
    """Add s z to each image, z standard normal and s uniform from 0 to `noise`."""
    if not noise:
        return x
    level = noise * torch.rand(len(x), 1, 1, 1, generator=generator)
    return x + (level * torch.randn(x.shape, generator=generator)).to(x)

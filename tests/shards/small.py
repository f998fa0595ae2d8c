"""A model of two numbers a sample, with a class, that costs nothing; and folders of its samples."""

import hashlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import symsi
from symsi.shards.draw import Drawn

LABELS = torch.tensor([0, 1, 2])


def velocity(x: Tensor, t: Tensor, label: Tensor) -> Tensor:
    return label[:, None] - x * torch.tanh(x).mean(1, keepdim=True) * t[:, None]


MODEL = symsi.Model(velocity, shape=(2,), name="small")
PLAN = symsi.plan(MODEL, schedule="linear", diffusion="optimal", steps=3)


def draw(folder: Path, count: int = 22, **options: Any) -> Drawn:
    """Draw samples of the small model, 5 a shard."""
    given = {"batch": 5, "plan": PLAN, "conditions": {"label": LABELS}, "seed": 3, "progress": False, **options}
    return symsi.sample_shards(folder, given.pop("model", MODEL), count=count, **given)


def hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file but the lock."""
    files = sorted(path for path in folder.iterdir() if path.name != ".lock")
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

"""Counter-based noise: what a sample receives depends on (seed, sample, step) alone, not on batch, order or device."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from operator import index

import numpy as np
import torch
from torch import Tensor

from symsi.errors import SymsiError

__all__ = ["check_seed", "rademacher", "standard_normal"]


def check_seed(seed: int) -> int:
    """Return the seed. Raises SymsiError unless it is an integer in [0, 2^64)."""
    try:
        found = index(seed)
    except TypeError:
        found = -1
    if isinstance(seed, bool) or not 0 <= found < 1 << 64:
        raise SymsiError(f"seed must be an integer from 0 to 2^64 - 1; got {seed!r}.")
    return found


def standard_normal(
    seed: int,
    samples: Sequence[int],
    step: int,
    shape: Sequence[int],
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Return n ~ N(0, I) of shape (len(samples), *shape).

    Each row is the Philox stream of key (seed, sample) and counter (0, 0, 0, step). Step 0 is the start, step k the
    k-th step's. Values are drawn in float32 on the CPU, then moved and cast.
    """
    drawn = torch.empty(
        (len(samples), prod(shape)), dtype=torch.float32, pin_memory=torch.device(device).type == "cuda"
    )
    rows = drawn.numpy()
    for row, sample in zip(rows, samples, strict=True):
        stream = np.random.Philox(key=np.array([seed, sample], np.uint64), counter=np.array([0, 0, 0, step], np.uint64))
        np.random.Generator(stream).standard_normal(out=row, dtype=np.float32)
    return drawn.reshape(len(samples), *shape).to(device=device, dtype=dtype, non_blocking=True)


def rademacher(
    seed: int,
    samples: Sequence[int],
    probe: int,
    evaluation: int,
    shape: Sequence[int],
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Return independent signs, -1 or 1 with equal chance, of shape (len(samples), *shape).

    Each row is the bits of the Philox stream of key (seed, sample) and counter (0, 0, 1 + probe, evaluation), which no
    noise of `standard_normal` shares.
    """
    size = prod(shape)
    signs = np.empty((len(samples), size), np.float32)
    for row, sample in zip(signs, samples, strict=True):
        counter = np.array([0, 0, 1 + probe, evaluation], np.uint64)
        words = np.random.Philox(key=np.array([seed, sample], np.uint64), counter=counter).random_raw(-(-size // 64))
        row[:] = np.unpackbits(np.atleast_1d(words).view(np.uint8))[:size]
    return torch.from_numpy(2 * signs - 1).reshape(len(samples), *shape).to(device=device, dtype=dtype)

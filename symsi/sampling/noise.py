"""Counter-based noise: what a sample receives depends on (seed, sample, step) alone, not on batch, order or device.

It is drawn on the CPU in float32 by operations that IEEE 754 rounds correctly, so that every machine draws the same
bits: from Philox 4x32-10 of the key `seed` and the counter (block, sample, step), the sample's low half first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product
from operator import index
from typing import cast

import numpy as np
import torch
from torch import Tensor

from symsi.errors import MissingPackageError, SymsiError
from symsi.sampling.box_muller import Floats, box_muller
from symsi.sampling.philox import Words, philox

__all__ = ["check_seed", "compile_noise", "rademacher", "standard_normal", "standard_normals"]

Filling = Callable[[np.uint64, Words, Words, Floats], None]
_TILE = 1 << 14  # blocks at a time: what is worked on stays in the cache
_LOW, _HALF = np.array((1 << 32) - 1, np.uint64), np.array(32, np.uint64)
_WORTH = 1 << 28  # numbers: NumPy draws them in about the time that Numba takes to compile
_SIGNS = 1 << 31  # added to the step, and never part of one of standard normals
_drawn = 0
_chosen: Filling | None = None  # what fills from now on


def check_seed(seed: int) -> int:
    """Return the seed. Raises SymsiError unless it is an integer in [0, 2^64)."""
    try:
        found = index(seed)
    except TypeError:
        found = -1
    if isinstance(seed, bool) or not 0 <= found < 1 << 64:
        raise SymsiError(f"seed must be an integer from 0 to 2^64 - 1; got {seed!r}.")
    return found


def compile_noise() -> None:
    """Compile what draws noise, for this process, by Numba: the same bits, some four times as fast.

    It takes a few seconds, and happens by itself once a process has drawn 2^28 numbers, where Numba is installed.
    Raises MissingPackageError where it isn't, or doesn't work.
    """
    global _chosen
    _chosen = _compiled()


def standard_normal(
    seed: int,
    samples: Sequence[int],
    step: int,
    shape: Sequence[int],
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Return n ~ N(0, I) of shape (len(samples), *shape): `standard_normals` of one step."""
    return standard_normals(seed, samples, [step], shape, device, dtype)[0]


def standard_normals(
    seed: int,
    samples: Sequence[int],
    steps: Sequence[int],
    shape: Sequence[int],
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Return n ~ N(0, I) of shape (len(steps), len(samples), *shape); samples are below 2^64, steps below 2^31.

    Step 0 is the start, step k the k-th step's. Numbers 4 b to 4 b + 3 of a row are those of block b, by
    `symsi.sampling.box_muller`: |n| < 6.67, off by at most 2^-22 r + 2^-25/r, for u is rounded to 24 bits.
    """
    drawn = torch.empty(
        (len(steps), len(samples), math.prod(shape)),
        dtype=torch.float32,
        pin_memory=torch.device(device).type == "cuda",
    )
    _filling(drawn.numel())(np.uint64(seed), np.array(steps, np.uint64), _numbers(samples), drawn.numpy())
    return drawn.reshape(len(steps), len(samples), *shape).to(device=device, dtype=dtype, non_blocking=True)


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

    They are the bits of B blocks a row, the highest of each word first, of the counter (probe B + block, sample,
    2^31 + evaluation), which no noise of `standard_normal` shares.
    """
    size = math.prod(shape)
    blocks = -(-size // 128)
    low, high = _halves(_numbers(samples))
    counter = np.arange(probe * blocks, (probe + 1) * blocks, dtype=np.uint64)
    words = philox(seed, counter, low, high, np.array(_SIGNS + evaluation, np.uint64))
    octets = np.ascontiguousarray(np.moveaxis(words, 0, -1)).astype(">u8").view(np.uint8)
    bits = np.unpackbits(octets.reshape(len(low), 16 * blocks), axis=1, count=size)
    return torch.from_numpy(2 * bits.astype(np.float32) - 1).reshape(-1, *shape).to(device=device, dtype=dtype)


def _fill(seed: np.uint64, steps: Words, samples: Words, out: Floats) -> None:
    """Write the numbers of steps (K,) and samples (N,) into `out` (K, N, D)."""
    low, high = _halves(samples)
    times = steps[:, None, None]
    counter = np.arange(-(-out.shape[2] // 4), dtype=np.uint64)
    for k, i, j in _tiles(len(steps), len(samples), len(counter)):
        words = philox(int(seed), counter[j], low[i], high[i], times[k])
        part = out[k, i, 4 * j.start : 4 * j.stop]
        if part.shape[2] == 4 * words.shape[3]:
            box_muller(words, part.reshape(*words.shape[1:], 2, 2))
        else:
            found = np.empty((*words.shape[1:], 2, 2), np.float32)
            box_muller(words, found)
            part[:] = found.reshape(*words.shape[1:3], -1)[..., : part.shape[2]]


def _filling(count: int) -> Filling:
    """What fills `count` numbers: compiled once this process has drawn 2^28, so that no short run waits for it."""
    global _chosen, _drawn
    _drawn += count
    if _chosen is None and _drawn > _WORTH:
        try:
            _chosen = _compiled()
        except MissingPackageError:
            _chosen = _fill
    return _chosen or _fill


def _compiled() -> Filling:
    """`_fill` compiled by Numba."""
    try:
        from symsi.sampling.compiled import fill

        fill(np.uint64(0), *np.zeros((2, 1), np.uint64), np.empty((1, 1, 1), np.float32))
    except ModuleNotFoundError as error:
        raise MissingPackageError('compile_noise needs numba; pip install "symsi[fast]".') from error
    except Exception as error:  # what is installed may not fit this machine, Python or NumPy
        raise MissingPackageError(f"numba is installed and can't compile noise here: {error}") from error
    return cast(Filling, fill)


def _numbers(samples: Sequence[int]) -> Words:
    if isinstance(samples, range):
        return np.arange(len(samples), dtype=np.uint64) * np.uint64(samples.step) + np.uint64(samples.start)
    return np.array(samples, np.uint64)


def _halves(numbers: Words) -> tuple[Words, Words]:
    """The low and high words of (N,) numbers, (N, 1) each."""
    return numbers[:, None] & _LOW, numbers[:, None] >> _HALF


def _tiles(steps: int, rows: int, blocks: int) -> product[tuple[slice, slice, slice]]:
    """Slices of steps, rows and blocks that cover all, of at most 2^14 blocks each time."""
    wide = max(1, min(blocks, _TILE))
    tall = max(1, min(rows, _TILE // wide))
    deep = _TILE // (wide * tall)
    return product(_slices(steps, deep), _slices(rows, tall), _slices(blocks, wide))


def _slices(count: int, size: int) -> list[slice]:
    return [slice(begin, min(begin + size, count)) for begin in range(0, count, size)]

"""Counter-based noise: what a sample receives depends on (seed, sample, step) alone, not on batch, order or device.

It is drawn on the CPU in float32 by operations that IEEE 754 rounds correctly, so that every machine draws the same
bits: from Philox 4x32-10 of the key `seed` and the counter (block, sample, step), the sample's low half first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from operator import index

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from symsi.errors import SymsiError
from symsi.sampling.philox import Words, philox

__all__ = ["check_seed", "rademacher", "standard_normal", "standard_normals"]

Floats = npt.NDArray[np.float32]
_TILE = 1 << 14  # blocks at a time: what is worked on stays in the cache
_LOW, _HALF = np.array((1 << 32) - 1, np.uint64), np.array(32, np.uint64)
_SIGNS = 1 << 31  # added to the step, and never part of one of standard normals


def _constants(*values: float) -> list[Floats]:
    return [np.array(value, np.float32) for value in values]


# Of least relative error, lowest power first: sin(pi y/2) = y S(y^2) for |y| <= 1 to 6e-9, and -2 log((1 + q)/(1 - q))
# = q L(q^2) for |q| <= (sqrt(2) - 1)/(sqrt(2) + 1) to 1e-9. They are rounded to float32.
_SINE = _constants(1.57079637, -0.645963728, 0.0796896815, -0.00467376644, 0.000151485132)
_LOG = _constants(-4.0, -1.33333635, -0.799495876, -0.598513007)
_ONE, _HALVE, _LIMIT, _PER_LIMIT, _PER_OCTAVE = _constants(1, 0.5, 2.0**31, 2.0**-31, -2 * math.log(2) / 2**23)
_SIGN, _REST, _EXPONENT, _SQRT_HALF = (
    np.array(bits, np.int32) for bits in (-(1 << 31), (1 << 31) - 1, -(1 << 23), 0x3F3504F3 + (31 << 23))
)


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

    Step 0 is the start, step k the k-th step's. Numbers 4 b to 4 b + 3 of a row are those of block b. Two words w, w'
    of 32 bits give two numbers (Box and Muller 1958),

        r cos(pi y/2), r sin(pi y/2),  r = sqrt(-2 log u),  u = (w mod 2^31 + 1/2)/2^31,  y = w'/2^31

    with w' as a signed integer, and the first with the sign of w; |n| < 6.67. They are off by at most 2^-22 r +
    2^-25/r: u is rounded to 24 bits.
    """
    size = math.prod(shape)
    blocks = -(-size // 4)
    low, high = _halves(samples)
    counter = np.arange(blocks, dtype=np.uint64)
    times = np.array(steps, np.uint64)[:, None, None]
    drawn = torch.empty(
        (len(times), len(low), size), dtype=torch.float32, pin_memory=torch.device(device).type == "cuda"
    )
    whole = drawn.numpy()
    for k, i, j in _tiles(len(times), len(low), blocks):
        words = philox(seed, counter[j], low[i], high[i], times[k])
        out = whole[k, i, 4 * j.start : 4 * j.stop]
        if out.shape[2] == 4 * words.shape[3]:
            _box_muller(words, out.reshape(*words.shape[1:], 2, 2))
        else:
            found = np.empty((*words.shape[1:], 2, 2), np.float32)
            _box_muller(words, found)
            out[:] = found.reshape(*words.shape[1:3], -1)[..., : out.shape[2]]
    return drawn.reshape(len(times), len(low), *shape).to(device=device, dtype=dtype, non_blocking=True)


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
    low, high = _halves(samples)
    counter = np.arange(probe * blocks, (probe + 1) * blocks, dtype=np.uint64)
    words = philox(seed, counter, low, high, np.array(_SIGNS + evaluation, np.uint64))
    octets = np.ascontiguousarray(np.moveaxis(words, 0, -1)).astype(">u8").view(np.uint8)
    bits = np.unpackbits(octets.reshape(len(low), 16 * blocks), axis=1, count=size)
    return torch.from_numpy(2 * bits.astype(np.float32) - 1).reshape(-1, *shape).to(device=device, dtype=dtype)


def _halves(samples: Sequence[int]) -> tuple[Words, Words]:
    """The low and high words of the samples' numbers, (N, 1) each."""
    if isinstance(samples, range):
        numbers = np.arange(len(samples), dtype=np.uint64) * np.uint64(samples.step) + np.uint64(samples.start)
    else:
        numbers = np.array(samples, np.uint64)
    numbers = numbers[:, None]
    return numbers & _LOW, numbers >> _HALF


def _tiles(steps: int, rows: int, blocks: int) -> product[tuple[slice, slice, slice]]:
    """Slices of steps, rows and blocks that cover all, of at most 2^14 blocks each time."""
    wide = max(1, min(blocks, _TILE))
    tall = max(1, min(rows, _TILE // wide))
    deep = _TILE // (wide * tall)
    return product(_slices(steps, deep), _slices(rows, tall), _slices(blocks, wide))


def _slices(count: int, size: int) -> list[slice]:
    return [slice(begin, min(begin + size, count)) for begin in range(0, count, size)]


def _box_muller(words: Words, out: Floats) -> None:
    """Write the numbers of blocks (2, *shape) into `out` (*shape, 2, 2), of three dimensions each."""
    halves = words.astype("<u8", copy=False).view("<i4").reshape(*words.shape, 2)
    y = np.empty((2, *words.shape), np.float32)
    cosine, sine = y
    sine[...] = halves[..., 0]
    sine *= _PER_LIMIT
    np.abs(sine, out=cosine)
    np.subtract(_ONE, cosine, out=cosine)
    y *= _polynomial(_SINE, y * y)  # cos(pi y/2) = sin(pi (1 - |y|)/2)
    w = halves[..., 1].copy()
    signs = cosine.view(np.int32)
    signs ^= w & _SIGN
    w &= _REST
    np.multiply(y, _radius(w), out=out.transpose(4, 3, 0, 1, 2))


def _radius(w: npt.NDArray[np.int32]) -> Floats:
    """sqrt(-2 log u), u = (w + 1/2)/2^31 = 2^e m, with -2 log m = -2 log((1 + q)/(1 - q)), q = (m - 1)/(m + 1)."""
    m = w.astype(np.float32)
    m += _HALVE
    bits = m.view(np.int32)
    e = bits - _SQRT_HALF
    e &= _EXPONENT  # times 2^23, as in bits
    squared = e.astype(np.float32)
    squared *= _PER_OCTAVE
    bits -= e  # m in [sqrt(1/2), sqrt(2)), times 2^31
    q = m - _LIMIT
    m += _LIMIT
    q /= m
    q *= _polynomial(_LOG, np.multiply(q, q, out=m))
    squared += q
    return np.sqrt(squared, out=squared)


def _polynomial(coefficients: list[Floats], x: Floats) -> Floats:
    """sum_i c_i x^i by Horner's rule, each operation rounded for itself."""
    found = x * coefficients[-1]
    for c in coefficients[-2:0:-1]:
        found += c
        found *= x
    found += coefficients[0]
    return found

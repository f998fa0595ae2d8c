"""`noise` in one pass over its numbers, compiled by Numba (the extra `fast`): the same bits.

Nothing is fused or reordered: without `fastmath` LLVM rounds each operation for itself, as NumPy does.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from symsi.sampling import box_muller as of
from symsi.sampling.box_muller import Floats
from symsi.sampling.philox import MULTIPLIERS, ROUNDS, WEYL, Words

__all__ = ["fill", "normals"]

if numba.config.DISABLE_JIT:
    raise ImportError("NUMBA_DISABLE_JIT is set.")

HalfWords = npt.NDArray[np.uint32]

_TILE = 256  # blocks at a time: what is worked on stays in the fastest cache
_M0, _M1 = map(np.uint64, MULTIPLIERS)
_W0, _W1 = map(np.uint32, WEYL)
_HALF = np.uint64(32)
_S0, _S1, _S2, _S3, _S4 = map(np.float32, of.SINE)
_L0, _L1, _L2, _L3 = map(np.float32, of.LOG)
_ONE, _HALVE, _LIMIT, _PER_LIMIT, _PER_OCTAVE = map(
    np.float32, (of.ONE, of.HALVE, of.LIMIT, of.PER_LIMIT, of.PER_OCTAVE)
)
_SIGN, _REST, _EXPONENT, _SQRT_HALF = map(np.int32, (of.SIGN, of.REST, of.EXPONENT, of.SQRT_HALF))


@numba.njit
def _sine(y: np.float32) -> np.float32:
    x = y * y
    return y * ((((x * _S4 + _S3) * x + _S2) * x + _S1) * x + _S0)


@numba.njit
def _logarithm(q: np.float32) -> np.float32:
    x = q * q
    return q * (((x * _L3 + _L2) * x + _L1) * x + _L0)


@numba.njit
def _philox(key: np.uint64, words: HalfWords, count: int) -> None:
    """Ten rounds of the first counters of (4, n), in place."""
    for i in range(count):
        x0, x1, x2, x3 = words[0, i], words[1, i], words[2, i], words[3, i]
        k0, k1 = np.uint32(key), np.uint32(key >> _HALF)
        for _ in range(ROUNDS):
            p, q = np.uint64(x0) * _M0, np.uint64(x2) * _M1
            x0, x2 = np.uint32(q >> _HALF) ^ x1 ^ k0, np.uint32(p >> _HALF) ^ x3 ^ k1
            x1, x3 = np.uint32(q), np.uint32(p)
            k0, k1 = np.uint32(k0 + _W0), np.uint32(k1 + _W1)
        words[0, i], words[1, i], words[2, i], words[3, i] = x0, x1, x2, x3


@numba.njit(error_model="numpy")
def normals(words: HalfWords, found: Floats, count: int) -> None:
    """Write the first numbers of (4, n) from words (4, n), two and two: w, w' of `symsi.sampling.box_muller`."""
    signed, bits = words.view(np.int32), found.view(np.int32)
    m, e = np.empty(count, np.float32), np.empty(count, np.int32)
    mantissa = m.view(np.int32)
    for h in (0, 2):
        for i in range(count):
            y = np.float32(signed[h + 1, i]) * _PER_LIMIT
            found[h, i], found[h + 1, i] = _sine(_ONE - abs(y)), _sine(y)
            m[i] = np.float32(signed[h, i] & _REST) + _HALVE
        for i in range(count):
            bits[h, i] ^= signed[h, i] & _SIGN
            e[i] = (mantissa[i] - _SQRT_HALF) & _EXPONENT
            mantissa[i] -= e[i]
        for i in range(count):
            q = (m[i] - _LIMIT) / (m[i] + _LIMIT)
            r = np.sqrt(np.float32(e[i]) * _PER_OCTAVE + _logarithm(q))
            found[h, i] *= r
            found[h + 1, i] *= r


@numba.njit(nogil=True)
def fill(seed: np.uint64, steps: Words, samples: Words, out: Floats) -> None:
    """Write the numbers of steps (K,) and samples (N,) into `out` (K, N, D), as `noise.standard_normals` has them.

    Steps are below 2^31, blocks of four numbers a row below 2^32.
    """
    rows, size = out.shape[0] * out.shape[1], out.shape[2]
    flat = out.reshape(rows * size)
    blocks = (size + 3) // 4
    words, found = np.empty((4, _TILE), np.uint32), np.empty((4, _TILE), np.float32)
    for begin in range(0, rows * blocks, _TILE):
        count = min(_TILE, rows * blocks - begin)
        row, block = begin // blocks, begin % blocks
        for i in range(count):
            sample = samples[row % len(samples)]
            words[0, i], words[1, i] = np.uint32(block), np.uint32(sample)
            words[2, i], words[3, i] = np.uint32(sample >> _HALF), np.uint32(steps[row // len(samples)])
            block += 1
            if block == blocks:
                row, block = row + 1, 0
        _philox(seed, words, count)
        normals(words, found, count)
        if size % 4 == 0:
            for i in range(count):
                for j in range(4):
                    flat[4 * (begin + i) + j] = found[j, i]
        else:
            row, block = begin // blocks, begin % blocks
            for i in range(count):
                for j in range(min(4, size - 4 * block)):
                    flat[size * row + 4 * block + j] = found[j, i]
                block += 1
                if block == blocks:
                    row, block = row + 1, 0

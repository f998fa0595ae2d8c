"""Philox 4x32-10: 128 random bits as a function of a key and a counter, for whole arrays of counters.

J. Salmon, M. Moraes, R. Dror, D. Shaw. *Parallel random numbers: as easy as 1, 2, 3*. SC 2011.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

__all__ = ["MULTIPLIERS", "ROUNDS", "WEYL", "Words", "philox"]

Words = npt.NDArray[np.uint64]
ROUNDS = 10
_LOW = (1 << 32) - 1
WEYL = 0x9E3779B9, 0xBB67AE85  # W_0, W_1
MULTIPLIERS = 0xD2511F53, 0xCD9E8D57  # M_0, M_1
_M0, _M1, _HALF = (np.array(word, np.uint64) for word in (*MULTIPLIERS, 32))


def philox(key: int, x0: Words, x1: Words, x2: Words, x3: Words) -> Words:
    """Return x_0 2^32 + x_1 and x_2 2^32 + x_3 after ten rounds, (2, *shape), for counters that broadcast to `shape`.

    Each x_i is below 2^32; k_0 and k_1 are the low and the high half of the key. A round is, hi and lo the halves of a
    product, (x_0, x_1, x_2, x_3) <- (hi(x_2 M_1) ^ x_1 ^ k_0, lo(x_2 M_1), hi(x_0 M_0) ^ x_3 ^ k_1, lo(x_0 M_0)), and
    k_i <- k_i + W_i modulo 2^32.
    """
    (k0, k1), *keys = _schedule(key)  # of two rounds: the second takes its own from the lower halves, which it moves up
    # two rounds as broadcast: x_2 and x_1 are often of the rows alone, x_0 and x_3 of the columns
    a, b = x2 * _M1 ^ x1 << _HALF ^ k0, x0 * _M0 ^ x3 << _HALF ^ k1
    x = np.empty((2, *np.broadcast(a, b).shape), np.uint64)
    product = np.empty_like(x)
    np.bitwise_xor((b >> _HALF) * _M1, a << _HALF, out=x[0])
    np.bitwise_xor((a >> _HALF) * _M0, b << _HALF, out=x[1])
    (a, b), (p, q) = x, product
    for k0, k1 in keys:
        for last in (False, True):
            np.right_shift(x, _HALF, out=product)
            p *= _M0
            q *= _M1
            x <<= _HALF
            a ^= q
            b ^= p
            if not last:
                a ^= k0
                b ^= k1
    return x


@lru_cache(maxsize=16)
def _schedule(key: int) -> tuple[tuple[Words, Words], ...]:
    """(k_0, k_1) of rounds 0, 2, ... in the upper halves of 64 bits, and of rounds 1, 3, ... in the lower halves."""
    halves = key & _LOW, key >> 32
    rounds = [[k + r * w & _LOW for k, w in zip(halves, WEYL, strict=True)] for r in range(ROUNDS)]
    return tuple(
        (np.array(k0 << 32 | l0, np.uint64), np.array(k1 << 32 | l1, np.uint64))
        for (k0, k1), (l0, l1) in zip(rounds[::2], rounds[1::2], strict=True)
    )

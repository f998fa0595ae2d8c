"""Normal numbers of random words, by operations in float32 that IEEE 754 rounds correctly, for whole arrays of them."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from symsi.sampling.philox import Words

__all__ = ["Floats", "box_muller", "radius"]

Floats = npt.NDArray[np.float32]


def _constants(*values: float) -> list[Floats]:
    return [np.array(value, np.float32) for value in values]


# Of least relative error, lowest power first: sin(pi y/2) = y S(y^2) for |y| <= 1 to 6e-9, and -2 log((1 + q)/(1 - q))
# = q L(q^2) for |q| <= (sqrt(2) - 1)/(sqrt(2) + 1) to 1e-9. They are rounded to float32.
SINE = _constants(1.57079637, -0.645963728, 0.0796896815, -0.00467376644, 0.000151485132)
LOG = _constants(-4.0, -1.33333635, -0.799495876, -0.598513007)
ONE, HALVE, LIMIT, PER_LIMIT, PER_OCTAVE = _constants(1, 0.5, 2.0**31, 2.0**-31, -2 * math.log(2) / 2**23)
SIGN, REST, EXPONENT, SQRT_HALF = (
    np.array(bits, np.int32) for bits in (-(1 << 31), (1 << 31) - 1, -(1 << 23), 0x3F3504F3 + (31 << 23))
)


def box_muller(words: Words, out: Floats) -> None:
    """Write the numbers of blocks (2, *shape) into `out` (*shape, 2, 2), of three dimensions each.

    A word's low half w' and high half w, of 32 bits each, give two numbers (Box and Muller 1958),

        r cos(pi y/2), r sin(pi y/2),  r = sqrt(-2 log u),  u = (w mod 2^31 + 1/2)/2^31,  y = w'/2^31

    with w' as a signed integer, and the first with the sign of w.
    """
    halves = words.astype("<u8", copy=False).view("<i4").reshape(*words.shape, 2)
    y = np.empty((2, *words.shape), np.float32)
    cosine, sine = y
    sine[...] = halves[..., 0]
    sine *= PER_LIMIT
    np.abs(sine, out=cosine)
    np.subtract(ONE, cosine, out=cosine)
    y *= _polynomial(SINE, y * y)  # cos(pi y/2) = sin(pi (1 - |y|)/2)
    w = halves[..., 1].copy()
    signs = cosine.view(np.int32)
    signs ^= w & SIGN
    w &= REST
    np.multiply(y, radius(w), out=out.transpose(4, 3, 0, 1, 2))


def radius(w: npt.NDArray[np.int32]) -> Floats:
    """sqrt(-2 log u), u = (w + 1/2)/2^31 = 2^e m, with -2 log m = -2 log((1 + q)/(1 - q)), q = (m - 1)/(m + 1)."""
    m = w.astype(np.float32)
    m += HALVE
    bits = m.view(np.int32)
    e = bits - SQRT_HALF
    e &= EXPONENT  # times 2^23, as in bits
    squared = e.astype(np.float32)
    squared *= PER_OCTAVE
    bits -= e  # m in [sqrt(1/2), sqrt(2)), times 2^31
    q = m - LIMIT
    m += LIMIT
    q /= m
    q *= _polynomial(LOG, np.multiply(q, q, out=m))
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

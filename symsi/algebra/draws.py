"""Random numbers and functions that have what is declared of them, and as little else as possible."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import sympy as sp
from sympy import Expr, Rational, Symbol, oo, sympify
from sympy.concrete.expr_with_limits import ExprWithLimits

__all__ = ["concretize", "draw_function", "draw_parameters", "draw_points"]

_BITS = 64
_DEEP = 40  # points come as near to a finite end as 2^-40 of the range
_WIDE = 14  # and as far out as 2^14, where the range has no end


def draw_points(ranges: Mapping[Symbol, tuple[Expr, Expr]], count: int, rng: random.Random) -> list[dict[Symbol, Expr]]:
    """Return `count` points of the open ranges, on no lattice: inside, near both ends, near 0 and far out in turn."""
    columns = {}
    for s, ends in ranges.items():
        low, high = (_rational(sympify(e)) for e in ends)
        places = [k % 4 for k in range(count)]
        rng.shuffle(places)
        columns[s] = [_number(low, high, place, rng) for place in places]
    return [{s: column[k] for s, column in columns.items()} for k in range(count)]


def draw_parameters(symbols: Iterable[Symbol], count: int = 2) -> list[dict[Symbol, Expr]]:
    """Return `count` draws of positive parameters in (1/2, 2), on no lattice and the same wherever a name occurs."""

    def number(s: Symbol, k: int) -> Rational:
        return Rational(1, 2) + Rational(3 * random.Random(f"{s}:{k}").getrandbits(90), 2**91)  # noqa: S311

    wanted = tuple(symbols)
    return [{s: number(s, k) for s in wanted} for k in range(count)]


def _rational(end: Expr) -> Expr:
    return end if end.is_infinite or end.is_Rational else Rational(str(end.evalf(_DEEP)))


def _fraction(rng: random.Random) -> Rational:
    """A number in (0, 1) whose denominator is a random one of 64 bits."""
    bottom = rng.getrandbits(_BITS) | (1 << (_BITS - 1)) | 1
    return Rational(rng.randrange(1, bottom), bottom)


def _number(low: Expr, high: Expr, place: int, rng: random.Random) -> Rational:
    u = _fraction(rng)
    tiny, scale = u / 2 ** rng.randrange(1, _DEEP), u * Rational(2) ** rng.randint(-_WIDE, _WIDE)
    if low == -oo and high == oo:
        return (-1) ** place * (scale if place < 2 else 3 * u)
    if high == oo:
        return low + (scale, tiny, 3 * u, scale)[place]
    if low == -oo:
        return high - (scale, tiny, 3 * u, scale)[place]
    width = high - low
    if place == 3 and low < 0 < high:  # both sides of 0
        return (high if rng.random() < 0.5 else low) * tiny
    return (low + width * u, low + width * tiny, high - width * tiny, low + width * u)[place]


def draw_function(words: frozenset[str], rng: random.Random) -> Callable[..., Expr]:
    """Return a random elementary function of real arguments whose shape is that of `words`, and otherwise changes.

    A function of several arguments has no slope or curvature declared.
    """

    def c(low: int, high: int) -> Rational:
        return low + (high - low) * Rational(rng.randrange(1, 10007), 10007)

    def increasing(a: Expr) -> Expr:  # slope k (1 + r cos), of changing curvature
        return start + k * (a + r / w * sp.sin(w * a + phase))

    def convex(a: Expr) -> Expr:  # curvature 2 k (1 - r cos)
        return start + slope * a + k * (a**2 + 2 * r / w**2 * sp.cos(w * a + phase))

    def both(a: Expr) -> Expr:  # increasing and convex, each u + sqrt(1 + u^2) being so
        return start + k * sum(u + sp.sqrt(1 + u**2) for u in (a + slope, w * a - phase))

    def real(*args: Expr) -> Expr:
        return start + 2 * k * sp.sin(sum((v * a for v, a in zip(weights, args, strict=False)), phase))

    k, r, w, phase, start, slope = c(1, 2), c(0, 1), c(2, 9), c(-3, 3), c(-2, 2), c(-3, 3)
    body: Callable[..., Expr]
    weights = [c(2, 6) * rng.choice((-1, 1)) for _ in range(6)]
    falls, caves = "decreasing" in words, "concave" in words
    monotone, curved = bool(words & {"increasing", "decreasing"}), bool(words & {"convex", "concave"})
    if monotone and curved:  # both(a) rises and is convex, both(-a) falls and is convex; a sign turns them
        turn, sign = (-1 if falls != caves else 1), (-1 if caves else 1)
        body = lambda a: sign * both(turn * a)  # noqa: E731
    elif monotone or curved:
        sign, base = (-1 if falls or caves else 1), (increasing if monotone else convex)
        body = lambda a: sign * base(a)  # noqa: E731
    else:
        body = real
    if "positive" in words:
        return lambda *args: sp.exp(body(*args) / 2)
    return (lambda *args: 1 / (1 + sp.exp(-body(*args)))) if "unit" in words else body


def concretize(expr: Expr, bodies: Mapping[Any, Callable[..., Expr]]) -> Expr:
    """Put concrete functions in the place of undetermined ones, and differentiate."""
    for derivative in expr.atoms(sp.Derivative):
        inner = [v for v in derivative.variables if not isinstance(v, Symbol)]
        if inner:  # f'(g(t)): differentiate f first, then put g(t) in
            z = sp.Dummy("z")
            outer = concretize(derivative.xreplace({inner[0]: z}), bodies)
            expr = expr.xreplace({derivative: outer.subs(z, concretize(inner[0], bodies))})
    for f, body in bodies.items():
        if expr.has(f):
            expr = expr.replace(f, body)
    return expr.doit() if expr.has(sp.Derivative, sp.Subs, ExprWithLimits) else expr

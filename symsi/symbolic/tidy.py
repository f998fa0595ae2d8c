"""Short forms of derived coefficients: targeted rewriting, all symbols positive, the shortest result wins."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import sympy as sp
from sympy import Expr

__all__ = ["count", "tidy"]

_REWRITES: tuple[Callable[[Expr], Expr], ...] = (
    lambda e: sp.cancel(sp.together(e)),
    lambda e: sp.powsimp(sp.cancel(sp.together(e))),
    lambda e: sp.factor(sp.together(e)),
    lambda e: sp.trigsimp(sp.cancel(sp.together(e))),
    lambda e: sp.powdenest(sp.powsimp(e)),
    lambda e: sp.radsimp(sp.together(e)),
)
_FOREIGN = (sp.Abs, sp.sign, sp.arg, sp.re, sp.im, sp.Piecewise)


@lru_cache(maxsize=8192)
def tidy(expr: Expr) -> Expr:
    """Return an equal expression on 0 < t < 1 with positive parameters, no longer than the given one."""
    positive = {s: sp.Dummy(s.name, positive=True) for s in expr.free_symbols}
    back = {d: s for s, d in positive.items()}
    best = expr
    start = expr.xreplace(positive)
    for rewrite in _REWRITES:
        try:
            candidate = rewrite(start).subs(back)
        except (sp.PolynomialError, NotImplementedError, ZeroDivisionError):
            continue
        if not candidate.has(*_FOREIGN) and count(candidate) < count(best):
            best = candidate
    return best


def count(expr: Expr) -> int:
    """Length of a formula: its operations plus its leaves."""
    return int(sp.count_ops(expr)) + sum(1 for _ in sp.preorder_traversal(expr))

"""Expressions as one list of mpmath operations: each subexpression once, numbers once for each precision.

What `lambdify` would print, compile and compute again at every point is listed once instead: a conversion has a
hundred such lists, most of them for a few points.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import mpmath
import sympy as sp
from sympy import Basic, Expr, Symbol, lambdify

__all__ = ["Operations"]

_NAMES = "exp log erf sin cos tan cot asin acos atan acot sinh cosh tanh asinh acosh atanh"
_FUNCTIONS: dict[Any, Callable[..., Any]] = {getattr(sp, name): getattr(mpmath, name) for name in _NAMES.split()}
_PRECISIONS = 8  # for which the numbers are kept
Operation = tuple[Callable[..., Any], tuple[int, ...]]


class Operations:
    """Several expressions as mpmath operations, to be run at any point and precision.

    Where an operation has no value it raises as mpmath does: ZeroDivisionError at a pole, ValueError, OverflowError.
    """

    def __init__(self, exprs: Sequence[Expr]) -> None:
        self.symbols = tuple(sorted(set().union(*(e.free_symbols for e in exprs)), key=str))
        self._index: dict[Basic, int] = {}
        self._places: list[int] = []  # of each symbol
        self._numbers: list[tuple[int, Callable[..., Any], tuple[int, ...]]] = []
        self._steps: list[tuple[int, Callable[..., Any], tuple[int, ...]]] = []
        self._known: dict[int, list[Any]] = {}
        self._places = [self._place(s) for s in self.symbols]
        self._results = [self._place(e) for e in exprs]

    def __call__(self, values: Mapping[Symbol, Any]) -> list[Any]:
        """Return the values at a point, to mpmath's working precision."""
        at = self._start()
        for symbol, place in zip(self.symbols, self._places, strict=True):
            at[place] = values[symbol]
        for place, operation, arguments in self._steps:
            at[place] = operation(*[at[k] for k in arguments])
        return [at[k] for k in self._results]

    def _start(self) -> list[Any]:
        """The numbers to the working precision, and room for all else."""
        known = self._known.get(mpmath.mp.prec)
        if known is None:
            known = [None] * len(self._index)
            for place, operation, arguments in self._numbers:
                known[place] = operation(*[known[k] for k in arguments])
            if len(self._known) == _PRECISIONS:
                self._known.clear()
            self._known[mpmath.mp.prec] = known
        return known.copy()

    def _place(self, e: Basic) -> int:
        """The place of an expression's value, after those that it is made of."""
        found = self._index.get(e)
        if found is None:
            operation, arguments = _operation(e)
            places = tuple(self._place(a) for a in arguments)
            found = self._index[e] = len(self._index)
            if not isinstance(e, Symbol):
                (self._steps if e.free_symbols else self._numbers).append((found, operation, places))
        return found


def _operation(e: Basic) -> tuple[Callable[..., Any], Sequence[Basic]]:
    """What to do with which values."""
    if isinstance(e, Symbol):
        return operator.pos, ()
    if isinstance(e, sp.Integer):
        return lambda: int(e), ()
    if isinstance(e, sp.Rational):
        return lambda: mpmath.mpf(e.p) / e.q, ()
    if isinstance(e, (sp.Float, sp.NumberSymbol)):
        return lambda: e._to_mpmath(mpmath.mp.prec), ()
    if isinstance(e, sp.Add):
        return (operator.add if len(e.args) == 2 else _sum), e.args
    if isinstance(e, sp.Mul):
        return (operator.mul if len(e.args) == 2 else _product), e.args
    if isinstance(e, sp.Pow):
        if e.exp == sp.S.Half:
            return mpmath.sqrt, (e.base,)
        return (_reciprocal, (e.base,)) if e.exp == -1 else (operator.pow, e.args)
    if e.func in _FUNCTIONS:
        return _FUNCTIONS[e.func], e.args
    symbols = sorted(e.free_symbols, key=str)
    return lambdify(symbols, e, modules="mpmath", docstring_limit=0), symbols


def _sum(*parts: Any) -> Any:
    return reduce(operator.add, parts)


def _product(*parts: Any) -> Any:
    return reduce(operator.mul, parts)


def _reciprocal(value: Any) -> Any:
    return 1 / value

"""Numbers for a residual that holds integrals: sums of coefficient * Integral over one variable, and what is left.

Integrals over the same range are added up first, so that integrands which cancel leave rounding errors alone, and
those are judged against the integral of the absolute terms, to which integral-free constants add nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import mpmath
import sympy as sp
from sympy import Expr, Symbol

from symsi.algebra.draws import concretize
from symsi.algebra.multiprecision import evaluate
from symsi.algebra.rewriting import split_integrals

__all__ = ["Gap", "gap_of"]

_DIGITS, _ROUGH, _REST = 50, 15, 150
_DEGREE = 7  # of the tanh-sinh rule: some hundred nodes
_REFUTED = mpmath.mpf("1e-10")


@dataclass(frozen=True)
class Gap:
    """What is left of a residual, the size of its integrals, and the error that quadrature may have made."""

    left: Any
    size: Any
    error: Any

    @property
    def relative(self) -> Any:
        """What is left, relative to the integrals."""
        return self.left / self.size if self.left < self.size else self.left

    @property
    def refutes(self) -> bool:
        """Whether it is there for good: far above rounding and the error of the rule."""
        return bool(self.left > _REFUTED * self.size and self.left > 1000 * self.error)


def gap_of(residual: Expr, bodies: Mapping[Any, Callable[..., Expr]], point: Mapping[Symbol, Any]) -> Gap | None:
    """Evaluate a residual with concrete functions at a point; None where it has no value there.

    Raises ValueError for an integral over several variables or without limits, and what `split_integrals` refuses.
    """
    groups, rest = split_integrals(residual)
    if any(len(limits) != 1 for limits in groups):
        raise ValueError("an integral over several variables is not evaluated")
    total = evaluate(concretize(rest, bodies), point, _REST)
    size = error = mpmath.mpf(0)
    for ((variable, *ends),), integrand in groups.items():
        span = [_end(concretize(end, bodies), point) for end in ends]
        terms = [concretize(term, bodies) for term in sp.Add.make_args(sp.expand(integrand))]
        value, slip = _quad(sp.Add(*terms, evaluate=False), variable, span, point, _DIGITS)
        total, error = total + value, error + abs(slip)
        size += sum(_sizes(terms, variable, span, point))
    return Gap(abs(total), size, error) if mpmath.isfinite(abs(total) + size) else None


def _sizes(terms: list[Expr], variable: Symbol, span: list[Any], point: Mapping[Symbol, Any]) -> Iterator[Any]:
    for term in terms:
        yield abs(_quad(sp.Abs(term), variable, span, point, _ROUGH)[0])


def _quad(
    integrand: Expr, variable: Symbol, span: list[Any], point: Mapping[Symbol, Any], digits: int
) -> tuple[Any, Any]:
    def value(at: Any) -> Any:
        return evaluate(integrand, {**point, variable: at}, mpmath.mp.dps)

    with mpmath.workdps(digits):
        try:
            return mpmath.quad(value, span, error=True, maxdegree=_DEGREE)  # type: ignore[no-any-return]
        except (ZeroDivisionError, ValueError, OverflowError):
            return mpmath.nan, mpmath.nan


def _end(end: Expr, point: Mapping[Symbol, Any]) -> Any:
    if end.is_infinite:
        return mpmath.inf if end == sp.oo else -mpmath.inf
    return evaluate(end, point, _REST)

"""Functions of t on [0, 1] by name, with their limits, series and values: what tables and kernels are made of.

A conversion offers the same, with a time map between two schedules; `Formulas` is either.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from sympy import Expr, Float, Integer, Symbol, Tuple

from symsi.algebra.limits import Limit
from symsi.algebra.multiprecision import DIGITS, evaluate_many
from symsi.algebra.series import CancelledError, Expansion, Series, UnsupportedError, near
from symsi.algebra.symbols import t
from symsi.errors import SymsiError, unknown
from symsi.interpolants.schedule import at_end
from symsi.interpolants.two_sided import Interpolant
from symsi.theory.conversion import Conversion
from symsi.theory.conversion_numbers import Parameters, zero_between
from symsi.theory.conversion_series import end_value, known

__all__ = ["Formulas", "Functions", "as_formulas"]

_GUARD = 15


@dataclass(frozen=True)
class Functions:
    """Named functions of t alone; `name` says whose they are. Free symbols other than t are positive parameters."""

    named: tuple[tuple[str, Expr], ...]
    name: str = ""
    start = Integer(0)
    start_time = 0.0
    time = t

    def __str__(self) -> str:
        return self.name

    @cached_property
    def coefficients(self) -> Mapping[str, Expr]:
        """The functions by name."""
        return dict(self.named)

    @cached_property
    def free_parameters(self) -> frozenset[Symbol]:
        """Symbols other than t."""
        return frozenset(set().union(*(e.free_symbols for _, e in self.named)) - {t})

    def limit(self, name: str, end: int) -> Limit:
        """Return the behaviour of one function at t = 0 or 1. Raises UnknownNameError."""
        if name not in self.coefficients:
            raise unknown("coefficient", name, self.coefficients)
        return _limit(self.coefficients[name], end)

    def end_value(self, name: str, end: int) -> Any | None:
        """Return the finite limit of a function as a number, or None."""
        return end_value(self, name, end)

    def series(self, end: int, size: int = 8) -> Mapping[str, Series]:
        """Power series in the distance from an end; functions that have none are left out."""
        found = {name: self.series_of(name, end, size) for name in self.coefficients}
        return {name: series for name, series in found.items() if series is not None}

    def series_of(self, name: str, end: int, size: int = 8) -> Series | None:
        """Power series of one function, as in `series`; None where it has none."""
        return _series(self, name, end, size)

    def series_at(self, name: str, point: Expr, size: int = 8) -> Series:
        """Taylor series of a function about a time inside (0, 1)."""
        return Expansion({t: near(point, 1)}, size)(self.coefficients[name])

    def zero(self, name: str, low: Any, high: Any, parameters: Parameters = None) -> Float | None:
        """Return the time between `low` and `high` at which a function crosses or touches 0, if there is one."""
        return zero_between(self, name, low, high, parameters)

    def evaluate(self, name: str, time: Any, digits: int = DIGITS, parameters: Parameters = None) -> Any:
        """Evaluate one function at a time inside (0, 1), with `digits` digits."""
        return self.evaluate_all(time, (name,), digits, parameters)[name]

    def evaluate_all(
        self, time: Any, names: Iterable[str], digits: int = DIGITS, parameters: Parameters = None
    ) -> dict[str, Any]:
        """Evaluate several functions at once; SymsiError names a parameter that has no value in `parameters`."""
        wanted = tuple(names)
        formulas = Tuple(*(self.coefficients[name] for name in wanted))
        given = {Symbol(str(name)): value for name, value in (parameters or {}).items()}
        missing = sorted(str(s) for s in formulas.free_symbols - {t} - set(given))
        if missing:
            raise SymsiError(
                f'{self} depends on the parameter {missing[0]}; give it: parameters={{"{missing[0]}": 1}}.'
            )
        return dict(zip(wanted, evaluate_many(formulas, {**given, t: time}, digits + _GUARD), strict=True))


Formulas = Conversion | Functions


def as_formulas(what: Formulas | Interpolant) -> Formulas:
    """Return a conversion or functions as they are, and the coefficients of an interpolant as functions."""
    return Functions(tuple(what.coefficients.items()), str(what)) if isinstance(what, Interpolant) else what


@lru_cache(maxsize=1024)
def _limit(expr: Expr, end: int) -> Limit:
    return at_end(expr, end)


@lru_cache(maxsize=4096)
def _series(functions: Functions, name: str, end: int, size: int) -> Series | None:
    try:
        return known(_expansion(functions, end, size)(functions.coefficients[name]))
    except (UnsupportedError, CancelledError):
        return None


@lru_cache(maxsize=256)
def _expansion(_: Functions, end: int, size: int) -> Expansion:
    """What expands the functions at an end; it remembers the parts that they share."""
    return Expansion({t: near(Integer(end), 1 - 2 * end)}, size)

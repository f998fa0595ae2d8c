"""Coefficient tables: every scalar that a sampler needs, evaluated once per grid, right to the last bit.

A grid has tens of points, so each value is computed in multiprecision from the derived expression and rounded to
float64 once; at the ends of the domain it is the limit that the derivation found. Nothing cancels, nothing is clamped.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import product
from typing import Any

import torch
from sympy import Rational, Symbol
from torch import Tensor

from symsi.algebra.multiprecision import evaluate
from symsi.errors import EndpointError, SymsiError, unknown
from symsi.interpolants.two_sided import Interpolant
from symsi.theory.conversion import FIELDS
from symsi.theory.functions import Formulas, as_formulas

__all__ = ["Table", "tabulate"]

_DIGITS = 30  # of each value before it is rounded to float64, beside those that cancel
Parameters = Mapping[str, float | Sequence[float] | Tensor] | Mapping[Symbol, float | Sequence[float] | Tensor]


class Table(Mapping[str, Tensor]):
    """Coefficients of a conversion or an interpolant by name on a grid, in float64: a mapping that does not change.

    Each has the shape of `grid`, (K,), followed by that of each vector among the parameters. A name that is not there
    raises UnknownNameError, which is a KeyError.
    """

    def __init__(self, grid: Tensor, columns: Mapping[str, Tensor]) -> None:
        self.grid = grid
        self._columns = dict(columns)

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._columns:
            raise unknown("coefficient", name, self._columns)
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Table):
            return NotImplemented
        same = self.keys() == other.keys() and torch.equal(self.grid, other.grid)
        return same and all(torch.equal(column, other[name]) for name, column in self.items())

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Table({len(self.grid)} times, {', '.join(self)})"


def tabulate(
    conversion: Formulas | Interpolant,
    grid: Sequence[float] | Tensor,
    names: Iterable[str] | None = None,
    parameters: Parameters | None = None,
) -> Table:
    """Tabulate coefficients of a conversion, or of an interpolant, on an increasing grid inside its domain.

    `names` defaults to every coefficient that is finite on the grid. `parameters` gives the values of symbols, by
    name or Symbol, one or many: `{"lamda": [0.3, 2.0]}` adds an axis of two modes. The numbers for the same arguments
    come from a cache.
    Raises SymsiError for a grid that is not increasing or leaves the domain or for a missing or unfit parameter,
    UnknownNameError for a name that is no coefficient, and EndpointError, with the fields that do have limits there,
    where a coefficient asked for has no finite limit at an end that is in the grid.
    """
    formulas, times = as_formulas(conversion), tuple(_numbers("the grid", grid))
    _check_grid(formulas, times)
    if names is None:
        ends = [end for end in (0, 1) if any(_end_of(formulas, time) == end for time in times)]
        wanted = tuple(n for n in formulas.coefficients if all(_finite(formulas, n, end) for end in ends))
    else:
        wanted = tuple(names)
    for name in wanted:
        if name not in formulas.coefficients:
            raise unknown("coefficient", name, formulas.coefficients)
    given = _parameters(formulas, {str(name): value for name, value in (parameters or {}).items()})
    shape = (len(times), *(len(v) for _, v in given if isinstance(v, tuple)))
    columns = _tabulate(formulas, times, wanted, given)
    values = {n: torch.tensor(c, dtype=torch.float64).reshape(shape) for n, c in zip(wanted, columns, strict=True)}
    return Table(torch.tensor(times, dtype=torch.float64), values)


@lru_cache(maxsize=256)
def _tabulate(
    formulas: Formulas, times: tuple[float, ...], names: tuple[str, ...], given: tuple[tuple[str, Any], ...]
) -> tuple[tuple[float, ...], ...]:
    columns: dict[str, list[float]] = {name: [] for name in names}
    choices = [v if isinstance(v, tuple) else (v,) for _, v in given]
    points = [{Symbol(k): Rational(v) for (k, _), v in zip(given, c, strict=True)} for c in product(*choices)]
    for time in times:
        for point in points:
            end = _end_of(formulas, time)
            row = formulas.evaluate_all(Rational(time), names, _digits(formulas, time), point) if end is None else None
            for name in names:
                columns[name].append(float(_limit(formulas, name, end or 0, point) if row is None else row[name]))
    return tuple(tuple(columns[name]) for name in names)


def _digits(formulas: Formulas, time: float) -> int:
    """Digits enough for what cancels at this distance from an end, cubes of it included."""
    distance = min(time - formulas.start_time, 1 - time)
    return _DIGITS + 3 * math.ceil(-math.log10(distance))


def _numbers(what: str, values: Any) -> list[float]:
    """Read a sequence or a 1-d tensor of real numbers."""
    try:
        if isinstance(values, str):
            raise TypeError
        listed = values.tolist() if hasattr(values, "tolist") else list(values)
        return [float(v) for v in listed]
    except (TypeError, ValueError):
        raise SymsiError(f"{what} must be a sequence of numbers or a 1-d tensor; got {values!r:.80}.") from None


def _end_of(formulas: Formulas, time: float) -> int | None:
    """0 or 1 where `time` is an end of the domain."""
    return 0 if time == formulas.start_time else 1 if time == 1 else None


def _finite(formulas: Formulas, name: str, end: int) -> bool:
    return formulas.end_value(name, end) is not None


def _limit(formulas: Formulas, name: str, end: int, point: Mapping[Symbol, Any]) -> Any:
    value = formulas.end_value(name, end)
    if value is not None and not point:
        return value
    found = formulas.limit(name, end)
    if found.value is None:
        whole = {f: (f"{f}_state", f"{f}_prediction") for f in FIELDS if f"{f}_prediction" in formulas.coefficients}
        regular = [f for f, parts in whole.items() if all(_finite(formulas, p, end) for p in parts)]
        advice = f"These fields have limits there: {', '.join(regular)}; or" if regular else "Either"
        away = "end the grid short of it" if end else "start the grid later"
        raise EndpointError(
            f"{name} has no finite limit at t = {found.end}: {found}. {advice} {away}, or choose another schedule."
        )
    return evaluate(found.value, point, _DIGITS)


def _parameters(formulas: Formulas, given: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Check the parameters against the conversion's symbols, and make them hashable."""
    free = {s.name for s in formulas.free_parameters}
    for name in given:
        if name not in free:
            raise unknown("parameter", name, free)
    missing = sorted(free - set(given))
    if missing:
        raise SymsiError(f"{formulas} keeps {missing[0]} symbolic; give parameters={{{missing[0]!r}: 1.0}}.")
    found = []
    for name, value in given.items():
        many = not isinstance(value, (int, float)) and not (isinstance(value, Tensor) and value.ndim == 0)
        found_numbers = tuple(_numbers(f"parameter {name}", value if many else [value]))
        if not found_numbers:
            raise SymsiError(f"parameter {name} has no values.")
        numbers = found_numbers if many else found_numbers[0]
        for number in found_numbers:
            if not 0 < number < float("inf"):
                raise SymsiError(f"parameter {name} must be positive and finite; got {number}.")
        found.append((name, numbers))
    return tuple(found)


def _check_grid(formulas: Formulas, times: tuple[float, ...]) -> None:
    if not times:
        raise SymsiError("the grid is empty; give at least one time.")
    start = formulas.start_time
    for k, time in enumerate(times):
        if not start <= time <= 1:
            raise SymsiError(f"grid[{k}] = {time} leaves the domain [{start:.6g}, 1] of {formulas}.")
        if k and not time > times[k - 1]:
            raise SymsiError(f"the grid must increase; grid[{k}] = {time} follows {times[k - 1]}.")

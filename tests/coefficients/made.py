"""Conversions with chosen coefficients, to see what is made of those that real ones rarely have."""

from collections.abc import Mapping
from dataclasses import dataclass

import sympy as sp

from symsi import Schedule, schedule
from symsi.algebra.symbols import t, tau
from symsi.theory.conversion import Conversion

LATE = Schedule("10*(1-t)", "1")  # conversions from it start at 1/11


@dataclass(frozen=True)
class Made(Conversion):
    """A conversion whose coefficients are chosen."""

    made: tuple[tuple[str, sp.Expr], ...] = ()

    @property
    def coefficients(self) -> Mapping[str, sp.Expr]:  # type: ignore[override]
        return dict(self.made)


def made(base: Schedule | None = None, **coefficients: str) -> Made:
    linear = schedule("linear")
    chosen = tuple((name, sp.sympify(text, {"t": t, "tau": tau})) for name, text in coefficients.items())
    return Made(linear if base is None else base, linear, made=chosen)

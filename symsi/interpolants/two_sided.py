"""Two-sided interpolants as values: a validated triple (alpha, beta, gamma) that bridges any two laws.

I_t = alpha_t x0 + beta_t x1 + gamma_t z, where x0 and x1 have the laws at t = 0 and t = 1, coupled or not, and
z ~ N(0, I) is independent of both (Albergo, Boffi, Vanden-Eijnden, arXiv:2303.08797).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

from sympy import Expr, Symbol

from symsi.algebra.limits import Limit
from symsi.algebra.multiprecision import sample_unit
from symsi.algebra.parse import as_expression
from symsi.algebra.positivity import proved_positive, violation
from symsi.algebra.simplify import simplify
from symsi.algebra.symbols import t
from symsi.errors import InterpolantError, unknown
from symsi.interpolants.rows import Triple
from symsi.interpolants.schedule import at_end, read, same

__all__ = ["Interpolant"]

_ENDS = {"alpha": (1, 0), "beta": (0, 1), "gamma": (0, 0)}  # the values at t = 0 and t = 1
_EXAMPLE = {"alpha": "1-t", "beta": "t", "gamma": "sqrt(t*(1-t))"}


@dataclass(frozen=True)
class Interpolant:
    """I_t = alpha_t x0 + beta_t x1 + gamma_t z from the law of x0 at t = 0 to that of x1 at t = 1.

    alpha_0 = beta_1 = 1, alpha_1 = beta_0 = gamma_0 = gamma_1 = 0, and gamma > 0 inside. Each is a SymPy expression
    in t or a string read by `symsi.algebra.parse`; `parameters` maps the names of positive parameters to numbers, or
    to None for one that stays symbolic. Raises InterpolantError where a triple is no interpolant.
    """

    alpha: Expr
    beta: Expr
    gamma: Expr
    parameters: Mapping[str, Expr | float | None] = field(default_factory=dict, compare=False)
    name: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        """Parse and validate."""
        declared = {k: None if v is None else as_expression(v) for k, v in self.parameters.items()}
        for key in _ENDS:
            object.__setattr__(self, key, read(key, getattr(self, key), declared, InterpolantError))
        object.__setattr__(self, "parameters", MappingProxyType(declared))
        _validate(self)
        if not self.name:
            object.__setattr__(self, "name", f"(alpha={self.alpha}, beta={self.beta}, gamma={self.gamma})")

    def __str__(self) -> str:
        return self.name

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "parameters": dict(self.parameters)}  # a read-only view cannot be pickled

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({**state, "parameters": MappingProxyType(state["parameters"])})

    @cached_property
    def triple(self) -> Triple:
        """(alpha, beta, gamma) with their derivatives and gamma gamma'."""
        return Triple.of(self.alpha, self.beta, self.gamma)

    @cached_property
    def coefficients(self) -> Mapping[str, Expr]:
        """alpha, beta, gamma, alpha_dot, beta_dot, gamma_dot and gamma_rate = gamma gamma', as expressions in t."""
        found = {name: simplify(value) for name, value in vars(self.triple).items()}
        return {**found, "alpha": self.alpha, "beta": self.beta, "gamma": self.gamma}

    @cached_property
    def limits(self) -> Mapping[str, tuple[Limit, Limit]]:
        """The exact behaviour of each coefficient at t = 0 and at t = 1."""
        return {name: (at_end(e, 0), at_end(e, 1)) for name, e in self.coefficients.items()}

    def limit(self, name: str, end: int) -> Limit:
        """Return the behaviour of one coefficient at t = 0 or t = 1. Raises UnknownNameError."""
        if name not in self.coefficients:
            raise unknown("coefficient", name, self.coefficients)
        return self.limits[name][end]

    @cached_property
    def evidence(self) -> Mapping[str, str]:
        """How gamma > 0 is known to hold: "proved", or "grid" where only the check on a grid of times did."""
        return {"gamma > 0": "proved" if proved_positive(self.gamma) else "grid"}

    @cached_property
    def free_parameters(self) -> frozenset[Symbol]:
        """Parameters that are still symbols."""
        return frozenset((self.alpha.free_symbols | self.beta.free_symbols | self.gamma.free_symbols) - {t})


def _validate(s: Interpolant) -> None:
    for name, ends in _ENDS.items():
        expr = getattr(s, name)
        found = violation(expr) if name == "gamma" else None
        if found:
            what = "not real and finite" if found.value is None else f"{float(found.value):.3g}"
            raise InterpolantError(
                f"gamma must be real, finite and positive on (0, 1); gamma={expr} is {what} at "
                f"t≈{float(found.time):.3g}. Write one such as {_EXAMPLE['gamma']}."
            )
        lost = next((time for time, value in sample_unit(expr) if value is None), None)
        if lost is not None:
            raise InterpolantError(f"{name} must be real and finite on (0, 1); {expr} is not at t≈{float(lost):.3g}.")
        for end, wanted in enumerate(ends):
            value = at_end(expr, end).value
            if not same(value, as_expression(wanted)):
                raise InterpolantError(_wrong_end(name, expr, end, wanted, at_end(expr, end)))


def _wrong_end(name: str, expr: Expr, end: int, wanted: int, found: Limit) -> str:
    said = f"{found.value}" if found.value is not None else f"without a finite limit ({found})"
    text = f"{name} must be {wanted} at t = {end}; {name}={expr} is {said}."
    if name == "gamma":
        return (
            f"{text} The latent must vanish at both ends, as in {_EXAMPLE['gamma']}; noise that starts at 1 and turns "
            "into data is a Schedule(alpha, beta)."
        )
    swapped = (
        " Were alpha and beta swapped? alpha goes with x0."
        if found.value is not None and (same(found.value, as_expression(1 - wanted)))
        else ""
    )
    return f"{text} I_{end} must be x{end}, as with {name}={_EXAMPLE[name]}.{swapped}"

"""Schedules as values: a validated pair (alpha, beta) that carries noise at t = 0 to data at t = 1."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType
from typing import Any

import sympy as sp
from mpmath import mpf
from sympy import Expr, Integer, Rational, Symbol

from symsi.algebra.inverse import at_parts, invert
from symsi.algebra.limits import Limit, limit
from symsi.algebra.multiprecision import evaluate
from symsi.algebra.parse import as_expression, check_degree
from symsi.algebra.positivity import proved_positive, violations
from symsi.algebra.series import Expansion, near
from symsi.algebra.simplify import simplify
from symsi.algebra.symbols import t
from symsi.errors import ScheduleError, SymsiError
from symsi.interpolants.rows import Pair, determinant

__all__ = ["Kind", "Schedule", "at_end", "read", "same"]

TRUNCATION = Rational(1, 10)  # largest beta_0 / alpha_0 of a truncated schedule


class Kind(StrEnum):
    """What a schedule starts from."""

    GAUSSIAN = "gaussian"  # alpha_0 = noise_scale, beta_0 = 0
    POINT_MASS = "point_mass"  # alpha_0 = beta_0 = 0, beta/alpha increasing from 0
    TRUNCATED = "truncated"  # beta_0 / alpha_0 > 0 but small: some data is left in the starting noise


@dataclass(frozen=True)
class Schedule:
    """I_t = alpha_t Z + beta_t X with alpha -> 0 and beta -> data_scale at t = 1.

    `alpha` and `beta` are SymPy expressions in t or strings read by `symsi.algebra.parse`; `parameters` maps the
    names of positive parameters to numbers, or to None for a parameter that stays symbolic. `noise_scale` declares
    alpha_0 where it is not 1, `data_scale` declares beta_1. Raises ScheduleError if the pair is no schedule.
    """

    alpha: Expr
    beta: Expr
    parameters: Mapping[str, Expr | float | None] = field(default_factory=dict, compare=False)
    noise_scale: Expr = sp.S.One
    data_scale: Expr = sp.S.One
    name: str = field(default="", compare=False)
    kind: Kind = field(init=False, compare=False)

    def __post_init__(self) -> None:
        """Parse, validate and decide the kind."""
        declared = {k: None if v is None else as_expression(v) for k, v in self.parameters.items()}
        for key in ("alpha", "beta", "noise_scale", "data_scale"):
            object.__setattr__(self, key, read(key, getattr(self, key), declared))
        object.__setattr__(self, "parameters", MappingProxyType(declared))
        object.__setattr__(self, "kind", _validate(self))
        if not self.name:
            object.__setattr__(self, "name", f"(alpha={self.alpha}, beta={self.beta})")

    def __str__(self) -> str:
        return self.name

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "parameters": dict(self.parameters)}  # a read-only view cannot be pickled

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({**state, "parameters": MappingProxyType(state["parameters"])})

    @cached_property
    def evidence(self) -> Mapping[str, str]:
        """How each requirement is known to hold: "proved", or "grid" where only the check on a grid of times did."""
        claims = {"alpha > 0": self.alpha, "beta > 0": self.beta, "beta/alpha increases": determinant(self.pair)}
        found = {claim: "proved" if proved_positive(expr) else "grid" for claim, expr in claims.items()}
        return {**found, "kind": str(self.kind)}

    @cached_property
    def pair(self) -> Pair:
        """(alpha, beta) with their derivatives."""
        return Pair.of(self.alpha, self.beta)

    @property
    def ratio(self) -> Expr:
        """rho = beta / alpha, the signal-to-noise ratio."""
        return self.beta / self.alpha

    @cached_property
    def inverse(self) -> Expr | None:
        """The time at which rho equals beta/alpha, as `invert` gives it; None where algebra finds none."""
        return invert(self.ratio)

    def time_of(self, alpha: Expr, beta: Expr) -> Expr | None:
        """Return the time at which rho equals beta / alpha; None where algebra finds none."""
        return None if self.inverse is None else at_parts(self.inverse, alpha, beta)

    @cached_property
    def start(self) -> tuple[Expr, Expr]:
        """(alpha, beta) at t = 0."""
        return _as_found(self.alpha, 0).require("alpha"), _as_found(self.beta, 0).require("beta")

    @cached_property
    def start_ratio(self) -> Expr:
        """rho at t = 0: zero, except for truncated schedules."""
        return self.start[1] / self.start[0] if self.kind is Kind.TRUNCATED else Integer(0)

    @cached_property
    def free_parameters(self) -> frozenset[Symbol]:
        """Parameters that are still symbols."""
        return frozenset((self.alpha.free_symbols | self.beta.free_symbols) - {t})


def at_end(expr: Expr, end: int, rewrite: Callable[[Expr], Expr] = simplify) -> Limit:
    """Return the behaviour of an expression in t at t = 0 or t = 1, its constant as `rewrite` makes it."""
    side = 1 if end == 0 else -1
    return limit(expr, lambda size: Expansion({t: near(Integer(end), side)}, size), Integer(end), side, rewrite)


def _as_found(expr: Expr, end: int) -> Limit:
    """The same with the constant as the expansion leaves it, which is enough for numbers."""
    return at_end(expr, end, lambda e: e)


def read(
    key: str,
    value: str | float | Expr,
    declared: Mapping[str, Expr | None],
    refuse: Callable[[str], SymsiError] = ScheduleError,
) -> Expr:
    """Read a coefficient in t and the declared parameters, with the values of those that have one."""
    expr = as_expression(value, ("t", *declared))
    expr = expr.subs({Symbol(k): v for k, v in declared.items() if v is not None})
    plain = {s: Symbol(s.name) for s in expr.free_symbols}
    expr = expr.subs({s: p for s, p in plain.items() if s != p})
    undeclared = sorted(s.name for s in expr.free_symbols if s != t and s.name not in declared)
    if undeclared:
        raise refuse(
            f"{key}={expr} has the undeclared symbol {undeclared[0]!r}; time is t. "
            f'Give it a value: parameters={{"{undeclared[0]}": 2}}, or None to keep it symbolic and positive.'
        )
    check_degree(expr)
    for name, number in declared.items():
        if number is not None and not (number.is_number and number.is_positive):
            raise refuse(f"parameter {name}={number} must be a positive number.")
    return expr


def _validate(s: Schedule) -> Kind:
    pair = f"alpha={s.alpha}, beta={s.beta}"
    if not s.alpha.has(t):
        raise ScheduleError(f"alpha={s.alpha} does not depend on t; the noise must vanish at t = 1, as in alpha=1-t.")
    *of_parts, of_ratio = violations(s.alpha, s.beta, determinant(s.pair))
    for name, found in zip(("alpha", "beta"), of_parts, strict=True):
        if found:
            what = "not real and finite" if found.value is None else f"{float(found.value):.3g}"
            raise ScheduleError(
                f"{name} must be real, finite and positive on (0, 1); "
                f"for {pair} it is {what} at t≈{float(found.time):.3g}."
            )
    kind = _ends(s, pair)
    if of_ratio:
        raise ScheduleError(
            f"beta/alpha must increase on (0, 1); for {pair} it does not at t≈{float(of_ratio.time):.3g}. "
            "A schedule carries noise (alpha) to 0 and data (beta) to 1, monotonically in beta/alpha."
        )
    return kind


def _ends(s: Schedule, pair: str) -> Kind:
    """Check the end values and return the kind."""
    alpha_0, beta_0 = (_end_value(e, n, 0, pair) for e, n in ((s.alpha, "alpha"), (s.beta, "beta")))
    alpha_1, beta_1 = (_end_value(e, n, 1, pair) for e, n in ((s.alpha, "alpha"), (s.beta, "beta")))
    if not same(alpha_1, Integer(0)):
        raise ScheduleError(
            f"alpha must be 0 at t = 1; for {pair} it is {simplify(alpha_1)}. Data is free of noise, as in 1-t."
        )
    if not same(beta_1, s.data_scale):
        raise ScheduleError(
            f"beta must be {s.data_scale} at t = 1; for {pair} it is {simplify(beta_1)}. "
            f"If the data is meant to be scaled, declare data_scale={simplify(beta_1)}."
        )
    if same(alpha_0, Integer(0)):
        if not same(beta_0, Integer(0)) or not same(_as_found(s.ratio, 0).value, Integer(0)):
            raise ScheduleError(
                f"beta/alpha must start from 0 where alpha_0 = 0; for {pair} it does not. "
                "A point-mass schedule has alpha_0 = beta_0 = 0 with noise first, as in alpha=sqrt(t*(1-t)), beta=t."
            )
        _check_unused(s, alpha_0, pair)
        return Kind.POINT_MASS
    if not same(beta_0, Integer(0)):
        ratio = beta_0 / alpha_0
        if ratio.is_number and not 0 < evaluate(ratio, {}) <= evaluate(TRUNCATION, {}):
            raise ScheduleError(
                f"beta/alpha must be 0 at t = 0, or at most {float(TRUNCATION)} (a truncated schedule such as "
                f"variance exploding); for {pair} it is {float(ratio):.3g}."
            )
        _check_unused(s, alpha_0, pair)
        return Kind.TRUNCATED
    if not same(alpha_0, s.noise_scale):
        raise ScheduleError(
            f"alpha must be {s.noise_scale} at t = 0; for {pair} it is {simplify(alpha_0)}. "
            f"If sampling is meant to start from scaled noise, declare noise_scale={simplify(alpha_0)}."
        )
    return Kind.GAUSSIAN


def _check_unused(s: Schedule, alpha_0: Expr, pair: str) -> None:
    """A noise_scale that does not say what alpha starts from, where nothing needs it, is a mistake all the same."""
    if s.noise_scale != 1 and not same(alpha_0, s.noise_scale):
        raise ScheduleError(
            f"noise_scale={s.noise_scale}, but alpha is {simplify(alpha_0)} at t = 0 for {pair}; leave it out."
        )


def _end_value(expr: Expr, name: str, end: int, pair: str) -> Expr:
    found = _as_found(expr, end)
    if found.value is None:
        raise ScheduleError(f"{name} must be finite at t = {end}; for {pair} it behaves as {at_end(expr, end)}.")
    return found.value


def same(a: Expr | None, b: Expr) -> bool:
    """Whether two constants are one: to 60 digits, or by algebra where they hold parameters."""
    if a is None or a == b:
        return a is not None
    gap = a - b
    if gap.is_number:
        return bool(abs(evaluate(gap, {}, 100)) < mpf("1e-60"))
    return bool(sp.simplify(gap) == 0)

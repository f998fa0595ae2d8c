"""Two-sided interpolants by name: alpha and beta from one table, gamma from another, each a line of expressions.

The tables are those of Albergo, Boffi, Vanden-Eijnden, arXiv:2303.08797.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType

from sympy import Expr, Integer, Piecewise, Rational, cos, pi

from symsi.algebra.symbols import t
from symsi.errors import InterpolantError, unknown
from symsi.interpolants.named import read_call
from symsi.interpolants.two_sided import Interpolant

__all__ = ["ENDS", "GAMMAS", "NamedEnds", "NamedGamma", "as_interpolant", "interpolant"]

_HALF = Rational(1, 2)
# the paper's S(f(t-1/2)+1) - S(f(t-1/2)-1) - S(-f/2+1) + S(-f/2-1), S the logistic function, without its differences
_SIGMOID = "2*sinh(1)*sinh(f*t/2)*sinh(f*(1-t)/2)/((cosh(1)+cosh(f*(t-1/2)))*(cosh(1)+cosh(f/2)))"


@dataclass(frozen=True)
class NamedEnds:
    """alpha and beta, and where they come from."""

    alpha: str | Expr
    beta: str | Expr
    source: str


@dataclass(frozen=True)
class NamedGamma:
    """gamma, its default parameters, and where it comes from."""

    gamma: str
    source: str
    parameters: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make the parameters read-only."""
        object.__setattr__(self, "parameters", MappingProxyType(dict(self.parameters)))


ENDS: dict[str, NamedEnds] = {
    "linear": NamedEnds("1-t", "t", "a straight line between x0 and x1"),
    "trigonometric": NamedEnds("cos(pi*t/2)", "sin(pi*t/2)", "alpha^2 + beta^2 = 1"),
    "encoding-decoding": NamedEnds(
        Piecewise((cos(pi * t) ** 2, t < _HALF), (Integer(0), True)),
        Piecewise((Integer(0), t < _HALF), (cos(pi * t) ** 2, True)),
        "x0 is carried to the latent z at t = 1/2, and that to x1",
    ),
}
GAMMAS: dict[str, NamedGamma] = {
    "brownian": NamedGamma("sqrt(a*t*(1-t))", "a Brownian bridge of variance rate a", {"a": 1}),
    "quadratic": NamedGamma("t*(1-t)", "gamma' is finite at both ends"),
    "sine": NamedGamma("sin(pi*t)**2", "gamma' is 0 at both ends"),
    "sigmoid": NamedGamma(_SIGMOID, "nearly constant inside; f sets how steeply it falls", {"f": 10}),
}


def interpolant(name: str = "linear", gamma: str | Expr = "brownian", **parameters: float | str | None) -> Interpolant:
    """Return a named interpolant: ("linear", "brownian(a=2)"), or ("trigonometric", "sqrt(2*t*(1-t))").

    `name` is a row of `ENDS` for alpha and beta; `gamma` a row of `GAMMAS` or an expression in t. `parameters` are
    those of gamma; None keeps one symbolic. Also as one string, "linear(gamma=brownian(a=2))". Raises
    UnknownNameError with the closest match, InterpolantError or ParseError for what does not fit.
    """
    head, given = read_call(name)
    for key in given:
        if key != "gamma":
            raise unknown(f"parameter of interpolant {head!r}", key, ("gamma",))
    return _build(head, given.get("gamma", gamma), tuple(sorted(parameters.items())))


def as_interpolant(spec: Interpolant | str) -> Interpolant:
    """Return an interpolant as it is, or the one of that name. Raises InterpolantError for what is neither."""
    if isinstance(spec, Interpolant):
        return spec
    if not isinstance(spec, str):
        raise InterpolantError(
            f"an interpolant is a name such as 'linear(gamma=quadratic)' or a symsi.Interpolant; got "
            f"{type(spec).__name__}."
        )
    return interpolant(spec)


@lru_cache(maxsize=256)
def _build(name: str, gamma: str | Expr, given: tuple[tuple[str, float | str | None], ...]) -> Interpolant:
    if name not in ENDS:
        raise unknown("interpolant", name, ENDS)
    parameters, formula, ends = dict(given), gamma, ENDS[name]
    if isinstance(gamma, str) and _is_name(gamma):
        head, inner = read_call(gamma)
        if head not in GAMMAS:
            raise unknown("gamma", head, GAMMAS)
        row = GAMMAS[head]
        for key in {**inner, **parameters}:
            if not row.parameters:
                raise InterpolantError(f"gamma {head!r} has no parameters; got {key}. brownian has a, sigmoid f.")
            if key not in row.parameters:
                raise unknown(f"parameter of gamma {head!r}", key, row.parameters)
        formula, parameters = row.gamma, {**row.parameters, **inner, **parameters}
    shown = "".join(f", {k}={v}" for k, v in given)
    return Interpolant(ends.alpha, ends.beta, formula, parameters, f"{name}(gamma={gamma}{shown})")


def _is_name(text: str) -> bool:
    """Whether a string means a row of `GAMMAS`: a single word that is no formula, or one with keywords."""
    head, bracket, _ = text.strip().partition("(")
    return head.strip() in GAMMAS or (not bracket and head.strip().isidentifier() and head.strip() != "t")

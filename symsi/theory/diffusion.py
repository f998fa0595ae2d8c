"""T2, T3: the diffusion scale epsilon of dX = b dt + sqrt(2 epsilon) dW, and the statistically optimal one."""

from __future__ import annotations

from dataclasses import dataclass

from sympy import Expr, Integer, Symbol, sqrt

from symsi.algebra.multiprecision import sample_unit
from symsi.algebra.parse import as_expression
from symsi.errors import DiffusionError
from symsi.interpolants.rows import Pair, determinant

__all__ = [
    "Diffusion",
    "as_diffusion",
    "diffusion",
    "excess_cost",
    "noise_increment",
    "ode",
    "optimal",
    "optimal_diffusion",
]


def optimal_diffusion(p: Pair) -> Expr:
    """T3: epsilon* = alpha^2 beta'/beta - alpha alpha' = alpha (alpha beta' - alpha' beta) / beta."""
    return p.alpha * determinant(p) / p.beta


def excess_cost(kappa: Expr) -> Expr:
    """T3: path-measure KL rate under epsilon = kappa epsilon*, relative to the optimum: (1 + kappa)^2 / (4 kappa)."""
    return (1 + kappa) ** 2 / (4 * kappa)


def noise_increment(step: Expr, drift: Expr, epsilon: Expr, duration: Expr) -> Expr:
    """T7: the driving noise of a path, dW = (dX - b dt) / sqrt(2 epsilon)."""
    return (step - drift * duration) / sqrt(2 * epsilon)


@dataclass(frozen=True)
class Diffusion:
    """A choice of epsilon: `kappa` times the optimal one, or an explicit expression in t, alpha, beta, optimal."""

    kappa: Expr | None = None
    expression: Expr | None = None

    def __str__(self) -> str:
        if self.expression is not None:
            return str(self.expression)
        return "ode" if self.kappa == 0 else "optimal" if self.kappa == 1 else f"kappa={self.kappa}"

    @property
    def deterministic(self) -> bool:
        """Whether epsilon vanishes identically."""
        return self.kappa == 0 or self.expression == 0

    def of(self, p: Pair) -> Expr:
        """Return epsilon as an expression in t for the schedule `p`."""
        if self.expression is None:
            return self.kappa * optimal_diffusion(p) if self.kappa != 0 else Integer(0)
        names = {Symbol("alpha"): p.alpha, Symbol("beta"): p.beta, Symbol("optimal"): optimal_diffusion(p)}
        return self.expression.subs(names)

    def check(self, p: Pair) -> None:
        """Raise DiffusionError where epsilon is negative, complex or not finite inside (0, 1)."""
        if self.expression is None:
            return
        for time, value in sample_unit(self.of(p)):
            if value is None:
                raise DiffusionError(
                    f"epsilon must be real and finite on (0, 1); {self} is not at t≈{float(time):.3g}."
                )
            if value < 0:
                raise DiffusionError(
                    f"epsilon must not be negative; {self} is {float(value):.3g} at t≈{float(time):.3g}. "
                    "Write a non-negative scale such as 'optimal', 'kappa=0.5' or 'alpha'."
                )


def ode() -> Diffusion:
    """epsilon = 0: the probability-flow ODE."""
    return Diffusion(kappa=Integer(0))


def optimal(kappa: float | str | Expr = 1) -> Diffusion:
    """epsilon = kappa epsilon*; kappa = 1 is the statistically optimal SDE (T3). Raises DiffusionError if kappa < 0."""
    value = as_expression(kappa)
    if value.is_number and value < 0:
        raise DiffusionError(f"kappa must be >= 0; got {kappa}. kappa=0 is the ODE, kappa=1 the optimal SDE.")
    return Diffusion(kappa=value)


def diffusion(expression: str | Expr) -> Diffusion:
    """epsilon as an expression in t, alpha, beta and optimal, e.g. 'alpha' or 'optimal*sin(pi*t)'."""
    names = ("t", "alpha", "beta", "optimal")
    expr = as_expression(expression, names)
    foreign = expr.free_symbols - {Symbol(n) for n in names}
    if foreign:
        raise DiffusionError(
            f"epsilon may use t, alpha, beta and optimal; {expr} also has {sorted(map(str, foreign))}."
        )
    return Diffusion(expression=expr)


def as_diffusion(spec: str | Expr | Diffusion) -> Diffusion:
    """Read 'ode', 'optimal', 'kappa=…' or an expression; a Diffusion passes through."""
    if isinstance(spec, Diffusion):
        return spec
    if isinstance(spec, str):
        text = spec.strip()
        if text == "ode":
            return ode()
        if text == "optimal":
            return optimal()
        head, _, tail = text.partition("=")
        if head.strip() == "kappa" and tail:
            return optimal(tail)
    return diffusion(spec)

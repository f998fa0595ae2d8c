"""T9, T10: lazy schedules and diffusions, whose drift vanishes identically on Gaussian data."""

from __future__ import annotations

from sympy import Expr, Rational, Symbol, sqrt

from symsi.algebra.parse import as_expression
from symsi.algebra.symbols import t
from symsi.errors import ScheduleError
from symsi.interpolants.rows import Pair
from symsi.interpolants.schedule import Schedule

__all__ = ["lazy_alpha_squared", "lazy_diffusion", "lazy_schedule"]


def lazy_diffusion(p: Pair, variance: Expr) -> Expr:
    """T9: b^epsilon = 0 on centred Gaussian data of this variance iff epsilon = d/dt (alpha^2 + lambda beta^2) / 2."""
    return p.alpha * p.alpha_dot + variance * p.beta * p.beta_dot


def lazy_alpha_squared(kappa: Expr, variance: Expr, beta: Expr) -> Expr:
    """T10: alpha^2 = lambda (beta^(2 kappa/(1 + kappa)) - beta^2), lazy under epsilon = kappa epsilon*."""
    return variance * (beta ** (2 * kappa / (1 + kappa)) - beta**2)


def lazy_schedule(
    kappa: float | str | Expr = 0, variance: float | str | Expr | None = 1, beta: str | Expr = t
) -> Schedule:
    """Return the schedule whose drift vanishes on N(m, variance) data under epsilon = kappa epsilon* (T10).

    kappa = 0 is variance preserving, kappa = 1 the point-mass schedule; every kappa > 0 starts at a point mass.
    `variance` is a positive number, or None to keep it as the symbol lamda. `beta` is any function of t that
    increases from 0 to 1. Raises ScheduleError for kappa < 0, variance <= 0 or an unfit beta.
    """
    k = as_expression(kappa)
    if not k.is_number or not k.is_finite or not k >= 0:
        raise ScheduleError(f"kappa must be a number >= 0; got {kappa}. kappa=0 is variance preserving, 1 point mass.")
    if not k.is_Rational:
        raise ScheduleError(f"kappa must be rational, so that limits are exact; got {kappa}. Write 1.41 or 141/100.")
    symbolic = variance is None or isinstance(variance, Symbol)
    lam = (variance if isinstance(variance, Symbol) else Symbol("lamda")) if symbolic else as_expression(variance or 0)
    if not symbolic and not (lam.is_number and lam.is_positive):
        raise ScheduleError(f"variance must be a positive number, or None to keep it symbolic; got {variance}.")
    b = as_expression(beta, ("t",))
    return Schedule(
        alpha=sqrt(lazy_alpha_squared(k, lam, b)),
        beta=b,
        parameters={lam.name: None} if symbolic else {},
        noise_scale=sqrt(lam) if k == 0 else Rational(1),
        name=f"lazy(kappa={k}, variance={lam}, beta={b})",
    )

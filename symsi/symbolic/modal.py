"""T12: modal lazy coordinates. Each mode of a Gaussian reference gets the scale in which its drift vanishes.

For a mode of variance lambda, centred state x and revealed fraction w (see `gaussian.revealed`), y = C x obeys
dy = (1 + kappa) w^((1 + kappa)/2) Delta d log rho + noise of variance lambda d(w^kappa), where Delta is the model's
data prediction minus the Gaussian one.
"""

from __future__ import annotations

from sympy import Expr

from symsi.symbolic.fields import Pair
from symsi.symbolic.gaussian import marginal_variance

__all__ = ["coordinate_scale", "coordinate_variance", "residual_rate"]


def coordinate_scale(p: Pair, variance: Expr, kappa: Expr) -> Expr:
    """C = lambda^((1 + kappa)/2) beta^kappa / S^((1 + kappa)/2)."""
    power = (1 + kappa) / 2
    return variance**power * p.beta**kappa / marginal_variance(p, variance) ** power


def residual_rate(w: Expr, kappa: Expr) -> Expr:
    """dy / (Delta d log rho) = (1 + kappa) w^((1 + kappa)/2)."""
    return (1 + kappa) * w ** ((1 + kappa) / 2)


def coordinate_variance(w: Expr, variance: Expr, kappa: Expr) -> Expr:
    """Var y = lambda w^kappa; the noise added between two times is the increment of this."""
    return variance * w**kappa

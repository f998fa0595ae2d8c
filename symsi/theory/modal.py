"""T12: modal lazy coordinates. Each mode of a Gaussian reference gets the scale in which its drift vanishes.

For a mode of variance lambda, centred state x and revealed fraction w (see `gaussian.revealed`), y = C x obeys
dy = (1 + kappa) w^((1 + kappa)/2) Delta d log rho + noise of variance lambda d(w^kappa), where Delta is the model's
data prediction minus the Gaussian one. In the natural variable s(w), ds = (1 + kappa) (sin cos)^kappa d theta with
sin^2(theta) = w, this is dy = Delta / (1 - w)^((1 + kappa)/2) ds + noise: Euler in theta for kappa = 0; for kappa = 1
Euler in w, whose last step lands on the data prediction.
"""

from __future__ import annotations

from sympy import Expr, asin, betainc, sqrt

from symsi.interpolants.rows import Pair
from symsi.theory.gaussian import marginal_variance

__all__ = [
    "coordinate_scale",
    "coordinate_variance",
    "natural_rate",
    "natural_residual",
    "natural_variable",
    "residual_rate",
]


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


def natural_rate(w: Expr, kappa: Expr) -> Expr:
    """ds/dw = (1 + kappa)/2 (w (1 - w))^((kappa - 1)/2)."""
    return (1 + kappa) / 2 * (w * (1 - w)) ** ((kappa - 1) / 2)


def natural_variable(w: Expr, kappa: Expr) -> Expr:
    """s = (1 + kappa)/2 B(w; (1 + kappa)/2, (1 + kappa)/2), the integral of `natural_rate` from 0.

    It is theta = asin(sqrt(w)) for kappa = 0 and w for kappa = 1.
    """
    if kappa == 0:
        return asin(sqrt(w))
    return w if kappa == 1 else (1 + kappa) / 2 * betainc((1 + kappa) / 2, (1 + kappa) / 2, 0, w)


def natural_residual(hidden: Expr, kappa: Expr) -> Expr:
    """dy / (Delta ds) = (1 - w)^(-(1 + kappa)/2), where hidden = 1 - w."""
    return hidden ** (-(1 + kappa) / 2)

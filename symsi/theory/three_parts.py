"""T13: the fields of a two-sided interpolant I = alpha x0 + beta x1 + gamma z, and how two of them give the others.

eta_0, eta_1, eta_z are the means of x0, x1, z given I_t = x. Each field is a row over them. It is written by state,
velocity and latent as well: only eta_0 and eta_1 divide by alpha beta' - alpha' beta there, and gamma' = gamma gamma'
/ gamma, so that gamma gamma' stays whole.
"""

from __future__ import annotations

from sympy import Expr, Integer

from symsi.errors import unknown
from symsi.interpolants.rows import Combination, Row, Triple, combine, determinant

__all__ = ["FIELDS", "PREDICTIONS", "brownian_diffusion", "drift_row", "predict", "row", "written"]

PREDICTIONS = ("velocity", "score", "latent", "ends", "x0", "x1")
FIELDS = (*PREDICTIONS, "forward", "backward")
_ZERO, _ONE = Integer(0), Integer(1)


def row(p: Triple, kind: str) -> Row:
    """Return the row of a prediction over eta_0, eta_1 and eta_z.

    velocity v = alpha' eta_0 + beta' eta_1 + gamma' eta_z, score s = -eta_z / gamma, latent eta_z (the denoiser),
    ends alpha' eta_0 + beta' eta_1 (the velocity without its latent), x0 eta_0, x1 eta_1.
    """
    match kind:
        case "velocity":
            return p.velocity
        case "score":
            return Row(x0=_ZERO, x1=_ZERO, latent=-1 / p.gamma)
        case "latent":
            return Row(x0=_ZERO, x1=_ZERO, latent=_ONE)
        case "ends":
            return Row(x0=p.alpha_dot, x1=p.beta_dot, latent=_ZERO)
        case "x0":
            return Row(x0=_ONE, x1=_ZERO, latent=_ZERO)
        case "x1":
            return Row(x0=_ZERO, x1=_ONE, latent=_ZERO)
    raise unknown("prediction", kind, PREDICTIONS)


def drift_row(p: Triple, epsilon: Expr) -> Row:
    """b_F = v + epsilon s, of dX = b_F dt + sqrt(2 epsilon) dW; -epsilon gives b_B, that backward in time."""
    return Row(x0=p.alpha_dot, x1=p.beta_dot, latent=p.gamma_dot - epsilon / p.gamma)


def brownian_diffusion(p: Triple, level: Expr) -> Expr:
    """epsilon = k (alpha beta' - alpha' beta)/2 for gamma^2 = k alpha beta, `level` k: I is then a Brownian bridge.

    Of given ends that is, scaled by alpha + beta and with beta/(alpha + beta) for time (T17).
    """
    return level * determinant(p) / 2


def written(p: Triple, kind: str, epsilon: Expr = _ZERO) -> Row:
    """Return a field as c_x x + c_v v + c_z eta_z: its coefficients over state, velocity and latent."""
    match kind:
        case "velocity":
            return Row(state=_ZERO, velocity=_ONE, latent=_ZERO)
        case "score":
            return Row(state=_ZERO, velocity=_ZERO, latent=-1 / p.gamma)
        case "latent":
            return Row(state=_ZERO, velocity=_ZERO, latent=_ONE)
        case "ends":
            return Row(state=_ZERO, velocity=_ONE, latent=-p.gamma_rate / p.gamma)
        case "x0":
            turned = (p.beta * p.gamma_rate - p.beta_dot * p.gamma**2) / p.gamma
            return Row(**{k: e / determinant(p) for k, e in _named(p.beta_dot, -p.beta, turned).items()})
        case "x1":
            turned = (p.alpha_dot * p.gamma**2 - p.alpha * p.gamma_rate) / p.gamma
            return Row(**{k: e / determinant(p) for k, e in _named(-p.alpha_dot, p.alpha, turned).items()})
        case "forward":
            return Row(state=_ZERO, velocity=_ONE, latent=-epsilon / p.gamma)
        case "backward":
            return Row(state=_ZERO, velocity=_ONE, latent=epsilon / p.gamma)
    raise unknown("field", kind, FIELDS)


def _named(state: Expr, velocity: Expr, latent: Expr) -> dict[str, Expr]:
    return {"state": state, "velocity": velocity, "latent": latent}


def predict(p: Triple, given: tuple[str, str], wanted: str, epsilon: Expr = _ZERO) -> Combination:
    """Return the field `wanted` from the state and two given ones: a 3 x 3 solve, for drifts under `epsilon`."""
    state = Row(state=_ONE, velocity=_ZERO, latent=_ZERO)
    return combine(state, [written(p, kind, epsilon) for kind in given], written(p, wanted, epsilon))

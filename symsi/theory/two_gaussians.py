"""T16, T17: Gaussian ends in closed form, the flow between them, and the Schroedinger bridge.

For (x0, x1) jointly Gaussian, and each pair of components of independent mixtures, I_t is Gaussian and so are the means
of its parts. Covariances that commute are treated mode by mode, with the variances of a mode here.
"""

from __future__ import annotations

from dataclasses import dataclass

from sympy import Expr, S, sqrt

from symsi.algebra.symbols import t
from symsi.interpolants.rows import Triple
from symsi.interpolants.two_sided import Interpolant
from symsi.theory.three_parts import drift_row, row

__all__ = [
    "GaussianEnds",
    "bridge_coordinate",
    "bridge_covariance",
    "bridge_field",
    "bridge_flow_map",
    "bridge_gamma_squared",
    "bridge_mean",
    "bridge_variance",
    "conditional_means",
    "fields_at_ends",
    "gaussian_bridge",
    "gaussian_bridge_drift",
]


@dataclass(frozen=True)
class GaussianEnds:
    """x0 ~ N(mean_0, variance_0), x1 ~ N(mean_1, variance_1), of the given covariance: 0 where independent."""

    mean_0: Expr
    variance_0: Expr
    mean_1: Expr
    variance_1: Expr
    covariance: Expr = S.Zero


def bridge_mean(p: Triple, ends: GaussianEnds) -> Expr:
    """mu = alpha m_0 + beta m_1."""
    return p.alpha * ends.mean_0 + p.beta * ends.mean_1


def bridge_variance(p: Triple, ends: GaussianEnds) -> Expr:
    """S = alpha^2 C_0 + beta^2 C_1 + 2 alpha beta C_01 + gamma^2."""
    own = p.alpha**2 * ends.variance_0 + p.beta**2 * ends.variance_1
    return own + 2 * p.alpha * p.beta * ends.covariance + p.gamma**2


def conditional_means(p: Triple, ends: GaussianEnds, x: Expr) -> dict[str, Expr]:
    """T16: eta_0 = m_0 + (alpha C_0 + beta C_01) e/S, eta_1 its mirror image, eta_z = gamma e/S, e = x - mu."""
    share = (x - bridge_mean(p, ends)) / bridge_variance(p, ends)
    return {
        "x0": ends.mean_0 + (p.alpha * ends.variance_0 + p.beta * ends.covariance) * share,
        "x1": ends.mean_1 + (p.beta * ends.variance_1 + p.alpha * ends.covariance) * share,
        "latent": p.gamma * share,
    }


def bridge_field(p: Triple, ends: GaussianEnds, kind: str, x: Expr) -> Expr:
    """T16: v = mu' + (S'/2S) e, s = -e/S, and the other predictions, as rows over the conditional means."""
    return row(p, kind)(**conditional_means(p, ends, x))


def fields_at_ends(p: Triple, ends: GaussianEnds, x: Expr) -> dict[str, Expr]:
    """T16 without a division by gamma, finite at the ends: s = -e/S, v = alpha' eta_0 + beta' eta_1 + gamma gamma' e/S.

    Sums and products alone, so that arrays may stand for the expressions.
    """
    means = conditional_means(p, ends, x)
    share = (x - bridge_mean(p, ends)) / bridge_variance(p, ends)
    ends_rate = p.alpha_dot * means["x0"] + p.beta_dot * means["x1"]
    return {**means, "score": -share, "ends": ends_rate, "velocity": ends_rate + p.gamma_rate * share}


def bridge_coordinate(p: Triple, ends: GaussianEnds, x: Expr) -> Expr:
    """T16: y = (x - mu)/sqrt(S), which rests along the ODE; for any data dy/dt = (v - v_G)/sqrt(S)."""
    return (x - bridge_mean(p, ends)) / sqrt(bridge_variance(p, ends))


def bridge_flow_map(start: Triple, stop: Triple, ends: GaussianEnds, x: Expr) -> Expr:
    """T16: X_{s,t}(x) = mu_t + sqrt(S_t/S_s) (x - mu_s), for t before s too."""
    growth = sqrt(bridge_variance(stop, ends) / bridge_variance(start, ends))
    return bridge_mean(stop, ends) + growth * (x - bridge_mean(start, ends))


def gaussian_bridge_drift(p: Triple, ends: GaussianEnds, epsilon: Expr, x: Expr) -> Expr:
    """b_F = v + epsilon s = mu' + (S'/2 - epsilon) e/S; b_B under -epsilon."""
    return drift_row(p, epsilon)(**conditional_means(p, ends, x))


def bridge_gamma_squared(variance_0: Expr, variance_1: Expr, sigma: Expr, time: Expr = t) -> Expr:
    """T17: gamma^2 = t (1 - t) sqrt(4 C_0 C_1 + sigma^4), with independent ends, alpha = 1 - t and beta = t."""
    return time * (1 - time) * sqrt(4 * variance_0 * variance_1 + sigma**4)


def bridge_covariance(variance_0: Expr, variance_1: Expr, sigma: Expr) -> Expr:
    """T17: Cov(X_0, X_1) = (sqrt(4 C_0 C_1 + sigma^4) - sigma^2)/2, the entropic coupling."""
    return (sqrt(4 * variance_0 * variance_1 + sigma**4) - sigma**2) / 2


def gaussian_bridge(variance_0: Expr, variance_1: Expr, sigma: Expr) -> Interpolant:
    """T17: the interpolant whose SDE under epsilon = sigma^2/2 is the Schroedinger bridge of the reference sigma W."""
    gamma = sqrt(bridge_gamma_squared(variance_0, variance_1, sigma))
    free = gamma.free_symbols - {t}
    return Interpolant(1 - t, t, gamma, {s.name: None for s in free}, name=f"gaussian bridge(sigma={sigma})")

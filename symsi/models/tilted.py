"""Mixtures tilted by a reward: the law p(x) e^(r(x)/lambda)/Z, exactly, for rewards that are linear or quadratic (T25).

    r = a.x                       m_k + S_k a/lambda,  S_k,  log Z_k = a.m_k/lambda + a.S_k a/(2 lambda^2)
    r = -(x - c).A (x - c)/2      m_k - S_k K_k (m_k - c),  (1 + S_k A/lambda)^-1 S_k,
                                  log Z_k = -(m_k - c).K_k (m_k - c)/2 - log|1 + S_k A/lambda|/2

with K_k = (lambda + A S_k)^-1 A, and weights w_k Z_k/Z with Z = sum_k w_k Z_k. Nothing divides by S_k or A.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from symsi.errors import SymsiError
from symsi.models.analytic import Mixture, mixture, numbers
from symsi.theory.tilting import linear_tilt, quadratic_tilt

__all__ = ["tilted"]


def tilted(
    law: Mixture, *, linear: Any = None, quadratic: tuple[Any, Any] | None = None, temperature: float = 1.0
) -> tuple[Mixture, float]:
    """Return the law tilted by a reward at a temperature lambda, and log Z = log E[e^(r(X)/lambda)].

    The reward is linear=a, r = a.x, or quadratic=(A, c), r = -(x - c).A (x - c)/2: a and c of D numbers, as (D,) or of
    the shape of a sample, A (D, D), symmetric and non-negative. Components whose weight is 0 in float64 are left out.
    Raises SymsiError for no reward or two, for other shapes, and for a temperature that is not positive.
    """
    if not isinstance(law, Mixture):
        raise SymsiError(f"a law is one of symsi.models.gaussian, mixture, empirical; got {type(law).__name__}.")
    if (linear is None) == (quadratic is None):
        given = "neither" if linear is None else "both"
        raise SymsiError(f"give one reward, linear=a or quadratic=(A, c); got {given}.")
    scale = numbers("temperature", temperature)
    if scale.ndim or not bool(scale > 0):
        raise SymsiError(f"temperature must be a positive number; got {temperature}.")
    if linear is not None:
        moved, logs = _linear(law, _vector("linear", linear, law), float(scale))
    else:
        moved, logs = _quadratic(law, *_parts(quadratic, law), float(scale))
    logs = law.weights.log() + logs
    total = torch.logsumexp(logs, 0)
    if not bool(torch.isfinite(total)):
        raise SymsiError(
            f"the reward over the temperature {float(scale):.3g} is beyond float64: log Z is {float(total)}."
        )
    return _weighted(moved, (logs - total).exp(), law.name), float(total)


def _linear(law: Mixture, slope: Tensor, temperature: float) -> tuple[Mixture, Tensor]:
    """The components moved, and log Z_k: mode by mode of each."""
    vectors: Any = law.eigenvectors
    turned = slope if vectors is None else slope @ vectors
    means = law.means if vectors is None else (law.means[:, None] @ vectors)[:, 0]
    found = linear_tilt(means, law.eigenvalues, turned, temperature)
    push: Tensor = found.mean - means
    if vectors is not None:
        push = (push[:, None] @ vectors.mT)[:, 0]
    return replace(law, means=law.means + push), found.exponent.sum(1)


def _quadratic(law: Mixture, curvature: Tensor, centre: Tensor, temperature: float) -> tuple[Mixture, Tensor]:
    """The components narrowed and moved, and log Z_k: mode by mode of o = R (x - c), whose reward is -|o|^2/2.

    With A = R'R, S = T T' and R T = W diag(sigma) V' the modes W'o have the variances sigma^2, and those of V'T^-1 x
    are narrowed as they are: nothing is divided by S or A, and a reward blind to a direction leaves it alone.
    """
    values, axes = torch.linalg.eigh(curvature)
    rounding = len(centre) * torch.finfo(torch.float64).eps * values.abs().max()
    sees = (axes * torch.where(values > rounding, values, 0.0).sqrt()).mT
    vectors: Any = torch.eye(len(centre)).to(centre) if law.eigenvectors is None else law.eigenvectors
    root = vectors * law.eigenvalues.sqrt()[:, None, :]
    seen, sigma, turn = torch.linalg.svd(sees @ root)
    root = root @ turn.mT
    away: Any = ((law.means - centre) @ sees.mT)[:, None] @ seen
    variance: Any = sigma.square()
    one: Any = torch.ones_like(sigma)
    modes = quadratic_tilt(away[:, 0], variance, one, 0 * one, temperature)
    means = law.means - (root @ (sigma * modes.mean / temperature)[..., None])[..., 0]
    spread = (root / modes.narrowing[:, None, :]) @ root.mT
    narrowed = ((spread + spread.mT) / 2).expand(len(means), -1, -1)
    logs: Tensor = modes.exponent.sum(1) - modes.narrowing.log().sum(1) / 2
    return mixture(law.weights, means.reshape(-1, *law.shape), narrowed), logs


def _weighted(law: Mixture, weights: Tensor, name: str) -> Mixture:
    """The law under other weights, without components of weight 0."""
    kept = weights > 0
    own: dict[str, Any] = {"weights": weights[kept], "means": law.means[kept], "name": f"tilted {name}"}
    if len(law.eigenvalues) > 1:
        vectors = law.eigenvectors
        own |= {"eigenvalues": law.eigenvalues[kept], "eigenvectors": None if vectors is None else vectors[kept]}
    return replace(law, **own)


def _vector(name: str, value: Any, law: Mixture) -> Tensor:
    """D numbers, flat, on the law's device."""
    found, size = numbers(name, value).to(law.means.device), law.means.shape[1]
    if tuple(found.shape) not in ((size,), law.shape):
        raise SymsiError(
            f"{name} must have {size} numbers, of shape ({size},), for {law.name}; got shape {tuple(found.shape)}."
        )
    return found.flatten()


def _parts(quadratic: Any, law: Mixture) -> tuple[Tensor, Tensor]:
    """A and c, checked."""
    if not isinstance(quadratic, (tuple, list)) or len(quadratic) != 2:
        raise SymsiError("quadratic must be a pair (A, c) of r = -(x - c).A (x - c)/2.")
    curvature, size = numbers("A", quadratic[0]).to(law.means.device), law.means.shape[1]
    if curvature.shape != (size, size):
        raise SymsiError(f"A must be ({size}, {size}) for {law.name}; got shape {tuple(curvature.shape)}.")
    rounding = size * torch.finfo(torch.float64).eps * float(curvature.abs().max())
    if float((curvature - curvature.mT).abs().max()) > rounding:
        raise SymsiError("A must be symmetric; give (A + A.T) / 2, which is the same reward.")
    least = float(torch.linalg.eigvalsh(curvature).min())
    if least < -rounding:
        raise SymsiError(
            f"A must be positive semi-definite, or Z may be infinite; its least eigenvalue is {least:.6g}."
        )
    return curvature, _vector("c", quadratic[1], law)

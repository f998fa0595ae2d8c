"""Exact models without a network: Gaussian mixtures, whose velocity, score, noise and data predictions are known.

For X ~ sum_k w_k N(m_k, C_k) the state x = alpha Z + beta X is a mixture with covariances S_k = alpha^2 + beta^2 C_k:

    r_k   = softmax_k(log w_k - (x - beta m_k)' S_k^-1 (x - beta m_k) / 2 - log det(S_k) / 2)
    s     = -sum_k r_k S_k^-1 (x - beta m_k)
    eta_X = sum_k r_k S_k^-1 (beta C_k x + alpha^2 m_k)
    eta_Z = -alpha s,  v = -(alpha alpha') s + beta' eta_X

No difference cancels, and alpha alpha' is the limit where alpha' is infinite. With positive definite covariances all
four are exact and finite at t = 0 and t = 1 for every schedule in `symsi.NAMED`. Otherwise:

- A covariance with a zero eigenvalue has no density at t = 1: there data is still exact, the others are inf or nan.
- A point-mass schedule (alpha_0 = beta_0 = 0) says nothing at t = 0 and is refused there.
- v is infinite where beta' or alpha alpha' is, as in beta = sqrt(t) at t = 0; outside [0, 1] values are nan.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from math import inf, nan
from typing import Any

import torch
from torch import Tensor

from symsi.coefficients.kernels import Coefficients, kernels
from symsi.coefficients.runtime import as_time, beside, working
from symsi.errors import SymsiError, unknown
from symsi.interpolants.named import as_schedule
from symsi.interpolants.schedule import Kind, Schedule, at_end
from symsi.models.protocol import Model
from symsi.theory.fields import PREDICTIONS

__all__ = ["Exact", "Mixture", "empirical", "gaussian", "mixture", "numbers"]

_NUMBERS = 2**18  # float64 numbers that one intermediate may hold: 2 MiB, so that it stays in the cache
_POINT = 1e-290  # stands for S = 0 in a log density, so that a point mass wins against everything but itself


@dataclass(frozen=True, eq=False)
class Mixture:
    """The distribution sum_k w_k N(m_k, V_k diag(lambda_k) V_k') of samples of a given shape, in float64.

    weights (K,), means (K, D), eigenvalues (K, D) and eigenvectors (K, D, D) in columns, or None for the identity.
    Eigenvalues and eigenvectors of length 1 are shared by all components; then no (B, K, D) array is ever formed.
    Eigenvalues (K, 1) serve all directions. Built, with checks, by `gaussian`, `mixture` and `empirical`.
    """

    weights: Tensor
    means: Tensor
    eigenvalues: Tensor
    eigenvectors: Tensor | None
    shape: tuple[int, ...]
    name: str = "mixture"

    def __post_init__(self) -> None:
        """Prepare now what depends on the data alone: the first call may come in inference mode."""
        _ = self._modes, self._centre, self._offsets, self._features

    @property
    def mean(self) -> Tensor:
        """E[X] = sum_k w_k m_k, of the shape of a sample."""
        return (self.weights @ self.means).reshape(self.shape)

    @property
    def covariance(self) -> Tensor:
        """Cov X = sum_k w_k (C_k + (m_k - E[X]) (m_k - E[X])'), of shape (D, D)."""
        centred = self.means - self.weights @ self.means
        weights = self.weights.sum()[None] if self._shared else self.weights
        if self.eigenvectors is None:
            within = (weights @ self.eigenvalues).expand(len(self.means[0])).diag()
        else:
            within = torch.einsum("k,kai,ki,kbi->ab", weights, self.eigenvectors, self.eigenvalues, self.eigenvectors)
        return within + (self.weights[:, None] * centred).T @ centred

    def sample(self, count: int, seed: int = 0) -> Tensor:
        """Draw `count` independent samples, (count, *shape) in float64; the same seed gives the same samples."""
        generator = torch.Generator(self.means.device).manual_seed(seed)
        component = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        normal = torch.randn(
            count, self.means.shape[1], generator=generator, dtype=torch.float64, device=self.means.device
        )
        index = torch.zeros_like(component) if self._shared else component
        deviation = normal * self.eigenvalues.sqrt()[index]
        if self.eigenvectors is not None:
            for k, vectors in enumerate(self.eigenvectors):
                deviation[index == k] = deviation[index == k] @ vectors.T
        return (self.means[component] + deviation).reshape(count, *self.shape)

    def model(self, schedule: Schedule | str = "linear", prediction: str = "velocity") -> Model:
        """Return the exact model of this data under a schedule (or its name) with a prediction.

        Raises SymsiError for an unknown schedule or prediction, and for a schedule with symbolic parameters.
        """
        if prediction not in PREDICTIONS:
            raise unknown("prediction", prediction, PREDICTIONS)
        if not isinstance(schedule, (Schedule, str)):
            raise SymsiError(f"schedule must be a Schedule or a name such as 'linear'; got {type(schedule).__name__}.")
        path = as_schedule(schedule)
        coefficients = kernels(path).functions["schedule"]
        return Model(
            Exact(self, path, prediction, coefficients, _last_rate(path)),
            schedule=path,
            prediction=prediction,
            shape=self.shape,
            name=self.name,
        )

    def score_and_data(self, x: Tensor, alpha: Tensor, beta: Tensor) -> tuple[Tensor, Tensor]:
        """Return (s, eta_X) of alpha Z + beta X at x, as in the head of this file; eta_Z is -alpha s.

        x is (B, *shape), alpha and beta are 0-d or (B,); the results have the shape of x, in float64.
        """
        rows = max(1, _NUMBERS // (len(self.means) * (1 if self._shared else self.means.shape[1])))
        flat = x.to(torch.float64).reshape(len(x), self.means.shape[1])
        a, b = (c.to(torch.float64).expand(len(x))[:, None] for c in (alpha, beta))
        starts = range(0, max(1, len(x)), rows)
        parts = [self._posterior(*(v[i : i + rows] for v in (flat, a, b))) for i in starts]
        score, data = (torch.cat(part).reshape(x.shape) for part in zip(*parts, strict=True))
        return score, data

    def to(self, device: torch.device) -> Mixture:
        """Return the distribution with its tensors on a device."""
        if self.means.device == device:
            return self
        vectors = None if self.eigenvectors is None else self.eigenvectors.to(device)
        weights, means, eigenvalues = (v.to(device) for v in (self.weights, self.means, self.eigenvalues))
        return replace(self, weights=weights, means=means, eigenvalues=eigenvalues, eigenvectors=vectors)

    @property
    def _shared(self) -> bool:
        """Whether one covariance serves all components."""
        return len(self.eigenvalues) == 1

    @cached_property
    def _modes(self) -> Tensor:
        """V_k' m_k, (K, D)."""
        if self.eigenvectors is None:
            return self.means
        if self._shared:
            return self.means @ self.eigenvectors[0]
        return torch.einsum("kd,kde->ke", self.means, self.eigenvectors)

    @cached_property
    def _centre(self) -> Tensor:
        """The mean of `_modes`, (D,)."""
        return self.weights @ self._modes

    @cached_property
    def _offsets(self) -> Tensor:
        """`_modes` about their centre, (K, D)."""
        return self._modes - self._centre

    @cached_property
    def _features(self) -> Tensor:
        """What log densities with a shared S are linear in: (offset, -offset^2 / 2), squares summed if S is (B, 1)."""
        squares = self._offsets.square()
        if self.eigenvalues.shape[1] == 1:
            squares = squares.sum(1, keepdim=True)
        return torch.cat([self._offsets, -squares / 2], dim=1)

    def _posterior(self, x: Tensor, alpha: Tensor, beta: Tensor) -> tuple[Tensor, Tensor]:
        """(s, eta_X) of x (B, D) with alpha and beta (B, 1); in between, arrays are (K or 1, B, D) in eigenbases."""
        y = x[None] if self.eigenvectors is None else x @ self.eigenvectors
        variance = self.eigenvalues[:, None, :]
        spread = alpha.square() + beta.square() * variance
        safe = torch.where(spread == 0, _POINT, spread)
        share = torch.softmax(self._log_densities(y, beta, safe), dim=-1)
        mean = self._modes[:, None, :]
        if self._shared:  # everything is affine in m_k: average it first
            mean = (self._centre + share @ self._offsets)[None]
            share = torch.ones_like(share[:, :1])
        score = (beta * mean - y) / spread
        data = torch.where(spread == 0, mean, beta * variance / safe * y + alpha.square() / safe * mean)  # x at t = 1
        if self.eigenvectors is not None:
            score, data = score @ self.eigenvectors.mT, data @ self.eigenvectors.mT
        share = share.T[..., None]
        return (share * score).sum(0), (share * data).sum(0)

    def _log_densities(self, y: Tensor, beta: Tensor, spread: Tensor) -> Tensor:
        """log(w_k N(y; beta m_k, S_k)), (B, K), up to a term without k; about the centre if S is shared."""
        weights = self.weights.log()
        if not self._shared:
            distance = ((y - beta * self._modes[:, None, :]).square() / spread).sum(-1)
            log_det = spread.log().sum(-1) * (y.shape[-1] // spread.shape[-1])
            return weights - (distance + log_det).T / 2
        slope = beta / spread[0]
        of_features = torch.cat([slope * (y[0] - beta * self._centre), beta * slope], dim=1)
        return torch.addmm(weights, of_features, self._features.T)


@dataclass(frozen=True, eq=False)
class Exact:
    """The prediction of a `Mixture` as a function of (x, t), which is what its Model calls.

    `coefficients` is the compiled (alpha, beta); `last_rate` is the limit of alpha alpha' at t = 1.
    """

    distribution: Mixture
    schedule: Schedule
    prediction: str
    coefficients: Coefficients
    last_rate: float

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        """Return the prediction at x (B, *shape) and t, (B,) or 0-d: float64 inside, rounded once to the dtype of x.

        Raises SymsiError for other shapes, for what is not floating point, and at t = 0 of a point-mass schedule.
        """
        working(x)
        shape = self.distribution.shape
        if x.shape[1:] != shape or x.ndim != 1 + len(shape):
            raise SymsiError(f"x must have shape (B, *{shape}) for data of shape {shape}; got {tuple(x.shape)}.")
        time = as_time(t, 0.0).to(x.device, torch.float64)
        if time.shape not in ((), x.shape[:1]):
            raise SymsiError(f"t must be one time, or one per sample ({len(x)}); got shape {tuple(time.shape)}.")
        if self.schedule.kind is Kind.POINT_MASS and bool((time == 0).any()):
            raise SymsiError(
                f"the schedule {self.schedule} has alpha = beta = 0 at t = 0, where the state says nothing about the "
                "data; call a model of a schedule with alpha_0 > 0, such as 'linear', and convert."
            )
        if self.prediction == "velocity":
            (alpha, beta), (alpha_dot, beta_dot), *_ = torch.func.jvp(self._values, (time,), (torch.ones_like(time),))
        else:
            alpha, beta = self._values(time)
        score, data = self.distribution.to(x.device).score_and_data(x, alpha, beta)
        if self.prediction == "velocity":
            rate = torch.where(alpha == 0, self.last_rate, alpha * alpha_dot)
            return (beside(beta_dot, x) * data - beside(rate, x) * score).to(x.dtype)
        if self.prediction == "noise":
            return (-beside(alpha, x) * score).to(x.dtype)
        return (data if self.prediction == "data" else score).to(x.dtype)

    def _values(self, t: Tensor) -> tuple[Tensor, Tensor]:
        found = self.coefficients(t)
        return found["alpha"], found["beta"]


def gaussian(mean: Any, covariance: Any) -> Mixture:
    """Return N(m, C): m of any shape with D numbers, C a variance, (D,) variances or a (D, D) matrix.

    Raises SymsiError for other shapes, values that are not finite, and C that is not symmetric and non-negative.
    """
    m, c = numbers("mean", mean), numbers("covariance", covariance)
    if c.shape not in ((), (m.numel(),), (m.numel(), m.numel())):
        raise SymsiError(
            f"covariance must be a number, ({m.numel()},) or ({m.numel()}, {m.numel()}) for {m.numel()} dimensions; "
            f"got shape {tuple(c.shape)}."
        )
    return replace(mixture(torch.ones(1), m[None], c[None]), name="gaussian")


def mixture(weights: Any, means: Any, covariances: Any) -> Mixture:
    """Return sum_k w_k N(m_k, C_k): K positive weights, divided by their sum, means (K, *shape) of D numbers each.

    Covariances are (K,) variances, (K, D) or (K, D, D). Raises SymsiError for other shapes, values that are not
    finite, weights that are not positive and covariances that are not symmetric and non-negative.
    """
    w, m, c = numbers("weights", weights), numbers("means", means), numbers("covariances", covariances)
    if w.ndim != 1 or m.ndim < 1 or len(w) != len(m) or m.numel() == 0:
        raise SymsiError(
            f"give K weights and means of shape (K, *shape); got {tuple(w.shape)} weights and {tuple(m.shape)} means."
        )
    if not bool((w > 0).all()):
        raise SymsiError(f"weights must be positive; the smallest is {w.min().item():.6g}. Leave that component out.")
    w, c = w.to(m.device), c.to(m.device)
    count, size = len(m), m[0].numel()
    if c.shape not in ((count,), (count, size), (count, size, size)):
        raise SymsiError(
            f"covariances must be ({count},), ({count}, {size}) or ({count}, {size}, {size}) for {count} components in "
            f"{size} dimensions; got shape {tuple(c.shape)}."
        )
    c = c[:1] if bool((c == c[:1]).all()) else c
    eigenvalues, eigenvectors = _spectrum(c, size)
    return Mixture(w / w.sum(), m.reshape(count, size), eigenvalues, eigenvectors, tuple(m.shape[1:]))


def empirical(data: Any, bandwidth: float) -> Mixture:
    """Return the law of a row of `data` (N, *shape) plus N(0, bandwidth^2): a kernel density estimate.

    A prediction costs a softmax over all N rows; near t = 1 its log densities are good to eps |x|^2 / bandwidth^2, with
    x about the mean of the data. Raises SymsiError for no data, values that are not finite and a bandwidth that is not
    positive.
    """
    rows = numbers("data", data)
    if rows.ndim < 1 or rows.numel() == 0:
        raise SymsiError(f"data must hold samples, of shape (N, *shape); got shape {tuple(rows.shape)}.")
    width = numbers("bandwidth", bandwidth)
    if width.ndim or not bool(width > 0):
        raise SymsiError(f"bandwidth must be a positive number; got {bandwidth}.")
    weights = torch.full((len(rows),), 1 / len(rows), dtype=torch.float64, device=rows.device)
    eigenvalues = width.to(rows.device).square().reshape(1, 1)
    return Mixture(weights, rows.reshape(len(rows), -1), eigenvalues, None, tuple(rows.shape[1:]), "empirical")


@lru_cache(maxsize=64)
def _last_rate(schedule: Schedule) -> float:
    """The limit of alpha alpha' at t = 1, -inf where it is infinite (alpha decreases), nan where it is unknown."""
    found = at_end(schedule.pair.alpha * schedule.pair.alpha_dot, 1)
    return float(found.value) if found.value is not None else nan if found.exponent is None else -inf


def numbers(name: str, value: Any) -> Tensor:
    """Return a float64 copy of finite numbers. Raises SymsiError for anything else."""
    try:
        plain = None if hasattr(value, "dtype") else torch.float64  # numbers of Python must not pass through float32
        found = value if isinstance(value, Tensor) else torch.tensor(value, dtype=plain)
    except (TypeError, ValueError, RuntimeError) as error:
        raise SymsiError(f"{name} must be numbers; got {type(value).__name__} ({error}).") from error
    if found.is_complex():
        raise SymsiError(f"{name} must be real; got {found.dtype}.")
    found = found.detach().to(torch.float64, copy=True)
    if not bool(found.isfinite().all()):
        raise SymsiError(f"{name} must be finite; {int((~found.isfinite()).sum())} of {found.numel()} values are not.")
    return found


def _spectrum(covariances: Tensor, size: int) -> tuple[Tensor, Tensor | None]:
    """Return eigenvalues (K, D or 1) and eigenvectors (K, D, D) or None; what is 0 up to rounding becomes 0."""
    if covariances.ndim < 3:
        if bool((covariances < 0).any()):
            raise SymsiError(f"variances must not be negative; the smallest is {covariances.min().item():.6g}.")
        return covariances.reshape(len(covariances), -1), None
    rounding = size * torch.finfo(torch.float64).eps * covariances.abs().amax((1, 2))
    asymmetry = (covariances - covariances.mT).abs().amax((1, 2))
    if bool((asymmetry > rounding).any()):
        raise SymsiError(
            f"a covariance must be symmetric; C and its transpose differ by {asymmetry.max().item():.6g}. "
            "If that is rounding, give (C + C.T) / 2."
        )
    eigenvalues, eigenvectors = torch.linalg.eigh((covariances + covariances.mT) / 2)
    noise = size * torch.finfo(torch.float64).eps * eigenvalues.abs().amax(1, keepdim=True)
    if bool((eigenvalues < -noise).any()):
        raise SymsiError(
            f"a covariance must be positive semi-definite; the smallest eigenvalue is {eigenvalues.min().item():.6g}."
        )
    return torch.where(eigenvalues > noise, eigenvalues, 0.0), eigenvectors

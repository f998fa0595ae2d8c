"""Couplings: which row of x1 goes with which row of x0, so that a bridge between samples has the joint law it should.

A coupling of unpaired samples x0 (N, *shape) and x1 (M, *shape) is a matrix P (N, M) of sum 1; pairs are drawn from it.
Distances are those of flattened samples. The cost matrix |x0_i - x1_j|^2 / 2 has N M entries of float64; couplings that
need it refuse more than `ENTRIES`: couple minibatches.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from symsi.errors import MissingPackageError, SymsiError

__all__ = [
    "ENTRIES",
    "check_samples",
    "entropic",
    "entropic_plan",
    "gaussian_coupling",
    "independent",
    "optimal",
    "paired",
]

ENTRIES = 2**26  # of a cost matrix: 512 MiB in float64
Pairs = tuple[Tensor, Tensor]


def independent(x0: Tensor, x1: Tensor, generator: torch.Generator | None = None) -> Pairs:
    """Return as many pairs as the larger of x0 and x1 has rows, the rows of each independent of the other's.

    Each is shuffled; the smaller is gone through again and again. Raises SymsiError for samples that do not fit.
    """
    check_samples(x0, x1)
    size = max(len(x0), len(x1))
    return _cycled(x0, size, generator), _cycled(x1, size, generator)


def paired(x0: Tensor, x1: Tensor) -> Pairs:
    """Return x0 and x1 as they are, row i with row i. Raises SymsiError for unequal counts or rows that do not fit."""
    check_samples(x0, x1)
    if len(x0) != len(x1):
        raise SymsiError(
            f"paired samples must be as many; got {len(x0)} of x0 and {len(x1)} of x1. Row i of x0 goes with row i of "
            "x1; unpaired ones are for independent, optimal or entropic."
        )
    return x0, x1


def optimal(x0: Tensor, x1: Tensor) -> Pairs:
    """Return x0 and x1 in the order of x0, with sum |x0_i - x1_pi(i)|^2 least over permutations pi: exact transport.

    In time O(N^3), by scipy (`pip install "symsi[transport]"`). Minibatch optimal transport where the samples are a
    minibatch. Raises SymsiError for unequal counts, a cost matrix above `ENTRIES`, or rows that do not fit;
    MissingPackageError without scipy.
    """
    paired(x0, x1)
    cost = _cost(x0, x1)
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError as error:
        raise MissingPackageError('optimal needs scipy; pip install "symsi[transport]".') from error
    order = torch.as_tensor(linear_sum_assignment(cost.cpu().numpy())[1], device=x1.device)
    return x0, x1[order]


def entropic(
    x0: Tensor,
    x1: Tensor,
    sigma: float,
    generator: torch.Generator | None = None,
    *,
    tolerance: float = 1e-6,
    steps: int = 10_000,
) -> Pairs:
    """Return N pairs of the entropic coupling: every row of x0, with a row of x1 drawn by P(j | i) = P_ij / sum_j P_ij.

    With gamma = sigma sqrt(t (1 - t)), alpha = 1 - t and beta = t, brownian(a=sigma^2), the interpolant of these pairs
    is the Schroedinger bridge of the reference sigma W between the samples. Arguments and errors as `entropic_plan`.
    """
    plan = entropic_plan(x0, x1, sigma, tolerance=tolerance, steps=steps)
    index = torch.multinomial(plan.to(generator.device if generator else plan.device), 1, generator=generator)
    return x0, x1[index[:, 0].to(x1.device)]


def entropic_plan(x0: Tensor, x1: Tensor, sigma: float, *, tolerance: float = 1e-6, steps: int = 10_000) -> Tensor:
    """Return P (N, M) with rows of sum 1/N and columns of sum 1/M, least in sum P (c + sigma^2 log P), in float64.

    c_ij = |x0_i - x1_j|^2 / 2, so that P_ij = a_i b_j exp(-c_ij / sigma^2): the ends of sigma W on [0, 1], tilted.
    Sinkhorn's iteration on log a and log b:

        log a_i = -log N - logsumexp_j(log b_j - c_ij/sigma^2),  log b_j = -log M - logsumexp_i(log a_i - c_ij/sigma^2)

    from b = 1/M until the columns' sums are wrong by `tolerance` in total. The error falls geometrically, the slower
    the smaller sigma^2 is beside c. Raises SymsiError where they are not after `steps`, for sigma that is not positive,
    a cost matrix above `ENTRIES`, or rows that do not fit.
    """
    check_samples(x0, x1)
    if not (math.isfinite(sigma) and sigma > 0):
        raise SymsiError(f"sigma must be positive; got {sigma}. At sigma = 0 the coupling is that of optimal.")
    kernel = -_cost(x0, x1) / sigma**2
    n, m = kernel.shape
    log_b, error = kernel.new_full((m,), -math.log(m)), math.inf
    for _ in range(steps):
        log_a = -math.log(n) - torch.logsumexp(log_b + kernel, 1)
        wanted = -math.log(m) - torch.logsumexp(log_a[:, None] + kernel, 0)
        error = (log_b - wanted).expm1().abs().mean().item()
        if error <= tolerance:
            return (log_a[:, None] + kernel + log_b).exp()
        log_b = wanted
    raise SymsiError(
        f"Sinkhorn's columns are wrong by {error:.2g} after {steps} steps, more than {tolerance:.2g}. Give a larger "
        "sigma, more steps or a larger tolerance; for small sigma take optimal."
    )


def gaussian_coupling(
    mean_0: Tensor, covariance_0: Tensor, mean_1: Tensor, covariance_1: Tensor, sigma: float
) -> tuple[Tensor, Tensor]:
    """Return mean (2D,) and covariance (2D, 2D) of (x0, x1), N(m_0, C_0) and N(m_1, C_1) at the ends of sigma's bridge.

    T17's coupling for any covariances: Cov(x0, x1) = K with

        K = C_0^{1/2} (R - sigma^2/2 I) C_0^{-1/2},  R = (C_0^{1/2} C_1 C_0^{1/2} + sigma^4/4 I)^{1/2}

    which is (sqrt(4 C_0 C_1 + sigma^4) - sigma^2)/2 where they commute (Bunne et al. 2023, arXiv:2202.05722). With
    gamma = sigma sqrt(t (1 - t)) the interpolant is the Schroedinger bridge. Means (D,), covariances (D, D) or (D,)
    variances, in float64. Raises SymsiError for other shapes, C_0 or C_1 not positive definite, sigma negative.
    """
    m0, m1 = (torch.as_tensor(m, dtype=torch.float64) for m in (mean_0, mean_1))
    c0, c1 = (torch.as_tensor(c, dtype=torch.float64) for c in (covariance_0, covariance_1))
    c0, c1 = (c.diag() if c.ndim == 1 else c for c in (c0, c1))
    if m0.ndim != 1 or m1.shape != m0.shape or any(c.shape != (len(m0), len(m0)) for c in (c0, c1)):
        shapes = ", ".join(str(tuple(v.shape)) for v in (m0, c0, m1, c1))
        raise SymsiError(f"give means (D,) and covariances (D, D) or (D,) of one D; got {shapes}.")
    if not (math.isfinite(sigma) and sigma >= 0):
        raise SymsiError(f"sigma must not be negative; got {sigma}.")
    for name, c in (("covariance_0", c0), ("covariance_1", c1)):
        if not torch.allclose(c, c.T) or not bool((torch.linalg.eigvalsh(c) > 0).all()):
            raise SymsiError(f"{name} must be symmetric and positive definite.")
    root = _root(c0)
    middle = _root(root @ c1 @ root + sigma**4 / 4 * torch.eye(len(m0), dtype=torch.float64))
    cross = root @ (middle - sigma**2 / 2 * torch.eye(len(m0), dtype=torch.float64)) @ torch.linalg.inv(root)
    return torch.cat([m0, m1]), torch.cat([torch.cat([c0, cross], 1), torch.cat([cross.T, c1], 1)])


def _root(c: Tensor) -> Tensor:
    """The symmetric root of a positive matrix."""
    values, vectors = torch.linalg.eigh(c)
    root: Tensor = (vectors * values.sqrt()) @ vectors.T
    return root


def _cycled(x: Tensor, size: int, generator: torch.Generator | None) -> Tensor:
    """`size` rows of x in random order, each as often as any other, or once more."""
    device = generator.device if generator else None
    rounds = [torch.randperm(len(x), generator=generator, device=device) for _ in range(-(-size // len(x)))]
    return x[torch.cat(rounds)[:size].to(x.device)]


def _cost(x0: Tensor, x1: Tensor) -> Tensor:
    """|x0_i - x1_j|^2 / 2, (N, M) in float64."""
    count = len(x0) * len(x1)
    if count > ENTRIES:
        raise SymsiError(
            f"the cost matrix of {len(x0)} and {len(x1)} samples has {count} entries, {count * 8 / 2**30:.1f} GiB; at "
            f"most {ENTRIES}, {ENTRIES * 8 / 2**30:g} GiB. Couple minibatches: about {math.isqrt(ENTRIES)} of each."
        )
    left, right = (x.detach().to(torch.float64).flatten(1) for x in (x0, x1))
    return torch.cdist(left, right, compute_mode="donot_use_mm_for_euclid_dist").square() / 2


def check_samples(x0: Tensor, x1: Tensor) -> None:
    """Raise SymsiError unless both hold finite samples of one shape, naming the first row that does not."""
    for name, x in (("x0", x0), ("x1", x1)):
        if x.ndim < 2 or not len(x) or not x.is_floating_point():
            raise SymsiError(f"{name} must be samples (N, *shape), floating point; got {tuple(x.shape)}, {x.dtype}.")
        bad = (~x.isfinite()).flatten(1).any(1).nonzero()
        if len(bad):
            raise SymsiError(
                f"{name} must be finite; row {int(bad[0])} is not, the first of {len(bad)} such rows in {len(x)}."
            )
    if x0.shape[1:] != x1.shape[1:]:
        raise SymsiError(
            f"samples of x0 and x1 must have one shape; got {tuple(x0.shape[1:])} and {tuple(x1.shape[1:])}."
        )

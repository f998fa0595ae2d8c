"""Couplings: each gives the joint law it names, and what cannot be coupled is refused in words."""

import sys

import pytest
import torch
from scipy.linalg import sqrtm
from torch import Tensor

import symsi
from symsi import couplings
from symsi.couplings import entropic, entropic_plan, gaussian_coupling, independent, optimal, paired
from symsi.theory.two_gaussians import bridge_covariance


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_independent_pairs_use_every_row_equally_often_and_are_uncorrelated() -> None:
    x0, x1 = normal(4000, 1), normal(1000, 1, seed=1)
    a, b = independent(x0, x1, torch.Generator().manual_seed(2))
    assert torch.equal(a.sort(0).values, x0.sort(0).values)
    assert torch.equal(b.sort(0).values, x1.repeat(4, 1).sort(0).values)
    assert abs(torch.corrcoef(torch.cat([a, b], 1).T)[0, 1]) < 4 / 4000**0.5


def test_optimal_transport_on_a_line_sorts() -> None:
    x0, x1 = normal(200, 1), normal(200, 1, seed=1) * 3
    a, b = optimal(x0, x1)
    assert a is x0
    assert torch.equal(b[a[:, 0].argsort()], x1.sort(0).values)


def test_an_entropic_plan_has_the_sums_it_must_and_the_form_of_a_minimiser() -> None:
    """P_ij = a_i b_j exp(-c_ij/sigma^2): the mixed differences of log P are those of -c/sigma^2 = x0.x1/sigma^2."""
    x0, x1 = normal(30, 2), normal(20, 2, seed=1)
    plan = entropic_plan(x0, x1, 0.8, tolerance=1e-10)
    torch.testing.assert_close(plan.sum(1), torch.full((30,), 1 / 30, dtype=plan.dtype), rtol=1e-12, atol=0)
    torch.testing.assert_close(plan.sum(0), torch.full((20,), 1 / 20, dtype=plan.dtype), rtol=0, atol=1e-10)
    mixed = plan.log().diff(dim=0).diff(dim=1)
    torch.testing.assert_close(mixed, x0.diff(dim=0) @ x1.diff(dim=0).T / 0.8**2, rtol=1e-9, atol=1e-9)


def test_a_small_sigma_neither_overflows_nor_leaves_optimal_transport() -> None:
    x0, x1 = normal(12, 1), normal(12, 1, seed=1)
    a, b = entropic(x0, x1, 0.02, torch.Generator().manual_seed(0), tolerance=1e-3)
    assert torch.equal(b, optimal(a, x1)[1])


@pytest.mark.parametrize("sigma", [0.7, 1.5])
def test_entropic_pairs_with_a_brownian_gamma_are_the_gaussian_schroedinger_bridge(sigma: float) -> None:
    """T17 on 1000 samples: Cov(x0, x1) = K, and Var I_t = (1-t)^2 C + t^2 D + t (1-t) sqrt(4 C D + sigma^4)."""
    count, c, d = 1000, 0.5, 2.0
    x0, x1 = c**0.5 * normal(count, 1), d**0.5 * normal(count, 1, seed=1)
    x0, x1 = ((x - x.mean()) / x.std(correction=0) * v**0.5 for x, v in ((x0, c), (x1, d)))
    wanted = float(bridge_covariance(c, d, sigma))
    plan = entropic_plan(x0, x1, sigma, tolerance=1e-5)
    error = 4 * (c * d / count) ** 0.5
    assert abs((x0.T @ plan @ x1).item() - wanted) < error
    a, b = entropic(x0, x1, sigma, torch.Generator().manual_seed(3), tolerance=1e-5)
    kernels = symsi.interpolant_kernels(symsi.interpolant("linear", "brownian", a=sigma**2))
    exact = symsi.interpolant_kernels(symsi.gaussian_bridge(c, d, sigma))
    for t in (0.25, 0.5, 0.75):
        spread = kernels.state(a, b, normal(count, 1, seed=4), t).var().item()
        gamma = exact.coefficients(t)["gamma"].item()
        size = (1 - t) ** 2 * c + t**2 * d + gamma**2
        assert abs(spread - size) < 4 * size * (2 / count) ** 0.5


def test_the_coupling_between_gaussians_is_that_of_t17_mode_by_mode() -> None:
    c, d = torch.tensor([0.5, 1.0, 3.0]), torch.tensor([2.0, 1.0, 0.1])
    mean, covariance = gaussian_coupling(torch.zeros(3), c, torch.ones(3), d, 0.7)
    cross = [float(bridge_covariance(a, b, 0.7)) for a, b in zip(c.tolist(), d.tolist(), strict=True)]
    torch.testing.assert_close(covariance[:3, 3:], torch.tensor(cross, dtype=torch.float64).diag())
    assert mean.tolist() == [0, 0, 0, 1, 1, 1]
    torch.testing.assert_close(covariance, covariance.T)


def test_covariances_that_do_not_commute_solve_the_equation_of_the_coupling() -> None:
    """K (K + sigma^2 I) = C D for K = Cov(x0, x1), by scipy's root; and the joint covariance is positive."""
    c = torch.tensor([[2.0, 0.6], [0.6, 0.5]], dtype=torch.float64)
    d = torch.tensor([[1.0, -0.4], [-0.4, 3.0]], dtype=torch.float64)
    covariance = gaussian_coupling(torch.zeros(2), c, torch.zeros(2), d, 0.9)[1]
    k, one = covariance[:2, 2:], torch.eye(2, dtype=torch.float64)
    torch.testing.assert_close(k @ (k + 0.81 * one), c @ d)
    wanted = torch.as_tensor(sqrtm((c @ d + 0.81**2 / 4 * one).numpy())).real - 0.81 / 2 * one
    torch.testing.assert_close(k, wanted)
    assert torch.linalg.eigvalsh(covariance).min() > 0


def test_what_cannot_be_coupled_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    x0, x1 = normal(6, 2), normal(5, 2, seed=1)
    with pytest.raises(symsi.SymsiError, match="as many; got 6 of x0 and 5 of x1"):
        paired(x0, x1)
    with pytest.raises(symsi.SymsiError, match="as many"):
        optimal(x0, x1)
    bad = x0.clone()
    bad[3, 1], bad[5, 0] = torch.nan, torch.inf
    with pytest.raises(symsi.SymsiError, match="x0 must be finite; row 3 is not, the first of 2 such rows in 6"):
        paired(bad, x0)
    with pytest.raises(symsi.SymsiError, match=r"must have one shape; got \(2,\) and \(1,\)"):
        independent(x0, x1[:, :1])
    with pytest.raises(symsi.SymsiError, match="sigma must be positive; got 0"):
        entropic(x0, x1, 0)
    with pytest.raises(symsi.SymsiError, match=r"columns are wrong by .* after 1 steps.*for small sigma take optimal"):
        entropic_plan(x0, x1, 0.1, steps=1)
    with pytest.raises(symsi.SymsiError, match="covariance_1 must be symmetric and positive definite"):
        gaussian_coupling(torch.zeros(2), torch.ones(2), torch.zeros(2), torch.zeros(2), 1)
    huge = torch.zeros(1, 2).expand(2**14, 2)
    with pytest.raises(symsi.SymsiError, match=r"has 268435456 entries, 2.0 GiB; .*minibatches: about 8192 of each"):
        entropic(huge, huge, 1)
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(symsi.MissingPackageError, match=r"symsi\[transport\]"):
        optimal(x0, x0)
    assert couplings.ENTRIES == 2**26

"""Gaussian ends and the Schroedinger bridge, against conditioning by matrices and against its own characterisation."""

import pytest
import sympy as sp
from sympy import Matrix, Rational, sqrt

from symsi.interpolants.rows import Triple
from symsi.theory.three_parts import PREDICTIONS
from symsi.theory.two_gaussians import (
    GaussianEnds,
    bridge_coordinate,
    bridge_covariance,
    bridge_field,
    bridge_flow_map,
    bridge_mean,
    bridge_variance,
    conditional_means,
    fields_at_ends,
    gaussian_bridge,
    gaussian_bridge_drift,
)

t, x = sp.symbols("t x")
ENDS = GaussianEnds(Rational(1), Rational(2), Rational(-3), Rational(1, 2), Rational(3, 5))
P = Triple.of((1 - t) ** 2, t * (2 - t), t * (1 - t))
CASES = [(Rational(2), Rational(1, 3), Rational(3, 4)), (Rational(1), Rational(1), Rational(5))]


def test_the_means_of_the_parts_are_those_of_conditioning_a_gaussian_vector() -> None:
    """Cov(part, I) / Var(I) from the covariance matrix of (x0, x1, z)."""
    now = P.at(Rational(2, 7))
    cov = Matrix([[ENDS.variance_0, ENDS.covariance, 0], [ENDS.covariance, ENDS.variance_1, 0], [0, 0, 1]])
    weights = Matrix([now.alpha, now.beta, now.gamma])
    spread = (weights.T * cov * weights)[0]
    mean = Matrix([ENDS.mean_0, ENDS.mean_1, 0])
    expected = mean + cov * weights * (x - (weights.T * mean)[0]) / spread
    found = conditional_means(now, ENDS, x)
    assert bridge_variance(now, ENDS) == spread
    assert all(sp.expand(found[n] - e) == 0 for n, e in zip(("x0", "x1", "latent"), expected, strict=True))


def test_the_velocity_moves_the_quantiles_of_the_marginal_laws() -> None:
    quantile = Rational(5, 4)
    path = bridge_mean(P, ENDS) + quantile * sqrt(bridge_variance(P, ENDS))
    gap = sp.diff(path, t) - bridge_field(P, ENDS, "velocity", x).subs(x, path)
    assert all(abs(sp.N(gap.subs(t, time), 40)) < 1e-35 for time in (Rational(1, 5), Rational(3, 4)))


def test_the_flow_map_takes_each_quantile_to_the_same_one_either_way() -> None:
    """By mpmath at 40 digits; y is the quantile, in standard deviations."""
    quantile = Rational(5, 4)
    start, stop = (P.at(time) for time in (Rational(1, 5), Rational(3, 4)))
    places = [bridge_mean(p, ENDS) + quantile * sqrt(bridge_variance(p, ENDS)) for p in (start, stop)]
    assert abs(sp.N(bridge_flow_map(start, stop, ENDS, places[0]) - places[1], 40)) < 1e-35
    assert abs(sp.N(bridge_flow_map(stop, start, ENDS, places[1]) - places[0], 40)) < 1e-35
    assert all(
        sp.simplify(bridge_coordinate(p, ENDS, x) - quantile) == 0 for p, x in zip((start, stop), places, strict=True)
    )


def test_the_score_is_the_slope_of_the_log_density() -> None:
    density = -((x - bridge_mean(P, ENDS)) ** 2) / (2 * bridge_variance(P, ENDS))
    assert sp.simplify(sp.diff(density, x) - bridge_field(P, ENDS, "score", x)) == 0


def test_the_fields_without_a_division_by_gamma_are_the_same() -> None:
    found = fields_at_ends(P, ENDS, x)
    assert set(found) == set(PREDICTIONS)
    assert all(sp.simplify(found[kind] - bridge_field(P, ENDS, kind, x)) == 0 for kind in found)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_coupling_is_the_entropic_one(case: tuple[Rational, ...]) -> None:
    """Its density is f(x0) g(x1) exp(-(x1 - x0)^2/(2 sigma^2)): a precision of -1/sigma^2 off the diagonal."""
    first, second, sigma = case
    covariance = bridge_covariance(first, second, sigma)
    precision = Matrix([[first, covariance], [covariance, second]]).inv()
    assert sp.simplify(precision[0, 1] + 1 / sigma**2) == 0


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_drift_is_that_of_brownian_bridges_between_coupled_ends(case: tuple[Rational, ...]) -> None:
    """b = (E[X_1 | X_t = x] - x)/(1 - t), where X_t = (1 - t) X_0 + t X_1 + sigma sqrt(t (1 - t)) z."""
    first, second, sigma = case
    ends = GaussianEnds(Rational(1), first, Rational(-2), second)
    bridge = gaussian_bridge(first, second, sigma)
    drift = gaussian_bridge_drift(bridge.triple, ends, sigma**2 / 2, x)
    cross = bridge_covariance(first, second, sigma)
    spread = (1 - t) ** 2 * first + t**2 * second + 2 * t * (1 - t) * cross + sigma**2 * t * (1 - t)
    ahead = ends.mean_1 + ((1 - t) * cross + t * second) / spread * (x - (1 - t) * ends.mean_0 - t * ends.mean_1)
    gap = drift - (ahead - x) / (1 - t)
    for time, place in ((Rational(1, 3), 2), (Rational(7, 8), -5)):
        assert abs(sp.N(gap.subs({t: time, x: place}), 60)) < 1e-50


def test_the_bridge_of_symbols_keeps_them_as_parameters() -> None:
    first, second, sigma = sp.symbols("C D sigma")
    bridge = gaussian_bridge(first, second, sigma)
    assert bridge.free_parameters == {first, second, sigma}
    rate = bridge.limit("gamma_rate", 0).value
    assert sp.simplify(rate - sqrt(4 * first * second + sigma**4) / 2) == 0

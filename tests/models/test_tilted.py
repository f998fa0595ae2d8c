"""Tilted mixtures: against integrals to 20 digits, weighted samples, and the formulas that T25 proves."""

from __future__ import annotations

import mpmath
import pytest
import sympy as sp
import torch
from torch import Tensor

from symsi.errors import SymsiError
from symsi.models import empirical, gaussian, mixture, tilted
from symsi.models.analytic import Mixture
from symsi.theory.tilting import linear_tilt, quadratic_tilt

DOUBLE = torch.float64
WEIGHTS, LINE, VARIANCES = [0.3, 0.5, 0.2], [-1.5, 0.4, 2.0], [0.05, 0.3, 1.1]
FULL = [[[1.5, 0.5], [0.5, 0.75]], [[0.5, -0.25], [-0.25, 1.0]], [[0.25, 0.0], [0.0, 2.0]]]
MEANS = [[1.0, -0.5], [-2.0, 0.25], [0.5, 3.0]]
LAWS: dict[str, Mixture] = {
    "one full": gaussian(MEANS[0], FULL[0]),
    "full": mixture(WEIGHTS, MEANS, FULL),
    "shared": mixture(WEIGHTS, MEANS, [FULL[0]] * 3),
    "variances": mixture(WEIGHTS, MEANS, [[0.5, 2.0], [1.0, 1.0], [2.0, 0.25]]),
    "one variance each": mixture(WEIGHTS, MEANS, [0.5, 1.0, 2.0]),
    "empirical": empirical(MEANS, 0.3),
}
REWARDS = {
    "linear": {"linear": [0.7, -0.4]},
    "quadratic": {"quadratic": ([[1.0, 0.3], [0.3, 0.5]], [0.8, 1.1])},
    "of one direction": {"quadratic": ([[1.0, 2.0], [2.0, 4.0]], [0.8, 1.1])},
}


def reward(
    x: Tensor, linear: list[float] | None = None, quadratic: tuple[list[list[float]], list[float]] | None = None
) -> Tensor:
    if linear is not None:
        return x @ torch.tensor(linear, dtype=DOUBLE)
    assert quadratic is not None
    curvature, centre = (torch.tensor(v, dtype=DOUBLE) for v in quadratic)
    return -torch.einsum("ni,ij,nj->n", x - centre, curvature, x - centre) / 2


def log_density(law: Mixture, x: Tensor) -> Tensor:
    """log sum_k w_k N(x; m_k, C_k), from covariance matrices."""
    count, size = law.means.shape
    vectors = torch.eye(size, dtype=DOUBLE) if law.eigenvectors is None else law.eigenvectors
    spread = (vectors * law.eigenvalues[:, None, :]) @ vectors.mT
    parts = torch.distributions.MultivariateNormal(law.means, spread.expand(count, -1, -1))
    return torch.logsumexp(law.weights.log() + parts.log_prob(x[:, None]), 1)


@pytest.mark.parametrize("temperature", [0.3, 2.5])
@pytest.mark.parametrize("kind", ["linear", "quadratic"])
def test_on_a_line_normaliser_and_moments_are_integrals(kind: str, temperature: float) -> None:
    slope, curve, centre = 0.7, 1.3, 0.9
    given = {"linear": [slope]} if kind == "linear" else {"quadratic": ([[curve]], [centre])}
    law = mixture(WEIGHTS, [[m] for m in LINE], VARIANCES)
    found, log_normalizer = tilted(law, temperature=temperature, **given)

    def weight(x: mpmath.mpf, power: int) -> mpmath.mpf:
        r = slope * x if kind == "linear" else -curve * (x - centre) ** 2 / 2
        parts = zip(WEIGHTS, LINE, VARIANCES, strict=True)
        return x**power * mpmath.exp(r / temperature) * sum(w * mpmath.npdf(x, m, mpmath.sqrt(v)) for w, m, v in parts)

    with mpmath.workdps(20):
        edges = [-30, -4, -2, -1, 0, 1, 3, 8, 40]
        mass, first, second = (mpmath.quad(lambda x, p=p: weight(x, p), edges) for p in (0, 1, 2))
    assert log_normalizer == pytest.approx(float(mpmath.log(mass)), abs=1e-10)
    assert float(found.mean) == pytest.approx(float(first / mass), abs=1e-10)
    assert float(found.covariance) == pytest.approx(float(second / mass - (first / mass) ** 2), abs=1e-10)


@pytest.mark.parametrize("given", REWARDS.values(), ids=REWARDS)
@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_its_log_density_is_that_of_the_law_and_the_reward(law: Mixture, given: dict[str, object]) -> None:
    x = torch.randn(20, 2, generator=torch.Generator().manual_seed(0), dtype=DOUBLE) * 2
    found, log_normalizer = tilted(law, temperature=0.6, **given)
    expected = log_density(law, x) + reward(x, **given) / 0.6 - log_normalizer
    torch.testing.assert_close(log_density(found, x), expected, rtol=1e-12, atol=1e-12)
    assert found.shape == law.shape
    assert found.name == f"tilted {law.name}"


@pytest.mark.parametrize("given", REWARDS.values(), ids=REWARDS)
def test_weighted_samples_have_its_normaliser_and_its_moments(given: dict[str, object]) -> None:
    law, count = LAWS["full"], 200_000
    found, log_normalizer = tilted(law, temperature=2.0, **given)
    x = law.sample(count, seed=3)
    weights = (reward(x, **given) / 2.0 - log_normalizer).exp()
    spread = float(weights.std()) / count**0.5
    assert float(weights.mean()) == pytest.approx(1, abs=4 * spread)
    own = weights / weights.sum()
    error = 4 * ((own[:, None] * (x - found.mean)).square().sum(0)).sqrt()
    assert bool(((own @ x - found.mean).abs() < error).all())
    drawn = found.sample(count, seed=4)
    assert bool(((drawn.mean(0) - found.mean).abs() < 4 * drawn.std(0) / count**0.5).all())


def test_one_mode_is_the_formula_that_is_proved() -> None:
    values = [sp.Rational(n, 7) for n in (3, 5, 4, -2, 9)]
    mean, variance, a, c, temperature = values
    numbers = [float(v) for v in values]
    law = gaussian([numbers[0]], numbers[1])
    cases = [
        (linear_tilt(mean, variance, a, temperature), {"linear": [numbers[2]]}),
        (quadratic_tilt(mean, variance, a, c, temperature), {"quadratic": ([[numbers[2]]], [numbers[3]])}),
    ]
    for expected, given in cases:
        found, log_normalizer = tilted(law, temperature=numbers[4], **given)
        assert float(found.means) == pytest.approx(float(expected.mean), rel=1e-14)
        assert float(found.eigenvalues) == pytest.approx(float(expected.variance), rel=1e-14)
        assert log_normalizer == pytest.approx(float(expected.log_normalizer.evalf()), rel=1e-14)


@pytest.mark.parametrize("curvature", [[[1.0, 2.0], [2.0, 4.0]], [[1.0, 0.3], [0.3, 0.5]]])
@pytest.mark.parametrize("temperature", [1e-9, 1e-3, 1e6])
def test_the_coldest_tilts_keep_their_digits(curvature: list[list[float]], temperature: float) -> None:
    centre = [0.8, 1.1]
    found, log_normalizer = tilted(LAWS["one full"], quadratic=(curvature, centre), temperature=temperature)
    with mpmath.workdps(50):
        spread, curve, one = mpmath.matrix(FULL[0]), mpmath.matrix(curvature), mpmath.eye(2)
        away = mpmath.matrix(MEANS[0]) - mpmath.matrix(centre)
        known = (temperature * one + curve * spread) ** -1 * curve * away
        mean = mpmath.matrix(MEANS[0]) - spread * known
        narrowed = (one + spread * curve / temperature) ** -1 * spread
        expected = -(away.T * known)[0] / 2 - mpmath.log(mpmath.det(one + spread * curve / temperature)) / 2
    assert log_normalizer == pytest.approx(float(expected), rel=1e-12)
    assert found.mean.tolist() == pytest.approx([float(m) for m in mean], rel=1e-12)
    assert found.covariance.flatten().tolist() == pytest.approx([float(v) for v in narrowed], rel=1e-12, abs=1e-14)


def test_twice_tilted_is_tilted_by_the_sum() -> None:
    law, (curvature, centre) = LAWS["full"], REWARDS["quadratic"]["quadratic"]
    half, first = tilted(law, quadratic=(curvature, centre), temperature=2.0)
    twice, second = tilted(half, quadratic=(curvature, centre), temperature=2.0)
    whole, total = tilted(law, quadratic=(curvature, centre))
    assert first + second == pytest.approx(total, rel=1e-13)
    torch.testing.assert_close(twice.means, whole.means, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(twice.covariance, whole.covariance, rtol=1e-12, atol=1e-13)


def test_images_point_masses_and_rewards_that_leave_one_component() -> None:
    image = gaussian(torch.zeros(1, 2, 2), 0.5)
    found, log_normalizer = tilted(image, linear=torch.ones(1, 2, 2), temperature=2.0)
    torch.testing.assert_close(found.mean, torch.full((1, 2, 2), 0.25, dtype=DOUBLE))
    assert log_normalizer == pytest.approx(4 * 0.5 / 8)
    still, log_normalizer = tilted(gaussian([1.0, 2.0], [0.0, 1.0]), quadratic=(torch.eye(2), torch.zeros(2)))
    assert still.means.tolist() == [[1.0, 1.0]]
    assert still.covariance.tolist() == [[0.0, 0.0], [0.0, 0.5]]
    for name, left in (("full", MEANS[0]), ("shared", MEANS[0]), ("one variance each", MEANS[2])):
        alone, _ = tilted(LAWS[name], linear=[1.0, 0.0], temperature=1e-4)
        assert alone.weights.tolist() == [1.0]
        assert float(alone.means[0, 1]) == pytest.approx(left[1] + (0 if name == "one variance each" else 5000))
        half = torch.tensor(0.5)
        assert all(bool(v.isfinite().all()) for v in alone.score_and_data(alone.sample(4), half, half))


LAW = LAWS["full"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "give one reward, .*; got neither"),
        ({"linear": [1.0, 0.0], "quadratic": (torch.eye(2), [0.0, 0.0])}, "got both"),
        ({"linear": [1.0]}, r"linear must have 2 numbers, .* got shape \(1,\)"),
        ({"linear": [[1.0, 0.0]]}, "linear must have 2 numbers"),
        ({"linear": [1.0, float("nan")]}, "linear must be finite"),
        ({"linear": [1.0, 0.0], "temperature": 0.0}, "temperature must be a positive number; got 0.0"),
        ({"linear": [1.0, 0.0], "temperature": [1.0, 2.0]}, "temperature must be a positive number"),
        ({"quadratic": torch.eye(3)}, "pair"),
        ({"quadratic": ([1.0, 1.0], [0.0, 0.0])}, r"A must be \(2, 2\)"),
        ({"quadratic": ([[1.0, 1.0], [0.0, 1.0]], [0.0, 0.0])}, "A must be symmetric"),
        ({"quadratic": ([[1.0, 0.0], [0.0, -1.0]], [0.0, 0.0])}, "least eigenvalue is -1"),
        ({"quadratic": ([[1.0, 0.0], [0.0, 1.0]], [0.0])}, "c must have 2 numbers"),
    ],
)
def test_what_is_no_reward_is_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(SymsiError, match=message):
        tilted(LAW, **given)


def test_what_is_no_mixture_is_refused() -> None:
    with pytest.raises(SymsiError, match="gaussian, mixture, empirical; got Model"):
        tilted(LAW.model(), linear=[1.0, 0.0])  # type: ignore[arg-type]

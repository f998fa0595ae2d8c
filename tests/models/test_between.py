"""Exact bridges, against Monte Carlo of conditional means, automatic differentiation and their ends."""

from typing import Any

import pytest
import torch
from torch import Tensor

import symsi
from symsi.models.analytic import Mixture

DOUBLE = torch.float64
KINDS = ("velocity", "score", "latent", "ends", "x0", "x1")
GAUSSIAN = symsi.models.gaussian([1.0, -0.5], [0.5, 2.0])
TWO = symsi.models.mixture([0.3, 0.7], [[-1.0, 0.0], [1.5, 1.0]], [0.2, 0.6])
DATA = symsi.models.empirical([[0.0, 1.0], [1.0, 0.0], [-1.0, -1.0]], 0.3)
PAIRS = {
    "gaussians": (GAUSSIAN, symsi.models.gaussian([0.0, 1.0], 0.3)),
    "mixtures": (TWO, GAUSSIAN),
    "data": (DATA, DATA),
}


def predictions(ends: tuple[Mixture, Mixture], name: str, x: Tensor, t: Tensor) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for kind in KINDS:
        other = "velocity" if kind != "velocity" else "latent"
        found[kind] = symsi.models.between(*ends, name, (kind, other))(x, t)[0]
    return found


@pytest.mark.parametrize("ends", PAIRS.values(), ids=PAIRS)
def test_the_means_of_the_parts_are_those_of_samples_near_the_state(ends: tuple[Mixture, Mixture]) -> None:
    """By importance weights over (x0, x1), z = (x - alpha x0 - beta x1)/gamma; the error is their Monte Carlo error."""
    t, count = 0.4, 200_000
    x = torch.tensor([[0.3, 0.2], [-0.8, 0.9]], dtype=DOUBLE)
    x0, x1 = ends[0].sample(count, seed=1), ends[1].sample(count, seed=2)
    gamma = (2 * t * (1 - t)) ** 0.5
    z = (x[:, None] - (1 - t) * x0 - t * x1) / gamma
    weights = torch.softmax(-z.square().sum(-1) / 2, dim=1)[..., None]
    error = 5 * weights.square().sum(1).sqrt()
    found = predictions(ends, "linear(gamma=brownian(a=2))", x, torch.full((2,), t, dtype=DOUBLE))
    slope = (1 - 2 * t) / gamma
    for kind, part in {"x0": x0, "x1": x1, "latent": z, "velocity": x1 - x0 + slope * z}.items():
        mean = (weights * part).sum(1)
        deviation = (weights * (part - mean[:, None]).square()).sum(1).sqrt()
        assert ((found[kind] - mean).abs() < error * deviation).all(), kind


@pytest.mark.parametrize("ends", PAIRS.values(), ids=PAIRS)
@pytest.mark.parametrize("name", ["trigonometric(gamma=quadratic)", "linear", "trigonometric(gamma=sine)"])
def test_the_predictions_are_rows_over_the_same_means(ends: tuple[Mixture, Mixture], name: str) -> None:
    x = torch.randn(40, 2, dtype=DOUBLE, generator=torch.Generator().manual_seed(0))
    t = torch.linspace(0.03, 0.96, 40, dtype=DOUBLE)
    found = predictions(ends, name, x, t)
    path = symsi.interpolant_kernels(name)
    torch.testing.assert_close(path.state(found["x0"], found["x1"], found["latent"], t), x, rtol=0, atol=1e-12)
    rate = path.rate(found["x0"], found["x1"], found["latent"], t)
    torch.testing.assert_close(found["velocity"], rate, rtol=0, atol=1e-11)
    gamma = path.coefficients(t)["gamma"][:, None]
    torch.testing.assert_close(found["latent"], -gamma * found["score"], rtol=0, atol=1e-12)


@pytest.mark.parametrize("end", [0, 1])
def test_at_the_ends_the_score_is_that_of_the_law_and_the_rest_is_finite(end: int) -> None:
    x = torch.randn(5, 2, dtype=DOUBLE, generator=torch.Generator().manual_seed(0)).requires_grad_()
    law = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(TWO.weights),
        torch.distributions.Independent(torch.distributions.Normal(TWO.means, TWO.eigenvalues.sqrt().expand(2, 2)), 1),
    )
    (score,) = torch.autograd.grad(law.log_prob(x).sum(), x)
    x = x.detach()
    ends = (TWO, GAUSSIAN) if end == 0 else (GAUSSIAN, TWO)
    found = predictions(ends, "linear", x, torch.full((5,), float(end), dtype=DOUBLE))
    torch.testing.assert_close(found["score"], score, rtol=0, atol=1e-12)
    assert torch.equal(found["latent"], torch.zeros_like(x))
    other = ends[1 - end].mean
    torch.testing.assert_close(found[f"x{1 - end}"], other.expand(5, 2), rtol=0, atol=1e-12)
    rate = (other - x) * (1 if end == 0 else -1) + (-0.5 if end == 0 else 0.5) * score
    torch.testing.assert_close(found["velocity"], rate, rtol=0, atol=1e-12)


def test_many_rows_are_the_same_as_few() -> None:
    model = symsi.models.between(TWO, DATA)
    x, t = torch.randn(7, 2), torch.rand(7)
    many = model(x.repeat(20_000, 1), t.repeat(20_000))
    assert all(torch.equal(a[-7:], b) for a, b in zip(many, model(x, t), strict=True))
    assert model(x[:0], t[:0])[0].shape == (0, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((TWO, "normal"), "a law is one of"),
        ((symsi.models.gaussian([0.0, 0.0], [[2.0, 1.0], [1.0, 2.0]]), TWO), "covariance matrices. Rotate"),
        ((TWO, symsi.models.gaussian([0.0], 1.0)), r"one shape; got \(2,\) and \(1,\)"),
        ((TWO, TWO, "linear", ("latent", "score")), "say the same"),
    ],
)
def test_ends_that_do_not_fit_are_refused_in_words(arguments: Any, message: str) -> None:
    with pytest.raises(symsi.SymsiError, match=message):
        symsi.models.between(*arguments)


def test_a_state_of_another_shape_is_refused() -> None:
    with pytest.raises(symsi.SymsiError, match=r"shape \(B, \*\(2,\)\)"):
        symsi.models.between(TWO, TWO)(torch.zeros(3, 4), torch.zeros(3))

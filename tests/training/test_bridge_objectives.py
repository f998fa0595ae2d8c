"""The regressions of T14: exact fields minimise them, pairs +z and -z keep them finite, refusals are in words."""

import math

import pytest
import torch
from torch import Tensor

import symsi
from symsi import objectives

BROWNIAN = symsi.interpolant("linear", "brownian")
C0, C1, M1 = 0.5, 2.0, 1.0
LOSSES = {"velocity": {}, "latent": {}, "score": {}, "drift": {"diffusion": 0.3}}
T = torch.float64


def draw(count: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """x0 ~ N(0, C0), x1 ~ N(M1, C1) and z, (count, 1)."""
    normal = torch.randn(3, count, 1, generator=torch.Generator().manual_seed(seed), dtype=T)
    return C0**0.5 * normal[0], M1 + C1**0.5 * normal[1], normal[2]


def exact(kind: str, t: float, size: float = 1.0) -> tuple[float, float, float]:
    """Slope A, value B at the mean and the mean of a field A (x - mu) + B, by T16, under gamma^2 = a t (1 - t)."""
    spread = (1 - t) ** 2 * C0 + t**2 * C1 + size * t * (1 - t)
    rate = -(1 - t) * C0 + t * C1 + size * (0.5 - t)
    slope = {
        "velocity": rate / spread,
        "score": -1 / spread,
        "latent": math.sqrt(size * t * (1 - t)) / spread,
        "drift": (rate - 0.3) / spread,
    }[kind]
    return slope, M1 if kind in ("velocity", "drift") else 0.0, t * M1


@pytest.mark.parametrize(("t", "antithetic"), [(0.0, True), (0.1, True), (0.6, True), (1.0, True), (0.3, False)])
@pytest.mark.parametrize("kind", LOSSES)
def test_the_exact_field_is_the_minimiser_on_gaussian_ends(kind: str, t: float, antithetic: bool) -> None:
    """E L(f) = E|f - g|^2 - E|g|^2 for f = p (x - mu) + q, within five standard errors."""
    x0, x1, z = draw(50_000)
    a, b, mu = exact(kind, t)
    spread = (1 - t) ** 2 * C0 + t**2 * C1 + t * (1 - t)
    for p, q in ((a, b), (a + 0.7, b - 0.4)):
        loss = getattr(objectives, kind)(
            lambda x, _, p=p, q=q: p * (x - mu) + q, BROWNIAN, x0, x1, t, z, antithetic, **LOSSES[kind]
        )
        wanted = (p - a) ** 2 * spread + (q - b) ** 2 - a**2 * spread - b**2
        assert abs(loss.mean() - wanted) <= 5 * loss.std() / len(loss) ** 0.5 + 1e-12


@pytest.mark.parametrize("kind", LOSSES)
def test_a_least_squares_fit_to_a_loss_is_the_exact_field(kind: str) -> None:
    """The loss is quadratic in (p, q): its stationary point is that of the exact field, within Monte-Carlo error."""
    t, (x0, x1, z) = 0.3, draw(100_000, 1)
    a, b, mu = exact(kind, t)

    def mean(w: Tensor) -> Tensor:
        model = lambda x, _: w[0] * (x - mu) + w[1]  # noqa: E731
        return getattr(objectives, kind)(model, BROWNIAN, x0, x1, t, z, **LOSSES[kind]).mean()

    start = torch.zeros(2, dtype=T)
    gradient, hessian = torch.func.grad(mean)(start), torch.func.hessian(mean)(start)
    found = -torch.linalg.solve(hessian, gradient)
    torch.testing.assert_close(found, torch.tensor([a, b], dtype=T), atol=0.03, rtol=0)


def test_a_pair_has_the_gradient_of_the_two_plain_losses() -> None:
    x0, x1, z = draw(16)
    t = torch.linspace(0.05, 0.95, 16, dtype=T)
    for kind, options in LOSSES.items():
        loss = getattr(objectives, kind)
        both = [
            loss(lambda x, s: torch.sin(x) + s[:, None], BROWNIAN, x0, x1, t, k * z, False, **options) for k in (1, -1)
        ]
        pair = loss(lambda x, s: torch.sin(x) + s[:, None], BROWNIAN, x0, x1, t, z, **options)
        torch.testing.assert_close(pair, (both[0] + both[1]) / 2, rtol=1e-12, atol=1e-12)


def test_at_the_ends_a_pair_is_its_limit_by_derivatives() -> None:
    """The velocity at t = 0: |f|^2 - 2 f.(x1 - x0) - 2 gamma gamma' z.(z.grad) f, gamma gamma' = 1/2; 1: -1/2."""
    x0, x1, z = draw(64)
    for t, rate in ((0.0, 0.5), (1.0, -0.5)):
        at = x1 if t else x0
        f, slope = torch.sin(at), torch.cos(at)
        limits = {
            "velocity": f**2 - 2 * f * (x1 - x0) - 2 * rate * z**2 * slope,
            "score": f**2 + 2 * z**2 * slope,
            "drift": f**2 - 2 * f * (x1 - x0) - 2 * (rate - 0.3) * z**2 * slope,
            "latent": f**2,
        }
        for kind, wanted in limits.items():
            loss = getattr(objectives, kind)(lambda x, _: torch.sin(x), BROWNIAN, x0, x1, t, z, **LOSSES[kind])
            torch.testing.assert_close(loss, wanted[:, 0], rtol=1e-8, atol=1e-8)


def test_single_precision_is_close_at_the_ends_too() -> None:
    x0, x1, z = draw(64)
    for t in (0.0, 1e-9, 1e-5, 0.5, 1.0):
        for kind, options in LOSSES.items():
            loss = getattr(objectives, kind)
            args = (BROWNIAN, x0, x1, t, z)
            exactly = loss(lambda x, _: torch.sin(x), *args, **options)
            args = (BROWNIAN, x0.float(), x1.float(), t, z.float())
            torch.testing.assert_close(
                loss(lambda x, _: torch.sin(x), *args, **options).double(), exactly, rtol=1e-3, atol=1e-3
            )


def test_standard_deviations_of_the_velocity_loss_near_an_end_grow_plain_and_stay_in_pairs() -> None:
    """Half the loss, |f|^2/2 - f.dI/dt, for independent x0, x1 ~ N(0, 1) and f(x) = 3x/2.

    As t falls the plain one grows as gamma' sd(f z) = 3/(4 sqrt(t)), and that of pairs tends to the standard deviation
    of (f^2/2 - f (x1 - x0) - z^2 f'/2): sqrt(2 (21/8)^2 + 9/4 + 9/8) = 4.14.
    """
    x0, x1, z = torch.randn(3, 1_000_000, 1, generator=torch.Generator().manual_seed(0), dtype=T)
    found = {
        antithetic: [
            objectives.velocity(lambda x, _: 1.5 * x, BROWNIAN, x0, x1, t, z, antithetic).std().item() / 2
            for t in (1e-1, 1e-2, 1e-3, 1e-4)
        ]
        for antithetic in (False, True)
    }
    assert found[False] == pytest.approx([3.56, 8.07, 23.95, 75.2], rel=0.01)
    assert found[True] == pytest.approx([3.43, 4.07, 4.14, math.sqrt(2 * (21 / 8) ** 2 + 27 / 8)], rel=0.01)


def test_gradients_reach_the_network_at_the_ends_and_inside() -> None:
    net = torch.nn.Linear(1, 1)
    x0, x1 = draw(8)[0].float(), draw(8)[1].float()
    t = torch.linspace(0, 1, 8)
    for kind in LOSSES:
        net.zero_grad()
        getattr(objectives, kind)(lambda x, _: net(x), BROWNIAN, x0, x1, t).mean().backward()
        assert net.weight.grad.isfinite().all()
        assert net.weight.grad.abs().sum() > 0


def test_heads_of_one_network_have_the_losses_of_two_and_conditions_pass_through() -> None:
    x0, x1, z = draw(8)
    t = torch.linspace(0.1, 0.9, 8, dtype=T)

    def model(x: Tensor, s: Tensor, shift: float) -> tuple[Tensor, Tensor]:
        return torch.sin(x) + shift, torch.cos(x) * s[:, None]

    both = objectives.bridge_losses(model, BROWNIAN, ("velocity", "latent"), x0, x1, t, z, shift=0.5)
    one = objectives.velocity(lambda x, s, shift: model(x, s, shift)[0], BROWNIAN, x0, x1, t, z, shift=0.5)
    torch.testing.assert_close(both["velocity"], one)
    torch.testing.assert_close(
        both["latent"], objectives.latent(lambda x, s: model(x, s, 0.5)[1], BROWNIAN, x0, x1, t, z)
    )


def test_a_loss_without_a_value_at_an_end_says_what_has_one() -> None:
    x0, x1, _ = draw(4)
    t = torch.tensor([0.5, 0.0, 0.5, 1.0])
    zero = lambda x, _: 0 * x  # noqa: E731
    with pytest.raises(symsi.EndpointError, match=r"plain velocity loss has no value at t = 0 .*antithetic=True.*quad"):
        objectives.velocity(zero, BROWNIAN, x0, x1, t, antithetic=False)
    with pytest.raises(symsi.EndpointError, match="objective latent = -gamma score, or antithetic=True"):
        objectives.score(zero, BROWNIAN, x0, x1, t, antithetic=False)
    with pytest.raises(symsi.EndpointError, match="t must lie in"):
        objectives.velocity(zero, BROWNIAN, x0, x1, torch.full((4,), 1.5))
    assert objectives.velocity(zero, "linear(gamma=quadratic)", x0, x1, t, antithetic=False).eq(0).all()
    assert objectives.drift(zero, "linear(gamma=quadratic)", x0, x1, t, antithetic=False).eq(0).all()


def test_what_does_not_fit_is_refused_in_words() -> None:
    x0, x1, z = draw(4)
    with pytest.raises(symsi.SymsiError, match=r"one shape, row i of x0 with row i of x1; got \(4, 1\), \(3, 1\)"):
        objectives.velocity(lambda x, _: x, BROWNIAN, x0, x1[:3], 0.5)
    with pytest.raises(symsi.ModelError, match=r"velocity must be a tensor like x, \(4, 1\); got \(4,\)"):
        objectives.velocity(lambda x, _: x[:, 0], BROWNIAN, x0, x1, 0.5, z)
    with pytest.raises(symsi.ModelError, match="a tuple of 2 tensors, velocity, latent; got Tensor"):
        objectives.bridge_losses(lambda x, _: x, BROWNIAN, ("velocity", "latent"), x0, x1, 0.5)
    with pytest.raises(symsi.UnknownNameError, match="Did you mean 'forward'"):
        objectives.drift(lambda x, _: x, BROWNIAN, x0, x1, 0.5, direction="forwards")


@pytest.mark.parametrize("law", objectives.LAWS)
def test_a_law_of_times_gives_the_integral_over_all_times(law: str) -> None:
    t, weight = objectives.times(20_000, law, torch.Generator().manual_seed(0))
    assert t.min() >= 0
    assert t.max() <= 1
    assert (weight * t**2).mean().item() == pytest.approx(1 / 3, abs=1e-4)


def test_under_the_arcsine_law_the_variance_of_a_plain_brownian_loss_is_finite() -> None:
    """int gamma'^2/p dt = pi int (1 - 2t)^2/(4 sqrt(t (1 - t))) dt = pi^2/8."""
    t, weight = objectives.times(200_000, "arcsine", torch.Generator().manual_seed(0))
    rate = symsi.interpolant_kernels(BROWNIAN).coefficients(t)["gamma_dot"]
    assert (weight * rate).square().mean().item() == pytest.approx(math.pi**2 / 8, rel=1e-3)
    with pytest.raises(symsi.UnknownNameError):
        objectives.times(4, "gaussian")
    with pytest.raises(symsi.SymsiError, match="count must be 1 or more"):
        objectives.times(0)

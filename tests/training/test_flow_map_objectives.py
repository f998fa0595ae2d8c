"""Objectives of flow maps against closed forms on Gaussian data, under three schedules, to rounding.

Data is N(0, LAMBDA), g^2 = alpha^2 + LAMBDA beta^2, k = g'/g: the exact map is X_{s,t}(x) = (g_t/g_s) x.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import symsi
from symsi import objectives

LAMBDA, EPSILON = 0.3, 0.7
TIGHT = {"rtol": 1e-11, "atol": 1e-12}


class Gaussian:
    """The exact map, its velocity and its interpolant under a schedule."""

    def __init__(self, schedule: str) -> None:
        self.schedule = schedule
        self._pair = symsi.kernels(schedule).functions["schedule"]

    def g(self, t: Tensor) -> Tensor:
        found = self._pair(t)
        return (found["alpha"].square() + LAMBDA * found["beta"].square()).sqrt()

    def k(self, t: Tensor) -> Tensor:
        value, rate = torch.func.jvp(self.g, (t,), (torch.ones_like(t),))
        return rate / value

    def v(self, x: Tensor, t: Tensor) -> Tensor:
        return self.k(t)[:, None] * x

    def u(self, x: Tensor, s: Tensor, t: Tensor) -> Tensor:
        same = s == t
        span = torch.where(same, 1.0, t - s)
        return torch.where(same, self.k(s), (self.g(t) / self.g(s) - 1) / span)[:, None] * x

    def off(self, x: Tensor, s: Tensor, t: Tensor) -> Tensor:
        return self.u(x, s, t) + EPSILON

    def interpolant(self, z: Tensor, y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """I_t and its derivative."""

        def state(r: Tensor) -> Tensor:
            found = self._pair(r)
            return found["alpha"][:, None] * z + found["beta"][:, None] * y

        return torch.func.jvp(state, (t,), (torch.ones_like(t),))

    def floor(self, t: Tensor) -> Tensor:
        """L_b = (alpha' beta - alpha beta')^2 LAMBDA/g^2."""
        pair, rate = torch.func.jvp(lambda r: torch.stack(list(self._pair(r).values())), (t,), (torch.ones_like(t),))
        return (rate[0] * pair[1] - pair[0] * rate[1]).square() * LAMBDA / self.g(t).square()


@pytest.fixture(params=["linear", "trigonometric", "vp"])
def data(request: pytest.FixtureRequest) -> Gaussian:
    return Gaussian(request.param)


@pytest.fixture
def draw() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x, and s < q < t, away from the ends."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(6, 2, dtype=torch.float64, generator=generator)
    times = 0.05 + 0.9 * torch.rand(3, 6, dtype=torch.float64, generator=generator).sort(0).values
    return x, times[0], times[1], times[2]


Draw = tuple[Tensor, Tensor, Tensor, Tensor]


def residuals(data: Gaussian, u: Callable[..., Tensor], draw: Draw) -> dict[str, Tensor]:
    x, s, q, t = draw
    v = data.v
    return {
        "lagrangian": objectives.lagrangian(u, v, x, s, t),
        "eulerian": objectives.eulerian(u, v, x, s, t),
        "eulerian, stopped": objectives.eulerian(u, v, x, s, t, stop=True),
        "progressive": objectives.progressive(u, data.u, x, s, q, t),
        "lsd": objectives.lsd(u, x, s, t),
        "esd": objectives.esd(u, x, s, t),
        "psd": objectives.psd(u, x, s, q, t),
        "shortcut": objectives.shortcut(u, x, s, (t - s) / 2),
        "velocity": objectives.diagonal(u, x, t, v(x, t)),
        "mean flow": objectives.mean_flow(u, x, s, t, v(x, s)),
        "inverse": objectives.map_matching(u, x, s, t, v(x, t))[1],
        "map matching": objectives.map_matching(u, x, s, t, v(x, t))[0],
    }


def test_every_objective_is_zero_at_the_exact_map(data: Gaussian, draw: Draw) -> None:
    for name, residual in residuals(data, data.u, draw).items():
        assert residual.shape == draw[0].shape
        assert residual.abs().max() < 1e-12, name


def test_a_shifted_map_has_the_residuals_of_the_closed_forms(data: Gaussian, draw: Draw) -> None:
    _, s, q, t = draw
    g, k, e = data.g, data.k(t), EPSILON
    half = (s + t) / 2
    wanted = {
        "lagrangian": e * (1 - (t - s) * k),
        "eulerian": -e * torch.ones_like(s),
        "eulerian, stopped": -e * torch.ones_like(s),
        "progressive": e * (t - s),
        "lsd": -e * (t - s) * k,
        "esd": e * (g(t) / g(s) - 1),
        "psd": -e * (q - s) / (t - s) * (g(t) / g(q) - 1),
        "shortcut": -e * (half - s) / (t - s) * (g(t) / g(half) - 1),
        "velocity": e * torch.ones_like(s),
        "mean flow": e * torch.ones_like(s),
        "inverse": e * (t - s) * (1 - g(t) / g(s)),
        "map matching": e * (1 - (t - s) * k * g(t) / g(s)),
    }
    found = residuals(data, data.off, draw)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert torch.allclose(found[name], value[:, None].expand_as(found[name]), **TIGHT), name


def over_noise_and_data(data: Gaussian, residual: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """E r^2 of a residual that is linear in (I, I'), from its two coefficients."""
    t = torch.linspace(0.1, 0.9, 5, dtype=torch.float64)
    one, zero = torch.ones(5, 1, dtype=torch.float64), torch.zeros(5, 1, dtype=torch.float64)
    of_noise, of_data = residual(*data.interpolant(one, zero, t)), residual(*data.interpolant(zero, one, t))
    return (of_noise.square() + LAMBDA * of_data.square()).flatten()


def test_velocity_and_map_matching_have_the_floor_that_no_map_goes_below(data: Gaussian) -> None:
    t = torch.linspace(0.1, 0.9, 5, dtype=torch.float64)
    s = t.flip(0) * 0.9
    for found in (
        over_noise_and_data(data, lambda x, rate: objectives.diagonal(data.u, x, t, rate)),
        over_noise_and_data(data, lambda x, rate: objectives.map_matching(data.u, x, s, t, rate)[0]),
    ):
        assert torch.allclose(found, data.floor(t), **TIGHT)


def test_mean_flow_never_vanishes_and_its_floor_is_the_velocitys_stretched(data: Gaussian) -> None:
    s = torch.linspace(0.1, 0.9, 5, dtype=torch.float64)
    t = s + 0.07
    found = over_noise_and_data(data, lambda x, rate: objectives.mean_flow(data.u, x, s, t, rate))
    assert torch.allclose(found, (data.g(t) / data.g(s)).square() * data.floor(s), **TIGHT)


def test_consistency_is_of_second_order_in_the_step_of_its_teacher(data: Gaussian, draw: Draw) -> None:
    x, s, _, _ = draw
    s = s * 0.5
    sizes = [objectives.consistency(data.u, data.v, x, s, s + h).norm() for h in (2e-3, 1e-3)]
    assert abs(float(torch.log2(sizes[0] / sizes[1])) - 2) < 0.02


def test_the_published_slip_is_not_zero_at_the_exact_map(draw: Draw) -> None:
    """The derivative in t taken at X_{s,t}(x), where it belongs at x."""
    data = Gaussian("linear")
    x, s, _, t = draw
    moved = x + (t - s)[:, None] * data.u(x, s, t)
    slipped = objectives.lagrangian(data.u, lambda _, r: data.v(moved, r), moved, s, t)
    assert slipped.abs().max() > 1e-2


def rough(data: Gaussian) -> Callable[..., Tensor]:
    """A map that is none of any flow."""
    return lambda x, s, t: data.u(x, s, t) + 0.2 * torch.sin(x + 2 * s[:, None] - t[:, None])


@pytest.mark.parametrize("target", ["trigonometric", "vp"])
def test_residuals_of_any_map_are_covariant_under_conversion(target: str, draw: Draw) -> None:
    base, other = Gaussian("linear"), Gaussian(target)
    x, s, q, t = draw
    flow = symsi.FlowMap(rough(base), schedule="linear").convert(target)
    kernels = symsi.kernels(symsi.convert("linear", target))
    at = {name: kernels.coefficients(r) for name, r in (("s", s), ("q", q), ("t", t))}
    c, tau, rate = ({n: f[key][:, None] for n, f in at.items()} for key in ("scale", "time", "time_rate"))
    y = x / c["s"]
    inner = [tau[n][:, 0] for n in ("s", "q", "t")]
    u, own = flow.function, rough(base)
    for found, wanted in (
        (
            objectives.lagrangian(u, other.v, x, s, t),
            c["t"] * rate["t"] * objectives.lagrangian(own, base.v, y, inner[0], inner[2]),
        ),
        (
            objectives.eulerian(u, other.v, x, s, t),
            c["t"] * rate["s"] * objectives.eulerian(own, base.v, y, inner[0], inner[2]),
        ),
        (
            (t - s)[:, None] * objectives.psd(u, x, s, q, t),
            c["t"] * (inner[2] - inner[0])[:, None] * objectives.psd(own, y, *inner),
        ),
    ):
        assert torch.allclose(found, wanted, rtol=1e-9, atol=1e-10)


def test_the_error_of_any_map_is_the_integral_of_its_eulerian_residual(data: Gaussian, draw: Draw) -> None:
    x, s, _, t = draw
    u = rough(data)
    nodes, weights = gauss_legendre(24)
    total = torch.zeros_like(x)
    for node, weight in zip(nodes, weights, strict=True):
        q = s + (t - s) * node
        on_path = (data.g(q) / data.g(s))[:, None] * x
        total += weight * (t - s)[:, None] * objectives.eulerian(u, data.v, on_path, q, t)
    error = x + (t - s)[:, None] * u(x, s, t) - (data.g(t) / data.g(s))[:, None] * x
    assert torch.allclose(error, -total, **TIGHT)


def gauss_legendre(count: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights on [0, 1], by the eigenvalues of the Jacobi matrix."""
    k = torch.arange(1, count, dtype=torch.float64)
    off = k / (4 * k * k - 1).sqrt()
    values, vectors = torch.linalg.eigh(torch.diag(off, 1) + torch.diag(off, -1))
    return (values + 1) / 2, vectors[0].square()


def gradient(build: Callable[[Tensor], Tensor]) -> Tensor:
    weight = torch.tensor(0.2, dtype=torch.float64, requires_grad=True)
    build(weight).backward()
    assert weight.grad is not None
    return weight.grad


def test_targets_that_are_stopped_carry_no_gradient(draw: Draw) -> None:
    data = Gaussian("linear")
    x, s, q, t = draw

    def scaled(weight: Tensor) -> Callable[..., Tensor]:
        return lambda y, a, b: data.u(y, a, b) + weight * y

    def alone(weight: Tensor) -> Tensor:
        """The network's own term against what the stopped terms are."""
        target = (scaled(weight)(x, s, t) - objectives.psd(scaled(weight), x, s, q, t)).detach()
        return (scaled(weight)(x, s, t) - target).square().mean()

    whole = gradient(lambda w: objectives.loss(objectives.psd(scaled(w), x, s, q, t)))
    assert torch.allclose(whole, gradient(alone), rtol=1e-12)
    teacher = gradient(lambda w: objectives.loss(objectives.lagrangian(scaled(w), data.v, x, s, t)) + 0 * w)
    both = gradient(
        lambda w: objectives.loss(objectives.lagrangian(scaled(w), lambda y, r: data.v(y, r) * (1 + 0 * w), x, s, t))
    )
    assert torch.equal(teacher, both)


def test_a_learned_weight_is_the_log_of_the_loss_at_its_best() -> None:
    residual = torch.full((3, 2), 0.5, dtype=torch.float64)
    w = torch.full((3,), 0.25, dtype=torch.float64).log().requires_grad_()
    objectives.loss(residual, w).backward()
    assert w.grad is not None
    assert w.grad.abs().max() < 1e-15


def test_residuals_that_are_not_finite_and_steps_past_the_end_are_refused(draw: Draw) -> None:
    x, s, _, _ = draw
    with pytest.raises(symsi.SymsiError, match="nan or infinite"):
        objectives.loss(x * float("nan"))
    with pytest.raises(symsi.SymsiError, match="at most 1"):
        objectives.shortcut(Gaussian("linear").u, x, s, torch.full_like(s, 0.9))


def test_a_stopped_lagrangian_is_the_lagrangian_and_moves_u_alone() -> None:
    case, x = Gaussian("linear"), torch.linspace(-1, 1, 4, dtype=torch.float64)[:, None]
    s = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    t = s + 0.5
    level = torch.tensor(0.2, dtype=torch.float64, requires_grad=True)

    def u(x: Tensor, s: Tensor, t: Tensor) -> Tensor:
        return case.u(x, s, t) + level * t[:, None]

    stopped, whole = (objectives.lagrangian(u, case.v, x, s, t, stop=stop) for stop in (True, False))
    torch.testing.assert_close(stopped, whole, **TIGHT)
    (slope,) = torch.autograd.grad(stopped.sum(), level)
    torch.testing.assert_close(slope, t.sum(), **TIGHT)  # du/dlevel, not d(u + (t - s) u')/dlevel


def test_roughness_tells_an_embedding_that_turns_too_fast() -> None:
    s = torch.linspace(0.1, 0.4, 50, dtype=torch.float64)
    x = torch.ones(50, 2, dtype=torch.float64)

    def u(x: Tensor, s: Tensor, t: Tensor) -> Tensor:
        return torch.sin(2 * torch.pi * 500 * s + 1)[:, None] * x + torch.sin(2 * torch.pi * t)[:, None] * x

    by_s, by_t = objectives.roughness(u, x, s, s + 0.5)
    assert by_s > 0.9
    assert abs(by_t - (2 * torch.pi * 0.01) ** 2 / 6) < 1e-6  # of a sine
    assert objectives.roughness(lambda x, s, t: x, x, s, s + 0.5) == (0.0, 0.0)


class _Backward(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def setup_context(ctx: object, inputs: object, output: object) -> None:
        """Nothing is kept."""

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return gradient


class Kernel(torch.nn.Module):
    """A layer with a hand-written backward pass alone."""

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = _Backward.apply(x)
        return found


def test_a_layer_without_a_forward_derivative_is_named() -> None:
    x, s, t = torch.ones(2, 1), torch.zeros(2), torch.ones(2)
    net = torch.nn.Sequential(torch.nn.Linear(1, 1), Kernel())
    with pytest.raises(symsi.SymsiError, match=r"its layer Kernel does not give.*Use psd"):
        objectives.lsd(lambda x, s, t: net(x * t[:, None]), x, s, t)
    objectives.psd(lambda x, s, t: net(x * t[:, None]), x, s, t / 2, t)


def test_what_fails_without_a_derivative_too_fails_as_it_is() -> None:
    x, s, t = torch.ones(2, 1), torch.zeros(2), torch.ones(2)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        objectives.lsd(lambda x, s, t: torch.nn.functional.linear(x * t[:, None], torch.ones(3, 2)), x, s, t)

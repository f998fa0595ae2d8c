"""Flow maps as values: what they are at the diagonal, composed, converted, sampled, and what they refuse."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import symsi
from symsi.coefficients.flow_map import map_coefficients

SCHEDULES = ("linear", "trigonometric", "vp")
LAMBDA = 0.3


def gaussian_map(schedule: str, variance: float = LAMBDA) -> symsi.FlowMap:
    """u_{s,t} of data N(0, variance), whose map is sqrt(S_t/S_s) x (T8); at s = t the velocity, by its formula."""
    kernels = symsi.kernels(schedule)

    def u(x: Tensor, s: Tensor, t: Tensor) -> Tensor:
        later = torch.where(s == t, s * 0 + 0.5 * (s < 0.4) + 0.25 * (s >= 0.4), t)
        slope = (kernels.gaussian_flow(x, s, later, 0.0, variance) - x) / (later - s).reshape(-1, *[1] * (x.ndim - 1))
        diagonal = velocity(schedule, x, s, variance)
        return torch.where((s == t).reshape(-1, *[1] * (x.ndim - 1)), diagonal, slope)

    return symsi.FlowMap(u, schedule=schedule)


def velocity(schedule: str, x: Tensor, t: Tensor, variance: float) -> Tensor:
    """v = (S'/2S) x, S' by central differences in float64."""
    kernels, h = symsi.kernels(schedule), 1e-5
    low, high = (t - h).clamp(0, 1), (t + h).clamp(0, 1)
    lower, upper = (kernels.gaussian_flow(x, t, v, 0.0, variance) for v in (low, high))
    return (upper - lower) / (high - low).reshape(-1, *[1] * (x.ndim - 1))


@pytest.fixture
def x() -> Tensor:
    return torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_the_map_is_x_bit_for_bit_where_both_times_are_one(x: Tensor) -> None:
    assert torch.equal(gaussian_map("linear")(x, 0.5, 0.5), x)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_composition_of_an_exact_map_is_the_map(schedule: str, x: Tensor) -> None:
    flow = gaussian_map(schedule)
    assert torch.allclose(flow.composed(x, 0.1, 0.45, 0.9), flow(x, 0.1, 0.9), rtol=1e-13, atol=0)


@pytest.mark.parametrize("target", SCHEDULES)
@pytest.mark.parametrize("base", SCHEDULES)
def test_a_converted_map_of_gaussian_data_is_that_of_the_other_schedule(base: str, target: str, x: Tensor) -> None:
    found, wanted = gaussian_map(base).convert(target), gaussian_map(target)
    s, t = torch.rand(2, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).sort(0).values
    assert torch.allclose(found(x, s, t), wanted(x, s, t), rtol=1e-12, atol=1e-12)


def test_the_diagonal_of_a_converted_map_is_the_velocity_of_the_other_schedule(x: Tensor) -> None:
    found = gaussian_map("linear").convert("trigonometric").velocity(x, 0.37)
    t = torch.full((5,), 0.37, dtype=torch.float64)
    assert torch.allclose(found, velocity("trigonometric", x, t, LAMBDA), rtol=1e-8, atol=1e-8)


def test_on_the_diagonal_a_conversion_has_the_derivative_of_the_velocitys() -> None:
    """tan(pi t/2) = tau/(1 - tau) and C = cos + sin: v_bar = (C'/C) x + C tau' v with tau' = pi/(2 C^2)."""
    found = map_coefficients(symsi.schedule("linear"), symsi.schedule("trigonometric"))
    t = torch.tensor([0.3, 0.8, 1.0], dtype=torch.float64)
    start = t.clone().requires_grad_()
    row = found(start, t)
    angle = math.pi / 2 * t
    size, turn = angle.cos() + angle.sin(), angle.cos() - angle.sin()
    torch.testing.assert_close(row.state.detach(), math.pi / 2 * turn / size)
    torch.testing.assert_close(row.prediction.detach(), math.pi / 2 / size)
    (slope,) = torch.autograd.grad(row.prediction.sum(), start)
    torch.testing.assert_close(slope, -(math.pi**2) / 4 * turn / size**2)
    assert torch.autograd.grad(found(start, t).state.sum(), start)[0].isfinite().all()


def test_there_and_back_is_the_same_map(x: Tensor) -> None:
    flow = gaussian_map("linear")
    back = flow.convert("trigonometric").convert("linear")
    assert torch.allclose(back(x, 0.2, 0.8), flow(x, 0.2, 0.8), rtol=1e-12, atol=1e-13)


def test_the_lazy_map_of_unit_gaussian_data_is_the_identity(x: Tensor) -> None:
    assert torch.allclose(gaussian_map("linear", 1.0).convert("trigonometric")(x, 0.1, 0.9), x, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("steps", [1, 2, 5])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_samples_of_an_exact_map_are_exact_at_any_number_of_steps(schedule: str, steps: int) -> None:
    out = symsi.sample(gaussian_map(schedule), shape=(7, 3), steps=steps, dtype=torch.float64)
    z = symsi.sample(lambda x, t: x * 0, shape=(7, 3), steps=1, dtype=torch.float64).x
    assert out.nfe == steps
    assert torch.allclose(out.x, z * LAMBDA**0.5, rtol=1e-10)


def test_a_map_that_starts_late_starts_from_the_size_that_unit_data_has_there() -> None:
    flow, grid = gaussian_map("linear", 1.0), [0.2, 0.7, 1.0]
    plan = symsi.plan(flow, grid=grid)
    assert (plan.grid, plan.origin["grid"]) == (tuple(grid), "times")
    assert plan.start == pytest.approx(math.hypot(0.8, 0.2), rel=1e-15)
    assert symsi.plan(flow, steps=2).origin["grid"] == "uniform"
    z = symsi.sample(lambda x, t: x * 0, shape=(7, 3), steps=1, dtype=torch.float64).x
    torch.testing.assert_close(symsi.sample(flow, shape=(7, 3), plan=plan, dtype=torch.float64).x, z)


def test_a_solver_beside_a_map_solves_its_velocity() -> None:
    out = symsi.sample(gaussian_map("linear"), shape=(7, 3), solver="heun", steps=16, dtype=torch.float64)
    exact = symsi.sample(gaussian_map("linear"), shape=(7, 3), steps=1, dtype=torch.float64)
    assert out.nfe == 32
    assert torch.allclose(out.x, exact.x, atol=5e-3)


def test_samples_do_not_depend_on_the_batch() -> None:
    whole, parts = (symsi.sample(gaussian_map("linear"), shape=(7, 3), steps=2, batch=b).x for b in (7, 2))
    assert torch.equal(whole, parts)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda flow, x: flow(x, 0.5, 0.2), "forwards only.*s = 0.5, t = 0.2"),
        (lambda flow, x: flow(x, 0.5, 1.2), r"lie in \[0, 1\]; t is 1.2"),
        (lambda flow, x: flow(x, -0.5, 1.0), r"s is -0.5"),
        (lambda flow, x: flow(x, float("nan"), 1.0), r"s is nan"),
        (lambda flow, x: flow.convert("lazy(kappa=1)"), "one point"),
        (lambda flow, x: symsi.sample(flow, shape=(2, 3), steps=1, schedule="vp"), "leave schedule out"),
        (lambda flow, x: symsi.sample(flow, shape=(2, 3), steps=1, diffusion="optimal"), "leave diffusion out"),
        (lambda flow, x: symsi.FlowMap(3), "callable"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(
    call: Callable[[symsi.FlowMap, Tensor], object], words: str, x: Tensor
) -> None:
    with pytest.raises(symsi.SymsiError, match=words):
        call(gaussian_map("linear"), x)


def test_a_plan_of_a_map_is_refused_for_a_model_of_one_time() -> None:
    plan = symsi.plan(gaussian_map("linear"), steps=2)
    with pytest.raises(symsi.PlanError, match="two times"):
        symsi.sample(lambda x, t: x, shape=(2, 3), plan=plan)


def test_a_map_that_is_not_x_on_the_diagonal_is_told_by_how_much(x: Tensor) -> None:
    broken = symsi.FlowMap(lambda x, s, t: x / (t - s).reshape(-1, 1))
    with pytest.raises(symsi.SymsiError, match="differs from x by nan"):
        broken.check_identity(x)

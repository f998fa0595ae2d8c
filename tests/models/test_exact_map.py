"""Exact maps of mixtures on a line: against the ODE, a closed form and themselves, far into the tails."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import symsi

DATA = symsi.models.mixture([0.3, 0.5, 0.2], [[-1.5], [0.4], [2.0]], [0.05, 0.3, 0.1])
SCHEDULES = ("linear", "trigonometric", "vp")


@pytest.fixture
def x() -> Tensor:
    return torch.linspace(-9, 9, 31, dtype=torch.float64)[:, None]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_map_is_where_the_ode_goes(schedule: str, x: Tensor) -> None:
    model, apart = DATA.model("linear"), []
    flow = symsi.models.exact_map(DATA, "linear").convert(schedule).convert("linear")
    for steps in (64, 128):
        run = {"steps": steps, "solver": "heun", "dtype": torch.float64}
        out = symsi.sample(model, shape=(31, 1), start=x / 3, progress=False, **run).x
        apart.append(float((out - flow(x / 3, 0.0, 1.0)).abs().max()))
    assert apart[1] < 2e-3
    assert 3 < apart[0] / apart[1] < 5.5  # what is left is Heun's error, of order two


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_it_composes_inverts_and_is_the_velocity_on_the_diagonal(schedule: str, x: Tensor) -> None:
    flow = symsi.models.exact_map(DATA, schedule)
    whole = flow(x, 0.1, 0.9)
    torch.testing.assert_close(flow.composed(x, 0.1, 0.4, 0.9), whole, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(flow(whole, 0.9, 0.1), x, rtol=1e-9, atol=1e-10)
    near = flow.average(x, 0.5 - 1e-5, 0.5 + 1e-5)
    torch.testing.assert_close(flow.velocity(flow(x, 0.5 - 1e-5, 0.5), 0.5), near, rtol=1e-6, atol=1e-6)
    flow.check_identity(x)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_it_obeys_the_lagrangian_and_eulerian_equations_of_the_exact_velocity(schedule: str) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(16, 1, dtype=torch.float64, generator=generator)
    s, t = 0.02 + 0.96 * torch.rand(2, 16, dtype=torch.float64, generator=generator).sort(0).values
    exact, v = symsi.models.exact_map(DATA, schedule), DATA.model(schedule).function
    for residual in (symsi.objectives.lagrangian, symsi.objectives.eulerian):
        assert residual(exact.function, v, x, s, t).abs().max() < 1e-9


def test_of_one_component_it_is_the_gaussian_map_far_into_the_tails() -> None:
    flow, far = (
        symsi.models.exact_map(symsi.models.gaussian([0.7], 0.2)),
        torch.tensor([[-30.0], [30.0], [0.1]]).double(),
    )
    wanted = symsi.kernels("linear").gaussian_flow(far, 0.2, 0.7, 0.7, 0.2)
    torch.testing.assert_close(flow(far, 0.2, 0.7), wanted, rtol=1e-13, atol=1e-13)


def test_it_carries_noise_to_the_data() -> None:
    z = torch.special.ndtri((torch.arange(4000, dtype=torch.float64) + 0.5) / 4000)[:, None]
    made, real = symsi.models.exact_map(DATA)(z, 0.0, 1.0), DATA.sample(4000)
    assert symsi.metrics.energy_distance(made, real) < 5e-3
    assert bool((made.diff(dim=0) > 0).all())


def test_what_has_no_such_map_is_refused() -> None:
    with pytest.raises(symsi.SymsiError, match=r"of shape \(1,\)"):
        symsi.models.exact_map(symsi.models.gaussian([0.0, 1.0], 1.0))
    with pytest.raises(symsi.SymsiError, match="variance 0"):
        symsi.models.exact_map(symsi.models.mixture([0.5, 0.5], [[-1.0], [1.0]], [0.0, 0.1]))

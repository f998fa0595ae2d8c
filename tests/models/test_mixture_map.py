"""The exact map of a mixture: closed forms of a Gaussian, the ODE's identities, both ways."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import symsi
from symsi.models.analytic import gaussian, mixture
from symsi.models.mixture_map import mixture_map

LAW = mixture([0.35, 0.65], [[-1.5], [1.0]], [0.16, 0.09])
SCHEDULES = ("linear", "trigonometric", "vp")


@pytest.fixture
def draw() -> tuple[Tensor, Tensor, Tensor]:
    """x, and s < t."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(16, 1, dtype=torch.float64, generator=generator)
    s, t = 0.02 + 0.96 * torch.rand(2, 16, dtype=torch.float64, generator=generator).sort(0).values
    return x, s, t


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_gaussian_is_stretched(schedule: str, draw: tuple[Tensor, Tensor, Tensor]) -> None:
    x, s, t = draw
    pair = symsi.kernels(schedule).functions["schedule"]

    def g(r: Tensor) -> Tensor:
        return (pair(r)["alpha"].square() + 0.3 * pair(r)["beta"].square()).sqrt()[:, None]

    found = mixture_map(gaussian([0.0], 0.3), schedule)(x, s, t)
    torch.testing.assert_close(found, g(t) / g(s) * x, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_it_obeys_the_lagrangian_and_eulerian_equations_of_the_exact_velocity(
    schedule: str, draw: tuple[Tensor, Tensor, Tensor]
) -> None:
    x, s, t = draw
    exact, v = mixture_map(LAW, schedule), LAW.model(schedule).function
    for residual in (symsi.objectives.lagrangian, symsi.objectives.eulerian):
        assert residual(exact.function, v, x, s, t).abs().max() < 1e-9
    assert torch.equal(exact.velocity(x, t), v(x, t))


def test_it_goes_both_ways_from_end_to_end() -> None:
    exact, x = mixture_map(LAW), torch.linspace(-4, 4, 33, dtype=torch.float64)[:, None]
    y = exact(x, 0.0, 1.0)
    assert bool((y.diff(dim=0) > 0).all())  # paths do not cross
    torch.testing.assert_close(exact(y, 1.0, 0.0), x, rtol=0, atol=1e-10)
    torch.testing.assert_close(exact.composed(x, 0.0, 0.4, 1.0), y, rtol=0, atol=1e-10)


def test_more_than_one_number_is_refused() -> None:
    with pytest.raises(symsi.SymsiError, match=r"of one number; samples of this law have the shape \(2,\)"):
        mixture_map(gaussian([0.0, 0.0], 1.0))

"""Paths between schedules, and the noise that drove them (T5, T7)."""

import pytest
import torch

import symsi
from symsi.models.analytic import mixture
from symsi.models.reference import isotropic
from symsi.sampling.noise import standard_normal

MODEL = mixture([0.5, 0.5], [[1.0, 0.0], [-1.0, 0.5]], [0.1, 0.3]).model()
OPTIONS = {"shape": 3, "steps": 7, "trajectory": True, "dtype": torch.float64, "progress": False, "last": "step"}


def path_of(schedule: str, **options: str) -> tuple[symsi.Path, symsi.SampleResult]:
    result = symsi.sample(MODEL, schedule=schedule, **OPTIONS, **options)
    assert result.path is not None
    start = standard_normal(0, range(3), 0, (2,), dtype=torch.float64)
    return symsi.Path(symsi.schedule(schedule), result.plan.grid, result.path, start), result


@pytest.mark.parametrize(
    ("schedule", "options"),
    [
        ("linear", {"solver": "ab2"}),
        ("lazy(kappa=1)", {"diffusion": "optimal"}),
        ("trigonometric", {"diffusion": "alpha", "solver": "ab2-maruyama"}),
    ],
)
def test_a_path_goes_around_the_schedules_and_comes_back(schedule: str, options: dict[str, str]) -> None:
    path, result = path_of(schedule, **options)
    around = path
    for other in ("trigonometric", "vp", "lazy(kappa=1)", "lazy(kappa=1/2)", schedule):
        around = symsi.convert_path(around, other)
    assert around.times == pytest.approx(path.times, abs=1e-12)
    torch.testing.assert_close(around.states, path.states, rtol=0, atol=1e-12)
    if "diffusion" in options:
        noise = symsi.recover_noise(around, result.plan, MODEL)
        drawn = [standard_normal(0, range(3), k, (2,), dtype=torch.float64) for k in range(1, 8)]
        torch.testing.assert_close(noise, torch.stack(drawn), rtol=0, atol=1e-12)


def test_a_converted_ode_path_solves_the_ode_of_the_other_schedule() -> None:
    """Not only there and back: a fine path of linear, converted, is a fine path of the angle."""
    fine = symsi.sample(MODEL, schedule="linear", solver="heun", **(OPTIONS | {"steps": 400}))
    assert fine.path is not None
    start = standard_normal(0, range(3), 0, (2,), dtype=torch.float64)
    path = symsi.Path(symsi.schedule("linear"), fine.plan.grid, fine.path, start)
    found = symsi.convert_path(path, "trigonometric")
    options = OPTIONS | {"steps": None}
    other = symsi.sample(MODEL, schedule="trigonometric", solver="heun", grid=found.times, **options)
    assert other.path is not None
    torch.testing.assert_close(found.states, other.path, rtol=0, atol=2e-5)


def test_recovered_noise_drives_a_sampler_along_the_same_path() -> None:
    path, result = path_of("trigonometric", diffusion="alpha")
    noise = symsi.recover_noise(path, result.plan, MODEL)
    again = symsi.sample(MODEL, schedule="trigonometric", diffusion="alpha", noise=noise, **OPTIONS)
    torch.testing.assert_close(again.x, result.x, rtol=0, atol=1e-12)
    other = symsi.sample(MODEL, schedule="trigonometric", diffusion="alpha", noise=-noise, **OPTIONS)
    assert float((other.x - result.x).abs().max()) > 0.1


def test_a_path_of_a_truncated_schedule_starts_where_it_does() -> None:
    schedule = symsi.schedule("edm(high=10)")
    states = torch.randn(3, 2, 4, dtype=torch.float64)
    path = symsi.Path(schedule, (0.0, 0.5, 1.0), states, states[0])
    found = symsi.convert_path(path, "linear")
    assert found.times == pytest.approx((1 / 11, 1 / 6, 1.0))
    torch.testing.assert_close(found.states, states * torch.tensor([1 / 11, 1 / 6, 1.0]).double()[:, None, None])
    torch.testing.assert_close(symsi.convert_path(found, schedule).states, states)


def test_what_cannot_be_converted_or_recovered_is_refused() -> None:
    path, _ = path_of("linear")
    late = symsi.Path(symsi.lazy_schedule(kappa=1), path.times[1:], path.states[1:], path.start)
    with pytest.raises(symsi.SymsiError, match="starts at"):
        symsi.convert_path(late, "vp")
    with pytest.raises(symsi.SymsiError, match="8 times and 7 states"):
        symsi.convert_path(symsi.Path(path.schedule, path.times, path.states[1:], path.start), "vp")
    with pytest.raises(symsi.SymsiError, match="grid is not the path's"):
        symsi.recover_noise(path, symsi.plan("linear", steps=3), MODEL)
    around_a_mean = symsi.plan("linear", steps=7, solver="euler", reference=isotropic(1, 0.7), shape=(2,))
    with pytest.raises(symsi.SymsiError, match="modes of a reference"):
        symsi.recover_noise(path, around_a_mean, MODEL)


def test_heun_has_one_noise_a_step_and_it_is_zero() -> None:
    path, result = path_of("linear", solver="heun")
    noise = symsi.recover_noise(path, result.plan, MODEL)
    assert noise.shape == (7, 3, 2)
    assert float(noise.abs().max()) == 0

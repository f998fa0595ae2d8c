"""What is sampled where nobody says how: networks of noise under ddpm in their own schedule, beside DDIM."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch

import symsi
from symsi.bench.advice import MODELS, distances
from symsi.bench.ddim import SPACINGS, ddim
from symsi.solvers.advice import advice

QUIET: dict[str, Any] = {"progress": False}


def model(schedule: str, prediction: str) -> symsi.Model:
    return symsi.models.gaussian([0.3, -0.2], 0.25).model(schedule, prediction)


@pytest.fixture(scope="module")
def eight() -> dict[tuple[str, int], float]:
    found = distances("8gaussians", (3, 4, 5, 6, 8, 10, 20, 50), samples=300)
    assert found["doubt"] < 0.002
    return {(row["method"], row["nfe"]): row["rms"] for row in found["rows"]}


def test_defaults_on_eight_gaussians_are_no_worse_than_ddim_at_any_number_of_steps(eight: dict) -> None:
    for nfe in (3, 4, 5, 6, 8, 10, 20, 50):
        assert eight["defaults", nfe] <= min(eight[f"DDIM, {spacing}", nfe] for spacing in SPACINGS)


def test_defaults_converge_monotonically(eight: dict) -> None:
    errors = [far for (method, _), far in eight.items() if method == "defaults"]
    assert all(after < before for before, after in pairwise(errors))


def test_defaults_of_the_noise_network_that_ships_are_no_worse_than_ddim() -> None:
    network = MODELS["fashion28-noise"]()
    options: dict[str, Any] = {"shape": 8, "conditions": network.in_turn(8), "seed": 3, **QUIET}
    truth = symsi.sample(network, steps=100, **options).x

    def far(plan: symsi.Plan) -> float:
        return float((symsi.sample(network, plan=plan, **options).x - truth).square().mean().sqrt())

    errors = [far(symsi.plan(network, steps=n)) for n in (4, 6, 10)]
    for n, error in zip((4, 6, 10), errors, strict=True):
        assert error < min(far(ddim(network, n, spacing)) for spacing in SPACINGS)
    assert errors[0] > errors[1] > errors[2]


@pytest.mark.parametrize("prediction", ["noise", "score"])
@pytest.mark.parametrize("schedule", ["ddpm", "ddpm(B=12)"])
def test_a_noise_network_keeps_its_schedule_on_an_eased_grid(schedule: str, prediction: str) -> None:
    network = model(schedule, prediction)
    assert str(advice(network).schedule) == schedule
    plan = symsi.plan(network, steps=4)
    assert plan.origin["grid"] == "eased"
    assert plan.grid == pytest.approx([1 - (1 - k / 4) ** 1.15 for k in range(5)], abs=1e-15)
    assert symsi.plan(network, steps=4, grid="uniform").grid == pytest.approx([0, 0.25, 0.5, 0.75, 1])
    assert symsi.plan(network, schedule="trigonometric", steps=4).origin["grid"] == "uniform"
    assert symsi.plan(network, diffusion="optimal", steps=4).origin["grid"] == "uniform"


@pytest.mark.parametrize(
    ("schedule", "prediction"), [("linear", "velocity"), ("ddpm", "velocity"), ("ddpm", "data"), ("edm", "noise")]
)
def test_all_others_are_sampled_as_ever(schedule: str, prediction: str) -> None:
    network = model(schedule, prediction)
    assert symsi.plan(network, steps=3).origin["grid"] == "uniform"
    found = advice(network)
    assert (str(found.schedule), found.grid) == ("trigonometric", "shifted(shift=2)")


def test_ddim_is_euler_in_noise_and_data() -> None:
    network = model("ddpm", "noise")
    found = ddim(network, 4, "trailing")
    assert found.grid == pytest.approx([0, 0.25, 0.5, 0.75, 1])
    table = symsi.tabulate(symsi.convert("ddpm", "ddpm"), found.grid, ("alpha", "beta"))
    generator = torch.Generator().manual_seed(0)
    x = start = torch.randn(5, 2, generator=generator, dtype=torch.float64)
    for k, (t, a, b) in enumerate(zip(found.grid[:-1], table["alpha"], table["beta"], strict=False)):
        noise = network(x, torch.tensor(t))
        x = table["beta"][k + 1] * (x - a * noise) / b + table["alpha"][k + 1] * noise
    run = symsi.sample(network, shape=(5, 2), plan=found, start=start, dtype=torch.float64, **QUIET)
    torch.testing.assert_close(run.x, x, rtol=1e-9, atol=1e-9)
    with pytest.raises(symsi.SymsiError, match="DDIM is written for noise predictions"):
        ddim(model("linear", "velocity"), 4)


def test_timesteps_of_ddim_are_those_of_diffusers() -> None:
    diffusers = pytest.importorskip("diffusers")
    for spacing in SPACINGS:
        scheduler = diffusers.DDIMScheduler(timestep_spacing=spacing)
        for steps in (3, 4, 10):
            scheduler.set_timesteps(steps)
            assert SPACINGS[spacing](steps) == scheduler.timesteps.tolist(), (spacing, steps)


@pytest.mark.parametrize(("schedule", "prediction"), [("ddpm", "noise"), ("vp", "data"), ("linear", "data")])
def test_heun_lands_where_its_field_has_no_limit_at_the_data(schedule: str, prediction: str) -> None:
    network = model(schedule, prediction)
    plan = symsi.plan(network, solver="heun", steps=8)
    assert plan.evaluations == 15
    assert (plan.stages[-1].step, plan.stages[-1].keep) == (8, 0.0)
    whole = symsi.plan(network, solver="heun", grid=[0.0, 0.3, 0.6, 0.9])
    assert whole.evaluations == 6
    options: dict[str, Any] = {"shape": (64, 2), "seed": 1, "dtype": torch.float64, **QUIET}
    truth = symsi.sample(network, solver="ab3", steps=800, **options).x
    errors = [
        float((symsi.sample(network, solver="heun", steps=n, **options).x - truth).square().mean().sqrt())
        for n in (8, 16, 32)
    ]
    assert errors[2] < 0.7 * errors[1] < 0.5 * errors[0]


def test_a_fitted_solver_of_a_noise_network_learns_in_its_own_schedule(eight: dict) -> None:
    network = replace(MODELS["8gaussians"](), shape=(2,))
    plans = symsi.fit_solver(network, [3, 5], samples=64, **QUIET)
    assert isinstance(plans, dict)
    options: dict[str, Any] = {"shape": 300, "seed": 0, **QUIET}
    truth = symsi.sample(network, steps=256, **options).x
    for n, plan in plans.items():
        far = float((symsi.sample(network, plan=plan, **options).x - truth).square().mean().sqrt())
        assert far < eight["defaults", n]

"""Plans of bridges: their numbers by hand, both ways, kept in files, and grids that go one way."""

from pathlib import Path
from typing import Any

import pytest
import torch

import symsi

MODEL = symsi.BridgeModel(lambda x, t: (x, x), "linear(gamma=quadratic)")


def test_forward_and_backward_rows_are_the_drifts_and_the_noise_of_each_step() -> None:
    """epsilon = gamma: b_F = v - eta_z, b_B = v + eta_z, and noise sqrt(2 gamma |h|)."""
    for direction, sign, grid in (("forward", -1.0, (0.0, 0.25, 1.0)), ("backward", 1.0, (1.0, 0.25, 0.0))):
        plan = symsi.bridge_plan(MODEL, direction=direction, diffusion="gamma", grid=[0, 0.25, 1])
        assert plan.grid == grid
        assert [stage.time for stage in plan.stages] == list(grid[:-1])
        assert all(stage.asks == ("velocity", "latent") and stage.gains == (1.0, sign) for stage in plan.stages)
        assert [stage.weights for stage in plan.stages] == [(grid[1] - grid[0],), (grid[2] - grid[1],)]
        expected = [0.0, (2 * 0.25 * 0.75 * abs(grid[2] - grid[1])) ** 0.5]
        assert [float(stage.noise) for stage in plan.stages] == pytest.approx(expected, abs=1e-15)


def test_the_diffusion_of_brownian_bridges_is_a_half_of_gammas_constant() -> None:
    model = symsi.BridgeModel(lambda x, t: (x, x), "linear(gamma=sqrt(3*t*(1-t)))", ("velocity", "score"))
    assert symsi.bridge_plan(model, diffusion="brownian", steps=5) == symsi.bridge_plan(model, diffusion=1.5, steps=5)


@pytest.mark.parametrize(("direction", "sign"), [("forward", -1.0), ("backward", 1.0)])
def test_one_step_knows_its_direction(direction: str, sign: float) -> None:
    (stage,) = symsi.bridge_plan(MODEL, direction=direction, diffusion="gamma", steps=1).stages
    assert (stage.gains, stage.weights) == ((1.0, sign), (-sign,))


def test_a_cosine_grid_is_even_in_the_angle() -> None:
    assert symsi.bridge_plan(MODEL, steps=3, grid="cosine").grid == pytest.approx((0, 0.25, 0.75, 1), abs=1e-15)


def test_a_constant_diffusion_is_in_the_drift_and_in_the_noise() -> None:
    """epsilon = 1: b_F = v - eta_z/gamma with gamma = t (1 - t), and noise sqrt(2 h)."""
    (stage,) = symsi.bridge_plan(MODEL, diffusion=1, grid=[0.2, 0.7]).stages
    assert stage.gains == pytest.approx((1.0, -1 / 0.16), rel=1e-14)
    assert stage.noise == pytest.approx(1, rel=1e-15)


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_heun_evaluates_both_ends_of_a_step_and_euler_the_first(direction: str) -> None:
    grid = [0, 0.25, 1] if direction == "forward" else [1, 0.25, 0]
    rows = {s: symsi.bridge_plan(MODEL, direction=direction, solver=s, grid=[0, 0.25, 1]) for s in ("heun", "euler")}
    assert [stage.time for stage in rows["heun"].stages] == [grid[0], grid[1], grid[1], grid[2]]
    assert [stage.time for stage in rows["euler"].stages] == grid[:-1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"diffusion": 1}, "forward has no value at t = 0"),
        ({"diffusion": 1, "direction": "backward"}, "backward has no value at t = 1"),
        ({"last": "land"}, "x1 has no value at t = 0"),
        ({"last": "land", "direction": "backward"}, "x0 has no value at t = 1"),
        ({"solver": "euler-maruyama"}, "does not step the ODE"),
        ({"solver": "heun", "diffusion": "gamma"}, "does not step an SDE"),
    ],
)
def test_what_no_step_can_start_from_is_refused_in_words(options: dict[str, Any], message: str) -> None:
    with pytest.raises(symsi.SymsiError, match=message):
        symsi.bridge_plan(symsi.BridgeModel(lambda x, t: (x, x), "linear"), steps=1, **options)


def test_a_plan_says_what_it_is_of() -> None:
    plan = symsi.bridge_plan(MODEL, diffusion="gamma", steps=3, grid="cosine", last="land")
    assert plan.origin == {
        "interpolant": "alpha=1 - t, beta=t, gamma=t*(1 - t)",
        "prediction": "velocity, latent",
        "direction": "forward",
        "diffusion": "t*(1 - t)",
        "solver": "euler-maruyama",
        "grid": "cosine",
        "last": "land",
    }
    ode = symsi.bridge_plan(MODEL, direction="backward", grid=[0, 1]).origin
    assert [ode[word] for word in ("direction", "diffusion", "solver", "grid", "last")] == [
        *("backward", "ode", "ab2", "times", "step")
    ]
    assert symsi.bridge_plan(MODEL, diffusion=1, grid=[0.1, 0.9]).origin["diffusion"] == "1"


def test_the_last_step_lands_on_the_end_that_the_grid_leads_to() -> None:
    """With alpha = 1 - t, beta = t and gamma = t (1 - t): x1 = x + (1 - t) v - (1 - t)^2 eta_z, x0 = x - t v + ..."""
    for direction, grid, gains in (
        ("forward", [0, 0.25, 1], (0.75, -(0.75**2))),
        ("backward", [0, 0.25, 1], (-0.25, -(0.25**2))),
    ):
        for diffusion in ("ode", "gamma"):
            plan = symsi.bridge_plan(MODEL, direction=direction, diffusion=diffusion, grid=grid, last="land")
            *_, stage = plan.stages
            assert (stage.time, stage.keep, stage.state, stage.noise) == (0.25, 0.0, 1.0, 0.0)
            assert stage.asks == ("velocity", "latent")
            assert tuple(stage.gains) == pytest.approx(gains, abs=1e-15)


def test_a_landing_that_no_model_or_grid_allows_is_refused() -> None:
    alone = symsi.BridgeModel(lambda x, t: x, "linear", "velocity", name="alone")
    with pytest.raises(symsi.SymsiError, match="two predictions; alone has velocity"):
        symsi.bridge_plan(alone, steps=3, last="land")
    with pytest.raises(symsi.SymsiError, match=r"needs a grid that ends there, here at 0\.5"):
        symsi.bridge_plan(MODEL, grid=[0, 0.25, 0.5], last="land")
    with pytest.raises(symsi.UnknownNameError, match="last step"):
        symsi.bridge_plan(MODEL, steps=3, last="lant")


def test_a_plan_that_falls_is_kept_in_a_file(tmp_path: Path) -> None:
    plan = symsi.bridge_plan(MODEL, direction="backward", diffusion="gamma/2", steps=5, grid="cosine")
    assert symsi.load_plan(plan.save(tmp_path / "plan.json")) == plan


def test_a_grid_that_turns_is_refused() -> None:
    stages = [symsi.Stage(k, time, [-0.5]) for k, time in ((1, 1.0), (2, 0.5))]
    assert symsi.Plan(stages, [1.0, 0.5, 0.0]).grid == (1.0, 0.5, 0.0)
    with pytest.raises(symsi.PlanError, match="grid must fall"):
        symsi.Plan(stages, [0.5, 1.0, 0.0])


def test_the_sampler_from_noise_refuses_a_plan_that_falls() -> None:
    plan = symsi.Plan([symsi.Stage(1, 1.0, [-1.0])], [1.0, 0.0])
    with pytest.raises(symsi.PlanError, match="goes backward"):
        symsi.sample(lambda x, t: torch.zeros_like(x), shape=(2, 3), plan=plan, progress=False)

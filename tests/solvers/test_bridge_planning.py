"""Plans of bridges: their numbers by hand, both ways, kept in files, and grids that go one way."""

from pathlib import Path

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
    with pytest.raises(symsi.EndpointError, match="x1 has no value at t = 0"):
        symsi.bridge_plan(symsi.BridgeModel(lambda x, t: (x, x), "linear"), steps=1, last="land")
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

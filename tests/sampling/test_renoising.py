"""Stochastic sampling of flow maps: jumps past the next time and noise back keep the law, exactly, at every step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import symsi
from symsi.coefficients.renoising import renoising
from symsi.interpolants.named import as_schedule
from symsi.solvers.grids import carry
from tests.models.test_flow_map import LAMBDA, gaussian_map

GRID = (0.0, 0.3, 0.7, 1.0)
SHARES = (1e-3, 0.5, 1.0)
IMPLICIT = symsi.Schedule("(1-t)*(1+t/3)", "t*exp(t-1)")
SCHEDULES = ("linear", "trigonometric", "vp", "ddpm", IMPLICIT)


def factors(flow: symsi.FlowMap, plan: symsi.Plan) -> list[tuple[float, float]]:
    """What each step of a linear map multiplies the state by, and the noise it adds."""
    one = torch.ones(1, 1, dtype=torch.float64)
    rows = []
    for stage in plan.stages:
        assert stage.until is not None
        u = float(flow.average(one, float(stage.time), float(stage.until)))
        rows.append((float(stage.keep) + float(stage.weights[0]) * u, float(stage.noise)))
    return rows


def variance(schedule: Any, t: float) -> float:
    table = symsi.tabulate(symsi.convert(schedule, schedule), [t], ("alpha", "beta"))
    return float(table["alpha"][0]) ** 2 + LAMBDA * float(table["beta"][0]) ** 2


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_the_variance_of_each_step_is_that_of_the_law(schedule: Any, share: float) -> None:
    flow = gaussian_map(schedule)
    plan = symsi.plan(flow, grid=GRID, stochastic=share)
    found = variance(schedule, 0.0)
    for (keep, noise), t in zip(factors(flow, plan), GRID[1:], strict=True):
        found = keep**2 * found + noise**2
        assert found == pytest.approx(variance(schedule, t), rel=1e-11)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_noise_is_the_share_that_was_asked_for_and_the_ends_are_exact(schedule: Any) -> None:
    target = as_schedule(schedule)
    own = symsi.tabulate(symsi.convert(target, target), GRID[1:], ("alpha", "beta"))
    for share in SHARES:
        rows = renoising(target, GRID[1:], share)
        for row, alpha, beta, t in zip(rows, own["alpha"].tolist(), own["beta"].tolist(), GRID[1:], strict=True):
            there = symsi.tabulate(symsi.convert(target, target), [row.jumped], ("alpha", "beta"))
            left = (beta / float(there["beta"][0]) * float(there["alpha"][0])) ** 2
            assert row.jumped >= t
            assert row.noise**2 == pytest.approx(share * alpha**2, rel=1e-14)
            assert row.noise**2 + left == pytest.approx(alpha**2, rel=1e-13)
        assert rows[-1] == (1.0, 1.0, 0.0)
    assert [row.jumped for row in renoising(target, GRID[1:], 1.0)] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("share", SHARES)
def test_samples_have_the_law_and_forget_their_start_by_as_much_as_computed(share: float) -> None:
    flow, count = gaussian_map("trigonometric"), 40_000
    plan = symsi.plan(flow, grid=GRID, stochastic=share)
    start = torch.randn(count, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    out = symsi.sample(flow, shape=(count, 1), plan=plan, start=start, dtype=torch.float64, progress=False)
    kept = 1.0
    for keep, _ in factors(flow, plan):
        kept *= keep
    error = count**-0.5
    assert float(out.x.square().mean()) == pytest.approx(LAMBDA, rel=4 * 2**0.5 * error)
    wanted = kept / LAMBDA**0.5  # the start has variance 1, the samples LAMBDA
    assert float((out.x * start).mean()) / LAMBDA**0.5 == pytest.approx(wanted, abs=4 * 2**0.5 * error)


@pytest.mark.parametrize("share", [0.4, 1.0])
def test_a_share_means_the_same_under_every_schedule(share: float) -> None:
    flow = gaussian_map("linear")
    there = carry(as_schedule("linear"), as_schedule("trigonometric"), GRID)
    run: dict[str, Any] = {"shape": (5, 3), "stochastic": share, "seed": 4, "dtype": torch.float64}
    ours, theirs = (symsi.sample(m, grid=g, **run).x for m, g in ((flow, GRID), (flow.convert("trigonometric"), there)))
    torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-12)


def test_a_share_of_nothing_is_the_plan_without_noise_and_true_is_all() -> None:
    flow = gaussian_map("linear")
    assert symsi.plan(flow, steps=3, stochastic=0.0) == symsi.plan(flow, steps=3)
    assert symsi.plan(flow, steps=3, stochastic=True) == symsi.plan(flow, steps=3, stochastic=1.0)


def test_noise_is_of_the_seed_the_sample_and_the_step() -> None:
    flow = gaussian_map("linear")
    run: dict[str, Any] = {"shape": (7, 3), "steps": 3, "stochastic": 0.5, "seed": 2}
    whole = symsi.sample(flow, **run, trajectory=True)
    assert torch.equal(whole.x, symsi.sample(flow, **run, batch=2).x)
    assert torch.equal(whole.x[4:], symsi.sample(flow, **{**run, "shape": (3, 3)}, first=4).x)
    assert not torch.equal(whole.x, symsi.sample(flow, **{**run, "seed": 3}).x)
    assert whole.path is not None
    assert (whole.nfe, whole.path.shape) == (3, (4, 7, 3))
    quiet = symsi.sample(flow, **run, noise=torch.zeros(3, 7, 3)).x
    x: Tensor = whole.path[0]
    grid = whole.plan.grid
    for row, s in zip(renoising(as_schedule("linear"), tuple(grid[1:]), 0.5), grid[:-1], strict=True):
        x = row.factor * flow(x, s, row.jumped)
    torch.testing.assert_close(quiet, x)


def test_a_plan_with_noise_is_kept_whole_in_a_file(tmp_path: Path) -> None:
    flow = gaussian_map("vp")
    plan = symsi.plan(flow, steps=2, stochastic=0.25)
    assert plan.stochastic
    assert plan.origin["stochastic"] == "0.25"
    again = symsi.load_plan(plan.save(tmp_path / "plan.json"))
    assert again == plan
    assert torch.equal(*(symsi.sample(flow, shape=(4, 3), plan=p, seed=1).x for p in (plan, again)))


@pytest.mark.parametrize("wrong", [1.5, -0.1, float("nan"), "all"])
def test_what_is_no_share_is_refused(wrong: Any) -> None:
    with pytest.raises(symsi.SymsiError, match=r"from 0 .* to 1 or True"):
        symsi.sample(gaussian_map("linear"), shape=(2, 3), steps=1, stochastic=wrong)


@pytest.mark.parametrize("more", [{}, {"solver": "ab2"}])
def test_only_the_steps_of_a_map_take_a_share(more: dict[str, Any]) -> None:
    model = gaussian_map("linear") if more else symsi.Model(lambda x, t: x)
    with pytest.raises(symsi.SymsiError, match="stochastic is for the steps of a flow map"):
        symsi.sample(model, shape=(2, 3), steps=1, stochastic=True, **more)

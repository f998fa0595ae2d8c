"""Grids by name are uniform in what their name says."""

import math
from itertools import pairwise

import pytest

import symsi
from symsi.solvers.grids import GRIDS


def ratios(schedule: str, grid: object, steps: int) -> list[float]:
    """beta/alpha at the inner points."""
    target = symsi.schedule(schedule)
    times = symsi.time_grid(target, grid, steps)  # type: ignore[arg-type]
    table = symsi.tabulate(symsi.convert(target, target), times[1:-1], ("alpha", "beta"))
    return (table["beta"] / table["alpha"]).tolist()


@pytest.mark.parametrize("schedule", ["linear", "trigonometric", "vp", "lazy(kappa=1)"])
@pytest.mark.parametrize(
    ("grid", "ratio"),
    [
        ("linear", lambda u: u / (1 - u)),
        ("angle", lambda u: math.tan(math.pi / 2 * u)),
        ("point-mass", lambda u: math.sqrt(u / (1 - u))),
        ("shifted", lambda u: u / (1 - u) / 3),
        ("shifted(shift=1/2)", lambda u: 2 * u / (1 - u)),
    ],
)
def test_a_named_grid_has_its_ratios_under_every_schedule(schedule: str, grid: str, ratio) -> None:
    found = ratios(schedule, grid, 5)
    assert found == pytest.approx([ratio(k / 5) for k in range(1, 5)], rel=1e-12)


def test_log_snr_is_geometric_between_twenty_and_a_tenth() -> None:
    found = ratios("trigonometric", "log-snr", 6)
    assert [1 / r for r in found] == pytest.approx([20 * (0.1 / 20) ** (k / 4) for k in range(5)], rel=1e-12)
    assert [1 / r for r in ratios("linear", "log-snr", 3)] == pytest.approx([20, 0.1], rel=1e-12)
    assert ratios("linear", "log-snr", 2) == pytest.approx([1 / math.sqrt(2)])


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_a_grid_has_its_steps_and_both_ends(grid: str, steps: int) -> None:
    times = symsi.time_grid(symsi.schedule("linear"), grid, steps)
    assert len(times) == steps + 1
    assert (times[0], times[-1]) == (0.0, 1.0)
    assert all(a < b for a, b in pairwise(times))


def test_a_plan_names_its_grid_or_says_that_times_were_given() -> None:
    assert symsi.plan("linear", grid="angle", steps=2).origin["grid"] == "angle"
    assert symsi.plan("linear", grid=[0.0, 0.4, 1.0]).origin["grid"] == "times"
    assert symsi.plan("linear", steps=2).origin["base"] == "alpha=1 - t, beta=t"


def test_a_uniform_grid_that_starts_later_has_equal_steps_from_there() -> None:
    times = symsi.time_grid(symsi.schedule("linear"), "uniform", 4, start=0.2)
    assert times == pytest.approx((0.2, 0.4, 0.6, 0.8, 1.0), abs=1e-15)


def test_a_truncated_base_starts_later() -> None:
    plan = symsi.plan(symsi.schedule("ddpm"), schedule="linear", solver="euler", steps=4)
    conversion = symsi.convert(symsi.schedule("ddpm"), symsi.schedule("linear"))
    assert plan.grid[0] == conversion.start_time > 0
    assert plan.times[0] == 0
    assert plan.start == pytest.approx(1.0)  # ddpm preserves variance

"""A solver as a table of its evaluations, and back."""

import pytest
import torch

import symsi
from symsi.calibration.reference import estimate
from symsi.models.analytic import Mixture
from symsi.solvers.triangle import Triangle, triangle_of

DOUBLE = torch.float64


@pytest.mark.parametrize("solver", ["euler", "ab2", "ab3"])
def test_a_plan_and_the_plan_of_its_table_sample_the_same(three_modes: Mixture, solver: str) -> None:
    model = three_modes.model()
    plan = symsi.plan(model, schedule="trigonometric", solver=solver, steps=5)
    table = triangle_of(plan)
    assert [len(row) for row in table.rows] == [3, 4, 5, 6, 7]
    options = {"shape": 4, "dtype": DOUBLE, "progress": False}
    expected = symsi.sample(model, plan=plan, **options).x
    again = table.plan()
    torch.testing.assert_close(symsi.sample(model, plan=again, **options).x, expected, rtol=0, atol=1e-13)
    for row, same in zip(table.rows, triangle_of(again).rows, strict=True):
        torch.testing.assert_close(row, same, rtol=0, atol=1e-14)


def test_heuns_table_is_what_is_known_of_it() -> None:
    table = triangle_of(symsi.plan("linear", schedule="linear", solver="heun", steps=1))
    assert [row.tolist() for row in table.rows] == [[1, 1, 0], [1, 0.5, 0.5, 0]]


@pytest.mark.parametrize("by_channel", [False, True])
def test_rows_with_two_predictions_and_constants_are_what_the_plan_does(by_channel: bool) -> None:
    numbers = [[0.9, 0.2, -0.1, 0.3], [0.5, 0.1, 0.2, 0.7, -0.4], [1.5, 0.3, 0.1, -0.2, 0.6, 0.1, 0.05]]
    factor = torch.tensor([1.0, -0.7], dtype=DOUBLE) if by_channel else torch.tensor(1.0, dtype=DOUBLE)
    rows = [torch.stack([torch.tensor(number, dtype=DOUBLE) * factor for number in row]) for row in numbers]
    asks = (("conditional", "unconditional"), ("conditional",), ("conditional", "unconditional"))
    table = Triangle((0.0, 0.3, 0.7), tuple(rows), asks, start=2.0)
    plan = table.plan()
    assert plan.evaluations == 5

    def says(name: str, x: torch.Tensor, t: float) -> torch.Tensor:
        return torch.sin(x) + t if name == "conditional" else x.square() - t

    z = torch.randn(3, 2, generator=torch.Generator().manual_seed(0)).double()
    state = symsi.init(plan, z)
    for stage in plan.stages:
        x, t = symsi.model_input(plan, state)
        state = symsi.step(plan, state, says(stage.asks[0], x, float(t[0])))
    x, columns = 2 * z, [2 * z]
    for time, row, names in zip(table.times, rows, asks, strict=True):
        columns += [says(name, x, time) for name in names]
        x = sum(a * c for a, c in zip(row, columns, strict=False)) + row[-1]
    torch.testing.assert_close(symsi.observe(plan, state), x, rtol=0, atol=1e-13)


def test_plans_that_are_no_table_and_tables_that_are_no_plan_are_refused(three_modes: Mixture) -> None:
    model = three_modes.model()
    with pytest.raises(symsi.PlanError, match="without noise"):
        triangle_of(symsi.plan(model, diffusion="optimal", steps=2))
    data = torch.randn(50, 3, generator=torch.Generator().manual_seed(5))
    with pytest.raises(symsi.PlanError, match="without noise and reference"):
        triangle_of(symsi.plan(model, reference=estimate(data, "pca"), steps=2))
    lost = (torch.tensor([0.0, 1.0, 0.0]).double(), torch.tensor([1.0, 1.0, 1.0, 0.0]).double())
    with pytest.raises(symsi.PlanError, match="row 0 of the table has forgotten the start"):
        Triangle((0.0, 0.5), lost).plan()
    blank = (torch.tensor([1.0, 0.0, 1.0]).double(),)
    with pytest.raises(symsi.PlanError, match="row 0 of the table adds a constant and no prediction"):
        Triangle((0.0,), blank).plan()


def test_what_one_channel_lacks_is_refused_and_what_all_have_alike_is_one_number() -> None:
    one, two = torch.ones(3, 2, 1, 1, dtype=DOUBLE), torch.ones(4, 2, 1, 1, dtype=DOUBLE)
    assert isinstance(Triangle((0.0, 0.5), (one, two)).plan().stages[0].keep, float)
    one[0, 1] = 0
    with pytest.raises(symsi.PlanError, match="row 0 of the table has forgotten the start"):
        Triangle((0.0, 0.5), (one, two)).plan()
    two[2, 0] = 0
    with pytest.raises(symsi.PlanError, match="row 0 of the table adds a constant and no prediction"):
        Triangle((0.5,), (two[1:],)).plan()
    two[-1] = 0
    stage = Triangle((0.5,), (two[1:],)).plan().stages[0]
    assert (tuple(stage.weights[0].shape), stage.offset) == ((2, 1, 1), 0.0)

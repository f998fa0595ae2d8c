"""Rows from data to noise: what a step's rows say of its log determinant, tableaus, and what has no way back."""

import pytest
import torch

import symsi
from symsi.solvers.backward import BACKWARD, backward, options_of
from symsi.solvers.runge_kutta import DOPRI5, RK4, Tableau

PLAIN = symsi.Model(lambda x, t: x, shape=(2,))


@pytest.mark.parametrize("solver", BACKWARD)
@pytest.mark.parametrize("schedule", ["linear", "trigonometric", "shifted(shift=3)"])
def test_volumes_integrate_a_constant_divergence_exactly(solver: str, schedule: str) -> None:
    """A field G = a y has divergence a D: the volumes, each over its scale, sum to the length of the way, -1."""
    rows = backward(PLAIN, schedule=schedule, solver=solver, steps=3)
    scale, total = rows.scale, 0.0
    for stage, volume in zip(rows.stages, rows.volumes, strict=True):
        total += float(volume) * scale  # div_y G = div_z g / C, so that div_y G = 1 is div_z g = C
        scale = scale / float(stage.keep)
    assert total == pytest.approx(-1, abs=1e-14)


@pytest.mark.parametrize("solver", BACKWARD)
def test_states_go_back_from_the_end_of_the_grid_to_its_start(solver: str) -> None:
    rows = backward(PLAIN, schedule="trigonometric", solver=solver, grid=[0.0, 0.3, 1.0])
    assert rows.grid == (1.0, 0.3, 0.0)
    times = [float(stage.time) for stage in rows.stages]
    assert times == sorted(times, reverse=True)
    assert times[0] == 1
    assert (times[-1] == 0) is BACKWARD[solver].end


@pytest.mark.parametrize(("tableau", "evaluations"), [(RK4, 4), (DOPRI5, 6)])
def test_a_tableau_fulfils_the_quadrature_conditions_of_its_order(tableau: Tableau, evaluations: int) -> None:
    """sum b c^(q-1) = 1/q for q up to the order (Butcher), as fractions."""
    b, c = tableau.a[-1], tableau.c[:-1]
    assert len(b) == len(c) == evaluations
    for q in range(1, tableau.order + 1):
        assert sum(x * y ** (q - 1) for x, y in zip(b, c, strict=True)) * q == 1
    assert sum(x * y**tableau.order for x, y in zip(b, c, strict=True)) * (tableau.order + 1) != 1


def test_the_first_row_in_modes_is_the_limit_of_rows_that_start_closer_and_closer_to_the_data() -> None:
    reference = symsi.Reference(
        "pca", torch.tensor([2.0, 0.3]).double(), torch.tensor([0.5, -1.0]).double(), torch.eye(2).double()
    )
    model = symsi.models.gaussian([0.5, -1.0], [2.0, 0.3]).model()
    at = backward(model, schedule="trigonometric", reference=reference, grid=[0.0, 1.0], shape=(2,)).stages[0]
    for gap in (1e-3, 1e-5, 1e-7):
        near = backward(model, schedule="trigonometric", reference=reference, grid=[0.0, 1 - gap], shape=(2,)).stages[0]
        for name in ("state", "gain", "offset", "keep"):
            torch.testing.assert_close(getattr(near, name), getattr(at, name), rtol=0, atol=20 * gap)


def test_a_plan_says_which_way_back_is_its_own() -> None:
    own = symsi.Schedule("cos(pi*t/2)", "sin(pi*t/2)")
    for schedule in ("trigonometric", own):
        plan = symsi.plan(PLAIN, schedule=schedule, solver="heun", grid=[0.0, 0.4, 1.0])
        found = options_of(plan)
        assert found["solver"] == "heun"
        assert found["grid"] == plan.grid
        assert found["schedule"].pair == symsi.schedule("trigonometric").pair


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"solver": "gaussian", "spectrum": [1.0, 1.0]}, "say nothing of the way back"),
        ({"solver": "ab3"}, "ab3"),
        ({"diffusion": "optimal", "schedule": "lazy(kappa=1)"}, "adds noise"),
    ],
)
def test_a_plan_without_a_way_back_is_refused(options: dict[str, object], message: str) -> None:
    plan = symsi.plan(PLAIN, **{"schedule": "trigonometric", "steps": 3, **options})
    with pytest.raises(symsi.PlanError, match=message):
        options_of(plan)


def test_what_has_no_field_at_an_end_says_what_has() -> None:
    def of(prediction: str) -> symsi.Model:
        return symsi.Model(lambda x, t: x, prediction=prediction)

    with pytest.raises(symsi.EndpointError, match=r"0\.99\]"):
        backward(of("data"), schedule="trigonometric", steps=2)
    with pytest.raises(symsi.EndpointError, match="solver='ab2'"):
        backward(of("noise"), schedule="trigonometric", steps=2, solver="rk4")
    assert backward(of("noise"), schedule="trigonometric", steps=2).evaluations == 2
    with pytest.raises(symsi.EndpointError, match="point mass"):
        backward(of("velocity"), schedule="lazy(kappa=1)", steps=2)
    with pytest.raises(symsi.SymsiError, match="modes"):
        backward(PLAIN, schedule="linear", steps=2, solver="rk4", reference=symsi.models.reference.isotropic())
    with pytest.raises(symsi.UnknownNameError, match="dopri5"):
        backward(PLAIN, schedule="linear", steps=2, solver="dopri")

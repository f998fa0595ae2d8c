"""Rows from data to noise: what a step's rows say of its log determinant, and what has no way back."""

import math

import pytest
import torch

import symsi
from symsi.solvers.backward import BACKWARD, backward, options_of

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


@pytest.mark.parametrize("solver", BACKWARD)
def test_every_evaluation_is_the_drift_of_a_gaussian_in_the_coordinates_that_a_scale_makes(solver: str) -> None:
    """tan(pi t/2) = tau/(1 - tau), C = cos + sin, S = cos^2 + 0.3 sin^2, and the drift of y = C z is (S'/2S) y."""
    rows = backward(PLAIN, schedule="trigonometric", solver=solver, grid=[0.0, 0.15, 0.6, 1.0])
    scale = rows.scale
    for stage in rows.stages:
        tau = float(stage.time)
        size = math.hypot(tau, 1 - tau)
        cos, sin = (1 - tau) / size, tau / size
        velocity = (0.3 * tau - (1 - tau)) / ((1 - tau) ** 2 + 0.3 * tau**2)
        drift = math.pi / 2 * (0.3 - 1) * sin * cos / (cos**2 + 0.3 * sin**2)
        assert scale == pytest.approx(cos + sin, rel=1e-14)
        assert stage.state + stage.gain * velocity == pytest.approx(drift * scale, rel=1e-13, abs=1e-13)
        scale /= stage.keep
    assert scale == pytest.approx(1, rel=1e-14)


@pytest.mark.parametrize("modes", [False, True])
def test_the_ends_of_a_grid_give_the_coordinates_of_the_data_and_the_size_of_the_noise(modes: bool) -> None:
    """Linear states x are (cos + sin) z, and tau = sin/(cos + sin)."""
    variances = torch.tensor([2.0, 0.3]).double() if modes else torch.ones(2)
    reference = symsi.Reference("pca", variances, torch.zeros(2), torch.eye(2).double()) if modes else None
    rows = backward(
        PLAIN, schedule="trigonometric", solver="ab2", grid=[0.2, 0.5, 0.9], reference=reference, shape=(2,)
    )
    (cos, _), (sin, end) = ([f(math.pi / 2 * t) for t in (0.2, 0.9)] for f in (math.cos, math.sin))
    last = math.cos(math.pi / 2 * 0.9) + end
    assert rows.grid == (0.9, 0.5, 0.2)
    assert rows.scale == pytest.approx(last, rel=1e-14)
    assert rows.beta == pytest.approx(end / last, rel=1e-14)
    expected = (cos**2 + variances * sin**2).sqrt() / (cos + sin)
    torch.testing.assert_close(torch.as_tensor(rows.start).expand(2), expected, rtol=1e-14, atol=0, check_dtype=False)


@pytest.mark.parametrize("solver", ["euler", "ab2"])
@pytest.mark.parametrize("prediction", ["velocity", "data"])
@pytest.mark.parametrize("base", ["linear", "trigonometric", "ddpm"])
def test_in_its_own_modes_a_gaussian_has_no_field_and_goes_to_its_noise(
    base: str, prediction: str, solver: str
) -> None:
    law = symsi.models.gaussian([0.5, -1.0], [2.0, 0.3])
    reference = symsi.Reference("pca", law.covariance.diagonal(), law.mean, torch.eye(2).double())
    model, grid = law.model(base, prediction), [0.1, 0.3, 0.7, 0.95]
    rows = backward(model, schedule="linear", solver=solver, grid=grid, reference=reference, shape=(2,))
    z = torch.tensor([[1.0, -2.0], [0.3, 0.7]]).double()
    deviation = (0.05**2 + 0.95**2 * reference.variances).sqrt() / rows.scale  # of z at t = 0.95
    for stage in rows.stages:
        said = model(z + stage.mean * law.mean, torch.full((2,), float(stage.time), dtype=torch.float64))
        field = stage.state * z + stage.gain * said + stage.offset
        torch.testing.assert_close(field, torch.zeros_like(z), rtol=0, atol=1e-12)
        deviation = deviation * stage.keep
    torch.testing.assert_close(deviation, torch.as_tensor(rows.start), rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    "base",
    ["linear", "trigonometric", symsi.Schedule("1 - t", "2*t", data_scale=2)],
    ids=["linear", "angle", "doubled"],
)
def test_the_first_row_in_modes_is_the_limit_of_rows_that_start_closer_and_closer_to_the_data(
    base: str | symsi.Schedule,
) -> None:
    reference = symsi.Reference(
        "pca", torch.tensor([2.0, 0.3]).double(), torch.tensor([0.5, -1.0]).double(), torch.eye(2).double()
    )
    model = symsi.models.gaussian([0.5, -1.0], [2.0, 0.3]).model(base)
    at = backward(model, schedule="trigonometric", reference=reference, grid=[0.0, 0.5, 1.0], shape=(2,)).stages[0]
    for gap in (1e-3, 1e-5, 1e-7):
        near = backward(
            model, schedule="trigonometric", reference=reference, grid=[0.0, 0.5, 1 - gap], shape=(2,)
        ).stages[0]
        for name in ("state", "gain", "offset", "keep"):
            torch.testing.assert_close(
                *(torch.as_tensor(getattr(stage, name)).expand(2) for stage in (near, at)), rtol=0, atol=20 * gap
            )


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
    with pytest.raises(symsi.EndpointError, match=r"essential singularity.*0\.99\]"):
        backward(of("data"), schedule=symsi.Schedule("exp(1 - 1/(1 - t))", "t"), steps=2)
    with pytest.raises(symsi.EndpointError, match="solver='ab2'"):
        backward(of("noise"), schedule="trigonometric", steps=2, solver="rk4")
    assert backward(of("noise"), schedule="trigonometric", steps=2).evaluations == 2
    with pytest.raises(symsi.EndpointError, match="point mass"):
        backward(of("velocity"), schedule="lazy(kappa=1)", steps=2)
    with pytest.raises(symsi.SymsiError, match="modes"):
        backward(PLAIN, schedule="linear", steps=2, solver="rk4", reference=symsi.models.reference.isotropic())
    with pytest.raises(symsi.UnknownNameError, match="dopri5"):
        backward(PLAIN, schedule="linear", steps=2, solver="dopri")

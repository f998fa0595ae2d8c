"""Plans of every solver, against solutions that are known: order, exactness, refusals."""

import math
from itertools import pairwise

import mpmath
import pytest
import torch

import symsi
from symsi.models.analytic import Mixture, gaussian
from symsi.models.reference import Reference, isotropic
from symsi.sampling.noise import standard_normal
from symsi.solvers.modal import as_coefficient
from symsi.solvers.multistep import adams_bashforth
from symsi.solvers.table import SOLVERS

DOUBLE = torch.float64


def matched(law: Mixture) -> Reference:
    """The reference with the law's own mean and covariance."""
    values, vectors = torch.linalg.eigh(law.covariance)
    return Reference("pca", values, law.mean, vectors)


@pytest.fixture(scope="module")
def truth(three_modes: Mixture) -> torch.Tensor:
    """The flow of the mixture from the noise of seed 0, by ab3 in matched modes; checked against Heun below."""
    return draw(three_modes, schedule="trigonometric", solver="ab3", reference=matched(three_modes), steps=2000)


def draw(law: Mixture, **options: object) -> torch.Tensor:
    return symsi.sample(law.model(), shape=32, dtype=DOUBLE, progress=False, **options).x


def order(law: Mixture, truth: torch.Tensor, finest: int = 256, **options: object) -> float:
    """The slope of log error over the last two halvings of the step."""
    steps = (finest // 4, finest // 2, finest)
    errors = [float((draw(law, steps=n, **options) - truth).square().mean().sqrt()) for n in steps]
    return sum(math.log2(a / b) for a, b in pairwise(errors)) / 2


@pytest.mark.parametrize("schedule", ["linear", "trigonometric"])
@pytest.mark.parametrize(("solver", "expected"), [("euler", 1), ("heun", 2), ("ab2", 2), ("ab3", 2)])
def test_a_solver_has_its_order_on_the_mixture(
    three_modes: Mixture, truth: torch.Tensor, schedule: str, solver: str, expected: int
) -> None:
    """ab3 starts with Euler's step, whose error is of order 2."""
    assert order(three_modes, truth, schedule=schedule, solver=solver) == pytest.approx(expected, abs=0.15)


@pytest.mark.parametrize(("solver", "expected"), [("euler", 1), ("ab2", 2), ("ab3", 3)])
def test_in_matched_modes_the_euler_start_costs_no_order(
    three_modes: Mixture, truth: torch.Tensor, solver: str, expected: int
) -> None:
    """There dy/ds is constant to first order at the start: its derivative is (Cov X - Lambda) z = 0.

    The slope of ab3 comes to 3 from below: over four seeds 2.76 to 2.88, 2.87 to 2.92 and 2.94 to 2.96 a halving.
    """
    options = {"schedule": "trigonometric", "solver": solver, "reference": matched(three_modes)}
    found = order(three_modes, truth, finest=512, **options)
    assert found == pytest.approx(expected, abs=0.15)


def test_dpm_solver_has_order_two_where_log_snr_is_resolved(three_modes: Mixture, truth: torch.Tensor) -> None:
    """On uniform grids its two steps with infinite log-SNR are of order 1, and their share falls with the grid."""

    def error(n: int) -> float:
        ratios = [50 * (0.002 / 50) ** (k / (n - 2)) for k in range(n - 1)]
        times = [0.0, *(1 / (1 + r) for r in ratios), 1.0]
        inner = draw(three_modes, schedule="linear", solver="dpm++2m", grid=times)
        return float((inner - truth).square().mean().sqrt())

    coarse, fine, finest = (error(n) for n in (40, 80, 320))
    assert (coarse - finest) / (fine - finest) > 3  # what the two end steps leave is the same for all
    assert order(three_modes, truth, schedule="linear", solver="dpm++2m") > 1.4


def test_a_fine_heun_solution_agrees_with_the_modal_one(three_modes: Mixture, truth: torch.Tensor) -> None:
    fine = draw(three_modes, schedule="trigonometric", solver="heun", steps=300)
    assert float((fine - truth).abs().max()) < 1e-4


@pytest.mark.parametrize("solver", ["euler", "ab2", "ab3"])
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_modes_reproduce_their_gaussian_at_any_step_count(one_gaussian: Mixture, solver: str, steps: int) -> None:
    """T8 in closed form: X_1 = m + Lambda^(1/2) U^T z, mode by mode."""
    found = draw(one_gaussian, schedule="trigonometric", solver=solver, steps=steps, reference=matched(one_gaussian))
    z = standard_normal(0, range(32), 0, (6,), dtype=DOUBLE)
    values, vectors = torch.linalg.eigh(one_gaussian.covariance)
    expected = one_gaussian.mean + (z @ vectors) * values.sqrt() @ vectors.T
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-14)


@pytest.mark.parametrize("last", ["step", "land"])
def test_modes_reproduce_their_gaussian_also_on_a_curved_base(one_gaussian: Mixture, last: str) -> None:
    """There eta_X takes a share of x other than 1, and the offset of the mean with it."""
    model = one_gaussian.model("trigonometric")
    how = {"schedule": "linear", "solver": "euler", "reference": matched(one_gaussian), "last": last}
    found = symsi.sample(model, shape=32, grid=[0.0, 0.4, 0.7, 1.0], dtype=DOUBLE, progress=False, **how).x
    z = standard_normal(0, range(32), 0, (6,), dtype=DOUBLE)
    values, vectors = torch.linalg.eigh(one_gaussian.covariance)
    if last == "step":
        expected = one_gaussian.mean + (z @ vectors) * values.sqrt() @ vectors.T
    else:  # where t = 0.7, the flow is at beta m + sqrt(S) z, and eta_X = m + (beta lambda/S) (x - beta m)
        share = 0.7 * values / (0.09 + 0.49 * values).sqrt()
        expected = one_gaussian.mean + (z @ vectors) * share @ vectors.T
    torch.testing.assert_close(found, expected, rtol=0, atol=5e-14)


@pytest.mark.parametrize("solver", ["euler", "ab2", "ab3"])
@pytest.mark.parametrize("variance", [0.3, 1.0, 4.0])
def test_the_lazy_ode_is_exact_in_one_step(solver: str, variance: float) -> None:
    law = gaussian(torch.zeros(5, dtype=DOUBLE), variance)
    found = draw(law, schedule=symsi.lazy_schedule(variance=str(variance)), solver=solver, steps=1)
    z = standard_normal(0, range(32), 0, (5,), dtype=DOUBLE)
    torch.testing.assert_close(found, math.sqrt(variance) * z, rtol=0, atol=5e-15)


def covariance_of(plan: symsi.Plan, law: Mixture, reference: Reference | None = None) -> torch.Tensor:
    """The exact covariance of what a plan of order 1 makes of a Gaussian law, by propagating the linear recursion."""
    known, size = law.model(), len(law.mean)
    identity = torch.eye(size, dtype=DOUBLE)
    forward = reference.forward if reference else (lambda x: x)
    spread = plan.start**2 * identity
    for row in plan.stages:
        t = torch.full((size + 1,), row.time, dtype=DOUBLE)
        point = torch.cat([torch.zeros(1, size, dtype=DOUBLE), identity])
        x = point if reference is None else reference.inverse(point, (size,)) + row.mean * reference.mean
        field = row.state * point + row.gain * forward(known(x, t)) + row.offset
        moved = row.keep * point + row.weights[0] * field
        linear = (moved[1:] - moved[0]).T
        spread = linear @ spread @ linear.T + torch.diag(
            torch.ones(size, dtype=DOUBLE) * torch.as_tensor(row.noise) ** 2
        )
    return spread


@pytest.mark.parametrize("kappa", ["1/4", "1", "2"])
@pytest.mark.parametrize("steps", [1, 2, 4])
def test_exact_transitions_leave_the_covariance_of_the_gaussian(one_gaussian: Mixture, kappa: str, steps: int) -> None:
    reference = matched(one_gaussian)
    plan = symsi.plan(
        "linear",
        schedule="trigonometric",
        diffusion=f"kappa={kappa}",
        solver="exact",
        steps=steps,
        reference=reference,
        last="step",
    )
    found = covariance_of(plan, one_gaussian, reference)
    torch.testing.assert_close(found, torch.diag(reference.variances), rtol=1e-12, atol=1e-13)


def test_exact_transitions_have_the_mean_and_variance_of_the_gaussian_in_samples(one_gaussian: Mixture) -> None:
    x = symsi.sample(
        one_gaussian.model(),
        shape=20_000,
        schedule="trigonometric",
        diffusion="optimal",
        solver="exact",
        steps=1,
        reference=matched(one_gaussian),
        last="step",
        dtype=DOUBLE,
        progress=False,
    ).x
    deviations = torch.linalg.eigvalsh(torch.linalg.solve(one_gaussian.covariance, x.T.cov())) - 1
    assert float(deviations.abs().max()) < 6 * math.sqrt(2 / 20_000) * math.sqrt(6)
    error = (x.mean(0) - one_gaussian.mean) / (one_gaussian.covariance.diagonal() / 20_000).sqrt()
    assert float(error.abs().max()) < 5


@pytest.mark.parametrize(
    ("schedule", "diffusion", "solver", "expected"),
    [
        ("linear", "alpha", "euler-maruyama", 1),
        ("lazy(kappa=1)", "optimal", "euler-maruyama", 1),
        ("linear", "alpha", "ab2-maruyama", 1),
    ],
)
def test_stochastic_solvers_have_weak_order_one(schedule: str, diffusion: str, solver: str, expected: int) -> None:
    """The variance at the end, by the exact recursion (for ab2 on the pair of states), against that of the data."""
    variance = 0.3
    law = gaussian(torch.zeros(1, dtype=DOUBLE), variance)
    errors = []
    for steps in (64, 128, 256):
        plan = symsi.plan("linear", schedule=schedule, diffusion=diffusion, solver=solver, steps=steps, last="step")
        errors.append(abs(_variance(plan, law) - variance))
    slope = sum(math.log2(a / b) for a, b in pairwise(errors)) / 2
    assert slope == pytest.approx(expected, abs=0.2)


def _variance(plan: symsi.Plan, law: Mixture) -> float:
    """Variance of z at the end; the state is (z, g_1), g_1 the field of the row before."""
    known = law.model()
    spread = torch.tensor([[plan.start**2, 0], [0, 0]], dtype=DOUBLE)
    for row in plan.stages:
        slope = float(known(torch.ones(1, 1, dtype=DOUBLE), torch.tensor([row.time], dtype=DOUBLE)))
        g = row.state + row.gain * slope
        w0, w1 = (*row.weights, 0.0)[:2]
        move = torch.tensor([[row.keep + w0 * g, w1], [g, 0]], dtype=DOUBLE)
        spread = move @ spread @ move.T
        spread[0, 0] += row.noise**2
    return float(spread[0, 0])


def test_adams_bashforth_weights_integrate_polynomials_exactly() -> None:
    """Against mpmath's quadrature of s^n on an uneven grid."""
    nodes = (0.1, 0.35, 0.5, 0.93)
    for k in range(1, 4):
        weights = adams_bashforth(nodes[3 - k :], k)
        for power in range(k):
            exact = mpmath.quad(lambda s, p=power: s**p, [nodes[2], nodes[3]])
            found = sum(w * nodes[2 - j] ** power for j, w in enumerate(weights))
            assert found == pytest.approx(float(exact), abs=1e-14)


@pytest.mark.parametrize("solver", ["euler", "heun", "ab2", "ab3"])
def test_every_stage_has_the_drift_of_its_own_time(solver: str) -> None:
    plan = symsi.plan("linear", schedule="trigonometric", solver=solver, grid=[0.0, 0.2, 0.5, 0.9, 1.0])
    names = ("drift_input", "drift_prediction")
    drift = symsi.tabulate(symsi.convert("linear", "trigonometric"), plan.grid, names)
    for stage in plan.stages:
        point = plan.times.index(stage.time)
        assert (stage.state, stage.gain) == tuple(float(drift[name][point]) for name in names)
    assert plan.beta == plan.times  # of the linear base
    ends = [stage.step for stage in plan.stages if stage.time == plan.times[stage.step]]
    assert ends == ([1, 2, 3, 4] if solver == "heun" else [])


def test_the_first_steps_of_a_multistep_solver_use_the_order_that_they_can() -> None:
    plan = symsi.plan("linear", solver="ab3", steps=5)
    assert [len(row.weights) for row in plan.stages] == [1, 2, 3, 3, 3]


def test_dpm_solver_moves_x_over_alpha_by_the_growth_of_the_ratio_times_the_data() -> None:
    """x'/alpha' = x/alpha + (rho' - rho) D; D is extrapolated by half of h/h_before of log rho (Lu et al. 2022)."""
    plan = symsi.plan("linear", solver="dpm++2m", grid=[0.1, 0.2, 0.4, 0.8, 1.0])
    for stage in plan.stages[:-1]:
        before, start, stop = ((0.0, *plan.grid)[k] for k in range(stage.step - 1, stage.step + 2))
        assert stage.keep == pytest.approx((1 - stop) / (1 - start))
        growth = (1 - stop) * (stop / (1 - stop) - start / (1 - start))
        assert sum(stage.weights) == pytest.approx(growth)
        if stage.step > 1:
            h, h_before = (math.log(b / (1 - b) / (a / (1 - a))) for a, b in ((start, stop), (before, start)))
            assert stage.weights[1] == pytest.approx(-growth * h / h_before / 2)
        assert (stage.state, stage.gain) == pytest.approx((1.0, 1 - start))  # eta_X = x + (1 - t) v


@pytest.mark.parametrize(("start", "expected"), [(0.0, [1, 1, 2, 2, 1]), (0.1, [1, 2, 2, 2, 1])])
def test_dpm_solver_looks_back_wherever_the_log_ratio_before_is_finite(start: float, expected: list[int]) -> None:
    plan = symsi.plan("linear", solver="dpm++2m", grid=[start, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert [len(row.weights) for row in plan.stages] == expected
    logs = [math.log(t / (1 - t)) for t in plan.grid[1:-1]]
    assert plan.clock == pytest.approx([math.log(start / (1 - start)) if start else -math.inf, *logs, math.inf])


def test_a_coefficient_of_equal_modes_is_a_number() -> None:
    apart = torch.tensor([1.0, 2.0])
    assert as_coefficient(apart) is apart
    for one in (torch.tensor(2.0), torch.tensor([2.0]), torch.tensor([[2.0], [2.0]]), 2.0):
        found = as_coefficient(one)
        assert isinstance(found, float)
        assert found == 2.0


def test_landing_ends_on_the_data_prediction(three_modes: Mixture) -> None:
    calls = []
    data = three_modes.model(prediction="data")

    def watched(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        calls.append(data(x, t))
        return calls[-1]

    model = symsi.Model(watched, prediction="data", shape=(3,))
    for options in ({"schedule": "linear"}, {"schedule": "trigonometric", "reference": matched(three_modes)}):
        found = symsi.sample(model, shape=4, steps=3, last="land", dtype=DOUBLE, progress=False, **options)
        torch.testing.assert_close(found.x, calls[-1], rtol=0, atol=1e-14)


@pytest.mark.parametrize("prediction", ["velocity", "data", "noise", "score"])
def test_what_the_network_predicts_changes_nothing(three_modes: Mixture, prediction: str) -> None:
    """From t = 0.05 on: at t = 0 a noise or score prediction says nothing about the data, and that is an error."""
    grid = [0.05, 0.3, 0.6, 1.0]
    found, expected = (
        symsi.sample(three_modes.model(prediction=p), shape=8, grid=grid, dtype=DOUBLE, progress=False).x
        for p in (prediction, "velocity")
    )
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    if prediction in ("noise", "score"):
        with pytest.raises(symsi.SymsiError, match="no finite limit at t = 0"):
            symsi.sample(three_modes.model(prediction=prediction), shape=8, steps=2, progress=False)


@pytest.mark.parametrize("schedule", ["linear", "trigonometric", "vp", "polynomial", "lazy(kappa=1)", "shifted"])
def test_dpm_solver_does_not_depend_on_the_schedule_but_on_the_signal_to_noise_ratios(
    three_modes: Mixture, schedule: str
) -> None:
    found = draw(three_modes, schedule=schedule, solver="dpm++2m", steps=6, grid="angle")
    expected = draw(three_modes, schedule="trigonometric", solver="dpm++2m", steps=6)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"solver": "ab4"}, "Did you mean 'ab"),
        ({"solver": "euler-maruyama"}, "stochastic but the diffusion is 0"),
        ({"solver": "ab2", "diffusion": "optimal"}, "deterministic but the diffusion is not 0"),
        ({"steps": 0}, "at least 1"),
        ({"steps": 2.5}, "at least 1"),
        ({"steps": None}, "at least 1"),
        ({"grid": "cosines", "steps": 4}, "unknown grid"),
        ({"grid": [0, 0.5, 0.5, 1]}, "must increase"),
        ({"grid": [0, 0.5, 1.5]}, "must increase inside"),
        ({"grid": [0, 0.5, float("nan")]}, "must increase"),
        ({"grid": [0.5]}, "at least two"),
        ({"grid": [0, 0.5, 1], "steps": 3}, "has 2 steps"),
        ({"last": "jump"}, "unknown last step"),
        ({"grid": [0, 0.5, 0.9], "last": "land", "steps": None}, "ends at t = 1"),
        ({"schedule": "linear", "diffusion": "optimal", "solver": "euler-maruyama"}, "no finite limit at t = 0"),
        ({"diffusion": "alpha", "solver": "exact"}, "solver 'exact' needs diffusion"),
        ({"solver": "heun", "reference": isotropic()}, "no form in modes"),
        ({"schedule": "sinusoidal"}, "unknown schedule"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_would(options: dict[str, object], message: str) -> None:
    with pytest.raises(symsi.SymsiError, match=message):
        symsi.plan("linear", **({"steps": 4} | options if "grid" not in options or "steps" in options else options))


def test_every_solver_of_the_table_is_tested_here() -> None:
    """But for the Gaussian one, which has a file of its own."""
    assert set(SOLVERS) == {
        "euler",
        "heun",
        "ab2",
        "ab3",
        "dpm++2m",
        "gaussian",
        "euler-maruyama",
        "ab2-maruyama",
        "exact",
        "exact-ab2",
    }

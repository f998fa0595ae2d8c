"""Log-likelihoods against closed forms: exact in one lazy step, of the solver's order, errors that cover."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

import symsi
from symsi.models.analytic import Mixture, gaussian, mixture
from symsi.sampling.divergence import exact_trace, probed_traces
from symsi.sampling.noise import rademacher, standard_normal

DOUBLE = torch.float64
QUIET: dict[str, Any] = {"progress": False}


def log_density(law: Mixture, x: Tensor) -> Tensor:
    """log sum_k w_k N(x; m_k, C_k) in torch's own words."""
    parts = []
    for k in range(len(law.means)):
        values = law.eigenvalues[k % len(law.eigenvalues)].expand(law.means.shape[1])
        vectors = None if law.eigenvectors is None else law.eigenvectors[k % len(law.eigenvectors)]
        covariance = values.diag() if vectors is None else vectors @ values.diag() @ vectors.T
        normal = torch.distributions.MultivariateNormal(law.means[k], covariance)
        parts.append(law.weights[k].log() + normal.log_prob(x.flatten(1)))
    return torch.stack(parts).logsumexp(0)


@pytest.fixture(scope="module")
def gentle() -> Mixture:
    """Two Gaussians, of mean 0 and variance 1 together, as lazy coordinates are made for."""
    return mixture([0.5, 0.5], [[0.4, 0.0], [-0.4, 0.0]], [[0.84, 1.0], [0.84, 1.0]])


@pytest.mark.parametrize("solver", ["euler", "ab2", "heun", "rk4", "dopri5"])
@pytest.mark.parametrize("base", ["linear", "trigonometric", "shifted(shift=3)"])
def test_the_unit_gaussian_is_exact_in_one_lazy_step(base: str, solver: str) -> None:
    law = gaussian(torch.zeros(3), 1.0)
    x = law.sample(6)
    found = symsi.log_likelihood(law.model(base), x, schedule="trigonometric", solver=solver, steps=1, **QUIET)
    torch.testing.assert_close(found.nats, log_density(law, x), rtol=0, atol=1e-12)
    torch.testing.assert_close(found.z, x, rtol=0, atol=1e-12)  # nothing has moved
    assert not found.standard_error.any()


def test_a_gaussian_of_another_variance_is_exact_in_one_step_of_its_own_lazy_schedule() -> None:
    law = gaussian(torch.zeros(3), 0.25)
    x = law.sample(6)
    found = symsi.log_likelihood(
        law.model(), x, schedule="lazy(kappa=0, variance=1/4, beta=sin(pi*t/2))", steps=1, **QUIET
    )
    torch.testing.assert_close(found.nats, log_density(law, x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("base", ["linear", "ddpm", "shifted(shift=3)"])
@pytest.mark.parametrize("prediction", ["velocity", "noise"])
@pytest.mark.parametrize("divergence", ["exact", "hutchinson"])
def test_any_gaussian_is_exact_in_one_step_in_its_modes(
    one_gaussian: Mixture, base: str, prediction: str, divergence: str
) -> None:
    """Signs see no error either: what is left of the Jacobian in these coordinates is 0, off-diagonals too."""
    values, vectors = torch.linalg.eigh(one_gaussian.covariance)
    reference = symsi.Reference("pca", values, one_gaussian.mean, vectors)
    x = one_gaussian.sample(5)
    model = one_gaussian.model(base, prediction)
    found = symsi.log_likelihood(
        model, x, reference=reference, schedule="trigonometric", steps=1, divergence=divergence, **QUIET
    )
    if divergence == "exact":
        torch.testing.assert_close(found.nats, log_density(one_gaussian, x), rtol=0, atol=1e-10)
        assert found.nfe == 1


def test_a_low_rank_reference_counts_every_dimension_once() -> None:
    law = gaussian([1.0, -1.0, 0.5, 0.0], [3.0, 2.0, 0.5, 0.5])
    variances = torch.tensor([3.0, 2.0, 0.5], dtype=DOUBLE)
    reference = symsi.Reference("pca", variances, law.mean, torch.eye(4, 2, dtype=DOUBLE))
    x = law.sample(5)
    found = symsi.log_likelihood(law.model(), x, reference=reference, schedule="trigonometric", steps=1, **QUIET)
    torch.testing.assert_close(found.nats, log_density(law, x), rtol=0, atol=1e-10)


def test_a_mixture_takes_16_evaluations_to_1e_5_in_lazy_coordinates(gentle: Mixture) -> None:
    """Linear Euler's error is 11/N: it would take a million."""
    x = gentle.sample(200, seed=1)
    exact, model = log_density(gentle, x), gentle.model()
    found = symsi.log_likelihood(model, x, solver="rk4", steps=4, **QUIET)
    assert found.nfe == 16
    assert float((found.nats - exact).abs().max()) < 1e-5
    euler = symsi.log_likelihood(model, x, schedule="linear", solver="euler", steps=200, **QUIET)
    assert float((euler.nats - exact).abs().max()) > 4 / 200


@pytest.mark.parametrize(
    ("solver", "order", "steps"),
    [("euler", 1, 128), ("ab2", 2, 64), ("heun", 2, 64), ("rk4", 4, 32), ("dopri5", 5, 16)],
)
@pytest.mark.parametrize("schedule", ["trigonometric", "linear"])
def test_the_error_falls_with_the_order_of_the_solver(
    three_modes: Mixture, solver: str, order: int, steps: int, schedule: str
) -> None:
    x = three_modes.sample(50, seed=1)
    exact, errors = log_density(three_modes, x), []
    for count in (steps, 2 * steps):
        found = symsi.log_likelihood(three_modes.model(), x, schedule=schedule, solver=solver, steps=count, **QUIET)
        errors.append(float((found.nats - exact).square().mean().sqrt()))
    found_order = math.log2(errors[0] / errors[1])
    assert order - 0.15 < found_order < (order + 0.15 if solver != "dopri5" else 7)  # whose first error is small here


@pytest.mark.parametrize("schedule", ["linear", "trigonometric", "shifted(shift=3)", "polynomial"])
@pytest.mark.parametrize(
    ("base", "prediction"), [("linear", "velocity"), ("linear", "noise"), ("ddpm", "noise"), ("trigonometric", "score")]
)
def test_the_law_is_the_same_under_every_schedule_and_prediction(
    gentle: Mixture, schedule: str, base: str, prediction: str
) -> None:
    x = gentle.sample(8, seed=2)
    found = symsi.log_likelihood(gentle.model(base, prediction), x, schedule=schedule, solver="ab2", steps=64, **QUIET)
    torch.testing.assert_close(found.nats, log_density(gentle, x), rtol=0, atol=5e-3)


def test_data_predictions_give_the_law_of_a_grid_that_ends_short_of_the_data(gentle: Mixture) -> None:
    """x is then a sample of alpha Z + beta X, a mixture in closed form."""
    end = 0.9
    alpha, beta = math.cos(math.pi * end / 2), math.sin(math.pi * end / 2)
    law = mixture(gentle.weights, beta * gentle.means, beta**2 * gentle.eigenvalues.expand(2, 2) + alpha**2)
    x = law.sample(8, seed=3)
    grid = [end * k / 20 for k in range(21)]
    for prediction in ("data", "velocity"):
        found = symsi.log_likelihood(
            gentle.model("linear", prediction), x, schedule="trigonometric", grid=grid, **QUIET
        )
        torch.testing.assert_close(found.nats, log_density(law, x), rtol=0, atol=1e-6)


def test_a_grid_that_starts_late_starts_from_the_law_of_data_of_unit_variance_there() -> None:
    law = gaussian([0.0, 0.0], 1.0)
    x = law.sample(5)
    grid = [0.1 + 0.9 * k / 20 for k in range(21)]
    found = symsi.log_likelihood(law.model(), x, schedule="linear", solver="rk4", grid=grid, **QUIET)
    torch.testing.assert_close(found.nats, log_density(law, x), rtol=0, atol=1e-5)


@pytest.mark.parametrize("end", [0.9, 1.0])
@pytest.mark.parametrize("solver", ["euler", "ab2"])
def test_in_the_modes_of_another_gaussian_many_steps_lead_to_the_law(end: float, solver: str) -> None:
    alpha, beta = math.cos(math.pi * end / 2), math.sin(math.pi * end / 2)
    variances = torch.tensor([2.0, 0.5], dtype=DOUBLE)
    law = gaussian([0.3, -0.2], variances)
    late = law if end == 1 else gaussian(beta * law.mean, beta**2 * variances + alpha**2)
    reference = symsi.Reference(
        "pca", torch.tensor([1.5, 0.7], dtype=DOUBLE), law.mean + 0.1, torch.eye(2, dtype=DOUBLE)
    )
    x = late.sample(5)
    options = {"reference": reference, "schedule": "trigonometric", "solver": solver, **QUIET}
    errors = []
    for steps in (40, 80):
        grid = [end * k / steps for k in range(steps + 1)]
        nats = symsi.log_likelihood(law.model(), x, grid=grid, **options).nats
        errors.append(float((nats - log_density(late, x)).abs().max()))
    assert errors[1] < 0.02
    assert errors[0] / errors[1] > 1.7


def test_in_the_modes_of_a_gaussian_its_law_short_of_the_data_is_exact_in_one_step() -> None:
    end, variances = 0.8, torch.tensor([2.0, 0.3], dtype=DOUBLE)
    alpha, beta = math.cos(math.pi * end / 2), math.sin(math.pi * end / 2)
    law = gaussian([1.0, -2.0], variances)
    late = gaussian(beta * law.mean, beta**2 * variances + alpha**2)
    reference = symsi.Reference("pca", variances, law.mean, torch.eye(2, dtype=DOUBLE))
    x = late.sample(5)
    found = symsi.log_likelihood(
        law.model(), x, reference=reference, schedule="trigonometric", grid=[0.0, end], **QUIET
    )
    torch.testing.assert_close(found.nats, log_density(late, x), rtol=0, atol=1e-10)
    deviation = (beta**2 * variances + alpha**2).sqrt()
    torch.testing.assert_close(found.z, (x - beta * law.mean) / deviation, rtol=0, atol=1e-10)


def test_a_plan_is_run_the_other_way_round_and_its_samples_come_back(three_modes: Mixture) -> None:
    model = three_modes.model()
    plan = symsi.plan(model, schedule="trigonometric", solver="heun", steps=100)
    z = standard_normal(0, range(6), 0, (3,), dtype=DOUBLE)
    drawn = symsi.sample(model, shape=6, plan=plan, dtype=DOUBLE, **QUIET)
    found = symsi.log_likelihood(model, drawn.x, plan=plan, **QUIET)
    torch.testing.assert_close(found.z, z, rtol=0, atol=2e-3)
    again = symsi.log_likelihood(model, drawn.x, schedule="trigonometric", solver="heun", steps=100, **QUIET)
    assert torch.equal(found.nats, again.nats)


@pytest.fixture(scope="module")
def rotated() -> tuple[symsi.Model, Tensor, Tensor]:
    """A Gaussian in 6 dimensions with off-diagonal Jacobians, its samples, and what an exact divergence says."""
    generator = torch.Generator().manual_seed(0)
    factor = torch.randn(6, 6, dtype=DOUBLE, generator=generator) / 6**0.5
    law = gaussian(torch.zeros(6), factor @ factor.T + 0.2 * torch.eye(6, dtype=DOUBLE))
    x = law.sample(40)
    return law.model(), x, symsi.log_likelihood(law.model(), x, steps=1, solver="rk4", **QUIET).nats


def probed(rotated: tuple[symsi.Model, Tensor, Tensor], **options: Any) -> symsi.Likelihood:
    model, x, _ = rotated
    return symsi.log_likelihood(model, x, steps=1, solver="rk4", divergence="hutchinson", **QUIET, **options)


@pytest.mark.slow
def test_the_standard_error_covers_and_falls_as_the_root_of_the_probes(
    rotated: tuple[symsi.Model, Tensor, Tensor],
) -> None:
    errors = {}
    for probes in (8, 32):
        runs = [probed(rotated, probes=probes, seed=seed) for seed in range(100)]
        off = torch.stack([run.nats - rotated[2] for run in runs])
        stated = torch.stack([run.standard_error for run in runs])
        covered = (off.abs() < 1.96 * stated).double().mean(1)  # of 40 independent samples, in each of 100 seeds
        room = 3 * math.sqrt(0.95 * 0.05 / covered.numel() / 40)
        shortfall = 0.02 / probes * 8  # Student's t: a standard error of few probes is itself uncertain
        assert float(covered.mean()) == pytest.approx(0.95, abs=room + shortfall)
        errors[probes] = float(off.square().mean().sqrt())
        assert errors[probes] == pytest.approx(float(stated.square().mean().sqrt()), rel=0.05)
    assert errors[8] / errors[32] == pytest.approx(2, rel=0.05)


def test_the_stated_error_is_that_of_the_mean_of_its_probes(rotated: tuple[symsi.Model, Tensor, Tensor]) -> None:
    runs = [probed(rotated, probes=4, seed=seed) for seed in range(30)]  # 40 samples each
    off = torch.stack([run.nats - rotated[2] for run in runs])
    stated = torch.stack([run.standard_error for run in runs])
    assert float(off.square().mean() / stated.square().mean()) == pytest.approx(1, abs=0.2)


def test_probes_depend_on_seed_sample_probe_and_evaluation_alone(rotated: tuple[symsi.Model, Tensor, Tensor]) -> None:
    model, x, _ = rotated
    whole = probed(rotated)
    for batch in (1, 7):
        torch.testing.assert_close(probed(rotated, batch=batch).nats, whole.nats, rtol=0, atol=1e-12)
    late = symsi.log_likelihood(model, x[30:], steps=1, solver="rk4", divergence="hutchinson", first=30, progress=False)
    torch.testing.assert_close(late.nats, whole.nats[30:], rtol=0, atol=1e-12)
    assert not torch.equal(probed(rotated, seed=1).nats, whole.nats)
    signs = [
        rademacher(*key, (100,))
        for key in ((0, [0], 0, 0), (1, [0], 0, 0), (0, [1], 0, 0), (0, [0], 1, 0), (0, [0], 0, 1))
    ]
    for k, one in enumerate(signs):
        assert set(one.unique().tolist()) == {-1.0, 1.0}
        assert all(abs(float((one * other).mean())) < 0.5 for other in signs[:k])


def test_bits_are_nats_in_another_unit_and_conditions_go_with_the_batch() -> None:
    def velocity(x: Tensor, t: Tensor, shift: Tensor) -> Tensor:
        """Of data N(shift, 1), under the linear schedule."""
        s = (1 - t[:, None]) ** 2 + t[:, None] ** 2
        return shift[:, None] + (2 * t[:, None] - 1) / s * (x - t[:, None] * shift[:, None])

    x, shift = torch.randn(5, 2, dtype=DOUBLE), torch.arange(5, dtype=DOUBLE) / 5
    normal = torch.distributions.Normal(shift[:, None], 1.0).log_prob(x).sum(1)
    found = symsi.log_likelihood(velocity, x, conditions={"shift": shift}, batch=2, **QUIET)
    torch.testing.assert_close(found.nats, normal, rtol=0, atol=1e-5)
    torch.testing.assert_close(found.bits_per_dim, -normal / (2 * math.log(2)), rtol=0, atol=1e-5)
    assert (found.nfe, found.products) == (48, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"x": torch.zeros(3)}, r"samples of .*got shape \(3,\)"),
        ({"x": torch.zeros(3, 4)}, r"got shape \(3, 4\)"),
        ({"x": torch.zeros(3, 3, dtype=torch.int64)}, "floating-point"),
        ({"x": torch.tensor([[0.0] * 3, [0.0, math.nan, 0.0]])}, "1 of 2 rows; the first is row 1"),
        ({"probes": 0}, "at least 2"),
        ({"probes": 1}, "one has no standard error"),
        ({"divergence": "trace"}, "unknown divergence 'trace'"),
        ({"steps": 0}, "steps must be"),
        ({"reference": "isotropic"}, "symsi.Reference"),
        ({"conditions": {"label": 3}}, "knows no condition label"),
        ({"batch": 0}, "batch must be"),
    ],
)
def test_what_does_not_fit_is_said_in_words(three_modes: Mixture, options: dict[str, Any], message: str) -> None:
    asked = {"x": torch.zeros(2, 3), **options}
    with pytest.raises(symsi.SymsiError, match=message):
        symsi.log_likelihood(three_modes.model(), **asked, **QUIET)


def test_a_plan_stands_alone_and_is_the_models_own(three_modes: Mixture) -> None:
    model, x = three_modes.model(), torch.zeros(2, 3)
    plan = symsi.plan(model, schedule="trigonometric", steps=3)
    with pytest.raises(symsi.SymsiError, match="leave steps out"):
        symsi.log_likelihood(model, x, plan=plan, steps=3)
    with pytest.raises(symsi.PlanError, match="another base"):
        symsi.log_likelihood(three_modes.model("edm"), x, plan=plan)
    noisy = symsi.plan(model, schedule="lazy(kappa=1)", diffusion="optimal", steps=3)
    with pytest.raises(symsi.PlanError, match="adds noise"):
        symsi.log_likelihood(model, x, plan=noisy)


def test_a_model_that_cannot_be_differentiated_is_refused() -> None:
    x = torch.zeros(2, 3)
    with pytest.raises(symsi.ModelError, match="carries no gradient"):
        symsi.log_likelihood(torch.no_grad()(lambda x, t: -x), x, **QUIET)
    weight = torch.nn.Parameter(torch.ones(()))
    with pytest.raises(symsi.ModelError, match="none to x"):
        symsi.log_likelihood(lambda x, t: weight * x.detach(), x, **QUIET)
    with pytest.raises(symsi.ModelError, match="returned shape"):
        symsi.log_likelihood(lambda x, t: x[:, :2], x, **QUIET)


@pytest.mark.parametrize("numbers", [1, 9, 25, 1 << 18])
def test_a_trace_is_the_same_a_few_directions_at_a_time(monkeypatch: pytest.MonkeyPatch, numbers: int) -> None:
    monkeypatch.setattr("symsi.sampling.divergence._NUMBERS", numbers)
    a = torch.randn(5, 5, dtype=DOUBLE, generator=torch.Generator().manual_seed(0))
    x = torch.ones(2, 5, dtype=DOUBLE, requires_grad=True)
    found = exact_trace((x @ a.T).sin(), x, lambda n: 2 * n, 0.5)
    wanted = 2 * ((x @ a.T).cos() * a.diagonal()).sum(1, keepdim=True)
    torch.testing.assert_close(found, wanted.detach())


def test_a_probed_trace_is_n_times_q_times_j_times_n() -> None:
    a = torch.randn(5, 5, dtype=DOUBLE, generator=torch.Generator().manual_seed(0))
    x = torch.ones(2, 5, dtype=DOUBLE, requires_grad=True)
    options: dict[str, Any] = {"seed": 3, "samples": [4, 7], "probes": 3, "evaluation": 2}
    found = probed_traces((x @ a.T).sin(), x, lambda n: 2 * n, 0.5, **options)
    assert found.shape == (2, 3)
    for probe in range(3):
        n = rademacher(3, [4, 7], probe, 2, (5,)).double()
        wanted = (2 * n * (x.detach() @ a.T).cos() * (n @ a.T)).sum(1)
        torch.testing.assert_close(found[:, probe], wanted)


def test_one_sample_will_do_and_an_error_in_bits_is_one_in_nats_of_a_dimension() -> None:
    model = mixture([0.5, 0.5], [[0.4, 0.0, 1.0], [-0.4, 0.0, 0.0]], [0.5, 0.8]).model()
    x = torch.ones(1, 3, dtype=DOUBLE)
    found = symsi.log_likelihood(model, x, steps=2, divergence="hutchinson", probes=3, **QUIET)
    assert float(found.standard_error) > 0
    torch.testing.assert_close(found.bits_error, found.standard_error / (3 * math.log(2)))
    torch.testing.assert_close(found.bits_per_dim, -found.nats / (3 * math.log(2)))
    assert symsi.log_likelihood(model, x, steps=2, **QUIET).products == 3


def test_no_more_rows_than_a_batch_are_asked_for_and_the_bar_counts_them_all(capfd: pytest.CaptureFixture[str]) -> None:
    rows: list[int] = []

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        rows.append(len(x))
        return 0.5 * x

    found = symsi.log_likelihood(velocity, torch.ones(5, 2), steps=3, batch=2, progress=True)
    assert rows == [2] * found.nfe * 2 + [1] * found.nfe
    assert f"{3 * found.nfe}/{3 * found.nfe}" in capfd.readouterr().err
    for size, products in ((64, 64), (65, 8)):  # exact up to 64 dimensions
        assert symsi.log_likelihood(velocity, torch.ones(1, size), steps=1, probes=8, **QUIET).products == products
    symsi.log_likelihood(velocity, torch.ones(2, 2), steps=1, batch=1, **QUIET)
    symsi.log_likelihood(velocity, torch.ones(2, 2), steps=1, batch=9, **QUIET)
    assert capfd.readouterr().err == ""


def test_data_without_a_density_is_found_at_t_1_and_has_one_short_of_it() -> None:
    law = gaussian([0.0, 0.0], [1.0, 0.0])
    x = law.sample(3)
    with pytest.raises(symsi.ModelError, match=r"not finite at model time 1, for row 0.*no density"):
        symsi.log_likelihood(law.model(), x, **QUIET)
    noisy = gaussian([0.0, 0.0], [0.9**2 + 0.1**2, 0.1**2])
    y = noisy.sample(3)
    found = symsi.log_likelihood(law.model(), y, schedule="linear", grid=[0.9 * k / 40 for k in range(41)], **QUIET)
    torch.testing.assert_close(found.nats, log_density(noisy, y), rtol=0, atol=1e-6)


def test_the_model_keeps_its_weights_dtype_and_inference_mode_does_not_matter() -> None:
    net = symsi.models.load("digits28")
    x = torch.randn(2, 1, 28, 28)
    with torch.inference_mode():
        found = symsi.log_likelihood(net, x, steps=1, solver="ab2", probes=2, **QUIET)
    assert found.nats.dtype == DOUBLE
    assert bool(found.nats.isfinite().all() and (found.standard_error > 0).all())
    assert found.z.shape == x.shape


@pytest.mark.parametrize("predictions", ["velocity", ("velocity", "latent"), ("ends", "score")])
def test_between_two_laws_the_density_of_one_gives_that_of_the_other(predictions: Any) -> None:
    """Mixture to mixture in two dimensions, by a smooth gamma: to 1e-5 in 16 steps of dopri5."""
    first = mixture([0.3, 0.7], [[1.0, 0.5], [-0.5, 0.0]], [[0.5, 0.3], [0.4, 0.6]])
    last = mixture([0.5, 0.5], [[0.8, -0.4], [-0.6, 0.3]], [[0.3, 0.5], [0.6, 0.4]])
    model = symsi.models.between(first, last, "linear(gamma=sine)", predictions)
    x = last.sample(20, seed=3)
    found = symsi.log_likelihood(model, x, start=lambda x0: log_density(first, x0), steps=16, **QUIET)
    torch.testing.assert_close(found.nats, log_density(last, x), rtol=0, atol=1e-5)
    there = symsi.sample_bridge(model, found.z, solver="ab3", steps=400, **QUIET).x
    torch.testing.assert_close(there, x, rtol=0, atol=1e-5)
    assert found.nfe == 96


def test_a_two_sided_likelihood_needs_the_density_of_x0_and_has_no_schedule() -> None:
    law = gaussian(torch.zeros(2), 1.0)
    model, x = symsi.models.between(law, law, "linear(gamma=sine)"), law.sample(3)
    with pytest.raises(symsi.SymsiError, match=r"two-sided: start=, a function that gives log p of x0"):
        symsi.log_likelihood(model, x, **QUIET)
    with pytest.raises(symsi.SymsiError, match=r"schedule is an option of one-sided models; .* takes solver"):
        symsi.log_likelihood(model, x, start=lambda x0: x0.sum(1), schedule="linear", **QUIET)
    with pytest.raises(symsi.SymsiError, match=r"one log density a sample, shape \(3,\); got \(3, 2\)"):
        symsi.log_likelihood(model, x, start=lambda x0: x0, **QUIET)
    with pytest.raises(symsi.SymsiError, match=r"starts from noise, N\(0, I\)"):
        symsi.log_likelihood(law.model(), x, start=lambda x0: x0.sum(1), **QUIET)

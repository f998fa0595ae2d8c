"""The table fitted to a Gaussian: exact where T24 says so, the best of its columns elsewhere, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
import torch
from sympy import Matrix
from torch import Tensor

import symsi
from symsi.calibration.reference import estimate
from symsi.models.analytic import Mixture, gaussian
from symsi.models.reference import Reference, isotropic
from symsi.models.spectrum import Spectrum
from symsi.solvers.gaussian import gaussian_table
from symsi.solvers.triangle import Triangle, triangle_of
from symsi.theory.regression import moments_of_modes, ridge_row

DOUBLE = torch.float64
QUIET = {"progress": False}
EXACT = {"schedule": "trigonometric", "solver": "gaussian(ridge=0)"}
LAZY = {"schedule": "trigonometric", "solver": "gaussian"}
BROAD = torch.logspace(-4, 1, 40, dtype=DOUBLE)


def sources(spectrum: Tensor, plan: symsi.Plan, model: symsi.Model | None = None) -> Tensor:
    """The factor of each mode's noise in the state after each step, in model coordinates, by running the plan."""
    count = len(spectrum)
    law = gaussian(torch.zeros(count, dtype=DOUBLE), torch.diag(spectrum)).model() if model is None else model
    start = torch.eye(count, dtype=DOUBLE)
    path = symsi.sample(law, plan=plan, shape=count, start=start, dtype=DOUBLE, trajectory=True, **QUIET).path
    assert path is not None
    states = path / torch.tensor(plan.scales, dtype=DOUBLE)[:, None, None]
    return states.diagonal(dim1=1, dim2=2)


def far(spectrum: Tensor, plan: symsi.Plan, model: symsi.Model | None = None) -> float:
    """The root mean square of what a sample misses, of all samples of N(0, diag(spectrum))."""
    return float((sources(spectrum, plan, model)[-1] - spectrum.sqrt()).square().mean().sqrt())


@pytest.mark.parametrize("values", [[0.3], [0.1, 2.0], [0.05, 0.5, 3.0], [0.02, 0.2, 1.0, 5.0]])
def test_as_many_evaluations_as_modes_are_exact_and_one_less_is_not(values: list[float]) -> None:
    spectrum, count = torch.tensor(values, dtype=DOUBLE), len(values)
    assert far(spectrum, symsi.plan("linear", **EXACT, steps=count, spectrum=values)) < 1e-7
    if count > 1:
        assert far(spectrum, symsi.plan("linear", **EXACT, steps=count - 1, spectrum=values)) > 1e-3


def test_later_one_evaluation_is_exact_for_two_modes() -> None:
    """Where the grid starts at 0.3 the ODE takes x to sqrt(S_1/S_0) x in each mode."""
    spectrum = torch.tensor([0.2, 3.0], dtype=DOUBLE)
    plan = symsi.plan("linear", solver="gaussian(ridge=0)", grid=[0.3, 0.9], spectrum=spectrum)
    before, after = 0.49 + 0.09 * spectrum, 0.01 + 0.81 * spectrum
    start = (0.49 + 0.09) ** 0.5
    assert plan.start == pytest.approx(start, rel=1e-15)
    torch.testing.assert_close(sources(spectrum, plan)[-1], start * (after / before).sqrt(), rtol=0, atol=1e-8)


@pytest.mark.parametrize("steps", [2, 3, 4, 6])
@pytest.mark.parametrize("grid", ["uniform", "shifted(shift=2)"])
def test_a_broad_spectrum_is_closer_than_by_lazy_ab2_and_closer_without_a_ridge(steps: int, grid: str) -> None:
    how = {"schedule": "trigonometric", "steps": steps, "grid": grid}
    law = {"spectrum": BROAD}
    mine = far(BROAD, symsi.plan("linear", solver="gaussian", **law, **how))
    assert mine < 0.75 * far(BROAD, symsi.plan("linear", solver="ab2", **how))
    best = far(BROAD, symsi.plan("linear", solver="gaussian(ridge=0)", **law, **how))
    assert best < mine
    assert best < far(BROAD, symsi.plan("linear", solver="gaussian(ridge=0)", **law, **how | {"steps": steps - 1}))
    assert symsi.plan("linear", solver="gaussian(ridge=1e-2)", **law, **how).stages[0].weights == (
        symsi.plan("linear", solver="gaussian", **law, **how).stages[0].weights
    )


def test_rows_are_those_that_are_proved_with_mean_shares_and_ridge() -> None:
    """Each of two modes is a source of noise and one of the mean, as heavy as its share of the components."""
    law = Spectrum(*(torch.tensor(v, dtype=DOUBLE) for v in ([0.2, 3.0], [0.75, 0.25], [0.4, -0.1])))
    prior = Triangle((0.1, 0.5), tuple(torch.tensor(row, dtype=DOUBLE) for row in ([1.1, 0.3, 0], [0.9, -0.1, 0.7, 0])))
    alpha, beta, ridge = (0.9, 0.5, 0.1), (0.1, 0.5, 0.9), 0.3
    state, data = (-1 / 0.9, -1 / 0.5), (1 / 0.9, 1 / 0.5)  # v = (eta_X - x)/alpha of the linear schedule
    table = gaussian_table(prior, law, alpha, beta, (state, data), ridge)
    modes = list(zip(law.variances.tolist(), law.shares.sqrt().tolist(), law.means.tolist(), strict=True))

    def exact(k: int) -> list[float]:
        sizes = [root * (alpha[k] ** 2 + beta[k] ** 2 * mu) ** 0.5 for mu, root, _ in modes]
        return [*sizes, *(beta[k] * m for *_, m in modes)]

    def predicted(k: int, x: list[float]) -> list[float]:
        shrink = [beta[k] * mu / (alpha[k] ** 2 + beta[k] ** 2 * mu) for mu, *_ in modes]
        means = [0.0, 0.0, *(m for *_, m in modes)]
        eta = [m + shrink[i % 2] * (v - beta[k] * m) for i, (v, m) in enumerate(zip(x, means, strict=True))]
        return [(e - v) / alpha[k] for e, v in zip(eta, x, strict=True)]

    columns, x = [exact(0)], exact(0)
    for k, (row, drawn) in enumerate(zip(table.rows, prior.rows, strict=True)):
        columns.append(predicted(k, x))
        gram, target, _ = moments_of_modes(columns, exact(k + 1))
        weights = [gram[i, i] for i in range(len(columns))]
        proved = ridge_row(gram, target, Matrix(drawn[:-1].tolist()), weights, ridge)
        assert row.tolist() == pytest.approx([*map(float, proved), 0.0], rel=1e-12)
        x = [sum(a * c[i] for a, c in zip(row.tolist(), columns, strict=False)) for i in range(4)]


@pytest.mark.parametrize("prediction", ["velocity", "noise", "data", "score"])
@pytest.mark.parametrize("base", ["linear", "trigonometric", "ddpm"])
def test_the_last_row_is_the_best_of_one_and_the_hidden_fractions(prediction: str, base: str) -> None:
    """T24 m: whatever the network predicts, sqrt(mu) by 1 and 1/(1 + rho_j^2 mu); solved here without any table."""
    spectrum = torch.tensor([0.01, 0.1, 0.4, 1.0, 2.5], dtype=DOUBLE)
    law = gaussian(torch.zeros(5, dtype=DOUBLE), torch.diag(spectrum)).model(base, prediction)
    noisy = base == "ddpm" or prediction in ("noise", "score")  # no eta_X of these at beta = 0
    grid = [0.3 if noisy else 0.0, 0.5, 0.7, 1.0]
    plan = symsi.plan(law, solver="gaussian(ridge=0)", schedule="linear", grid=grid, spectrum=spectrum)
    alpha, beta = (
        [float(c.subs("t", t)) for t in plan.times[:-1]]
        for c in (symsi.schedule(base).alpha, symsi.schedule(base).beta)
    )
    hidden = torch.stack([1 / (1 + (b / a) ** 2 * spectrum) for a, b in zip(alpha, beta, strict=True)], 1)
    first = (alpha[0] ** 2 + beta[0] ** 2 * spectrum).sqrt()
    wide = torch.cat([torch.ones_like(hidden[:, :1]), hidden if beta[0] else hidden[:, 1:]], 1) * first[:, None]
    missed = wide @ torch.linalg.lstsq(wide, spectrum.sqrt()).solution - spectrum.sqrt()
    found = sources(spectrum, plan, law)[-1] * first / float(plan.start) - spectrum.sqrt()
    assert float(found.norm()) == pytest.approx(float(missed.norm()), rel=1e-3)


def test_every_step_ends_where_the_ode_does() -> None:
    """One mode: the inner rows are exact, too, in the coordinates of any schedule and up to any end."""
    spectrum = torch.tensor([0.3], dtype=DOUBLE)
    plan = symsi.plan("linear", **EXACT, grid=[0.0, 0.2, 0.5, 0.9], spectrum=spectrum)
    times = torch.tensor(plan.times, dtype=DOUBLE)[:, None]
    size = ((1 - times) ** 2 + times**2 * spectrum).sqrt()
    torch.testing.assert_close(sources(spectrum, plan), size, rtol=0, atol=1e-9)


def test_with_a_mean_the_first_evaluation_tells_it() -> None:
    law = gaussian([0.7, -0.4, 2.0], 0.5)
    reference = Reference("isotropic", torch.tensor([0.5], dtype=DOUBLE), torch.tensor([0.7, -0.4, 2.0], dtype=DOUBLE))
    z = torch.randn(6, 3, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    for steps in (1, 3):
        plan = symsi.plan("linear", **EXACT, steps=steps, reference=reference, shape=(3,))
        found = symsi.sample(law.model(), plan=plan, shape=6, start=z, dtype=DOUBLE, trajectory=True, **QUIET)
        torch.testing.assert_close(found.x, 0.5**0.5 * z + reference.mean, rtol=0, atol=1e-7)
        assert found.path is not None
        for x, scale, t in zip(found.path, plan.scales, plan.times, strict=True):
            exact = ((1 - t) ** 2 + t**2 * 0.5) ** 0.5 * z + t * reference.mean
            torch.testing.assert_close(x / scale, exact, rtol=0, atol=1e-7)


def test_a_reference_and_its_spectrum_give_one_table() -> None:
    reference = Reference(
        "pca", torch.tensor([0.2, 3.0], dtype=DOUBLE), torch.zeros((), dtype=DOUBLE), torch.eye(2, dtype=DOUBLE)
    )
    one, two = (
        symsi.plan("linear", **LAZY, steps=3, **law) for law in ({"reference": reference}, {"spectrum": [0.2, 3]})
    )
    for mine, other in zip(triangle_of(one).rows, triangle_of(two).rows, strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-12)
    assert (one.origin["reference"], two.origin["reference"]) == ("pca", "spectrum")
    assert not one.modal


def test_on_the_gaussian_of_the_lazy_schedule_it_is_ab2() -> None:
    """There every row is right that keeps z: the ridge chooses the numbers that it is drawn to."""
    mine, ab2 = (
        triangle_of(symsi.plan("linear", schedule="trigonometric", solver=solver, steps=4, **law))
        for solver, law in (("gaussian(ridge=0)", {"spectrum": [1.0]}), ("ab2", {}))
    )
    for row, other in zip(mine.rows, ab2.rows, strict=True):
        torch.testing.assert_close(row, other, rtol=0, atol=1e-6)


def test_samples_know_no_batch_and_a_saved_plan_samples_the_same(three_modes: Mixture, tmp_path: Path) -> None:
    model = three_modes.model()
    options: dict[str, Any] = {"shape": 7, "dtype": DOUBLE, **QUIET}
    whole = symsi.sample(model, **LAZY, steps=4, spectrum=[0.3, 0.6, 1.4], **options)
    parts = symsi.sample(model, **LAZY, steps=4, spectrum=[0.3, 0.6, 1.4], batch=3, **options)
    torch.testing.assert_close(parts.x, whole.x, rtol=0, atol=1e-12)
    read = symsi.load_plan(whole.plan.save(tmp_path / "plan.json"))
    assert read == whole.plan
    assert read.spans == ()
    assert (read.grid[0], read.grid[-1], whole.nfe) == (0, 1, 4)
    assert torch.equal(symsi.sample(model, plan=read, **options).x, whole.x)


def test_a_reference_of_data_is_better_than_ab2_on_data_like_it(one_gaussian: Mixture) -> None:
    data = one_gaussian.sample(4000, seed=3)
    reference = estimate(data, "pca", shrinkage=0.0)
    model = one_gaussian.model()
    options: dict[str, Any] = {"shape": 200, "dtype": DOUBLE, "schedule": "trigonometric", **QUIET}
    truth = symsi.sample(model, solver="heun", steps=200, **options).x
    mine, ab2 = (
        float((symsi.sample(model, steps=3, **how, **options).x - truth).square().mean().sqrt())
        for how in ({"solver": "gaussian", "reference": reference}, {"solver": "ab2"})
    )
    assert mine < 0.5 * ab2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"give spectrum=\[...\].*or reference=.*symsi calibrate reference"),
        ({"spectrum": [1.0], "reference": isotropic()}, "one of them"),
        ({"spectrum": [1.0], "last": "land"}, "leave last='land' out"),
        ({"spectrum": [1.0], "solver": "ab2"}, "a spectrum is for solver='gaussian'; got solver 'ab2'"),
        ({"spectrum": [1.0], "solver": None}, "a spectrum is for solver='gaussian'; got solver 'ab2'"),
        ({"spectrum": [1.0], "solver": "gaussian(ridge=-1)"}, "a number of at least 0, such as 0.01; got '-1'"),
        ({"spectrum": [1.0], "solver": "gaussian(ridge=x)"}, "a number of at least 0, such as 0.01; got 'x'"),
        ({"spectrum": [1.0], "solver": "gaussian(ridge=inf)"}, "a number of at least 0, such as 0.01; got 'inf'"),
        ({"spectrum": [1.0], "solver": "ab2(ridge=1)"}, "unknown solver"),
        ({"spectrum": []}, "positive numbers; got"),
        ({"spectrum": [1.0, 0.0]}, "positive numbers; got"),
        ({"spectrum": [1.0, float("inf")]}, "positive numbers; got"),
        ({"spectrum": "dct"}, "positive numbers; got 'dct'"),
        ({"reference": "pca"}, "a reference is a symsi.Reference; got str"),
        ({"reference": estimate(torch.randn(9, 4), "pca"), "shape": (3,)}, "another shape"),
        ({"spectrum": [1.0], "diffusion": "optimal"}, "deterministic but the diffusion is not 0"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_would(options: dict[str, Any], message: str) -> None:
    with pytest.raises(symsi.SymsiError, match=message):
        symsi.plan("linear", **{**LAZY, "steps": 3} | options)

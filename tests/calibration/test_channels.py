"""Solvers with numbers by channel: exact where one number a column cannot be, followed everywhere, or refused."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import symsi
from symsi.calibration.fitting import Fitter
from symsi.calibration.student import Student
from symsi.models.analytic import gaussian
from symsi.sampling.noise import standard_normal
from symsi.solvers.triangle import Triangle, triangle_of

DOUBLE = torch.float64
CLOCK = "trigonometric"
QUIET = {"progress": False}
SIZES = torch.tensor([0.2, 0.7, 2.0], dtype=DOUBLE)  # of the channels


def wide(values: Tensor, form: tuple[int, ...]) -> Tensor:
    """A number a channel, for each component of a sample."""
    return values.reshape(-1, *(1,) * (len(form) - 1)).expand(form)


def of_gaussian(form: tuple[int, ...], mean: float = 0.0) -> symsi.Model:
    """Variances from half to twice those of the channels, the same number of different ones in each."""
    inner = torch.linspace(0.5, 2.0, torch.Size(form[1:]).numel(), dtype=DOUBLE).reshape(form[1:])
    return gaussian(mean * wide(SIZES, form), (wide(SIZES.square(), form) * inner).flatten().diag()).model()


def of_clusters(form: tuple[int, ...]) -> symsi.Model:
    generator = torch.Generator().manual_seed(3)
    means = wide(SIZES, form) * torch.randn(3, *form, generator=generator, dtype=DOUBLE)
    spread = (0.4 * wide(SIZES, form)).square().flatten().diag()
    return symsi.models.mixture([1 / 3] * 3, means, torch.stack([spread] * 3)).model()


def fit(model: symsi.Model, steps: int, **options: Any) -> symsi.Plan:
    given = {"samples": 32, "by_channel": True, "teacher": teacher(model), **QUIET, **options}
    found = symsi.fit_solver(model, steps, **given)
    assert isinstance(found, symsi.Plan)
    return found


def teacher(model: symsi.Model) -> symsi.Plan:
    return symsi.plan(model, schedule=CLOCK, solver="heun", steps=100)


def errors(model: symsi.Model, plan: symsi.Plan) -> Tensor:
    """Root mean squares by channel to converged samples, of noise that no calibration has seen."""
    options: dict[str, Any] = {"shape": (200, *(model.shape or ())), "seed": 7, "dtype": DOUBLE, **QUIET}
    off = symsi.sample(model, plan=plan, **options).x - symsi.sample(model, plan=teacher(model), **options).x
    return off.square().transpose(0, 1).flatten(1).mean(1).sqrt()


@pytest.mark.parametrize(("steps", "form"), [(1, (3, 2, 1)), (2, (3, 1, 2)), (3, (3, 2, 2))])
def test_on_a_gaussian_few_evaluations_are_exact_by_channel_and_no_others_are(
    steps: int, form: tuple[int, ...]
) -> None:
    """A channel of as many variances as a row has columns is solved by its own numbers, not by those of all."""
    model = of_gaussian(form)
    own, one = fit(model, steps), fit(model, steps, by_channel=False)
    assert own.origin["solver"] == one.origin["solver"] == "fitted"
    assert own.origin["samples"] == f"32 of seed 1, {24 * form[1] * form[2]} numbers to fit a row of each channel to"
    assert one.origin["samples"] == f"32 of seed 1, {72 * form[1] * form[2]} numbers to fit a row to"
    numbers = [v for s in own.stages for v in (s.keep, *s.weights) if isinstance(v, Tensor)]
    assert numbers
    assert {tuple(v.shape) for v in numbers} == {(3, *(1,) * (len(form) - 1))}
    far = errors(model, own)
    assert float(far.max()) < 1e-4
    assert float(errors(model, one).max()) > 20 * float(far.max())


@pytest.fixture(scope="module")
def clusters() -> symsi.Model:
    return of_clusters((3, 2, 2))


@pytest.fixture(scope="module")
def fitted(clusters: symsi.Model) -> symsi.Plan:
    return fit(clusters, 2)


def test_on_a_mixture_it_is_closer_most_of_all_in_small_channels(clusters: symsi.Model, fitted: symsi.Plan) -> None:
    own, one = errors(clusters, fitted), errors(clusters, fit(clusters, 2, by_channel=False))
    assert float(own.square().mean()) < float(one.square().mean())
    assert float(own[0]) < 0.6 * float(one[0])


def test_the_row_of_a_channel_is_that_of_its_own_data() -> None:
    """Where channels do not meet in the network, a fit to one of them alone has the same numbers, at the same times."""
    model = of_gaussian((3, 2, 2))
    z = standard_normal(0, range(8), 0, (3, 2, 2))
    clock = (0.1, 0.4, 0.7)

    def prior(clock: tuple[float, ...]) -> Triangle:
        return triangle_of(symsi.plan(model, schedule=CLOCK, solver="ab2", grid=[*clock, 1.0]))

    def rows(part: slice, channels: int) -> tuple[Tensor, ...]:
        def alone(x: Tensor, t: Tensor) -> Tensor:
            whole = torch.zeros(len(x), 3, 2, 2).to(x)
            whole[:, part] = x
            return model(whole, t)[:, part]

        student = Student(symsi.Model(alone, shape=z[0, part].shape), z[:, part], {}, 1.0, 3, lambda rows: None)
        goal: Callable[[float], Tensor] = lambda t: (z * (1 - t) + torch.sin(z) * t)[:, part]  # noqa: E731
        return Fitter(student, 8, target=goal, prior=prior, channels=channels).rows(clock)[0].rows

    whole = rows(slice(0, 3), 3)
    assert [tuple(row.shape) for row in whole] == [(3, 3, 1, 1), (4, 3, 1, 1), (5, 3, 1, 1)]
    for k in range(3):
        for row, own in zip(whole, rows(slice(k, k + 1), 1), strict=True):
            torch.testing.assert_close(row[:, k, 0, 0], own, rtol=1e-3, atol=1e-3)


def test_its_samples_are_the_same_bits_in_any_batch_and_from_a_file(
    clusters: symsi.Model, fitted: symsi.Plan, tmp_path: Path
) -> None:
    loaded = symsi.load_plan(fitted.save(tmp_path / "solver.json"))
    assert loaded.hash == fitted.hash
    whole = symsi.sample(clusters, plan=fitted, shape=7, **QUIET).x
    assert torch.equal(symsi.sample(clusters, plan=loaded, shape=7, **QUIET).x, whole)
    model = symsi.Model(lambda x, t: x * (1 - x), shape=(3, 5, 7), name="by component")
    plan = replace(fitted, origin={})
    for dtype in (torch.float32, DOUBLE):
        options: dict[str, Any] = {"shape": 7, "dtype": dtype, **QUIET}
        x = symsi.sample(model, plan=plan, **options).x
        for batch in (1, 3):
            assert torch.equal(symsi.sample(model, plan=plan, batch=batch, **options).x, x)


def test_it_is_followed_in_16_bits_by_hand_in_steering_and_in_shards(
    clusters: symsi.Model, fitted: symsi.Plan, tmp_path: Path
) -> None:
    x = symsi.sample(clusters, plan=fitted, shape=4, **QUIET).x
    coarse = symsi.sample(clusters, plan=fitted, shape=4, dtype=torch.bfloat16, **QUIET).x
    torch.testing.assert_close(coarse.float(), x, rtol=0.1, atol=0.1)
    state = symsi.init(fitted, standard_normal(0, range(4), 0, (3, 2, 2)))
    for _ in fitted.stages:
        state = symsi.step(fitted, state, clusters(*symsi.model_input(fitted, state)))
    torch.testing.assert_close(symsi.observe(fitted, state), x, rtol=0, atol=1e-5)
    best = symsi.steer(clusters, lambda x: x[:, 0].flatten(1).sum(1), "bon", particles=4, plan=fitted, **QUIET)
    assert torch.isfinite(best.x).all()
    symsi.sample_shards(tmp_path / "shards", clusters, count=4, batch=3, plan=fitted, **QUIET)
    held = torch.cat([shard.x for shard in symsi.read_samples(tmp_path / "shards")])
    torch.testing.assert_close(held, x, rtol=0, atol=1e-5)


def test_other_channels_are_refused_before_anything_is_drawn(fitted: symsi.Plan, tmp_path: Path) -> None:
    for form in ((4, 2, 2), (1, 2, 2), (3,)):
        other = symsi.Model(lambda x, t: -x, shape=form, name="other")
        plan = replace(fitted, origin={})
        with pytest.raises(symsi.PlanError, match=r"shape \(3, 1, 1\) does not broadcast to the modes"):
            symsi.sample(other, plan=plan, shape=2, **QUIET)
        with pytest.raises(symsi.PlanError, match="make a plan for samples of this shape"):
            symsi.init(plan, torch.zeros(2, *form))
        with pytest.raises(symsi.PlanError, match="does not broadcast"):
            symsi.sample_shards(tmp_path / "none", other, count=2, batch=2, plan=plan, **QUIET)
    assert not (tmp_path / "none").exists()


def test_constants_and_guidance_have_numbers_by_channel_too() -> None:
    far = of_gaussian((3, 2, 1), mean=3.0)
    without, constant = (errors(far, fit(far, 2, constant=c)) for c in (False, True))
    assert float(constant.max()) < 1e-4
    assert float(without.max()) > 20 * float(constant.max())

    def guided(x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        return (1.0 if label is None else 1.3) * far(x, t)

    model = symsi.Model(guided, shape=(3, 2, 1), name="guided", unconditional={"label": None}, classes=2)
    plan = fit(model, 2, guidance=1.5, unconditional="first", teacher=teacher(model))
    assert [s.asks for s in plan.stages] == [("conditional",), ("unconditional",), ("conditional",)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = symsi.sample(model, plan=plan, shape=3, conditions=model.in_turn(3), **QUIET)
    assert drawn.nfe == 3


def test_gradient_refines_numbers_by_channel(clusters: symsi.Model) -> None:
    rows, found = (fit(clusters, 2, samples=256, refine=refine) for refine in (None, "gradient"))
    assert float(errors(clusters, found).square().mean()) < float(errors(clusters, rows).square().mean())
    assert any(isinstance(v, Tensor) for s in found.stages for v in s.weights)


@pytest.mark.parametrize(
    ("form", "options", "message"),
    [
        ((1, 2, 2), {}, "have one channel. Leave by_channel out"),
        ((1,), {}, "have one channel"),
        ((4, 6), {}, r"shape \(4, 6\) have no dimension that is known to be the channels'"),
        ((3, 2, 2), {"refine": "joint"}, "by_channel makes 3 times as many; take refine='gradient'"),
    ],
)
def test_what_has_no_numbers_by_channel_is_refused(
    form: tuple[int, ...], options: dict[str, Any], message: str
) -> None:
    model = symsi.Model(lambda x, t: -x, shape=form, name="still")
    with pytest.raises(symsi.SymsiError, match=message):
        symsi.fit_solver(model, 2, samples=8, by_channel=True, **options, **QUIET)


def test_few_samples_are_counted_by_channel() -> None:
    with pytest.warns(UserWarning, match="a row of 5 numbers is fitted to 3 of the samples"):
        symsi.fit_solver(of_gaussian((3,)), 4, samples=4, by_channel=True, **QUIET)

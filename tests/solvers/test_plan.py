"""A plan as a public value: made by hand, checked when made, printed, saved and read again."""

import copy
import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import symsi
from symsi.calibration.reference import estimate
from symsi.coefficients import cache
from symsi.models.analytic import Mixture
from symsi.models.reference import isotropic
from symsi.solvers import plan_file, planning
from symsi.solvers.planning import base_of, base_words
from symsi.solvers.table import SOLVERS

QUIET = {"progress": False}
Stage = symsi.Stage


def heun(steps: int, **last: object) -> list[symsi.Stage]:
    """Heun's method on a uniform grid of the linear schedule; `last` changes the last stage."""
    h = 1 / steps
    stages = []
    for k in range(steps):
        stages += [Stage(k + 1, time=k * h, weights=[h]), Stage(k + 1, time=(k + 1) * h, weights=[h / 2, -h / 2])]
    stages[-1] = replace(stages[-1], time=1.0, **last)
    return stages


def grid(steps: int) -> list[float]:
    return [*(k / steps for k in range(steps)), 1.0]


def test_heun_by_hand_samples_as_heun_by_name(three_modes: Mixture) -> None:
    model = three_modes.model()
    mine = symsi.Plan(heun(4), grid(4), spans=[symsi.Span(1, 1 / 4, order=2)] * 4)
    found = symsi.sample(model, plan=mine, shape=5, **QUIET)
    assert found.nfe == 8
    expected = symsi.sample(model, shape=5, solver="heun", steps=4, dtype=torch.float64, **QUIET).x
    torch.testing.assert_close(found.x.double(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("solver", "reference"),
    [
        *((name, None) for name in SOLVERS),
        *((name, kind) for name, s in SOLVERS.items() for kind in ("pca", "channel") if s.drift and not s.both_ends),
    ],
)
def test_a_plan_saved_and_loaded_samples_the_same_bits(
    three_modes: Mixture, tmp_path: Path, solver: str, reference: str | None
) -> None:
    law = symsi.models.mixture([0.5, 0.5], torch.tensor([[[1.0, 0.2]], [[-1.0, 0.3]]]).flatten(1), [0.1, 0.4])
    model = symsi.Model(lambda x, t: law.model()(x.flatten(1), t).reshape(x.shape), shape=(2, 1))
    data = torch.randn(40, 2, 1, generator=torch.Generator().manual_seed(0)) + 0.3
    noisy = SOLVERS[solver].stochastic
    plan = symsi.plan(
        model,
        schedule="lazy(kappa=1)" if noisy else "trigonometric",
        diffusion="optimal" if noisy else "ode",
        solver=solver,
        steps=5,
        reference=estimate(data, reference) if reference else None,
        spectrum=[0.3, 2.0] if SOLVERS[solver].ridge is not None and not reference else None,
    )
    read = symsi.load_plan(plan.save(tmp_path / "plan.json"))
    assert read == plan
    assert read.hash == plan.hash
    assert read.origin == plan.origin
    assert str(read) == str(plan)
    for dtype in (torch.float32, torch.float64):
        first, second = (symsi.sample(model, plan=p, shape=7, dtype=dtype, **QUIET).x for p in (plan, read))
        assert torch.equal(first, second)


def test_sample_with_a_plan_is_sample_with_its_words(three_modes: Mixture) -> None:
    options = {"schedule": "trigonometric", "solver": "ab3", "grid": "log-snr", "steps": 6}
    plan = symsi.plan(three_modes.model(), **options)
    found = symsi.sample(three_modes.model(), plan=plan, shape=3, **QUIET)
    assert torch.equal(found.x, symsi.sample(three_modes.model(), shape=3, **options, **QUIET).x)
    assert found.plan is plan


@pytest.mark.parametrize(
    ("stages", "options", "message"),
    [
        (heun(2, weights=[0.25, -0.2]), {}, r"row 3 \(step 2\): the weights .* sum to 0.55; a constant"),
        (heun(2, keep=0.9), {}, r"row 3 \(step 2\): the state after it keeps 0.9 z, where 1 is right"),
        (heun(2, weights=[0.5, 0.0]), {}, r"row 3 \(step 2\): the weights .* sum to 1; a constant field needs 0.5"),
        (heun(2, weights=[0.3, -0.3]), {"order": 2}, r"row 3 \(step 2\): order 2 is claimed.* gets 0.3"),
        ([Stage(1, 0.0, [0.5]), Stage(2, 0.5, [0.5])], {"order": 2}, "step 1 has order 2; with 1 weights"),
        (heun(2, noise=-1.0), {}, "noise is a standard deviation and must not be negative; it is -1"),
        ([Stage(1, 0.0, [0.3]), Stage(1, 0.5, [0.2]), Stage(2, 0.5, [0.5])], {}, r"row 1 .*: the weights in the "
         r"state that it is evaluated at sum to 0\.3"),
        ([Stage(1, 0.0, [0.5]), Stage(2, 0.5, [0.5, 0.1, -0.1])], {}, "3 weights, but 2 fields are known by then"),
        ([Stage(1, 0.0, [0.5]), Stage(2, 1.5, [0.5])], {}, r"row 1 \(step 2\): time must lie in \[0, 1\]; it is 1.5"),
        ([Stage(1, 0.0, [0.5]), Stage(2, 0.5, [float("nan")])], {}, r"row 1 \(step 2\): weights\[0\] is not finite"),
        ([Stage(1, 0.0, [0.5]), Stage(2, 0.5, [0.5], noise=float("inf"))], {}, "noise is not finite"),
        ([Stage(1, 0.0, [0.5], until=2.0), Stage(2, 0.5, [0.5])], {}, "until must lie"),
        ([Stage(1, 0.0, [0.5], asks=["a", "b"]), Stage(2, 0.5, [0.5])], {}, "2 predictions are asked for and 1 gains"),
        ([Stage(1, 0.0, [0.5])], {}, r"must belong to steps 1 to 2, .*got \[1\]"),
        ([Stage(2, 0.5, [0.5]), Stage(1, 0.0, [0.5])], {}, "in order"),
        (heun(2), {"grid": [0, 0.5, 0.5]}, r"grid\[2\] is 0.5"),
        (heun(2), {"grid": [0, 0.5, 2]}, r"grid\[2\] is 2"),
        (heun(2), {"scales": [1.0]}, "scales must have 3 entries"),
        (heun(2), {"beta": [1.0]}, "beta must have 3 entries"),
        (heun(2), {"beta": [0.0, float("nan"), 1.0]}, r"beta\[1\] is not finite"),
        ([Stage(1, 0.0, [0.3]), Stage(1, 0.25, [1.2, -1.0], node=0.25), Stage(2, 0.5, [0.5])], {}, "sum to 0.3; a "
         "constant field needs 0.25"),
        ([Stage(1, 0.0, [0.5], noise=1.0), *heun(2)[1:]], {}, "only the last row"),
        (heun(2), {"spans": [symsi.Span(1, 0.5, 3)] * 2}, "order 3 is claimed"),
        (heun(2), {"spans": [symsi.Span(1, 0.5, 10**9)] * 2}, "has order 1000000000; with 3 weights"),
        (heun(2), {"spans": [symsi.Span(1, 0.5, 0)] * 2}, "has order 0"),
        (heun(2), {"spans": [symsi.Span(1, 0.5, "2")] * 2}, "has order '2'"),
        (heun(2), {"spans": [3, 4]}, "must be a symsi.Span"),
        (heun(2), {"spans": [symsi.Span("a", 1)] * 2}, "must be a symsi.Span of finite numbers"),
        (heun(2), {"reference": "pca"}, "must be a symsi.Reference; got str"),
        (heun(2), {"origin": {"schedule": 5}}, "words to words"),
        (heun(2), {"clock": ["a", "b", "c"]}, r"clock\[0\] is no number"),
        (heun(2), {"grid": None}, "a grid of at least two points"),
        (heun(2), {"scales": [1.0, torch.ones(3), 1.0]}, r"scales\[1\] is not finite, or not a number"),
        (heun(2, keep=torch.empty(0)), {}, "keep is not finite, or not a number"),
        (heun(2, keep=torch.ones(2, dtype=torch.complex64)), {}, "keep is not finite, or not a number"),
        (heun(2, node="a"), {}, "node is not finite, or not a number"),
        (heun(2, weights=1.0), {}, "lists of numbers"),
        (heun(2, asks=[1]), {}, "asks must be a list of names"),
        (heun(2, keep=10**400), {}, "keep is not finite"),
        (heun(2), {"scales": [1.0, float("nan"), 1.0]}, r"scales\[1\] is not finite"),
        (heun(2), {"spans": [symsi.Span(1, 0.5)]}, "1 spans for 2 steps"),
        ([], {}, r"a symsi.Stage for each step"),
        ([7, 8], {}, r"a symsi.Stage for each step"),
        ([Stage(1, "now", [0.5]), Stage(2, 0.5, [0.5])], {}, "time must lie in .*; it is 'now'"),
        ([Stage(1, 0.0, ["half"]), Stage(2, 0.5, [0.5])], {}, r"weights\[0\] is not finite"),
        ([Stage("1", 0.0, [0.5]), Stage(2, 0.5, [0.5])], {}, "in order and one or more each"),
        (heun(2), {"grid": [0, "a", 1]}, r"grid\[1\] is 'a'"),
        (heun(2), {"scales": [1.0, 0.0, 1.0]}, "scales must be positive after the start"),
    ],
)  # fmt: skip
def test_an_inconsistent_plan_is_refused_with_the_row_and_the_condition(
    stages: list[symsi.Stage], options: dict[str, object], message: str
) -> None:
    given = dict(options)
    if "order" in given:
        given["spans"] = [symsi.Span(1, 0.5, given.pop("order"))] * 2
    with pytest.raises(symsi.PlanError, match=message):
        symsi.Plan(stages, **{"grid": grid(2), **given})


def test_a_plan_by_hand_moves_in_the_coordinates_of_its_model() -> None:
    """x = c z: a constant drift F of x over h is z <- (c/c') z + (h/c') F."""
    scales = [1.0, 0.5, 4.0]
    stages = [Stage(1, 0.0, [0.3 / 0.5], keep=1.0 / 0.5), Stage(2, 0.3, [0.7 / 4.0], keep=0.5 / 4.0)]
    plan = symsi.Plan(stages, grid=[0.0, 0.3, 1.0], scales=scales)
    assert [(c.keep, c.length) for c in plan.spans or ()] == [(2.0, 0.6), (0.125, 0.175)]
    assert plan.beta == (0.0, 0.0, 0.0)
    with pytest.raises(symsi.PlanError, match="row 1"):
        symsi.Plan([stages[0], Stage(2, 0.3, [0.7], keep=0.5 / 4.0)], grid=[0.0, 0.3, 1.0], scales=scales)


def test_conditions_are_relative_to_the_step_however_small_it_is() -> None:
    short = 1e-12
    for slip in (0.0, 1e-3):
        stages = [Stage(1, 0.0, [short * (1 + slip)]), Stage(2, short, [1 - short])]
        if slip:
            with pytest.raises(symsi.PlanError, match=r"row 0 \(step 1\): the weights"):
                symsi.Plan(stages, grid=[0.0, short, 1.0])
        else:
            assert symsi.Plan(stages, grid=[0.0, short, 1.0]).evaluations == 2


def test_a_long_step_after_a_short_one_has_large_weights_and_is_accepted() -> None:
    """h + h^2/(2 q) and -h^2/(2 q) with q = h/10^6: what rounds is the size of the weights, not that of their sum."""
    plan = symsi.plan("linear", solver="ab2", grid=[0.0, 0.3, 0.3 + 1e-6, 1.0])
    assert abs(float(plan.stages[-1].weights[0])) > 1e5


def test_a_state_that_misses_the_end_of_its_step_is_told_with_row_and_step() -> None:
    """An evaluation at the model's time where the step ends must be made there."""
    early = [*heun(2)[:2], Stage(2, 0.5, [0.4]), Stage(2, 1.0, [0.1])]
    with pytest.raises(symsi.PlanError, match=r"row 3 \(step 2\): the weights in the state that it is evaluated at"):
        symsi.Plan(early, grid=grid(2))


@pytest.mark.parametrize("weight", [0.3, 0.4])
def test_what_a_later_stage_keeps_it_keeps_of_the_fields_too(weight: float) -> None:
    """z <- z + 0.4 g, then z <- 0.5 z + w g' with a claim of 0.5 z + 0.6 G: w = 0.6 - 0.5 0.4 = 0.4."""
    stages = [Stage(1, 0.0, [0.4]), Stage(1, 0.5, [weight], keep=0.5, node=0.4)]
    spans = [symsi.Span(keep=0.5, length=0.6)]
    if weight == 0.4:
        assert symsi.Plan(stages, grid=[0.0, 1.0], spans=spans).evaluations == 2
    else:
        with pytest.raises(symsi.PlanError, match=r"sum to 0\.5; a constant field needs 0\.6"):
            symsi.Plan(stages, grid=[0.0, 1.0], spans=spans)


def test_a_plan_that_claims_nothing_is_taken_as_it_is(three_modes: Mixture) -> None:
    """As fitted solvers do: their weights need not sum to the step."""
    plan = symsi.Plan([Stage(1, 0.0, [0.19], keep=1.02), Stage(2, 0.2, [1.2, -0.3])], [0, 0.2, 1], spans=())
    assert torch.isfinite(symsi.sample(three_modes.model(), plan=plan, shape=3, **QUIET).x).all()


@pytest.mark.parametrize("solver", ["ab2", "ab3", "heun", "dpm++2m", "exact-ab2"])
def test_every_weight_of_a_named_solver_is_held_by_a_condition(solver: str) -> None:
    """Each weight of each stage, wrong by a part in a million, is refused: the table cannot be mistyped unseen."""
    noisy = SOLVERS[solver].stochastic
    plan = symsi.plan(
        "linear", schedule="trigonometric", diffusion="kappa=1/2" if noisy else "ode", solver=solver, steps=6
    )
    for k, stage in enumerate(plan.stages):
        for j in range(len(stage.weights)):
            weights = [w * (1 + 1e-6 * (i == j)) for i, w in enumerate(stage.weights)]
            stages = [*plan.stages[:k], replace(stage, weights=weights), *plan.stages[k + 1 :]]
            with pytest.raises(symsi.PlanError):
                replace(plan, stages=stages)


@pytest.mark.parametrize("solver", ["ab2", "ab3", "exact-ab2"])
def test_errors_that_keep_the_sum_are_held_by_the_order(solver: str) -> None:
    noisy = SOLVERS[solver].stochastic
    plan = symsi.plan("linear", diffusion="kappa=2" if noisy else "ode", solver=solver, steps=5)
    for k, stage in enumerate(plan.stages):
        if len(stage.weights) > 1:
            (a, b, *rest), slip = stage.weights, 1e-6
            stages = [*plan.stages[:k], replace(stage, weights=[a + slip, b - slip, *rest]), *plan.stages[k + 1 :]]
            with pytest.raises(symsi.PlanError, match=r"order . is claimed"):
                replace(plan, stages=stages)


def test_a_plan_is_a_value_of_its_own() -> None:
    """What it was made from may change afterwards; whole numbers are floats; float32 is read as float64 at once."""
    keep = torch.tensor([1.0, 0.9])
    plan = symsi.Plan([Stage(1, 0, [1], keep=keep)], [0, 1], spans=())
    before = plan.hash
    keep.mul_(5)
    assert plan.hash == before
    again = symsi.Plan([Stage(1, 0.0, (1.0,), keep=torch.tensor([1.0, 0.9]).double())], (0.0, 1.0), spans=())
    assert again.hash == before
    assert symsi.Plan([Stage(np.int64(1).item(), np.float32(0.0), np.ones(1))], np.array([0, 1])).grid == (0.0, 1.0)


def test_a_plan_prints_as_a_table() -> None:
    text = str(symsi.plan("linear", schedule="trigonometric", steps=3))
    head, words, columns, *rows = text.splitlines()
    assert head == "<Plan: 3 evaluations in 3 steps, trigonometric, ab2>"
    assert "solver ab2" in words
    assert columns.split() == ["step", "t", "model", "time", "keep", "state", "gains", "noise", "weights"]
    assert [row.split()[0] for row in rows] == ["1", "2", "3"]


def edited(path: Path, change: str, to: str) -> None:
    text = path.read_text()
    assert change in text
    path.write_text(text.replace(change, to, 1))


def test_a_changed_damaged_or_foreign_file_is_refused(tmp_path: Path) -> None:
    path = symsi.plan("linear", steps=2).save(tmp_path / "plan.json")
    whole = path.read_text()
    with pytest.raises(symsi.SymsiError, match="exists"):
        symsi.plan("linear", steps=2).save(path)
    for text, message in [
        (whole.replace('"time": 0.5', '"time": 0.25'), "was changed"),
        (whole.replace('"version": 1', '"version": 9'), "has version 9"),
        (whole.replace("symsi-plan", "other"), "is no plan of symsi"),
        (whole[: len(whole) // 2], "is no plan"),
        ("[]", "is no plan of symsi"),
        ("{" * 100_000, "is no plan"),
        (whole.replace('"time": 0.5', '"time": NaN'), "holds NaN"),
        (whole.replace('"time": 0.5', '"time": 1e400'), "is no plan"),
        (whole.replace('"time": 0.5', f'"time": {"[" * 800}{"]" * 800}'), "was changed|is no plan"),
    ]:
        path.write_text(text)
        with pytest.raises(symsi.PlanError, match=message):
            symsi.load_plan(path)
    with pytest.raises(symsi.PlanError, match="there is no plan"):
        symsi.load_plan(tmp_path / "nowhere.json")


@pytest.mark.parametrize(
    "change",
    [
        {"stages": []},
        {"stages": [{"step": 1}]},
        {"stages": 7},
        {"grid": [0, "a"]},
        {"grid": None},
        {"times": [0, 2]},
        {"spans": [{"keep": 1, "length": 1, "order": 1, "more": 1}]},
        {"reference": {"kind": "pca", "variances": 1, "mean": 2, "basis": None}},
        {"start": {"shape": [10**12], "float64": ""}},
        {"start": {"shape": [-1], "float64": "AAAAAAAA8D8="}},
        {"start": {"shape": [1], "float64": "!"}},
        {"surprise": 1},
        {"origin": {"schedule": 5}},
        {"origin": 5},
        {"spans": [{"keep": 0.0, "length": 0.0, "order": 10**12}]},
        {"spans": [{"keep": 1.0, "length": 1.0, "order": "2"}]},
    ],
)
def test_a_hostile_file_with_a_right_hash_is_refused_too(tmp_path: Path, change: dict[str, object]) -> None:
    from symsi.solvers.plan_file import digest

    path = symsi.plan("linear", steps=1).save(tmp_path / "plan.json")
    data = json.loads(path.read_text())
    data["plan"] |= change
    data["hash"] = digest(data["plan"])
    path.write_text(json.dumps(data))
    with pytest.raises(symsi.PlanError):
        symsi.load_plan(path)


def test_a_plan_goes_with_the_models_that_it_was_made_for(three_modes: Mixture) -> None:
    plan = symsi.plan(three_modes.model(), steps=2)
    for other, message in [
        (three_modes.model(prediction="data"), "another prediction: velocity"),
        (three_modes.model(schedule="vp"), "another base"),
    ]:
        with pytest.raises(symsi.PlanError, match=message):
            symsi.sample(other, plan=plan, shape=2, **QUIET)
    for option in ({"steps": 3}, {"schedule": "vp"}, {"solver": "ab2"}, {"grid": "uniform"}, {"diffusion": "ode"}):
        with pytest.raises(symsi.SymsiError, match=f"leave {next(iter(option))} out"):
            symsi.sample(three_modes.model(), plan=plan, shape=2, **option, **QUIET)
    with pytest.raises(symsi.SymsiError, match=r"must be a symsi\.Plan"):
        symsi.sample(three_modes.model(), plan="plan.json", shape=2, **QUIET)


def test_a_plan_of_two_predictions_or_two_times_is_a_plan_but_not_one_that_sample_runs(three_modes: Mixture) -> None:
    guided = Stage(1, 0.0, [1.0], gains=[2.0, -1.0], asks=["conditional", "unconditional"])
    for stage, message in [
        (guided, "asks for conditional, unconditional; `sample` runs plans of one prediction"),
        (replace(guided, asks=["left", "right"]), "asks for left, right; `sample` answers conditional, prediction,"),
        (Stage(1, 0.0, [1.0], until=1.0), "two times"),
    ]:
        told = symsi.Model(lambda x, t, label=0: x, shape=(3,), unconditional={"label": None})
        with pytest.raises(symsi.PlanError, match=message):
            symsi.sample(told, plan=symsi.Plan([stage], [0, 1]), shape=2, **QUIET)
    with pytest.raises(symsi.PlanError, match="does not say what that is"):
        symsi.sample(three_modes.model(), plan=symsi.Plan([guided], [0, 1]), shape=2, **QUIET)


@pytest.mark.parametrize("schedule", [*symsi.NAMED, "lazy", "lazy(kappa=1)", "lazy(kappa=1/2)"])
@pytest.mark.parametrize("diffusion", ["optimal", "kappa=1/2"])
def test_the_default_solver_with_noise_serves_every_named_schedule(
    three_modes: Mixture, schedule: str, diffusion: str
) -> None:
    found = symsi.sample(three_modes.model(), shape=3, schedule=schedule, diffusion=diffusion, steps=4, **QUIET)
    assert torch.isfinite(found.x).all()
    assert found.plan.origin["solver"] == "exact"


def test_a_reference_with_a_mean_of_zero_is_one(three_modes: Mixture) -> None:
    x = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    reference = estimate(torch.cat([x, -x]), "pca")
    assert not reference.mean.any()
    found = symsi.sample(three_modes.model(), shape=4, steps=3, schedule="trigonometric", reference=reference, **QUIET)
    assert torch.isfinite(found.x).all()
    assert found.plan.modal
    assert not symsi.plan("linear", steps=3, reference=isotropic(0.3)).modal  # its modes are the components


def test_ralstons_method_is_evaluated_at_two_thirds_of_a_step() -> None:
    def ralston(first: float) -> symsi.Plan:
        stages = [Stage(1, time=0.0, weights=[first]), Stage(1, time=2 / 3, weights=[3 / 4, 1 / 4 - first], node=2 / 3)]
        return symsi.Plan(stages, grid=[0.0, 1.0], spans=[symsi.Span(1, 1, order=2)])

    assert ralston(2 / 3).evaluations == 2
    with pytest.raises(symsi.PlanError, match=r"row 1 .*the state that it is evaluated at sum to 0\.33"):
        ralston(1 / 3)


def test_a_state_at_the_end_of_a_step_is_held_where_the_step_shrinks_it() -> None:
    stages = [Stage(1, time=0.0, keep=0.5, weights=[0.7]), Stage(1, time=1.0, weights=[0.5, -0.2])]
    with pytest.raises(symsi.PlanError, match=r"row 1 .*the state that it is evaluated at sum to 0\.7"):
        symsi.Plan(stages, grid=[0.0, 1.0], spans=[symsi.Span(0.5, 1.0)])


def test_all_tensors_of_a_plan_broadcast_to_one_shape_that_is_no_larger() -> None:
    """Else a product of two may have any size, which a file of a few bytes could ask for."""

    def plan(*shapes: tuple[int, ...], **options: Any) -> symsi.Plan:
        keep, gain, weight = map(torch.ones, shapes)
        stage = Stage(1, time=0.0, weights=[weight], keep=keep, gains=[gain])
        return symsi.Plan([stage], grid=[0.0, 1.0], spans=(), **options)

    for shapes in (
        ((3, 1, 1), (3, 4, 5), ()),
        ((3,), (1,), ()),
        ((), (), (2, 2)),
        ((3, 1, 1), (), (1, 2, 2)),
        ((2,),) * 3,
    ):
        assert plan(*shapes).evaluations == 1
    for shapes in (((3,), (4,), ()), ((3, 1), (1, 4), (3, 2)), ((2, 1, 1), (3,), (4,))):
        with pytest.raises(
            symsi.PlanError, match=r"row 0 \(step 1\): a coefficient of shape .* does not broadcast with"
        ):
            plan(*shapes)
    half = 1 << 10
    assert plan((half, 1), (1, half), ()).evaluations == 1  # three tensors may make 2^22 numbers together
    for shapes in (((), (2 * half, 1), (1, 2 * half)), ((half, 1, 1), (1, half, 1), (1, 1, 2))):
        with pytest.raises(symsi.PlanError, match=r"row 0 \(step 1\): .* give one of them that shape by \.expand\("):
            plan(*shapes)
    whole = torch.ones(2 * half, 1).expand(2 * half, 2 * half)
    stage = Stage(1, time=0.0, weights=[whole], gains=[torch.ones(2 * half, 1)])
    assert symsi.Plan([stage], grid=[0.0, 1.0], spans=()).evaluations == 1
    wide = (0.0, torch.arange(1.0, 2 * half + 1).reshape(-1, 1))  # what a span and the clock make together
    with pytest.raises(
        symsi.PlanError, match=r"the span of step 1: a coefficient of shape \(1, 2048\) makes 4194304 num"
    ):
        replace(plan((), (), ()), spans=[symsi.Span(torch.ones(1, 2 * half), 1.0)], clock=wide)
    claim = symsi.Span(torch.ones(4), 1.0)
    with pytest.raises(symsi.PlanError, match=r"the span of step 1: a coefficient of shape \(4,\)"):
        replace(plan((8,), (), ()), spans=[claim])
    with pytest.raises(symsi.PlanError, match=r"clock\[1\]: a coefficient of shape \(4,\)"):
        replace(plan((8,), (), ()), clock=(0.0, torch.ones(4)))
    with pytest.raises(symsi.PlanError, match="mean is not finite, or not a number"):
        symsi.Plan([Stage(1, time=0.0, weights=[1.0], mean=torch.ones(2))], grid=[0.0, 1.0])
    with pytest.raises(symsi.PlanError, match=r"of shape \(2,\)"):
        plan((3,), (), (), start=torch.ones(2))
    assert tuple(plan((), (), (), start=torch.ones(2)).start.shape) == (2,)


def test_numbers_may_be_tensors() -> None:
    one = torch.tensor(1.0)
    stage = Stage(1, time=torch.tensor(0.0), weights=torch.tensor([1.0]), keep=one, gains=torch.tensor([2.0]))
    plan = symsi.Plan([stage], grid=[0.0, 1.0])
    assert [list(map(float, v)) for v in (plan.stages[0].weights, plan.stages[0].gains)] == [[1.0], [2.0]]
    with pytest.raises(symsi.PlanError, match="time must lie in"):
        symsi.Plan([Stage(1, time=torch.zeros(2), weights=[1.0])], grid=[0.0, 1.0])
    with pytest.raises(symsi.PlanError, match="lists of numbers"):
        symsi.Plan([Stage(1, time=0.0, weights=one)], grid=[0.0, 1.0])
    with pytest.raises(symsi.PlanError, match=r"times must have 2 entries.*it has 0"):
        symsi.Plan([stage], grid=[0.0, 1.0], times=0.5)


def test_a_plan_from_a_later_time_starts_with_the_size_of_unit_noise_and_data_there() -> None:
    assert symsi.plan("linear", grid=[0.25, 1.0]).start == pytest.approx(10**0.5 / 4, rel=1e-15)


@pytest.mark.parametrize("name", ["linear", "trigonometric", "ddpm", "shifted(shift=3)"])
def test_a_plan_tells_the_schedule_that_it_was_made_for(name: str) -> None:
    base = symsi.schedule(name)
    model = symsi.Model(lambda x, t: x, schedule=base)
    origin = symsi.plan(model, schedule="trigonometric", solver="euler", steps=2).origin
    assert origin["base"] == base_words(base)
    found = base_of(origin)
    assert found is not None
    assert (found.alpha - base.alpha).simplify() == 0
    assert (found.beta - base.beta).simplify() == 0
    assert base_of({}) is None
    with pytest.raises(symsi.PlanError, match="origin says 'linear' for the model's schedule, which is none"):
        base_of({"base": "linear"})


@pytest.mark.parametrize("options", [{"solver": "ab2"}, {"diffusion": "optimal"}], ids=["ode", "sde"])
def test_a_plan_of_words_is_made_once_and_cannot_be_changed_by_who_holds_it(options: dict[str, str]) -> None:
    model = symsi.Model(lambda x, t: x)
    made = symsi.plan(model, schedule="trigonometric", steps=3, **options)
    assert symsi.plan(model, schedule="trigonometric", steps=3, **options) is made
    with pytest.raises(TypeError):
        made.origin["schedule"] = "linear"  # type: ignore[index]
    others = [{"steps": 4}, {"schedule": "linear"}, {"last": "step" if "diffusion" in options else "land"}]
    others += [{"grid": [0.0, 0.5, 0.75, 1.0]}]
    for other in others:
        asked = {"schedule": "trigonometric", "steps": 3, **options, **other}
        if "grid" in other:
            del asked["steps"]
        assert symsi.plan(model, **asked) != made


def test_plans_of_equal_schedules_keep_their_own_names() -> None:
    made = [symsi.plan("linear", schedule=name, steps=2) for name in ("linear", "polynomial(n=1)")]
    assert [plan.origin["schedule"] for plan in made] == ["linear", "polynomial(n=1)"]


def test_a_plan_survives_pickle_and_copy() -> None:
    made = symsi.plan("linear", schedule="trigonometric", diffusion="optimal", steps=2)
    for again in (pickle.loads(pickle.dumps(made)), copy.deepcopy(made)):
        assert again == made
        with pytest.raises(TypeError):
            again.origin["solver"] = "euler"


WORDS = [
    {"schedule": "trigonometric", "steps": 3},
    {"schedule": "lazy(kappa=1)", "diffusion": "optimal", "steps": 3},
    {"schedule": "trigonometric", "solver": "heun", "grid": [0.0, 0.3, 1.0]},
]


@pytest.mark.parametrize("words", WORDS, ids=["ode", "sde", "times"])
def test_a_plan_is_kept_on_disk_exactly_and_checked_when_it_is_read(
    words: dict[str, object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    planning._plain_plan.cache_clear()
    made = symsi.plan("linear", **words)
    monkeypatch.setenv("SYMSI_CACHE", str(tmp_path))
    monkeypatch.setattr(cache, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(cache, "_code", lambda: "this code")
    planning._plain_plan.cache_clear()
    assert symsi.plan("linear", **words) == made
    (path,) = tmp_path.iterdir()

    def never(*_: object) -> None:
        raise AssertionError

    with monkeypatch.context() as patch:
        for name in ("_own_plan", "_plan_by_mode"):
            patch.setattr(planning, name, never)
        planning._plain_plan.cache_clear()
        read = symsi.plan("linear", **words)
    assert read == made
    assert str(read) == str(made)
    data = json.loads(path.read_text())
    plan = data["answer"]["plan"]
    plan["stages"][0]["weights"][0] *= 2  # with the hashes of who knows them
    data["answer"]["hash"] = plan_file.digest(plan)
    data["hash"] = cache._digest(data["answer"])
    path.write_text(json.dumps(data))
    planning._plain_plan.cache_clear()
    assert symsi.plan("linear", **words) == made
    assert json.loads(path.read_text())["answer"]["hash"] == made.hash
    planning._plain_plan.cache_clear()


def test_plans_of_other_formulas_are_other_questions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SYMSI_CACHE", str(tmp_path))
    monkeypatch.setattr(cache, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(cache, "_code", lambda: "this code")
    planning._plain_plan.cache_clear()
    base = symsi.Model(lambda x, t: x, schedule="linear")
    noisy = symsi.Schedule("2*(1-t)", "t", noise_scale=2, name="linear")
    asked = [
        {"schedule": "trigonometric"},
        {"schedule": "linear"},
        {"schedule": noisy},
        {"schedule": "linear", "diffusion": "optimal"},
        {"schedule": "linear", "diffusion": "kappa=1/2"},
        {"schedule": "linear", "diffusion": "alpha"},
        {"schedule": "linear", "solver": "euler"},
        {"schedule": "linear", "last": "land"},
        {"schedule": "linear", "grid": "eased"},
        {"schedule": "linear", "steps": 3},
    ]
    for words in asked:
        symsi.plan(base, **{"steps": 2, **words})
    symsi.plan(symsi.Model(lambda x, t: x, prediction="noise"), grid=[0.01, 0.5, 1])
    symsi.plan(symsi.Model(lambda x, t: x, prediction="data"), grid=[0.01, 0.5, 1])
    assert len(list(tmp_path.iterdir())) == len(asked) + 2
    planning._plain_plan.cache_clear()

"""Schedulers that follow a plan: what they compute, what they keep, what they refuse, and in real pipelines."""

import copy
import json
import math
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import symsi
from symsi.errors import PlanError, SchedulerError, SymsiError
from symsi.models.analytic import mixture
from symsi.sampling.noise import standard_normal

diffusers = pytest.importorskip("diffusers")

from symsi.diffusers import LazyDiffusionScheduler, LazyFlowMatchScheduler  # noqa: E402
from tests.adapters.test_diffusers_pipelines import ABSENT, SIZE, draw, flux, prompts, ready, sd3, use  # noqa: E402

LAW = mixture([0.4, 0.6], [[-1.0, 0.5], [1.0, 1.0]], [0.3, 0.4])
DATA = replace(LAW.model(), shape=(2,))
Z = standard_normal(3, range(4), 0, (2,), dtype=torch.float64)
HEUN = symsi.Plan(
    [
        symsi.Stage(1, time=0.0, weights=[0.5]),
        symsi.Stage(1, time=0.5, weights=[0.25, -0.25]),
        symsi.Stage(2, time=0.5, weights=[0.5]),
        symsi.Stage(2, time=1.0, weights=[0.25, -0.25]),
    ],
    grid=[0.0, 0.5, 1.0],
)
LAZY = {"schedule": "trigonometric", "steps": 3}
BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


@pytest.fixture(scope="module")
def fitted() -> symsi.Plan:
    found = symsi.fit_solver(DATA, 3, samples=32, progress=False)
    assert isinstance(found, symsi.Plan)
    return found


@pytest.fixture(scope="module")
def by_channel() -> symsi.Plan:
    found = symsi.fit_solver(DATA, 3, samples=32, by_channel=True, progress=False)
    assert isinstance(found, symsi.Plan)
    assert tuple(found.stages[1].weights[0].shape) == (2,)
    return found


def flow(model: symsi.Model, x: Tensor, timestep: Tensor, **options: Any) -> Tensor:
    return -model(x, (1 - timestep.double() / 1000).repeat(len(x)), **options)


def loop(scheduler: Any, x: Tensor, model: symsi.Model = DATA, **options: Any) -> Tensor:
    for t in scheduler.timesteps:
        x = scheduler.step(flow(model, x, t), t, x, return_dict=False, **options)[0]
    return x


def run(x: Tensor = Z, **config: Any) -> Tensor:
    scheduler = LazyFlowMatchScheduler(**config)
    scheduler.set_timesteps(3)
    return loop(scheduler, x)


# What it computes


@pytest.mark.parametrize(
    "plan",
    [
        "fitted",
        "by channel",
        HEUN,
        symsi.plan(DATA, solver="ab3", grid="angle", **LAZY),
        symsi.plan(DATA, diffusion="optimal", **LAZY),
        symsi.plan(
            DATA, reference=symsi.Reference("isotropic", torch.tensor(0.5), torch.tensor(0.3)), shape=(2,), **LAZY
        ),
    ],
    ids=["fitted", "by channel", "by hand", "ab3", "noisy", "modal"],
)
def test_a_loop_is_what_symsi_samples_by_the_same_plan(plan: Any, fitted: symsi.Plan, by_channel: symsi.Plan) -> None:
    plan = {"fitted": fitted, "by channel": by_channel}.get(plan, plan) if isinstance(plan, str) else plan
    scheduler = LazyFlowMatchScheduler(plan=plan, seed=3, shift=3.0)
    scheduler.set_timesteps(plan.evaluations)
    expected = symsi.sample(DATA, plan=plan, shape=4, seed=3, dtype=torch.float64, progress=False).x
    torch.testing.assert_close(loop(scheduler, Z), expected, rtol=0, atol=1e-6)  # timesteps are float32
    assert scheduler.order == 1
    times = torch.tensor([float(s.time) for s in plan.stages], dtype=torch.float64)
    torch.testing.assert_close(scheduler.sigmas[:-1].double(), 1 - times, rtol=0, atol=1e-6)
    torch.testing.assert_close(scheduler.timesteps, scheduler.sigmas[:-1] * 1000)


def test_a_plan_by_channel_is_kept_by_a_config_and_refuses_samples_of_others(
    by_channel: symsi.Plan, tmp_path: Path
) -> None:
    scheduler = LazyFlowMatchScheduler(plan=by_channel)
    scheduler.save_pretrained(tmp_path)
    again = LazyFlowMatchScheduler.from_pretrained(tmp_path)
    for held in (scheduler, again):
        held.set_timesteps(3)
    assert torch.equal(loop(scheduler, Z), loop(again, Z))
    for form in ((3,), (2, 4)):
        again.set_timesteps(3)
        with pytest.raises(PlanError, match=r"shape \(2,\) does not broadcast to the modes"):
            again.step(torch.zeros(1, *form), again.timesteps[0], torch.zeros(1, *form))


LAWS = [
    symsi.Reference("channel", torch.tensor([0.5, 1.0, 2.0]).reshape(3, 1, 1), torch.tensor(0.1)),
    symsi.Reference("dct", torch.linspace(0.1, 2.0, 12).reshape(3, 2, 2), torch.tensor(0.1)),
    symsi.Reference("pca", torch.tensor([2.0, 1.0, 0.3]), torch.zeros(3, 2, 2), torch.eye(12)[:, :2]),
]


@pytest.mark.parametrize("law", LAWS, ids=[law.kind for law in LAWS])
def test_a_plan_with_a_reference_refuses_samples_of_another_shape(law: symsi.Reference) -> None:
    plan = symsi.plan("linear", schedule="trigonometric", steps=2, reference=law, shape=(3, 2, 2))
    scheduler = LazyFlowMatchScheduler(plan=plan)
    for form in ((4, 2, 2), (3,), (1, 2, 2), (2, 3, 2, 2), (3, 5, 5)):
        scheduler.set_timesteps(2)
        with pytest.raises(SymsiError, match=r"made for samples of another shape|does not broadcast to the modes"):
            scheduler.step(torch.zeros(2, *form), scheduler.timesteps[0], torch.zeros(2, *form))
    x = torch.zeros(2, 3, 2, 2)
    assert scheduler.step(x, scheduler.timesteps[0], x).prev_sample.shape == x.shape


def test_numbers_that_are_not_of_the_reference_s_modes_are_refused() -> None:
    law = symsi.Reference("isotropic", torch.tensor(0.5), torch.tensor(0.3))
    stage = symsi.Stage(1, 0.0, [1.0], keep=torch.ones(5000, 1, 1, 1))
    scheduler = LazyFlowMatchScheduler(plan=symsi.Plan([stage], [0.0, 1.0], spans=(), reference=law))
    scheduler.set_timesteps(1)
    with pytest.raises(PlanError, match=r"shape \(5000, 1, 1, 1\) does not broadcast to the modes \(1, 16, 16\)"):
        scheduler.step(torch.zeros(1, 1, 16, 16), scheduler.timesteps[0], torch.zeros(1, 1, 16, 16))


def test_a_guided_prediction_is_one_column_and_two_evaluations(fitted: symsi.Plan) -> None:
    both, one = mixture([0.5, 0.5], [[1.5, 0.0], [-1.5, 0.0]], [0.1, 0.1]), mixture([1.0], [[1.5, 0.0]], [0.1])
    whole, part = both.model(), one.model()

    def predict(x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        return whole(x, t) if label is None else part(x, t)

    model = symsi.Model(predict, shape=(2,), unconditional={"label": None}, classes=1)
    plan = symsi.fit_solver(model, 3, guidance=2.0, unconditional="together", samples=32, progress=False)
    assert {stage.asks for stage in plan.stages} == {("prediction",)}
    assert plan.origin["solver"] == "fitted"
    told = {"conditions": {"label": torch.zeros(4, dtype=torch.long)}, "guidance": 2.0, "dtype": torch.float64}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        expected = symsi.sample(model, plan=plan, shape=4, seed=3, progress=False, **told)
    assert expected.nfe == 6
    scheduler = LazyFlowMatchScheduler(plan=plan)
    scheduler.set_timesteps(3)
    guided = symsi.Model(lambda x, t: 2 * part(x, t) - whole(x, t))
    torch.testing.assert_close(loop(scheduler, Z, guided), expected.x, rtol=0, atol=1e-6)
    parts = symsi.fit_solver(model, 3, guidance=2.0, unconditional="first", samples=8, progress=False)
    with pytest.raises(SchedulerError, match=r"row 0 of the plan asks for conditional.*unconditional='together'"):
        LazyFlowMatchScheduler(plan=parts)


def test_sigmas_of_the_call_count_by_their_number(fitted: symsi.Plan) -> None:
    scheduler = LazyFlowMatchScheduler(plan=fitted, use_dynamic_shifting=True)
    scheduler.set_timesteps(sigmas=[1.0, 0.9, 0.1])  # and no mu is needed
    assert torch.equal(loop(scheduler, Z), run(plan=fitted))
    assert scheduler.num_inference_steps == 3


def test_rising_sigmas_and_a_velocity_follow_the_same_plan(fitted: symsi.Plan) -> None:
    for config in ({"invert_sigmas": True}, {"prediction": "velocity"}):
        scheduler = LazyFlowMatchScheduler(plan=fitted, **config)
        scheduler.set_timesteps(3)
        x = Z
        for t in scheduler.timesteps:
            tau = t.double() / 1000 if "invert_sigmas" in config else 1 - t.double() / 1000
            x = scheduler.step(DATA(x, tau.repeat(len(x))), t, x).prev_sample
        torch.testing.assert_close(x, run(plan=fitted), rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_a_step_keeps_the_dtype_of_the_network(dtype: torch.dtype, fitted: symsi.Plan) -> None:
    scheduler = LazyFlowMatchScheduler(plan=fitted)
    scheduler.set_timesteps(3)
    x = Z.to(dtype)
    for t in scheduler.timesteps:
        x = scheduler.step(flow(DATA, x.double(), t).to(dtype), t, x).prev_sample
        assert x.dtype == dtype
    torch.testing.assert_close(x.double(), run(plan=fitted), rtol=0, atol=0.05)


def test_a_stochastic_plan_has_densities() -> None:
    plan = symsi.plan(DATA, diffusion="optimal", last="step", **LAZY)
    named = LazyFlowMatchScheduler(diffusion="optimal", last="step", grid="uniform")
    mine = LazyFlowMatchScheduler(plan=plan)
    found = []
    for scheduler in (mine, named):
        scheduler.set_timesteps(3)
        found.append(scheduler.log_prob(Z.sin(), scheduler.timesteps[1], Z, Z.cos()))
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-4)


# What it keeps


def test_a_plan_is_saved_beside_the_config_and_gives_the_same_bits(
    fitted: symsi.Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fitted.save("mine.json")
    by_file, by_value = LazyFlowMatchScheduler(plan=Path("mine.json")), LazyFlowMatchScheduler(plan=fitted, shift=2.0)
    assert by_file.config.plan == "mine.json"
    by_file.save_pretrained(tmp_path / "file")
    by_value.save_pretrained(tmp_path / "value")
    Path("mine.json").unlink()
    for name, scheduler in (("file", by_file), ("value", by_value)):
        beside = tmp_path / name / "solver.json"
        assert symsi.load_plan(beside).hash == fitted.hash
        again = LazyFlowMatchScheduler.from_pretrained(tmp_path / name, torch_dtype=torch.bfloat16)
        assert again.config.plan == str(beside)
        more = LazyFlowMatchScheduler.from_config(again.config, seed=4)
        assert (more.config.plan, more.config.shift) == (str(beside), scheduler.config.shift)
        for other in (scheduler, again, more, copy.deepcopy(again)):
            other.set_timesteps(3)
            assert torch.equal(loop(other, Z), run(plan=fitted))


def test_a_config_alone_holds_a_plan_that_was_given_as_a_value(fitted: symsi.Plan, tmp_path: Path) -> None:
    scheduler = LazyFlowMatchScheduler(plan=fitted)
    scheduler.save_config(tmp_path)
    again = LazyFlowMatchScheduler.from_pretrained(tmp_path)
    assert json.loads(scheduler.to_json_string())["plan"] == again.config.plan
    assert torch.equal(run(plan=again.config.plan), run(plan=fitted))
    through = diffusers.FlowMatchHeunDiscreteScheduler.from_config(scheduler.config)
    back = LazyFlowMatchScheduler.from_config(through.config)
    assert torch.equal(run(plan=back.config.plan), run(plan=fitted))


def test_a_plan_saved_before_is_not_taken_for_one_that_the_config_names(fitted: symsi.Plan, tmp_path: Path) -> None:
    LazyFlowMatchScheduler(plan=fitted).save_pretrained(tmp_path)
    LazyFlowMatchScheduler().save_config(tmp_path)
    again = LazyFlowMatchScheduler.from_pretrained(tmp_path)
    assert again.config.plan is None
    again.save_pretrained(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["scheduler_config.json"]


def test_a_plan_takes_the_place_of_what_a_config_said_and_none_takes_it_out(fitted: symsi.Plan) -> None:
    before = LazyFlowMatchScheduler(shift=2.0, grid="angle", solver="ab3", schedule="linear", prediction="velocity")
    ours = LazyFlowMatchScheduler.from_config(before.config, plan=fitted)
    assert (ours.config.shift, ours.config.prediction) == (2.0, "velocity")
    assert ours.config.solver is None
    ours.set_timesteps(3)
    back = LazyFlowMatchScheduler.from_config(ours.config, plan=None, solver="ab3")
    back.set_timesteps(7)
    with pytest.raises(SchedulerError, match="plan says how to sample; leave solver = 'ab3' out, or set plan=None"):
        LazyFlowMatchScheduler.from_config(ours.config, solver="ab3")


# What it refuses


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"num_inference_steps": 28},
            r"num_inference_steps is 28, the plan has 3 evaluations: .*num_inference_steps=3",
        ),
        ({"sigmas": [1.0, 0.5]}, "num_inference_steps is 2, the plan has 3"),
        ({"sigmas": [0.9, 0.5, 0.1]}, "sigmas start at 0.9, but the config's plan starts in pure noise; set plan=None"),
        ({"timesteps": [1000.0, 500.0, 100.0]}, "timesteps do not go with the config's plan; set plan=None"),
        ({"sigmas": [1.0, 0.5, 0.1], "timesteps": [1000.0, 500.0, 100.0]}, "timesteps beside sigmas do not go with"),
    ],
)
def test_other_steps_than_the_plans_are_refused(fitted: symsi.Plan, given: dict[str, Any], message: str) -> None:
    with pytest.raises(SchedulerError, match=message):
        LazyFlowMatchScheduler(plan=fitted).set_timesteps(**given)


def test_a_plan_starts_from_noise_though_the_network_is_told_of_less() -> None:
    plan = symsi.Plan([symsi.Stage(1, 0.25, [1.0])], grid=[0.25, 1.0], spans=())
    scheduler = LazyFlowMatchScheduler(plan=plan)
    scheduler.set_timesteps(1)
    assert scheduler.timesteps.tolist() == [750]
    assert torch.equal(scheduler.scale_noise(torch.ones_like(Z), 750.0, Z), Z)
    expected = symsi.sample(DATA, plan=plan, shape=4, start=Z, dtype=torch.float64, progress=False).x
    torch.testing.assert_close(loop(scheduler, Z), expected, rtol=0, atol=1e-6)


def test_a_diffusion_models_image_at_strength_1_starts_from_noise_under_a_plan() -> None:
    stages = [symsi.Stage(1, 0.25, [1.0]), symsi.Stage(2, 0.6, [0.0, 1.0])]
    scheduler = LazyDiffusionScheduler(plan=symsi.Plan(stages, grid=[0.25, 0.6, 1.0], spans=()))
    x, z = torch.ones(2, 3), torch.full((2, 3), -2.0)
    scheduler.set_timesteps(2)
    found = scheduler.add_noise(x, z, scheduler.timesteps)
    later = scheduler.alphas_cumprod[scheduler.timesteps[1]]
    assert torch.equal(found[0], z[0])
    torch.testing.assert_close(found[1], (1 - later).sqrt() * z[1] + later.sqrt() * x[1])
    plain = LazyDiffusionScheduler()
    plain.set_timesteps(2)
    assert not torch.equal(plain.add_noise(x, z, plain.timesteps)[0], z[0])


def test_a_start_in_the_middle_is_refused(fitted: symsi.Plan) -> None:
    scheduler = LazyFlowMatchScheduler(plan=fitted)
    scheduler.set_timesteps(3)
    message = "a plan starts in pure noise, and this run would start at its evaluation 1: image to image"
    with pytest.raises(SchedulerError, match=message):
        scheduler.set_begin_index(1)
    with pytest.raises(SchedulerError, match=message):
        scheduler.step(Z, scheduler.timesteps[1], Z)
    scheduler.set_timesteps(3)
    scheduler.set_begin_index(0)
    assert torch.equal(loop(scheduler, Z), run(plan=fitted))


NOISE = symsi.plan(symsi.Model(LAW.model("ddpm", "noise"), schedule="ddpm", prediction="noise"), **LAZY)


@pytest.mark.parametrize(
    ("kind", "config", "message"),
    [
        (LazyFlowMatchScheduler, {"plan": 3}, "plan must be the name of a file or a symsi.Plan; got int"),
        (LazyFlowMatchScheduler, {"plan": HEUN, "grid": "angle"}, "leave grid = 'angle' out"),
        (LazyFlowMatchScheduler, {"plan": NOISE}, "a model that predicts noise; this one predicts velocity"),
        (
            LazyFlowMatchScheduler,
            {"plan": symsi.plan("trigonometric", steps=3)},
            r"alpha=1 - t, beta=t\. Fit a plan to",
        ),
        (LazyFlowMatchScheduler, {"plan": symsi.plan("linear", grid=[0.5, 1.0])}, r"noise that is not N\(0, I\)"),
        (LazyFlowMatchScheduler, {"plan": symsi.plan("linear", grid=[0.0, 0.5])}, "the plan ends at model time 0.5"),
        (LazyFlowMatchScheduler, {"plan": replace(HEUN, origin={"base": "linear"})}, "origin says 'linear'"),
        (LazyDiffusionScheduler, {"plan": symsi.plan("linear", steps=3)}, "predicts velocity; this one predicts noise"),
        (
            LazyDiffusionScheduler,
            {"plan": symsi.plan("linear", steps=3), "prediction_type": "v_prediction"},
            "made for a model with alpha=1 - t, beta=t; this scheduler's has",
        ),
    ],
)
def test_a_plan_that_does_not_fit_is_refused(kind: Any, config: dict[str, Any], message: str) -> None:
    with pytest.raises(SymsiError, match=message):
        kind(**config)


def test_a_file_that_is_missing_or_was_changed_is_refused(fitted: symsi.Plan, tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"there is no plan .*none\.json"):
        LazyFlowMatchScheduler(plan=tmp_path / "none.json")
    LazyFlowMatchScheduler(plan=fitted).save_pretrained(tmp_path)
    data = json.loads((tmp_path / "solver.json").read_text())
    data["plan"]["start"] = 2.0
    (tmp_path / "solver.json").write_text(json.dumps(data))
    with pytest.raises(PlanError, match=r"solver\.json was changed after it was written"):
        LazyFlowMatchScheduler.from_pretrained(tmp_path)
    with pytest.raises(PlanError, match="plan was changed after it was written"):
        LazyFlowMatchScheduler(plan=data)


# Diffusion models


def diffusion(plan: symsi.Plan, model: symsi.Model, **config: Any) -> tuple[Any, Tensor]:
    """A run whose network answers at the exact angle of each timestep."""
    scheduler = LazyDiffusionScheduler(plan=plan, **BETAS, **config)
    scheduler.set_timesteps(plan.evaluations)
    x = Z
    for t in scheduler.timesteps:
        signal = float(scheduler.alphas_cumprod[t].double().sqrt())
        answer = model(x, torch.full((len(x),), math.asin(signal) * 2 / math.pi, dtype=torch.float64))
        x = scheduler.step(answer, t, x).prev_sample
    return scheduler, x


@pytest.mark.parametrize("kind", ["noise", "data", "velocity"])
def test_a_diffusion_model_follows_a_plan_at_the_nearest_timesteps(kind: str) -> None:
    """The rounding of times to one in a thousand is all that differs; a velocity is diffusers' v but for a factor."""
    model = replace(LAW.model("trigonometric", kind), shape=(2,))
    plan = symsi.plan(model, schedule="trigonometric", grid=[0.05, 0.3, 0.6, 1.0])
    name = {"noise": "epsilon", "data": "sample", "velocity": "v_prediction"}[kind]
    network = model if kind != "velocity" else (lambda x, t: model(x, t) / (-math.pi / 2))
    scheduler, found = diffusion(plan, network, prediction_type=name)
    angles = scheduler.alphas_cumprod[scheduler.timesteps].double().sqrt().asin() * 2 / math.pi
    torch.testing.assert_close(angles, torch.tensor([0.05, 0.3, 0.6]).double(), rtol=0, atol=1e-3)
    expected = symsi.sample(model, plan=plan, shape=4, seed=3, dtype=torch.float64, progress=False).x
    torch.testing.assert_close(found, expected, rtol=0, atol=5e-3)
    with pytest.raises(SchedulerError, match="timesteps do not go with the config's plan"):
        scheduler.set_timesteps(timesteps=[999, 500, 100])


def test_a_plan_of_another_variance_preserving_clock_is_taken_at_equal_noise() -> None:
    law = LAW.model("ddpm", "noise")
    plan = symsi.plan(law, schedule="trigonometric", grid=[0.1, 0.3, 0.6, 1.0])
    scheduler, found = diffusion(plan, LAW.model("trigonometric", "noise"))
    expected = symsi.sample(replace(law, shape=(2,)), plan=plan, shape=4, seed=3, dtype=torch.float64, progress=False)
    torch.testing.assert_close(found, expected.x, rtol=0, atol=5e-3)
    again = LazyDiffusionScheduler.from_config(scheduler.config)
    again.set_timesteps(3)
    assert torch.equal(again.timesteps, scheduler.timesteps)


# Pipelines


@pytest.mark.parametrize("kind", [sd3, flux])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_pipeline_follows_a_plan_with_callbacks_and_several_images(
    kind: Any, dtype: torch.dtype, fitted: symsi.Plan
) -> None:
    pipe = use(kind().to(dtype), plan=fitted)
    seen: list[int] = []

    def look(pipe: Any, step: int, t: Tensor, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        seen.append(step)
        return {}

    more = {"batch": 3} if kind is sd3 else {"num_images_per_prompt": 3}
    found = draw(pipe, num_inference_steps=3, guidance_scale=4.0, callback_on_step_end=look, **more)
    assert found.shape == (3, 3, SIZE, SIZE)
    assert found.isfinite().all()
    assert seen == [0, 1, 2]
    with pytest.raises(SchedulerError, match="num_inference_steps is 5, the plan has 3 evaluations"):
        draw(pipe)


def test_a_pipeline_samples_as_symsi_does_by_the_plan(fitted: symsi.Plan) -> None:
    """Its transformer, without guidance, as a model of symsi."""
    pipe, shape = use(sd3(), plan=fitted), (16, SIZE // 2, SIZE // 2)
    text = prompts(pipe)

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        found = pipe.transformer(
            hidden_states=x,
            timestep=1000 * (1 - t),
            encoder_hidden_states=text["prompt_embeds"],
            pooled_projections=text["pooled_prompt_embeds"],
        )
        return -found.sample

    z = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0))
    found = draw(pipe, num_inference_steps=3, guidance_scale=1.0, latents=z, output_type="latent")
    plan = replace(fitted, origin={})  # it was fitted to samples of another shape
    expected = symsi.sample(velocity, shape=(1, *shape), plan=plan, start=z, progress=False).x
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("kind", "name"), [(sd3, "StableDiffusion3Img2ImgPipeline"), (flux, "FluxInpaintPipeline")])
def test_editing_needs_the_whole_run(kind: Any, name: str, fitted: symsi.Plan) -> None:
    pipe = use(kind(name), plan=fitted)
    assert draw(pipe, num_inference_steps=3, strength=1.0).isfinite().all()
    with pytest.raises(SchedulerError, match="a plan starts in pure noise"):
        draw(pipe, num_inference_steps=3)


def test_a_pipeline_saved_with_a_plan_draws_the_same_bits(fitted: symsi.Plan, tmp_path: Path) -> None:
    pipe = use(sd3(), plan=fitted)
    pipe.save_pretrained(tmp_path)
    assert (tmp_path / "scheduler" / "solver.json").is_file()
    again = ready(diffusers.DiffusionPipeline.from_pretrained(tmp_path, **ABSENT))
    assert torch.equal(draw(again, num_inference_steps=3), draw(pipe, num_inference_steps=3))

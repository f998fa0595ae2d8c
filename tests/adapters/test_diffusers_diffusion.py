"""LazyDiffusionScheduler: noise, data and v predictions of variance-preserving models, by T1."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

import symsi
from symsi.errors import SchedulerError, SymsiError
from symsi.models.analytic import mixture

diffusers = pytest.importorskip("diffusers")

from diffusers import DDIMScheduler, EulerDiscreteScheduler, FlowMatchEulerDiscreteScheduler  # noqa: E402

from symsi.diffusers import LazyDiffusionScheduler  # noqa: E402

BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
DATA = mixture([0.4, 0.6], [[-1.0, 0.5], [1.0, 1.0]], [0.3, 0.4])
NOISE, VALUE = DATA.model("trigonometric", "noise"), DATA.model("trigonometric", "data")


def z(count: int = 6) -> Tensor:
    return torch.randn(count, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def network(scheduler: Any, kind: str, x: Tensor, timestep: Tensor) -> Tensor:
    """The exact prediction at alphas_cumprod of the timestep."""
    signal = scheduler.alphas_cumprod[int(timestep)].double().sqrt()
    t = (signal.asin() * 2 / math.pi).repeat(len(x))
    epsilon, data = NOISE(x, t), VALUE(x, t)
    v = signal * epsilon - (1 - signal**2).sqrt() * data
    return {"epsilon": epsilon, "sample": data, "v_prediction": v}[kind]


def run(scheduler: Any, steps: int, kind: str = "epsilon") -> Tensor:
    scheduler.set_timesteps(steps)
    x = z()
    for t in scheduler.timesteps:
        x = scheduler.step(network(scheduler, kind, x, t), t, x, return_dict=False)[0]
    return x


@pytest.mark.parametrize("steps", [2, 5, 20])
def test_eulers_method_in_the_noise_to_signal_ratio_is_ddim(steps: int) -> None:
    """x/beta moves by (alpha'/beta' - alpha/beta) epsilon: Euler under (80 (1 - t), 1)."""
    config = {**BETAS, "timestep_spacing": "trailing"}
    theirs = run(DDIMScheduler(clip_sample=False, **config), steps)
    ours = run(LazyDiffusionScheduler(schedule="edm", solver="euler", **config), steps)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)  # DDIM computes its coefficients in float32


@pytest.mark.parametrize(
    "way", [{}, {"diffusion": "optimal", "seed": 0}, {"schedule": "linear", "solver": "ab3"}], ids=str
)
def test_noise_data_and_v_predictions_give_the_same_samples(way: dict) -> None:
    found = {
        kind: run(LazyDiffusionScheduler(prediction_type=kind, timestep_spacing="trailing", **BETAS, **way), 6, kind)
        for kind in ("epsilon", "sample", "v_prediction")
    }
    torch.testing.assert_close(found["sample"], found["epsilon"], rtol=0, atol=1e-9)
    torch.testing.assert_close(found["v_prediction"], found["epsilon"], rtol=0, atol=1e-9)


def test_a_run_is_what_symsi_samples_from_the_same_model() -> None:
    scheduler = LazyDiffusionScheduler(timestep_spacing="trailing", **BETAS)
    found = run(scheduler, 6)
    taus = [*(scheduler.alphas_cumprod[scheduler.timesteps].double().sqrt().asin() * 2 / math.pi).tolist(), 1.0]
    plan = symsi.plan(NOISE, schedule="trigonometric", solver="ab2", grid=taus)
    x, fields = z(), []
    for row in plan.stages:
        fields.insert(0, row.state * x + row.gain * NOISE(x, torch.full((len(x),), row.time, dtype=torch.float64)))
        x = row.keep * x + sum(w * g for w, g in zip(row.weights, fields, strict=False))
    torch.testing.assert_close(found, x, rtol=0, atol=1e-10)


def test_lazy_coordinates_need_fewer_steps_than_ddim() -> None:
    config = {**BETAS, "timestep_spacing": "trailing"}
    truth = run(LazyDiffusionScheduler(**config), 500)
    ours, theirs = (run(s, 8) for s in (LazyDiffusionScheduler(**config), DDIMScheduler(clip_sample=False, **config)))
    assert (ours - truth).norm() < 0.5 * (theirs - truth).norm()


def test_one_line_takes_the_place_of_a_diffusion_models_scheduler() -> None:
    theirs = EulerDiscreteScheduler(**BETAS, prediction_type="v_prediction", steps_offset=1)
    ours = LazyDiffusionScheduler.from_config(theirs.config, timestep_spacing="trailing")
    assert (ours.config.beta_end, ours.config.prediction_type, ours.config.steps_offset) == (0.012, "v_prediction", 1)
    assert torch.equal(ours.alphas_cumprod, theirs.alphas_cumprod)


def test_timesteps_of_the_call_are_taken_as_they_are() -> None:
    scheduler = LazyDiffusionScheduler(**BETAS)
    scheduler.set_timesteps(timesteps=[999, 600, 100])
    assert scheduler.timesteps.tolist() == [999, 600, 100]
    assert scheduler.index_for_timestep(torch.tensor(600)) == 1


def test_a_grid_by_name_takes_the_nearest_timesteps() -> None:
    scheduler = LazyDiffusionScheduler(grid="angle", **BETAS)
    scheduler.set_timesteps(8)
    assert scheduler.timesteps[0] == 999
    angles = scheduler.alphas_cumprod[scheduler.timesteps].double().sqrt().asin() * 2 / math.pi
    nearest = (scheduler.alphas_cumprod.double().sqrt().asin() * 2 / math.pi)[None] - torch.arange(8)[:, None] / 8
    assert torch.equal(nearest.abs().argmin(1), scheduler.timesteps)
    torch.testing.assert_close(angles[1:], torch.arange(1, 8).double() / 8, rtol=0, atol=1e-3)
    found = run(scheduler, 8)
    assert (found - run(LazyDiffusionScheduler(timestep_spacing="trailing", **BETAS), 500)).norm() < 0.1 * found.norm()


@pytest.mark.parametrize(
    ("grid", "steps", "message"),
    [("log-snr", 400, "finer than the model's timesteps"), ("angel", 4, "angle"), ([0.0, 0.5, 1.0], 3, "2 steps")],
)
def test_a_grid_that_does_not_fit_is_refused(grid: object, steps: int, message: str) -> None:
    with pytest.raises(SymsiError, match=message):
        LazyDiffusionScheduler(grid=grid, **BETAS).set_timesteps(steps)


def test_a_spacing_that_leaves_the_models_timesteps_is_refused() -> None:
    with pytest.raises(SchedulerError, match=r"timesteps must be integers from 0 to 999; timesteps\[0\] = 1000"):
        LazyDiffusionScheduler(steps_offset=1, **BETAS).set_timesteps(1000)


def test_a_begin_index_starts_there() -> None:
    scheduler = LazyDiffusionScheduler(**BETAS)
    scheduler.set_timesteps(5)
    scheduler.set_begin_index(2)
    x = z().float()
    scheduler.step(x, scheduler.timesteps[2], x)
    assert (scheduler.begin_index, scheduler.step_index) == (2, 3)


def test_its_steps_have_densities() -> None:
    scheduler = LazyDiffusionScheduler(diffusion="optimal", last="step", **BETAS)
    scheduler.set_timesteps(4)
    x, v, after = z(), z().sin(), z().cos()
    found = scheduler.log_prob(v, scheduler.timesteps[1], x, after)
    assert found.shape == (6,)
    assert torch.isfinite(found).all()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"prediction_type": "flow"}, "unknown prediction_type 'flow'"),
        ({"solver": "heun"}, "solver 'heun' evaluates at pure data"),
        ({"schedule": "vpp"}, "unknown schedule 'vpp'"),
    ],
    ids=str,
)
def test_a_config_that_does_not_fit_is_refused(config: dict, message: str) -> None:
    with pytest.raises(SymsiError, match=message):
        LazyDiffusionScheduler(**config)


def test_a_flow_config_is_refused_with_what_to_use() -> None:
    with pytest.raises(SchedulerError, match=r"not that of a diffusion model .* Use LazyFlowMatchScheduler"):
        LazyDiffusionScheduler.from_config(FlowMatchEulerDiscreteScheduler().config)


def test_a_network_of_noise_has_no_limit_at_zero_signal_and_that_is_said() -> None:
    with pytest.raises(SymsiError, match=r"timestep 999 is pure noise .* set prediction_type='v_prediction'"):
        LazyDiffusionScheduler(rescale_betas_zero_snr=True, timestep_spacing="trailing", **BETAS).set_timesteps(4)


@pytest.mark.parametrize(
    ("theirs", "message"),
    [
        (diffusers.CogVideoXDDIMScheduler(), "snr_shift_scale = 3.0"),
        (EulerDiscreteScheduler(prediction_type="v_prediction", timestep_type="continuous"), "timestep_type"),
        (diffusers.DDPMScheduler(thresholding=True), "thresholding = True"),
        (diffusers.LCMScheduler(), "a distilled model"),
        (diffusers.TCDScheduler(), "a distilled model"),
    ],
    ids=lambda v: type(v).__name__,
)
def test_a_config_that_the_steps_cannot_honour_is_refused(theirs: Any, message: str) -> None:
    with pytest.raises(SchedulerError, match=message):
        LazyDiffusionScheduler.from_config(theirs.config)


def test_spacings_and_clipping_that_are_left_out_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    theirs = diffusers.DPMSolverMultistepScheduler(use_karras_sigmas=True).config
    ours = LazyDiffusionScheduler.from_config(theirs)
    assert "use_karras_sigmas = True of this config is not honoured: set grid" in caplog.text
    caplog.clear()
    LazyDiffusionScheduler.from_config(DDIMScheduler().config)
    assert "clip_sample = True of this config is not honoured" in caplog.text
    caplog.clear()
    LazyDiffusionScheduler.from_config(ours.config)
    assert caplog.text == ""


@pytest.mark.parametrize(
    "given", [{"eta": 1.0}, {"variance_noise": torch.zeros(6, 2)}, {"use_clipped_model_output": True}]
)
def test_settings_of_ddims_step_are_refused(given: dict) -> None:
    scheduler = LazyDiffusionScheduler(**BETAS)
    scheduler.set_timesteps(4)
    with pytest.raises(SchedulerError, match="set diffusion"):
        scheduler.step(z(), scheduler.timesteps[0], z(), **given)
    assert scheduler.step(z(), scheduler.timesteps[0], z(), 0.0).prev_sample.shape == (6, 2)


def test_a_stable_diffusion_pipeline_runs_with_it() -> None:
    pytest.importorskip("transformers")
    torch.manual_seed(0)
    unet = diffusers.UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        block_out_channels=(8, 8),
        layers_per_block=1,
        norm_num_groups=2,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=8,
        attention_head_dim=2,
    )
    vae = diffusers.AutoencoderKL(block_out_channels=(4,), norm_num_groups=1, latent_channels=4)
    pipe = diffusers.StableDiffusionPipeline(
        vae=vae,
        unet=unet,
        text_encoder=None,
        tokenizer=None,
        safety_checker=None,
        feature_extractor=None,
        scheduler=EulerDiscreteScheduler(**BETAS, steps_offset=1),
        requires_safety_checker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    text = torch.randn(1, 5, 8, generator=torch.Generator().manual_seed(1))

    def draw(steps: int, scheduler: Any) -> Tensor:
        pipe.scheduler = scheduler
        return pipe(
            prompt_embeds=text,
            negative_prompt_embeds=-text,
            num_inference_steps=steps,
            height=8,
            width=8,
            generator=torch.Generator().manual_seed(0),
            output_type="latent",
        ).images

    config = {"timestep_spacing": "trailing"}
    lazy = LazyDiffusionScheduler.from_config(pipe.scheduler.config, **config)
    ours = LazyDiffusionScheduler.from_config(pipe.scheduler.config, schedule="edm", solver="euler", **config)
    theirs = DDIMScheduler.from_config(pipe.scheduler.config, clip_sample=False, set_alpha_to_one=True, **config)
    torch.testing.assert_close(draw(10, ours), draw(10, theirs), rtol=1e-3, atol=1e-3)
    assert torch.isfinite(draw(10, lazy)).all()

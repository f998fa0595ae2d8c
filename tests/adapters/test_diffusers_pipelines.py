"""Real pipelines of diffusers, tiny and with random weights, under LazyFlowMatchScheduler."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

diffusers = pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler  # noqa: E402

from symsi.diffusers import LazyFlowMatchScheduler  # noqa: E402

SIZE = 16  # of an image; latents are half that
LINEAR = {"schedule": "linear", "solver": "euler"}
ENCODERS = {"text_encoder": None, "tokenizer": None, "text_encoder_2": None, "tokenizer_2": None}
ABSENT = {**ENCODERS, "text_encoder_3": None, "tokenizer_3": None}


def vae(channels: int) -> AutoencoderKL:
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(4, 4),
        layers_per_block=1,
        latent_channels=channels,
        norm_num_groups=1,
        use_quant_conv=False,
        use_post_quant_conv=False,
        shift_factor=0.06,
        scaling_factor=1.5,
    )


def sd3(kind: str = "StableDiffusion3Pipeline", scheduler: Any = None) -> Any:
    torch.manual_seed(0)
    network = diffusers.SD3Transformer2DModel(
        sample_size=SIZE // 2,
        patch_size=1,
        in_channels=16,
        num_layers=1,
        attention_head_dim=4,
        num_attention_heads=2,
        joint_attention_dim=8,
        caption_projection_dim=8,
        pooled_projection_dim=8,
        out_channels=16,
    )
    given = scheduler or FlowMatchEulerDiscreteScheduler(shift=3.0)
    return ready(getattr(diffusers, kind)(transformer=network, vae=vae(16), scheduler=given, **ABSENT))


def flux(kind: str = "FluxPipeline", scheduler: Any = None) -> Any:
    torch.manual_seed(0)
    network = diffusers.FluxTransformer2DModel(
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=8,
        pooled_projection_dim=8,
        axes_dims_rope=(4, 4, 8),
    )
    given = scheduler or FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True)
    return ready(getattr(diffusers, kind)(transformer=network, vae=vae(4), scheduler=given, **ENCODERS))


def aura(kind: str = "AuraFlowPipeline", scheduler: Any = None) -> Any:
    torch.manual_seed(0)
    network = diffusers.AuraFlowTransformer2DModel(
        sample_size=SIZE // 2,
        in_channels=4,
        num_mmdit_layers=1,
        num_single_dit_layers=1,
        attention_head_dim=4,
        num_attention_heads=2,
        joint_attention_dim=8,
        caption_projection_dim=8,
        pos_embed_max_size=64,
    )
    given = scheduler or FlowMatchEulerDiscreteScheduler(shift=1.73)
    return ready(
        getattr(diffusers, kind)(transformer=network, vae=vae(4), scheduler=given, text_encoder=None, tokenizer=None)
    )


def ready(pipe: Any) -> Any:
    pipe.set_progress_bar_config(disable=True)
    return pipe


def prompts(pipe: Any, batch: int = 1) -> dict[str, Any]:
    """What a text encoder would give."""
    dtype = pipe.transformer.dtype
    text, pooled = (torch.randn(s, generator=torch.Generator().manual_seed(9)) for s in ((batch, 6, 8), (batch, 8)))
    text, pooled = text.to(dtype), pooled.to(dtype)
    name = type(pipe).__name__
    if "Flux" in name:
        return {"prompt_embeds": text, "pooled_prompt_embeds": pooled}
    negative: dict[str, Any] = {"negative_prompt_embeds": -text}
    if "Aura" in name:
        mask = torch.ones(batch, 6)
        return {
            "prompt_embeds": text,
            "prompt_attention_mask": mask,
            **negative,
            "negative_prompt_attention_mask": mask,
        }
    return {"prompt_embeds": text, "pooled_prompt_embeds": pooled, **negative, "negative_pooled_prompt_embeds": -pooled}


def inputs(pipe: Any) -> dict[str, Any]:
    """An image and a mask, for pipelines that edit."""
    name, found = type(pipe).__name__, {}
    if "Img2Img" in name or "Inpaint" in name:
        found = {"image": torch.rand(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(4)), "strength": 0.6}
    if "Inpaint" in name:
        found["mask_image"] = torch.ones(1, 1, SIZE, SIZE).tril()
    return found if name == "StableDiffusion3Img2ImgPipeline" else {**found, "height": SIZE, "width": SIZE}


def draw(pipe: Any, seed: int = 0, batch: int = 1, **options: Any) -> Tensor:
    given = {"num_inference_steps": 5, "output_type": "pt", **inputs(pipe), **prompts(pipe, batch), **options}
    found = pipe(generator=torch.Generator().manual_seed(seed), **given).images
    return torch.as_tensor(found)


PIPELINES: dict[str, Callable[..., Any]] = {
    "StableDiffusion3Pipeline": sd3,
    "StableDiffusion3Img2ImgPipeline": sd3,
    "StableDiffusion3InpaintPipeline": sd3,
    "FluxPipeline": flux,
    "FluxImg2ImgPipeline": flux,
    "FluxInpaintPipeline": flux,
    "AuraFlowPipeline": aura,
}
every = pytest.mark.parametrize("kind", PIPELINES)


def use(pipe: Any, **config: Any) -> Any:
    """The one line that a user changes."""
    pipe.scheduler = LazyFlowMatchScheduler.from_config(pipe.scheduler.config, **config)
    return pipe


@every
def test_linear_euler_is_what_the_pipeline_gave_before_bit_for_bit(kind: str) -> None:
    pipe = PIPELINES[kind](kind)
    before = draw(pipe)
    assert torch.equal(draw(use(pipe, **LINEAR)), before)


@every
@pytest.mark.parametrize(
    "config",
    [{}, {"solver": "heun"}, {"solver": "ab3", "grid": "shifted(shift=2)"}, {"diffusion": "optimal", "seed": 0}],
    ids=str,
)
def test_a_pipeline_runs_and_repeats_itself(kind: str, config: dict) -> None:
    pipe = use(PIPELINES[kind](kind), **config)
    found = draw(pipe)
    assert found.shape == (1, 3, SIZE, SIZE)
    assert torch.isfinite(found).all()
    assert torch.equal(draw(pipe), found)
    assert not torch.equal(draw(pipe, seed=1), found)


@every
def test_many_steps_of_any_solver_agree(kind: str) -> None:
    """The flow is one and the same; the tiny network is smooth, so 60 steps are enough to see it."""
    pipe = use(PIPELINES[kind](kind), **LINEAR)
    options = {"num_inference_steps": 60, "output_type": "latent"}
    truth = draw(pipe, **options)
    start = draw(pipe, num_inference_steps=5, output_type="latent")
    found = draw(use(pipe, schedule="trigonometric", solver="ab2", grid="sigmas"), **options)
    assert (found - truth).norm() < 0.05 * truth.norm()
    assert (found - truth).norm() < (start - truth).norm()


@pytest.mark.parametrize("kind", ["StableDiffusion3Pipeline", "FluxPipeline", "AuraFlowPipeline"])
def test_guidance_callbacks_and_several_images_a_prompt(kind: str) -> None:
    pipe = use(PIPELINES[kind](kind))
    seen: list[int] = []

    def edit(pipe: Any, step: int, t: Tensor, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        seen.append(step)
        return {"latents": tensors["latents"] * 0.99}

    # SD3 repeats texts for num_images_per_prompt, but not embeddings
    options = {"guidance_scale": 4.0, **({"batch": 3} if "3" in kind else {"num_images_per_prompt": 3})}
    found = draw(pipe, **options, callback_on_step_end=edit)
    assert found.shape == (3, 3, SIZE, SIZE)
    assert seen == [0, 1, 2, 3, 4]
    assert not torch.equal(found, draw(pipe, **options))


@every
def test_bfloat16_stays_bfloat16_and_close_to_float32(kind: str) -> None:
    exact = draw(use(PIPELINES[kind](kind)), output_type="latent")
    found = draw(use(PIPELINES[kind](kind).to(torch.bfloat16)), output_type="latent")
    assert found.dtype == torch.bfloat16
    theirs = draw(PIPELINES[kind](kind).to(torch.bfloat16), output_type="latent")
    before = draw(PIPELINES[kind](kind), output_type="latent")
    rounding = (theirs.float() - before).norm() / before.norm()
    assert (found.float() - exact).norm() / exact.norm() < 3 * rounding + 1e-3


@pytest.mark.parametrize("kind", ["StableDiffusion3Pipeline", "FluxPipeline", "AuraFlowPipeline"])
def test_sigmas_of_the_call_reach_the_network(kind: str) -> None:
    pipe = use(PIPELINES[kind](kind), shift=1.0, use_dynamic_shifting=False)
    told: list[float] = []
    network = pipe.transformer.forward

    def listen(*args: Any, **options: Any) -> Any:
        told.append(float(options["timestep"].flatten()[0]))
        return network(*args, **options)

    pipe.transformer.forward = listen
    draw(pipe, num_inference_steps=3, sigmas=[1.0, 0.7, 0.2])
    unit = 1000.0 if kind == "StableDiffusion3Pipeline" else 1.0
    np.testing.assert_allclose(told, [unit, 0.7 * unit, 0.2 * unit], rtol=1e-5)


def test_a_run_that_was_interrupted_goes_on_from_its_latents() -> None:
    """SD3 tells the scheduler no begin index: the first timestep does."""
    pipe = use(sd3(), solver="euler")
    whole = draw(pipe, output_type="latent")
    kept: dict[int, Tensor] = {}

    def stop(pipe: Any, step: int, t: Tensor, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        kept[step] = tensors["latents"]
        pipe._interrupt = step >= 2
        return {}

    draw(pipe, callback_on_step_end=stop, output_type="latent")
    assert sorted(kept) == [0, 1, 2]
    scheduler, latents, embeds = pipe.scheduler, kept[2], prompts(pipe)
    scheduler.set_timesteps(5)
    for t in scheduler.timesteps[3:]:
        both = torch.cat([latents, latents])
        text = torch.cat([embeds["negative_prompt_embeds"], embeds["prompt_embeds"]])
        pooled = torch.cat([embeds["negative_pooled_prompt_embeds"], embeds["pooled_prompt_embeds"]])
        with torch.no_grad():
            free, bound = pipe.transformer(
                hidden_states=both,
                timestep=t.expand(2),
                encoder_hidden_states=text,
                pooled_projections=pooled,
                return_dict=False,
            )[0].chunk(2)
        latents = scheduler.step(free + 7.0 * (bound - free), t, latents, return_dict=False)[0]
    torch.testing.assert_close(latents, whole)


def test_a_saved_pipeline_loads_again_in_a_fresh_process(tmp_path: Path) -> None:
    pipe = use(sd3(), schedule="lazy(kappa=1)", diffusion="optimal", seed=11)
    pipe.save_pretrained(tmp_path)
    code = (
        "import sys, torch, symsi.diffusers\n"
        "from diffusers import DiffusionPipeline\n"
        f"pipe = DiffusionPipeline.from_pretrained(sys.argv[1], **{ABSENT})\n"
        "config = pipe.scheduler.config\n"
        "print(type(pipe.scheduler).__name__, config.schedule, config.diffusion, config.shift, config.seed)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.stdout == "LazyFlowMatchScheduler lazy(kappa=1) optimal 3.0 11\n", done.stderr
    again = ready(diffusers.DiffusionPipeline.from_pretrained(tmp_path, **ABSENT))
    assert torch.equal(draw(again), draw(pipe))


def test_a_compiled_network_is_compiled_as_often_as_before() -> None:
    def graphs(pipe: Any) -> tuple[int, Tensor]:
        torch._dynamo.reset()
        count = 0

        def count_graphs(module: Any, example: Any) -> Any:
            nonlocal count
            count += 1
            return module.forward

        network = pipe.transformer
        pipe.transformer = torch.compile(network, backend=count_graphs)
        found = draw(pipe)
        pipe.transformer = network
        return count, found

    before, _ = graphs(sd3())
    after, found = graphs(use(sd3()))
    assert after == before > 0
    torch.testing.assert_close(found, draw(use(sd3())))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("conditioned", [False, True])
def test_ltx_with_conditions_steps_each_token_as_before(conditioned: bool, dtype: torch.dtype) -> None:
    """It tells a time for every token, or one for all, and turns the sign of the network's output around."""
    torch.manual_seed(0)
    network = diffusers.LTXVideoTransformer3DModel(
        in_channels=8,
        out_channels=8,
        patch_size=1,
        patch_size_t=1,
        num_attention_heads=4,
        attention_head_dim=8,
        cross_attention_dim=32,
        num_layers=1,
        caption_channels=32,
    )
    coder = diffusers.AutoencoderKLLTXVideo(
        latent_channels=8,
        block_out_channels=(8,) * 4,
        decoder_block_out_channels=(8,) * 4,
        layers_per_block=(1,) * 5,
        decoder_layers_per_block=(1,) * 5,
        decoder_inject_noise=(False,) * 5,
        spatio_temporal_scaling=(True, True, False, False),
        decoder_spatio_temporal_scaling=(True, True, False, False),
        upsample_residual=(False,) * 4,
        upsample_factor=(1,) * 4,
        timestep_conditioning=False,
        patch_size=1,
        patch_size_t=1,
    )
    pipe = ready(
        diffusers.LTXConditionPipeline(
            scheduler=FlowMatchEulerDiscreteScheduler(),
            vae=coder,
            text_encoder=None,
            tokenizer=None,
            transformer=network,
        )
    ).to(dtype)
    pipe.vae_spatial_compression_ratio = pipe.vae_temporal_compression_ratio = 4
    text, mask = torch.randn(1, 6, 32, dtype=dtype), torch.ones(1, 6)
    image = {"image": torch.rand(1, 3, 32, 32).to(dtype)} if conditioned else {}

    def video() -> Tensor:
        found: Tensor = pipe(
            prompt_embeds=text,
            prompt_attention_mask=mask,
            negative_prompt_embeds=-text,
            negative_prompt_attention_mask=mask,
            height=32,
            width=32,
            num_frames=9,
            num_inference_steps=4,
            output_type="latent",
            generator=torch.Generator().manual_seed(0),
            **image,
        ).frames
        return found

    before = video()
    torch.testing.assert_close(video(), before, rtol=0, atol=0)
    use(pipe, **LINEAR)
    found = video()
    assert found.dtype == before.dtype
    torch.testing.assert_close(found, before, rtol=0, atol=1e-5)


def test_a_pipeline_that_draws_its_latents_late_starts_from_the_same_ones() -> None:
    """AuraFlow's come after set_timesteps, from torch's own generator where none is given."""
    pipe = aura()

    def image() -> Tensor:
        torch.manual_seed(7)
        return torch.as_tensor(
            pipe(num_inference_steps=3, output_type="pt", height=SIZE, width=SIZE, **prompts(pipe)).images
        )

    before = image()
    use(pipe, **LINEAR)
    assert torch.equal(image(), before)

"""Whole pipelines through the command line: a tiny Stable Diffusion 3 on disk, loaded as a user's is."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from matplotlib.image import imsave

diffusers = pytest.importorskip("diffusers")
transformers = pytest.importorskip("transformers")

from symsi.adapters.diffusers.loading import encode, generate, lazy_scheduler, load_pipeline  # noqa: E402
from symsi.cli.calibrate import command as calibrate  # noqa: E402
from symsi.cli.sample import command as sample  # noqa: E402
from symsi.diffusers import LazyDiffusionScheduler, LazyFlowMatchScheduler  # noqa: E402
from symsi.errors import SymsiError  # noqa: E402
from symsi.models.reference import load as load_reference  # noqa: E402

SIZE = 16


def tokenizer(folder: Path) -> Any:
    words = ["<|startoftext|>", "<|endoftext|>", *(f"{c}</w>" for c in "abcdefghijklmnopqrstuvwxyz"), *"abct"]
    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps({word: k for k, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return transformers.CLIPTokenizer.from_pretrained(folder, model_max_length=8)


def encoder() -> Any:
    config = transformers.CLIPTextConfig(
        vocab_size=40,
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        projection_dim=8,
        max_position_embeddings=8,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    return transformers.CLIPTextModelWithProjection(config)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline with text encoders, saved."""
    root = tmp_path_factory.mktemp("pipeline")
    torch.manual_seed(0)
    vae = diffusers.AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(4, 4),
        layers_per_block=1,
        latent_channels=16,
        norm_num_groups=1,
        use_quant_conv=False,
        use_post_quant_conv=False,
        shift_factor=0.06,
        scaling_factor=1.5,
    )
    network = diffusers.SD3Transformer2DModel(
        sample_size=SIZE // 2,
        patch_size=1,
        in_channels=16,
        num_layers=1,
        attention_head_dim=4,
        num_attention_heads=2,
        joint_attention_dim=16,
        caption_projection_dim=8,
        pooled_projection_dim=16,
        out_channels=16,
    )
    words = tokenizer(root / "words")
    pipe = diffusers.StableDiffusion3Pipeline(
        transformer=network,
        vae=vae,
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
        text_encoder=encoder(),
        tokenizer=words,
        text_encoder_2=encoder(),
        tokenizer_2=words,
        text_encoder_3=None,
        tokenizer_3=None,
    )
    pipe.save_pretrained(root / "sd3")
    return root / "sd3"


def test_a_picture_is_drawn_beside_the_pipelines_own_scheduler(folder: Path, tmp_path: Path) -> None:
    picture = tmp_path / "cat.png"
    words = [str(picture), "--pipeline", str(folder), "--prompt", "a cat", "--prompt", "a bat", "--count", "2"]
    done = CliRunner().invoke(sample, [*words, "--steps", "3", "--compare"], catch_exceptions=False)
    assert done.exit_code == 0
    assert picture.stat().st_size > 1000
    assert "2 images at 3 steps" in done.output
    assert "rms difference to 12 steps of its own" in done.output


def test_samples_do_not_depend_on_how_many_are_drawn_and_prompts_are_taken_in_turn(folder: Path) -> None:
    pipe = load_pipeline(str(folder))
    pipe.scheduler = lazy_scheduler(pipe, grid="shifted(shift=2)")
    assert isinstance(pipe.scheduler, LazyFlowMatchScheduler)
    assert pipe.scheduler.config.shift == 3.0
    both = generate(pipe, ["a cat", "a bat"], 2, 2, seed=4)
    assert both.shape[:2] == (2, 3)
    assert torch.equal(generate(pipe, ["a bat"], 2, 1, seed=5)[0], both[1])


def test_noise_of_steps_belongs_to_the_sample(folder: Path) -> None:
    pipe = load_pipeline(str(folder))
    pipe.scheduler = lazy_scheduler(pipe, diffusion="optimal")
    both = generate(pipe, ["a cat"], 3, 2, seed=4)
    assert torch.equal(generate(pipe, ["a cat"], 3, 1, seed=5)[0], both[1])
    assert not torch.equal(both[0], both[1])


def test_the_grid_is_that_of_the_pipelines_own_shift(folder: Path) -> None:
    pipe = load_pipeline(str(folder))
    scheduler = lazy_scheduler(pipe)
    scheduler.set_timesteps(2)
    torch.testing.assert_close(scheduler.sigmas, torch.tensor([1.0, 0.75, 0.0]))
    assert lazy_scheduler(pipe, grid="angle").config.grid == "angle"


def test_a_diffusion_models_pipeline_gets_the_scheduler_for_it() -> None:
    class Pipe:
        scheduler = diffusers.DDIMScheduler(beta_schedule="scaled_linear")

    found = lazy_scheduler(Pipe(), solver="ab2", grid=None)
    assert isinstance(found, LazyDiffusionScheduler)
    assert (found.config.beta_schedule, found.config.timestep_spacing) == ("scaled_linear", "trailing")
    assert lazy_scheduler(Pipe(), grid="angle").config.grid == "angle"


def test_a_pipeline_in_half_precision_is_loaded_in_one_dtype(folder: Path, tmp_path: Path) -> None:
    load_pipeline(str(folder)).to(torch.float16).save_pretrained(tmp_path / "half")
    for dtype in (torch.float32, torch.bfloat16):
        pipe = load_pipeline(str(tmp_path / "half"), dtype=dtype)
        assert {p.dtype for part in (pipe.text_encoder, pipe.transformer, pipe.vae) for p in part.parameters()} == {
            dtype
        }
    picture = tmp_path / "cat.png"
    words = [str(picture), "--pipeline", str(tmp_path / "half"), "--prompt", "a cat", "--count", "1", "--steps", "2"]
    assert CliRunner().invoke(sample, [*words, "--dtype", "bfloat16"], catch_exceptions=False).exit_code == 0
    assert picture.stat().st_size > 1000


def test_a_pipeline_that_fails_gets_its_scheduler_back(folder: Path) -> None:
    pipe = load_pipeline(str(folder))
    own = pipe.scheduler = lazy_scheduler(pipe)
    with pytest.raises(SymsiError, match=r"StableDiffusion3Pipeline: .*divisible"):
        generate(pipe, ["a cat"], 2, 1, height=3, width=3)
    assert pipe.scheduler is own


def test_videos_are_refused_before_they_are_made() -> None:
    class Video:
        def __call__(self, prompt: str, num_inference_steps: int, num_frames: int) -> None:
            raise AssertionError

    with pytest.raises(SymsiError, match="Video makes videos"):
        generate(Video(), ["a cat"], 2, 1)


def test_an_autoencoder_of_another_kind_is_refused(folder: Path) -> None:
    pipe = load_pipeline(str(folder))
    pipe.vae = torch.nn.Identity()
    with pytest.raises(SymsiError, match="a Identity, which is not read here; calibrate on its own samples"):
        encode(pipe, torch.rand(1, 3, SIZE, SIZE))


def test_settings_that_do_not_go_together_are_told_before_anything_is_loaded(tmp_path: Path) -> None:
    words = [str(tmp_path / "a.png"), "--pipeline", str(tmp_path), "--prompt", "a cat", "--solver", "heun"]
    with pytest.raises(SymsiError, match="solver 'heun' is deterministic but the diffusion is not 0"):
        CliRunner().invoke(sample, [*words, "--diffusion", "optimal"], catch_exceptions=False)
    with pytest.raises(SymsiError, match="unknown grid 'angel'"):
        CliRunner().invoke(sample, [*words, "--grid", "angel"], catch_exceptions=False)
    words = ["reference", str(tmp_path / "a.safetensors"), "--pipeline", str(tmp_path), "--prompt", "a cat"]
    with pytest.raises(SymsiError, match="rank is for kind 'pca'; got kind='dct'"):
        CliRunner().invoke(calibrate, [*words, "--kind", "dct", "--rank", "3"], catch_exceptions=False)
    with pytest.raises(SymsiError, match="rank must lie below the number of samples, 4; got 8"):
        CliRunner().invoke(calibrate, [*words, "--count", "4", "--rank", "8"], catch_exceptions=False)


def test_a_flow_shift_counts_as_the_shift() -> None:
    class Pipe:
        scheduler = diffusers.UniPCMultistepScheduler(
            use_flow_sigmas=True, prediction_type="flow_prediction", flow_shift=5.0
        )

    scheduler = lazy_scheduler(Pipe())
    scheduler.set_timesteps(2)
    torch.testing.assert_close(scheduler.sigmas, torch.tensor([1.0, 5 / 6, 0.0]))


@pytest.mark.parametrize("kind", ["channel", "dct", "isotropic"])
def test_a_reference_is_calibrated_on_encoded_images_and_fits_the_pipeline(
    folder: Path, tmp_path: Path, kind: str
) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for k in range(3):
        imsave(tmp_path / "photos" / f"{k}.png", rng.random((SIZE, SIZE, 3)))
    target = tmp_path / "reference.safetensors"
    words = [str(target), "--pipeline", str(folder), "--images", str(tmp_path / "photos"), "--kind", kind]
    assert CliRunner().invoke(calibrate, ["reference", *words], catch_exceptions=False).exit_code == 0
    found, pipe = load_reference(target), load_pipeline(str(folder))
    found.check((16, SIZE // 2, SIZE // 2))
    pipe.scheduler = lazy_scheduler(pipe, reference=str(target))
    assert generate(pipe, ["a cat"], 2, 1).isfinite().all()


def test_latents_of_images_are_what_the_decoder_is_given(folder: Path) -> None:
    pipe = load_pipeline(str(folder))
    images = torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    z = pipe.vae.encode(2 * images - 1).latent_dist.mode()
    torch.testing.assert_close(encode(pipe, images) / 1.5 + 0.06, z.detach(), rtol=1e-4, atol=1e-5)


def test_a_reference_is_calibrated_on_the_pipelines_own_samples(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "own.safetensors"
    words = [str(target), "--pipeline", str(folder), "--prompt", "a cat", "--count", "3", "--steps", "2"]
    done = CliRunner().invoke(calibrate, ["reference", *words, "--kind", "channel"], catch_exceptions=False)
    assert done.exit_code == 0
    assert load_reference(target).variances.shape == (16, 1, 1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["cat.png", "--pipeline", "DIR"], "needs --prompt"),
        (["cat.npz", "--pipeline", "DIR", "--prompt", "a"], "writes a picture"),
        (["cat.png", "--pipeline", "EMPTY", "--prompt", "a"], r"no model_index\.json"),
        (["cat.png", "--pipeline", "DIR", "--prompt", "a", "--label", "3"], "--label do not go together"),
        (["cat.png", "--prompt", "a"], "are for --pipeline"),
        (["cat.png", "--pipeline", "./none", "--prompt", "a"], "there is no folder ./none"),
        (["cat.png", "--pipeline", "DIR", "--prompt", "a", "--device", "banana"], "device must be"),
        (["cat.png", "--pipeline", "DIR", "--prompt", "a", "--size", "17", "13"], "StableDiffusion3Pipeline: "),
    ],
)
def test_what_does_not_fit_is_refused(folder: Path, tmp_path: Path, words: list[str], message: str) -> None:
    given = [{"DIR": str(folder), "EMPTY": str(tmp_path)}.get(w, w) for w in words]
    given[0] = str(tmp_path / given[0])
    with pytest.raises(SymsiError, match=message):
        CliRunner().invoke(sample, given, catch_exceptions=False)
    assert list(tmp_path.iterdir()) == []


def test_a_pipeline_that_is_nowhere_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(where: str, **options: object) -> None:
        raise OSError(f"Cannot load model {where}: the model is not cached locally\nmore")

    monkeypatch.setattr(diffusers.DiffusionPipeline, "from_pretrained", offline)
    with pytest.raises(SymsiError, match="hf download some/model --local-dir") as caught:
        load_pipeline("some/model")
    assert "more" not in str(caught.value)

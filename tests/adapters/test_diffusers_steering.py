"""Steered pipelines, tiny and with random weights: what is asked of them, what is counted, what comes out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

diffusers = pytest.importorskip("diffusers")
pytest.importorskip("transformers")

import symsi  # noqa: E402
from symsi.diffusers import SteeredImages, pipeline_model, steer  # noqa: E402
from symsi.errors import SymsiError  # noqa: E402
from symsi.steering.budget import Account  # noqa: E402
from tests.adapters.test_diffusers_pipelines import SIZE, aura, flux, prompts, sd3  # noqa: E402

PROMPT = "a cat"
AREA = {"height": SIZE, "width": SIZE}
FEW: dict[str, Any] = {"grid": [0.0, 0.4, 0.8, 1.0], **AREA}
CFG = {"StableDiffusion3Pipeline": {"guidance_scale": 3.0}, "FluxPipeline": {}}
COST = {"StableDiffusion3Pipeline": 2, "FluxPipeline": 1}


def listening(pipe: Any) -> Any:
    """Stand for text encoders; `pipe.asked` lists what they are asked for."""
    asked: list[str] = []

    def encode(prompt: str | list[str], *args: Any, num_images_per_prompt: int = 1, **options: Any) -> tuple[Any, ...]:
        texts = [prompt] if isinstance(prompt, str) else prompt
        asked.extend(texts)
        seeds = [torch.Generator().manual_seed(sum(map(ord, text))) for text in texts]
        long = torch.stack([torch.randn(6, 8, generator=g) for g in seeds]).to(pipe.transformer.dtype)
        long = long.repeat_interleave(num_images_per_prompt, 0)
        pooled = long.mean(1)
        return (long, pooled, torch.zeros(6, 3)) if "Flux" in type(pipe).__name__ else (long, -long, pooled, -pooled)

    pipe.encode_prompt, pipe.asked = encode, asked
    return pipe


@pytest.fixture(params=[sd3, flux], ids=["sd3", "flux"])
def pipe(request: pytest.FixtureRequest) -> Any:
    return listening(request.param())


def brightness(images: Tensor) -> Tensor:
    return images.mean((1, 2, 3))


def nothing(images: Tensor) -> Tensor:
    return torch.zeros(len(images))


def drawn(pipe: Any, reward: Callable[..., Tensor] = brightness, **options: Any) -> SteeredImages:
    given = {"prompt": PROMPT, "budget": 24 * COST.get(type(pipe).__name__, 1), "output_type": "pt", **FEW}
    return steer(pipe, reward, **{**given, **CFG.get(type(pipe).__name__, {}), **options})


def rows_of(module: Any, name: str) -> list[int]:
    """The rows of each call of a method, as they come."""
    own, rows = getattr(module, name), list[int]()

    def listen(*args: Any, **options: Any) -> Any:
        rows.append(len(args[0] if args else next(iter(options.values()))))
        return own(*args, **options)

    setattr(module, name, listen)
    return rows


def test_the_same_seed_gives_the_same_images_whatever_the_batches(pipe: Any) -> None:
    told: dict[str, Any] = {"temperature": 0.01, "children": 2}
    first = drawn(pipe, **told)
    assert first.images.shape == (8, 3, SIZE, SIZE)
    again = drawn(pipe, **told)
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.result.rewards, again.result.rewards)
    other = drawn(pipe, **told, batch=3, reward_batch=2)
    torch.testing.assert_close(other.images, first.images, rtol=0, atol=1e-4)
    assert not torch.allclose(drawn(pipe, **told, seed=1).images, first.images, atol=1e-3)


def test_without_a_reward_it_is_the_pipeline_sampled_by_the_same_plan(pipe: Any) -> None:
    found = drawn(pipe, nothing, children=1, ess=0.0, seed=5, particles=4, output_type="latent")
    assert found.result.plan.stochastic
    model = pipeline_model(pipe, [PROMPT], **CFG[type(pipe).__name__], **AREA)
    label = torch.zeros(1, dtype=torch.long)
    expected = symsi.sample(
        model, shape=4, plan=found.result.plan, conditions={"label": label}, seed=5, progress=False
    ).x
    torch.testing.assert_close(found.images, expected, rtol=0, atol=1e-5)
    assert found.images is found.result.x


def test_images_are_what_the_autoencoder_makes_of_the_latents_as_pipelines_scale_them(pipe: Any) -> None:
    seen: list[Tensor] = []

    def keep(images: Tensor) -> Tensor:
        seen.append(images)
        return brightness(images)

    found = drawn(pipe, keep, method="bon", budget=6 * COST[type(pipe).__name__])
    latents, config = found.result.x, pipe.vae.config
    if "Flux" in type(pipe).__name__:
        latents = pipe._unpack_latents(latents, SIZE, SIZE, pipe.vae_scale_factor)
    with torch.no_grad():
        expected = pipe.vae.decode(latents / config.scaling_factor + config.shift_factor).sample
    expected = (expected / 2 + 0.5).clamp(0, 1)
    torch.testing.assert_close(found.images, expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(torch.cat(seen), expected, rtol=0, atol=1e-5)


def test_repeated_embeddings_say_what_a_loop_over_particles_says(pipe: Any) -> None:
    """The guided prediction of 3 particles at once, and by hand one by one; data - noise."""
    model = drawn(pipe, method="bon").result.model
    x, t = torch.randn(3, *(model.shape or ()), generator=torch.Generator().manual_seed(1)), torch.full((3,), 0.25)
    found = model(x, t, prompt=PROMPT)
    parts = pipe.encode_prompt(PROMPT)
    for k, row in enumerate(x.split(1)):
        with torch.no_grad():
            if "Flux" in type(pipe).__name__:
                ids = pipe._prepare_latent_image_ids(1, SIZE // 4, SIZE // 4, "cpu", torch.float32)
                said = pipe.transformer(
                    row, timestep=1 - t[:1], encoder_hidden_states=parts[0], pooled_projections=parts[1],
                    txt_ids=parts[2], img_ids=ids,
                ).sample  # fmt: skip
            else:
                free, bound = (
                    pipe.transformer(row, timestep=1000 * (1 - t[:1]), encoder_hidden_states=long,
                                     pooled_projections=pooled).sample
                    for long, pooled in ((parts[1], parts[3]), (parts[0], parts[2]))
                )  # fmt: skip
                said = free + 3.0 * (bound - free)
        torch.testing.assert_close(found[k : k + 1], -said, rtol=0, atol=1e-5)


def test_network_and_decoder_are_called_in_batches_and_each_row_is_counted(pipe: Any) -> None:
    cost = COST[type(pipe).__name__]
    network, decoder = rows_of(pipe.transformer, "forward"), rows_of(pipe.vae, "decode")
    found = drawn(pipe, particles=6, children=2, batch=4, reward_batch=3)
    run = found.result
    assert max(network) == 4 * cost
    assert max(decoder) == 3
    assert run.nfe == 6 * 3 * cost == sum(network) - cost  # one asks for the shape of the latents
    assert run.reward_calls == 6 * (3 + 2 * 2 + 1) == sum(decoder) - len(run.x)
    assert pipe.asked == [PROMPT]
    assert [entry.nfe for entry in run.entries] == [6 * k * cost for k in (1, 2, 3, 3)]


def test_a_second_network_call_by_true_guidance_is_counted_too() -> None:
    pipe = listening(flux())
    negative = {"true_cfg_scale": 2.0, "negative_prompt": "a bat"}
    found = drawn(pipe, budget=50, particles=2, **negative)
    assert found.result.nfe == 2 * 3 * 2
    assert sorted(set(pipe.asked)) == ["a bat", PROMPT]


@pytest.mark.parametrize("method", ["smc", "rbf", "svdd", "code", "dts", "bon", "sop"])
def test_every_method_keeps_to_its_budget(method: str) -> None:
    options = {"grid": None, "steps": 3} if method == "sop" else {}
    found = drawn(listening(sd3()), method=method, budget=symsi.Budget(101, rewards=90), guidance_scale=3.0, **options)
    assert 0 < found.result.nfe <= 101
    assert found.result.nfe % 2 == 0
    assert 0 < found.result.reward_calls <= 90
    assert torch.isfinite(found.images).all()
    torch.testing.assert_close(brightness(found.images).double(), found.result.rewards, rtol=0, atol=1e-6)
    assert torch.equal(found.best, found.images[found.result.rewards.argmax()])


def test_steering_raises_the_reward(pipe: Any) -> None:
    plain = drawn(pipe, nothing, particles=8, children=1)
    found = drawn(pipe, particles=8, children=2, temperature=0.002)
    assert found.result.rewards.mean() > brightness(plain.images).mean()
    pushed = drawn(pipe, particles=8, temperature=0.002, children=1, twist="gradient", ess=0.0)
    assert pushed.result.rewards.mean() > brightness(plain.images).mean()


def test_bfloat16_stays_bfloat16_and_rewards_see_float32(pipe: Any) -> None:
    kinds: set[torch.dtype] = set()

    def reward(images: Tensor) -> Tensor:
        kinds.add(images.dtype)
        return brightness(images)

    found = drawn(pipe.to(torch.bfloat16), reward)
    assert found.result.x.dtype == torch.bfloat16
    assert torch.isfinite(found.images).all()
    assert found.images.dtype == torch.float32
    assert kinds == {torch.float32}


def test_the_grid_is_that_of_the_pipelines_shift() -> None:
    """SD3's is in the config; FLUX's mu follows from the number of tokens."""
    told = {"grid": None, "steps": 10, "budget": 20, "method": "bon"}
    shift = 3.0
    expected = [1 - shift * s / (1 + (shift - 1) * s) for s in np.linspace(1, 0, 11)]
    np.testing.assert_allclose(drawn(listening(sd3()), **told).result.plan.grid, expected, atol=1e-12)
    pipe = listening(flux())
    slope = (1.15 - 0.5) / (4096 - 256)
    shift = float(np.exp(0.5 + slope * (16 - 256)))
    expected = [1 - shift * s / (1 + (shift - 1) * s) for s in np.linspace(1, 0, 11)]
    np.testing.assert_allclose(drawn(pipe, **told).result.plan.grid, expected, atol=1e-12)


def test_output_types_a_callback_and_what_a_reward_is_told(pipe: Any) -> None:
    told: list[Any] = []
    levels: list[tuple[int, int]] = []

    def reward(images: Tensor, t: float, conditions: dict[str, Any]) -> Tensor:
        told.append((conditions["prompt"], t))
        return brightness(images)

    def look(account: Account) -> None:
        levels.append((account.nfe, account.reward_calls))

    found = drawn(pipe, reward, particles=2, children=1, output_type="pil", callback=look)
    assert [image.size for image in found.images] == [(SIZE, SIZE)] * 2
    assert found.best in found.images
    assert repr(found).startswith("<SteeredImages: 2 images of <Steered: 2 samples by smc, ")
    assert {prompt for prompt, _ in told} == {PROMPT}
    assert sorted({t for _, t in told}) == [0, 0.4, 0.8, 1]
    cost = COST[type(pipe).__name__]
    assert levels == [(2 * cost, 2), (4 * cost, 4), (6 * cost, 8)]
    assert drawn(pipe, particles=2, output_type="np").images.shape == (2, SIZE, SIZE, 3)


@pytest.mark.parametrize("make", [sd3, flux])
def test_embeddings_of_one_row_take_a_prompts_place(make: Callable[[], Any]) -> None:
    pipe = make()
    embeddings = prompts(pipe)
    found = steer(pipe, brightness, budget=18, output_type="pt", **embeddings, **FEW)
    assert len(found.images) == 18 // 3 // COST[type(pipe).__name__]
    again = steer(pipe, brightness, budget=18, output_type="pt", batch=2, **embeddings, **FEW)
    torch.testing.assert_close(again.images, found.images, rtol=0, atol=1e-4)


def test_other_pipelines_are_steered_by_their_own_call() -> None:
    pipe = aura()
    found = steer(pipe, brightness, budget=18, output_type="pt", **prompts(pipe), **FEW)
    assert found.images.shape == (3, 3, SIZE, SIZE)
    assert found.result.nfe == 18


def test_a_run_goes_on_from_its_file_and_not_from_that_of_another_prompt(tmp_path: Path) -> None:
    pipe, told = listening(sd3()), {"particles": 3, "children": 2, "state": tmp_path / "run"}
    whole = drawn(pipe, particles=3, children=2)
    own = pipe.scheduler

    def stop(account: Account) -> None:
        if len(account.entries) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        drawn(pipe, callback=stop, **told)
    assert pipe.scheduler is own
    with pytest.raises(SymsiError, match="holds a run with model = StableDiffusion3Pipeline"):
        drawn(pipe, prompt="a bat", **told)
    network = rows_of(pipe.transformer, "forward")
    assert torch.equal(drawn(pipe, **told).images, whole.images)
    assert sum(network) == 2 + 3 * 2


def test_what_cannot_be_steered_is_refused(pipe: Any) -> None:
    name, own, before = type(pipe).__name__, pipe.scheduler, pipe.encode_prompt
    for message, options in {
        "takes one prompt, a text; got 2 in a list": {"prompt": [PROMPT, "a bat"]},
        "prompt must be a text; got int": {"prompt": 3},
        "give prompt, a text, or what the pipeline takes": {"prompt": None},
        "negative_prompt must be one": {"negative_prompt": ["a bat"]},
        "prompt_embeds has 2 rows": {"prompt": None, **prompts(pipe, 2)},
        f"{name} has no argument 'scale'": {"scale": 3.0},
        "no guidance for a pipeline: the pipeline guides by itself; give guidance_scale": {"guidance": 3.0},
        "no generator for a pipeline: give seed": {"generator": torch.Generator()},
        "no device for a pipeline: the pipeline says it": {"device": "cpu"},
        "unknown output type 'jpg'": {"output_type": "jpg"},
        "reward_batch must be an integer of at least 1": {"reward_batch": 0},
        "batch must be an integer of at least 1": {"batch": 0},
        "branches by the noise of each step": {"diffusion": "ode"},
        "method 'sop' makes the ODE of its paths itself": {"method": "sop", "diffusion": "optimal"},
        f"{name}: ": {"max_sequence_length": 10**6},
    }.items():  # fmt: skip
        with pytest.raises(SymsiError, match=message):
            drawn(pipe, **options)
    with pytest.raises(SymsiError, match=r"the reward returned shape \(1,\) at level 0 of 3, particles 0 to 3"):
        drawn(pipe, lambda images: brightness(images)[:1])
    assert pipe.scheduler is own
    assert pipe.encode_prompt is before
    pipe.scheduler = diffusers.DDIMScheduler(beta_schedule="scaled_linear")
    with pytest.raises(SymsiError, match=r"is no flow model's pipeline.*steer that: symsi\.steer"):
        drawn(pipe)
    with pytest.raises(SymsiError, match=r"takes a pipeline of diffusers that has a scheduler; got Model"):
        steer(pipeline_model(listening(sd3()), [PROMPT], **AREA), brightness, prompt=PROMPT)

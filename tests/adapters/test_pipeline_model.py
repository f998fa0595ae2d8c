"""A pipeline as a model: what its network says at any state and time, and solvers fitted to it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from torch import Tensor

diffusers = pytest.importorskip("diffusers")
pytest.importorskip("transformers")

import symsi  # noqa: E402
from symsi.cli.calibrate import command as calibrate  # noqa: E402
from symsi.cli.sample import command as sample  # noqa: E402
from symsi.diffusers import LazyFlowMatchScheduler, pipeline_model  # noqa: E402
from symsi.errors import SymsiError  # noqa: E402
from symsi.sampling.noise import standard_normal  # noqa: E402
from tests.adapters.test_diffusers_pipelines import SIZE, flux, sd3  # noqa: E402
from tests.adapters.test_loading import folder  # noqa: E402, F401 - a fixture
from tests.together import together  # noqa: E402

TEXTS = ["a cat", "a bat"]
AREA = {"height": SIZE, "width": SIZE}


def texts(pipe: Any) -> list[str]:
    """Stand for the text encoders of a pipeline without; return the list of what is asked for."""
    asked: list[str] = []

    def encode(prompt: list[str], *args: Any, **options: Any) -> tuple[Tensor, ...]:
        asked.extend(prompt)
        seeds = [torch.Generator().manual_seed(sum(map(ord, text))) for text in prompt]
        long = torch.stack([torch.randn(6, 8, generator=g) for g in seeds]).to(pipe.transformer.dtype)
        pooled = long.mean(1)
        if "Flux" in type(pipe).__name__:
            return long, pooled, torch.zeros(6, 3)
        return long, -long, pooled, -pooled

    pipe.encode_prompt = encode
    return asked


@pytest.fixture(params=[sd3, flux], ids=["sd3", "flux"])
def pipe(request: pytest.FixtureRequest) -> Any:
    found = request.param()
    found.asked = texts(found)
    return found


def test_a_plan_on_the_model_gives_what_the_pipeline_draws_with_it(pipe: Any) -> None:
    """From the same noise, each prompt its own, guided as the pipeline guides."""
    own = pipe.scheduler
    model = pipeline_model(pipe, TEXTS, guidance_scale=3.0, **AREA)
    plan = symsi.plan(model, schedule="trigonometric", steps=4)
    z = standard_normal(0, range(2), 0, model.shape or ())
    expected = symsi.sample(model, shape=2, plan=plan, conditions=model.in_turn(2), start=z, progress=False).x
    assert pipe.scheduler is own
    pipe.scheduler = LazyFlowMatchScheduler.from_config(own.config, plan=plan)
    options = {"num_inference_steps": 4, "guidance_scale": 3.0, "output_type": "latent", **AREA}
    found = pipe(prompt=TEXTS, latents=z, **options).images
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
    other = pipe(prompt=TEXTS[::-1], latents=z, **options).images
    assert not torch.allclose(other, expected, atol=1e-3)


@pytest.mark.parametrize("by_channel", [False, True])
def test_a_solver_is_fitted_to_a_pipeline_and_its_texts_are_encoded_once(pipe: Any, by_channel: bool) -> None:
    before = pipe.encode_prompt
    model = pipeline_model(pipe, TEXTS, **AREA)
    if by_channel and len(model.shape or ()) == 2:  # tokens, (T, C)
        with pytest.raises(symsi.SymsiError, match="no dimension that is known to be the channels'"):
            symsi.fit_solver(model, 2, samples=4, batch=1, by_channel=True, progress=False)
        return
    plan = symsi.fit_solver(model, 2, samples=4, batch=1, by_channel=by_channel, progress=False)
    assert isinstance(plan, symsi.Plan)
    assert {stage.asks for stage in plan.stages} == {("prediction",)}
    assert sorted(set(pipe.asked)) == sorted(TEXTS)
    assert len(pipe.asked) == len(TEXTS)
    assert pipe.encode_prompt is before
    pipe.scheduler = LazyFlowMatchScheduler.from_config(pipe.scheduler.config, plan=plan)
    assert pipe(prompt=TEXTS, num_inference_steps=2, output_type="latent", **AREA).images.isfinite().all()


def by_ranks(ranks: symsi.Ranks) -> list[Any]:
    pipe = sd3()
    texts(pipe)
    plan = symsi.fit_solver(pipeline_model(pipe, TEXTS, **AREA), 1, samples=4, batch=1, progress=False, ranks=ranks)
    assert isinstance(plan, symsi.Plan)
    return [plan.grid, plan.times, plan.origin["error"]]


def test_processes_share_the_images_of_a_pipeline() -> None:
    many, one = together(2, by_ranks), by_ranks(symsi.Ranks())
    assert many[0] == many[1]
    assert many[0][:2] == [pytest.approx(numbers) for numbers in one[:2]]
    assert many[0][2] == one[2]


def test_a_network_in_bfloat16_is_asked_in_its_own_dtype() -> None:
    exact, coarse = (
        pipeline_model(p, TEXTS, **AREA) for p in (_with_texts(sd3()), _with_texts(sd3().to(torch.bfloat16)))
    )
    x, t, label = standard_normal(0, range(2), 0, exact.shape or ()), torch.full((2,), 0.25), torch.tensor([0, 1])
    found = coarse(x, t, label=label)
    assert found.dtype == torch.float32
    assert (found - exact(x, t, label=label)).norm() < 0.05 * found.norm()


def test_a_config_with_a_plan_or_of_our_own_is_asked_all_the_same(pipe: Any) -> None:
    model = pipeline_model(pipe, TEXTS, **AREA)
    x, t = standard_normal(0, range(1), 0, model.shape or ()), torch.tensor([0.5])
    plan = symsi.plan(model, schedule="trigonometric", steps=2)
    pipe.scheduler = LazyFlowMatchScheduler.from_config(pipe.scheduler.config, plan=plan)
    again = pipeline_model(pipe, TEXTS, **AREA)
    label = torch.tensor([1])
    assert torch.equal(again(x, t, label=label), model(x, t, label=label))


def test_what_cannot_be_asked_is_refused(pipe: Any) -> None:
    with pytest.raises(SymsiError, match="prompts must be one text or more"):
        pipeline_model(pipe, [])
    with pytest.raises(SymsiError, match="has no argument 'scale'"):
        pipeline_model(pipe, TEXTS, scale=3.0)
    own = pipe.scheduler
    with pytest.raises(SymsiError, match=f"{type(pipe).__name__}: "):
        pipeline_model(pipe, TEXTS, max_sequence_length=10**6, **AREA)
    assert pipe.scheduler is own
    model = pipeline_model(pipe, TEXTS, **AREA)
    x = standard_normal(0, range(2), 0, model.shape or ())
    with pytest.raises(SymsiError, match="is asked at one time a call"):
        model(x, torch.tensor([0.1, 0.2]), label=torch.tensor([0, 1]))
    pipe.scheduler = diffusers.DDIMScheduler(beta_schedule="scaled_linear")
    with pytest.raises(SymsiError, match=r"is no flow model's pipeline.*Wrap its network as a symsi\.Model"):
        pipeline_model(pipe, TEXTS, **AREA)


def _with_texts(pipe: Any) -> Any:
    texts(pipe)
    return pipe


def test_the_command_fits_a_solver_to_a_pipeline_and_draws_with_it(folder: Path, tmp_path: Path) -> None:  # noqa: F811
    prompts, solver, picture = tmp_path / "prompts.txt", tmp_path / "solver.json", tmp_path / "cat.png"
    prompts.write_text("a cat\n\n  a bat \n")
    words = ["solver", "--pipeline", str(folder), "--prompts", str(prompts), "--guidance", "4", "-o", str(solver)]
    done = CliRunner().invoke(
        calibrate, [*words, "--steps", "2", "--samples", "2", "--by-channel"], catch_exceptions=False
    )
    assert done.exit_code == 0
    assert "StableDiffusion3Pipeline: about 496 steps of the pipeline, a sample each, for 2 samples" in done.output
    assert "2 steps, 2 evaluations: " in done.output
    plan = symsi.load_plan(solver)
    assert plan.origin["model"] == f"StableDiffusion3Pipeline {folder}, guidance_scale 4"
    assert {tuple(stage.weights[0].shape) for stage in plan.stages} == {(16, 1, 1)}  # type: ignore[union-attr]
    words = [str(picture), "--pipeline", str(folder), "--prompt", "a cat", "--count", "1", "--plan", str(solver)]
    done = CliRunner().invoke(sample, words, catch_exceptions=False)
    assert "1 images at 2 steps, 2 evaluations each" in done.output
    assert picture.stat().st_size > 1000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--pipeline", "DIR"], "--pipeline needs --prompts FILE"),
        (["--pipeline", "DIR", "--prompts", "none.txt"], r"cannot read prompts from .*none\.txt: no such file"),
        (["--pipeline", "DIR", "--prompts", "empty.txt"], r"empty\.txt has no prompts; write one a line"),
        (["--pipeline", "DIR", "--prompts", "binary.txt"], "it is not text"),
        (["--pipeline", "DIR", "--prompts", "a.txt"], r"no model_index\.json"),
        (["--pipeline", "./none", "--prompts", "a.txt"], r"there is no folder \./none"),
        (["digits28", "--prompts", "a.txt"], "--prompts and --size are for --pipeline"),
        (["digits28", "--pipeline", "DIR"], "one of them"),
        ([], "give a model .* or --pipeline DIR"),
        (["--pipeline", "DIR", "--prompts", "a.txt", "--unconditional", "first"], "guided already"),
    ],
)
def test_what_does_not_go_together_is_told_before_anything_is_loaded(
    tmp_path: Path, words: list[str], message: str
) -> None:
    (tmp_path / "empty.txt").write_text(" \n")
    (tmp_path / "a.txt").write_text("a cat")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "dir").mkdir()
    given = [str(tmp_path / w) if w.endswith(".txt") else str(tmp_path / "dir") if w == "DIR" else w for w in words]
    with pytest.raises(SymsiError, match=message):
        CliRunner().invoke(calibrate, ["solver", *given, "-o", str(tmp_path / "s.json")], catch_exceptions=False)
    assert not (tmp_path / "s.json").exists()

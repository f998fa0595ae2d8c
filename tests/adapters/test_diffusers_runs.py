"""What a run of a scheduler leaves behind, and what it must not share with the next."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

pytest.importorskip("diffusers")

from diffusers import UniPCMultistepScheduler

import symsi
from symsi.calibration.reference import estimate
from symsi.diffusers import LazyDiffusionScheduler, LazyFlowMatchScheduler
from symsi.errors import SchedulerError, SymsiError
from symsi.models.reference import save

DATA = symsi.models.gaussian([0.0, 0.0], 0.25).model()


def sample(scheduler: Any, x: Tensor, steps: int = 4) -> Tensor:
    scheduler.set_timesteps(steps)
    for t in scheduler.timesteps:
        velocity = DATA(x, (1 - t / 1000).repeat(len(x)))
        x = scheduler.step(-velocity, t, x, return_dict=False)[0]
    return x


def test_runs_without_a_generator_do_not_share_their_noise() -> None:
    """Each call of a pipeline draws another sample: over many calls they have the data's variance."""
    torch.manual_seed(0)
    scheduler = LazyFlowMatchScheduler(diffusion="optimal", reference=0.25, last="step")
    found = torch.cat([sample(scheduler, torch.randn(1, 2)) for _ in range(300)])
    assert found.var(0).mean().item() == pytest.approx(0.25, rel=0.25)


def test_a_named_grid_tells_the_network_its_own_times_whatever_the_call_says() -> None:
    scheduler = LazyFlowMatchScheduler(grid="shifted(shift=3)")
    scheduler.set_timesteps(sigmas=[1.0, 0.6, 0.3])
    assert torch.allclose(scheduler.timesteps, torch.tensor([1, 6 / 7, 0.6]) * 1000)
    assert torch.allclose(scheduler.timesteps, scheduler.sigmas[:-1] * 1000)


def test_a_named_grid_does_not_overrule_a_call_that_means_something_else() -> None:
    scheduler = LazyFlowMatchScheduler(grid="shifted(shift=3)")
    with pytest.raises(SchedulerError, match=r"sigmas start at 0\.5, but .* set grid='sigmas'"):
        scheduler.set_timesteps(sigmas=[0.5, 0.25])
    with pytest.raises(SchedulerError, match="timesteps beside sigmas do not go with"):
        scheduler.set_timesteps(sigmas=[1.0, 0.6, 0.3], timesteps=[1000.0, 750.0, 500.0])


def test_without_noise_torchs_generator_is_left_alone() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    sample(LazyFlowMatchScheduler(), torch.zeros(1, 2))
    LazyFlowMatchScheduler(diffusion="optimal").set_timesteps(3)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_refused_step_may_be_taken_again() -> None:
    def run(disturbed: bool) -> Tensor:
        scheduler = LazyFlowMatchScheduler(diffusion="optimal", solver="exact-ab2", seed=1)
        scheduler.set_timesteps(4)
        x = torch.linspace(-1, 1, 6).reshape(3, 2)
        for t in scheduler.timesteps:
            if disturbed and t > scheduler.timesteps[-1]:  # the last step adds no noise
                with pytest.raises(SchedulerError, match="generator must be one"):
                    scheduler.step(x.sin(), t, x, generator=[torch.Generator()] * 2)
            x = scheduler.step(x.sin(), t, x, return_dict=False)[0]
        return x

    assert torch.equal(run(True), run(False))


def test_a_run_may_be_begun_anew_as_pipelines_do() -> None:
    scheduler = LazyFlowMatchScheduler()
    x = torch.ones(1, 2)
    first = sample(scheduler, x)
    scheduler._step_index = None
    for t in scheduler.timesteps:
        x = scheduler.step(-DATA(x, (1 - t / 1000)[None]), t, x, return_dict=False)[0]
    assert torch.equal(x, first)
    with pytest.raises(SchedulerError, match="solver 'ab2' remembers evaluations and cannot go to step 1"):
        scheduler._step_index = 1


def test_a_shift_by_its_other_name_goes_there_and_back() -> None:
    theirs = UniPCMultistepScheduler(use_flow_sigmas=True, prediction_type="flow_prediction", flow_shift=3.0)
    ours = LazyFlowMatchScheduler.from_config(theirs.config)
    again = LazyFlowMatchScheduler.from_config(ours.config, flow_shift=7.0)
    back = UniPCMultistepScheduler.from_config(again.config)
    assert (ours.config.shift, again.config.shift, back.config.flow_shift) == (3.0, 7.0, 7.0)
    for mine, other in ((ours, theirs), (again, back)):
        mine.set_timesteps(4)
        other.set_timesteps(4)
        torch.testing.assert_close(mine.sigmas, other.sigmas, rtol=0, atol=1e-3)
    ours.set_timesteps(sigmas=[0.9, 0.5, 0.2])
    torch.testing.assert_close(ours.sigmas, torch.tensor([27 / 28, 0.75, 3 / 7, 0.0]))
    moving = LazyFlowMatchScheduler.from_config(ours.config, use_dynamic_shifting=True)
    with pytest.raises(SchedulerError, match="mu must be given"):
        moving.set_timesteps(4)


def test_a_scheduler_is_saved_with_its_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save(estimate(torch.randn(40, 3, 2, 2), "channel"), "mine.safetensors")
    ours = LazyFlowMatchScheduler(reference="mine.safetensors", seed=np.int64(4))
    ours.save_pretrained(tmp_path / "saved")
    Path("mine.safetensors").unlink()
    again = LazyFlowMatchScheduler.from_pretrained(tmp_path / "saved", variant=None, torch_dtype=torch.bfloat16)
    assert (again.config.seed, again.config.reference) == (4, str(tmp_path / "saved" / "reference.safetensors"))
    x = torch.randn(2, 3, 2, 2)
    for scheduler in (ours, again):
        scheduler.set_timesteps(2)
    assert torch.equal(ours.step(x, 1000.0, x).prev_sample, again.step(x, 1000.0, x).prev_sample)


def test_a_reference_saved_before_is_not_taken_for_one_that_the_config_names(tmp_path: Path) -> None:
    save(estimate(torch.randn(40, 3, 2, 2), "channel"), tmp_path / "mine.safetensors")
    for config in ({"reference": 0.25}, {}):
        LazyFlowMatchScheduler(reference=str(tmp_path / "mine.safetensors")).save_pretrained(tmp_path / "saved")
        LazyFlowMatchScheduler(**config).save_config(tmp_path / "saved")
        again = LazyFlowMatchScheduler.from_pretrained(tmp_path / "saved")
        assert again.config.reference == config.get("reference")
        again.save_pretrained(tmp_path / "saved")
        assert [path.name for path in (tmp_path / "saved").iterdir()] == ["scheduler_config.json"]


@pytest.mark.parametrize("first", ["set_begin_index", "lookup"])
def test_a_one_step_solver_may_step_back(first: str) -> None:
    def after(k: int) -> Tensor:
        scheduler = LazyFlowMatchScheduler(solver="euler")
        scheduler.set_timesteps(6)
        scheduler.set_begin_index(k)
        return scheduler.step(torch.ones(1), scheduler.timesteps[k], torch.ones(1)).prev_sample

    scheduler = LazyFlowMatchScheduler(solver="euler")
    scheduler.set_timesteps(6)
    if first == "set_begin_index":
        scheduler.set_begin_index(3)
    scheduler.step(torch.ones(1), scheduler.timesteps[3], torch.ones(1))
    for k in (1, 4, 0):
        scheduler._step_index = k
        assert torch.equal(scheduler.step(torch.ones(1), scheduler.timesteps[k], torch.ones(1)).prev_sample, after(k))
    fresh = LazyFlowMatchScheduler()
    fresh.set_timesteps(6)
    fresh._init_step_index(fresh.timesteps[2])
    assert fresh.step_index == 2


def test_a_refused_plan_leaves_the_scheduler_as_it_was() -> None:
    scheduler = LazyFlowMatchScheduler(schedule="linear", diffusion="optimal", solver="euler-maruyama")
    scheduler.set_timesteps(sigmas=[0.9, 0.5])
    with pytest.raises(SymsiError, match="no finite limit"):
        scheduler.set_timesteps(4)
    x = torch.ones(1, 2)
    assert scheduler.step(x, scheduler.timesteps[0], x).prev_sample.isfinite().all()


def test_a_refused_grid_leaves_the_scheduler_as_it_was() -> None:
    scheduler = LazyFlowMatchScheduler(grid="sigmas")
    scheduler.set_timesteps(4)
    before = scheduler.timesteps.clone(), scheduler.sigmas.clone(), scheduler.num_inference_steps
    scheduler.sigma_min = 0.0
    with pytest.raises(SchedulerError, match="sigmas must fall"):
        scheduler.set_timesteps(6)
    assert torch.equal(scheduler.timesteps, before[0])
    assert torch.equal(scheduler.sigmas, before[1])
    assert scheduler.num_inference_steps == before[2]


@pytest.mark.parametrize("schedule", ["ddpm", "edm"])
def test_schedules_that_start_in_some_data_run_on_grids_of_their_own(schedule: str) -> None:
    x = sample(LazyFlowMatchScheduler(schedule=schedule, grid="uniform", solver="euler"), torch.randn(3, 2), 8)
    assert x.isfinite().all()


def test_history_passes_out_of_inference_mode() -> None:
    scheduler = LazyFlowMatchScheduler(solver="ab2")
    scheduler.set_timesteps(5)
    x = torch.randn(2, 2)
    with torch.inference_mode():
        for t in scheduler.timesteps[:3]:
            x = scheduler.step(torch.randn(2, 2), t, x).prev_sample
    assert scheduler.step(torch.randn(2, 2), scheduler.timesteps[3], x.clone()).prev_sample.isfinite().all()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"solver": "heun", "last": "land"}, "leave last='land' out"),
        ({"grid": torch.linspace(0, 1, 4)}, "grid must be a name or a list"),
        ({"reference": symsi.Reference("isotropic", torch.ones(1), torch.zeros(()))}, "reference must be a variance"),
    ],
)
def test_a_config_that_cannot_run_is_refused_when_it_is_made(config: dict[str, Any], message: str) -> None:
    with pytest.raises(SchedulerError, match=message):
        LazyFlowMatchScheduler(**config)


def test_begin_indices_outside_of_the_grid_are_refused_with_a_reference_too() -> None:
    scheduler = LazyFlowMatchScheduler(diffusion="optimal", reference=0.25)
    scheduler.set_timesteps(4)
    for index in (-1, 4, "a"):
        with pytest.raises(SchedulerError, match="begin_index must be"):
            scheduler.set_begin_index(index)


def test_generators_and_timesteps_must_be_one_or_one_a_sample() -> None:
    scheduler = LazyFlowMatchScheduler(diffusion="optimal", reference=0.25)
    scheduler.set_timesteps(4)
    x, t = torch.randn(3, 2), scheduler.timesteps
    with pytest.raises(SchedulerError, match="one for each of 3 samples; got 2"):
        scheduler.step(x, t[0], x, generator=[torch.Generator(), torch.Generator()])
    with pytest.raises(SchedulerError, match="one for each of 3 samples; got 2"):
        scheduler.log_prob(x, t[:2], x, x)


@pytest.mark.parametrize(
    ("timesteps", "message"),
    [([900.5, 500.5], "must be integers"), ([500, 501], "must fall"), ([1000, 10], "from 0 to 999")],
)
def test_timesteps_of_diffusion_models_are_indices(timesteps: list[float], message: str) -> None:
    with pytest.raises(SchedulerError, match=message):
        LazyDiffusionScheduler().set_timesteps(timesteps=timesteps)

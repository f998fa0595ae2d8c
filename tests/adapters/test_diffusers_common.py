"""What diffusers checks of each of its own schedulers: saving, compatible classes, shapes, attributes, loops."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

diffusers = pytest.importorskip("diffusers")

from diffusers.utils import DummyObject, logging  # noqa: E402

from symsi.diffusers import LazyDiffusionScheduler, LazyFlowMatchScheduler  # noqa: E402

FLOW: list[dict[str, Any]] = [
    {},
    {"num_train_timesteps": 100},
    {"shift": 3.0, "shift_terminal": 0.1},
    {"use_karras_sigmas": True},
    {"use_exponential_sigmas": True},
    {"invert_sigmas": True},
    {"schedule": "lazy(kappa=1)", "diffusion": "optimal"},
    {"solver": "heun"},
    {"grid": "angle"},
    {"reference": 0.5},
    {"prediction": "data"},
]
DIFFUSION: list[dict[str, Any]] = [
    {},
    {"num_train_timesteps": 100},
    {"beta_start": 0.001, "beta_end": 0.02},
    {"beta_schedule": "squaredcos_cap_v2"},
    {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True, "timestep_spacing": "trailing"},
    {"prediction_type": "sample"},
    {"timestep_spacing": "linspace", "steps_offset": 1},
    {"diffusion": "optimal", "grid": "angle"},
]
CASES = [(LazyFlowMatchScheduler, c) for c in FLOW] + [(LazyDiffusionScheduler, c) for c in DIFFUSION]
every = pytest.mark.parametrize(("kind", "config"), CASES, ids=str)
both = pytest.mark.parametrize("kind", [LazyFlowMatchScheduler, LazyDiffusionScheduler])
SAMPLE = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def step(scheduler: Any, x: Tensor = SAMPLE, **options: Any) -> Any:
    scheduler.set_timesteps(10)
    generator = torch.Generator().manual_seed(0)
    return scheduler.step(0.1 * x, scheduler.timesteps[0], x, generator=generator, **options)


def loop(scheduler: Any) -> Tensor:
    scheduler.set_timesteps(10)
    x = SAMPLE
    for t in scheduler.timesteps:
        x = scheduler.step(x * t / (t + 1), t, x, generator=torch.Generator().manual_seed(0)).prev_sample
    return x


@every
def test_what_is_loaded_steps_as_what_was_saved(kind: type, config: dict, tmp_path: Path) -> None:
    scheduler = kind(**config)
    scheduler.save_config(tmp_path)
    assert torch.equal(step(scheduler).prev_sample, step(kind.from_pretrained(tmp_path)).prev_sample)


@every
def test_a_saved_config_is_the_config(kind: type, config: dict, tmp_path: Path) -> None:
    scheduler = kind(**config)
    scheduler.save_pretrained(tmp_path)
    expected = {key: value for key, value in scheduler.config.items() if key != "_use_default_values"}
    assert dict(kind.from_pretrained(tmp_path).config) == expected


@pytest.fixture
def silent() -> Iterator[None]:
    """Each class warns of settings that it does not have."""
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    yield
    logging.set_verbosity(before)


@every
@pytest.mark.usefixtures("silent")
@pytest.mark.filterwarnings("ignore:__array_wrap__ must accept:DeprecationWarning")  # KDPM2 calls NumPy with tensors
def test_a_config_goes_through_every_compatible_class_and_back(kind: type, config: dict) -> None:
    scheduler = kind(**config)
    assert len(scheduler.compatibles) > 1
    for other in scheduler.compatibles:
        if isinstance(other, DummyObject):  # it needs a package that is not here
            continue
        again = kind.from_config(other.from_config(scheduler.config).config)
        kept = {key: again.config[key] for key in scheduler.config if key != "_use_default_values"}
        assert kept == {key: value for key, value in scheduler.config.items() if key != "_use_default_values"}, other


@every
def test_a_step_keeps_the_shape_and_gives_a_tuple_or_a_named_one(kind: type, config: dict) -> None:
    named, plain = step(kind(**config)), step(kind(**config), return_dict=False)
    assert named.prev_sample.shape == SAMPLE.shape
    assert isinstance(plain, tuple)
    assert torch.equal(named.prev_sample, plain[0])
    assert torch.equal(named[0], plain[0])


@every
def test_a_whole_loop_stays_finite_and_can_be_repeated(kind: type, config: dict) -> None:
    scheduler = kind(**config)
    assert torch.isfinite(loop(scheduler)).all()
    assert torch.equal(loop(scheduler), loop(scheduler))


@both
def test_noise_is_added_where_the_sample_is(kind: type) -> None:
    scheduler = kind()
    scheduler.set_timesteps(100)
    add = scheduler.add_noise if kind is LazyDiffusionScheduler else lambda x, n, t: scheduler.scale_noise(x, t, n)
    found = add(SAMPLE, torch.randn_like(SAMPLE), scheduler.timesteps[5][None])
    assert (found.shape, found.device) == (SAMPLE.shape, SAMPLE.device)


def test_the_start_and_the_input_of_the_network_are_left_as_they_are() -> None:
    scheduler = LazyDiffusionScheduler()
    assert scheduler.init_noise_sigma == 1
    assert torch.equal(scheduler.scale_model_input(SAMPLE, 0), SAMPLE)


def test_trained_betas_are_saved(tmp_path: Path) -> None:
    scheduler = LazyDiffusionScheduler(trained_betas=np.array([0.1, 0.3]))
    scheduler.save_pretrained(tmp_path)
    assert torch.equal(LazyDiffusionScheduler.from_pretrained(tmp_path).betas, scheduler.betas)


@both
def test_attributes_are_found_where_they_are(kind: type) -> None:
    scheduler = kind()
    scheduler.mine = 5
    scheduler.register_to_config(told=6)
    assert scheduler.mine == 5
    with pytest.warns(FutureWarning, match="told"):
        assert scheduler.told == 6
    with pytest.raises(AttributeError, match=f"'{kind.__name__}' object has no attribute 'nothing'"):
        _ = scheduler.nothing
    assert not kind._deprecated_kwargs


def test_timesteps_are_found_one_by_one_and_together() -> None:
    scheduler = LazyFlowMatchScheduler(shift=3.0)
    scheduler.set_timesteps(20)
    assert [scheduler.index_for_timestep(t) for t in scheduler.timesteps] == list(range(20))
    found = scheduler.index_for_timestep(scheduler.timesteps[[0, 19, 10]], scheduler.timesteps)
    assert torch.equal(found, torch.tensor([0, 19, 10]))

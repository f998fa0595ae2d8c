"""LazyFlowMatchScheduler: the interface of diffusers' flow scheduler, and the steps of symsi's plans."""

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import symsi
from symsi.models.analytic import gaussian, mixture
from symsi.models.reference import isotropic, save
from symsi.sampling.noise import standard_normal

pytest.importorskip("diffusers")

from diffusers import FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler

from symsi.diffusers import LazyFlowMatchScheduler

LINEAR = {"schedule": "linear", "solver": "euler"}
STOCHASTIC = {"diffusion": "optimal", "seed": 0}
WAYS = [
    {},
    {"solver": "euler"},
    {"solver": "ab3"},
    {"solver": "heun"},
    {"solver": "dpm++2m"},
    {"schedule": "lazy(kappa=0, variance=2)"},
    {"grid": "shifted(shift=2)"},
    {"reference": 0.5},
    {"diffusion": "kappa=0.5", "solver": "exact-ab2"},
    {"schedule": "lazy(kappa=1)", "diffusion": "optimal", "solver": "euler-maruyama"},
    {"schedule": "linear", "diffusion": "alpha", "solver": "ab2-maruyama"},
]
DATA = mixture([0.4, 0.6], [[-1.0, 0.5], [1.0, 1.0]], [0.3, 0.4])


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def flow(x: Tensor, timestep: Tensor) -> Tensor:
    """What a network of diffusers gives at sigma = timestep/1000: noise - data. Some smooth function."""
    return torch.sin(3 * x) - x * timestep / 1000


def exact_flow(x: Tensor, timestep: Tensor) -> Tensor:
    tau = (1 - timestep.double() / 1000).repeat(len(x))
    return -DATA.model()(x.double(), tau).to(x.dtype)


def loop(scheduler, x: Tensor, model=flow, timesteps: Tensor | None = None, **options) -> Tensor:
    for t in scheduler.timesteps if timesteps is None else timesteps:
        x = scheduler.step(model(x, t), t, x, return_dict=False, **options)[0]
    return x


def run(x: Tensor, steps: int = 4, model=flow, **config) -> Tensor:
    scheduler = LazyFlowMatchScheduler(**config)
    scheduler.set_timesteps(steps)
    return loop(scheduler, x, model)


# What it computes


@pytest.mark.parametrize("steps", [2, 5, 28])  # with one, diffusers' shift_terminal divides 0 by 0
@pytest.mark.parametrize("config", [{}, {"shift": 3.0}, {"shift_terminal": 0.1}, {"use_karras_sigmas": True}])
def test_eulers_method_in_linear_coordinates_is_diffusers_bit_for_bit(steps: int, config: dict) -> None:
    theirs = FlowMatchEulerDiscreteScheduler(**config)
    theirs.set_timesteps(steps)
    x = noise(2, 3, 8, 8)
    assert torch.equal(run(x, steps, **config, **LINEAR), loop(theirs, x))


def test_in_bfloat16_it_is_diffusers_to_the_rounding_of_their_product() -> None:
    """diffusers multiplies (sigma' - sigma) v in bfloat16: half an ulp of that product, and the result is rounded."""
    theirs, ours = FlowMatchEulerDiscreteScheduler(), LazyFlowMatchScheduler(**LINEAR)
    x, v = noise(4, 4, 8, 8, dtype=torch.bfloat16), noise(4, 4, 8, 8, seed=1, dtype=torch.bfloat16)
    for scheduler in (theirs, ours):
        scheduler.set_timesteps(5)
    a, b = (s.step(v, s.timesteps[0], x, return_dict=False)[0] for s in (theirs, ours))
    exact = x.double() - v.double() * float(theirs.sigmas[0] - theirs.sigmas[1])
    ulp = torch.finfo(torch.bfloat16).eps
    assert ((b.double() - exact).abs() <= ulp / 2 * exact.abs() * 1.01 + 1e-7).all()  # rounded once
    assert ((a - b).abs().double() <= ulp * (exact.abs() + v.abs().double())).all()


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_loop_is_what_symsi_samples_on_the_same_levels(way: dict) -> None:
    """In float64, from the same noise, and with the noise of the same seed."""
    config = {"schedule": "trigonometric", **way}
    scheduler = LazyFlowMatchScheduler(shift=2.0, seed=3, **config)
    scheduler.set_timesteps(5)
    z = standard_normal(3, range(4), 0, (2,), dtype=torch.float64)
    found = loop(scheduler, z, exact_flow)

    stages = scheduler.order
    sigmas = [*scheduler.sigmas.tolist()[::stages]]
    taus = [1 - s for s in sigmas]
    target = symsi.schedule(config["schedule"])
    times = symsi.tabulate(symsi.convert(target, "linear"), taus, ["time"])["time"].tolist()
    options = {k: v for k, v in config.items() if k in ("schedule", "diffusion", "solver")}
    if config.get("diffusion") and "solver" not in config:
        options["solver"] = "exact"
    if "reference" in config:
        options["reference"] = isotropic(config["reference"])
    expected = symsi.sample(DATA.model(), shape=4, seed=3, grid=times, dtype=torch.float64, progress=False, **options).x
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)  # timesteps are float32


def test_a_reference_file_steps_in_its_modes(tmp_path: Path) -> None:
    law = gaussian([1.0, -2.0, 0.5], [[2.0, 0.5, 0.0], [0.5, 1.0, 0.1], [0.0, 0.1, 0.3]])
    values, vectors = torch.linalg.eigh(law.covariance)
    path = tmp_path / "reference.safetensors"
    save(symsi.Reference("pca", values, law.mean, vectors), path)

    def model(x: Tensor, timestep: Tensor) -> Tensor:
        return -law.model()(x, (1 - timestep.double() / 1000).repeat(len(x)))

    z = noise(6, 3, dtype=torch.float64)
    found = run(z, 1, model, reference=str(path), solver="euler")
    exact = law.mean + z @ (vectors * values.sqrt()) @ vectors.T
    torch.testing.assert_close(found, exact, rtol=0, atol=1e-6)


def test_lazy_coordinates_need_fewer_steps() -> None:
    z = noise(500, 2, dtype=torch.float64)
    truth = run(z, 500, exact_flow, solver="ab2")
    errors = {
        name: float((run(z, 6, exact_flow, **way) - truth).square().mean().sqrt())
        for name, way in {"ours": {}, "diffusers": LINEAR}.items()
    }
    assert errors["ours"] < errors["diffusers"] / 2


# The grid


def test_the_sigmas_of_the_config_are_diffusers() -> None:
    for config in ({}, {"shift": 3.0}, {"use_exponential_sigmas": True}, {"use_beta_sigmas": True, "shift": 2.0}):
        theirs, ours = FlowMatchEulerDiscreteScheduler(**config), LazyFlowMatchScheduler(grid="sigmas", **config)
        for s in (theirs, ours):
            s.set_timesteps(7)
        assert torch.equal(theirs.sigmas, ours.sigmas)
        assert torch.equal(theirs.timesteps, ours.timesteps)


@pytest.mark.parametrize("kind", ["exponential", "linear"])
def test_dynamic_shifting_is_diffusers(kind: str) -> None:
    config = {"use_dynamic_shifting": True, "time_shift_type": kind, "shift": 3.0}
    theirs, ours = FlowMatchEulerDiscreteScheduler(**config), LazyFlowMatchScheduler(grid="sigmas", **config)
    for s in (theirs, ours):
        s.set_timesteps(4, sigmas=np.linspace(1, 0.25, 4), mu=0.9)
    assert torch.equal(theirs.sigmas, ours.sigmas)
    assert ours.time_shift(0.9, 1.0, torch.tensor(0.5)) == theirs.time_shift(0.9, 1.0, torch.tensor(0.5))


def test_set_shift_moves_the_levels() -> None:
    theirs, ours = FlowMatchEulerDiscreteScheduler(), LazyFlowMatchScheduler(grid="sigmas")
    for s in (theirs, ours):
        s.set_shift(4.0)
        s.set_timesteps(6)
    assert ours.shift == 4.0
    assert torch.equal(theirs.sigmas, ours.sigmas)


@pytest.mark.parametrize(("shift", "fast"), [(1.0, 2.0), (2.0, 2.0), (3.0, 3.0)])
@pytest.mark.parametrize("given", [None, np.linspace(1, 0.25, 4)])
def test_the_default_grid_is_the_shift_of_the_config_or_two(shift: float, fast: float, given: Any) -> None:
    """Sigmas that pipelines pass by themselves say nothing: they are evenly spaced."""
    scheduler = LazyFlowMatchScheduler(shift=shift)
    scheduler.set_timesteps(4, sigmas=given)
    u = torch.arange(5) / 4
    torch.testing.assert_close(scheduler.sigmas, fast * (1 - u) / (1 + (fast - 1) * (1 - u)))
    scheduler.set_shift(5.0)
    scheduler.set_timesteps(2)
    torch.testing.assert_close(scheduler.sigmas[1], torch.tensor(5 / 6))


@pytest.mark.parametrize(("kind", "shift"), [("exponential", np.exp(1.2)), ("linear", 2.5)])
def test_the_default_grid_shifts_as_mu_says(kind: str, shift: float) -> None:
    scheduler = LazyFlowMatchScheduler(use_dynamic_shifting=True, time_shift_type=kind)
    scheduler.set_timesteps(sigmas=[1.0, 0.5], mu=1.2 if kind == "exponential" else 2.5)
    torch.testing.assert_close(
        scheduler.sigmas, torch.tensor([1.0, float(shift) / (1 + float(shift)), 0.0]), rtol=0, atol=1e-6
    )
    scheduler.set_timesteps(sigmas=[1.0, 0.5], mu=0.1)
    torch.testing.assert_close(scheduler.sigmas[1], torch.tensor(2 / 3))


@pytest.mark.parametrize(
    "given", [{"sigmas": [1.0, 0.7, 0.2]}, {"sigmas": [0.9, 0.5]}, {"sigmas": [1.0, 0.5], "timesteps": [1000.0, 500.0]}]
)
def test_by_default_levels_that_somebody_chose_are_kept(given: dict[str, Any]) -> None:
    ours, theirs = LazyFlowMatchScheduler(), FlowMatchEulerDiscreteScheduler()
    for s in (ours, theirs):
        s.set_timesteps(**given)
    torch.testing.assert_close(ours.sigmas, theirs.sigmas, rtol=0, atol=1e-7)


def test_by_default_noise_keeps_the_sigmas_whose_last_step_is_small() -> None:
    ours, theirs = LazyFlowMatchScheduler(**STOCHASTIC), FlowMatchEulerDiscreteScheduler()
    for s in (ours, theirs):
        s.set_timesteps(4)
    assert torch.equal(ours.sigmas, theirs.sigmas)


@pytest.mark.parametrize("config", [{"use_karras_sigmas": True}, {"shift_terminal": 0.1}, {"use_beta_sigmas": True}])
def test_by_default_a_spacing_that_is_more_than_a_shift_is_kept(config: dict[str, Any]) -> None:
    ours, theirs = LazyFlowMatchScheduler(**config), FlowMatchEulerDiscreteScheduler(**config)
    for s in (ours, theirs):
        s.set_timesteps(5)
    assert torch.equal(ours.sigmas, theirs.sigmas)


@pytest.mark.parametrize("kind", [list, np.array, torch.tensor])
def test_explicit_timesteps_are_honoured_as_they_are(kind) -> None:
    scheduler = LazyFlowMatchScheduler(shift=3.0)
    scheduler.set_timesteps(timesteps=kind([1000, 750, 300]))
    assert scheduler.timesteps.tolist() == [1000, 750, 300]
    torch.testing.assert_close(scheduler.sigmas, torch.tensor([1.0, 0.75, 0.3, 0.0]), rtol=0, atol=0)


def test_timesteps_beside_sigmas_are_what_the_network_is_told() -> None:
    scheduler = LazyFlowMatchScheduler(shift=2.0)
    scheduler.set_timesteps(sigmas=[1.0, 0.5], timesteps=[1000.0, 400.0])
    assert scheduler.timesteps.tolist() == [1000, 400]
    torch.testing.assert_close(scheduler.sigmas, torch.tensor([1.0, 2 / 3, 0.0]))


def test_a_grid_of_the_config_replaces_the_sigmas_of_the_call() -> None:
    scheduler = LazyFlowMatchScheduler(grid="angle", shift=3.0)
    scheduler.set_timesteps(sigmas=np.linspace(1, 0.25, 4), mu=1.0)  # as Flux does
    angle = torch.arange(5) / 4 * torch.pi / 2
    torch.testing.assert_close(scheduler.sigmas, torch.cos(angle) / (torch.cos(angle) + torch.sin(angle)))


def test_a_grid_may_be_the_schedules_own_times() -> None:
    scheduler = LazyFlowMatchScheduler(schedule="linear", grid=[0.0, 0.2, 0.7, 1.0])
    scheduler.set_timesteps(3)
    torch.testing.assert_close(scheduler.timesteps, torch.tensor([1000.0, 800.0, 300.0]))
    with pytest.raises(symsi.SymsiError, match="the grid has 3 steps"):
        scheduler.set_timesteps(4)


def test_heun_evaluates_twice_a_step_and_says_so() -> None:
    scheduler = LazyFlowMatchScheduler(solver="heun")
    scheduler.set_timesteps(sigmas=[1.0, 0.6])
    assert scheduler.order == 2
    torch.testing.assert_close(scheduler.timesteps, torch.tensor([1000.0, 600.0, 600.0, 0.0]))


def test_rising_sigmas_are_the_models_time() -> None:
    """Mochi's convention: sigma from 0 (noise) to 1, and the network gives d/dsigma."""
    scheduler = LazyFlowMatchScheduler(invert_sigmas=True, **LINEAR)
    theirs = FlowMatchEulerDiscreteScheduler(invert_sigmas=True)
    x = noise(2, 3)
    for s in (scheduler, theirs):
        s.set_timesteps(5)
    assert torch.equal(scheduler.sigmas, theirs.sigmas)
    torch.testing.assert_close(loop(scheduler, x), loop(theirs, x), rtol=0, atol=1e-6)
    lazy = LazyFlowMatchScheduler(invert_sigmas=True)
    lazy.set_timesteps(5)
    found = loop(
        lazy, x.double(), lambda x, t: DATA.model()(x[:, :2], (t.double() / 1000).repeat(len(x)))[:, [0, 1, 1]]
    )
    assert torch.isfinite(found).all()


@pytest.mark.parametrize("prediction", ["velocity", "data"])
def test_networks_that_predict_something_else_give_the_same_samples(prediction: str) -> None:
    """tau = 0 is no place for a noise prediction; velocity has the other sign, data is x0."""
    model = DATA.model(prediction=prediction)

    def network(x: Tensor, timestep: Tensor) -> Tensor:
        return model(x, (1 - timestep.double() / 1000).repeat(len(x)))

    z = noise(8, 2, dtype=torch.float64)
    found = run(z, 5, network, prediction=prediction)
    torch.testing.assert_close(found, run(z, 5, exact_flow), rtol=0, atol=1e-6)


# Begin, resume, rewind


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_run_from_a_begin_index_is_a_run_of_its_own(way: dict) -> None:
    """Multistep solvers start anew: nothing of an earlier run is remembered."""
    whole = LazyFlowMatchScheduler(**way)
    whole.set_timesteps(6)
    first = 2 * whole.order
    x = noise(3, 2)
    loop(whole, x)
    whole.set_timesteps(6)
    whole.set_begin_index(first)
    found = loop(whole, x, timesteps=whole.timesteps[first:])

    short = LazyFlowMatchScheduler(**{**way, "grid": "sigmas"}, num_train_timesteps=1000)
    short.set_timesteps(timesteps=whole.timesteps[first :: whole.order][:4])
    if "diffusion" not in way:  # the noise of a step is that of its number in the whole grid
        torch.testing.assert_close(found, loop(short, x), rtol=0, atol=1e-5)
    assert torch.isfinite(found).all()


@pytest.mark.parametrize("way", [{"solver": "euler"}, STOCHASTIC])
def test_a_one_step_solver_resumes_where_it_was_interrupted(way: dict) -> None:
    x = noise(3, 2)
    whole, parts = (LazyFlowMatchScheduler(**{"seed": 5, **way}) for _ in range(2))
    whole.set_timesteps(6)
    parts.set_timesteps(6)
    half = loop(parts, x, timesteps=parts.timesteps[:3])
    parts.set_timesteps(6)
    parts.set_begin_index(3)
    assert torch.equal(loop(parts, half, timesteps=parts.timesteps[3:]), loop(whole, x))


@pytest.mark.parametrize("solver", ["ab2", "heun"])
def test_without_a_begin_index_the_first_timestep_says_where(solver: str) -> None:
    """Heun's timesteps stand twice: a step begins at the second."""
    a, b = LazyFlowMatchScheduler(solver=solver), LazyFlowMatchScheduler(solver=solver)
    for s in (a, b):
        s.set_timesteps(6)
    b.set_begin_index(2)
    x = noise(3, 2)
    assert torch.equal(loop(a, x, timesteps=a.timesteps[2:]), loop(b, x, timesteps=b.timesteps[2:]))
    assert a.step_index == b.step_index == len(a.timesteps)
    assert a.begin_index is None
    assert b.begin_index == 2


def test_a_run_can_be_repeated_and_the_scheduler_copied() -> None:
    scheduler = LazyFlowMatchScheduler(**STOCHASTIC)
    x, found = noise(3, 2), []
    for _ in range(2):
        scheduler.set_timesteps(4)
        found.append(loop(copy.deepcopy(scheduler), x))
        found.append(loop(scheduler, x))
    assert all(torch.equal(found[0], f) for f in found)


# Noise


def test_the_noise_of_a_sample_does_not_depend_on_its_batch() -> None:
    x = noise(5, 2)
    assert torch.equal(run(x, **STOCHASTIC)[:2], run(x[:2], **STOCHASTIC))
    assert not torch.equal(run(x, **STOCHASTIC), run(x, **{**STOCHASTIC, "seed": 1}))


def test_a_generator_takes_the_place_of_the_seed() -> None:
    def draw(seed: int) -> Tensor:
        scheduler = LazyFlowMatchScheduler(**STOCHASTIC)
        scheduler.set_timesteps(4)
        return loop(scheduler, noise(2, 3), generator=torch.Generator().manual_seed(seed))

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))


def test_a_list_of_generators_serves_a_sample_each() -> None:
    scheduler = LazyFlowMatchScheduler(**STOCHASTIC)

    def draw(seeds: list[int]) -> Tensor:
        scheduler.set_timesteps(4)
        return loop(scheduler, noise(1, 3).expand(2, 3), generator=[torch.Generator().manual_seed(s) for s in seeds])

    a, b = draw([1, 2]), draw([2, 1])
    assert torch.equal(a[0], b[1])
    assert torch.equal(a[1], b[0])


def test_without_a_seed_each_run_draws_one_from_torch() -> None:
    scheduler = LazyFlowMatchScheduler(**{**STOCHASTIC, "seed": None})

    def draw() -> Tensor:
        scheduler.set_timesteps(4)
        return loop(scheduler, noise(2, 3))

    torch.manual_seed(0)
    a, b = draw(), draw()
    torch.manual_seed(0)
    assert torch.equal(draw(), a)
    assert not torch.equal(a, b)


@pytest.mark.parametrize("steps", [4, 10, 50])
@pytest.mark.parametrize(
    "way",
    [
        {"diffusion": "optimal", "reference": 0.25},
        {"diffusion": "kappa=0.5", "reference": 0.25, "solver": "exact-ab2"},
        {"schedule": "lazy(kappa=1, variance=0.25)", "diffusion": "optimal", "solver": "euler-maruyama"},
        {"diffusion": "optimal", "reference": 0.25, "last": "step"},
    ],
    ids=str,
)
def test_stochastic_modes_keep_the_marginals_of_a_gaussian(steps: int, way: dict) -> None:
    """X ~ N(0, 1/4): landing replaces the last noise by its mean, so the last marginal is checked without it."""
    law = gaussian([0.0, 0.0], [[0.25, 0.0], [0.0, 0.25]])

    def model(x: Tensor, timestep: Tensor) -> Tensor:
        return -law.model()(x.double(), (1 - timestep.double() / 1000).repeat(len(x))).to(x.dtype)

    scheduler = LazyFlowMatchScheduler(shift=1.5, **{"last": "step", **way})
    scheduler.set_timesteps(steps)
    count = 20000
    x = noise(count, 2, dtype=torch.float64)
    generator = torch.Generator().manual_seed(1)
    for k, t in enumerate(scheduler.timesteps):
        x = scheduler.step(model(x, t), t, x, generator=generator).prev_sample
        sigma = float(scheduler.sigmas[k + 1])
        variance = sigma**2 + (1 - sigma) ** 2 / 4
        assert x.mean(0).abs().max() < 5 * (variance / count) ** 0.5
        error = torch.cov(x.T) / variance - torch.eye(2)
        assert error.abs().max() < 5 * (2 / count) ** 0.5


# Types, shapes, devices


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("way", [{}, {"solver": "euler"}, STOCHASTIC], ids=str)
def test_a_step_keeps_shape_and_dtype_and_its_arguments(dtype: torch.dtype, way: dict) -> None:
    scheduler = LazyFlowMatchScheduler(**way)
    scheduler.set_timesteps(3)
    for t in scheduler.timesteps:
        x, v = noise(2, 3, 4, dtype=dtype), noise(2, 3, 4, seed=1, dtype=dtype)
        kept = x.clone(), v.clone()
        y = scheduler.step(v, t, x).prev_sample
        assert (y.shape, y.dtype) == (x.shape, dtype)
        assert torch.equal(x, kept[0])
        assert torch.equal(v, kept[1])


def test_a_network_that_reuses_its_output_does_no_harm() -> None:
    """As torch.compile with CUDA graphs does: fields are remembered in memory of our own."""
    scheduler = LazyFlowMatchScheduler()
    scheduler.set_timesteps(5)
    buffer, x = torch.empty(2, 3), noise(2, 3)
    for t in scheduler.timesteps:
        x = scheduler.step(buffer.copy_(flow(x, t)), t, x, return_dict=False)[0]
    assert torch.equal(x, run(noise(2, 3), 5))


@pytest.mark.parametrize("way", [{}, {"solver": "euler"}, {"solver": "heun"}, STOCHASTIC], ids=str)
def test_gradients_flow_through_a_run(way: dict) -> None:
    x = noise(2, 3, dtype=torch.float64).requires_grad_()
    scheduler = LazyFlowMatchScheduler(**way)

    def ends(x: Tensor) -> Tensor:
        scheduler.set_timesteps(3)
        return loop(scheduler, x)

    assert torch.autograd.gradcheck(ends, (x,))


def test_an_output_is_a_tuple_or_has_prev_sample() -> None:
    scheduler = LazyFlowMatchScheduler()
    x = noise(2, 3)
    scheduler.set_timesteps(2)
    a = scheduler.step(x, scheduler.timesteps[0], x)
    scheduler.set_timesteps(2)
    b = scheduler.step(x, scheduler.timesteps[0], x, return_dict=False)
    assert isinstance(b, tuple)
    assert torch.equal(a.prev_sample, b[0])


def test_nothing_in_the_loop_asks_the_device_for_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a CPU: no .item(), .tolist(), bool() or nonzero once the begin index is set, as FLUX and others set it."""
    scheduler = LazyFlowMatchScheduler(**STOCHASTIC)
    scheduler.set_timesteps(4)
    scheduler.set_begin_index(0)
    x, timesteps = noise(2, 3), list(scheduler.timesteps)

    def caught(*args: object, **options: object) -> None:
        raise AssertionError("a host synchronisation")

    for name in ("item", "tolist", "__bool__", "__float__", "__int__", "nonzero", "cpu"):
        monkeypatch.setattr(Tensor, name, caught)
    for t in timesteps:
        x = scheduler.step(x, t, x, generator=torch.Generator().manual_seed(0), return_dict=False)[0]
        scheduler.scale_noise(x, t[None], x)


@pytest.mark.parametrize("way", [{}, {"solver": "euler"}, {"solver": "ab3"}, {"solver": "heun"}], ids=str)
@pytest.mark.parametrize("first", [0, 2])
def test_nothing_in_the_loop_is_copied_to_the_device(way: dict, first: int) -> None:
    """On the meta device, which has no numbers to ask for either."""

    class Copies(TorchDispatchMode):
        found: ClassVar[list[str]] = []

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if any(isinstance(a, Tensor) and a.device.type == "cpu" and a.ndim for a in args):
                self.found.append(str(func))
            return func(*args, **(kwargs or {}))

    scheduler = LazyFlowMatchScheduler(**way)
    scheduler.set_timesteps(4, device="meta")
    scheduler.set_begin_index(first)
    x = torch.empty(2, 3, device="meta", dtype=torch.bfloat16)
    with Copies():
        for t in scheduler.timesteps[first:]:
            x = scheduler.step(x, t, x, return_dict=False)[0]
    assert Copies.found == []


# scale_noise


def test_scale_noise_of_rising_sigmas_is_noise_at_the_start() -> None:
    scheduler = LazyFlowMatchScheduler(invert_sigmas=True)
    x, z = torch.zeros(1, 2), torch.ones(1, 2)
    assert torch.equal(scheduler.scale_noise(x, torch.tensor([1000.0]), z), z)  # as in training, before any grid
    scheduler.set_timesteps(4)
    assert torch.equal(scheduler.scale_noise(x, scheduler.timesteps[:1], z), z)


def test_scale_noise_makes_the_state_of_a_noise_level() -> None:
    scheduler = LazyFlowMatchScheduler(shift=2.0)
    scheduler.set_timesteps(5)
    x, z = noise(3, 2), noise(3, 2, seed=1)
    sigma = scheduler.sigmas[[0, 2, 4]][:, None]
    found = scheduler.scale_noise(x, scheduler.timesteps[[0, 2, 4]], z)
    torch.testing.assert_close(found, sigma * z + (1 - sigma) * x)
    scheduler.set_begin_index(2)
    torch.testing.assert_close(scheduler.scale_noise(x, scheduler.timesteps[:1], z), sigma[1] * z + (1 - sigma[1]) * x)
    scheduler.step(x, scheduler.timesteps[2], x)
    level = scheduler.sigmas[3]
    torch.testing.assert_close(scheduler.scale_noise(x, scheduler.timesteps[:1], z), level * z + (1 - level) * x)


def test_scale_noise_serves_training_before_set_timesteps() -> None:
    ours, theirs = LazyFlowMatchScheduler(shift=3.0), FlowMatchEulerDiscreteScheduler(shift=3.0)
    x, z, t = noise(2, 3), noise(2, 3, seed=1), ours.timesteps[[10, 500]]
    torch.testing.assert_close(ours.scale_noise(x, t, z), theirs.scale_noise(x, t, z))


def test_scale_noise_computes_in_float32() -> None:
    scheduler = LazyFlowMatchScheduler()
    scheduler.set_timesteps(7)
    x, z = noise(2, 3, dtype=torch.bfloat16), noise(2, 3, seed=1, dtype=torch.bfloat16)
    found = scheduler.scale_noise(x, scheduler.timesteps[3:4], z)
    sigma = scheduler.sigmas[3]
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, (z.float() * sigma + x.float() * (1 - sigma)).bfloat16())


# per-token timesteps


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(1, 1), (2, 1), (1, 5)])
def test_tokens_broadcast_and_the_state_stays_float32_as_in_diffusers(shape: tuple, dtype: torch.dtype) -> None:
    """LTX's condition pipeline tells (B, 1) where no image is given."""
    x, v = noise(2, 5, 3), noise(2, 5, 3, seed=1, dtype=dtype)
    found = []
    for scheduler in (LazyFlowMatchScheduler(**LINEAR), FlowMatchEulerDiscreteScheduler()):
        scheduler.set_timesteps(4)
        tokens = scheduler.timesteps[1].expand(shape)
        scheduler.set_begin_index(1)
        found.append(scheduler.step(v, scheduler.timesteps[1], x, per_token_timesteps=tokens, return_dict=False)[0])
    assert found[0].dtype == torch.float32
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-6)


def test_tokens_at_one_level_step_as_a_state_does() -> None:
    """As in diffusers the model's output comes with its sign turned around."""
    scheduler = LazyFlowMatchScheduler(solver="euler")
    x, v = noise(2, 5, 3), noise(2, 5, 3, seed=1)
    scheduler.set_timesteps(4)
    whole = scheduler.step(v, scheduler.timesteps[0], x).prev_sample
    scheduler.set_timesteps(4)
    tokens = scheduler.timesteps[0].expand(2, 5)
    found = scheduler.step(-v, scheduler.timesteps[0], x, per_token_timesteps=tokens).prev_sample
    torch.testing.assert_close(found, whole)


def test_each_token_steps_from_its_own_level() -> None:
    scheduler = LazyFlowMatchScheduler(solver="euler")
    scheduler.set_timesteps(4)
    x, v = noise(1, 4, 3), noise(1, 4, 3, seed=1)
    tokens = torch.cat([scheduler.timesteps[[1, 3]], torch.tensor([0.0]), scheduler.timesteps[2:3] + 40])[None]
    found = scheduler.step(-v, scheduler.timesteps[1], x, per_token_timesteps=tokens).prev_sample
    for token, k in enumerate((1, 3)):
        scheduler.set_timesteps(4)
        scheduler.set_begin_index(k)
        alone = scheduler.step(v, scheduler.timesteps[k], x).prev_sample
        torch.testing.assert_close(found[:, token], alone[:, token])
    assert torch.equal(found[:, 2], x[:, 2])  # at 0: done
    torch.testing.assert_close(found[:, 3], x[:, 3] - 0.04 * v[:, 3])  # between levels: Euler's step of the flow


def test_in_linear_coordinates_tokens_step_as_diffusers_do() -> None:
    ours, theirs = LazyFlowMatchScheduler(**LINEAR), FlowMatchEulerDiscreteScheduler()
    x, v = noise(2, 6, 3), noise(2, 6, 3, seed=1)
    found = []
    for s in (ours, theirs):
        s.set_timesteps(5)
        tokens = torch.minimum(s.timesteps[1], torch.tensor([1000.0, 0.0, 333.0, 800.0, 50.0, 1000.0])).expand(2, 6)
        found.append(s.step(v, s.timesteps[1], x, per_token_timesteps=tokens, return_dict=False)[0])
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=2e-6)


# Configs


def _public(config: dict) -> dict:
    return {k: v for k, v in config.items() if not k.startswith("_")}


def test_a_config_survives_saving_and_loading(tmp_path: Path) -> None:
    config = {
        "shift": 3.0,
        "schedule": "lazy(kappa=1)",
        "diffusion": "optimal",
        "solver": "exact",
        "last": "step",
        "grid": [0.0, 0.5, 1.0],
        "reference": 0.5,
        "seed": 7,
    }
    scheduler = LazyFlowMatchScheduler(**config)
    scheduler.save_pretrained(tmp_path)
    again = LazyFlowMatchScheduler.from_pretrained(tmp_path)
    assert _public(again.config) == _public(scheduler.config)
    x = noise(2, 3)
    for s in (scheduler, again):
        s.set_timesteps(2)
    assert torch.equal(loop(scheduler, x), loop(again, x))


def test_one_line_takes_the_place_of_a_pipelines_scheduler() -> None:
    theirs = FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True, max_shift=1.3)
    ours = LazyFlowMatchScheduler.from_config(theirs.config, diffusion="optimal")
    assert (ours.config.shift, ours.config.use_dynamic_shifting, ours.config.max_shift) == (3.0, True, 1.3)
    assert ours.config.diffusion == "optimal"
    back = FlowMatchEulerDiscreteScheduler.from_config(ours.config)
    assert _public(back.config).items() >= _public(theirs.config).items()


def test_every_compatible_scheduler_can_be_made_from_the_config_and_back() -> None:
    ours = LazyFlowMatchScheduler(shift=2.5)
    assert len(ours.compatibles) == 2
    for other in ours.compatibles:
        assert LazyFlowMatchScheduler.from_config(other.from_config(ours.config).config).config.shift == 2.5


def test_a_flow_config_of_unipc_is_read_with_its_shift() -> None:
    theirs = UniPCMultistepScheduler(use_flow_sigmas=True, prediction_type="flow_prediction", flow_shift=4.0)
    assert LazyFlowMatchScheduler.from_config(theirs.config).config.shift == 4.0


def test_the_length_is_that_of_training() -> None:
    assert len(LazyFlowMatchScheduler(num_train_timesteps=500)) == 500


def test_importing_symsi_imports_neither_torch_nor_diffusers() -> None:
    code = "import symsi, sys; print(sorted({'torch', 'diffusers', 'sympy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_without_diffusers_the_error_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['diffusers'] = None\n"
        "import symsi\n"
        "for get in (lambda: symsi.diffusers, lambda: __import__('symsi.diffusers')):\n"
        "    try: get()\n"
        "    except symsi.SymsiError as error: print(type(error).__name__, error)\n"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed == 'MissingPackageError symsi.diffusers needs diffusers; pip install "symsi[diffusers]".\n' * 2


def test_a_saved_config_names_only_what_json_can_hold(tmp_path: Path) -> None:
    LazyFlowMatchScheduler().save_pretrained(tmp_path)
    found = json.loads((tmp_path / "scheduler_config.json").read_text())
    assert found["_class_name"] == "LazyFlowMatchScheduler"
    assert found["schedule"] == "trigonometric"

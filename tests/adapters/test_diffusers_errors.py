"""What LazyFlowMatchScheduler refuses: each message names the argument, what was given, and what to do."""

import pytest
import torch

from symsi.errors import SchedulerError, SymsiError, UnknownNameError

diffusers = pytest.importorskip("diffusers")

from symsi.diffusers import LazyDiffusionScheduler, LazyFlowMatchScheduler  # noqa: E402

X = torch.zeros(2, 3)


def ready(steps: int = 4, **config: object) -> LazyFlowMatchScheduler:
    scheduler = LazyFlowMatchScheduler(**config)
    scheduler.set_timesteps(steps)
    return scheduler


def test_a_refusal_is_a_value_error_too() -> None:
    assert issubclass(SchedulerError, SymsiError)
    assert issubclass(SchedulerError, ValueError)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"schedule": "trigonmetric"}, "unknown schedule 'trigonmetric'. Did you mean 'trigonometric'"),
        ({"solver": "ab4"}, "unknown solver 'ab4'. Did you mean"),
        ({"solver": "ab2", "diffusion": "optimal"}, "solver 'ab2' is deterministic but the diffusion is not 0"),
        ({"solver": "exact"}, "solver 'exact' is stochastic but the diffusion is 0"),
        ({"last": "leap"}, "unknown last step 'leap'"),
        ({"prediction": "epsilon"}, "unknown prediction 'epsilon'"),
        ({"diffusion": "optimal*s"}, "s"),
        ({"diffusion": 1.0}, "diffusion must be text, as the config is saved as JSON; got float"),
        ({"seed": -1}, "seed must be an integer from 0"),
        ({"reference": "nowhere.safetensors"}, "cannot read a reference from nowhere.safetensors"),
        ({"reference": -1.0}, "variance must be positive"),
        ({"num_train_timesteps": 0}, "num_train_timesteps must be a whole number from 2 to 1000000"),
        ({"num_train_timesteps": "a"}, "num_train_timesteps must be a whole number"),
        ({"num_train_timesteps": 1.5}, "num_train_timesteps must be a whole number"),
        ({"num_train_timesteps": 10**12}, "num_train_timesteps must be a whole number"),
        ({"stochastic_sampling": True}, "Set stochastic_sampling=False, and diffusion='optimal'"),
    ],
    ids=str,
)
def test_a_config_that_does_not_fit_is_refused_when_it_is_made(config: dict, message: str) -> None:
    with pytest.raises(SymsiError) as caught:
        LazyFlowMatchScheduler(**config)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "other",
    [
        diffusers.DDIMScheduler(),
        diffusers.EulerDiscreteScheduler(prediction_type="v_prediction"),
        diffusers.DPMSolverMultistepScheduler(),
        diffusers.UniPCMultistepScheduler(use_flow_sigmas=True, prediction_type="epsilon"),
    ],
    ids=lambda s: type(s).__name__,
)
def test_the_config_of_another_kind_of_model_is_refused_with_what_to_use(other: object) -> None:
    with pytest.raises(SchedulerError, match=r"this is no flow model's config: .* use LazyDiffusionScheduler"):
        LazyFlowMatchScheduler.from_config(other.config)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "none of shift, flow_shift, use_flow_sigmas; it has nothing"),
        (diffusers.KarrasVeScheduler().config, "none of shift, flow_shift, use_flow_sigmas"),
        (diffusers.FlowMatchLCMScheduler().config, "a distilled model"),
        (diffusers.FlowMatchEulerDiscreteScheduler(), "a mapping; pass its .config"),
        ("folder", "a mapping; got str"),
    ],
    ids=lambda v: type(v).__name__,
)
def test_what_is_no_config_of_a_flow_scheduler_is_refused(config: object, message: str) -> None:
    with pytest.raises(SchedulerError, match=message):
        LazyFlowMatchScheduler.from_config(config)


def test_for_models_that_no_scheduler_fits_another_door_is_named() -> None:
    with pytest.raises(SchedulerError, match=r"sigma_data = 0\.5.* wrap the network as a symsi\.Model"):
        LazyFlowMatchScheduler.from_config(diffusers.EDMEulerScheduler().config)


@pytest.mark.parametrize("kind", [LazyFlowMatchScheduler, LazyDiffusionScheduler])
def test_a_keyword_that_is_no_setting_is_refused(kind: type) -> None:
    theirs = (
        diffusers.FlowMatchEulerDiscreteScheduler() if kind is LazyFlowMatchScheduler else diffusers.DDIMScheduler()
    )
    with pytest.raises(UnknownNameError, match=r"unknown setting 'solvr'\. Did you mean 'solver'\?"):
        kind.from_config(theirs.config, solvr="ab2")
    _, rest = kind.from_config(theirs.config, return_unused_kwargs=True, solvr="ab2")
    assert rest["solvr"] == "ab2"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({}, "give num_inference_steps, sigmas or timesteps"),
        ({"num_inference_steps": 0}, "num_inference_steps must give at least 1 step; got 0"),
        ({"num_inference_steps": -3}, "num_inference_steps must give at least 1 step; got -3"),
        ({"num_inference_steps": 2.5}, "num_inference_steps must be an integer; got 2.5"),
        ({"sigmas": []}, "sigmas must give at least 1 step; got 0"),
        ({"sigmas": [0.5, 1.0]}, "sigmas must fall; sigmas[1] = 1 follows 0.5"),
        ({"sigmas": [1.0, 0.5, 0.5]}, "sigmas must fall; sigmas[2] = 0.5 follows 0.5"),
        ({"sigmas": [1.5, 0.5]}, "sigmas must lie in (0, 1]; sigmas[0] = 1.5"),
        ({"sigmas": [1.0, -0.5]}, "sigmas must lie in (0, 1]; sigmas[1] = -0.5"),
        ({"sigmas": [1.0, float("nan")]}, "sigmas[1] = nan"),
        ({"sigmas": [1.0, 0.5, 0.0]}, "sigmas[2] = 0: the last step goes to 0 by itself; leave the 0 out"),
        ({"sigmas": 3}, "sigmas must be a list, array or tensor of numbers; got 3"),
        ({"timesteps": [500.0, 1000.0]}, "timesteps must fall; timesteps[1] = 1000 follows 500"),
        ({"timesteps": [1200.0, 500.0]}, "timesteps must lie in (0, 1000]; timesteps[0] = 1200"),
        (
            {"num_inference_steps": 3, "sigmas": [1.0, 0.5]},
            "must agree on the number of steps; got sigmas: 2, num_inference_steps: 3",
        ),
        ({"timesteps": [1000.0], "sigmas": [1.0, 0.5]}, "got sigmas: 2, timesteps: 1"),
    ],
    ids=str,
)
def test_levels_that_do_not_fit_are_refused(call: dict, message: str) -> None:
    with pytest.raises(SchedulerError) as caught:
        LazyFlowMatchScheduler().set_timesteps(**call)
    assert message in str(caught.value)


def test_mu_is_asked_for_where_the_config_shifts_dynamically() -> None:
    with pytest.raises(SchedulerError, match=r"mu must be given: .* use_dynamic_shifting=True"):
        LazyFlowMatchScheduler(use_dynamic_shifting=True).set_timesteps(4)


def test_levels_that_a_shift_ruins_are_refused() -> None:
    with pytest.raises(
        SchedulerError, match=r"sigmas must fall inside \[0, 1\] after the config's shifts; sigmas\[0\]"
    ):
        LazyFlowMatchScheduler(shift=-1.0).set_timesteps(4)


def test_a_schedule_that_starts_with_data_in_it_names_the_first_sigma_that_it_has() -> None:
    with pytest.raises(SchedulerError, match=r"schedule edm starts at the model.s time 0\.01\d+ \(sigma = 0\.98"):
        ready(schedule="edm", solver="euler", grid="sigmas")
    scheduler = LazyFlowMatchScheduler(schedule="edm", solver="euler")
    scheduler.set_timesteps(sigmas=[0.98, 0.5])
    assert scheduler.num_inference_steps == 2


def test_a_diffusion_without_a_limit_at_the_start_is_refused_with_what_has_one() -> None:
    with pytest.raises(SymsiError, match="no finite limit at t = 0"):
        ready(diffusion="optimal", solver="euler-maruyama")


def test_step_before_set_timesteps_is_refused() -> None:
    with pytest.raises(SchedulerError, match=r"call scheduler\.set_timesteps\(steps\) first"):
        LazyFlowMatchScheduler().step(X, 1000.0, X)


def test_a_step_too_many_is_refused() -> None:
    scheduler = ready(2)
    for t in scheduler.timesteps:
        scheduler.step(X, t, X)
    with pytest.raises(SchedulerError, match="all 2 steps are done; call set_timesteps"):
        scheduler.step(X, t, X)


@pytest.mark.parametrize("timestep", [3, torch.tensor(3)], ids=str)
def test_an_index_in_place_of_a_timestep_is_refused(timestep: object) -> None:
    with pytest.raises(SchedulerError, match=r"must be one of scheduler\.timesteps.*got the integer 3"):
        ready().step(X, timestep, X)


@pytest.mark.parametrize("timestep", [701.5, torch.tensor(701.5), torch.tensor(701.5, dtype=torch.float64)], ids=str)
def test_a_timestep_that_is_not_in_the_grid_is_refused_with_the_nearest(timestep: object) -> None:
    scheduler = LazyFlowMatchScheduler()
    scheduler.set_timesteps(timesteps=[1000.0, 700.0, 400.0])
    with pytest.raises(SchedulerError, match=r"timestep = 701\.5 is not in the grid; the nearest is 700"):
        scheduler.step(X, timestep, X)
    with pytest.raises(SchedulerError, match=r"timestep = 701\.5 is not in the grid"):
        scheduler.scale_noise(X, torch.as_tensor(timestep)[None], X)


def test_a_timestep_in_bfloat16_is_found_unless_it_stands_for_several() -> None:
    scheduler = ready(4)
    assert scheduler.index_for_timestep(scheduler.timesteps[2].bfloat16()) == 2
    scheduler = ready(1000)
    with pytest.raises(SchedulerError, match=r"in torch.bfloat16 stands for \d timesteps of the grid"):
        scheduler.index_for_timestep(scheduler.timesteps[20].bfloat16())


def test_sizes_that_differ_are_refused() -> None:
    with pytest.raises(SchedulerError, match=r"model_output must have the shape of sample, \(2, 3\); got \(2, 6\)"):
        ready().step(torch.zeros(2, 6), 1000.0, X)


@pytest.mark.parametrize("solver", ["euler", "ab2"])
def test_sizes_that_change_midway_are_refused(solver: str) -> None:
    scheduler = ready(solver=solver)
    scheduler.step(X, scheduler.timesteps[0], X)
    with pytest.raises(SchedulerError, match=r"sample changed its shape from \(2, 3\) to \(1, 3\) after 1 steps"):
        scheduler.step(X[:1], scheduler.timesteps[1], X[:1])


@pytest.mark.parametrize("noise", [None, 1.0, torch.zeros(3, 3)])
def test_scale_noise_needs_noise_of_the_samples_shape(noise: torch.Tensor | None) -> None:
    with pytest.raises(SchedulerError, match=r"noise must have the shape of sample, \(2, 3\); got"):
        ready().scale_noise(X, torch.tensor([1000.0]), noise)


@pytest.mark.parametrize(("begin", "config"), [(9, {}), (-1, {}), (3, {"solver": "heun"})])
def test_a_begin_index_outside_the_grid_is_refused(begin: int, config: dict) -> None:
    with pytest.raises(SchedulerError, match=rf"begin_index must be (a multiple of 2 )?in 0\.\.\d; got {begin}"):
        ready(**config).set_begin_index(begin)


def test_churn_is_refused_rather_than_ignored() -> None:
    with pytest.raises(SchedulerError, match="s_churn and s_noise do nothing here; set diffusion"):
        ready().step(X, 1000.0, X, s_churn=0.5)


@pytest.mark.parametrize("config", [{"diffusion": "optimal"}, {}, {"solver": "euler", "invert_sigmas": True}], ids=str)
def test_per_token_timesteps_need_eulers_deterministic_step(config: dict) -> None:
    x = torch.zeros(1, 4, 3)
    scheduler = ready(**config)
    with pytest.raises(SchedulerError, match="per_token_timesteps needs a config with solver='euler', diffusion='ode'"):
        scheduler.step(x, scheduler.timesteps[0], x, per_token_timesteps=torch.full((1, 4), 1000.0))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ((X.numpy(), 1000.0, X), "model_output must be a tensor; got ndarray"),
        ((X, 1000.0, [1.0]), "sample must be a tensor; got list"),
        ((X, "a", X), "timestep must be one of scheduler.timesteps; got 'a'"),
        ((X, None, X), "timestep must be one of scheduler.timesteps; got None"),
    ],
)
def test_what_is_no_tensor_or_time_is_refused(call: tuple, message: str) -> None:
    with pytest.raises(SchedulerError, match=message):
        ready().step(*call)


def test_per_token_timesteps_need_a_token_axis() -> None:
    with pytest.raises(
        SchedulerError, match=r"per_token_timesteps must be \(B, T\) for states \(B, T, C\); got \(2,\)"
    ):
        ready(solver="euler").step(X, 1000.0, X, per_token_timesteps=torch.zeros(2))


@pytest.mark.parametrize("config", [{}, {"diffusion": "optimal", "solver": "exact-ab2"}], ids=str)
def test_log_prob_needs_steps_with_a_density(config: dict) -> None:
    with pytest.raises(SchedulerError, match="log_prob needs steps that are Gaussians by themselves; solver"):
        ready(**config).log_prob(X, 1000.0, X, X)


def test_log_prob_has_no_density_to_give_where_the_last_step_lands() -> None:
    scheduler = ready(diffusion="optimal")
    with pytest.raises(SchedulerError, match=r"the last step lands .* leave it out of the sum, or set last='step'"):
        scheduler.log_prob(X, scheduler.timesteps[-1], X, X)
    with pytest.raises(SchedulerError, match="not in the grid"):
        scheduler.log_prob(X, 123.0, X, X)

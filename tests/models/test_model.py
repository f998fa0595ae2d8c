"""A model says what is wrong with it where it is made, and where it is called the wrong way round."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import symsi

QUIET: dict[str, Any] = {"progress": False}


def velocity(x: Tensor, t: Tensor) -> Tensor:
    return -x * t[:, None]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("epsilon", "noise"),
        ("eps", "noise"),
        ("x0", "data"),
        ("sample", "data"),
        ("denoiser", "data"),
        ("flow", "velocity"),
        ("score", "score"),
    ],
)
def test_other_names_of_a_prediction_are_understood(name: str, meant: str) -> None:
    model = symsi.Model(velocity, schedule="ddpm", prediction=name)
    assert model.prediction == meant
    assert symsi.plan(model, steps=2) == symsi.plan(symsi.Model(velocity, schedule="ddpm", prediction=meant), steps=2)


@pytest.mark.parametrize(
    ("prediction", "message"),
    [
        ("v", "two meanings: alpha' Z .* which is 'velocity' here, and beta Z - alpha X .* diffusers' v_prediction"),
        ("v_prediction", "beta x - alpha v"),
        ("flow_prediction", "X - Z, .* which is 'velocity' here, and Z - X"),
        ("epsilom", "Did you mean 'epsilon'.*data, denoiser, eps, epsilon, flow, noise, sample, score, velocity, x0"),
        (None, "prediction is a name: velocity, score, noise, data; got NoneType"),
    ],
)
def test_an_ambiguous_or_unknown_prediction_is_refused_where_the_model_is_made(prediction: Any, message: str) -> None:
    with pytest.raises(symsi.SymsiError, match=message):
        symsi.Model(velocity, prediction=prediction)


def test_the_two_wrappers_that_the_refusals_propose_are_right() -> None:
    law = symsi.models.gaussian([0.4, -0.1], 0.2)
    noise, data = law.model("ddpm", "noise"), law.model("ddpm", "data")
    kernels = symsi.kernels(symsi.convert("ddpm", "ddpm"))

    def v(x: Tensor, t: Tensor) -> Tensor:  # diffusers' v_prediction
        return beta(t) * noise(x, t) - alpha(t) * data(x, t)

    def alpha(t: Tensor) -> Tensor:
        return kernels.coefficient("alpha", t)[:, None]

    def beta(t: Tensor) -> Tensor:
        return kernels.coefficient("beta", t)[:, None]

    x, t = torch.randn(4, 2, generator=torch.Generator().manual_seed(0)).double(), torch.rand(4).double()
    torch.testing.assert_close(beta(t) * x - alpha(t) * v(x, t), data(x, t), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"function": 3}, r"a model is a callable \(x, t, \*\*conditions\).*got int"),
        ({"schedule": "linea"}, "Did you mean 'linear'"),
        ({"schedule": 3}, "a schedule is a name"),
        ({"shape": 4}, r"shape is that of one sample.*such as \(1, 28, 28\); got 4"),
        ({"shape": (3, 0)}, "positive integers"),
        ({"unconditional": "label"}, "unconditional maps names of conditions.*got str"),
    ],
)
def test_what_no_model_is_made_of_is_refused_where_it_is_made(given: dict[str, Any], message: str) -> None:
    with pytest.raises(symsi.SymsiError, match=message):
        symsi.Model(**{"function": velocity, **given})


def by_name(t: Tensor, x: Tensor) -> Tensor:
    return x


class Module(nn.Module):
    def forward(self, timestep: Tensor, sample: Tensor) -> Tensor:
        return sample


@pytest.mark.parametrize("function", [by_name, Module()])
def test_a_function_of_time_and_state_is_told_by_its_names(function: Callable[..., Tensor]) -> None:
    with pytest.raises(symsi.SymsiError, match=r"takes \(t, x\).*calls model\(x, t\).*lambda x, t, \*\*c: f\(t, x"):
        symsi.sample(function, shape=(2, 3), steps=2, **QUIET)


def by_shape(a: Tensor, b: Tensor) -> Tensor:
    return b * a.reshape(len(b), 1)  # fails for a of the shape of x


def by_answer(a: Tensor, b: Tensor) -> Tensor:
    return -b  # of the shape of t


@pytest.mark.parametrize("function", [by_shape, by_answer])
def test_a_function_of_time_and_state_is_told_by_what_it_does(function: Callable[..., Tensor]) -> None:
    with pytest.raises(symsi.SymsiError, match=rf"{function.__name__} takes \(t, x\)"):
        symsi.sample(function, shape=(2, 3), steps=2, **QUIET)
    model = symsi.Model(lambda x, t: function(t, x), shape=(3,))
    assert symsi.sample(model, shape=2, steps=2, **QUIET).nfe == 2


def test_an_error_of_the_model_itself_is_left_as_it_is() -> None:
    def broken(x: Tensor, t: Tensor) -> Tensor:
        raise ValueError("mine")

    with pytest.raises(ValueError, match=r"^mine$"):
        symsi.sample(broken, shape=(2, 3), steps=2, **QUIET)


def test_a_condition_of_too_few_rows_is_told_with_both_numbers() -> None:
    def conditional(x: Tensor, t: Tensor, context: Tensor) -> Tensor:
        return x + context

    options: dict[str, Any] = {"shape": (4, 3), "steps": 2, **QUIET}
    with pytest.raises(symsi.ModelError, match="x of 4 samples and the condition 'context' of 3 rows"):
        symsi.sample(conditional, conditions={"context": torch.zeros(3, 3)}, **options)
    assert symsi.sample(conditional, conditions={"context": torch.zeros(1, 3)}, **options).nfe == 2
    digits = symsi.models.load("digits28")
    with pytest.raises(symsi.SymsiError, match="label has 3 rows, and 4 samples are to be drawn"):
        symsi.sample(digits, shape=4, steps=2, conditions={"label": torch.arange(3)}, **QUIET)


@pytest.mark.parametrize(
    ("function", "conditions", "message"),
    [
        (lambda x, t, label: x, {}, "give conditions={'label': ...}"),
        (lambda x, t: x, {"label": 1}, "it knows no condition label"),
        (lambda x: x, {}, "it must take x and t first"),
    ],
)
def test_conditions_that_a_function_does_not_take_are_told_in_words(
    function: Callable[..., Tensor], conditions: dict[str, Any], message: str
) -> None:
    with pytest.raises(symsi.SymsiError, match=message):
        symsi.sample(function, shape=(2, 3), steps=2, conditions=conditions, **QUIET)


@pytest.mark.parametrize("schedule", ["vp", "linear", "cosine"])
@pytest.mark.parametrize("prediction", ["noise", "score"])
@pytest.mark.parametrize("diffusion", ["ode", "optimal"])
def test_a_noise_network_that_cannot_start_is_told_of_ddpm_and_of_a_later_start(
    schedule: str, prediction: str, diffusion: str
) -> None:
    model = symsi.models.gaussian([0.4, -0.1], 0.2).model(schedule, prediction)
    with pytest.raises(symsi.EndpointError, match=r"grid=\[0.01, 0.25, 0.5, 0.75, 1\].*schedule='ddpm'"):
        symsi.plan(model, steps=4, diffusion=diffusion)
    later = symsi.sample(model, grid=[0.01, 0.25, 0.5, 0.75, 1], diffusion=diffusion, shape=200, **QUIET).x
    assert later.mean(0).tolist() == pytest.approx([0.4, -0.1], abs=0.15)


def test_a_kappa_too_large_to_step_with_is_refused_in_words() -> None:
    for kappa in ("5000", "1e9", "1e300"):
        with pytest.raises(symsi.DiffusionError, match=r"exact steps of kappa = .* Use a smaller kappa"):
            symsi.plan("linear", schedule="trigonometric", diffusion=f"kappa={kappa}", steps=7)
    assert symsi.plan("linear", schedule="trigonometric", diffusion="kappa=100", steps=7).stochastic

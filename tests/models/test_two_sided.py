"""A two-sided model says what is wrong with it where it is made, and where it answers otherwise than it said."""

from typing import Any

import pytest
import torch
from torch import Tensor

import symsi

X, T = torch.ones(3, 2), torch.full((3,), 0.5)


def pair(x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    return -x, x * t[:, None]


def test_two_predictions_come_as_a_tuple_a_list_or_stacked() -> None:
    expected = pair(X, T)
    for function in (pair, lambda x, t: list(pair(x, t)), lambda x, t: torch.stack(pair(x, t))):
        found = symsi.BridgeModel(function)(X, T)
        assert all(map(torch.equal, found, expected))


def test_the_velocity_alone_is_one_tensor() -> None:
    (found,) = symsi.BridgeModel(lambda x, t: -x, predictions="velocity")(X, T)
    assert torch.equal(found, -X)


@pytest.mark.parametrize("predictions", [("velocity", "latent"), ("ends", "score"), ("velocity", "x1")])
def test_its_fields_are_those_of_its_predictions(predictions: tuple[str, str]) -> None:
    model = symsi.BridgeModel(pair, "trigonometric(gamma=quadratic)", predictions)
    assert model.bridge("gamma") == symsi.bridge("trigonometric(gamma=quadratic)", "gamma", predictions)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"function": 3}, "a model is a callable"),
        ({"function": lambda t, x: x}, r"takes \(t, x\)"),
        ({"shape": (0,)}, "positive integers"),
        ({"interpolant": "liner"}, "Did you mean 'linear'"),
        ({"interpolant": symsi.Interpolant("1-t", "t", "sqrt(a*t*(1-t))", {"a": None})}, "keeps a symbolic"),
        ({"predictions": "latent"}, r"one prediction must be the velocity.*\('velocity', 'latent'\)"),
        ({"predictions": ("velocity", "latent", "score")}, "two names"),
        ({"predictions": ("velocity", "lattent")}, "Did you mean 'latent'"),
        ({"predictions": ("latent", "score")}, "say the same"),
    ],
)
def test_what_is_no_two_sided_model_is_refused_in_words(options: dict[str, Any], message: str) -> None:
    with pytest.raises(symsi.SymsiError, match=message):
        symsi.BridgeModel(**{"function": pair, **options})


@pytest.mark.parametrize(
    ("function", "predictions", "message"),
    [
        (lambda x, t: x, ("velocity", "latent"), "velocity and latent; its function returned 1.* a tuple"),
        (pair, "velocity", "predict velocity; its function returned 2.*one tensor"),
        (lambda x, t: None, "velocity", "returned a NoneType"),
    ],
)
def test_another_number_of_answers_is_refused(function: Any, predictions: Any, message: str) -> None:
    with pytest.raises(symsi.ModelError, match=message):
        symsi.BridgeModel(function, predictions=predictions)(X, T)


def test_an_sde_needs_two_predictions() -> None:
    model = symsi.BridgeModel(lambda x, t: x, predictions=("velocity",))
    assert model.bridge().epsilon == 0
    with pytest.raises(symsi.SymsiError, match=r"an SDE needs two predictions.*the velocity alone"):
        model.bridge("gamma")


def test_the_sampler_from_noise_refuses_it() -> None:
    with pytest.raises(symsi.SymsiError, match=r"two-sided.*sample_bridge"):
        symsi.sample(symsi.BridgeModel(pair), shape=(4, 2), steps=2)

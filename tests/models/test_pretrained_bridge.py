"""Weights files of bridges: what they give back, what ships, and what is refused."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import symsi
from symsi.models.pretrained import WEIGHTS
from symsi.models.pretrained_bridge import BRIDGES, load_bridge, save_bridge
from symsi.models.restoring import Restorer, degrade
from symsi.models.unet import Config, UNet

SMALL = Config(width=8, channels=2, classes=0, heads=2)
BRIDGE = "linear(gamma=brownian(a=0.25))"


@pytest.fixture(scope="module")
def model() -> symsi.BridgeModel:
    torch.manual_seed(0)
    net = Restorer(UNet(SMALL)).half().float().eval().requires_grad_(False)
    for weight in net.parameters():
        weight.copy_(torch.randn(weight.shape).mul(0.1).half())
    return symsi.BridgeModel(net, BRIDGE, ("velocity", "latent"), (1, 8, 8), "small", offset=0.1, gain=0.3)


@pytest.fixture
def file(model: symsi.BridgeModel, tmp_path: Path) -> Path:
    return save_bridge(tmp_path / "small.safetensors", model.function.state_dict(), model, {"steps": 0}, note="made")


def test_a_bridge_is_read_as_it_was_written(model: symsi.BridgeModel, file: Path) -> None:
    x0 = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    found = load_bridge(file)
    options = {"conditions": {"start": x0}, "diffusion": "gamma", "steps": 3, "batch": 2, "progress": False}
    assert torch.equal(symsi.sample_bridge(found, x0, **options).x, symsi.sample_bridge(model, x0, **options).x)
    assert (found.shape, found.gain, found.offset, found.name) == ((1, 8, 8), 0.3, 0.1, "small")
    assert found.interpolant == model.interpolant
    assert load_bridge(file, dtype=torch.bfloat16).called.dtype == torch.bfloat16
    with pytest.raises(symsi.SymsiError, match="exists"):
        save_bridge(file, model.function.state_dict(), model, {})


def test_a_model_that_is_no_restorer_is_not_written(tmp_path: Path) -> None:
    model = symsi.BridgeModel(lambda x, t: (x, x), BRIDGE)
    with pytest.raises(symsi.SymsiError, match="Restorer"):
        save_bridge(tmp_path / "a.safetensors", {}, model, {})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": "2"}, "version 2"),
        ({"format": "symsi-model"}, "holds no symsi bridge; `symsi train bridge`"),
        ({"config": json.dumps({"width": 8})}, "does not hold the weights it describes"),
        ({"interpolant": json.dumps({"alpha": "t", "beta": "t", "gamma": "t"})}, "alpha must be 1 at t = 0"),
        ({"predictions": "[]"}, "predictions are two names"),
        ({"hash": "0"}, "hash is another"),
    ],
)
def test_a_file_that_is_not_what_it_says_is_refused(file: Path, change: dict[str, str], message: str) -> None:
    with safe_open(file, "pt") as held:
        metadata = {**held.metadata(), **change}
    save_file(load_file(file), file, metadata=metadata)
    with pytest.raises(symsi.SymsiError, match=message):
        load_bridge(file)


def test_missing_files_and_unknown_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(symsi.SymsiError, match="cannot read weights"):
        load_bridge(tmp_path / "none.safetensors")
    with pytest.raises(symsi.UnknownNameError, match="Did you mean 'digits28-restore'"):
        load_bridge("digits28-restor")


def test_what_ships_is_small_and_says_how_it_was_made() -> None:
    for name in BRIDGES:
        assert (WEIGHTS / f"{name}.safetensors").stat().st_size < 4e6
        last = json.loads((WEIGHTS / f"{name}.log").read_text().splitlines()[-1])
        with safe_open(WEIGHTS / f"{name}.safetensors", "pt") as held:
            recipe = json.loads(held.metadata()["recipe"])
            assert "symsi train bridge" in held.metadata()["note"]
        assert last["step"] == recipe["steps"]


def test_the_shipped_bridge_restores_digits_and_the_regression_is_nearer_to_them() -> None:
    """On digits that digits28 draws, in 5 evaluations."""
    labels = torch.arange(20) % 10
    digits = symsi.sample(
        symsi.models.load("digits28"), shape=20, steps=5, conditions={"label": labels}, progress=False
    ).x
    x0 = degrade(digits, torch.randn(digits.shape, generator=torch.Generator().manual_seed(0)))
    told = {"conditions": {"start": x0}, "progress": False}
    restored = symsi.sample_bridge(load_bridge("digits28-restore"), x0, steps=5, **told).x
    mean = symsi.sample_bridge(load_bridge("digits28-regression"), x0, solver="euler", steps=1, **told).x
    errors = [symsi.metrics.rmse(x, digits) for x in (x0, restored, mean)]
    assert errors[2] < errors[1] < 0.75 * errors[0]

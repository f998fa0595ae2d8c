"""Weights files: the shipped network, and what a file must hold."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import symsi
from symsi.models import mnist
from symsi.models.digits8 import digits
from symsi.models.features import SHIPPED as FEATURES
from symsi.models.features import load_features
from symsi.models.pretrained import SHIPPED, WEIGHTS, load, save
from symsi.models.unet import Config, UNet
from symsi.training.matching import Recipe

SMALL = Config(width=8, heads=2)


@pytest.fixture(scope="module")
def net() -> UNet:
    torch.manual_seed(0)
    net = UNet(SMALL)
    for weight in net.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    return net


@pytest.fixture
def file(net: UNet, tmp_path: Path) -> Path:
    return save(tmp_path / "small.safetensors", net.state_dict(), SMALL, (1, 28, 28), gain=0.3, offset=0.1)


def test_the_shipped_network_draws_digits_of_the_class_it_is_told() -> None:
    """Four evaluations; the classifier that judges was trained on other images than it judges here."""
    model, features = symsi.models.load("digits28"), load_features(FEATURES)
    labels = torch.arange(60) % 10
    found = symsi.sample(
        model, shape=60, schedule="trigonometric", grid="linear", steps=4, conditions={"label": labels}, progress=False
    )
    right = (features.classifier(found.x).argmax(1) == labels).double().mean()
    assert float(right) >= 0.85  # 60 draws of a network with 0.95 or more: 0.85 is 3.5 standard deviations below
    assert found.nfe == 4
    pixels = found.x * model.gain + model.offset
    assert float(pixels.mean()) == pytest.approx(0.1307, abs=0.03)


def test_weights_that_ship_are_small_and_say_how_they_were_made() -> None:
    for name in ("digits28", "digits28-features"):
        assert (WEIGHTS / f"{name}.safetensors").stat().st_size < 10e6
        assert (WEIGHTS / f"{name}.log").exists()
    last = json.loads((WEIGHTS / "digits28.log").read_text().splitlines()[-1])
    assert last["step"] == Recipe().steps


def test_digits8_are_centred_with_unit_mean_variance() -> None:
    images, labels = digits()
    assert images.shape == (1797, 1, 8, 8)
    assert float(images.mean(0).abs().max()) < 1e-12
    assert float(images.square().mean()) == pytest.approx(1)
    assert labels.unique().tolist() == list(range(10))


def test_a_file_gives_back_the_network_and_its_meaning(net: UNet, file: Path) -> None:
    model = load(file)
    x, t, label = torch.randn(3, 1, 28, 28), torch.rand(3), torch.tensor([0, 5, 9])
    torch.testing.assert_close(model(x, t, label=label), net(x, t, label))
    assert (str(model.schedule), model.prediction, model.shape) == ("linear", "velocity", (1, 28, 28))
    assert (model.gain, model.offset, model.name) == (0.3, 0.1, "small")
    assert load(file, dtype=torch.bfloat16).dtype == torch.bfloat16
    with pytest.raises(symsi.SymsiError, match="exists"):
        save(file, net.state_dict(), SMALL, (1, 28, 28))


def test_no_label_is_the_class_of_no_label(net: UNet) -> None:
    x, t = torch.randn(2, 1, 28, 28), torch.rand(2)
    torch.testing.assert_close(net(x, t), net(x, t, torch.tensor([-1, -1])))
    assert not torch.allclose(net(x, t), net(x, t, torch.tensor([3, 3])))


def rewrite(file: Path, change: dict[str, str], drop: str = "", spoil: bool = False) -> None:
    with safe_open(file, "pt") as held:
        metadata = {**held.metadata(), **change}
    tensors = {k: v for k, v in load_file(file).items() if k != drop}
    if spoil:
        tensors["enter.bias"][0] = float("nan")
    save_file(tensors, file, metadata=metadata)


@pytest.mark.parametrize(
    ("change", "drop", "spoil", "message"),
    [
        ({"version": "2"}, "", False, "version 2"),
        ({"format": "other"}, "", False, "holds no symsi model"),
        ({"config": json.dumps({"width": 8})}, "", False, "does not hold the weights it describes"),
        ({"config": "not json"}, "", False, "does not hold the weights it describes"),
        ({"gain": "much"}, "", False, "does not hold the weights it describes"),
        ({"schedule": "lineal"}, "", False, "does not hold the weights it describes"),
        ({}, "enter.bias", False, "enter.bias"),
        ({}, "", True, "nan or inf"),
    ],
)
def test_a_file_that_is_not_what_it_says_is_refused(
    file: Path, change: dict[str, str], drop: str, spoil: bool, message: str
) -> None:
    rewrite(file, change, drop, spoil)
    with pytest.raises(symsi.SymsiError, match=message):
        load(file)


def test_missing_and_cut_files_and_unknown_names_are_refused(file: Path, tmp_path: Path) -> None:
    with pytest.raises(symsi.SymsiError, match="cannot read weights"):
        load(tmp_path / "none.safetensors")
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(symsi.SymsiError, match="cannot read weights"):
        load(file)
    with pytest.raises(symsi.UnknownNameError, match="Did you mean 'digits28'"):
        load("digit28")
    assert set(SHIPPED) == {"digits28", "digits8", "fashion28", "fashion28-noise"}


def test_another_file_than_the_data_set_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mnist.tgz"
    path.write_bytes(b"something else")
    with pytest.raises(symsi.SymsiError, match="SHA-256"):
        mnist.download(path)

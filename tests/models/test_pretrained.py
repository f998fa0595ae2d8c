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


NETS = [
    ({"heads": 0}, "heads must be a whole number from 1"),
    ({"heads": -1}, "heads must be a whole number from 1"),
    ({"heads": "a"}, "heads must be a whole number from 1 to .*; got 'a'"),
    ({"heads": True}, "heads must be a whole number"),
    ({"heads": 5}, "heads must divide the 16 channels of the middle; got 5"),
    ({"blocks": 10**7}, "blocks must be a whole number"),
    ({"blocks": 1000}, "at most 256 residual blocks; these would be 4004"),
    ({"multipliers": [1] * 10**5}, "at most 256 residual blocks"),
    ({"multipliers": []}, "multipliers must be one or more"),
    ({"multipliers": [1, "2"]}, r"multipliers\[1\] must be a whole number"),
    ({"width": 12}, "width must be a multiple of 8"),
    ({"width": 2**20}, r"time.0.weight should be \(4194304, 2097152\), and is \(32, 16\)"),
    ({"classes": 10**6}, r"label.weight should be \(1000001, 32\), and is \(11, 32\)"),
    ({"other": 1}, "other"),
]


@pytest.mark.parametrize(("change", "message"), NETS, ids=[str(change)[:30] for change, _ in NETS])
def test_a_net_that_none_has_is_refused_before_it_is_made(file: Path, change: dict[str, object], message: str) -> None:
    rewrite(file, {"config": json.dumps({**SMALL.to_json(), **change})})
    with pytest.raises(symsi.SymsiError, match=f"does not hold the weights it describes: .*{message}"):
        load(file)


@pytest.mark.parametrize(
    "shape", ["[3, 28, 28]", "[1, 30, 30]", "[1, 28]", "[]", "5", "null", "[1, -4, 28]", "[1.0, 28, 28]"]
)
def test_a_shape_that_the_net_does_not_take_is_refused(file: Path, shape: str) -> None:
    rewrite(file, {"shape": shape})
    with pytest.raises(symsi.SymsiError, match=r"sides that are multiples of 4; got|not iterable"):
        load(file)


@pytest.mark.parametrize("units", [{"gain": "nan"}, {"gain": "0"}, {"gain": "inf"}, {"offset": "-inf"}])
def test_units_that_map_no_sample_are_refused(file: Path, units: dict[str, str]) -> None:
    rewrite(file, units)
    with pytest.raises(symsi.SymsiError, match="offset and gain must be finite numbers, and gain not 0"):
        load(file)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (torch.complex64, "in complex64, which is not read"),
        (torch.float8_e4m3fn, "in float8_e4m3fn, which is not read"),
        (torch.int8, "no floating-point numbers"),
    ],
)
def test_weights_in_a_dtype_that_no_net_has_are_refused(net: UNet, file: Path, kind: torch.dtype, message: str) -> None:
    with safe_open(file, "pt") as held:
        metadata = held.metadata()
    save_file({name: weight.to(kind) for name, weight in net.state_dict().items()}, file, metadata=metadata)
    with pytest.raises(symsi.SymsiError, match=message):
        load(file)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "meta"}, "hold no numbers"),
        ({"device": "hpu"}, "torch cannot use the device hpu here"),
        ({"device": 3}, "device must be cpu, cuda or such"),
        ({"dtype": torch.int32}, "floating-point type of torch"),
        ({"dtype": torch.float8_e5m2}, "floating-point type of torch"),
    ],
)
def test_a_device_or_dtype_that_runs_no_net_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(symsi.SymsiError, match=message):
        load("digits28", **options)  # type: ignore[arg-type]


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

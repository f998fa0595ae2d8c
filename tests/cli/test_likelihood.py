"""`symsi likelihood` as a user meets it."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

import symsi
from symsi.models.digits8 import distribution
from tests.cli.test_cli import in_process

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch


def test_bits_are_in_the_units_of_the_data(capsys: Capture, monkeypatch: Patch, tmp_path: Path) -> None:
    model = symsi.models.load("digits8")
    x = distribution().sample(3, seed=1)
    np.save(tmp_path / "x.npy", (model.offset + model.gain * x).numpy())
    arguments = (
        "likelihood",
        "digits8",
        "--data",
        str(tmp_path / "x.npy"),
        "--solver",
        "ab2",
        "--steps",
        "4",
        "--count",
        "2",
    )
    code, out, err = in_process(capsys, monkeypatch, *arguments, "--json")
    assert code == 0, err
    found = json.loads(out)
    own = symsi.log_likelihood(model, x[:2], solver="ab2", steps=4, progress=False)
    assert found["each"] == pytest.approx((own.bits_per_dim + math.log2(model.gain)).tolist(), rel=1e-9)
    assert (found["samples"], found["nfe"], found["products"], found["standard_error"]) == (2, 4, 64, 0)
    code, out, _ = in_process(capsys, monkeypatch, *arguments, "--divergence", "hutchinson", "--probes", "3")
    assert code == 0
    assert "bits a dimension (standard error of the probes" in out
    assert "4 evaluations and 3 products in each" in out


def test_samples_that_symsi_wrote_are_in_model_units(capsys: Capture, monkeypatch: Patch, tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    drawn = ("sample", str(path), "--model", "digits8", "--count", "2", "--steps", "2")
    assert in_process(capsys, monkeypatch, *drawn)[0] == 0
    arguments = ("likelihood", "digits8", "--data", str(path), "--solver", "euler", "--steps", "2", "--json")
    code, out, err = in_process(capsys, monkeypatch, *arguments)
    assert code == 0, err
    with np.load(path) as held:
        x = torch.from_numpy(held["samples"])
    own = symsi.log_likelihood(symsi.models.load("digits8"), x, solver="euler", steps=2, progress=False)
    assert json.loads(out)["bits_per_dim"] == pytest.approx(float(own.bits_per_dim.mean()) + math.log2(0.25), rel=1e-9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("digits8", "--data", "nowhere.npy"), "cannot read samples from nowhere.npy"),
        (("digits8", "--data", "digits.txt"), "a .npy, .npz or .safetensors file"),
        (("digits8", "--data", "x.npy", "--folder", "."), "--folder is where"),
        (("digits8", "--data", "x.npy", "--probes", "1"), "--probes"),
        (("digits", "--data", "x.npy"), "Did you mean 'digits8'"),
        (("digits8",), "--data"),
    ],
)
def test_what_does_not_fit_is_one_message(
    capsys: Capture, monkeypatch: Patch, arguments: tuple[str, ...], message: str
) -> None:
    code, out, err = in_process(capsys, monkeypatch, "likelihood", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err

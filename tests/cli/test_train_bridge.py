"""`symsi train bridge`, on a few made-up images."""

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from torch import Tensor

import symsi
from symsi.cli import train_bridge
from symsi.cli.train import command
from symsi.models.datasets import Dataset


def made(path: Path, part: str) -> tuple[Tensor, Tensor]:
    return torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(len(part))), torch.zeros(6).long()


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(train_bridge, "dataset", lambda name: Dataset(name, tmp_path, 0.5, 0.3, "made up", made))
    return tmp_path / "b.safetensors"


def run(*given: object) -> Result:
    return CliRunner().invoke(command, ["bridge", *map(str, given), "--batch", "2"])


def test_a_run_writes_weights_and_a_log_and_goes_on_when_told_to(output: Path) -> None:
    assert run(output, "--steps", 2).exit_code == 0
    model = symsi.models.load_bridge(output)
    assert (model.predictions, model.shape, model.gain) == (("velocity", "latent"), (1, 8, 8), 0.3)
    refused = run(output, "--steps", 2)
    assert refused.exit_code == 1
    assert "exists" in str(refused.exception)
    assert run(output, "--steps", 3, "--force").exit_code == 0
    assert [json.loads(line)["step"] for line in output.with_suffix(".log").read_text().splitlines()] == [2, 3]


def test_a_run_stops_in_time_and_a_regression_has_one_head(output: Path) -> None:
    assert run(output, "--minutes", 1e-9, "--regression").exit_code == 0
    (line,) = output.with_suffix(".log").read_text().splitlines()
    assert json.loads(line)["step"] == 1
    model = symsi.models.load_bridge(output)
    x0 = torch.zeros(2, 1, 8, 8)
    mean = symsi.sample_bridge(model, x0, solver="euler", steps=1, conditions={"start": x0}, progress=False)
    assert (model.predictions, mean.nfe) == (("velocity",), 1)


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    assert "weights are a .safetensors file" in str(run(tmp_path / "a.pt").exception)

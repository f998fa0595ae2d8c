"""`symsi train features`, on a few made-up images."""

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from torch import Tensor

from symsi.cli import train
from symsi.models.datasets import Dataset
from symsi.models.features import load_features
from symsi.models.mixer import load_mixer


def made(path: Path, part: str) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(len(part))
    return torch.rand(20, 1, 28, 28, generator=generator), torch.arange(20) % 10


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(train, "dataset", lambda name: Dataset(name, tmp_path, 0.5, 0.3, "made up", made))
    return tmp_path / "c.safetensors"


def run(*given: object) -> Result:
    return CliRunner().invoke(train.command, ["features", *map(str, given), "--epochs", "2"])


def logged(output: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in output.with_suffix(".log").read_text().splitlines()]


def test_the_mixer_is_written_with_its_accuracy_and_a_log(output: Path) -> None:
    done = run(output, "--network", "mixer")
    assert done.exit_code == 0, done.exception
    net, metadata = load_mixer(output)
    assert metadata["note"] == "made up; epochs 2, seed 1"
    x, labels = made(output, "test")
    accuracy = (net((x - 0.5) / 0.3).argmax(1) == labels).double().mean().item()
    assert float(metadata["accuracy"]) == accuracy
    assert logged(output)[-1] == {"held_out_accuracy": pytest.approx(accuracy, abs=5e-5)}
    assert [line["epoch"] for line in logged(output)[:-1]] == [1, 2]
    assert "exists" in str(run(output, "--network", "mixer").exception)


def test_the_judge_is_what_is_trained_by_default(output: Path) -> None:
    done = run(output)
    assert done.exit_code == 0, done.exception
    found = load_features(output)
    assert found.note == "made up; epochs 2, seed 0; reference: features of the 10 000 held-out images"
    assert logged(output)[-1] == {"held_out_accuracy": pytest.approx(found.accuracy, abs=5e-5)}

"""`symsi bench objectives`, quick."""

import json

import pytest

from tests.cli.test_cli import in_process

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("mixture", ("PSD-M", "velocity", "MeanFlow's residual at the exact map")),
        ("checkerboard", ("ESD", "LSD, published", "0.086", "data against data, 64 samples")),
    ],
)
def test_objectives_are_compared(capsys: Capture, monkeypatch: Patch, data: str, words: tuple[str, ...]) -> None:
    code, out, err = in_process(capsys, monkeypatch, "bench", "objectives", "--data", data, "--quick")
    assert code == 0, err
    assert all(word in out for word in words)


def test_one_objective_is_measured_as_json(capsys: Capture, monkeypatch: Patch) -> None:
    arguments = ("bench", "objectives", "--objective", "LMD", "--quick", "--seed", "4", "--json")
    code, out, err = in_process(capsys, monkeypatch, *arguments)
    assert code == 0, err
    found = json.loads(out)
    assert [row["objective"] for row in found["rows"]] == ["LMD"]
    assert found["recipe"]["seed"] == 4


def test_an_objective_that_is_none_is_told(capsys: Capture, monkeypatch: Patch) -> None:
    code, _, err = in_process(capsys, monkeypatch, "bench", "objectives", "--objective", "PSDM")
    assert (code, "Did you mean 'PSD-M'" in err) == (2, True), err

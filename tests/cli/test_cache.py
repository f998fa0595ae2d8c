"""`symsi cache`, and what the command line keeps."""

import json
from pathlib import Path

import pytest

from symsi.cli import derive
from symsi.coefficients import cache
from tests.cli.test_cli import in_process

Capture, Patch = pytest.CaptureFixture[str], pytest.MonkeyPatch
DERIVE = ("derive", "--from", "linear", "--to", "trigonometric")


@pytest.fixture
def folder(monkeypatch: Patch, tmp_path: Path) -> Path:
    monkeypatch.setenv("SYMSI_CACHE", str(tmp_path))
    monkeypatch.setattr(cache, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(cache, "_code", lambda: "this code")
    return tmp_path


def test_the_cache_is_shown_and_cleared(folder: Path, capsys: Capture, monkeypatch: Patch) -> None:
    assert in_process(capsys, monkeypatch, "cache") == (0, f"{folder}: 0 answers, 0.00 MiB\n", "")
    in_process(capsys, monkeypatch, *DERIVE)
    (path,) = folder.iterdir()
    told = json.loads(in_process(capsys, monkeypatch, "cache", "--json")[1])
    assert told == {"folder": str(folder), "files": 1, "bytes": path.stat().st_size}
    assert in_process(capsys, monkeypatch, "cache", "clear")[1].startswith(f"{folder}: removed 1 answer, 0.0")
    assert not list(folder.iterdir())
    monkeypatch.setenv("SYMSI_CACHE", "off")
    assert (
        in_process(capsys, monkeypatch, "cache")
        == in_process(capsys, monkeypatch, "cache", "clear")
        == (0, "off\n", "")
    )
    assert json.loads(in_process(capsys, monkeypatch, "cache", "--json")[1])["folder"] is None


def test_derive_says_again_what_is_kept_and_proves_anew(folder: Path, capsys: Capture, monkeypatch: Patch) -> None:
    text = in_process(capsys, monkeypatch, *DERIVE)
    data = in_process(capsys, monkeypatch, *DERIVE, "--json")
    assert len(list(folder.iterdir())) == 2
    found, asked = derive._find, []
    monkeypatch.setattr(derive, "_find", lambda *words: asked.append(words) or found(*words))
    assert in_process(capsys, monkeypatch, *DERIVE) == text
    assert in_process(capsys, monkeypatch, *DERIVE, "--json") == data
    assert not asked
    proved = in_process(capsys, monkeypatch, *DERIVE, "--proof")
    assert proved[1].startswith(text[1])
    assert len(asked) == 1
    in_process(capsys, monkeypatch, *DERIVE, "--diffusion", "optimal")
    in_process(capsys, monkeypatch, *DERIVE, "--flow-map")
    assert len(asked) == 3
    assert len(list(folder.iterdir())) == 4


def test_a_kept_text_that_is_none_is_derived_anew(folder: Path, capsys: Capture, monkeypatch: Patch) -> None:
    text = in_process(capsys, monkeypatch, *DERIVE)
    (path,) = folder.iterdir()
    path.write_text(json.dumps({**json.loads(path.read_text()), "answer": 3, "hash": cache._digest(3)}))
    assert in_process(capsys, monkeypatch, *DERIVE) == text


def test_a_refusal_is_the_same_with_and_without_a_cache(folder: Path, capsys: Capture, monkeypatch: Patch) -> None:
    wrong = ("derive", "--alpha", "1-t", "--beta", "t-1")
    refused = [in_process(capsys, monkeypatch, *wrong) for _ in range(2)]
    monkeypatch.setenv("SYMSI_CACHE", "off")
    assert refused[0] == refused[1] == in_process(capsys, monkeypatch, *wrong)
    assert refused[0][0] == 2
    assert not list(folder.iterdir())

"""Folders of samples from the command line: one process, two of torchrun, SIGTERM, checks and repairs."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.test_cli import in_process
from tests.shards.small import hashes

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch
OPTIONS = ("--model", "digits8", "--steps", "2", "--count", "24", "--batch", "5", "--seed", "7")
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture
def folder(capsys: Capture, monkeypatch: Patch, tmp_path: Path) -> Path:
    code, out, err = in_process(capsys, monkeypatch, "sample", f"{tmp_path}/out/", *OPTIONS)
    assert code == 0, err
    assert out == f"24 samples at 2 evaluations each: {tmp_path}/out/\n"
    return tmp_path / "out"


def test_a_name_without_a_suffix_is_no_folder_without_a_slash(
    capsys: Capture, monkeypatch: Patch, tmp_path: Path
) -> None:
    code, _, err = in_process(capsys, monkeypatch, "sample", f"{tmp_path}/out", *OPTIONS)
    assert (code, f"a folder of them ends with a slash: {tmp_path}/out/." in err) == (2, True)
    assert not list(tmp_path.iterdir())


def test_a_folder_is_continued_checked_and_repaired(capsys: Capture, monkeypatch: Patch, folder: Path) -> None:
    before = hashes(folder)
    code, out, _ = in_process(capsys, monkeypatch, "samples", "check", str(folder))
    assert (code, out) == (0, f"24 samples, all there and right: {folder}/\n")
    shards = sorted(folder.glob("samples-*"))
    shards[0].unlink()
    shards[3].write_bytes(shards[1].read_bytes())
    (folder / "notes").write_text("mine")
    code, out, _ = in_process(capsys, monkeypatch, "samples", "check", str(folder))
    assert code == 1
    assert [line.split(":")[0] for line in out.splitlines()] == ["missing", "damaged", "foreign"]
    code, out, _ = in_process(capsys, monkeypatch, "samples", "check", str(folder), "--json")
    assert (code, json.loads(out)["missing"], list(json.loads(out)["damaged"])) == (1, [[0, 5]], ["15-20"])
    code, out, err = in_process(capsys, monkeypatch, "samples", "check", str(folder), "--repair")
    assert code == 0, err
    assert "(10 of them drawn by this process)" in out
    (folder / "notes").unlink()
    assert hashes(folder) == before
    code, out, err = in_process(capsys, monkeypatch, "sample", str(folder), *OPTIONS)
    assert (code, "(0 of them drawn by this process)" in out) == (0, True)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--seed", "8"), "seed 7, and not 8"),
        (("--picture", "x.png"), "takes no --picture"),
        (("--tolerance", "0.01"), "takes no --tolerance"),
        (("--force",), "takes no --force"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_what_a_folder_does_not_take_is_refused(
    capsys: Capture, monkeypatch: Patch, folder: Path, options: tuple[str, ...], says: str
) -> None:
    code, _, err = in_process(capsys, monkeypatch, "sample", str(folder), *OPTIONS, *options)
    assert (code, says in err) == (2, True), err


def test_two_processes_of_torchrun_write_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    launch = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "0", "--rdzv-backend", "c10d")
    command = (sys.executable, *launch, "--rdzv-endpoint", "localhost:0", "-m", "symsi", "sample", f"{tmp_path}/two/")
    done = subprocess.run((*command, *OPTIONS), capture_output=True, text=True, env=ONE_THREAD, timeout=300)
    assert done.returncode == 0, done.stderr
    assert hashes(tmp_path / "two") == hashes(folder)


def test_sigterm_finishes_the_batch_and_exits_with_143(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "long"
    options = ("--model", "digits8", "--steps", "2", "--count", "100000", "--batch", "5", "--seed", "7")
    command = (sys.executable, "-m", "symsi", "sample", f"{place}/", *options)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=ONE_THREAD)
    until = time.monotonic() + 120
    while time.monotonic() < until and not list(place.glob("samples-*")):
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 143, err
    assert "stopped after" in err
    held = hashes(place)
    assert len(held) > 3
    assert not [name for name in held if name.startswith(".")]
    first = "samples-000000000000-000000000005.safetensors"
    assert held[first] == hashes(folder)[first]

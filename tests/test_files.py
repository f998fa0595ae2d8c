"""Writing: whole or not at all, and a full disk said in a line."""

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import symsi
from symsi.errors import SymsiError
from symsi.files import write_atomic, write_text
from symsi.plotting.pictures import plot_images
from symsi.sampling.files import write_samples


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)]
    try:
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("this user may mount nothing")
    except OSError:
        pytest.skip("there is no mount command")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=False)


def fill_picture(path: Path) -> None:
    plot_images([torch.rand(16, 1, 64, 64)], path)


def fill_samples(path: Path) -> None:
    found = symsi.sample(lambda x, t: x, shape=(1000, 100), steps=1, progress=False)
    write_samples(found, path)


def fill_graph(path: Path) -> None:
    write_text(path.with_name("rest"), "x" * 60_000)
    symsi.export("linear", path)


@pytest.mark.parametrize(
    ("name", "fill"),
    [
        ("a.png", fill_picture),
        ("a.pdf", fill_picture),
        ("a.npz", fill_samples),
        ("a.safetensors", fill_samples),
        ("a.pt2", fill_graph),
        ("a.json", fill_graph),
        ("a.txt", lambda path: write_text(path, "x" * 100_000)),
    ],
)
def test_a_full_disk_is_said_and_leaves_nothing(tiny: Path, name: str, fill: Callable[[Path], None]) -> None:
    with pytest.raises(SymsiError, match=rf"^cannot write .*{name}: no space left on device\.$"):
        fill(tiny / name)
    assert [path.name for path in tiny.iterdir()] in ([], ["rest"])


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_what_the_disk_refuses_is_said_and_leaves_nothing(tmp_path: Path, number: int) -> None:
    def write(temporary: Path) -> None:
        temporary.write_text("half")
        raise OSError(number, os.strerror(number))

    with pytest.raises(SymsiError, match=f"cannot write .*a.txt: {os.strerror(number).lower()}"):
        write_atomic(tmp_path / "a.txt", write)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_keeps_the_file_that_was_to_be_replaced(tiny: Path) -> None:
    write_text(tiny / "a.safetensors", "before")
    held = {"x": torch.zeros(100_000)}
    with pytest.raises(SymsiError, match="no space left"):
        write_atomic(tiny / "a.safetensors", lambda temporary: save_file(held, temporary), force=True)
    assert (tiny / "a.safetensors").read_text() == "before"


def test_an_error_of_another_kind_is_left_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no disk's fault"):
        write_atomic(tmp_path / "a.npz", lambda temporary: _raise(ValueError("no disk's fault")))
    with pytest.raises(FileNotFoundError):
        write_atomic(tmp_path / "a.npz", lambda temporary: np.save(tmp_path / "none" / "a.npy", np.zeros(3)))
    assert list(tmp_path.iterdir()) == []


def _raise(error: Exception) -> None:
    raise error

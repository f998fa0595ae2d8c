"""Writing: whole or not at all, and a full disk said in a line."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import symsi
from symsi.errors import SymsiError
from symsi.files import read_bytes, read_data, write_atomic, write_text
from symsi.models.reference import load as load_reference
from symsi.plotting.pictures import plot_images
from symsi.sampling.arrays import read_samples
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


def test_a_link_to_nowhere_is_there(tmp_path: Path) -> None:
    link = tmp_path / "a.txt"
    link.symlink_to(tmp_path / "nowhere")
    with pytest.raises(SymsiError, match=r"a\.txt exists; choose another name"):
        write_text(link, "new")
    assert link.is_symlink()
    write_text(link, "new", force=True)
    assert not link.is_symlink()
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("kind", ["pipe", "zeros", "folder", "none"])
@pytest.mark.parametrize(
    ("suffix", "read"),
    [
        (".json", symsi.read_json),
        (".json", symsi.load_plan),
        (".safetensors", symsi.models.load),
        (".safetensors", load_reference),
        (".npy", read_samples),
    ],
)
def test_what_is_no_regular_file_is_refused_at_once(
    tmp_path: Path, kind: str, suffix: str, read: Callable[[Path], object]
) -> None:
    """A pipe would wait for ever, and /dev/zero has no end, whatever it says of its size."""
    path = tmp_path / f"a{suffix}"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "zeros":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    words = {
        "pipe": "no regular file",
        "zeros": "no regular file",
        "folder": "directory",
        "none": "no such file|no plan",
    }
    with pytest.raises(SymsiError, match=f"(?i){words[kind]}"):
        read(path)


def test_a_file_is_read_to_its_end_whatever_it_says_of_its_size(tmp_path: Path) -> None:
    path, link = tmp_path / "a", tmp_path / "b"
    path.write_bytes(b"x" * 100)
    link.symlink_to(path)
    for most in (100, 101, 2**40):
        assert read_bytes(path, most, follow=False) == read_bytes(link, most) == b"x" * 100
    with pytest.raises(ValueError, match="larger than 99 bytes"):
        read_bytes(path, 99)
    with pytest.raises(ValueError, match="it is a link"):
        read_bytes(link, 100, follow=False)
    with pytest.raises(FileNotFoundError):
        read_bytes(tmp_path / "none", 100, follow=False)
    os.truncate(path, 2**40)
    with pytest.raises(ValueError, match="larger than 100 bytes"):
        read_bytes(path, 100)
    if Path("/proc/self/status").exists():  # it says that it holds nothing
        assert read_bytes("/proc/self/status", 10**6).startswith(b"Name:")
        with pytest.raises(ValueError, match="larger than 10 bytes"):
            read_bytes("/proc/self/status", 10)


def test_json_is_read_to_its_limit_and_no_further(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('"' + "a" * 98 + '"')
    assert read_data(path, 100) == "a" * 98
    with pytest.raises(ValueError, match="larger than 99 bytes"):
        read_data(path, 99)
    for text, words in (
        ("[" * 10**5, "nests too deeply"),
        ("[NaN]", "holds NaN"),
        ("[1,]", "line 1"),
        ("\0", "line 1"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=words):
            read_data(path)


def test_sigterm_ends_a_command_with_143_and_leaves_nothing(tmp_path: Path) -> None:
    """The command is met while it writes: its temporary file is there, and goes."""
    script = (
        "import sys, time, symsi.cli, symsi.sampling.files as files\n"
        "real = files.save_file\n"
        "def slow(*given, **more):\n"
        "    real(*given, **more); print('writing', flush=True); time.sleep(60)\n"
        "files.save_file = slow\n"
        "sys.argv = ['symsi', 'sample', 'a.safetensors', '--count', '1', '--steps', '1', '--model', 'digits8']\n"
        "symsi.cli.main()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    assert len(list(tmp_path.iterdir())) == 1
    process.terminate()
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err.splitlines()[-1]) == (143, "symsi: terminated")
    assert list(tmp_path.iterdir()) == []

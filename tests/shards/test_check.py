"""What a check of a folder finds, and what it never follows."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import symsi
from tests.shards.small import draw, hashes

NAMES = [f"samples-{k:012d}-{min(k + 5, 22):012d}.safetensors" for k in range(0, 22, 5)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    draw(tmp_path / "out")
    assert symsi.check_shards(tmp_path / "out").whole
    return tmp_path / "out"


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def swap(folder: Path) -> None:
    first, second = folder / NAMES[0], folder / NAMES[1]
    first.rename(folder / "x")
    second.rename(first)
    (folder / "x").rename(second)


def other_seed(folder: Path) -> None:
    draw(folder.parent / "other", seed=4)
    shutil.copy(folder.parent / "other" / NAMES[1], folder / NAMES[1])


def other_numbers(folder: Path) -> None:
    held = load_file(folder / NAMES[1])
    save_file({"samples": held["samples"] + 1}, folder / NAMES[1])


def into_a_link(folder: Path) -> None:
    (folder / NAMES[1]).rename(folder.parent / "elsewhere")
    (folder / NAMES[1]).symlink_to(folder.parent / "elsewhere")


def into_a_pipe(folder: Path) -> None:
    (folder / NAMES[1]).unlink()
    os.mkfifo(folder / NAMES[1])


@pytest.mark.parametrize(
    ("damage", "shards", "says"),
    [
        (lambda folder: flip(folder / NAMES[1], -1), [1], "their hash is another"),
        (lambda folder: flip(folder / NAMES[1], -40), [1], "their hash is another"),
        (lambda folder: flip(folder / NAMES[1], 30), [1], "is damaged"),
        (lambda folder: flip(folder / NAMES[1], 0), [1], "is damaged"),
        (lambda folder: (folder / NAMES[4]).write_bytes(b""), [4], "0 bytes"),
        (lambda folder: (folder / NAMES[4]).write_bytes((folder / NAMES[4]).read_bytes()[:-1]), [4], "is damaged"),
        (lambda folder: os.truncate(folder / NAMES[1], 2**40), [1], "it is larger than 4136 bytes"),
        (swap, [0, 1], "it holds other samples than its name"),
        (other_seed, [1], "it holds other samples than its name and the manifest say"),
        (other_numbers, [1], "is damaged"),
        (into_a_link, [1], "it is a link"),
        (into_a_pipe, [1], "it is no regular file"),
    ],
    ids=[
        "last bit",
        "a bit",
        "header",
        "length",
        "empty",
        "cut",
        "huge",
        "swapped",
        "other seed",
        "other numbers",
        "link",
        "pipe",
    ],
)
def test_damage_is_found_and_repaired(folder: Path, damage: Any, shards: list[int], says: str) -> None:
    before = hashes(folder)
    damage(folder)
    found = symsi.check_shards(folder)
    assert [span.start // 5 for span in found.damaged] == shards
    assert all(says in reason for reason in found.damaged.values()), found.damaged
    assert (found.missing, found.whole) == ((), False)
    with pytest.raises(symsi.SymsiError, match=says):
        list(symsi.read_samples(folder))
    assert draw(folder, again=tuple(found.damaged)).drawn == sum(map(len, found.damaged))
    assert symsi.check_shards(folder).whole
    assert hashes(folder) == before


def test_what_is_missing_and_foreign_is_named(folder: Path) -> None:
    (folder / NAMES[2]).unlink()
    (folder / "notes.txt").write_text("mine")
    found = symsi.check_shards(folder)
    assert (found.missing, found.foreign, dict(found.damaged)) == ((range(10, 15),), ("notes.txt",), {})
    with pytest.raises(symsi.SymsiError, match=NAMES[2]):
        list(symsi.read_samples(folder))
    draw(folder)
    assert symsi.check_shards(folder).whole
    assert (folder / "notes.txt").read_text() == "mine"


def test_a_shard_that_comes_out_otherwise_is_not_taken_for_the_lost_one(folder: Path) -> None:
    (folder / NAMES[2]).unlink()
    flip(folder / "SHA256SUMS", 3)
    with pytest.raises(symsi.SymsiError, match=r"SHA256SUMS has other sums, of manifest.json"):
        draw(folder)
    (folder / "SHA256SUMS").unlink()
    assert draw(folder).missing == 0
    assert symsi.check_shards(folder).whole


def test_a_damaged_shard_is_not_sealed(folder: Path) -> None:
    flip(folder / NAMES[1], -1)
    (folder / "SHA256SUMS").unlink()
    with pytest.raises(symsi.SymsiError, match=r"is damaged.*check .* --repair"):
        draw(folder)
    assert not (folder / "SHA256SUMS").exists()


@pytest.mark.parametrize(
    ("name", "says"), [("plan.json", "is no plan|another"), ("SHA256SUMS", "was changed|another manifest")]
)
def test_other_files_that_were_changed_are_named(folder: Path, name: str, says: str) -> None:
    before = hashes(folder)
    (folder / name).write_text("x" + (folder / name).read_text())
    found = symsi.check_shards(folder)
    assert list(found.others) == [name]
    assert not found.whole
    (folder / "SHA256SUMS").unlink()
    draw(folder)
    assert hashes(folder) == before


def test_changed_conditions_are_refused(folder: Path) -> None:
    save_file({"label": torch.tensor([2, 1, 0])}, folder / "conditions.safetensors")
    with pytest.raises(symsi.SymsiError, match=r"conditions.safetensors was changed"):
        symsi.check_shards(folder)


def test_sums_name_no_file_outside(folder: Path) -> None:
    with (folder / "SHA256SUMS").open("a") as file:
        file.write(f"{'0' * 64}  ../../etc/passwd\n")
    assert "was changed" in symsi.check_shards(folder).others["SHA256SUMS"]


@pytest.mark.parametrize(
    "change",
    [
        {"count": 10**15},
        {"count": -1},
        {"count": True},
        {"batch": 0},
        {"batch": 10**18},
        {"shape": []},
        {"shape": [2, "x"]},
        {"shape": "22"},
        {"shape": [10**30]},
        {"dtype": "int8"},
        {"dtype": ["float32"]},
        {"guidance": "1"},
        {"guidance": 10**400},
        {"conditions": []},
        {"model": 3},
        {"version": 2},
        {"format": "other"},
        {"more": 1},
    ],
    ids=lambda change: str(change)[:24],
)
def test_a_manifest_that_no_run_wrote_is_refused(folder: Path, change: dict[str, Any]) -> None:
    said = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(said | change))
    for read in (symsi.check_shards, symsi.read_samples, draw):
        with pytest.raises(symsi.SymsiError):
            read(folder)


@pytest.mark.parametrize("text", ["", "[" * 100000, "{", "null", "\xff", '{"format": "symsi-samples", "version": 1}'])
def test_a_manifest_that_is_none_is_refused(folder: Path, text: str) -> None:
    (folder / "manifest.json").write_text(text)
    with pytest.raises(symsi.SymsiError, match=r"manifest.json"):
        symsi.check_shards(folder)


def test_a_folder_without_samples_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(symsi.SymsiError, match="holds no samples"):
            symsi.read_samples(path)

"""What is kept on disk: the same answer, or none; bounded, and nothing of other people's."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import symsi
from symsi import SymsiError
from symsi.coefficients import cache

ANSWER = [0.1, -0.0, 5e-324, 1.7976931348623157e308]


class Asked:
    """A computation that counts how often it was made."""

    def __init__(self, answer: Any = None) -> None:
        self.answer, self.times = ANSWER if answer is None else answer, 0

    def __call__(self, question: Any = ("one", 1)) -> Any:
        return cache.kept(question, self._make, list, _numbers)

    def _make(self) -> Any:
        self.times += 1
        return self.answer


def _numbers(data: Any) -> Any:
    if not isinstance(data, list):
        raise SymsiError("no list")
    return data


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("SYMSI_CACHE", str(tmp_path / "kept"))
    monkeypatch.setattr(cache, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(cache, "_code", lambda: "this code")
    return tmp_path / "kept"


def only(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def test_an_answer_is_read_back_exactly_and_belongs_to_who_asked(folder: Path) -> None:
    asked = Asked()
    first, second, third = asked(), asked(), asked()
    assert asked.times == 1
    assert [v.hex() for v in second] == [v.hex() for v in first]
    second.clear()
    assert third == ANSWER == asked()
    assert only(folder).stat().st_mode & 0o077 == 0o044
    assert folder.stat().st_mode & 0o077 == 0


def test_without_a_hash_of_the_code_there_is_no_cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_code", lambda: None)
    asked = Asked()
    assert asked() == asked() == ANSWER
    assert asked.times == 2
    assert not folder.exists()


def test_other_questions_and_other_code_have_other_answers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked()
    asked()
    asked(("one", 2))
    monkeypatch.setattr(cache, "_code", lambda: "another")
    asked()
    assert asked.times == len(list(folder.iterdir())) == 3


def test_the_code_is_that_of_all_files_and_of_the_libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "symsi" / "coefficients").mkdir(parents=True)
    source = tmp_path / "symsi" / "coefficients" / "cache.py"
    source.write_text("a = 1\n")
    monkeypatch.setattr(cache, "__file__", str(source))
    assert cache._code.__wrapped__() is None  # changed since symsi was loaded
    monkeypatch.setattr(symsi, "__loaded__", float("inf"))
    found = [cache._code.__wrapped__()]
    source.write_text("a = 2\n")
    found.append(cache._code.__wrapped__())
    (tmp_path / "symsi" / "other.py").touch()
    found.append(cache._code.__wrapped__())
    monkeypatch.setattr(cache.sympy, "__version__", "0")
    found.append(cache._code.__wrapped__())
    monkeypatch.setattr(cache.mpmath, "__version__", "0")
    found.append(cache._code.__wrapped__())
    assert len(set(found)) == 5
    source.unlink()
    source.mkdir()
    assert cache._code.__wrapped__() is None
    source.rmdir()
    (tmp_path / "symsi" / "other.py").unlink()
    assert cache._code.__wrapped__() is None


def change(**new: Any) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        path.write_text(json.dumps({**json.loads(path.read_text()), **new}))

    return damage


def to_a_device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_text(path.read_text()[:-9]),
        lambda path: path.write_bytes(b"\xff\xfe"),
        lambda path: path.write_text("[" * 100_000),
        lambda path: path.write_text("[]"),
        lambda path: path.write_text(path.read_text() + " " * cache._LARGEST),
        lambda path: path.write_text(path.read_text().replace("-0.0", "NaN")),
        change(answer=[1.0]),
        change(answer="text", hash=cache._digest("text")),
        change(asked={"question": ["two", 1], "code": ""}),
        change(format="another"),
        change(more=1),
        to_a_device,
    ],
    ids=["cut", "bytes", "deep", "list", "long", "nan", "changed", "kind", "asked", "format", "more", "device"],
)
def test_what_is_damaged_is_computed_and_written_anew(folder: Path, damage: Callable[[Path], None]) -> None:
    asked = Asked()
    asked()
    path = only(folder)
    whole = path.read_text()
    damage(path)
    assert asked() == ANSWER
    assert asked.times == 2
    assert path.read_text() == whole
    assert asked() == ANSWER
    assert asked.times == 2


def test_what_fails_or_is_cheap_or_has_no_json_is_not_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> Any:
        raise SymsiError("no")

    with pytest.raises(SymsiError, match="no"):
        cache.kept("fails", fails, list, list)
    endless = Asked([float("inf")])
    assert endless() == endless() == [float("inf")]
    large = Asked(["x" * cache._LARGEST])
    assert large("large") == large("large")
    monkeypatch.setattr(cache, "LEAST_SECONDS", 1e9)
    cheap = Asked()
    assert cheap() == cheap()
    assert endless.times == large.times == cheap.times == 2
    assert not list(folder.glob("*"))


@pytest.mark.parametrize("where", ["off", "{file}/below", "{file}"])
def test_where_no_folder_can_be_there_is_no_cache(where: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = folder.parent / "file"
    file.write_text("mine")
    monkeypatch.setenv("SYMSI_CACHE", where.format(file=file))
    asked = Asked()
    assert asked() == asked() == ANSWER
    assert asked.times == 2
    assert [path.name for path in folder.parent.iterdir()] == ["file"]
    assert cache.held(file) == cache.clear(file) == cache.Held(0, 0)
    assert file.read_text() == "mine"


def test_the_folder_is_the_users_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("SYMSI_CACHE")
    assert cache.place() == tmp_path / ".cache" / "symsi"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache.place() == tmp_path / ".cache" / "symsi"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert cache.place() == tmp_path / "caches" / "symsi"
    monkeypatch.setenv("SYMSI_CACHE", "off")
    assert cache.place() is None


@pytest.mark.parametrize("bound", ["MOST_FILES", "MOST_BYTES"])
def test_what_was_not_used_for_longest_goes_first(bound: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked()
    for k in range(4):
        asked(("number", k))
        newest = max(folder.iterdir(), key=lambda path: path.stat().st_ctime_ns)
        os.utime(newest, (k, k))
    (size,) = {path.stat().st_size for path in folder.iterdir()}
    asked(("number", 0))  # is used again
    monkeypatch.setattr(cache, bound, 4 if bound == "MOST_FILES" else 4 * size)
    asked(("number", 4))
    before = asked.times
    for k in (0, 3, 4):
        asked(("number", k))
    assert asked.times == before
    assert len(list(folder.iterdir())) == 3


def test_clearing_leaves_what_is_not_ours(folder: Path) -> None:
    asked = Asked()
    asked()
    path = only(folder)
    half = folder / f".{path.stem}-abc_1.json"
    half.write_text("{")
    (folder / "notes.json").write_text("mine")
    link = folder / f"{'0' * 64}.json"
    link.symlink_to(folder / "notes.json")
    assert cache.held(folder) == cache.Held(2, path.stat().st_size + 1)
    assert cache.clear(folder).files == 2
    assert sorted(p.name for p in folder.iterdir()) == sorted([link.name, "notes.json"])
    assert cache.held(folder / "nowhere") == cache.Held(0, 0)

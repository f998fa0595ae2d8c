"""What took long to derive, kept on disk for the next process: one JSON file an answer, named by what was asked.

The name is a hash of the question, of symsi's source and of the versions of SymPy and mpmath, so that other code asks
other questions. A file that is damaged, changed or of another question is no answer: it is computed and written anew.
`SYMSI_CACHE` names the folder, or is "off"; without it, it is `symsi` in the user's own folder of caches.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import mpmath
import sympy

from symsi.errors import SymsiError
from symsi.files import read_data, write_text

__all__ = ["Held", "clear", "held", "kept", "place"]

MOST_BYTES, MOST_FILES = 64 * 2**20, 4096  # of all answers together; those that were not used for longest go first
LEAST_SECONDS = 0.05  # of CPU time: what takes less is not worth a file
_LARGEST = 4 * 2**20  # bytes of one answer
_FORMAT, _OURS = "symsi-cache", re.compile(r"[0-9a-f]{64}\.json|\.[0-9a-f]{64}-\w+\.json")  # whole; half written
T = TypeVar("T")


@dataclass(frozen=True)
class Held:
    """How many files of ours a folder holds, and their bytes."""

    files: int
    size: int


def kept(question: Any, make: Callable[[], T], write: Callable[[T], Any], read: Callable[[Any], T]) -> T:
    """Return what `make` gives, from the disk where it was kept.

    `question` is JSON data that says all that `make` depends on; `write` turns an answer into JSON data, and `read`
    takes them back or raises SymsiError for what is no answer. Where the folder cannot be used, there is no cache; what
    `make` raises is not kept.
    """
    folder, code = place(), _code()
    if folder is None or code is None:
        return make()
    asked = json.loads(json.dumps({"question": question, "code": code}))  # as it is read back
    path = folder / f"{_digest(asked)}.json"
    with suppress(OSError, ValueError, SymsiError):
        answer = read(_answer(path, asked))
        os.utime(path)
        return answer
    started = time.thread_time()
    made = make()
    if time.thread_time() - started >= LEAST_SECONDS:
        with suppress(OSError, ValueError, SymsiError):
            _keep(path, asked, write(made))
    return made


def place() -> Path | None:
    """Return the folder of the cache, which need not be there; None where there is to be none."""
    said = os.environ.get("SYMSI_CACHE", "")
    if said:
        return None if said == "off" else Path(said)
    base = os.environ.get("XDG_CACHE_HOME", "")
    try:
        return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "symsi"
    except RuntimeError:  # the user has no home
        return None


def held(folder: Path) -> Held:
    """Return what a folder holds of ours."""
    found = _files(folder)
    return Held(len(found), sum(size for _, size, _ in found))


def clear(folder: Path) -> Held:
    """Remove our files from a folder and nothing else; return what it held. Raises SymsiError where one stays."""
    found = _files(folder)
    for _, _, path in found:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise SymsiError(f"cannot remove {path}: {error.strerror}.") from None
    return Held(len(found), sum(size for _, size, _ in found))


def _answer(path: Path, asked: dict[str, Any]) -> Any:
    """The answer in a file. Raises ValueError or OSError where it holds none to what is asked."""
    data = read_data(path, _LARGEST)
    whole = isinstance(data, dict) and data.keys() == {"format", "asked", "answer", "hash"}
    if not whole or data["format"] != _FORMAT or data["asked"] != asked or data["hash"] != _digest(data["answer"]):
        raise ValueError("it holds another answer")
    return data["answer"]


def _keep(path: Path, asked: dict[str, Any], answer: Any) -> None:
    data = {"format": _FORMAT, "asked": asked, "answer": answer, "hash": _digest(answer)}
    text = json.dumps(data, allow_nan=False)
    if len(text) <= _LARGEST:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_text(path, text, force=True)
        _make_room(path.parent)


def _make_room(folder: Path) -> None:
    """Remove what was not used for longest, where a folder holds too much, to three quarters of it."""
    found = sorted(_files(folder))
    count, size = len(found), sum(size for _, size, _ in found)
    if count <= MOST_FILES and size <= MOST_BYTES:
        return
    for _, own, path in found:
        if 4 * count <= 3 * MOST_FILES and 4 * size <= 3 * MOST_BYTES:
            return
        path.unlink(missing_ok=True)
        count, size = count - 1, size - own


def _files(folder: Path) -> list[tuple[float, int, Path]]:
    """When each of our files was used last, its bytes, and where it is."""
    found = []
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _OURS.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                about = entry.stat()
                found.append((about.st_mtime, about.st_size, Path(entry.path)))
    return found


def _digest(data: Any) -> str:
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


@lru_cache(maxsize=1)
def _code() -> str | None:
    """A hash of symsi's source and of the libraries that derive with it.

    None where the source cannot be read, or may be another than what this process runs: changed since symsi was loaded.
    """
    root, loaded = Path(__file__).parents[1], float(import_module("symsi").__loaded__)
    whole = hashlib.sha256(f"sympy {sympy.__version__}, mpmath {mpmath.__version__}".encode())
    try:
        paths = sorted(root.rglob("*.py"))
        if not paths:
            return None
        for path in paths:
            content, about = path.read_bytes(), path.stat()
            if max(about.st_mtime, about.st_ctime) > loaded:
                return None
            whole.update(f"\n{path.relative_to(root).as_posix()} {len(content)}\n".encode())
            whole.update(content)
    except OSError:
        return None
    return whole.hexdigest()

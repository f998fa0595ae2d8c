"""Atomic writes: a file is there whole or not at all, and is never overwritten unasked."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable
from json import JSONDecodeError
from pathlib import Path

from symsi.errors import SymsiError

__all__ = ["check_free", "disk_trouble", "trouble", "write_atomic", "write_text"]

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)  # a file that was fine when writing began


def check_free(path: Path, *, force: bool = False) -> None:
    """Raise SymsiError where a file cannot be put at `path`; for use before long work."""
    try:
        folder, there = path.is_dir(), path.exists()
    except OSError as error:
        raise SymsiError(f"cannot write to {str(path)[:80]!r}: {error.strerror}.") from None
    if "\0" in str(path):
        raise SymsiError(f"cannot write to {str(path)[:80]!r}: a file name holds no zero byte.")
    if folder:
        raise SymsiError(f"{path} is a folder; name a file in it.")
    if there and not force:
        raise SymsiError(f"{path} exists; choose another name, or pass force=True (--force) to replace it.")
    if not path.parent.is_dir():
        raise SymsiError(f"cannot write to {path.parent}: there is no such folder.")
    if not os.access(path.parent, os.W_OK):
        raise SymsiError(f"cannot write to {path.parent}: permission denied.")


def write_atomic(path: Path, write: Callable[[Path], None], *, force: bool = False, sync: bool = False) -> Path:
    """Let `write` fill a temporary file beside `path`, then move it there; with `sync` it outlives a loss of power.

    Raises SymsiError if `path` exists and not `force`, if its folder cannot be written, or if the disk is full or fails
    meanwhile; the temporary file is removed.
    """
    check_free(path, force=force)
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    except OSError as error:
        raise SymsiError(f"cannot write to {path.parent or '.'}: {error.strerror}.") from None
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        os.chmod(temporary, 0o666 & ~_umask())
        if sync:
            _sync(temporary)
        os.replace(temporary, path)
        if sync:
            _sync(path.parent)
    except Exception as error:
        trouble = disk_trouble(error)
        if not trouble:
            raise
        raise SymsiError(f"cannot write {path}: {trouble}.") from None
    finally:
        temporary.unlink(missing_ok=True)
    return path


def disk_trouble(error: BaseException) -> str:
    """Say what the disk has against writing, in the system's words; "" for an error of another kind.

    safetensors reports a full disk in the text of an error of its own.
    """
    number = error.errno if isinstance(error, OSError) else None
    if number is None and os.strerror(errno.ENOSPC) in str(error):
        number = errno.ENOSPC
    return os.strerror(number).lower() if number in _DISK else ""


def trouble(error: BaseException) -> str:
    """Say why a file could not be read, in words for a reader: not as Python shows an error."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    if isinstance(error, JSONDecodeError):
        return f"it is not JSON at line {error.lineno}, column {error.colno}"
    if isinstance(error, UnicodeDecodeError):
        return "it is not text"
    if isinstance(error, KeyError):
        return f"it has no {error.args[0]}" if error.args else "something is missing"
    return str(error).strip().rstrip(".")


def write_text(path: Path, text: str, *, force: bool = False) -> Path:
    """Write text atomically; see `write_atomic`."""
    return write_atomic(path, lambda temporary: _fill(temporary, text), force=force)


def _fill(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _sync(path: Path) -> None:
    """Wait until the disk has a file, or the names in a folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current

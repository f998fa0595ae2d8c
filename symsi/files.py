"""Files: written whole or not at all, never over another unasked; read where they are regular and not too large."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Callable
from json import JSONDecodeError
from pathlib import Path
from stat import S_ISREG
from typing import Any, BinaryIO

from symsi.errors import SymsiError

__all__ = [
    "check_free",
    "check_regular",
    "disk_trouble",
    "opened",
    "read_bytes",
    "read_data",
    "read_text",
    "trouble",
    "write_atomic",
    "write_text",
]

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)  # a file that was fine when writing began


def check_free(path: Path, *, force: bool = False) -> None:
    """Raise SymsiError where a file cannot be put at `path`; for use before long work."""
    try:
        folder, there = path.is_dir(), os.path.lexists(path)  # a link to nowhere is there, too
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
    meanwhile; the temporary file is removed then, and on Ctrl-C. SIGTERM ends Python without that: a program that is to
    leave nothing turns it into an exception, as the command line does.
    """
    check_free(path, force=force)
    temporary = Path()
    try:
        temporary = _temporary(path)
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
        if temporary.name:
            temporary.unlink(missing_ok=True)
    return path


def check_regular(path: str | Path) -> None:
    """Raise OSError where nothing can be read at `path`, ValueError for what is no regular file, such as a pipe."""
    with opened(path):
        pass


def read_bytes(path: str | Path, most: int, *, follow: bool = True) -> bytes:
    """Return what is in a regular file of at most `most` bytes.

    Raises OSError where it cannot be read, and ValueError where it is larger, no regular file (a folder, a pipe, a
    device), or, unless `follow`, a link. What says that it is larger is not read; that it is smaller is not relied on.
    """
    with opened(path, follow=follow) as file:
        size = os.fstat(file.fileno()).st_size
        held = b"" if size > most else file.read(size + 1)
        if len(held) > size:  # as those of /proc, which say 0
            held += file.read(most + 1 - len(held))
    if max(size, len(held)) > most:
        raise ValueError(f"it is larger than {most} bytes, the most that is read here")
    return held


def read_text(path: str | Path, most: int) -> str:
    """Return the text of a regular file of at most `most` bytes.

    Raises as `read_bytes`, and ValueError for what is not UTF-8.
    """
    return read_bytes(path, most).decode("utf-8")


def opened(path: str | Path, *, follow: bool = True) -> BinaryIO:
    """Open a regular file for reading, without waiting for who writes into a pipe; raises as `read_bytes`."""
    flags = getattr(os, "O_NONBLOCK", 0) | (0 if follow else os.O_NOFOLLOW)
    try:
        file = open(path, "rb", opener=lambda name, own: os.open(name, own | flags))  # noqa: SIM115
    except OSError as error:
        if not follow and error.errno == errno.ELOOP:
            raise ValueError("it is a link") from None
        raise
    if not S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise ValueError("it is no regular file")
    return file


def read_data(path: str | Path, most: int = 2**26) -> Any:
    """Return the JSON data in a file, with its errors: those of `read_text`, and ValueError for what is no JSON.

    nan and infinities, which JSON does not have, are refused, and so is what nests too deeply to be read.
    """
    try:
        return json.loads(read_text(path, most), parse_constant=_refuse)
    except RecursionError:
        raise ValueError("it nests too deeply") from None


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
    return str(error).strip().rstrip(".")[:200]


def write_text(path: Path, text: str, *, force: bool = False) -> Path:
    """Write text atomically; see `write_atomic`."""
    return write_atomic(path, lambda temporary: _fill(temporary, text), force=force)


def _temporary(path: Path) -> Path:
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    except OSError as error:
        raise SymsiError(f"cannot write to {path.parent or '.'}: {error.strerror}.") from None
    os.close(handle)
    return Path(name)


def _fill(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _refuse(name: str) -> float:
    raise ValueError(f"it holds {name}")


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

"""One run a folder: the system's own lock, which ends with the processes that hold it, however they end."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from symsi.errors import SymsiError
from symsi.files import trouble

__all__ = ["LOCK", "Lock", "locked"]

LOCK = ".lock"
_BYTES = 4096  # that are read of it


class Lock:
    """A lock on a folder that is held, alone or with the other ranks of the run."""

    def __init__(self, handle: int, folder: Path) -> None:
        self._handle, self._folder, self._signed = handle, folder, False

    def alone(self) -> None:
        """Take the folder for a new run. Raises SymsiError, with host, pid and time, where another run has it."""
        self._take(fcntl.LOCK_EX)
        os.ftruncate(self._handle, 0)
        self._sign()

    def share(self) -> None:
        """Let the other ranks of the run in, or come in as one. Raises SymsiError where another run has the folder."""
        self._take(fcntl.LOCK_SH)
        self._sign()

    def _take(self, kind: int) -> None:
        try:
            fcntl.flock(self._handle, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            os.lseek(self._handle, 0, os.SEEK_SET)
            owners = os.read(self._handle, _BYTES).decode("utf-8", "replace").split("\n")
            raise SymsiError(
                f"another run works in {self._folder}: {owners[0] or 'one that has just begun'}. Wait for it, or end "
                "it; then give the same command to go on where it stopped."
            ) from None
        except OSError as error:
            raise SymsiError(
                f"cannot lock {self._folder}: {trouble(error)}. Take a folder on a disk whose system knows locks."
            ) from None

    def _sign(self) -> None:
        """Add who holds it, a line a process."""
        if self._signed:
            return
        self._signed = True
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        os.lseek(self._handle, 0, os.SEEK_END)
        os.write(self._handle, f"process {os.getpid()} on {socket.gethostname()}, since {now}\n".encode())


@contextmanager
def locked(folder: Path) -> Iterator[Lock]:
    """Open the lock of a folder, `.lock` in it, which stays there; no process holds it after the context.

    Its owner cannot be stale: the system drops the lock of a process that dies, so that neither the number of a process
    that runs now nor a clock is asked. On a network's disk, where the system passes locks on, that holds for other
    hosts too. Raises SymsiError where the file cannot be opened.
    """
    try:
        handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise SymsiError(f"cannot write to {folder}: {trouble(error)}.") from None
    try:
        yield Lock(handle, folder)
    finally:
        os.close(handle)

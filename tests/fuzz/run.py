"""Give a reader many cases, and count: refused by a SymsiError, accepted and right, or neither, which is a fault."""

from __future__ import annotations

import signal
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from symsi.errors import SymsiError
from tests.fuzz.readers import READERS

SLOWEST = 2.0  # seconds of the process
MEMORY = 128 * 2**20  # bytes, and as many times the case's own
PER_BYTE = 64


class HangError(BaseException):
    """A case that does not end."""


@dataclass
class Count:
    """What came of the cases of a reader."""

    cases: int = 0
    refused: int = 0
    accepted: int = 0
    slowest: float = 0.0
    most: int = 0
    faults: list[str] = field(default_factory=list)


def fuzz(name: str, cases: int, start: int = 0, slowest: float = SLOWEST) -> Count:
    """Give the reader of that name so many cases, the same for the same `start`; one that takes longer is a fault."""
    found, reader = Count(), READERS[name]

    @seed(start)
    @settings(
        max_examples=cases,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(reader.cases())
    def one(case: Any) -> None:
        _count(found, reader, case, slowest)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the text of a case is long
        one()
    return found


def _count(found: Count, reader: Any, case: Any, slowest: float) -> None:
    found.cases += 1
    before, started = _peak(reset=True), time.process_time()
    fault = ""
    try:
        with _ends(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reader(case)
        found.accepted += 1
    except SymsiError as error:
        found.refused += 1
        fault = "" if str(error).strip() and len(str(error)) < 6000 else f"it says {str(error)[:80]!r}"
    except (Exception, HangError) as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        fault = f"{type(error).__name__}: {str(error)[:120]} ({Path(frame.filename).name}:{frame.lineno})"
    took, grown = time.process_time() - started, _peak(reset=False) - before
    found.slowest, found.most = max(found.slowest, took), max(found.most, grown)
    if not fault and took > slowest:
        fault = f"it took {took:.1f} s"
    if not fault and grown > MEMORY + PER_BYTE * len(case):
        fault = f"it took {grown / 2**20:.0f} MiB"
    if fault:
        found.faults.append(f"{fault} for {case!r:.300}")


@contextmanager
def _ends() -> Iterator[None]:
    """Raise HangError after 10 seconds of the process, where signals may be used."""

    def hang(number: int, frame: FrameType | None) -> None:
        raise HangError("no end after 10 s")

    before = signal.signal(signal.SIGVTALRM, hang)
    signal.setitimer(signal.ITIMER_VIRTUAL, 10)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _peak(*, reset: bool) -> int:
    """The most memory that was resident since the last reset, in bytes; 0 where the system does not say."""
    if reset:
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
    with suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("VmHWM:")).split()[1])
    return 0

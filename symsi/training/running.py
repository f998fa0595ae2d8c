"""What runs that train have in common: where weights go, the log beside them, and when to stop."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from symsi.errors import SymsiError
from symsi.files import check_free, write_text
from symsi.processes.ranks import Ranks

__all__ = ["check_weights", "reporter", "until"]


def check_weights(output: Path, *, force: bool) -> None:
    """Raise SymsiError unless weights can be put at `output`."""
    if output.suffix != ".safetensors":
        raise SymsiError(f"weights are a .safetensors file; got {output.name!r}.")
    check_free(output, force=force)


def reporter(output: Path, say: Callable[[str], object], ranks: Ranks, *, force: bool) -> Callable[[str], None]:
    """Return what says a line and adds it to OUTPUT.log, a new file unless OUTPUT.checkpoint goes on; as rank 0."""
    if ranks.rank:
        return lambda line: None
    log = output.with_suffix(".log")
    if not output.with_suffix(".checkpoint").exists():
        write_text(log, "", force=force)

    def report(line: str) -> None:
        with log.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
        say(line)

    return report


def until(minutes: float | None) -> Callable[[], bool]:
    """Return what says whether so many minutes have passed since; never for None."""
    started = time.monotonic()
    return lambda: minutes is not None and time.monotonic() - started > 60 * minutes

"""The bar of a call, on standard error, and what counts in its stead where none is to be seen."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm

__all__ = ["Hidden", "bar"]


class Hidden:
    """A bar that is not shown, and costs nothing."""

    def __init__(self, total: int) -> None:
        self.total = total

    def __enter__(self) -> Hidden:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def update(self) -> None:
        """Count nothing."""


def bar(name: str, total: int, progress: bool | None) -> Any:
    """Return a bar of evaluations to enter, `update` and correct the `total` of; for None where a terminal shows it."""
    shown = sys.stderr is not None and sys.stderr.isatty() if progress is None else progress
    return tqdm(desc=name, total=total, unit="eval") if shown else Hidden(total)

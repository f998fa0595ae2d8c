"""Derivations without passes of Python's collector of cycles: a fifth or more of what a short one takes.

SymPy keeps what a derivation makes, hundreds of thousands of objects that are no garbage. For their sake a pass would
walk through all that torch and SymPy have loaded.
"""

from __future__ import annotations

import gc
from contextlib import ContextDecorator
from threading import Lock

__all__ = ["uncollected"]


class _Waiting(ContextDecorator):
    """Keeps the collector waiting while any thread is inside, and leaves it as the first of them found it."""

    def __init__(self) -> None:
        self._lock, self._inside, self._collecting = Lock(), 0, False

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._collecting = gc.isenabled()
                gc.disable()
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside and self._collecting:
                gc.enable()


uncollected = _Waiting()  # a `with` block, or the decorator of a function

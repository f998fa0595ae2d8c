"""Derivations without passes of Python's collector of cycles: a fifth or more of what a short one takes.

SymPy keeps what a derivation makes, hundreds of thousands of objects that are no garbage. For their sake a pass would
walk through all that torch and SymPy have loaded.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["uncollected"]


@contextmanager
def uncollected() -> Iterator[None]:
    """Keep the collector waiting, in a `with` block or, as a decorator, during each call of a function."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()

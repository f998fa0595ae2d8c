"""Proving with a bar, in as many processes as there are processors."""

from __future__ import annotations

import os
from collections.abc import Sequence

from tqdm import tqdm

from symsi.algebra.proof import Proof
from symsi.proofs import THEOREMS, prove_all

__all__ = ["proved"]

_WORTH = 3  # theorems that a process of its own is worth


def proved(names: Sequence[str] = tuple(THEOREMS)) -> list[Proof]:
    """Return the proofs of theorems, by name, in order."""
    workers = max(1, min(os.cpu_count() or 1, len(names) // _WORTH))
    found = prove_all(tuple(names), workers=workers)
    return list(tqdm(found, total=len(names), desc="proving", unit="theorem", disable=None, leave=False))

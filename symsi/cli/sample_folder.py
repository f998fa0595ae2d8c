"""`symsi sample FOLDER/`: many samples, by one process or all that torchrun started."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import click
import torch

from symsi.models.flow_map import FlowMap
from symsi.models.protocol import Model
from symsi.shards.draw import Drawn, sample_shards
from symsi.solvers.plan import Plan

__all__ = ["draw_folder", "is_folder"]

_STOPPED = 128 + signal.SIGTERM


def is_folder(output: str) -> bool:
    """Whether OUTPUT names a folder: it ends in a slash, or is one."""
    return output.endswith(("/", os.sep)) or Path(output).is_dir()


def draw_folder(
    folder: Path,
    network: Model | FlowMap,
    plan: Plan,
    *,
    count: int,
    batch: int,
    seed: int,
    guidance: float,
    conditions: Mapping[str, Any],
    device: str,
    dtype: torch.dtype,
    again: Collection[range] = (),
) -> None:
    """Draw what is missing in a folder, say what was done, and exit with 1 where something is missing at the end.

    SIGTERM lets the batch in work be finished and written; then the exit code is 143.
    """
    with _asked_to_stop() as stop:
        found = sample_shards(
            folder,
            network,
            count=count,
            batch=batch,
            plan=plan,
            seed=seed,
            guidance=guidance,
            conditions=conditions,
            device=device,
            dtype=dtype,
            stop=stop,
            again=again,
        )
    for span, reason in found.failures.items():
        click.echo(f"symsi: samples {span.start} to {span.stop - 1} failed: {reason}", err=True)
    for rank in found.silent:
        click.echo(f"symsi: rank {rank} gave no sign of life and was given up.", err=True)
    if found.stopped:
        click.echo(f"symsi: stopped after {found.drawn} samples; the same command goes on.", err=True)
        sys.exit(_STOPPED)
    if found.missing:
        click.echo(f"symsi: {found.missing} of {count} samples are missing; the same command draws them.", err=True)
    if found.missing or found.failures:
        sys.exit(1)
    if int(os.environ.get("RANK", "0")) == 0:
        click.echo(_words(found, count))


def _words(found: Drawn, count: int) -> str:
    each = f"{count} samples at {found.nfe} evaluation{'s' * (found.nfe > 1)} each: {found.folder}/"
    return each if found.drawn == count else f"{each} ({found.drawn} of them drawn by this process)"


@contextmanager
def _asked_to_stop() -> Iterator[Callable[[], bool]]:
    """Give what says whether SIGTERM was received; a second one ends the process at once."""
    asked = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        asked.set()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    before = signal.signal(signal.SIGTERM, handle)
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGTERM, before)

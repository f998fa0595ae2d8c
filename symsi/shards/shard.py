"""A shard: the samples of a range of indices in one safetensors file, which says what it holds and their SHA-256."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from symsi.errors import SymsiError
from symsi.files import opened, read_bytes, trouble, write_atomic
from symsi.shards.manifest import FORMAT, VERSION, Manifest

__all__ = ["Shard", "bytes_in", "is_there", "numbers_in", "path_of", "read_shard", "shard_bytes", "write_shard"]

_HEADER = 4096  # bytes of a file, beside its numbers, at most
_ABOUT = "about"  # the only key of the metadata: with more, their order would not be the same in each process


@dataclass(frozen=True)
class Shard:
    """Samples x (n, *shape) of the indices first..first + n - 1, and the rows of the conditions they were drawn with.

    Sample i was told row i mod M of a condition of M rows.
    """

    first: int
    x: Tensor
    conditions: dict[str, Tensor] = field(default_factory=dict)


def path_of(folder: Path, span: range) -> Path:
    """Return where the samples of a range are."""
    return folder / f"samples-{span.start:012d}-{span.stop:012d}.safetensors"


def is_there(folder: Path, manifest: Manifest, span: range) -> bool:
    """Whether a shard is a regular file of the right size; whether its numbers are right says `read_shard`."""
    try:
        with opened(path_of(folder, span), follow=False) as file:
            size, header = os.fstat(file.fileno()).st_size, int.from_bytes(file.read(8), "little")
    except (OSError, ValueError):
        return False
    return header < _HEADER and size == 8 + header + manifest.bytes_of(span)


def write_shard(folder: Path, manifest: Manifest, span: range, x: Tensor) -> None:
    """Write the samples of a range: to a temporary name, synced to the disk, renamed, the folder synced.

    Raises SymsiError where the disk is full or fails, or the folder cannot be written; then there is no such file.
    """
    numbers = x.detach().cpu().contiguous()
    about = _about(manifest, span) | {"sha256": _digest(numbers)}
    data = save({"samples": numbers}, {_ABOUT: json.dumps(about, sort_keys=True)})
    write_atomic(path_of(folder, span), lambda temporary: _fill(temporary, data), force=True, sync=True)


def read_shard(folder: Path, manifest: Manifest, span: range) -> Tensor:
    """Return the samples of a range, (n, *shape), on the CPU.

    Raises SymsiError, saying which file and why, for one that is missing, no regular file, of another size, or does not
    hold the samples of this range of this run, to the last bit.
    """
    return numbers_in(shard_bytes(folder, manifest, span), path_of(folder, span), manifest, span)


def shard_bytes(folder: Path, manifest: Manifest, span: range) -> bytes:
    """Return the bytes of a shard's file. Raises SymsiError where it is missing, no regular file, or too large."""
    return bytes_in(path_of(folder, span), manifest.bytes_of(span) + _HEADER)


def numbers_in(data: bytes, path: Path, manifest: Manifest, span: range) -> Tensor:
    """Return the samples in the bytes of a shard's file. Raises SymsiError as `read_shard`."""
    size = manifest.bytes_of(span)
    try:
        if len(data) <= size:
            raise SymsiError(f"it has {len(data)} bytes, and its numbers alone are {size}")
        x = load(data).get("samples")
        length = int.from_bytes(data[:8], "little")
        about = json.loads(json.loads(data[8 : 8 + length])["__metadata__"][_ABOUT])
        wanted = _about(manifest, span)
        if not isinstance(about, dict) or {name: about.get(name) for name in wanted} != wanted:
            raise SymsiError("it holds other samples than its name and the manifest say")
        if x is None or x.shape != (len(span), *manifest.shape) or x.dtype != getattr(torch, manifest.dtype):
            raise SymsiError("its numbers have another shape or dtype than the manifest says")
        if about.get("sha256") != _digest(x):
            raise SymsiError("its numbers are not those that were written: their hash is another")
    except (SymsiError, SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise SymsiError(
            f"{path} is damaged: {trouble(error)[:200]}. `symsi samples check {path.parent} --repair` draws it again."
        ) from None
    return x


def bytes_in(path: Path, most: int) -> bytes:
    """Return what is in a regular file of `most` bytes at most, and no link. Raises SymsiError for any other."""
    try:
        return read_bytes(path, most, follow=False)
    except (OSError, ValueError) as error:
        raise SymsiError(f"cannot read {path}: {trouble(error)}.") from None


def _about(manifest: Manifest, span: range) -> dict[str, Any]:
    return {
        "format": FORMAT, "version": VERSION, "run": manifest.identity, "first": span.start, "end": span.stop
    }  # fmt: skip


def _digest(x: Tensor) -> str:
    return hashlib.sha256(x.reshape(-1).view(torch.uint8).numpy().data).hexdigest()


def _fill(path: Path, data: bytes) -> None:
    path.write_bytes(data)

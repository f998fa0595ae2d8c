"""A folder of samples: its manifest, plan and conditions, what is in it, and the sums that seal it.

manifest.json            what makes the samples, see `Manifest`; written first
plan.json                the plan, as `symsi.load_plan` reads it
conditions.safetensors   conditions that are tensors, M rows each; sample i is told row i mod M
samples-A-B.safetensors  the samples A to B - 1
SHA256SUMS               of all the others, written when all are there; `sha256sum --check` reads it
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from symsi.errors import SymsiError
from symsi.files import trouble, write_atomic
from symsi.shards.lock import LOCK
from symsi.shards.manifest import Manifest
from symsi.shards.shard import bytes_in, is_there, numbers_in, path_of, shard_bytes
from symsi.solvers.plan import Plan

__all__ = [
    "CONDITIONS",
    "MANIFEST",
    "PLAN",
    "SUMS",
    "Folder",
    "digest_of",
    "names_in",
    "packed",
    "prepare",
    "rows_in_turn",
    "seal",
]

MANIFEST, PLAN, CONDITIONS, SUMS = "manifest.json", "plan.json", "conditions.safetensors", "SHA256SUMS"
_MANIFEST_BYTES, _CONDITION_BYTES = 2**20, 2**32
_OURS = (".manifest-", ".plan-", ".conditions-", ".samples-", ".SHA256SUMS-")  # temporary files of `write_atomic`


@dataclass(frozen=True)
class Folder:
    """A folder that holds a manifest, which was read and checked, and its conditions that are tensors."""

    path: Path
    manifest: Manifest
    conditions: Mapping[str, Tensor]

    @classmethod
    def open(cls, path: Path) -> Folder:
        """Read a folder. Raises SymsiError where it is none of samples, or was changed."""
        manifest = _manifest(path)
        if manifest is None:
            raise SymsiError(f"{path} holds no samples: it has no {MANIFEST}. `symsi sample {path}/` writes one.")
        wanted = manifest.conditions.get("tensors")
        if wanted is None:
            return cls(path, manifest, {})
        data = bytes_in(path / CONDITIONS, _CONDITION_BYTES)
        if digest_of(data) != wanted:
            raise SymsiError(f"{path / CONDITIONS} was changed after it was written: its hash is another.")
        try:
            return cls(path, manifest, load(data))
        except SafetensorError as error:
            raise SymsiError(f"cannot read {path / CONDITIONS}: {trouble(error)}.") from None

    def missing(self) -> list[range]:
        """Return the ranges whose shard is not there, or not of its size."""
        spans = map(self.manifest.span, range(self.manifest.shards))
        return [span for span in spans if not is_there(self.path, self.manifest, span)]


def rows_in_turn(conditions: Mapping[str, Tensor], span: range) -> dict[str, Tensor]:
    """Return the conditions of a range of samples: for sample i row i mod M of M."""
    at = torch.arange(span.start, span.stop)
    return {name: value[at.to(value.device) % len(value)] for name, value in conditions.items()}


def packed(conditions: Mapping[str, Tensor]) -> bytes:
    """Return the bytes of the file of conditions that are tensors. Raises SymsiError for more than 4 GiB."""
    data = save({name: value.detach().cpu().contiguous() for name, value in conditions.items()})
    if len(data) > _CONDITION_BYTES:
        raise SymsiError(f"conditions of {len(data) / 2**30:.1f} GiB are more than the 4 GiB that a folder holds.")
    return data


def digest_of(data: bytes) -> str:
    """Return the SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def prepare(path: Path, manifest: Manifest, plan: Plan, conditions: bytes, again: Collection[range] = ()) -> None:
    """Make a folder ready for a run, new or continued: the caller holds its lock alone.

    A count larger than the one that is there makes it the folder of more samples. Temporary files that a run left when
    it was killed are removed, and so are the shards to be drawn `again`. Raises SymsiError where the folder holds
    another run, saying what differs, or other files and no manifest, or cannot be written.
    """
    held = _manifest(path)
    if held is None:
        foreign = [name for name in names_in(path) if name != LOCK and not name.startswith(_OURS)]
        if foreign:
            raise SymsiError(f"{path} holds {foreign[0]}, and no samples; name a new folder, or an empty one.")
    else:
        differs = held.difference(manifest)
        if differs:
            raise SymsiError(
                f"{path} holds another run: {differs}. Give the options it was begun with, or another folder."
            )
    unwanted = _half_written(path)
    unwanted += [path_of(path, span) for span in again]
    if held is not None and held != manifest and held.count % held.batch:
        unwanted.append(path_of(path, held.span(held.shards - 1)))  # the last shard is to be a whole one
    if held != manifest:
        unwanted.insert(0, path / SUMS)
    for file in unwanted:
        _remove(file)
    if held != manifest:
        _write(path / MANIFEST, manifest.text().encode())
    _keep(path / PLAN, plan.text().encode())
    if manifest.conditions.get("tensors") is not None:
        _keep(path / CONDITIONS, conditions)


def seal(folder: Folder) -> None:
    """Read all shards and write the SHA-256 of every file, in the format of sha256sum.

    The bytes are the same whoever drew the samples. What a rank had half written when it was killed in this run is
    removed. Raises SymsiError where a shard is damaged, and where the folder was sealed before with other sums: samples
    that were drawn again are not those that were lost.
    """
    for file in _half_written(folder.path):
        _remove(file)
    lines = []
    for name in (MANIFEST, PLAN, *([CONDITIONS] if folder.conditions else [])):
        lines.append(f"{digest_of((folder.path / name).read_bytes())}  {name}\n")
    for shard in range(folder.manifest.shards):
        span = folder.manifest.span(shard)
        path, data = path_of(folder.path, span), shard_bytes(folder.path, folder.manifest, span)
        numbers_in(data, path, folder.manifest, span)
        lines.append(f"{digest_of(data)}  {path.name}\n")
    text, sums = "".join(lines), folder.path / SUMS
    before = bytes_in(sums, 2 * len(text)).decode("utf-8", "replace") if os.path.lexists(sums) else text
    other = sorted(set(lines) - set(before.splitlines(keepends=True)))
    if before != text:
        raise SymsiError(
            f"{sums} has other sums, of {other[0].split()[1] if other else 'more files'}: it was changed, or what was "
            "drawn again came out otherwise, as another kind of processor may round. Delete it to take what is there."
        )
    _write(sums, text.encode())


def names_in(path: Path) -> list[str]:
    """Return the names in a folder, sorted. Raises SymsiError where it is none, or cannot be read."""
    try:
        return sorted(os.listdir(path))
    except OSError as error:
        raise SymsiError(f"cannot read the folder {path}: {trouble(error)}.") from None


def _manifest(path: Path) -> Manifest | None:
    if not os.path.lexists(path / MANIFEST):
        return None
    data = bytes_in(path / MANIFEST, _MANIFEST_BYTES)
    return Manifest.read(data.decode("utf-8", "replace"), str(path / MANIFEST))


def _half_written(path: Path) -> list[Path]:
    """The temporary files that processes left when they were killed."""
    return [path / name for name in names_in(path) if name.startswith(_OURS)]


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise SymsiError(f"cannot remove {path}: {trouble(error)}.") from None


def _keep(path: Path, data: bytes) -> None:
    """Write a file where it is missing or is another one."""
    if path.is_symlink() or not path.is_file() or path.stat().st_size != len(data) or path.read_bytes() != data:
        _write(path, data)


def _write(path: Path, data: bytes) -> None:
    def fill(temporary: Path) -> None:
        temporary.write_bytes(data)

    write_atomic(path, fill, force=True, sync=True)

"""Samples of a folder, a shard at a time: memory holds one, however many there are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from symsi.shards.folder import Folder, rows_in_turn
from symsi.shards.shard import Shard, read_shard

__all__ = ["Samples", "read_samples"]


class Samples:
    """The samples of a folder: iterate over its shards, in the order of their indices, as often as you like.

    `len` is the number of samples; `shape` is that of a sample.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self.shape, self.seed = folder.manifest.shape, folder.manifest.seed
        self.model, self.dtype = folder.manifest.model, folder.manifest.dtype

    def __len__(self) -> int:
        """Return the number of samples."""
        return self._folder.manifest.count

    def __iter__(self) -> Iterator[Shard]:
        """Read shard after shard, verified. Raises SymsiError for one that is missing or damaged."""
        manifest = self._folder.manifest
        for shard in range(manifest.shards):
            span = manifest.span(shard)
            rows = rows_in_turn(self._folder.conditions, span)
            yield Shard(span.start, read_shard(self._folder.path, manifest, span), rows)

    def __repr__(self) -> str:
        return f"<Samples: {len(self)} of shape {self.shape} by {self.model}, in {self._folder.path}>"


def read_samples(folder: str | Path) -> Samples:
    """Return the samples that `symsi.sample_shards` or `symsi sample FOLDER/` wrote.

    Each `Shard` has `x` (n, *shape) in model units, `first`, the index of its first sample, and `conditions`, a row a
    sample. Raises SymsiError where the folder holds none, or was changed; a shard is checked when it is read.
    """
    return Samples(Folder.open(Path(folder)))

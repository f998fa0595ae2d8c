"""Whether a folder holds all its samples, to the last bit, and nothing else."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from symsi.errors import PlanError, SymsiError
from symsi.shards.folder import CONDITIONS, MANIFEST, PLAN, SUMS, Folder, digest_of, names_in
from symsi.shards.lock import LOCK
from symsi.shards.manifest import Manifest
from symsi.shards.shard import bytes_in, numbers_in, path_of, shard_bytes
from symsi.solvers.plan import load_plan

__all__ = ["Report", "check_shards"]

_LINE = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9.-]{1,60})")
_LINE_BYTES = 128


@dataclass(frozen=True)
class Report:
    """What a check found: shards that are missing or damaged, by range, with the reason; names that belong to nobody.

    `others` says what is wrong with other files of the folder by name. `sealed` says whether the sums are there.
    """

    manifest: Manifest
    missing: tuple[range, ...]
    damaged: Mapping[range, str]
    others: Mapping[str, str]
    foreign: tuple[str, ...]
    sealed: bool

    @property
    def whole(self) -> bool:
        """Whether all samples are there and right, and the folder is sealed; foreign files do not matter."""
        return self.sealed and not (self.missing or self.damaged or self.others)


def check_shards(folder: str | Path) -> Report:
    """Read every shard of a folder and hold it against what was written.

    No name in a file of the folder is followed: names are made from the manifest's numbers, links are not read, and
    sizes are looked at before anything is. Raises SymsiError where there is no manifest that can be read.
    """
    opened = Folder.open(Path(folder))
    path, manifest = opened.path, opened.manifest
    others = _plan_trouble(opened)
    try:
        sums = _sums(opened)
    except SymsiError as error:
        sums, others = None, {**others, SUMS: str(error)}
    missing, damaged = [], {}
    for shard in range(manifest.shards):
        span = manifest.span(shard)
        file = path_of(path, span)
        if not os.path.lexists(file):
            missing.append(span)
            continue
        try:
            data = shard_bytes(path, manifest, span)
            numbers_in(data, file, manifest, span)
            if sums is not None and sums.get(file.name) != digest_of(data):
                damaged[span] = f"{file} is damaged: its hash is not the one in {SUMS}. `--repair` draws it again."
        except SymsiError as error:
            damaged[span] = str(error)
    return Report(manifest, tuple(missing), damaged, others, _foreign(opened), sums is not None)


def _plan_trouble(folder: Folder) -> dict[str, str]:
    """Return what is wrong with the plan's file."""
    try:
        bytes_in(folder.path / PLAN, 2**28)
        if load_plan(folder.path / PLAN).hash != folder.manifest.plan:
            return {PLAN: f"{folder.path / PLAN} is another plan than the manifest says."}
    except (PlanError, SymsiError) as error:
        return {PLAN: str(error)}
    return {}


def _sums(folder: Folder) -> dict[str, str] | None:
    """Return the sums by name, None where the folder is not sealed. Raises SymsiError where they were changed."""
    path = folder.path / SUMS
    if not os.path.lexists(path):
        return None
    lines = bytes_in(path, _LINE_BYTES * (folder.manifest.shards + 3)).decode("utf-8", "replace").splitlines()
    found = {}
    for line in lines:
        match = _LINE.fullmatch(line)
        if match is None:
            raise SymsiError(f"{path} was changed: a line is no SHA-256 and a name.")
        found[match[2]] = match[1]
    own = digest_of((folder.path / MANIFEST).read_bytes())
    if found.get(MANIFEST) != own:
        raise SymsiError(f"{path} is of another manifest than the one that is there.")
    return found


def _foreign(folder: Folder) -> tuple[str, ...]:
    """Return the names in the folder that are none of its own."""
    manifest = folder.manifest
    own = {MANIFEST, PLAN, SUMS, LOCK, *([CONDITIONS] if folder.conditions else [])}
    own |= {path_of(folder.path, manifest.span(shard)).name for shard in range(manifest.shards)}
    return tuple(name for name in names_in(folder.path) if name not in own)

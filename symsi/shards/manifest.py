"""What makes the samples of a folder: the same manifest, the same bytes, whoever draws them and in which order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from math import prod
from typing import Any

import torch

from symsi.errors import SymsiError

__all__ = ["FORMAT", "VERSION", "Manifest"]

FORMAT, VERSION = "symsi-samples", 1
_MOST = 10**7  # shards of a folder
_LARGEST = 1 << 40  # bytes of a shard
_STRONGEST = 1e300  # guidance, which is to be a finite float
_DTYPES = ("float16", "bfloat16", "float32", "float64")


@dataclass(frozen=True)
class Manifest:
    """Samples 0..count - 1 of a model, `batch` of them a shard: shard k holds k batch to (k + 1) batch - 1.

    `weights` and `plan` are SHA-256 of the network's numbers ("" for a callable without) and of the plan; `shape` and
    `dtype` are those of a sample, `conditions` maps the names of conditions to what the model is told, or to the
    SHA-256 of their file, `device` is "cpu" or "cuda", `versions` are those of symsi and torch. Raises SymsiError for
    fields that no run has.
    """

    model: str
    weights: str
    plan: str
    seed: int
    count: int
    batch: int
    shape: tuple[int, ...]
    dtype: str
    guidance: float
    conditions: Mapping[str, Any]
    device: str
    versions: Mapping[str, str]

    def __post_init__(self) -> None:
        """Check all fields: a manifest may come from a file that anyone wrote."""
        words = {name: getattr(self, name) for name in ("model", "weights", "plan", "dtype", "device")}
        for name, word in words.items():
            _require(isinstance(word, str), f"{name} is no text")
        _require(self.dtype in _DTYPES, f"dtype is {self.dtype!r:.40}, and none of {', '.join(_DTYPES)}")
        for name, least, end in (("seed", 0, 1 << 64), ("count", 1, 1 << 63), ("batch", 1, 1 << 63)):
            _require(_whole(getattr(self, name), least, end), f"{name} is no whole number from {least}")
        sizes = self.shape if isinstance(self.shape, (list, tuple)) else (0,)
        _require(all(_whole(n, 1, 1 << 40) for n in sizes) and len(sizes) > 0, "shape has not sizes from 1 on")
        object.__setattr__(self, "shape", tuple(sizes))
        guided = isinstance(self.guidance, (int, float)) and not isinstance(self.guidance, bool)
        _require(guided and abs(self.guidance) < _STRONGEST, "guidance is no finite number")
        object.__setattr__(self, "guidance", float(self.guidance))
        for name in ("conditions", "versions"):
            _require(isinstance(getattr(self, name), Mapping), f"{name} maps no names")
        _require(self.bytes_of(range(self.batch)) < _LARGEST, "a shard would be larger than 1 TiB")
        if self.shards > _MOST:
            raise SymsiError(
                f"{self.count} samples in batches of {self.batch} are {self.shards} files, and a folder holds "
                f"{_MOST} at most; take a larger batch."
            )

    @property
    def identity(self) -> str:
        """SHA-256 of all fields but the count: what a sample's bytes depend on, beside its index."""
        told = {name: value for name, value in asdict(self).items() if name != "count"}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    @property
    def shards(self) -> int:
        """How many files the samples are."""
        return -(-self.count // self.batch)

    def span(self, shard: int) -> range:
        """Return the indices of the samples of a shard."""
        return range(shard * self.batch, min((shard + 1) * self.batch, self.count))

    def bytes_of(self, span: range) -> int:
        """Return the bytes of the numbers of a shard."""
        return len(span) * prod(self.shape) * int(getattr(torch, self.dtype).itemsize)

    def text(self) -> str:
        """Return the JSON of the manifest's file."""
        return json.dumps({"format": FORMAT, "version": VERSION, **asdict(self)}, indent=1) + "\n"

    def at(self, count: int) -> Manifest:
        """Return the manifest of more or fewer samples of the same run."""
        return replace(self, count=count)

    def difference(self, other: Manifest) -> str:
        """Say in which fields `other` is another run, "" where its samples are the same ones or more of them."""
        found = []
        for field in fields(self):
            here, there = getattr(self, field.name), getattr(other, field.name)
            if here == there or (field.name == "count" and here < there):
                continue
            found.append(f"{field.name} {_shown(here)}, and not {_shown(there)}")
        return "; ".join(found)

    @classmethod
    def read(cls, text: str, name: str) -> Manifest:
        """Return the manifest in the text of a file called `name`. Raises SymsiError where it is none."""
        try:
            data = json.loads(text)
            if not isinstance(data, dict) or data.pop("format", None) != FORMAT:
                raise SymsiError("it is no manifest of samples")
            version = data.pop("version", None)
            if version != VERSION:
                raise SymsiError(f"it has version {version!r:.20} of the format, and this symsi reads {VERSION}")
            if set(data) != {field.name for field in fields(cls)}:
                raise SymsiError("it has not the fields of one")
            return cls(**data)
        except (ValueError, RecursionError) as error:
            raise SymsiError(f"{name} is no manifest of samples: it is not JSON ({str(error)[:80]}).") from None
        except SymsiError as error:
            raise SymsiError(f"cannot read {name}: {str(error).rstrip('.')}.") from None


def _require(holds: bool, reason: str) -> None:
    if not holds:
        raise SymsiError(f"{reason}.")


def _whole(value: Any, least: int, end: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value < end


def _shown(value: Any) -> str:
    text = str(dict(value)) if isinstance(value, Mapping) else str(value)
    return f"{text[:12]}..." if len(text) == 64 and text.isalnum() else text[:200] or "none"

"""A run in a file: what is held between two levels, whole or not at all, for the same run alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from symsi.errors import SymsiError
from symsi.files import write_atomic
from symsi.models.tensor_file import read_tensors
from symsi.steering.held import Held

__all__ = ["load", "save", "words_of"]

_ON_DEVICE = ("z", "said", "data", "x")  # last words of the names of what lies beside the model
_FORMAT = "symsi-steering"


def save(path: Path, held: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Write what is held, atomically, in the place of what was there. Raises SymsiError where the disk is full."""
    kept = {name: value.detach().cpu().contiguous().clone() for name, value in held.items()}
    words = {"format": _FORMAT, "about": json.dumps(about), "digest": _digest(kept)}
    write_atomic(path, lambda temporary: save_file(kept, temporary, metadata=words), force=True)


def load(path: Path, about: Mapping[str, Any], device: torch.device) -> Held | None:
    """Return what was held, None where there is no file. Raises SymsiError for another run's file and a damaged one."""
    if not path.exists():
        return None
    words, held = read_tensors(path, "a run of symsi.steer", "Delete it to start anew.")
    kept = _about(words)
    if words.get("format") != _FORMAT or words.get("digest") != _digest(held) or kept is None:
        raise SymsiError(f"cannot go on from {path}: it is no run of symsi.steer, or was changed. Delete it.")
    for name, value in about.items():
        if kept.get(name) != value:
            raise SymsiError(
                f"{path} holds a run with {name} = {kept.get(name)}, and this one has {value}. "
                "Give the same arguments to go on, or another file."
            )
    return {name: value.to(device) if _beside(name) else value for name, value in held.items()}


def words_of(conditions: Mapping[str, Any]) -> str:
    """Return conditions in words: a digest of each tensor, and others as Python shows them."""
    told = {
        name: _digest({name: v.detach().cpu()}) if isinstance(v, Tensor) else repr(v) for name, v in conditions.items()
    }
    return json.dumps(told, sort_keys=True)


def _about(words: Mapping[str, str]) -> Any:
    try:
        kept = json.loads(words.get("about", ""))
    except (ValueError, RecursionError):
        return None
    return kept if isinstance(kept, dict) else None


def _beside(name: str) -> bool:
    return name.rpartition(".")[2] in _ON_DEVICE or ".ahead." in name


def _digest(held: Mapping[str, Tensor]) -> str:
    found = hashlib.sha256()
    for name in sorted(held):
        value = held[name].contiguous()
        found.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        found.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()

"""Checkpoints of a run: weights, their average and the optimiser's moments in one safetensors file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from symsi.errors import SymsiError
from symsi.files import write_atomic
from symsi.models.pretrained import digest
from symsi.models.tensor_file import read_metadata, read_tensors
from symsi.processes.ranks import Ranks

__all__ = ["agree", "metadata_of", "resume", "save_checkpoint"]

_MOMENTS = ("exp_avg", "exp_avg_sq")  # what AdamW keeps of each weight
_WORDS = ("a checkpoint", "Delete it to start anew.")
_KINDS = ("weight", "average", *_MOMENTS)


def save_checkpoint(
    path: Path,
    weights: Mapping[str, Tensor],
    average: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
    metadata: dict[str, str],
) -> None:
    """Write a checkpoint atomically in the place of the one before. Raises SymsiError where the disk is full."""
    tensors = {f"average.{n}": v for n, v in average.items()} | {f"weight.{n}": v.detach() for n, v in weights.items()}
    for name, weight in weights.items():
        for kind in _MOMENTS:
            tensors[f"{kind}.{name}"] = optimizer.state[weight][kind]
    held = {name: tensor.contiguous() for name, tensor in tensors.items()}
    write_atomic(path, lambda temporary: save_file(held, temporary, metadata=metadata), force=True)


def metadata_of(path: Path) -> dict[str, str]:
    """Return what a checkpoint says of itself. Raises SymsiError for one that is damaged."""
    return read_metadata(path, *_WORDS)


def resume(
    path: Path,
    weights: Mapping[str, Tensor],
    average: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
    about: str,
    steps: int,
) -> int:
    """Return the step of a checkpoint, with its weights, average and moments copied.

    It is read whole and checked first: the optimiser's fused step reads past other shapes. Raises SymsiError, before
    anything is changed, for a checkpoint that is damaged, of another network, not `about` this run, or past `steps`.
    """
    metadata, held = read_tensors(path, *_WORDS)
    if metadata.get("about") != about:
        raise SymsiError(
            f"{path} is the checkpoint of another run, {metadata.get('about')}; this one is {about}. "
            "Delete it to start anew, or give the same options."
        )
    step = metadata.get("step", "")
    if not (step.isdecimal() and len(step) < 16 and int(step) <= steps):
        raise _unfit(path, f"its step is {step[:20]!r}, not a number from 0 to {steps}")
    for name, weight in weights.items():
        for kind in _KINDS:
            _check(path, f"{kind}.{name}", held, weight)
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(held[f"weight.{name}"])
            average[name] = _laid_out(held[f"average.{name}"], weight)
            moments = {kind: _laid_out(held[f"{kind}.{name}"], weight) for kind in _MOMENTS}
            optimizer.state[weight] = {"step": torch.tensor(float(step), device=weight.device), **moments}
    return int(step)


def agree(ranks: Ranks, weights: Mapping[str, Tensor], about: str, step: int) -> None:
    """Raise SymsiError unless all ranks begin the same run, from the same weights, at the same step."""
    if ranks.world > 1:
        ranks.agree(f"{about} {step} {digest(weights)}")


def _laid_out(found: Tensor, weight: Tensor) -> Tensor:
    """A copy where the weight is, with its strides: the fused step goes through memory in one order for all."""
    return torch.empty_like(weight, requires_grad=False).copy_(found)


def _check(path: Path, name: str, held: Mapping[str, Tensor], weight: Tensor) -> None:
    """Raise SymsiError unless a tensor is there, finite, and of the weight's shape and dtype."""
    found = held.get(name)
    if found is None:
        raise _unfit(path, f"it has no {name}")
    if found.shape != weight.shape or found.dtype != weight.dtype:
        here, there = ((tuple(v.shape), str(v.dtype).removeprefix("torch.")) for v in (found, weight))
        raise _unfit(path, f"its {name} is {here[0]} in {here[1]}, the network's {there[0]} in {there[1]}")
    if not found.isfinite().all() or (name.startswith("exp_avg_sq.") and bool((found < 0).any())):
        raise _unfit(path, f"its {name} holds numbers that no training leaves, nan, infinite or a negative square")


def _unfit(path: Path, reason: str) -> SymsiError:
    return SymsiError(f"cannot go on from {path}: {reason}. Delete it to start anew.")

"""Between two levels a run is a dictionary of tensors: what goes on from it, and into a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import torch
from torch import Tensor

from symsi.sampling.state import State
from symsi.steering.chain import Chain, Cloud

__all__ = ["Held", "cloud_of", "pack", "state_of"]

Held: TypeAlias = dict[str, Tensor]


def pack(name: str, value: State | Cloud) -> Held:
    """Return the tensors of a state or a cloud."""
    if isinstance(value, Cloud):
        return {**pack(name, value.state), f"{name}.said": value.said, f"{name}.data": value.data}
    ahead = {f"{name}.ahead.{j}": held for j, held in enumerate(value.ahead) if held is not None}
    about = torch.tensor([value.evaluations, len(value.ahead)])
    return {f"{name}.z": value.z, f"{name}.about": about, **ahead}


def state_of(name: str, held: Mapping[str, Tensor], chain: Chain) -> State:
    """Return the state that was packed."""
    evaluations, ahead = map(int, held[f"{name}.about"])
    sums = tuple(held.get(f"{name}.ahead.{j}") for j in range(ahead))
    return State(held[f"{name}.z"], chain.form, evaluations, sums)


def cloud_of(name: str, held: Mapping[str, Tensor], chain: Chain) -> Cloud:
    """Return the cloud that was packed."""
    return Cloud(state_of(name, held, chain), held[f"{name}.said"], held[f"{name}.data"])

"""One door to what ships: models and flow maps by name."""

from __future__ import annotations

from pathlib import Path

import torch

from symsi.errors import unknown
from symsi.models import pretrained, pretrained_map
from symsi.models.flow_map import FlowMap
from symsi.models.protocol import Model

__all__ = ["load"]


def load(
    name: str | Path, *, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> Model | FlowMap:
    """Return a shipped model or flow map by name, or the model in a `.safetensors` file.

    Conditions: `label`, (B,) integers, or None for no class. A file of a map is read by
    `symsi.models.load_map`. Raises UnknownNameError with the closest match, and SymsiError for a file that is missing,
    damaged, of another version, or does not hold the weights it describes.
    """
    if str(name) in pretrained_map.MAPS:
        return pretrained_map.load_map(name, device=device, dtype=dtype)
    if Path(name).suffix != ".safetensors" and str(name) not in pretrained.SHIPPED:
        raise unknown("model", str(name), [*pretrained.SHIPPED, *pretrained_map.MAPS, "PATH.safetensors"])
    return pretrained.load(name, device=device, dtype=dtype)

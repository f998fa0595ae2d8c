"""Weights files of flow maps, one safetensors file each with all that is needed to make them again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from symsi.errors import SymsiError, unknown
from symsi.files import write_atomic
from symsi.interpolants.named import schedule as named
from symsi.models.flow_map import FlowMap
from symsi.models.map_net import MapNet
from symsi.models.pretrained import described, digest, read_weights
from symsi.models.protocol import Model, as_device
from symsi.models.unet import Config, UNet

__all__ = ["load_map", "save_map"]

_FORMAT, _VERSION = "symsi-map", "1"


def save_map(
    path: str | Path,
    weights: Mapping[str, Tensor],
    config: Config,
    model: Model,
    schedule: str,
    recipe: Mapping[str, object],
    *,
    note: str = "",
    force: bool = False,
) -> Path:
    """Write a distilled map's weights atomically, with its teacher, recipe and their hash.

    Raises SymsiError if `path` exists.
    """
    held = {name: weight.detach().contiguous() for name, weight in weights.items()}
    metadata = {
        "format": _FORMAT,
        "version": _VERSION,
        "config": json.dumps(config.to_json()),
        "shape": json.dumps(model.shape),
        "base": str(model.schedule),
        "schedule": schedule,
        "prediction": model.prediction,
        "gain": repr(model.gain),
        "offset": repr(model.offset),
        "teacher": model.name,
        "recipe": json.dumps(dict(recipe)),
        "hash": digest(held),
        "note": note,
    }
    return write_atomic(Path(path), lambda temporary: save_file(held, temporary, metadata=metadata), force=force)


def load_map(path: str | Path, *, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> FlowMap:
    """Return the flow map in a `.safetensors` file that `save_map` wrote.

    Conditions: `label`, (B,) integers, or None for no class. Raises UnknownNameError for another name, and
    SymsiError for a file that is missing, damaged, of another version, or does not hold the weights it describes.
    """
    path, where = Path(path), as_device(device)
    if path.suffix != ".safetensors":
        raise unknown("flow map", str(path), ["PATH.safetensors"])
    metadata, weights = read_weights(path, _FORMAT, _VERSION)
    with described(path):
        config = Config.from_json(json.loads(metadata["config"]))
        schedule = named(metadata["schedule"])
        net = MapNet(UNet(config), named(metadata["base"]), schedule, metadata["prediction"])
        net.load_state_dict(weights)
        shape = tuple(json.loads(metadata["shape"]))
        gain, offset = float(metadata["gain"]), float(metadata["offset"])
        same = metadata["hash"] == digest(weights)
    if not same:
        raise SymsiError(f"{path} does not hold the weights it describes: their hash is another.")
    return FlowMap(
        net.to(device=where, dtype=dtype).eval().requires_grad_(False),
        schedule=schedule,
        shape=shape,
        name=path.stem,
        unconditional={"label": None} if config.classes else {},
        classes=config.classes,
        offset=offset,
        gain=gain,
    )

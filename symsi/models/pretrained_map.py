"""Weights files of flow maps, one safetensors file each, with what they were made from and what that cost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from symsi.errors import SymsiError, unknown
from symsi.files import write_atomic
from symsi.interpolants.named import schedule as named
from symsi.models.flow_map import FlowMap
from symsi.models.map_net import MapNet
from symsi.models.pretrained import SHIPPED, WEIGHTS, check_digest, described, digest, laid_out, load, read_weights
from symsi.models.protocol import Model, as_device, check_dtype
from symsi.models.tensor_file import read_metadata
from symsi.models.unet import Config

__all__ = ["described_map", "load_any", "load_map", "save_map", "shipped_maps"]

_FORMAT, _VERSION = "symsi-map", "1"
_RECORDS = ("recipe", "cost")  # what a file says in JSON, beside words


def save_map(
    path: str | Path,
    weights: Mapping[str, Tensor],
    config: Config,
    model: Model,
    schedule: str,
    recipe: Mapping[str, object],
    *,
    cost: Mapping[str, object] | None = None,
    grid: str = "uniform",
    note: str = "",
    force: bool = False,
) -> Path:
    """Write a distilled map's weights atomically, with its teacher, grid, recipe, what it cost and their hash.

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
        "grid": grid,
        "prediction": model.prediction,
        "gain": repr(model.gain),
        "offset": repr(model.offset),
        "teacher": model.name,
        "recipe": json.dumps(dict(recipe)),
        "cost": json.dumps(dict(cost or {})),
        "hash": digest(held),
        "note": note,
    }
    return write_atomic(Path(path), lambda temporary: save_file(held, temporary, metadata=metadata), force=force)


def shipped_maps() -> dict[str, Path]:
    """Return the files of the maps that ship, by name."""
    return {path.stem: path for path in sorted(WEIGHTS.glob("*-map.safetensors"))}


def described_map(name: str | Path) -> dict[str, Any]:
    """Return what a map's file says: "teacher", "schedule", "recipe", "cost" (steps, minutes, ...), "note", "hash"."""
    path = _path(name)
    metadata = read_weights(path, _FORMAT, _VERSION)[0]
    with described(path):
        words = {key: metadata[key] for key in ("teacher", "schedule", "note", "hash")}
        return words | {key: json.loads(metadata.get(key, "{}")) for key in _RECORDS}


def load_any(
    name: str | Path, *, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> Model | FlowMap:
    """Return a model or a map, by the name of one that ships or from a file; raises as `load` and `load_map` do."""
    path, ships = Path(name), shipped_maps()
    if path.suffix != ".safetensors" and str(name) not in [*SHIPPED, *ships]:
        raise unknown("model", str(name), [*SHIPPED, *ships, "PATH.safetensors"])
    if str(name) in ships or (path.suffix == ".safetensors" and _format(path) == _FORMAT):
        return load_map(name, device=device, dtype=dtype)
    return load(name, device=device, dtype=dtype)


def load_map(name: str | Path, *, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> FlowMap:
    """Return a map that ships, by name, or the one in a `.safetensors` file that `symsi.distill` wrote.

    Conditions: `label`, (B,) integers; it was trained without guidance. Raises UnknownNameError for another name, and
    SymsiError for a file that is missing, damaged, of another version, or does not hold the weights it describes.
    """
    path, where = _path(name), as_device(device)
    check_dtype(dtype)
    metadata, weights = read_weights(path, _FORMAT, _VERSION)
    with described(path):
        config = Config.from_json(json.loads(metadata["config"]))
        shape = tuple(json.loads(metadata["shape"]))
        config.check_shape(shape)
        schedule = named(metadata["schedule"])
        net = MapNet(laid_out(config, weights, "net."), named(metadata["base"]), schedule, metadata["prediction"])
        net.load_state_dict(weights)
        check_digest(metadata["hash"], weights)
        return FlowMap(
            net.to(device=where, dtype=dtype).eval().requires_grad_(False),
            schedule=schedule,
            shape=shape,
            name=path.stem,
            classes=config.classes,
            offset=float(metadata["offset"]),
            gain=float(metadata["gain"]),
            grid=metadata.get("grid", "uniform"),
        )


def _path(name: str | Path) -> Path:
    """The file of a map that ships, or one by its path. Raises UnknownNameError."""
    path = Path(name)
    if path.suffix == ".safetensors":
        return path
    ships = shipped_maps()
    if str(name) not in ships:
        raise unknown("flow map", str(name), [*ships, "PATH.safetensors"])
    return ships[str(name)]


def _format(path: Path) -> str:
    """The format that a weights file says it has; "" where it says none, or is no such file."""
    try:
        return read_metadata(path, "weights", "").get("format", "")
    except SymsiError:
        return ""

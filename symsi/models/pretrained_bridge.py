"""Weights files of bridges, one safetensors file each with all that is needed to make them again; two ship."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from symsi.errors import SymsiError, unknown
from symsi.files import write_atomic
from symsi.interpolants.two_sided import Interpolant
from symsi.models.pretrained import WEIGHTS, check_digest, described, digest, read_weights
from symsi.models.protocol import as_device
from symsi.models.restoring import Restorer
from symsi.models.two_sided import BridgeModel
from symsi.models.unet import Config, UNet

__all__ = ["BRIDGES", "load_bridge", "save_bridge"]

BRIDGES: Mapping[str, str] = {
    "digits28-restore": "from digits of 7 x 7 averages with noise to MNIST's, velocity and latent, condition start",
    "digits28-regression": "the mean of the digit given the degraded one, by one Euler step, condition start",
}
_FORMAT, _VERSION = "symsi-bridge", "1"
_PARTS = ("alpha", "beta", "gamma")


def save_bridge(
    path: str | Path,
    weights: Mapping[str, Tensor],
    model: BridgeModel,
    recipe: Mapping[str, object],
    *,
    note: str = "",
    force: bool = False,
) -> Path:
    """Write a Restorer's weights, rounded to float16, with what `model` says of it, its recipe and a hash, atomically.

    Raises SymsiError if `path` exists, or the model is no Restorer.
    """
    if not isinstance(model.function, Restorer):
        raise SymsiError(f"the file is of a Restorer's weights; {model.name} is a {type(model.function).__name__}.")
    held = {name: weight.detach().half().contiguous() for name, weight in weights.items()}
    metadata = {
        "format": _FORMAT,
        "version": _VERSION,
        "config": json.dumps(model.function.net.config.to_json()),
        "shape": json.dumps(model.shape),
        "interpolant": json.dumps({name: str(getattr(model.interpolant, name)) for name in _PARTS}),
        "predictions": json.dumps(model.predictions),
        "gain": repr(model.gain),
        "offset": repr(model.offset),
        "recipe": json.dumps(dict(recipe)),
        "hash": digest(held),
        "note": note,
    }
    return write_atomic(Path(path), lambda temporary: save_file(held, temporary, metadata=metadata), force=force)


def load_bridge(
    name: str | Path, *, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> BridgeModel:
    """Return a shipped bridge by name, or the one in a `.safetensors` file that `save_bridge` wrote.

    Conditions: `start`, the sample of x0 that is restored, (B, *shape). Raises UnknownNameError with the closest match,
    and SymsiError for a file that is missing, damaged, of another version, or does not hold the weights it describes.
    """
    path, where = Path(name), as_device(device)
    if path.suffix != ".safetensors":
        if str(name) not in BRIDGES:
            raise unknown("bridge", str(name), [*BRIDGES, "PATH.safetensors"])
        path = WEIGHTS / f"{name}.safetensors"
    metadata, weights = read_weights(path, _FORMAT, _VERSION)
    with described(path):
        predictions = tuple(json.loads(metadata["predictions"]))
        net = Restorer(UNet(Config.from_json(json.loads(metadata["config"]))), len(predictions))
        net.load_state_dict(weights)
        parts = json.loads(metadata["interpolant"])
        interpolant = Interpolant(*(parts[part] for part in _PARTS))
        shape = tuple(json.loads(metadata["shape"]))
        gain, offset = float(metadata["gain"]), float(metadata["offset"])
        check_digest(path, metadata["hash"], weights)
    net = net.to(device=where, dtype=dtype).eval().requires_grad_(False)
    return BridgeModel(net, interpolant, predictions, shape, path.stem, offset=offset, gain=gain)

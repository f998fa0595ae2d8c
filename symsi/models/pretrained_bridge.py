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
from symsi.models.pretrained import WEIGHTS, check_digest, described, digest, laid_out, read_weights
from symsi.models.protocol import as_device, check_dtype
from symsi.models.restoring import HEADS, Restorer
from symsi.models.two_sided import BridgeModel
from symsi.models.unet import Config

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
    check_dtype(dtype)
    if path.suffix != ".safetensors":
        if str(name) not in BRIDGES:
            raise unknown("bridge", str(name), [*BRIDGES, "PATH.safetensors"])
        path = WEIGHTS / f"{name}.safetensors"
    metadata, weights = read_weights(path, _FORMAT, _VERSION)
    with described(path):
        predictions = tuple(json.loads(metadata["predictions"]))
        config, shape = Config.from_json(json.loads(metadata["config"])), tuple(json.loads(metadata["shape"]))
        config.check_shape((HEADS * shape[0], *shape[1:]) if isinstance(shape[0], int) else shape)
        net = Restorer(laid_out(config, weights, "net."), len(predictions))
        net.load_state_dict(weights)
        parts = json.loads(metadata["interpolant"])
        check_digest(metadata["hash"], weights)
        return BridgeModel(
            net.to(device=where, dtype=dtype).eval().requires_grad_(False),
            Interpolant(*(parts[part] for part in _PARTS)),
            predictions,
            shape,
            path.stem,
            offset=float(metadata["offset"]),
            gain=float(metadata["gain"]),
        )

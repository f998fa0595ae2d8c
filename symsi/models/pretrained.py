"""Weights files: a U-Net, what it predicts and under which schedule, in one safetensors file; three ship with symsi."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.overrides import TorchFunctionMode

from symsi.errors import SymsiError, unknown
from symsi.files import write_atomic
from symsi.interpolants.named import schedule as named
from symsi.models.digits8 import distribution
from symsi.models.protocol import FLOATS, Model, as_device, check_dtype
from symsi.models.tensor_file import read_tensors
from symsi.models.unet import Config, UNet

__all__ = ["SHIPPED", "WEIGHTS", "check_digest", "described", "digest", "laid_out", "load", "read_weights", "save"]

WEIGHTS = Path(__file__).parent / "weights"
SHIPPED: Mapping[str, str] = {
    "digits28": "class-conditional U-Net on MNIST, 28 x 28, velocity of the linear schedule",
    "fashion28": "class-conditional U-Net on Fashion-MNIST, 28 x 28, velocity of the linear schedule",
    "fashion28-noise": "class-conditional U-Net on Fashion-MNIST, 28 x 28, noise of the ddpm schedule",
    "digits8": "exact model of 1 797 real 8 x 8 digits with a Gaussian kernel, velocity of the linear schedule",
}
_FORMAT, _VERSION = "symsi-model", "1"
_WRITERS = {"symsi-map": "distill", "symsi-bridge": "train bridge", "symsi-mixer": "train features --network mixer"}


def save(
    path: str | Path,
    weights: Mapping[str, Tensor],
    config: Config,
    shape: tuple[int, ...],
    *,
    schedule: str = "linear",
    prediction: str = "velocity",
    gain: float = 1.0,
    offset: float = 0.0,
    note: str = "",
    force: bool = False,
) -> Path:
    """Write a U-Net's weights with all that `load` needs, atomically. Raises SymsiError if `path` exists."""
    metadata = {
        "format": _FORMAT,
        "version": _VERSION,
        "config": json.dumps(config.to_json()),
        "shape": json.dumps(shape),
        "schedule": schedule,
        "prediction": prediction,
        "gain": repr(gain),
        "offset": repr(offset),
        "note": note,
    }
    held = {name: weight.detach().contiguous() for name, weight in weights.items()}
    return write_atomic(Path(path), lambda temporary: save_file(held, temporary, metadata=metadata), force=force)


def load(name: str | Path, *, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Model:
    """Return a shipped model by name, or the one in a `.safetensors` file that `save` wrote.

    Conditions: `label`, (B,) integers, or None for no class. Raises UnknownNameError with the closest match, and
    SymsiError for a file that is missing, damaged, of another version, or does not hold the weights it describes.
    """
    path, where = Path(name), as_device(device)
    check_dtype(dtype)
    if path.suffix != ".safetensors":
        if str(name) not in SHIPPED:
            raise unknown("model", str(name), [*SHIPPED, "PATH.safetensors"])
        if name == "digits8":
            return replace(distribution().to(where).model(), name="digits8", gain=0.25, offset=0.3)
        path = WEIGHTS / f"{name}.safetensors"
    metadata, weights = read_weights(path, _FORMAT, _VERSION)
    with described(path):
        config = Config.from_json(json.loads(metadata["config"]))
        shape = tuple(json.loads(metadata["shape"]))
        config.check_shape(shape)
        net = laid_out(config, weights)
        net.load_state_dict(weights)
        return Model(
            net.to(device=where, dtype=dtype).eval().requires_grad_(False),
            schedule=named(metadata["schedule"]),
            prediction=metadata["prediction"],
            shape=shape,
            name=path.stem,
            unconditional={"label": None} if config.classes else {},
            classes=config.classes,
            offset=float(metadata["offset"]),
            gain=float(metadata["gain"]),
        )


def laid_out(config: Config, weights: Mapping[str, Tensor], prefix: str = "") -> UNet:
    """Return a U-Net, not yet filled, for the weights of a file whose names start with `prefix`.

    Its memory is taken after the shapes are compared, so that a file takes no more than it holds. Raises SymsiError,
    naming the first weight that the net does not have in that shape.
    """
    with torch.device("meta"), _Unfilled():
        net = UNet(config)
    own = {f"{prefix}{name}": tuple(value.shape) for name, value in net.state_dict().items()}
    held = {name: tuple(value.shape) for name, value in weights.items()}
    for name, shape in own.items():
        if held.get(name) != shape:
            raise SymsiError(f"{name} should be {shape}, and is {held.get(name, 'missing')}.")
    with _Unfilled():
        return UNet(config)


class _Unfilled(TorchFunctionMode):
    """Leaves weights as they are made: a file fills them, and on meta torch would load its compiler to see that."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Do anything but what torch.nn.init does."""
        given = kwargs or {}
        if getattr(function, "__module__", "") == "torch.nn.init":
            return given["tensor"] if "tensor" in given else args[0]
        return function(*args, **given)


@contextmanager
def described(path: Path) -> Iterator[None]:
    """Raise SymsiError where a file's metadata cannot be read, or are not those of its weights."""
    try:
        yield
    except (SymsiError, LookupError, TypeError, ValueError, RuntimeError, ArithmeticError, AttributeError) as error:
        raise SymsiError(f"{path} does not hold the weights it describes: {str(error)[:200]}") from None


def read_weights(path: Path, form: str, version: str) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Return metadata and tensors of a weights file of a format.

    Raises SymsiError where it is missing, damaged, of another format or version, or has weights that are no floating
    point, nan or inf.
    """
    metadata, weights = read_tensors(path, "weights", "`symsi models` lists what ships.")
    if metadata.get("format") != form:
        if metadata.get("format") == "symsi-map":
            raise SymsiError(f"{path} holds a flow map, which takes two times: symsi.models.load_map reads it.")
        raise SymsiError(
            f"{path} holds no {form.replace('-', ' ')}; `symsi {_WRITERS.get(form, 'train flow')}` writes one, "
            "`symsi models` lists what ships."
        )
    if metadata.get("version") != version:
        raise SymsiError(
            f"{path} has version {metadata.get('version')}, this symsi reads version {version}; "
            "train it anew or use the symsi that wrote it."
        )
    if not all(weight.dtype in FLOATS and bool(torch.isfinite(weight).all()) for weight in weights.values()):
        raise SymsiError(f"{path} has weights that are nan or inf, or no floating-point numbers.")
    return metadata, weights


def check_digest(wanted: str, weights: Mapping[str, Tensor]) -> None:
    """Raise SymsiError where the digest of a file's weights is not the one that it names."""
    if wanted != digest(weights):
        raise SymsiError("their hash is another.")


def digest(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 over names and float32 numbers, in the order of names."""
    found = hashlib.sha256()
    for name in sorted(weights):
        found.update(name.encode() + weights[name].detach().cpu().float().contiguous().numpy().tobytes())
    return found.hexdigest()

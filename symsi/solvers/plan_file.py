"""Plans as JSON and back: float64 numbers exactly, a version and a hash of the content; what was changed is refused."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from symsi.errors import PlanError, SymsiError
from symsi.files import read_data, trouble
from symsi.models.reference import Reference

__all__ = ["digest", "document", "opened", "read", "record", "shown"]

_FORMAT, _VERSION = "symsi-plan", 1
_LARGEST = 256 * 2**20  # bytes of a file
_INFINITE = "infinite"  # the key of what JSON has no number for
_REFERENCE = ("kind", "variances", "mean", "basis")


def record(value: Any, parts: Sequence[str] = ()) -> dict[str, Any]:
    """Return the fields of a dataclass as JSON data; those named in `parts` are sequences of dataclasses."""
    found = {f.name: getattr(value, f.name) for f in fields(value)}
    return {name: [record(part) for part in v] if name in parts else _encode(v) for name, v in found.items()}


def digest(data: Mapping[str, Any]) -> str:
    """Return the SHA-256 of JSON data, whatever the order of its keys."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def document(data: dict[str, Any]) -> str:
    """Return the text of a plan's file. Raises PlanError for one that would be too large to be read."""
    text = json.dumps({"format": _FORMAT, "version": _VERSION, "hash": digest(data), "plan": data}, indent=1)
    if len(text) > _LARGEST:
        raise PlanError(
            f"this plan would be a file of {len(text) / 2**20:.0f} MiB, as its reference is that large; the most is "
            f"{_LARGEST // 2**20} MiB. Save the reference, and make the plan anew where it is used."
        )
    return text + "\n"


def opened(path: Path) -> Any:
    """Return the JSON data in a file. Raises PlanError where it is missing, too large, or none."""
    try:
        return read_data(path, _LARGEST)
    except FileNotFoundError:
        raise PlanError(f"there is no plan {path}; `Plan.save` writes one.") from None
    except OSError as error:
        raise PlanError(f"cannot read {path}: {error.strerror}.") from None
    except ValueError as error:
        raise PlanError(f"{path} is no plan: {trouble(error)}.") from None


def read(data: Any, name: str) -> dict[str, Any]:
    """Return the fields of the plan in JSON data, as `record` had them. Raises PlanError as `load_plan` says."""
    if not isinstance(data, dict) or data.get("format") != _FORMAT or not isinstance(data.get("plan"), dict):
        raise PlanError(f"{name} is no plan of symsi; `Plan.save` writes one.")
    if data.get("version") != _VERSION:
        raise PlanError(f"{name} has version {data.get('version')!r} of the format; this symsi reads {_VERSION}.")
    try:
        if data.get("hash") != digest(data["plan"]):
            raise PlanError(f"{name} was changed after it was written: its hash is another. Make the plan anew.")
        found: dict[str, Any] = _decode(data["plan"])
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        raise error if isinstance(error, PlanError) else PlanError(f"{name} is no plan of symsi: {error}.") from None
    return found


def shown(value: Any) -> str:
    """Return a coefficient for a table: a number, or the range over modes."""
    if isinstance(value, Tensor) and value.numel() > 1:
        return f"{float(value.detach().min()):.5g}..{float(value.detach().max()):.5g}"
    return f"{float(value.detach() if isinstance(value, Tensor) else value):.5g}"


def _encode(value: Any) -> Any:
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {_INFINITE: int(math.copysign(1, value))}
    if isinstance(value, Tensor):
        numbers = value.detach().to("cpu", torch.float64).contiguous()
        text = base64.b64encode(numbers.numpy().astype("<f8").tobytes()).decode()
        return {"shape": list(numbers.shape), "float64": text}
    if isinstance(value, Reference):
        return {name: _encode(getattr(value, name)) for name in _REFERENCE}
    if isinstance(value, Mapping):
        return {str(k): _encode(v) for k, v in value.items()}
    return [_encode(v) for v in value]


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return [_decode(v) for v in value]
    if isinstance(value, dict) and set(value) == {_INFINITE}:
        return math.copysign(math.inf, value[_INFINITE])
    if isinstance(value, dict):
        if set(value) == {"shape", "float64"}:
            return _tensor(value["shape"], value["float64"])
        found = {k: _decode(v) for k, v in value.items()}
        return _reference(found) if set(value) == set(_REFERENCE) else found
    return value


def _tensor(shape: Any, text: Any) -> Tensor:
    try:
        data = base64.b64decode(text, validate=True)
        if not all(isinstance(n, int) and n >= 0 for n in shape) or math.prod(shape) * 8 != len(data):
            raise ValueError
        return torch.frombuffer(bytearray(data), dtype=torch.float64).reshape(shape) if data else torch.empty(shape)
    except (TypeError, ValueError, binascii.Error, RuntimeError):
        raise PlanError("the file holds numbers in a form that none of ours has.") from None


def _reference(found: dict[str, Any]) -> Reference:
    kind, variances, mean, basis = (found[name] for name in _REFERENCE)
    if not all(isinstance(v, Tensor) for v in (variances, mean)) or not isinstance(basis, Tensor | None):
        raise PlanError("the file holds a reference in a form that none of ours has.")
    try:
        return Reference(str(kind), variances, mean, basis)
    except SymsiError as error:
        raise PlanError(str(error)) from None

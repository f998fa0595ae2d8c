"""Tensors in a file: the one place where symsi opens safetensors, and what it refuses of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from symsi.errors import SymsiError
from symsi.files import check_regular, trouble
from symsi.models.protocol import FLOATS

__all__ = ["read_metadata", "read_tensors"]

_AXES = 16  # of a tensor
_WHOLE = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


def read_tensors(path: str | Path, what: str, remedy: str) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Return the metadata and the tensors of a safetensors file, on the CPU, with no more memory than its size.

    Raises SymsiError, "cannot read `what` from `path`: ... `remedy`", where it is missing, no regular file, damaged, or
    holds a tensor that is neither in FLOATS nor boolean nor of integers (complex, or of 8 bits a float), or has more
    than 16 axes.
    """
    return _read(path, what, remedy, tensors=True)


def read_metadata(path: str | Path, what: str, remedy: str) -> dict[str, str]:
    """Return the metadata alone, with the errors of `read_tensors`."""
    return _read(path, what, remedy, tensors=False)[0]


def _read(path: str | Path, what: str, remedy: str, *, tensors: bool) -> tuple[dict[str, str], dict[str, Tensor]]:
    held: dict[str, Tensor] = {}
    try:
        check_regular(path)
        with safe_open(path, "pt") as file:
            metadata = dict(file.metadata() or {})
            for name in file.keys() if tensors else ():
                held[name] = _number(name, file.get_tensor(name))
    except (OSError, SafetensorError, ValueError, RuntimeError, TypeError, KeyError, AttributeError) as error:
        raise SymsiError(f"cannot read {what} from {path}: {trouble(error)}. {remedy}") from None
    return metadata, held


def _number(name: str, value: Any) -> Tensor:
    if value.ndim > _AXES:
        raise ValueError(f"its {name[:80]} has {value.ndim} axes")
    if value.dtype not in FLOATS + _WHOLE:
        raise ValueError(f"its {name[:80]} is in {str(value.dtype).removeprefix('torch.')}, which is not read here")
    found: Tensor = value
    return found

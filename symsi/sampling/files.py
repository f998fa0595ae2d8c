"""Samples in files: numpy's .npz and .safetensors, or a picture; written whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from symsi.errors import SymsiError
from symsi.files import check_free, write_atomic
from symsi.plotting.mosaic import PICTURES, write_png
from symsi.sampling.sample import SampleResult

__all__ = ["SUFFIXES", "check_samples", "write_samples"]


SUFFIXES = (".npz", ".safetensors", *PICTURES)


def check_samples(path: Path, *, force: bool = False) -> None:
    """Raise SymsiError, before any work is done, for a suffix that is not in SUFFIXES or a file that exists."""
    if path.suffix not in SUFFIXES:
        raise SymsiError(f"cannot write samples to {path.name!r}: the suffix must be one of {', '.join(SUFFIXES)}.")
    check_free(path, force=force)


def write_samples(result: SampleResult, path: Path, *, force: bool = False) -> Path:
    """Write `samples` (and `path`, if there is one), with NFE, grid and model as metadata; a picture by its suffix."""
    check_samples(path, force=force)
    if path.suffix == ".png":
        return write_png(result.x * result.model.gain + result.model.offset, path, force=force)
    if path.suffix in PICTURES:
        result.plot(path, force=force)
        return path
    tensors = {"samples": result.x.cpu().contiguous()}
    if result.path is not None:
        tensors["path"] = result.path.cpu().contiguous()
    about = {"model": result.model.name, "nfe": str(result.nfe), "grid": json.dumps(result.plan.grid)}

    def write(temporary: Path) -> None:
        if path.suffix == ".safetensors":
            save_file(tensors, temporary, metadata=about)
            return
        with temporary.open("wb") as file:
            arrays: dict[str, Any] = {
                name: (tensor if tensor.dtype == torch.float64 else tensor.float()).numpy()
                for name, tensor in tensors.items()
            }
            arrays |= {name: np.array(value) for name, value in about.items()}
            np.savez_compressed(file, **arrays)

    return write_atomic(path, write, force=force)

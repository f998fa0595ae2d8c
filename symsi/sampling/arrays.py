"""Samples out of files: .npy, .npz and .safetensors; never a pickle, and no more memory than a file is good for."""

from __future__ import annotations

import math
import os
import zipfile
import zlib
from pathlib import Path
from tokenize import TokenError
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from symsi.errors import SymsiError
from symsi.files import check_regular, trouble
from symsi.models.tensor_file import read_tensors

__all__ = ["READ", "read_samples"]

READ = (".npy", ".npz", ".safetensors")
_MOST = 256  # times its packed size, what an array of an .npz may be; of noise it is near 1
_SMALL = 2**20  # bytes, for which that does not matter
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_FAILURES = (OSError, ValueError, TypeError, LookupError, ArithmeticError, RuntimeError, EOFError, SyntaxError)


def read_samples(path: Path) -> Tensor:
    """Return the array of numbers in a file of the suffixes `READ`, as (N, ...): the one called "samples", or the only.

    Numbers are in the dtype of the file. Raises SymsiError for another suffix, a file that is missing, damaged, no
    regular file, or unpacks to more than 256 times its size, and for what is no array of real numbers with samples.
    """
    if path.suffix not in READ:
        raise SymsiError(f"samples are read from {', '.join(READ)}; got {path.name!r}.")
    try:
        if path.suffix == ".safetensors":
            held = read_tensors(path, "samples", "`symsi sample` writes such files.")[1]
            found = held[_chosen(list(held), "samples")]
        else:
            check_regular(path)
            array = _packed(path) if path.suffix == ".npz" else _plain(path)
            found = torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=True))
    except (*_FAILURES, TokenError, zipfile.BadZipFile, zlib.error) as error:
        raise SymsiError(f"cannot read samples from {path}: {trouble(error)}.") from None
    if not found.ndim or not found.numel():
        raise SymsiError(f"{path} holds no samples (N, ...); its shape is {tuple(found.shape)}.")
    return found


def _chosen(names: list[str], wanted: str) -> str:
    if wanted not in names and len(names) != 1:
        raise ValueError(f"it holds {', '.join(sorted(names))[:80] or 'nothing'}; name the one to use 'samples'")
    return wanted if wanted in names else names[0]


def _plain(path: Path) -> np.ndarray[Any, Any]:
    with path.open("rb") as file:
        return _array(file, os.fstat(file.fileno()).st_size)


def _packed(path: Path) -> np.ndarray[Any, Any]:
    with zipfile.ZipFile(path) as archive:
        about = archive.getinfo(_chosen(archive.namelist(), "samples.npy"))
        if about.file_size > max(_SMALL, _MOST * about.compress_size):
            raise ValueError(
                f"{about.filename[:80]} would unpack to {about.file_size / about.compress_size:.0f} times its size"
            )
        with archive.open(about) as file:
            return _array(file, about.file_size)  # type: ignore[arg-type]


def _array(file: BinaryIO, size: int) -> np.ndarray[Any, Any]:
    """The array that a .npy file of so many bytes holds. Raises ValueError where it is none, or of other things."""
    if file.read(6) != b"\x93NUMPY":
        raise ValueError("it is no .npy file")
    version = tuple(file.read(2))
    if version not in _HEADERS:
        raise ValueError(f"it is a .npy file of version {version}, and (1, 0) and (2, 0) are read")
    shape, by_columns, kind = _HEADERS[version](file)
    if kind.kind not in "fiub":
        raise ValueError(f"it holds {kind}, not numbers")
    if kind.itemsize > 8:
        raise ValueError(f"it holds {kind}; at most 8 bytes a number are read")
    if math.prod(shape) * kind.itemsize != size - file.tell():
        raise ValueError(f"its size is not that of an array of shape {shape}"[:200])
    return np.frombuffer(file.read(), kind).reshape(shape, order="F" if by_columns else "C")

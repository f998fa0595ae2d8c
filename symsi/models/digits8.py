"""`digits8`: 1 797 real 8 x 8 digits, and the exact model of their empirical measure with a bandwidth."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from symsi.models.analytic import Mixture, empirical

__all__ = ["BANDWIDTH", "digits", "distribution"]

_FILE = Path(__file__).parent / "weights" / "digits8.safetensors"
BANDWIDTH = 0.2  # of the kernel, in units of the data's standard deviation


@lru_cache(maxsize=1)
def digits() -> tuple[Tensor, Tensor]:
    """Return (images, labels): (1797, 1, 8, 8) float64, centred by pixel, of mean variance 1; and (1797,) int64.

    UCI's optical recognition of handwritten digits (Alpaydin & Kaynak, CC BY 4.0), as scikit-learn ships it.
    """
    held = load_file(_FILE)
    images = held["images"].double()
    centred = images - images.mean(0)
    return centred / centred.square().mean().sqrt(), held["labels"].long()


@lru_cache(maxsize=1)
def distribution() -> Mixture:
    """Return the digits smoothed by N(0, BANDWIDTH^2 I), whose fields are exact."""
    return empirical(digits()[0], BANDWIDTH)

"""Images as diffusers hands them over."""

from __future__ import annotations

from typing import Any

from diffusers import DiffusionPipeline
from torch import Tensor

from symsi.errors import unknown

__all__ = ["OUTPUTS", "check_output", "shown"]

OUTPUTS = ("pil", "np", "pt", "latent")


def check_output(kind: str) -> None:
    """Raise UnknownNameError for what is no output type."""
    if kind not in OUTPUTS:
        raise unknown("output type", str(kind), OUTPUTS)


def shown(images: Tensor, kind: str) -> Any:
    """Return images (B, C, H, W) in [0, 1] as what diffusers calls "pt", "np" and "pil"."""
    images = images.float().clamp(0, 1)
    if kind == "pt":
        return images
    array = images.cpu().permute(0, 2, 3, 1).numpy()
    return array if kind == "np" else DiffusionPipeline.numpy_to_pil(array)

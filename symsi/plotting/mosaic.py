"""Images side by side as a PNG, pixel by pixel and without a drawing library; which pictures there are."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from symsi.errors import SymsiError
from symsi.files import check_free, write_atomic

__all__ = ["PICTURES", "check_images", "check_picture", "mosaic", "write_png"]

PICTURES = (".png", ".svg", ".pdf")
_WIDTH = 900  # pixels that a picture is enlarged to, as far as whole times an image's go


def check_picture(path: Path, *, force: bool = False) -> None:
    """Raise SymsiError, before any work is done, for a suffix that is no picture or a file that exists."""
    if path.suffix not in PICTURES:
        raise SymsiError(f"cannot draw {path.name!r}: the suffix must be one of {', '.join(PICTURES)}.")
    check_free(path, force=force)


def check_images(images: Tensor) -> None:
    """Raise SymsiError for a tensor that is no images (N, 1 or 3, H, W)."""
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise SymsiError(f"only images (N, 1 or 3, H, W) can be drawn; got {tuple(images.shape)}.")


def mosaic(images: Tensor, columns: int | None = None) -> Any:
    """Lay images out in lines of `columns`, by default as a square: an array (H, W) or (H, W, 3) from 0 to 1."""
    across = columns or math.ceil(math.sqrt(len(images)))
    count = -(-len(images) // across) * across
    shown = images.detach().float().cpu().clamp(0, 1)
    padded = shown.new_ones((count, *shown.shape[1:]))
    padded[: len(shown)] = shown
    _, channels, height, width = padded.shape
    whole = padded.reshape(-1, across, channels, height, width).permute(0, 3, 1, 4, 2)
    return whole.reshape(-1, across * width, channels).squeeze(-1).numpy()


def write_png(images: Tensor, path: Path, *, force: bool = False) -> Path:
    """Write images (N, 1 or 3, H, W) from 0 to 1 side by side, each pixel as a square. Raises SymsiError."""
    check_picture(path, force=force)
    check_images(images)
    whole = torch.from_numpy(mosaic(images))
    times = max(1, _WIDTH // whole.shape[1])
    pixels = whole.mul(255).round().to(torch.uint8).repeat_interleave(times, 0).repeat_interleave(times, 1)
    picture = Image.fromarray(pixels.numpy())
    return write_atomic(path, lambda temporary: picture.save(temporary, format="PNG"), force=force)

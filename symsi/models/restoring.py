"""Degraded pictures x0 = U A x1 + sigma n, and the network that bridges from them to the pictures x1.

A takes the means of blocks of `BLOCK` x `BLOCK` pixels, U enlarges them again, sigma = `SIGMA`, and n ~ N(0, I) has the
shape of x1. U A x0, which says as much of x1 as x0 does, is told to the network beside the state: it learns the bridge
from the law of x0 to that of x1 given U A x0. Given all of x0 that law would be a point, from which the ODE reaches but
one picture; within a block it is N(0, sigma^2), whatever the picture.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from symsi.models.unet import UNet

__all__ = ["BLOCK", "HEADS", "SIGMA", "Restorer", "averages", "degrade"]

BLOCK = 4  # pixels: 28 x 28 of them become 7 x 7
SIGMA = 0.5  # in units of the model, in which pixels have standard deviation 1
HEADS = 2


def averages(x: Tensor) -> Tensor:
    """Return U A x, the mean of its block in place of each pixel, for x (B, C, H, W) whose sides `BLOCK` divides."""
    return F.interpolate(F.avg_pool2d(x, BLOCK), scale_factor=BLOCK, mode="nearest")


def degrade(images: Tensor, noise: Tensor) -> Tensor:
    """Return x0 = U A x1 + sigma n for images x1 and noise n, both (B, C, H, W) in units of the model."""
    return averages(images) + SIGMA * noise


class Restorer(nn.Module):
    """The first `heads` of the `HEADS` predictions of a U-Net of HEADS C channels at (x, U A x0), each (B, C, H, W).

    A tuple of them; for heads = 1 the tensor alone.
    """

    def __init__(self, net: UNet, heads: int = HEADS) -> None:
        super().__init__()
        self.net, self.heads = net, heads

    def forward(self, x: Tensor, t: Tensor, start: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Return the predictions at x (B, C, H, W) and t (B,), for `start` x0, of the shape of x."""
        found: tuple[Tensor, ...] = self.net(torch.cat([x, averages(start.to(x.dtype))], 1), t).chunk(HEADS, 1)
        return found[0] if self.heads == 1 else found[: self.heads]

"""The network of a distilled flow map: a pretrained U-Net that is also told how far to go."""

from __future__ import annotations

import math
from copy import copy

import torch
from torch import Tensor, nn

from symsi.coefficients.kernels import Kernels, kernels
from symsi.coefficients.runtime import mix
from symsi.interpolants.schedule import Schedule
from symsi.models.filled import filled
from symsi.models.unet import UNet
from symsi.theory.conversion import Conversion, convert

__all__ = ["LONGEST", "MapNet"]

LONGEST = (0.125, 4.0)  # cycles over [0, 1] of the embedding of t - s: smooth, unlike the U-Net's of s


class MapNet(nn.Module):
    """u_{s,t}(x) = F_s x + G_s N(x / c_s, tau_s, t - s), F and G of the velocity of `schedule` (T6).

    N is the U-Net, whose condition is embed(tau_s) + span(s, t - s) + label. The last layer of `span` starts at 0, so
    that u_{s,t} = v_s bit for bit, and the derivative of x + (t - s) u_{s,t} in t is v_s. x is (B, *shape), s and t
    (B,) in the time of `schedule`, from 0 (noise) to 1 (data).
    """

    def __init__(self, net: UNet, base: Schedule | str, schedule: Schedule | str, prediction: str = "velocity") -> None:
        super().__init__()
        self.net = net
        size, embedded = net.config.width, 4 * net.config.width
        last = nn.Linear(embedded, embedded)
        for weight in last.parameters():
            nn.init.zeros_(weight)
        self.span = nn.Sequential(nn.Linear(2 * size, embedded), nn.SiLU(), last)
        self._kernels: Kernels = kernels(convert(base, schedule, prediction=prediction))

    @property
    def conversion(self) -> Conversion:
        """From the schedule of the U-Net to that of the map, for what the U-Net predicts."""
        return self._kernels.conversion

    def in_dialect(self, dialect: str) -> MapNet:
        """Return the same network, with formulas that keep to the functions of "torch" or "onnx"."""
        twin = copy(self)
        twin._kernels = kernels(self._kernels.conversion, dialect)
        return twin

    @filled
    def forward(self, x: Tensor, s: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        """Return u_{s,t}(x), with the shape of x."""
        found = self._kernels.functions["velocity"](s.to(torch.float64))
        inner, tau = self._kernels.model_input(x, s)
        size = self.net.config.width
        told = torch.cat([_smooth(t - s, size), _smooth(s, size)], 1).to(x.dtype)
        condition = self.net.condition(inner, tau.to(torch.promote_types(x.dtype, torch.float32)), label)
        predicted = self.net.at(inner, condition + self.span(told))
        return mix(found["velocity_state"], x, found["velocity_prediction"], predicted)


def _smooth(t: Tensor, size: int) -> Tensor:
    """sin and cos of 2 pi f t, f geometric over LONGEST, in the dtype of t."""
    low, high = (math.log(f) for f in LONGEST)
    f = torch.exp(torch.linspace(low, high, size // 2, device=t.device, dtype=t.dtype))
    angle = t[:, None] * f * (2 * math.pi)
    return torch.cat([torch.sin(angle), torch.cos(angle)], 1)

"""A small U-Net for images, conditioned on time and, if it has classes, on a label.

It predicts whatever it was trained to predict; the weights file says what.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from symsi.errors import SymsiError
from symsi.models.filled import filled

__all__ = ["Config", "UNet"]

_BLOCKS = 256  # residual ones; a file of a few bytes could ask for millions
_LARGEST = 2**20


@dataclass(frozen=True)
class Config:
    """The shape of a U-Net.

    `patch` x `patch` pixels become channels first; then each level has `width` times a multiplier, `blocks` residual
    blocks and half the resolution of the one before. `classes` = 0 is a net without labels. Raises SymsiError, naming
    the field, for numbers that no such net has.
    """

    channels: int = 1
    patch: int = 2
    width: int = 48
    multipliers: tuple[int, ...] = (1, 2)
    blocks: int = 1
    classes: int = 10
    heads: int = 4

    def __post_init__(self) -> None:
        """Check the numbers: groups of 8 channels, heads that divide those of the middle, blocks that can be made."""
        if not isinstance(self.multipliers, tuple) or not self.multipliers:
            raise SymsiError(
                f"multipliers must be one or more whole numbers, such as (1, 2); got {self.multipliers!r}."
            )
        numbers = {**asdict(self), **{f"multipliers[{k}]": m for k, m in enumerate(self.multipliers)}}
        del numbers["multipliers"]
        for name, number in numbers.items():
            least = 0 if name == "classes" else 1
            if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= _LARGEST:
                raise SymsiError(f"{name} must be a whole number from {least} to {_LARGEST}; got {number!r:.40}.")
        blocks = (2 * self.blocks + 1) * len(self.multipliers) + 2
        if blocks > _BLOCKS:
            raise SymsiError(f"a U-Net has at most {_BLOCKS} residual blocks; these would be {blocks}.")
        if self.width % 8:
            raise SymsiError(f"width must be a multiple of 8, the groups of a norm; got {self.width}.")
        middle = self.width * self.multipliers[-1]
        if middle % self.heads:
            raise SymsiError(f"heads must divide the {middle} channels of the middle; got {self.heads}.")

    def check_shape(self, shape: Sequence[int]) -> None:
        """Raise SymsiError unless the net takes samples of this shape, (channels, H, W) with sides that halve."""
        side = self.patch * 2 ** (len(self.multipliers) - 1)
        fits = len(shape) == 3 and all(isinstance(n, int) and n > 0 for n in shape) and shape[0] == self.channels
        if not fits or any(n % side for n in shape[1:]):
            raise SymsiError(
                f"the net takes samples of shape ({self.channels}, H, W) with sides that are multiples of {side}; "
                f"got {tuple(shape)!r:.60}."
            )

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Config:
        """Read what `to_json` wrote. Raises TypeError for other fields, SymsiError for other numbers."""
        return cls(**{**data, "multipliers": tuple(data["multipliers"])})


class UNet(nn.Module):
    """x of shape (B, channels, H, W), t of shape (B,) in [0, 1]; `label` of shape (B,), -1 for no class."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        width, embedded = config.width, 4 * config.width
        self.time = nn.Sequential(nn.Linear(width * 2, embedded), nn.SiLU(), nn.Linear(embedded, embedded))
        self.label = nn.Embedding(config.classes + 1, embedded)
        pixels = config.channels * config.patch**2
        self.enter = nn.Conv2d(pixels, width, 3, padding=1)
        sizes = [width * m for m in config.multipliers]
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        kept, current = [width], width
        for level, size in enumerate(sizes):
            for _ in range(config.blocks):
                self.down.append(_Block(current, size, embedded))
                current = size
                kept.append(current)
            if level < len(sizes) - 1:
                self.down.append(nn.Conv2d(current, current, 3, stride=2, padding=1))
                kept.append(current)
        self.middle = nn.ModuleList(
            [_Block(current, current, embedded), _Attention(current, config.heads), _Block(current, current, embedded)]
        )
        for level, size in reversed(list(enumerate(sizes))):
            for _ in range(config.blocks + 1):
                self.up.append(_Block(current + kept.pop(), size, embedded))
                current = size
            if level:
                self.up.append(_Upsample(current))
        self.leave = nn.Sequential(nn.GroupNorm(8, current), nn.SiLU(), nn.Conv2d(current, pixels, 3, padding=1))
        _zero(self.leave[2])

    @filled
    def forward(self, x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        """Return the prediction at (x, t), with the shape of x."""
        return self.at(x, self.condition(x, t, label))

    def condition(self, x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        """Return what the blocks are told of the time and the class, (B, 4 width)."""
        none = torch.full((x.shape[0],), -1, device=x.device)  # len(x) would be a constant to torch.export
        condition: Tensor = self.time(_frequencies(t, 2 * self.config.width).to(x.dtype))
        found: Tensor = condition + self.label((none if label is None else label) + 1)
        return found

    def at(self, x: Tensor, condition: Tensor) -> Tensor:
        """Return the prediction at x under a condition."""
        h = self.enter(F.pixel_unshuffle(x, self.config.patch))
        kept = [h]
        for layer in self.down:
            h = layer(h, condition) if isinstance(layer, _Block) else layer(h)
            kept.append(h)
        for layer in self.middle:
            h = layer(h, condition) if isinstance(layer, _Block) else layer(h)
        for layer in self.up:
            h = layer(torch.cat([h, kept.pop()], 1), condition) if isinstance(layer, _Block) else layer(h)
        return F.pixel_shuffle(self.leave(h), self.config.patch)


class _Block(nn.Module):
    """Two convolutions, the condition as scale and shift between them, and a shortcut."""

    def __init__(self, inputs: int, outputs: int, embedded: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.GroupNorm(8, inputs), nn.SiLU(), nn.Conv2d(inputs, outputs, 3, padding=1))
        self.condition = nn.Linear(embedded, 2 * outputs)
        self.norm = nn.GroupNorm(8, outputs)
        self.second = nn.Sequential(nn.SiLU(), nn.Conv2d(outputs, outputs, 3, padding=1))
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        _zero(self.second[1])

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        scale, shift = self.condition(F.silu(condition))[:, :, None, None].chunk(2, 1)
        h = self.norm(self.first(x)) * (1 + scale) + shift
        found: Tensor = self.shortcut(x) + self.second(h)
        return found


class _Attention(nn.Module):
    """Self-attention over all positions."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(8, channels)
        self.inputs = nn.Conv2d(channels, 3 * channels, 1)
        self.output = nn.Conv2d(channels, channels, 1)
        _zero(self.output)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        q, k, v = self.inputs(self.norm(x)).reshape(batch, 3, self.heads, -1, height * width).transpose(3, 4).unbind(1)
        h = F.scaled_dot_product_attention(q, k, v).transpose(2, 3).reshape(batch, channels, height, width)
        found: Tensor = x + self.output(h)
        return found


class _Upsample(nn.Module):
    """Nearest-neighbour doubling, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.convolution(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return found


def _frequencies(t: Tensor, size: int, sizes: Sequence[float] = (0.5, 500.0)) -> Tensor:
    """sin and cos of 2 pi f t, for f geometric over `sizes`, in float32, or the float64 of t."""
    count = size // 2
    f = torch.exp(torch.linspace(math.log(sizes[0]), math.log(sizes[1]), count, device=t.device))
    angle = t.to(torch.promote_types(t.dtype, torch.float32))[:, None] * f * (2 * math.pi)
    return torch.cat([torch.sin(angle), torch.cos(angle)], 1)


def _zero(layer: nn.Module) -> None:
    """Start a layer at 0, so that its block starts as the identity."""
    for weight in layer.parameters():
        nn.init.zeros_(weight)

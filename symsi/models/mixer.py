"""A second classifier of digits, of another build than the one whose features judge samples: what rewards ask."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor, nn

from symsi.errors import SymsiError
from symsi.files import write_atomic
from symsi.models.filled import filled
from symsi.models.pretrained import WEIGHTS, check_digest, described, digest, read_weights

__all__ = ["MIXER", "Mixer", "load_mixer", "save_mixer"]

MIXER = WEIGHTS / "digits28-reward.safetensors"
_FORMAT, _VERSION = "symsi-mixer", "1"
_SHAPE, _CLASSES = (1, 28, 28), 10
_TOKENS, _WIDTH, _BLOCKS = 49, 48, 4


class Mixer(nn.Module):
    """Overlapping patches of 8 x 8 pixels as 49 tokens of width 48, mixed over tokens and channels; 67 k parameters.

    It takes x of shape (B, 1, 28, 28), images of mean 0 and standard deviation 1 as `Dataset.read` gives.
    """

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, _WIDTH, 8, stride=4, padding=2)
        self.blocks = nn.ModuleList(_Block() for _ in range(_BLOCKS))
        self.norm = nn.LayerNorm(_WIDTH)
        self.head = nn.Linear(_WIDTH, _CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits, (B, 10). Raises SymsiError for another shape of x."""
        if x.shape[1:] != _SHAPE:
            raise SymsiError(f"the mixer takes a tensor of shape (B, 1, 28, 28); got {tuple(x.shape)}.")
        return self._logits(x)

    @filled
    def _logits(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).mT
        for block in self.blocks:
            tokens = block(tokens)
        logits: Tensor = self.head(self.norm(tokens).mean(1))
        return logits


class _Block(nn.Module):
    """x + T(LN x) over tokens, then x + C(LN x) over channels, T and C of one hidden layer each."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(_WIDTH) for _ in range(2))
        self.tokens = _hidden(_TOKENS, 64)
        self.channels = _hidden(_WIDTH, 96)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.tokens(self.norms[0](x).mT).mT
        mixed: Tensor = x + self.channels(self.norms[1](x))
        return mixed


def save_mixer(path: Path, net: Mixer, *, accuracy: float, note: str, force: bool = False) -> Path:
    """Write a mixer with its accuracy on held-out images and how it was made, atomically.

    Raises SymsiError if `path` exists and not `force`.
    """
    held: Mapping[str, Tensor] = {n: w.detach().cpu().contiguous() for n, w in net.state_dict().items()}
    metadata = {"format": _FORMAT, "version": _VERSION, "accuracy": repr(accuracy), "hash": digest(held), "note": note}
    return write_atomic(path, lambda temporary: save_file(dict(held), temporary, metadata=metadata), force=force)


def load_mixer(path: Path = MIXER) -> tuple[Mixer, dict[str, str]]:
    """Return what `save_mixer` wrote, in eval mode on the CPU and frozen, and its metadata.

    Raises SymsiError for a file that is missing, damaged, of another format or version, or does not hold the weights it
    describes.
    """
    metadata, weights = read_weights(path, _FORMAT, _VERSION)
    net = Mixer()
    with described(path):
        net.load_state_dict(weights)
        check_digest(metadata["hash"], weights)
    return net.eval().requires_grad_(False), metadata


def _hidden(size: int, hidden: int) -> nn.Module:
    return nn.Sequential(nn.Linear(size, hidden), nn.GELU(), nn.Linear(hidden, size))

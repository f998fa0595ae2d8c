"""Gaussian references N(m, U diag(lambda) U^T) for modal lazy sampling: a basis, its variances, and a mean."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from symsi.errors import SymsiError, unknown
from symsi.files import trouble, write_atomic

__all__ = ["KINDS", "Reference", "isotropic", "load", "save"]

KINDS = ("isotropic", "channel", "dct", "pca")
_FORMAT, _VERSION = "symsi-reference", "1"


@dataclass(frozen=True, eq=False)
class Reference:
    """A Gaussian in float64: `variances` > 0 has the shape of the modes (or one that broadcasts to it).

    kind "isotropic": the modes are the components, one variance; "channel": one a channel; "dct": the orthonormal
    cosine basis of the last two axes; "pca": the columns of `basis` (D, r), and for r < D what is left of x after
    projection, with one variance (the last). `mean` has the shape of a sample, or is a number. Raises
    UnknownNameError for another kind and SymsiError for variances that are not positive.
    """

    kind: str
    variances: Tensor
    mean: Tensor
    basis: Tensor | None = None

    def __post_init__(self) -> None:
        """Check the kind and the variances."""
        if self.kind not in KINDS:
            raise unknown("reference", self.kind, KINDS)
        if not bool((self.variances > 0).all()) or not bool(torch.isfinite(self.variances).all()):
            raise SymsiError(f"the variances of a reference must be positive; the least is {self.variances.min():.3g}.")

    def beside(self, x: Tensor) -> Reference:
        """Put mean and basis on the device of x, in its dtype."""
        basis = None if self.basis is None else self.basis.to(x)
        return replace(self, mean=self.mean.to(x), basis=basis)

    def forward(self, x: Tensor) -> Tensor:
        """U^T x, for x of shape (B, *shape)."""
        if self.kind == "dct":
            return _cosines_of(x, -2) @ x @ _cosines_of(x, -1).mT
        if self.basis is None:
            return x
        basis = self.basis.to(x)
        flat = x.reshape(len(x), -1)
        modes = flat @ basis
        return torch.cat([modes, flat - modes @ basis.mT], 1) if self._low_rank else modes

    def inverse(self, modes: Tensor, shape: tuple[int, ...]) -> Tensor:
        """U modes, of shape (B, *shape)."""
        if self.kind == "dct":
            return _cosines_of(modes, -2).mT @ modes @ _cosines_of(modes, -1)
        if self.basis is None:
            return modes
        basis = self.basis.to(modes)
        rank = basis.shape[1]
        x = modes[:, :rank] @ basis.mT
        return (x + modes[:, rank:] if self._low_rank else x).reshape(len(modes), *shape)

    @property
    def modal_variances(self) -> Tensor:
        """Lambda of each mode, in a shape that broadcasts to (modes)."""
        if not self._low_rank or self.basis is None:
            return self.variances
        return torch.cat([self.variances[:-1], self.variances[-1:].expand(len(self.basis))])

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise SymsiError unless samples of this shape fit."""
        size = math.prod(shape)
        fits = self.mean.ndim == 0 or tuple(self.mean.shape) == shape
        if self.kind == "channel":
            fits &= len(shape) > 1 and tuple(self.variances.shape) == (shape[0],) + (1,) * (len(shape) - 1)
        if self.kind == "dct":
            fits &= tuple(self.variances.shape) == shape
        if self.kind == "isotropic":
            fits &= self.variances.numel() == 1
        if self.kind == "pca":
            fits &= self.basis is not None and len(self.basis) == size
            fits = fits and self.basis is not None and len(self.variances) == self.basis.shape[1] + self._low_rank
        if not fits:
            raise SymsiError(
                f"the {self.kind} reference was made for samples of another shape than {shape}: "
                f"mean {tuple(self.mean.shape)}, variances {tuple(self.variances.shape)}. Calibrate one for this model."
            )

    @property
    def _low_rank(self) -> bool:
        return self.basis is not None and self.basis.shape[1] < self.basis.shape[0]


def isotropic(variance: float = 1.0, mean: float = 0.0) -> Reference:
    """N(mean, variance I). Raises SymsiError unless 0 < variance < infinity."""
    if not 0 < variance < math.inf:
        raise SymsiError(f"variance must be positive and finite; got {variance}.")
    return Reference("isotropic", torch.tensor([variance], dtype=torch.float64), torch.tensor(float(mean)).double())


def save(reference: Reference, path: str | Path, *, force: bool = False) -> Path:
    """Write a reference (safetensors), atomically. Raises SymsiError if `path` exists and not `force`."""
    tensors = {"variances": reference.variances, "mean": reference.mean}
    if reference.basis is not None:
        tensors["basis"] = reference.basis
    held = {name: tensor.contiguous() for name, tensor in tensors.items()}
    metadata = {"format": _FORMAT, "version": _VERSION, "kind": reference.kind}
    return write_atomic(Path(path), lambda temporary: save_file(held, temporary, metadata=metadata), force=force)


def load(path: str | Path) -> Reference:
    """Read what `save` wrote. Raises SymsiError for a file that is missing, damaged or of another kind."""
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (OSError, SafetensorError) as error:
        raise SymsiError(
            f"cannot read a reference from {path}: {trouble(error)}. Make one with `symsi calibrate`."
        ) from None
    if (
        metadata.get("format") != _FORMAT
        or metadata.get("kind") not in KINDS
        or not {"variances", "mean"} <= set(tensors)
    ):
        raise SymsiError(f"{path} is no reference; make one with `symsi calibrate`.")
    if metadata.get("version") != _VERSION:
        raise SymsiError(f"{path} has version {metadata.get('version')}, this symsi reads {_VERSION}; calibrate anew.")
    return Reference(metadata["kind"], tensors["variances"], tensors["mean"], tensors.get("basis"))


def _cosines_of(x: Tensor, axis: int) -> Tensor:
    return _cosines(x.shape[axis], x.dtype, x.device)


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def _cosines(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The orthonormal DCT-II matrix (frequency, position)."""
    k = torch.arange(size, dtype=torch.float64)
    table = torch.cos(math.pi / size * k[:, None] * (k + 0.5)) * math.sqrt(2 / size)
    table[0] /= math.sqrt(2)
    return table.to(device, dtype)

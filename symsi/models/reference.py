"""Gaussian references N(m, U diag(lambda) U^T) for modal lazy sampling: a basis, its variances, and a mean."""

from __future__ import annotations

import math
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from symsi.errors import SymsiError, unknown
from symsi.files import write_atomic
from symsi.models.protocol import FLOATS
from symsi.models.tensor_file import read_tensors

__all__ = ["KINDS", "Reference", "isotropic", "load", "save"]

KINDS = ("isotropic", "channel", "dct", "pca")
_FORMAT, _VERSION = "symsi-reference", "1"
_LEAST = torch.finfo(torch.float64).tiny  # variance: of those below it 1/lambda is not finite
_TOLERANCE = 1e-5  # of U^T U v = v, for columns in float32 or better


@dataclass(frozen=True, eq=False)
class Reference:
    """A Gaussian in float64: `variances` > 0 has the shape of the modes (or one that broadcasts to it).

    kind "isotropic": the modes are the components, one variance; "channel": one a channel; "dct": the orthonormal
    cosine basis of the last two axes; "pca": the columns of `basis` (D, r), and for r < D what is left of x after
    projection, with one variance (the last). `mean` has the shape of a sample, or is a number. Raises
    UnknownNameError for another kind, and SymsiError for numbers that are not finite, variances that are not positive,
    and columns that are not orthonormal.
    """

    kind: str
    variances: Tensor
    mean: Tensor
    basis: Tensor | None = None

    def __post_init__(self) -> None:
        """Check the kind, that all numbers are, and that the basis is one."""
        if self.kind not in KINDS:
            raise unknown("reference", self.kind, KINDS)
        held = {"variances": self.variances, "mean": self.mean} | ({} if self.basis is None else {"basis": self.basis})
        for name, value in held.items():
            if not isinstance(value, Tensor) or value.dtype not in FLOATS or value.layout is not torch.strided:
                got = str(value.dtype) if isinstance(value, Tensor) else type(value).__name__
                raise SymsiError(f"{name} of a reference must be a dense floating-point tensor; got {got}.")
            if not bool(torch.isfinite(value).all()):
                raise SymsiError(f"{name} of a reference must be finite, and holds nan or inf.")
        if not self.variances.numel() or not bool((self.variances >= _LEAST).all()):
            least = f"{self.variances.min():.3g}" if self.variances.numel() else "none"
            raise SymsiError(
                f"the variances of a reference must be positive, at least {_LEAST:.3g}; the least is {least}."
            )
        self._check_basis()

    def beside(self, x: Tensor) -> Reference:
        """Put mean and basis on the device of x, in its dtype."""
        beside = copy(self)  # what was checked is not checked again, in a dtype that rounds
        object.__setattr__(beside, "mean", self.mean.to(x))
        object.__setattr__(beside, "basis", None if self.basis is None else self.basis.to(x))
        return beside

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
            fits &= len(shape) > 1 and tuple(self.variances.shape) == shape
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

    def _check_basis(self) -> None:
        """Raise SymsiError unless U^T (U v) = v for random v, and there is a variance a column."""
        if (self.basis is None) != (self.kind != "pca"):
            raise SymsiError(f"a reference has a basis if its kind is pca; this one is of kind {self.kind}.")
        if self.basis is None:
            return
        basis, count = self.basis, tuple(self.variances.shape)
        fits = basis.ndim == 2 and 0 < basis.shape[1] <= basis.shape[0]
        if not fits or count != (basis.shape[1] + self._low_rank,):
            raise SymsiError(
                f"the basis of a reference must be (D, r) with 0 < r <= D, and its variances (r,), or (r + 1,) for "
                f"r < D; got {tuple(basis.shape)} and {count}."
            )
        v = torch.randn(basis.shape[1], 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).to(
            basis.device
        )
        exact = basis.to(torch.float64)
        off = float((exact.mT @ (exact @ v) - v).abs().max())
        if not off <= _TOLERANCE:
            raise SymsiError(f"the columns of a reference's basis must be orthonormal; U^T U v is {off:.2g} from v.")

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
    held = {name: tensor.contiguous().clone() for name, tensor in tensors.items()}  # they may be one tensor
    metadata = {"format": _FORMAT, "version": _VERSION, "kind": reference.kind}
    return write_atomic(Path(path), lambda temporary: save_file(held, temporary, metadata=metadata), force=force)


def load(path: str | Path) -> Reference:
    """Read what `save` wrote. Raises SymsiError for a file that is missing, damaged or of another kind."""
    metadata, tensors = read_tensors(path, "a reference", "Make one with `symsi calibrate`.")
    if (
        metadata.get("format") != _FORMAT
        or metadata.get("kind") not in KINDS
        or not {"variances", "mean"} <= set(tensors)
    ):
        raise SymsiError(f"{path} is no reference; make one with `symsi calibrate`.")
    if metadata.get("version") != _VERSION:
        raise SymsiError(f"{path} has version {metadata.get('version')}, this symsi reads {_VERSION}; calibrate anew.")
    try:
        return Reference(metadata["kind"], tensors["variances"], tensors["mean"], tensors.get("basis"))
    except SymsiError as error:
        raise SymsiError(f"{path} is no reference: {error} Make one with `symsi calibrate`.") from None


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

"""The modes that the Gaussian references of two laws share: one basis in which both covariances are diagonal.

C_0 and C_1 have one eigenbasis where they commute. "isotropic" is diagonal in every basis; "channel" in that of the
components and in cosines; a full "pca" basis U is that of any covariance C for which U^T C U is diagonal, to rounding.
A low-rank "pca" shares its modes with isotropic ones, and with one of the same columns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from symsi.errors import SymsiError
from symsi.models.reference import Reference

__all__ = ["SharedModes", "shared_modes"]

_TOLERANCE = 1e-5  # of entries off the diagonal, by the largest on it: room for columns in float32
_EACH = "Give both in one basis, or an isotropic one for one of the laws."


@dataclass(frozen=True, eq=False)
class SharedModes:
    """Variances and means of two Gaussians by mode, in float64, in shapes that broadcast to the modes.

    `basis` has U^T as `forward` and U as `inverse`, and the mean 0; it is None where the modes are the components.
    """

    basis: Reference | None
    variances: tuple[Tensor, Tensor]
    means: tuple[Tensor, Tensor]


def shared_modes(references: Sequence[Reference], shape: tuple[int, ...]) -> SharedModes:
    """Return the modes of a pair of references for samples of a shape.

    Raises SymsiError for what is no pair, for references of other samples, and where the covariances do not commute,
    with the largest entry off the diagonal that one has in the other's basis.
    """
    pair = isinstance(references, (tuple, list)) and len(references) == 2
    if not pair or not all(isinstance(r, Reference) for r in references):
        raise SymsiError(
            f"a bridge takes a pair of symsi.Reference, reference=(that of x0, that of x1); got {_what(references)}."
        )
    for reference in references:
        reference.check(shape)
    first, last = references
    kept, variances = _basis(first, last, shape)
    basis = None if kept is None else replace(kept, mean=torch.zeros((), dtype=torch.float64))
    means = (_mean(first.mean, basis, shape), _mean(last.mean, basis, shape))
    return SharedModes(basis, variances, means)


def _basis(first: Reference, last: Reference, shape: tuple[int, ...]) -> tuple[Reference | None, tuple[Tensor, Tensor]]:
    """The reference whose basis serves both, None for that of the components, and the variances there."""
    own = (_own(first), _own(last))
    turned = [r for r in (first, last) if r.basis is not None or r.kind == "dct"]
    if not turned:
        return None, own
    if len(turned) == 2 and _same(first, last):
        return first, own
    if len(turned) == 1 and (turned[0].kind == "dct" or any(v.ndim == 0 for v in own)):
        return turned[0], own
    return _diagonalised(first, last, shape)


def _diagonalised(first: Reference, last: Reference, shape: tuple[int, ...]) -> tuple[Reference, tuple[Tensor, Tensor]]:
    """The full basis of one in which the other's covariance is diagonal."""
    size, largest = math.prod(shape), math.inf
    if any(r.basis is not None and r.basis.shape[1] < size for r in (first, last)):
        raise SymsiError(
            f"a low-rank pca reference shares its modes with an isotropic one, or with a pca of the same columns; got "
            f"{first.kind} and {last.kind}. {_EACH}"
        )
    for kept, other in ((first, last), (last, first)):
        if kept.basis is None:
            continue
        matrix = _covariance(other, kept, shape)
        there = matrix.diagonal().clone()
        off = float((matrix - there.diag()).abs().max())
        if off <= _TOLERANCE * float(there.max()):
            return kept, (_own(kept), there) if kept is first else (there, _own(kept))
        largest = min(largest, off / float(there.max()))
    raise SymsiError(
        f"the covariances of the two references do not commute: in the basis of one the other has an entry off the "
        f"diagonal of {largest:.3g} of its largest variance. {_EACH}"
    )


def _covariance(other: Reference, kept: Reference, shape: tuple[int, ...]) -> Tensor:
    """U^T C U, for U of `kept` and C of `other`."""
    columns = kept.inverse(torch.eye(math.prod(shape), dtype=torch.float64), shape)
    spread = other.inverse(other.forward(columns) * _own(other), shape)
    return kept.forward(spread)


def _same(first: Reference, last: Reference) -> bool:
    """Whether two turned references have one basis."""
    if first.basis is None or last.basis is None:
        return first.basis is last.basis
    a, b = _exact(first.basis), _exact(last.basis)
    return a.shape == b.shape and bool(((a - b).abs() <= _TOLERANCE).all())


def _own(reference: Reference) -> Tensor:
    """The variances in a reference's own modes, as one number where there is one."""
    found = _exact(reference.modal_variances)
    return found.reshape(()) if found.numel() == 1 else found


def _mean(mean: Tensor, basis: Reference | None, shape: tuple[int, ...]) -> Tensor:
    """U^T m, as 0 where it is 0."""
    exact = _exact(mean)
    if not bool(exact.any()):
        return torch.zeros((), dtype=torch.float64)
    return exact if basis is None else basis.forward(exact.expand(shape)[None])[0]


def _exact(value: Tensor) -> Tensor:
    return value.detach().to("cpu", torch.float64)


def _what(given: Any) -> str:
    if isinstance(given, (tuple, list)):
        return f"({', '.join(type(part).__name__ for part in given)})"
    return f"one of kind {given.kind}" if isinstance(given, Reference) else type(given).__name__

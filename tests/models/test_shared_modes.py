"""One basis in which both references of a bridge are diagonal: which pairs have one, and what the others are told."""

import math
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

import symsi
from symsi.models.reference import Reference, isotropic
from symsi.models.shared_modes import SharedModes, shared_modes

DOUBLE = torch.float64
SHAPE = (2, 3, 2)
SIZE = math.prod(SHAPE)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed))


def positive(*shape: int, seed: int = 0) -> Tensor:
    return normal(*shape, seed=seed).exp()


def columns(rank: int = SIZE, seed: int = 5) -> Tensor:
    return torch.linalg.qr(normal(SIZE, SIZE, seed=seed))[0][:, :rank]


BASIS, NONE = columns(), torch.zeros((), dtype=DOUBLE)
ALL = {
    "isotropic": isotropic(0.7, mean=0.3),
    "channel": Reference("channel", positive(2, 1, 1), normal(*SHAPE, seed=1)),
    "dct": Reference("dct", positive(*SHAPE, seed=2), normal(*SHAPE, seed=3)),
    "pca": Reference("pca", positive(SIZE, seed=4), normal(*SHAPE, seed=6), BASIS),
    "low": Reference("pca", positive(4, seed=7), normal(*SHAPE, seed=8), BASIS[:, :3]),
}


def other(reference: Reference) -> Reference:
    """Another Gaussian in the same basis."""
    return Reference(reference.kind, reference.variances.flip(0) + 1, 2 * reference.mean, reference.basis)


def covariance(reference: Reference) -> Tensor:
    """Column by column, by the reference's own transform."""
    modes = reference.forward(torch.eye(SIZE, dtype=DOUBLE).reshape(SIZE, *SHAPE)) * reference.modal_variances
    return reference.inverse(modes, SHAPE).reshape(SIZE, SIZE)


COMMUTE = [
    *((a, a) for a in ALL),
    *(pair for a in ALL for pair in (("isotropic", a), (a, "isotropic"))),
    *(("channel", "dct"), ("dct", "channel")),
]


def check(pair: tuple[Reference, Reference], modes: SharedModes) -> None:
    """Hold variances and means by mode against the covariances and the means."""
    eye, basis = torch.eye(SIZE, dtype=DOUBLE).reshape(SIZE, *SHAPE), modes.basis
    for reference, variances, mean in zip(pair, modes.variances, modes.means, strict=True):
        if basis is None:
            spread = (eye * variances).reshape(SIZE, SIZE)
            back = mean.expand(SHAPE)
        else:
            spread = basis.inverse(basis.forward(eye) * variances, SHAPE).reshape(SIZE, SIZE)
            back = basis.inverse(mean.expand(basis.forward(eye)[:1].shape), SHAPE)[0]
        torch.testing.assert_close(spread, covariance(reference), rtol=0, atol=1e-12)
        torch.testing.assert_close(back, reference.mean.expand(SHAPE), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("first", "last"), COMMUTE)
def test_both_covariances_and_means_are_told_in_the_shared_modes(first: str, last: str) -> None:
    pair = (ALL[first], other(ALL[last]))
    check(pair, shared_modes(pair, SHAPE))


def test_the_shared_basis_has_no_mean_of_its_own_and_none_is_needed_for_components() -> None:
    basis = shared_modes((ALL["pca"], ALL["isotropic"]), SHAPE).basis
    assert basis is not None
    assert float(basis.mean) == 0
    assert shared_modes((ALL["channel"], ALL["isotropic"]), SHAPE).basis is None


@pytest.mark.parametrize("kind", ["channel", "dct", "pca"])
@pytest.mark.parametrize("turned", [False, True])
def test_a_full_basis_serves_every_covariance_that_commutes_with_it(kind: str, turned: bool) -> None:
    """The columns are eigenvectors of the other, in another order: within a channel, cosines, its own columns."""
    vectors = torch.linalg.eigh(covariance(ALL[kind]))[1]
    mine = Reference("pca", positive(SIZE, seed=9), normal(*SHAPE, seed=10), vectors)
    pair = (ALL[kind], mine) if turned else (mine, ALL[kind])
    modes = shared_modes(pair, SHAPE)
    assert modes.basis is not None
    assert modes.basis.kind == "pca"
    check(pair, modes)


def test_the_basis_of_the_one_with_distinct_variances_serves_where_the_others_does_not() -> None:
    same = Reference("pca", torch.full((SIZE,), 2.0, dtype=DOUBLE), NONE, columns(seed=11))
    for pair in ((same, ALL["pca"]), (ALL["pca"], same)):
        modes = shared_modes(pair, SHAPE)
        flat, own = modes.variances if pair[0] is same else modes.variances[::-1]
        torch.testing.assert_close(flat.expand(SIZE), same.variances, rtol=1e-12, atol=0)
        assert torch.equal(own, ALL["pca"].variances)


def test_covariances_that_do_not_commute_are_refused_with_the_largest_entry() -> None:
    turn = torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=DOUBLE)
    first = Reference("pca", torch.tensor([1.0, 2.0], dtype=DOUBLE), NONE, torch.eye(2, dtype=DOUBLE))
    last = Reference("pca", torch.tensor([1.0, 2.0], dtype=DOUBLE), NONE, turn)
    # R diag(1, 2) R' has the diagonal 1.64, 1.36 and the entry -0.48 off it
    with pytest.raises(symsi.SymsiError, match=r"do not commute.* 0\.293 of its largest variance.*one basis"):
        shared_modes((first, last), (2,))


@pytest.mark.parametrize(("first", "last"), [p for p in product(ALL, ALL) if p not in COMMUTE])
def test_every_other_pair_is_refused(first: str, last: str) -> None:
    with pytest.raises(symsi.SymsiError, match="low-rank pca" if "low" in (first, last) else "do not commute"):
        shared_modes((ALL[first], ALL[last]), SHAPE)


def test_low_rank_bases_of_other_columns_are_refused() -> None:
    turned = Reference("pca", positive(4), NONE, columns(3, seed=12))
    with pytest.raises(symsi.SymsiError, match="same columns; got pca and pca"):
        shared_modes((ALL["low"], turned), SHAPE)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (ALL["dct"], "pair of symsi.Reference.* got one of kind dct"),
        ((ALL["dct"],), r"pair.* got \(Reference\)"),
        ((ALL["dct"], None), r"got \(Reference, NoneType\)"),
        ([ALL["dct"]] * 3, r"got \(Reference, Reference, Reference\)"),
        ("dct", "got str"),
        ((ALL["isotropic"], Reference("dct", positive(2, 2, 2), NONE)), "dct reference was made for .* another shape"),
    ],
)
def test_what_is_no_pair_for_these_samples_is_refused(given: Any, message: str) -> None:
    with pytest.raises(symsi.SymsiError, match=message):
        shared_modes(given, SHAPE)

"""A reference as a spectrum: the trace and the mean square are those of the Gaussian, whatever the kind."""

import pytest
import torch

from symsi.calibration.reference import estimate
from symsi.models.reference import Reference, isotropic
from symsi.models.spectrum import as_spectrum, spectrum_of

DOUBLE = torch.float64


@pytest.mark.parametrize(
    ("kind", "rank"), [("isotropic", None), ("channel", None), ("dct", None), ("pca", None), ("pca", 4)]
)
def test_a_spectrum_has_the_variance_and_the_mean_of_its_reference(kind: str, rank: int | None) -> None:
    data = torch.randn(60, 2, 3, 2, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    data = data * torch.tensor([0.3, 2.0], dtype=DOUBLE)[:, None, None] + 0.7
    found = spectrum_of(estimate(data, kind, rank=rank, shrinkage=0.0))
    assert float(found.shares.sum()) == pytest.approx(1, abs=1e-14)
    centred = data - data.mean(0)
    assert float(found.shares @ found.variances) == pytest.approx(float(centred.square().mean()), rel=1e-12)
    assert float(found.means @ found.means) == pytest.approx(float(data.mean(0).square().mean()), rel=1e-12)


def test_the_mean_lies_in_the_modes_that_have_it() -> None:
    data = torch.randn(60, 4, generator=torch.Generator().manual_seed(1), dtype=DOUBLE) * torch.tensor(
        [3.0, 1, 0.5, 0.1]
    )
    reference = estimate(data, "pca", shrinkage=0.0)
    moved = Reference("pca", reference.variances, 2 * reference.basis[:, 1], reference.basis)
    torch.testing.assert_close(spectrum_of(moved).means, torch.tensor([0, 1.0, 0, 0], dtype=DOUBLE), rtol=0, atol=1e-14)


@pytest.mark.parametrize("rank", [None, 2])
def test_a_number_for_a_mean_is_that_of_every_component(rank: int | None) -> None:
    data = torch.randn(60, 5, generator=torch.Generator().manual_seed(2), dtype=DOUBLE)
    whole = estimate(data, "pca", rank=rank)
    number = Reference("pca", whole.variances, torch.tensor(0.3, dtype=DOUBLE), whole.basis)
    written = Reference("pca", whole.variances, torch.full((5,), 0.3, dtype=DOUBLE), whole.basis)
    one, two = spectrum_of(number), spectrum_of(written)
    torch.testing.assert_close(one.means, two.means, rtol=0, atol=0)
    assert float(spectrum_of(isotropic(2.0, 0.3)).means.square().sum()) == pytest.approx(0.09)
    cosines = Reference("dct", torch.ones(1, 2, 2, dtype=DOUBLE), torch.tensor(0.3, dtype=DOUBLE))
    torch.testing.assert_close(
        spectrum_of(cosines).means, torch.tensor([0.3, 0, 0, 0], dtype=DOUBLE), rtol=0, atol=1e-15
    )


def test_low_rank_counts_what_is_left_once_a_component() -> None:
    found = spectrum_of(estimate(torch.randn(9, 6, generator=torch.Generator().manual_seed(3)), "pca", rank=2))
    torch.testing.assert_close(found.shares[:2], torch.full((2,), 1 / 6, dtype=DOUBLE))
    assert float(found.shares[2:].sum()) == pytest.approx(4 / 6)


def test_numbers_are_modes_of_equal_share() -> None:
    found = as_spectrum([3, 1])
    assert found.variances.tolist() == [3, 1]
    assert found.shares.tolist() == [0.5, 0.5]
    assert found.means.tolist() == [0, 0]

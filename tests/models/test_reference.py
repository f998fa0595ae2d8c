"""Gaussian references: bases, estimates, files."""

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import symsi
from symsi.calibration.reference import estimate
from symsi.models.analytic import gaussian
from symsi.models.reference import KINDS, Reference, isotropic, load, save


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    smooth = torch.randn(300, 2, 6, 5, dtype=torch.float64, generator=generator).cumsum(-1).cumsum(-2)
    return smooth + torch.tensor([1.0, -2.0], dtype=torch.float64)[:, None, None]


@pytest.mark.parametrize(
    ("kind", "rank"), [("isotropic", None), ("channel", None), ("dct", None), ("pca", None), ("pca", 7)]
)
def test_modes_are_orthonormal_and_give_back_what_went_in(images: torch.Tensor, kind: str, rank: int | None) -> None:
    reference = estimate(images, kind, rank=rank)
    modes = reference.forward(images)
    torch.testing.assert_close(reference.inverse(modes, (2, 6, 5)), images, rtol=0, atol=1e-11)
    torch.testing.assert_close(modes.square().sum(), images.square().sum(), rtol=1e-12, atol=0)
    reference.check((2, 6, 5))


@pytest.mark.parametrize("kind", ["channel", "dct", "pca"])
def test_variances_are_those_of_the_modes(images: torch.Tensor, kind: str) -> None:
    reference = estimate(images, kind, shrinkage=0)
    modes = reference.forward(images - images.mean(0))
    axes = (0, 2, 3) if kind == "channel" else (0,)
    expected = modes.square().mean(axes, keepdim=kind == "channel")
    torch.testing.assert_close(
        reference.variances, expected[0] if kind == "channel" else expected, rtol=1e-9, atol=1e-9
    )
    full = estimate(images, kind, shrinkage=1).variances
    torch.testing.assert_close(full, torch.full_like(full, (images - images.mean(0)).square().mean().item()))


def test_a_low_rank_keeps_the_total_variance(images: torch.Tensor) -> None:
    low, full = estimate(images, "pca", rank=7, shrinkage=0.1), estimate(images, "pca", shrinkage=0.1)
    rest = 60 - 7
    assert float(low.variances[:-1].sum() + rest * low.variances[-1]) == pytest.approx(float(full.variances.sum()))
    assert low.modal_variances.shape == (7 + 60,)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_gives_back_the_reference(images: torch.Tensor, kind: str, tmp_path: Path) -> None:
    reference = estimate(images, kind)
    found = load(save(reference, tmp_path / "r.safetensors"))
    assert found.kind == kind
    for name in ("variances", "mean", "basis"):
        a, b = getattr(found, name), getattr(reference, name)
        assert (a is None and b is None) or torch.equal(a, b)
    with pytest.raises(symsi.SymsiError, match="exists"):
        save(reference, tmp_path / "r.safetensors")


def test_files_that_hold_no_reference_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.safetensors"
    with pytest.raises(symsi.SymsiError, match="cannot read a reference"):
        load(path)
    path.write_bytes(b"not safetensors")
    with pytest.raises(symsi.SymsiError, match="cannot read a reference"):
        load(path)
    save_file({"variances": torch.ones(1)}, path)
    with pytest.raises(symsi.SymsiError, match="is no reference"):
        load(path)
    about = {"format": "symsi-reference", "version": "9", "kind": "pca"}
    save_file({"variances": torch.ones(1), "mean": torch.zeros(1)}, path, metadata=about)
    with pytest.raises(symsi.SymsiError, match="version 9"):
        load(path)


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (torch.randn(1, 4), {}, "at least two samples"),
        (torch.randn(4), {}, "at least two samples"),
        (torch.tensor([[1.0], [float("nan")]]), {}, "nan or inf"),
        (torch.ones(5, 3), {}, "no variance"),
        (torch.randn(9, 3), {"kind": "pac"}, "Did you mean 'pca'"),
        (torch.randn(9, 3), {"kind": "dct"}, "needs images"),
        (torch.randn(9, 3), {"kind": "channel"}, "channel axis"),
        (torch.randn(9, 3), {"rank": 4}, "rank must lie in 1..3"),
        (torch.randn(9, 3), {"shrinkage": 2.0}, "shrinkage must lie"),
        (torch.cat([torch.randn(9, 1), torch.zeros(9, 1)], 1), {"shrinkage": 0.0}, "use shrinkage > 0"),
    ],
)
def test_unfit_data_is_refused(data: torch.Tensor, options: dict[str, object], message: str) -> None:
    with pytest.raises(symsi.SymsiError, match=message):
        estimate(data, **options)  # type: ignore[arg-type]


def test_a_reference_of_another_kind_or_with_unfit_variances_is_refused() -> None:
    for kind, variances, message in (("pac", [1.0], "Did you mean 'pca'"), ("pca", [1.0, -1.0], "must be positive")):
        with pytest.raises(symsi.SymsiError, match=message):
            Reference(kind, torch.tensor(variances), torch.tensor(0.0))
    with pytest.raises(symsi.SymsiError, match=r"variances \(r,\), or \(r \+ 1,\) for r < D; got \(5, 5\) and \(3,\)"):
        Reference("pca", torch.ones(3), torch.tensor(0.0), torch.eye(5))
    with pytest.raises(symsi.SymsiError, match="another shape"):
        Reference("pca", torch.ones(5), torch.tensor(0.0), torch.eye(5)).check((6,))
    with pytest.raises(symsi.SymsiError, match="another shape"):  # the cosines of what would be the batch
        Reference("dct", torch.ones(4), torch.tensor(0.0)).check((4,))
    with pytest.raises(symsi.SymsiError, match="rank is for kind 'pca'"):
        estimate(torch.randn(9, 1, 4, 4), "dct", rank=2)


EYE, ONES = torch.eye(4, dtype=torch.float64), torch.ones(4, dtype=torch.float64)
UNFIT = [
    ({"basis": 0 * EYE}, "must be orthonormal"),
    ({"basis": 7 * EYE}, "must be orthonormal"),
    ({"basis": EYE * torch.tensor([1.0, 1.0, 1.0, 1.001]).double()}, "must be orthonormal"),
    ({"basis": EYE.clone().fill_(torch.nan)}, "basis of a reference must be finite"),
    ({"mean": ONES * torch.nan}, "mean of a reference must be finite"),
    ({"variances": ONES * torch.inf}, "variances of a reference must be finite"),
    ({"variances": ONES * 1e-320}, "must be positive, at least 2.23e-308"),
    ({"variances": ONES[:0]}, "must be positive"),
    ({"variances": ONES.to(torch.complex64)}, "complex64"),
    ({"variances": ONES.to(torch.float8_e4m3fn)}, "float8_e4m3fn"),
    ({"variances": ONES.long()}, "int64"),
    ({"variances": ONES[0]}, r"got \(4, 4\) and \(\)"),
    ({"variances": EYE + 1}, r"got \(4, 4\) and \(4, 4\)"),
    ({"basis": ONES[0]}, r"got \(\) and \(4,\)"),
    ({"basis": ONES}, r"got \(4,\) and \(4,\)"),
    ({"basis": EYE[None]}, r"got \(1, 4, 4\)"),
    ({"basis": EYE[:2]}, r"0 < r <= D.*got \(2, 4\)"),
    ({"kind": "dct"}, "has a basis if its kind is pca"),
]


@pytest.mark.parametrize(("change", "message"), UNFIT, ids=range(len(UNFIT)))
def test_a_reference_that_is_no_gaussian_is_refused_with_its_file(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    held = {"kind": "pca", "variances": ONES, "mean": 0 * ONES, "basis": EYE, **change}
    with pytest.raises(symsi.SymsiError, match=message):
        Reference(**held)  # type: ignore[arg-type]
    path, kind = tmp_path / "r.safetensors", str(held.pop("kind"))
    words = {"format": "symsi-reference", "version": "1", "kind": kind}
    save_file({name: value.clone() for name, value in held.items()}, path, metadata=words)  # type: ignore[attr-defined]
    with pytest.raises(symsi.SymsiError, match=f"r.safetensors.*{message}"):
        load(path)


def test_a_reference_whose_parts_are_one_tensor_is_saved(tmp_path: Path) -> None:
    found = load(save(Reference("pca", ONES, ONES, EYE), tmp_path / "r.safetensors"))
    assert torch.equal(found.variances, found.mean)


@pytest.mark.parametrize("kind", ["dct", "pca"])
@pytest.mark.parametrize("base", ["linear", "edm(high=10)", "cosine"])
def test_modes_start_right_under_every_base_and_around_every_mean(kind: str, base: str) -> None:
    """One step is exact for the Gaussian, from truncated bases too, where the start holds some data."""
    law = gaussian(torch.full((1, 4, 4), 0.5, dtype=torch.float64), 25.0)
    basis = torch.eye(16, dtype=torch.float64) if kind == "pca" else None
    shape = (16,) if kind == "pca" else (1, 4, 4)
    reference = Reference(kind, torch.full(shape, 25.0, dtype=torch.float64), torch.tensor(0.5).double(), basis)
    x = symsi.sample(
        law.model(base),
        shape=3000,
        schedule=base,
        solver="ab2",
        steps=2,
        reference=reference,
        dtype=torch.float64,
        progress=False,
    ).x
    assert float(x.mean()) == pytest.approx(0.5, abs=5 * 5 / math.sqrt(48_000))
    assert float(x.var()) == pytest.approx(25, rel=5 * math.sqrt(2 / 48_000))


@pytest.mark.parametrize("variance", [0.0, -1.0, float("inf"), float("nan")])
def test_a_variance_must_be_positive(variance: float) -> None:
    with pytest.raises(symsi.SymsiError, match="positive and finite"):
        isotropic(variance)


def test_an_isotropic_reference_is_the_lazy_schedule_in_disguise() -> None:
    """T10, T12: Euler in the natural variable of one variance is Euler in angle of the lazy schedule."""

    def model(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return torch.sin(3 * x) - x * t[:, None]

    options = {"shape": (6, 4), "steps": 5, "dtype": torch.float64, "progress": False, "schedule": "trigonometric"}
    for solver in ("euler", "ab2", "ab3"):
        plain = symsi.sample(model, solver=solver, **options).x
        modal = symsi.sample(model, solver=solver, reference=isotropic(), **options).x
        torch.testing.assert_close(plain, modal, rtol=0, atol=1e-13)


def test_the_reference_of_a_sample_shape_is_checked() -> None:
    with pytest.raises(symsi.SymsiError, match="another shape"):
        Reference("dct", torch.ones(1, 4, 4), torch.tensor(0.0)).check((1, 8, 8))


def test_fewer_samples_than_numbers_give_the_same_leading_components(images: torch.Tensor) -> None:
    """By singular values there, without a covariance matrix; against the eigenvalues of that matrix."""
    few = images[:20]
    found = estimate(few, "pca", rank=5, shrinkage=0.0)
    flat = (few - few.mean(0)).reshape(20, -1)
    values = torch.linalg.eigvalsh(flat.mT @ flat / 20).flip(0)
    torch.testing.assert_close(found.variances[:5], values[:5])
    torch.testing.assert_close(found.variances[5], values[5:].mean())
    assert found.basis is not None
    torch.testing.assert_close(flat.mT @ flat / 20 @ found.basis, found.basis * values[:5])


def test_all_components_of_a_large_sample_are_refused_with_what_to_use() -> None:
    with pytest.raises(symsi.SymsiError, match=r"20000 .* a basis of 3 GB; give rank, at most 2 for 3"):
        estimate(torch.randn(3, 20_000), "pca")
    assert estimate(torch.randn(3, 20_000), "pca", rank=2).variances.shape == (3,)

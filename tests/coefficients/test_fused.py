"""The fused step: x <- a x + b p + c n on every path it can take."""

from collections.abc import Callable
from typing import TypeAlias

import pytest
import torch

from symsi.bench.kernels import kernel_times
from symsi.coefficients import fused
from symsi.coefficients.fused import COMPILE_FROM, fused_step
from symsi.errors import SymsiError

SIZES = (1000, max(COMPILE_FROM.values()) + 7)
DTYPES = (torch.float32, torch.float64, torch.bfloat16)
Update: TypeAlias = Callable[..., None]


def tensors(n: int, dtype: torch.dtype) -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [torch.randn(n, dtype=torch.float64).to(dtype) for _ in range(3)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", SIZES)
def test_small_and_compiled_steps_are_the_formula_rounded_once(n: int, dtype: torch.dtype) -> None:
    x, p, noise = tensors(n, dtype)
    want = 0.9 * x.double() - 0.3 * p.double() + 0.1 * noise.double()
    got = fused_step(x, p, 0.9, -0.3, 0.1, noise, out=torch.empty_like(x))
    torch.testing.assert_close(got.double(), want, rtol=torch.finfo(dtype).eps, atol=4 * torch.finfo(dtype).eps)


@pytest.fixture
def uncompiled(monkeypatch: pytest.MonkeyPatch) -> list[Update]:
    """The updates that are taken in one pass, each run as it stands; a compiler is there."""
    taken: list[Update] = []

    def keep(update: Update) -> Update:
        taken.append(update)
        return update

    monkeypatch.setattr(fused, "_compiled", keep)
    monkeypatch.setattr(fused, "_can_compile", fused._can_compile.__wrapped__)
    with_programs(monkeypatch, "g++")
    return taken


def with_programs(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Only these can be found; torch itself never reads what $CXX says in between."""
    monkeypatch.setattr(fused.shutil, "which", lambda name: f"/usr/bin/{name}" if name in names else None)
    monkeypatch.delenv("CXX", raising=False)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("place", ["in place", "apart"])
@pytest.mark.parametrize("noise", ["none", "given", "drawn"])
def test_each_update_is_the_formula_rounded_once(
    noise: str, place: str, dtype: torch.dtype, uncompiled: list[Update], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fused, "COMPILE_FROM", {})
    x, p, n = tensors(500, dtype)
    start = x.clone()
    torch.manual_seed(4)
    drawn = torch.randn(500, dtype=torch.float64 if dtype == torch.float64 else torch.float32)
    third = {"none": 0.0 * n, "given": n, "drawn": drawn}[noise]
    want = 0.9 * x.double() - 0.3 * p.double() + 0.7 * third.double()
    torch.manual_seed(4)
    out = None if place == "in place" else torch.full_like(x, 7.0)
    got = fused_step(x, p, 0.9, -0.3, 0.0 if noise == "none" else 0.7, n if noise == "given" else None, out=out)
    assert len(uncompiled) == 1
    assert got is (x if out is None else out)
    assert torch.equal(x, got if out is None else start)
    size = (0.9 * start.double()).abs() + (0.3 * p.double()).abs() + (0.7 * third.double()).abs()
    working = torch.finfo(torch.float64 if dtype == torch.float64 else torch.float32).eps
    rounding = torch.finfo(dtype).eps / 2
    assert ((got.double() - want).abs() <= rounding * want.abs() + 2 * working * size).all()


def test_each_update_is_a_function_of_its_own(uncompiled: list[Update], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused, "COMPILE_FROM", {})
    x, p, n = tensors(8, torch.float32)
    for out in (None, torch.empty_like(x)):
        for c, noise in ((0.0, None), (0.5, n), (0.5, None)):
            fused_step(x, p, 0.9, 0.1, c, noise, out=out)
    assert len(set(uncompiled)) == 6


@pytest.mark.parametrize("dtype", DTYPES)
def test_large_contiguous_tensors_alone_take_one_pass(dtype: torch.dtype, uncompiled: list[Update]) -> None:
    least = COMPILE_FROM[dtype.itemsize]
    for n, passes in ((least - 1, 0), (least, 1)):
        uncompiled.clear()
        x, p = torch.ones(n, dtype=dtype), torch.ones(n, dtype=dtype)
        fused_step(x, p, 0.5, 0.25)
        assert len(uncompiled) == passes
        assert (x == 0.75).all()
    uncompiled.clear()
    wide = torch.ones(2 * least, dtype=dtype)
    fused_step(wide[::2], p, 0.5, 0.25)
    fused_step(x, wide[::2], 0.5, 0.25)
    fused_step(x, p, 0.5, 0.25, out=wide[::2])
    assert not uncompiled


def test_without_a_compiler_for_the_device_steps_are_eager(
    uncompiled: list[Update], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fused, "COMPILE_FROM", {})
    x, p = torch.ones(9), torch.ones(9)
    fused_step(x.clone(), p, 0.5, 0.25)
    assert len(uncompiled) == 1
    assert fused_step(x.to("meta"), p.to("meta"), 0.5, 0.25).device.type == "meta"
    assert len(uncompiled) == 1
    with_programs(monkeypatch, "another")
    assert (fused_step(x, p, 0.5, 0.25) == 0.75).all()
    assert len(uncompiled) == 1
    monkeypatch.setenv("CXX", "another")
    fused_step(x, p, 0.5, 0.25)
    assert len(uncompiled) == 2


@pytest.mark.parametrize("weight", [0.5, 1.0])
def test_noise_is_drawn_where_it_has_a_weight_alone(weight: float) -> None:
    zero = torch.zeros(100)
    torch.manual_seed(6)
    want = weight * torch.randn(100)
    torch.manual_seed(6)
    torch.testing.assert_close(fused_step(zero.clone(), zero, 1.0, 1.0, weight), want)
    before = torch.get_rng_state()
    assert torch.equal(fused_step(zero.clone(), zero, 1.0, 1.0), zero)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("n", SIZES)
def test_without_out_the_state_is_updated_in_place(n: int) -> None:
    x, p, _ = tensors(n, torch.float32)
    want = 0.5 * x + 0.25 * p
    where = x.data_ptr()
    got = fused_step(x, p, 0.5, 0.25)
    assert got is x
    assert x.data_ptr() == where
    torch.testing.assert_close(x, want)


@pytest.mark.parametrize("n", [20_000, SIZES[1]])
def test_noise_drawn_inside_is_standard_normal(n: int) -> None:
    zero = torch.zeros(n)
    torch.manual_seed(3)
    drawn = fused_step(zero.clone(), zero, 1.0, 1.0, 2.0)
    bound = 5 * 2 / n**0.5
    assert abs(float(drawn.mean())) < bound
    assert abs(float(drawn.std()) - 2) < bound
    again = fused_step(zero.clone(), zero, 1.0, 1.0, 2.0)
    assert not torch.equal(drawn, again)


@pytest.mark.parametrize("n", SIZES)
def test_a_generator_decides_the_noise(n: int) -> None:
    zero = torch.zeros(n)
    first, second = (
        fused_step(zero.clone(), zero, 1.0, 1.0, 1.0, generator=torch.Generator().manual_seed(5)) for _ in range(2)
    )
    assert torch.equal(first, second)


def test_strided_tensors_are_stepped_too() -> None:
    x, p = torch.randn(600, 600).t(), torch.randn(600, 600)
    want = 0.5 * x + 0.25 * p
    torch.testing.assert_close(fused_step(x, p, 0.5, 0.25), want)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("alias", ["out is p", "out is noise", "p is x", "p is x, out apart"])
def test_memory_may_be_shared(n: int, alias: str) -> None:
    x, p, noise = tensors(n, torch.float32)
    p = x if alias.startswith("p is x") else p
    want = 0.5 * x - 0.25 * p + 0.1 * noise
    out = {"out is p": p, "out is noise": noise, "p is x": x}.get(alias, torch.empty_like(x))
    torch.testing.assert_close(fused_step(x, p, 0.5, -0.25, 0.1, noise, out=out), want)


def test_in_place_and_out_of_place_do_not_take_each_others_kernels() -> None:
    for _ in range(2):
        x, p, noise = tensors(SIZES[1], torch.float32)
        want = 0.9 * x - 0.3 * p + 0.1 * noise
        apart = fused_step(x, p, 0.9, -0.3, 0.1, noise, out=torch.full_like(x, 7.0))
        torch.testing.assert_close(apart, want)
        torch.testing.assert_close(fused_step(x, p, 0.9, -0.3, 0.1, noise), want)


def test_tensors_that_do_not_match_are_refused() -> None:
    x = torch.zeros(4)
    with pytest.raises(SymsiError, match=r"prediction has shape \(3,\)"):
        fused_step(x, torch.zeros(3), 1.0, 1.0)
    with pytest.raises(SymsiError, match="noise has shape"):
        fused_step(x, x, 1.0, 1.0, 1.0, torch.zeros(4, 1))
    with pytest.raises(SymsiError, match=r"out .* on meta"):
        fused_step(x, x, 1.0, 1.0, out=torch.zeros(4, device="meta"))
    with pytest.raises(SymsiError, match="floating-point"):
        fused_step(x.int(), x.int(), 1.0, 1.0)


def test_the_speed_bench_measures_every_contender() -> None:
    row = next(kernel_times([2000], "cpu"))
    assert row["n"] == 2000
    assert all(row[f"{name}_us"] > 0 for name in ("ours", "ode", "triad", "eager"))
    assert row["ratio_triad"] == pytest.approx(row["ours_us"] / row["triad_us"], rel=0.05)

"""The fused step: x <- a x + b p + c n on every path it can take."""

import pytest
import torch

from symsi.bench.kernels import kernel_times
from symsi.coefficients.fused import COMPILE_FROM, fused_step
from symsi.errors import SymsiError

SIZES = (1000, max(COMPILE_FROM.values()) + 7)
DTYPES = (torch.float32, torch.float64, torch.bfloat16)


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

"""What every compiled field does around its coefficients: times, ends, shapes, and the formulas themselves."""

import pytest
import torch

from symsi.coefficients.runtime import (
    as_time,
    at_point_mass,
    beside,
    check_duration,
    check_end,
    euler_maruyama,
    mix,
    model_coordinates,
    working,
)
from symsi.errors import EndpointError, SymsiError

KINDS = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


def numbers(*shape: int) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))


def test_a_number_becomes_a_time_in_float64_and_a_tensor_stays() -> None:
    for number in (0, 0.1, 1):
        found = as_time(number, 0.0)
        assert (found.dtype, found.shape, found.item()) == (torch.float64, (), number)
    assert as_time(0.5, 0.25, torch.device("meta")).device.type == "meta"
    given = torch.tensor([0.5, 7.0])
    assert as_time(given, 0.25) is given
    for number in (0.2, 1.001):
        with pytest.raises(SymsiError, match="leaves the domain"):
            as_time(number, 0.25)


def test_a_number_is_refused_at_the_ends_that_have_a_reason_alone() -> None:
    endless = {"first": ("at the start", ""), "last": ("", "at one"), "both": ("at the start", "at one")}
    for what, start in (("first", True), ("last", False)):
        for t in (0.25, 1, 1.0):
            if (t == 0.25) == start:
                with pytest.raises(EndpointError, match=f"{what} has no value at t = {t}: at"):
                    check_end(t, 0.25, what, endless)
            else:
                check_end(t, 0.25, what, endless)
    for t, reason in ((0.25, "at the start"), (1.0, "at one")):
        with pytest.raises(EndpointError, match=reason):
            check_end(t, 0.25, "both", endless)
        check_end(torch.tensor(t), 0.25, "both", endless)
        check_end(t, 0.25, "another", endless)
    for t in (0.250001, 0.5, 0.999999):
        check_end(t, 0.25, "both", endless)


def test_a_duration_ends_at_one_within_float32_and_is_not_negative() -> None:
    times = torch.rand(3)
    for t, dt in ((0.5, 0.5 + 2.0**-24), (times, 0.75), (0.9, torch.tensor(3.0)), (0.5, 0.0)):
        check_duration(t, dt, 0.25)
    for t, dt in ((0.5, 0.5 + 2.0**-22), (times, 0.7501)):
        with pytest.raises(SymsiError, match="leads past"):
            check_duration(t, dt, 0.25)
    with pytest.raises(SymsiError, match="negative"):
        check_duration(times, -1e-9, 0.25)


def test_coefficients_of_one_time_or_one_per_sample_multiply_samples_of_any_shape() -> None:
    x = numbers(3, 2, 4)
    one, each, mixed = numbers(1), numbers(3), numbers(3, 2)
    for c, want in (
        (one[0], one.item() * x),
        (one, one.item() * x),
        (each, torch.einsum("a,abc->abc", each, x)),
        (each[:, None], torch.einsum("a,abc->abc", each, x)),
        (mixed, torch.einsum("ab,abc->abc", mixed, x)),
        (x, x.square()),
    ):
        assert torch.equal(beside(c, x) * x, want)
    for shape in ((2,), (3, 4), (3, 2, 4, 1)):
        with pytest.raises(SymsiError, match="does not match"):
            beside(numbers(*shape), x)


@pytest.mark.parametrize("kind", KINDS)
def test_a_mix_is_its_formula_rounded_once(kind: torch.dtype) -> None:
    x, prediction, (a, b) = numbers(3, 5).to(kind), numbers(3, 6)[:, :5].to(kind), (numbers(3), numbers(3) + 1)
    parts = a[:, None] * x.double(), b[:, None] * prediction.double()
    got = mix(a, x, b, prediction)
    near = torch.finfo(kind).eps / 2 * sum(parts).abs() + 4 * torch.finfo(working(x)).eps * sum(p.abs() for p in parts)
    assert got.dtype == kind
    assert ((got.double() - sum(parts)).abs() <= near).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_model_is_asked_at_the_scaled_state_and_at_a_point_mass_at_the_state_itself(kind: torch.dtype) -> None:
    x, scale, time = numbers(3, 5).to(kind), torch.tensor([0.5, 0.0, 4.0]).double(), torch.tensor([0.1, 0.2, 0.3])
    y, tau = model_coordinates(x, scale, time.double())
    assert torch.equal(y, x * torch.tensor([2.0, 1.0, 0.25], dtype=kind)[:, None])
    assert torch.equal(tau, time.double().to(working(x)))
    assert (y.dtype, tau.dtype) == (kind, working(x))


def test_at_a_point_mass_the_coefficient_is_that_of_the_input() -> None:
    scale, state, given = torch.tensor([0.0, 1.0, -0.5, 2.0]), torch.arange(4.0), -torch.arange(1.0, 5.0)
    assert at_point_mass(scale, state, given).tolist() == [-1.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize("dt", [0.25, torch.tensor([0.25, 0.0625, 0.25])])
def test_a_step_adds_drift_and_noise_and_begins_at_zero_at_a_point_mass(dt: torch.Tensor | float) -> None:
    drift, x, noise = numbers(3, 5), numbers(3, 6)[:, :5], numbers(3, 7)[:, :5]
    scale, epsilon = torch.tensor([1.0, 0.0, 0.5]).double(), torch.tensor([0.5, 2.0, 0.0]).double()
    got = euler_maruyama(drift, x, noise, scale, epsilon, dt)
    for k in range(3):
        h = float(dt if isinstance(dt, float) else dt[k])
        want = (x[k] if k != 1 else 0) + h * drift[k] + (2 * float(epsilon[k]) * h) ** 0.5 * noise[k]
        torch.testing.assert_close(got[k], want, rtol=1e-14, atol=1e-15)
    assert euler_maruyama(drift, x.half(), noise, scale, epsilon, dt).dtype == torch.float16

"""The text of a program: values, limits and derivatives at the ends of its domain, and nothing outside."""

import math
from collections.abc import Mapping
from fractions import Fraction

import pytest
import sympy as sp
import torch
from torch import Tensor

from symsi.algebra.symbols import t
from symsi.coefficients.kernels import load
from symsi.coefficients.program import End, Program, Terms, Zero

NEVER = End(-1.0, {})
HALF = Fraction(1, 2)


def made(ends: tuple[End, End], start: float = 0.0, rest: float = 0.0, value: sp.Expr | None = None) -> Program:
    return Program(start, rest, t, (), {"value": t + 5 if value is None else value}, ends, {})


def terms(*pairs: tuple[Fraction | int, float]) -> Terms:
    return tuple((Fraction(power), c) for power, c in pairs)


def values(program: Program, times: list[float]) -> list[float]:
    return load(program)(torch.tensor(times, dtype=torch.float64))["value"].tolist()


def slopes(program: Program, times: list[float]) -> list[float]:
    """Derivatives, with nan nowhere on the way to them."""
    at = torch.tensor(times, dtype=torch.float64, requires_grad=True)
    with torch.autograd.set_detect_anomaly(True):
        (slope,) = torch.autograd.grad(load(program)(at)["value"].sum(), at)
    return slope.tolist()


SUMS: Mapping[str, tuple[Terms, str]] = {
    "nothing": ((), "0*u"),
    "a constant": (terms((0, 3.0)), "3 + 0*u"),
    "one": (terms((0, 1.0)), "1 + 0*u"),
    "from a constant on": (terms((0, 2.0), (1, -3.0), (3, 0.5)), "2 - 3*u + u**3/2"),
    "from u on": (terms((1, 2.0), (2, 0.25)), "2*u + u**2/4"),
    "u alone": (terms((1, 1.0)), "u"),
    "from a square on": (terms((2, -2.0), (4, 1.0)), "-2*u**2 + u**4"),
    "roots alone": (terms((HALF, 3.0), (3 * HALF, 2.0)), "3*sqrt(u) + 2*u**(3/2)"),
    "a root alone": (terms((HALF, 1.0)), "sqrt(u)"),
    "roots and whole powers": (
        terms((0, 1.0), (HALF, -2.0), (1, 4.0), (5 * HALF, 3.0)),
        "1 - 2*sqrt(u) + 4*u + 3*u**(5/2)",
    ),
    "thirds": (terms((Fraction(1, 3), 2.0), (Fraction(4, 3), 5.0)), "2*u**(1/3) + 5*u**(4/3)"),
    "a pole": (terms((-1, 2.0), (0, 3.0), (2, 4.0)), "2/u + 3 + 4*u**2"),
    "a pole with a root": (terms((-HALF, -2.0), (1, 3.0)), "-2/sqrt(u) + 3*u"),
}


@pytest.mark.parametrize("case", SUMS)
@pytest.mark.parametrize("end", [0, 1])
def test_near_an_end_a_value_is_the_sum_of_its_terms_and_elsewhere_the_formula(case: str, end: int) -> None:
    given, formula = SUMS[case]
    near = End(0.25, {"value": given})
    program = made((near, NEVER) if end == 0 else (NEVER, near))
    u = sp.Symbol("u", positive=True)
    exact = sp.sympify(formula, {"u": u})
    distances = [2.0**-20, 0.01, 0.125, 0.25]
    times = [d if end == 0 else 1 - d for d in distances]
    found, rates = values(program, times), slopes(program, times)
    for time, value, rate in zip(times, found, rates, strict=True):
        d = sp.Rational(time if end == 0 else 1 - time)
        assert value == pytest.approx(float(exact.subs(u, d)), rel=1e-14, abs=0)
        assert rate == pytest.approx(float(exact.diff(u).subs(u, d)) * (1 if end == 0 else -1), rel=1e-13, abs=1e-15)
    outside = [0.375, 0.5, 0.625]
    assert values(program, outside) == [time + 5 for time in outside]
    assert slopes(program, outside) == [1.0] * 3
    limit = sp.limit(exact, u, 0)
    assert values(program, [float(end)]) == [float(limit)]


def test_derivatives_at_an_end_are_those_of_the_series() -> None:
    near = End(0.25, {"value": terms((0, 2.0), (1, -3.0), (2, 7.0))})
    assert slopes(made((near, near)), [0.0, 1.0]) == [-3.0, 3.0]


@pytest.mark.parametrize("start", [0.0, 0.125])
def test_where_there_is_a_limit_alone_its_slope_is_zero_and_not_nan(start: float) -> None:
    """The formula is infinite at either end, and is not asked there."""
    ends = (End(-1.0, {}, {"value": 2.0}), End(-1.0, {}, {"value": 3.0}))
    program = made(ends, start, value=1 / (t - sp.Rational(start)) + 1 / (1 - t))
    assert values(program, [start, 0.5, 1.0]) == [2.0, 2 + 1 / (0.5 - start), 3.0]
    assert slopes(program, [start, 1.0]) == [0.0, 0.0]
    unknown = (End(-1.0, {}, {"value": math.nan}), NEVER)
    assert math.isnan(values(made(unknown), [0.0])[0])
    assert values(made(unknown), [0.5]) == [5.5]


@pytest.mark.parametrize("start", [0.0, 0.125])
def test_where_there_is_a_series_a_singular_formula_spoils_no_slope(start: float) -> None:
    near = End(0.0625, {"value": terms((0, 4.0), (1, 2.0))})
    program = made((near, near), start, value=1 / (t - sp.Rational(start)) + 1 / (1 - t))
    assert values(program, [start, 1.0]) == [4.0, 4.0]
    assert slopes(program, [start, 1.0]) == [2.0, -2.0]


def test_distances_are_from_the_exact_start() -> None:
    """2^-60 is lost in the start, and counts."""
    near = End(0.25, {"value": terms((1, 1.0))})
    (value,) = values(made((near, NEVER), 0.125, 2.0**-60), [0.125 + 2.0**-55])
    assert value == 2.0**-55 - 2.0**-60
    assert values(made((near, NEVER), 0.125, 2.0**-60), [0.125]) == [0.0]
    assert values(made((near, NEVER), 0.125), [0.125, 0.375]) == [0.0, 0.25]


def test_the_next_float32_below_the_start_means_the_start_and_no_other() -> None:
    start = 0.25 * (1 + 0.9 * 2.0**-23)
    near = End(0.25, {"value": terms((0, 3.0), (1, 2.0))})
    below, further, far, back = values(made((near, NEVER), start), [0.25, 0.25 * (1 - 2.0**-23), 0.125, -0.25])
    assert below == 3.0
    assert all(math.isnan(value) for value in (further, far, back))
    after = start * 1.0009765625
    assert values(made((near, NEVER), start), [after]) == [3 + 2 * (after - start)]


def test_a_constant_has_the_shape_of_the_times_and_is_nan_outside() -> None:
    found: Tensor = load(made((NEVER, NEVER), value=sp.Rational(1, 3)))(torch.tensor([[0.25, 1.5], [-0.5, 1.0]]))[
        "value"
    ]
    assert found[0, 0] == found[1, 1] == 1 / 3
    assert found.isnan().tolist() == [[False, True], [True, False]]


def test_a_zero_inside_has_a_series_of_its_own_even_within_the_reach_of_an_end() -> None:
    near = End(0.25, {"value": terms((0, 7.0))})
    zero = Zero(0.125, 2.0**-60, 0.03125, terms((1, 2.0), (2, 1.0)))
    program = Program(0.0, 0.0, t, (), {"value": t + 5}, (near, NEVER), {"value": (zero,)})
    w = 2.0**-50 - 2.0**-60
    assert values(program, [0.0, 0.125 + 2.0**-50, 0.125 + 0.03125, 0.5]) == [7.0, w * (2 + w), 7.0, 5.5]
    assert slopes(program, [0.125, 0.5]) == [pytest.approx(2.0), 1.0]


@pytest.mark.parametrize(
    "formula", ["exp(t) + 1234567*t", "atan(3*t) + sinh(t)**(1/3)", "acosh(1 + t) - tanh(t/7)", "t"]
)
def test_the_text_for_onnx_computes_the_same(formula: str) -> None:
    near = End(2.0**-9, {"value": terms((0, 0.1), (HALF, 1 / 3))})
    program = made((near, NEVER), value=sp.sympify(formula, {"t": t}))
    times = torch.tensor([-1.0, 0.0, 0.001, 0.3, 0.7, 1.0], dtype=torch.float64)
    usual, other = (load(program, dialect=dialect)(times)["value"] for dialect in ("torch", "onnx"))
    torch.testing.assert_close(other, usual, rtol=1e-14, atol=0, equal_nan=True)

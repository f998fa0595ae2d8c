"""Programs: series at the ends and at zeros inside are placed where they keep the values right."""

import math
import warnings
from fractions import Fraction

import mpmath
import pytest
import sympy as sp

from symsi import Schedule, convert
from symsi.algebra.symbols import t
from symsi.coefficients.kernels import _kernels, kernels, run
from symsi.coefficients.program import End, Program, Terms, build, formulas, probes
from symsi.theory.conversion import FIELDS, Conversion
from tests.coefficients.made import LATE, Made, made


def errors(conversion: Conversion, program: Program, times: list[float]) -> list[float]:
    """The worst relative error of float64 values at each time."""
    found = run(program)(times)
    rows = [conversion.evaluate_all(sp.Rational(time), conversion.coefficients, 60) for time in times]
    with mpmath.workdps(60):
        return [max(float(abs(found[n][k] - v) / abs(v)) for n, v in row.items()) for k, row in enumerate(rows)]


def test_probes_lie_inside_one_in_each_octave_of_the_distance_from_an_end() -> None:
    for start in (0.0, 0.25):
        for end in (0, 1):
            distances = [abs(time - (1.0 if end else start)) / (1 - start) for time in probes(start, end)]
            assert [math.ceil(math.log2(d)) for d in distances] == list(range(-2, -41, -1))
            assert all(math.log2(d) % 1 > 0.5 for d in distances)
            assert all(start < time < 1 for time in probes(start, end))


def test_a_program_is_as_accurate_as_it_says_at_both_ends() -> None:
    conversion = made(first="(exp(t) - 1 - t)/t**2", last="(exp(1-t) - 2 + t)/(1-t)**2", plain="1 + t")
    program = build(conversion, run)
    times = [time for end in (0, 1) for time in probes(0.0, end)]
    assert program.accuracy == pytest.approx(max(errors(conversion, program, times)), rel=0.02, abs=0)
    assert program.accuracy < 1e-11
    assert max(errors(conversion, formulas(conversion), times)) > 0.5
    assert all(0.002 < end.radius < 0.3 for end in program.ends)


def test_without_a_series_a_program_is_as_accurate_as_its_formulas() -> None:
    conversion = made(value="exp(t*log(t)/20000) - 1")
    program = build(conversion, run)
    times = [time for end in (0, 1) for time in probes(0.0, end)]
    assert program.accuracy == pytest.approx(max(errors(conversion, program, times)), rel=1e-9, abs=0)
    assert 0.01 < program.accuracy < 0.9


def test_where_no_coefficient_has_a_series_there_are_limits_alone() -> None:
    program = build(made(value="t*log(t) + 2"), run)
    assert (program.ends[0].series, program.ends[0].limits) == ({}, {"value": 2.0})
    assert run(program)([0.0, 0.5])["value"] == [2.0, pytest.approx(2 - math.log(2) / 2, rel=1e-15)]


@pytest.mark.parametrize(
    ("base", "formula"),
    [
        (None, "(cos(3*t) - 1/2)/t"),
        (None, "(cos(3*t) - 1/2)**2/t"),
        (None, "cos(3*t - 3/2) - 1"),
        (None, "log(1 - t) + 3"),
        (None, "2*(t**2 - 1/3000)"),
        (None, "3*((1 - t)**2 - 1/3000)"),
        (None, "t - 1/3000"),
        (None, "(1 - t)*2 - 1/3000"),
        (LATE, "log(t - 1/11) + 7/2"),
        (LATE, "log(1 - t) + 2"),
    ],
)
def test_beside_a_zero_inside_values_are_right_to_the_last_bits(base: Schedule | None, formula: str) -> None:
    conversion = made(base, value=formula)
    program = build(conversion, run)
    (zero,) = program.zeros["value"]
    exact = sp.Rational(zero.time) + sp.Rational(zero.rest)
    assert abs(conversion.evaluate("value", exact, 60)) < 1e-28
    room = min(zero.time - conversion.start_time, 1 - zero.time)
    assert 0 < zero.radius <= room / 4
    times = [zero.time + side * room * 2.0**-k for k in range(1, 45) for side in (-1, 1)]
    assert max(errors(conversion, program, times)) < 1e-12
    assert max(errors(conversion, formulas(conversion), times)) > 1e-9


def test_a_time_map_without_a_closed_form_is_solved_to_fourteen_digits() -> None:
    conversion = made(Schedule("(1-t)*(1+t/3)", "t*exp(t-1)"), time="tau")
    times = [1e-9, 1e-3, 0.25, 0.5, 0.75, 1 - 1e-9]
    want = [float(conversion.evaluate_time(sp.Rational(time))) for time in times]
    assert conversion.implicit
    assert run(formulas(conversion))(times)["time"] == pytest.approx(want, rel=1e-14, abs=0)


def test_a_start_that_float64_rounds_keeps_what_is_lost() -> None:
    for conversion in (convert("edm", "linear"), made(LATE, value="t")):
        found = formulas(conversion)
        assert found.start == float(conversion.start)
        assert abs(sp.Rational(found.start) + sp.Rational(found.start_rest) - conversion.start) < 1e-32
        assert found.start_rest != 0


@pytest.mark.parametrize(("start", "distance"), [(0.0, "t"), (0.125, "(t - start)")])
def test_of_each_field_and_of_a_step_the_first_coefficient_without_a_limit_is_told(start: float, distance: str) -> None:
    pole, flat, square = ((Fraction(-1), 2.0),), ((Fraction(0), 2.0),), ((Fraction(2), 2.0),)
    names = [f"{f}_{part}" for f in FIELDS for part in ("state", "input", "prediction")]
    usual: dict[str, Terms] = dict.fromkeys(["scale", "diffusion", *names], flat)
    first = usual | {"scale": square, "velocity_state": pole, "noise_input": pole, "drift_state": pole}
    last = usual | {"velocity_state": pole, "score_input": pole, "data_prediction": pole, "diffusion": pole}
    program = Program(start, 0.0, t, (), {}, (End(0.1, first), End(0.1, last)), {})
    assert program.endless() == {
        "velocity": ("", "velocity_state ~ 2 (1 - t)^(-1)"),
        "noise": (f"noise_input ~ 2 {distance}^(-1)", ""),
        "data": ("", "data_prediction ~ 2 (1 - t)^(-1)"),
        "step": ("", "diffusion ~ 2 (1 - t)^(-1)"),
    }


def test_an_end_says_what_vanishes_there_and_what_has_no_limit() -> None:
    series = {
        "root": ((Fraction(1, 2), 2.0), (Fraction(1), 3.0)),
        "plain": ((Fraction(0), 1.5), (Fraction(1), 3.0)),
        "none": (),
        "pole": ((Fraction(-1, 2), -2.0), (Fraction(1, 2), 1.0)),
    }
    end = End(0.1, series, {"zero": 0.0, "one": 1.0, "lost": math.nan})
    names = [*series, *end.limits]
    assert {n for n in names if end.vanishes(n)} == {"root", "none", "zero"}
    assert {n: end.divergence(n, "u") for n in names if end.divergence(n, "u")} == {
        "pole": "pole ~ -2 u^(-1/2)",
        "lost": "lost has no limit that is known",
    }
    assert end.divergence("of another end", "u") == ""


def test_kernels_that_are_not_good_to_float32_say_so_and_no_others() -> None:
    usual = convert("linear", "linear")
    poor = {**usual.coefficients, "diffusion": sp.exp(t * sp.log(t) / 20000) - 1}
    _kernels.cache_clear()  # a warning comes once
    with pytest.warns(UserWarning, match=r"kernels of linear to linear are good to 3e-02 only"):
        kernels(Made(usual.base, usual.target, made=tuple(poor.items())))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kernels(Made(usual.base, usual.target, made=tuple(usual.coefficients.items())))

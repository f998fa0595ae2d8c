"""Functions of t by name: limits, series, zeros and values, and what they say of parameters."""

import mpmath
import pytest
from sympy import Rational, Symbol, exp, log

import symsi
from symsi.algebra.symbols import t
from symsi.theory.functions import Functions, as_formulas

K = Symbol("k")
MINE = Functions((("bump", t**2 * (1 - t)), ("grows", exp(t)), ("sinks", log(t)), ("scaled", K * t - 1)), "mine")


def test_functions_tell_their_name_and_parameters() -> None:
    assert str(MINE) == "mine"
    assert MINE.free_parameters == {K}
    with pytest.raises(symsi.UnknownNameError, match="bump"):
        MINE.limit("bumb", 0)


def test_ends_have_limits() -> None:
    assert MINE.end_value("bump", 0) == 0
    assert float(MINE.end_value("grows", 1)) == pytest.approx(2.718281828459045, rel=1e-15)
    assert float(MINE.end_value("grows", 0)) == 1
    assert MINE.end_value("sinks", 0) is None
    assert MINE.end_value("sinks", 1) == 0
    assert MINE.limit("sinks", 0).value is None


def test_series_are_in_the_distance_from_an_end() -> None:
    at_start, at_end = MINE.series(0), MINE.series(1)
    assert [(int(p), float(c.values[0])) for p, c in at_start["bump"].terms] == [(2, 1), (3, -1)]
    assert [(int(p), float(c.values[0])) for p, c in at_end["bump"].terms] == [(1, 1), (2, -2), (3, 1)]
    assert "sinks" not in at_start
    assert [float(c.values[0]) for _, c in at_end["sinks"].terms[:3]] == pytest.approx([-1, -1 / 2, -1 / 3])
    assert len(MINE.series(0, 3)["grows"].terms) < len(MINE.series(0, 6)["grows"].terms)


def test_a_taylor_series_is_about_a_time_inside() -> None:
    found = MINE.series_at("grows", Rational(1, 2), 5)
    value = mpmath.exp(0.5)
    for power, coefficient in found.terms[:4]:
        assert float(coefficient.values[0]) == pytest.approx(float(value / mpmath.factorial(int(power))), rel=1e-14)
    assert [int(power) for power, _ in found.terms[:4]] == [0, 1, 2, 3]
    assert len(MINE.series_at("grows", Rational(1, 2), 7).terms) > len(found.terms)


def test_a_zero_lies_between_two_times() -> None:
    zero = MINE.zero("scaled", 0.1, 0.9, {"k": 3})
    assert zero is not None
    assert abs(float(zero) - 1 / 3) < 1e-15
    assert MINE.zero("scaled", 0.5, 0.9, {"k": 3}) is None


def test_values_have_the_digits_that_are_asked_for() -> None:
    with mpmath.workdps(80):
        for digits in (20, 60):
            found = MINE.evaluate("grows", Rational(1, 3), digits)
            assert abs(found - mpmath.exp(mpmath.mpf(1) / 3)) < mpmath.mpf(10) ** -digits
        both = MINE.evaluate_all(Rational(1, 4), ("scaled", "bump"), 30, {"k": 8})
        assert list(both) == ["scaled", "bump"]
        assert both == {"scaled": 1, "bump": mpmath.mpf(3) / 64}
        near = Functions((("small", exp(t) - 1 - t),)).evaluate("small", Rational(1, 10**6), 30)
        assert abs(near / (mpmath.expm1(mpmath.mpf(10) ** -6) - mpmath.mpf(10) ** -6) - 1) < mpmath.mpf(10) ** -30


def test_a_parameter_without_a_value_is_named() -> None:
    with pytest.raises(symsi.SymsiError, match=r'mine depends on the parameter k; give it: parameters=\{"k": 1\}'):
        MINE.evaluate("scaled", Rational(1, 2))
    with pytest.raises(symsi.SymsiError, match="parameter k"):
        MINE.evaluate("scaled", Rational(1, 2), parameters={"other": 2})


def test_an_interpolants_coefficients_are_functions_and_a_conversion_stays_what_it_is() -> None:
    line = symsi.interpolant("linear", gamma="quadratic")
    found = as_formulas(line)
    assert str(found) == str(line)
    assert found.evaluate("gamma", Rational(1, 4)) == mpmath.mpf(3) / 16
    conversion = symsi.convert("linear", "vp")
    assert as_formulas(conversion) is conversion

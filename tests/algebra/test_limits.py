"""Limits and leading behaviour, against known expansions and multiprecision values."""

import mpmath
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import symsi
from symsi.algebra.limits import check_limit
from symsi.algebra.multiprecision import evaluate
from symsi.algebra.parse import parse
from symsi.errors import EndpointError
from symsi.interpolants.schedule import at_end

t = sp.Symbol("t")


@pytest.mark.parametrize(
    ("formula", "start", "end"),
    [
        ("sqrt(1-t**2)", "= 1", "~ sqrt(2)*sqrt(1 - t)"),
        ("-t/sqrt(1-t**2)", "~ -t", "~ -sqrt(2)/(2*sqrt(1 - t))"),
        ("cos(pi*t/2)", "= 1", "~ pi*(1 - t)/2"),
        ("tan(pi*t/2)", "~ pi*t/2", "~ 2/(pi*(1 - t))"),
        ("acos(t)", "= pi/2", "~ sqrt(2)*sqrt(1 - t)"),
        ("asin(t)", "~ t", "= pi/2"),
        ("2*atan(t/(1-t))/pi", "~ 2*t/pi", "= 1"),
        ("(1-cos(t))/t**2", "= 1/2", "= 1 - cos(1)"),
        ("(exp(t)-1-t)/t**2", "= 1/2", "= -2 + E"),
        ("sin(t)/t", "= 1", "= sin(1)"),
        ("exp(-1/t)", "= 0", "= exp(-1)"),
        ("t*log(t)", "= 0", "~ -(1 - t)"),
        ("t-t", "= 0", "= 0"),
        ("(sqrt(1+t)-1)/t", "= 1/2", "= -1 + sqrt(2)"),
    ],
)
def test_the_behaviour_at_both_ends(formula: str, start: str, end: str) -> None:
    expr = parse(formula)
    for stop, text in ((0, start), (1, end)):
        found = at_end(expr, stop)
        wanted = sp.sympify(text[2:])
        assert text[0] == str(found)[0]
        assert sp.simplify((found.value if text[0] == "=" else found.leading) - wanted) == 0


def test_a_limit_that_does_not_exist_is_undecided_not_guessed() -> None:
    found = at_end(parse("sin(1/t)"), 0)
    assert found.exponent is None
    assert found.value is None
    assert "undecided" in str(found)


def test_demanding_a_limit_that_is_not_there_names_coefficient_and_behaviour() -> None:
    with pytest.raises(EndpointError, match=r"velocity_state .* t = 1: ~ .*1 - t"):
        at_end(parse("-t/sqrt(1-t**2)"), 1).require("velocity_state")


def test_a_wrong_leading_term_is_noticed_by_the_numeric_check() -> None:
    expr = parse("sqrt(1-t**2)")
    found = at_end(expr, 1)

    def value(u: sp.Expr) -> mpmath.mpf:
        return evaluate(expr, {t: 1 - u}, 250)

    assert check_limit(found, value)
    wrong = type(found)(found.end, found.side, found.coefficient * sp.Rational(1001, 1000), found.exponent)
    assert not check_limit(wrong, value)


powers = st.sampled_from([sp.Rational(p, q) for q in (1, 2, 3) for p in range(-4, 7)])


@settings(max_examples=60, deadline=None)
@given(powers, powers, st.sampled_from(["sin", "exp", "atan", "tanh", "log1p", "expm1", "cos"]), st.booleans())
def test_random_products_agree_with_multiprecision_values(p: sp.Expr, q: sp.Expr, f: str, root: bool) -> None:
    expr = t**p * parse(f"{f}(t)") * (1 - sp.cos(t)) ** (q if root else 1) + t ** (p + 9)
    found = at_end(expr, 0)
    assert found.exponent is not None
    assert check_limit(found, lambda u: evaluate(expr, {t: u}, 300))


def test_a_piecewise_function_has_the_limits_of_its_pieces() -> None:
    half = sp.Rational(1, 2)
    pieces = sp.Piecewise((sp.cos(sp.pi * t) ** 2, t < half), (sp.sqrt(1 - t), True))
    assert [str(at_end(pieces, end)) for end in (0, 1)] == ["= 1", "~ sqrt(1 - t)"]
    assert [str(at_end(sp.diff(pieces, t), end)) for end in (0, 1)] == ["~ -2*pi**2*t", "~ -1/(2*sqrt(1 - t))"]
    assert at_end(sp.Piecewise((t, t > half), (2, True)), 0).value == 2


def test_a_constant_too_long_to_read_is_shown_as_a_number_and_kept_exact() -> None:
    found = symsi.convert("ddpm", "cosine").limit("velocity_prediction", 0)
    assert found.short == "≈ 23.714474"
    assert str(found) == f"= {found.value}"
    assert abs(evaluate(found.value, {}) - mpmath.mpf("23.714474")) < mpmath.mpf("1e-6")
    assert symsi.convert("ddpm", "cosine").limit("velocity_prediction", 1).short == "= 625*pi*tan(pi/252)/63"

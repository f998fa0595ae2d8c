"""Short forms are equal forms."""

import mpmath
import pytest
import sympy as sp

from symsi import convert
from symsi.algebra.simplify import in_roots, simplify
from symsi.algebra.symbols import t

U, W = sp.symbols("u w")


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("time", "u/(u + w)"),
        ("scale", "u*(u + w)"),
        ("drift_state", "-(u - w)/(u*w*(u + w))"),
        ("drift_prediction", "1/(w*(u + w))"),
    ],
)
def test_the_point_mass_schedule_is_short_in_the_roots_of_t(name: str, short: str) -> None:
    formula = convert("linear", "lazy(kappa=1)", "optimal").formulas[name]
    found = in_roots(formula, U, W)
    assert str(found) == short
    for time in (sp.Rational(1, 7), sp.Rational(8, 9)):
        with mpmath.workdps(60):
            gap = found.subs({U: sp.sqrt(time), W: sp.sqrt(1 - time)}) - formula.subs(t, time)
            assert abs(gap.evalf(50)) < mpmath.mpf("1e-45")


@pytest.mark.parametrize("text", ["cos(pi*t/2)", "sqrt(1+t)", "t + sqrt(t)", "exp(t)*sqrt(t)"])
def test_what_is_no_such_quotient_is_left_as_it_is(text: str) -> None:
    assert in_roots(sp.sympify(text), U, W) == sp.sympify(text)


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("sqrt(1 - cos(pi/7)**2)", "sin(pi/7)"),
        ("(1 - sin(pi/9)**2)**(1/4)*sqrt(cos(pi/9))", "cos(pi/9)"),
        ("cos(pi/252)*(1 - cos(pi/252)**2)**(-1/4)/sqrt(sin(pi/252))", "1/tan(pi/252)"),
        ("exp(2*t)*sqrt(t**2*(1 - t))/exp(t)", "t*sqrt(1 - t)*exp(t)"),
        ("log(t)*exp(2*log(t)*t)/exp(t*log(t))", "exp(t*log(t))*log(t)"),
    ],
)
def test_a_short_form_is_found(text: str, short: str) -> None:
    letters = {"t": t}
    assert simplify(sp.sympify(text, letters)) == sp.sympify(short, letters)

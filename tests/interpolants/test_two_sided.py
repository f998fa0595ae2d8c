"""Two-sided interpolants: named ones, limits, validation, and refusals that teach."""

import copy
import pickle

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from symsi.algebra.multiprecision import evaluate
from symsi.errors import InterpolantError, ParseError, UnknownNameError
from symsi.interpolants.named_two_sided import ENDS, GAMMAS, as_interpolant, interpolant
from symsi.interpolants.rows import Pair, Triple
from symsi.interpolants.two_sided import Interpolant

t = sp.Symbol("t")


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("ends", ENDS)
def test_every_named_pair_is_an_interpolant_whose_coefficients_are_its_derivatives(ends: str, gamma: str) -> None:
    bridge = interpolant(ends, gamma)
    for time in (sp.Rational(1, 7), sp.Rational(4, 7)):
        for name in ("alpha", "beta", "gamma"):
            exact = sp.diff(getattr(bridge, name), t)
            gap = evaluate(bridge.coefficients[f"{name}_dot"] - exact, {t: time})
            assert abs(gap) < 1e-45
        whole = bridge.gamma * sp.diff(bridge.gamma, t)
        assert abs(evaluate(bridge.coefficients["gamma_rate"] - whole, {t: time})) < 1e-45


def test_gamma_times_its_derivative_has_limits_where_the_derivative_has_none() -> None:
    bridge = interpolant("linear", "brownian", a=None)
    a = sp.Symbol("a")
    assert [bridge.limit("gamma_rate", end).value for end in (0, 1)] == [a / 2, -a / 2]
    assert [bridge.limit("gamma_dot", end).value for end in (0, 1)] == [None, None]
    assert bridge.free_parameters == {a}


@pytest.mark.parametrize(
    ("gamma", "dots", "rates"), [("quadratic", (1, -1), (0, 0)), ("sine", (0, 0), (0, 0)), ("brownian(a=3)", None, 3)]
)
def test_the_limits_of_the_named_gammas(gamma: str, dots: tuple[int, int] | None, rates: tuple[int, int] | int) -> None:
    limits = interpolant("linear", gamma).limits
    wanted = (sp.Rational(rates, 2), -sp.Rational(rates, 2)) if isinstance(rates, int) else rates
    assert tuple(end.value for end in limits["gamma_dot"]) == (dots or (None, None))
    assert tuple(end.value for end in limits["gamma_rate"]) == wanted


def test_the_sigmoid_is_the_papers() -> None:
    """S(f(t-1/2)+1) - S(f(t-1/2)-1) - S(1-f/2) + S(-1-f/2) with logistic S, written without differences."""
    f, y = sp.Symbol("f"), sp.Symbol("y")
    logistic = 1 / (1 + sp.exp(-y))
    middle = f * (t - sp.Rational(1, 2))
    parts = (logistic.subs(y, e) for e in (middle + 1, middle - 1, 1 - f / 2, -1 - f / 2))
    paper = sum(sign * part for sign, part in zip((1, -1, -1, 1), parts, strict=True))
    ours = interpolant("linear", "sigmoid", f=None).gamma
    for time in (sp.Rational(1, 9), sp.Rational(2, 3)):
        assert abs(evaluate(paper - ours, {t: time, f: sp.Rational(7)})) < 1e-45


def test_encoding_and_decoding_meet_at_the_latent() -> None:
    bridge = interpolant("encoding-decoding", "sine")
    half = {t: sp.Rational(1, 2)}
    assert all(abs(evaluate(e, half)) < 1e-90 for e in (bridge.alpha, bridge.beta))
    assert bridge.gamma.subs(half) == 1


def test_a_schedule_is_the_one_sided_case() -> None:
    p = Pair.of(1 - t, t)
    triple = Triple.one_sided(p)
    assert triple.state(x0=7, x1=3, latent=2) == p.state(noise=2, data=3)
    assert triple.velocity(x0=7, x1=3, latent=2) == p.velocity(noise=2, data=3)
    assert triple.gamma_rate == p.alpha * p.alpha_dot


def test_a_triple_at_another_time_is_differentiated_first() -> None:
    s = sp.Symbol("s")
    triple = Triple.of(1 - t, t**2, t * (1 - t)).at(s)
    assert (triple.beta, triple.beta_dot) == (s**2, 2 * s)
    assert sp.expand(triple.gamma_rate - s * (1 - s) * (1 - 2 * s)) == 0


@settings(deadline=None, max_examples=20)
@given(st.fractions(min_value="1/100", max_value=100))
def test_the_rate_of_a_brownian_gamma_is_half_its_variance_rate(a: object) -> None:
    assert interpolant("linear", "brownian", a=str(a)).limit("gamma_rate", 0).value == sp.Rational(str(a)) / 2


@pytest.mark.parametrize(
    ("triple", "message"),
    [
        (("1-t", "t", "t"), r"gamma must be 0 at t = 1; gamma=t is 1\. .* is a Schedule"),
        (("t", "1-t", "t*(1-t)"), r"alpha must be 1 at t = 0; alpha=t is 0\. .* swapped"),
        (("1-t", "t/2", "t*(1-t)"), r"beta must be 1 at t = 1; beta=t/2 is 1/2\. I_1 must be x1"),
        (("1-t", "t", "t*(1-t)*(1-2*t)"), r"gamma must be real, finite and positive .* is 0 at t≈0\.5"),
        (("1-t", "t", "-t*(1-t)"), r"positive on \(0, 1\); .* is -"),
        (("1-t+t*(1-t)/(2*t-1)", "t", "t*(1-t)"), r"alpha must be real and finite .* not at t≈0\.5"),
        (("1-t", "log(t)", "t*(1-t)"), r"beta must be 0 at t = 0; beta=log\(t\) is without a finite limit"),
        (("1-t", "t", 0), r"gamma must be real, finite and positive"),
    ],
)
def test_a_triple_that_bridges_nothing_is_refused(triple: tuple[str, str, str], message: str) -> None:
    with pytest.raises(InterpolantError, match=message):
        Interpolant(*triple)  # type: ignore[arg-type]


def test_undeclared_and_unfit_parameters_are_refused() -> None:
    with pytest.raises(ParseError, match="unknown symbol 'b'"):
        Interpolant("1-t", "t", "b*t*(1-t)")  # type: ignore[arg-type]
    with pytest.raises(InterpolantError, match="undeclared symbol 'b'"):
        Interpolant(1 - t, t, sp.Symbol("b") * t * (1 - t))
    with pytest.raises(InterpolantError, match="must be a positive number"):
        interpolant("linear", "brownian", a=-1)
    with pytest.raises(InterpolantError, match="'quadratic' has no parameters; got a"):
        interpolant("linear", "quadratic(a=2)")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (("linaer",), "Did you mean 'linear'"),
        (("linear", "quadratc"), "unknown gamma .* Did you mean 'quadratic'"),
        (("linear", "brownian(b=2)"), "unknown parameter of gamma 'brownian' 'b'"),
        (("linear(b=2)",), "unknown parameter of interpolant 'linear' 'b'"),
    ],
)
def test_a_wrong_name_is_answered_with_the_closest(call: tuple[str, ...], message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        interpolant(*call)


def test_names_expressions_and_values_are_read_as_interpolants() -> None:
    bridge = interpolant("linear(gamma=brownian(a=2))")
    assert bridge == interpolant("linear", "sqrt(2*t*(1-t))") == as_interpolant(bridge)
    assert interpolant("linear", sp.sqrt(2 * t * (1 - t))) == bridge
    with pytest.raises(InterpolantError, match=r"a name such as .* got int"):
        as_interpolant(3)  # type: ignore[arg-type]


def test_an_interpolant_is_a_value() -> None:
    bridge = interpolant("linear", "quadratic")
    assert copy.deepcopy(bridge) == bridge == pickle.loads(pickle.dumps(bridge))
    assert hash(bridge) == hash(Interpolant(1 - t, t, t * (1 - t)))
    assert bridge.evidence == {"gamma > 0": "proved"}
    assert str(Interpolant(1 - t, t, t * (1 - t))) == "(alpha=1 - t, beta=t, gamma=t*(1 - t))"


def test_coefficients_are_named_and_parameters_are_those_of_all_three() -> None:
    bridge = Interpolant("(1-t)**a", "t**b", "c*t*(1-t)", parameters={"a": None, "b": None, "c": None})
    assert {str(p) for p in bridge.free_parameters} == {"a", "b", "c"}
    for name in ("alpha", "beta", "gamma"):
        assert bridge.coefficients[name] == getattr(bridge, name)
    assert bridge.coefficients["alpha"] != bridge.coefficients["beta"]

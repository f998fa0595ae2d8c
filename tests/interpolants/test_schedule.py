"""Schedules: kinds, validation, and refusals that teach."""

import copy
import pickle

import mpmath
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from symsi.algebra.inverse import PARTS
from symsi.algebra.multiprecision import evaluate
from symsi.errors import ParseError, ScheduleError, UnknownNameError
from symsi.interpolants.lazy import lazy_schedule
from symsi.interpolants.named import NAMED, schedule
from symsi.interpolants.schedule import Kind, Schedule, at_end

t = sp.Symbol("t")
KINDS = {
    "linear": Kind.GAUSSIAN,
    "trigonometric": Kind.GAUSSIAN,
    "vp": Kind.GAUSSIAN,
    "ddpm": Kind.TRUNCATED,
    "polynomial": Kind.GAUSSIAN,
    "cosine": Kind.GAUSSIAN,
    "ve": Kind.TRUNCATED,
    "edm": Kind.TRUNCATED,
    "shifted": Kind.GAUSSIAN,
    "lazy(kappa=0)": Kind.GAUSSIAN,
    "lazy(kappa=1/2)": Kind.POINT_MASS,
    "lazy(kappa=1)": Kind.POINT_MASS,
}


def test_every_named_schedule_has_an_expected_kind() -> None:
    assert {n.partition("(")[0] for n in KINDS} == {*NAMED, "lazy"}


@pytest.mark.parametrize("name", KINDS)
def test_the_kind_of_a_named_schedule(name: str) -> None:
    assert schedule(name).kind is KINDS[name]


@pytest.mark.parametrize("name", KINDS)
def test_a_named_schedule_inverts_its_ratio_to_forty_digits(name: str) -> None:
    s = schedule(name)
    for time in (sp.Rational(1, 1000), sp.Rational(2, 5), sp.Rational(999, 1000)):
        parts = (evaluate(e, {t: time}, 80) for e in (s.alpha, s.beta))
        back = evaluate(s.inverse, dict(zip(PARTS, parts, strict=True)), 60)
        assert abs(back - mpmath.mpf(time.p) / time.q) < mpmath.mpf("1e-15")
        with mpmath.workdps(60):
            assert abs(back - mpmath.mpf(time.p) / time.q) < mpmath.mpf("1e-40")


@pytest.mark.parametrize(
    ("text", "alpha", "beta"),
    [
        ("shifted(shift=1)", 1 - t, t),
        ("polynomial(n=3)", 1 - t**3, t**3),
        ("lazy(kappa=1, variance=4)", 2 * sp.sqrt(t * (1 - t)), t),
        ("lazy(kappa=0, beta=sin(pi*t/2))", sp.cos(sp.pi * t / 2), sp.sin(sp.pi * t / 2)),
    ],
)
def test_a_spec_with_parameters_is_read(text: str, alpha: sp.Expr, beta: sp.Expr) -> None:
    s = schedule(text)
    for time in (0.2, 0.7):
        assert abs(sp.N((s.alpha - alpha).subs(t, time))) < 1e-14
        assert abs(sp.N((s.beta - beta).subs(t, time))) < 1e-14


def test_parameters_are_exact_numbers_and_may_stay_symbolic() -> None:
    assert Schedule("1-t**n", "t**n", parameters={"n": 2}).alpha == 1 - t**2
    free = Schedule("1-t**n", "t**n", parameters={"n": None})
    assert free.free_parameters == {sp.Symbol("n")}
    assert free.kind is Kind.GAUSSIAN


def test_sympy_symbols_with_assumptions_are_accepted() -> None:
    s = sp.Symbol("t", positive=True)
    assert Schedule(1 - s, s) == schedule("linear")


def test_a_scaled_start_must_be_declared() -> None:
    with pytest.raises(ScheduleError, match="noise_scale=2"):
        Schedule("2*(1-t)", "t")
    assert Schedule("2*(1-t)", "t", noise_scale=2).kind is Kind.GAUSSIAN
    assert lazy_schedule(0, variance=9).noise_scale == 3


def test_a_start_that_is_declared_and_denied_is_refused() -> None:
    with pytest.raises(ScheduleError, match=r"noise_scale=2, but alpha is 0 at t = 0"):
        Schedule("sqrt(t*(1-t))", "t", noise_scale=2)
    with pytest.raises(ScheduleError, match=r"noise_scale=2, but alpha is 80 at t = 0"):
        Schedule("80*(1-t)", "1", noise_scale=2)
    assert Schedule("80*(1-t)", "1", noise_scale=80).kind is Kind.TRUNCATED


def test_parameters_of_a_schedule_and_of_the_table_cannot_be_written() -> None:
    for held in (schedule("shifted"), NAMED["shifted"]):
        with pytest.raises(TypeError):
            held.parameters["shift"] = 7  # type: ignore[index]
    assert schedule("shifted").parameters["shift"] == 3


def test_a_schedule_survives_pickle_and_copy() -> None:
    for again in (pickle.loads(pickle.dumps(schedule("shifted"))), copy.deepcopy(schedule("shifted"))):
        assert again == schedule("shifted")
        assert (again.name, dict(again.parameters)) == ("shifted", {"shift": 3})
        with pytest.raises(TypeError):
            again.parameters["shift"] = 7


def test_a_scaled_end_must_be_declared() -> None:
    with pytest.raises(ScheduleError, match="data_scale=1/2"):
        Schedule("1-t", "t/2")
    assert Schedule("1-t", "t/2", data_scale=0.5).kind is Kind.GAUSSIAN


def test_evidence_says_what_was_proved_and_what_was_checked() -> None:
    assert schedule("linear").evidence["beta/alpha increases"] == "proved"
    assert schedule("cosine").evidence["beta/alpha increases"] == "proved"
    assert schedule("ve").evidence["beta/alpha increases"] == "grid"
    waves = "(1 + t*sin(5*t)/9)"
    noisy = Schedule(f"(1-t)*{waves}", "t").evidence
    wavy = Schedule("1-t", f"t*{waves}", data_scale="1 + sin(5)/9").evidence
    assert (noisy["alpha > 0"], noisy["beta > 0"]) == ("grid", "proved")
    assert (wavy["alpha > 0"], wavy["beta > 0"]) == ("proved", "grid")


def test_a_schedule_without_a_name_is_called_by_its_formulas() -> None:
    assert str(Schedule("1-t", "t**3")) == "(alpha=1 - t, beta=t**3)"
    assert str(Schedule("1-t", "t**3", name="cubic")) == "cubic"


@pytest.mark.parametrize(("alpha", "beta"), [("(1-t)**a", "t"), ("1-t", "t**a")])
def test_parameters_of_either_side_are_free(alpha: str, beta: str) -> None:
    assert Schedule(alpha, beta, {"a": None}).free_parameters == {sp.Symbol("a")}


@pytest.mark.parametrize(("end", "side"), [(0, 1), (1, -1)])
def test_a_limit_is_taken_from_inside(end: int, side: int) -> None:
    for formula in (t, t * (1 - t) * sp.log(t * (1 - t))):
        found = at_end(formula, end)
        assert (found.end, found.side, found.value) == (end, side, formula.subs(t, end) if formula == t else 0)


@pytest.mark.parametrize(
    ("alpha", "beta", "message"),
    [
        ("1-t", "t*(1-t)", "beta must be 1 at t = 1"),
        ("1-t", "t*(1-3.8*t+3.8*t**2)", "must increase"),
        ("(1-t)*(1-3*t+4*t**2)", "t*(3-2*t)*(1-t)+t**2*(3*t-2)", "positive|increase"),
        ("1-2*t", "t", "alpha must be real, finite and positive.* for alpha=1 - 2\\*t, beta=t it"),
        ("1-t", "t*(1-6*t+6*t**2)", "beta must be real, finite and positive"),
        ("t", "1-t", "alpha must be 0 at t = 1"),
        ("cos(pi*t)", "t", "positive"),
        ("1", "t", "does not depend on t"),
        ("1-t", "1", r"at most 0\.1"),
        ("1-t", "1/2", "beta must be 1"),
        ("sqrt(1/2-t)", "t", "real, finite and positive"),
        ("(1-t)/(t-1/2)**2", "t", "finite"),
        ("(1-t)/t", "t", "finite at t = 0"),
        ("log(1/t)", "t", "finite at t = 0"),
        ("1-t**n", "t", "undeclared|declared"),
        ("sqrt(t*(1-t))", "sqrt(t)*(1+t-t)", "start from 0"),
        ("t*(1-t)", "t", "start from 0"),
    ],
)
def test_a_pair_that_is_no_schedule_is_refused_with_the_reason(alpha: str, beta: str, message: str) -> None:
    with pytest.raises((ScheduleError, ParseError), match=message):
        Schedule(alpha, beta)


def test_a_refusal_of_a_falling_ratio_says_where() -> None:
    with pytest.raises(ScheduleError, match=r"does not at t≈0\.[2-6]"):
        Schedule("1-t", "t*(1-3.8*t+3.8*t**2)")


@pytest.mark.parametrize("bad", [{"n": -1}, {"n": 0}, {"n": "I"}, {"n": float("nan")}])
def test_parameters_must_be_positive_numbers(bad: dict[str, float]) -> None:
    with pytest.raises((ScheduleError, ParseError)):
        Schedule("1-t**n", "t**n", parameters=bad)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kappa": -1}, "kappa"),
        ({"kappa": "sqrt(2)"}, "rational"),
        ({"variance": 0}, "variance"),
        ({"variance": -2}, "variance"),
        ({"beta": "1-t"}, "beta"),
        ({"beta": "t/2"}, "beta|alpha"),
        ({"kappa": float("inf")}, "finite"),
    ],
)
def test_lazy_schedules_refuse_unfit_arguments(arguments: dict[str, object], message: str) -> None:
    with pytest.raises((ScheduleError, ParseError), match=message):
        lazy_schedule(**arguments)


@pytest.mark.parametrize(
    ("name", "hint"),
    [("liner", "'linear'"), ("Linear", "'linear'"), ("trig", "Known"), ("lazzy(kappa=1)", "'lazy'"), ("", "Known")],
)
def test_an_unknown_name_is_refused_with_the_closest_match(name: str, hint: str) -> None:
    with pytest.raises(UnknownNameError, match=hint):
        schedule(name)


@pytest.mark.parametrize(
    "text", ["lazy(1)", "lazy(kappa=)", "lazy(kappa=1", "lazy(**x)", "linear)(", "lazy(kappa=1)(2)"]
)
def test_a_malformed_spec_is_refused(text: str) -> None:
    with pytest.raises((ParseError, UnknownNameError, ScheduleError)):
        schedule(text)


def test_an_unknown_parameter_of_a_named_schedule_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="'shift'"):
        schedule("shifted(shft=3)")


@settings(max_examples=25, deadline=None)
@given(
    st.fractions(min_value="1/4", max_value=4, max_denominator=6),
    st.fractions(min_value="1/4", max_value=4, max_denominator=6),
)
def test_power_schedules_of_any_exponents_are_accepted_and_inverted(p: object, q: object) -> None:
    a, b = sp.Rational(str(p)), sp.Rational(str(q))
    s = Schedule((1 - t) ** a, t**b)
    assert s.kind is Kind.GAUSSIAN
    if a == b:
        assert s.inverse is not None

"""Conversions against their definitions: roots and finite differences at 50 digits, for every ordered pair."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any

import mpmath
import pytest
import sympy as sp
from mpmath import mp, mpf

import symsi
from symsi.algebra.limits import check_limit
from symsi.algebra.multiprecision import evaluate
from symsi.algebra.parse import parse
from symsi.algebra.proof import Verdict
from symsi.errors import DiffusionError, SymsiError, UnknownNameError
from symsi.interpolants.named import NAMED
from symsi.theory.conversion import FIELDS, Conversion, as_conversion, convert
from symsi.theory.diffusion import as_diffusion
from symsi.theory.fields import PREDICTIONS

t, tau, x = sp.symbols("t tau x")
NAMES = [*NAMED, "lazy(kappa=0)", "lazy(kappa=1/2)", "lazy(kappa=1)"]
SCHEDULES = [*NAMED, "lazy(kappa=1/2)", "lazy(kappa=1)"]
USER = symsi.Schedule("(1-t)*(1+t/3)", "t*exp(t-1)")
SLOW = symsi.Schedule("(1-t)*(1+t/3)", "t**2*exp(t-1)")  # beta/alpha starts like t^2
ETA_Z, ETA_X = mpf("0.75"), mpf("-1.25")


@lru_cache
def functions(s: symsi.Schedule) -> tuple[object, object]:
    return sp.lambdify(t, s.alpha, "mpmath"), sp.lambdify(t, s.beta, "mpmath")


def definitions(base: symsi.Schedule, target: symsi.Schedule, kappa: float, time: mpf) -> dict[str, mpf]:
    """Every quantity from alpha and beta alone: tau by a root, derivatives by central differences."""
    (alpha, beta), (alpha_bar, beta_bar) = functions(base), functions(target)

    def log_ratio(a: object, b: object, u: mpf) -> mpf:
        return mpmath.log(b(u)) - mpmath.log(a(u))

    def time_map(u: mpf) -> mpf:
        wanted = log_ratio(alpha_bar, beta_bar, u)

        def gap(z: mpf) -> mpf:
            return log_ratio(alpha, beta, 1 / (1 + mpmath.exp(-z))) - wanted

        z = mpmath.findroot(gap, (-90, 60), solver="anderson", tol=mpf("1e-100"), maxsteps=400)
        return 1 / (1 + mpmath.exp(-z))

    def scale(u: mpf) -> mpf:
        return beta_bar(u) / beta(time_map(u))

    def slope(f: object, u: mpf) -> mpf:
        h = min(u, 1 - u) * mpf("1e-12")
        return (8 * (f(u + h) - f(u - h)) - (f(u + 2 * h) - f(u - 2 * h))) / (12 * h)

    there, c = time_map(time), scale(time)
    optimal = alpha_bar(time) ** 2 * slope(lambda u: log_ratio(alpha_bar, beta_bar, u), time)
    epsilon = kappa * optimal
    rate, growth = slope(time_map, time), slope(scale, time)
    velocity = slope(alpha, there) * ETA_Z + slope(beta, there) * ETA_X
    state = alpha_bar(time) * ETA_Z + beta_bar(time) * ETA_X
    v_bar = growth / c * state + c * rate * velocity
    s_bar = -ETA_Z / alpha_bar(time)
    return {
        "time": there,
        "time_rate": rate,
        "scale": c,
        "diffusion": epsilon,
        "base_diffusion": epsilon / (c**2 * rate),
        "velocity": v_bar,
        "score": s_bar,
        "noise": ETA_Z,
        "data": ETA_X,
        "drift": v_bar + epsilon * s_bar,
        "given": velocity,
        "state": state,
    }


def agrees(a: mpf, b: mpf, tolerance: str = "1e-25") -> bool:
    return bool(abs(a - b) <= mpf(tolerance) * (1 + abs(b)))


def check(conversion: Conversion, kappa: float) -> None:
    with mp.workdps(70):
        for time in (mpf(3) / 5, mpf(9) / 10):
            truth = definitions(conversion.base, conversion.target, kappa, time)
            at = {t: time, tau: truth["time"]}
            if conversion.time is not None:
                assert agrees(evaluate(conversion.time, at, 60), truth["time"])
            assert agrees(conversion.evaluate_time(time, 50), truth["time"])
            for name in ("time_rate", "scale", "diffusion", "base_diffusion"):
                assert agrees(evaluate(conversion.formulas[name], at, 60), truth[name]), name
                assert agrees(conversion.evaluate(name, time), truth[name]), name
            for name in FIELDS:
                values = {**at, x: truth["state"], sp.Symbol("v"): truth["given"]}
                assert agrees(evaluate(conversion.field(name), values, 60), truth[name]), name


def pairs() -> Iterator[Any]:
    """Every ordered pair of names; fast tests take each name once as a base and once as a target."""
    for base, target in itertools.product(NAMES, NAMES):
        following = NAMES[(NAMES.index(base) + 1) % len(NAMES)]
        yield pytest.param(base, target, marks=() if target == following else pytest.mark.slow)


@pytest.mark.parametrize(("base", "target"), list(pairs()))
def test_every_formula_of_every_ordered_pair_is_what_the_definitions_give(base: str, target: str) -> None:
    check(convert(base, target, "optimal"), 1)


@pytest.mark.parametrize("target", ["linear", "lazy(kappa=1)", pytest.param("ddpm", marks=pytest.mark.slow)])
def test_a_users_schedule_with_an_implicit_time_map(target: str) -> None:
    conversion = convert(USER, target, "kappa=1/2")
    assert conversion.implicit
    check(conversion, mpf(1) / 2)


@pytest.mark.parametrize("base", ["linear", "ve", "lazy(kappa=1)"])
def test_to_a_users_schedule(base: str) -> None:
    check(convert(base, USER, "optimal"), 1)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_every_kind_of_network_gives_every_field(prediction: str) -> None:
    conversion = convert("ddpm", "lazy(kappa=1)", "optimal", prediction)
    time = mpf(7) / 10
    with mp.workdps(70):
        truth = definitions(conversion.base, conversion.target, 1, time)
        alpha = functions(conversion.base)[0](truth["time"])
        given = {"velocity": truth["given"], "score": -ETA_Z / alpha, "noise": ETA_Z, "data": ETA_X}[prediction]
        symbol = {"velocity": "v", "score": "s", "noise": "eta_Z", "data": "eta_X"}[prediction]
        for name in FIELDS:
            values = {t: time, tau: truth["time"], x: truth["state"], sp.Symbol(symbol): given}
            assert agrees(evaluate(conversion.field(name), values, 60), truth[name]), name


def value_near(conversion: Conversion, name: str, end: int, u: sp.Rational) -> mpf:
    side, point = (1, conversion.start) if end == 0 else (-1, sp.Integer(1))
    return conversion.evaluate(name, point + side * u, 250)


@pytest.mark.parametrize("target", ["linear", "cosine", "edm", "lazy(kappa=1/2)", "lazy(kappa=1)"])
@pytest.mark.parametrize("base", ["linear", "trigonometric", "ddpm", "lazy(kappa=1)"])
def test_every_limit_agrees_with_250_digit_values_near_the_end(base: str, target: str) -> None:
    conversion = convert(base, target, "optimal")
    for name, ends in conversion.limits.items():
        for end, found in enumerate(ends):
            assert found.exponent is not None, (name, end, str(found))
            if end == 0 and conversion.start != 0:
                continue  # an interior point of the target: nothing is singular there
            assert check_limit(found, lambda u, n=name, e=end: value_near(conversion, n, e, u)), (name, end, str(found))


def test_limits_of_an_implicit_time_map_agree_with_values_near_the_ends() -> None:
    conversion = convert(USER, "lazy(kappa=1)", "optimal")
    for name in ("time", "scale", "velocity_state", "drift_prediction"):
        for end in (0, 1):
            found = conversion.limit(name, end)
            assert check_limit(found, lambda u, n=name, e=end: value_near(conversion, n, e, u)), (name, end, str(found))


def test_a_truncated_base_starts_where_its_time_starts() -> None:
    conversion = convert("edm", "linear")
    assert conversion.start == sp.Rational(1, 81)
    assert abs(conversion.evaluate_time(conversion.start + sp.Rational(1, 10**40), 60)) < mpf("1e-35")


def test_the_start_under_a_target_without_closed_inverse_solves_the_time_equation() -> None:
    base = symsi.schedule("edm")
    start = convert(base, USER).start
    with mp.workdps(60):
        assert agrees(evaluate(USER.ratio, {t: start}, 60), evaluate(base.start_ratio, {}, 60), "1e-50")


def test_a_series_inside_the_domain_gives_the_values_near_its_point() -> None:
    conversion, point = convert("linear", "cosine"), sp.Rational(2, 5)
    with mp.workdps(60):
        for name in ("time", "scale", "velocity_prediction"):
            series = conversion.series_at(name, point, 6)
            for u in (mpf("1e-4"), mpf("3e-4")):
                found = sum(c.values[0] * u ** int(p) for p, c in series.terms)
                assert agrees(conversion.evaluate(name, point + sp.Float(u, 60), 60), found, "1e-19"), name


def test_a_series_about_a_time_of_an_implicit_map_starts_from_tau_there() -> None:
    conversion = convert(USER, "linear")
    with mp.workdps(60):
        series = conversion.series_at("scale", sp.Rational(2, 5), 6)
        found = sum(c.values[0] * mpf("1e-4") ** int(p) for p, c in series.terms)
        assert agrees(conversion.evaluate("scale", sp.Rational(4001, 10000), 60), found, "1e-19")


@pytest.mark.parametrize(("target", "base"), [("linear", USER), ("linear", SLOW), ("edm", USER), ("linear", "vp")])
@pytest.mark.parametrize("end", [0, 1])
def test_a_series_at_an_end_is_as_near_as_its_order_says(target: str, base: symsi.Schedule, end: int) -> None:
    conversion, step = convert(base, target), sp.Rational(1, 10**15)
    time = conversion.start + step if end == 0 else 1 - step
    with mp.workdps(400):
        u = mpf(10) ** -15
        found_series = conversion.series(end, 6)
        assert {"time", "time_rate", "scale"} <= set(found_series)
        for name, series in found_series.items():
            found = sum(c.values[0] * u ** (mpf(p.numerator) / p.denominator) for p, c in series.terms)
            truth = conversion.evaluate(name, time, 350)
            order = mpf(60) if series.order == mp.inf else mpf(series.order.numerator) / series.order.denominator
            assert abs(found - truth) <= (1000 * u) ** order + mpf("1e-110"), name
            assert order >= 2, name


def test_what_has_no_terms_is_kept_as_zero_where_that_is_exact() -> None:
    conversion = convert("linear", "trigonometric", prediction="noise")
    for end in (0, 1):
        assert conversion.series(end)["noise_state"].terms == ()
        assert conversion.end_value("noise_state", end) == 0


def test_limits_say_where_they_are_and_from_which_side() -> None:
    conversion = convert("linear", "trigonometric", "t*(1-t)*log(1/(t*(1-t)))")
    for end, side in ((0, 1), (1, -1)):
        for name in ("scale", "diffusion"):  # the latter has no power series
            found = conversion.limit(name, end)
            assert (found.end, found.side) == (end, side)
        assert float(conversion.limit("scale", end).value) == float(conversion.end_value("scale", end)) == 1
        assert float(conversion.limit("diffusion", end).value) == float(conversion.end_value("diffusion", end)) == 0
    assert conversion.end_value("score_prediction", 1) is None
    assert agrees(conversion.end_value("alpha", 1), mpf(0))
    assert agrees(conversion.end_value("time_rate", 0), sp.pi.evalf(40) / 2)


@pytest.mark.parametrize(
    ("base", "target", "time"),
    [
        ("vp", "ddpm", "exp(t/20 - 199*(1 - t)**2/40 - 1/20)"),
        ("vp", "cosine", "cos(pi*(1/2 - 125*t/252))/cos(pi/252)"),
        ("cosine", "vp", "126/125 - 252*acos(t*cos(pi/252))/(125*pi)"),
    ],
)
def test_between_schedules_that_preserve_the_variance_nothing_is_scaled(base: str, target: str, time: str) -> None:
    conversion = convert(base, target)
    assert conversion.scale == 1
    assert conversion._time == parse(time)


def test_a_formula_is_written_when_it_is_asked_for() -> None:
    formulas = fresh("linear", "vp").formulas
    assert not formulas._written
    assert formulas["scale"] is formulas["scale"]
    assert formulas._written.keys() == {"scale"}
    assert len(formulas) == len(list(formulas)) == len(formulas.values())
    with pytest.raises(KeyError):
        formulas["none"]


def test_a_coefficient_has_as_many_digits_as_asked_for() -> None:
    conversion = convert("linear", "lazy(kappa=1)", "optimal")
    with mp.workdps(120):
        for name in conversion.coefficients:
            few, many = (conversion.evaluate(name, sp.Rational(3, 7), digits) for digits in (30, 100))
            assert abs(few - many) <= mpf("1e-29") * abs(many), name


@pytest.mark.parametrize(
    ("epsilon", "deterministic"), [("ode", True), ("0", True), ("kappa=0", True), ("1", False), ("optimal", False)]
)
def test_a_diffusion_is_deterministic_where_it_vanishes(epsilon: str, deterministic: bool) -> None:
    assert as_diffusion(epsilon).deterministic is deterministic


def test_a_coefficient_has_a_zero_where_it_crosses_or_touches_and_else_none() -> None:
    conversion = convert("linear", "trigonometric")
    growth = "velocity_state"  # of c = cos + sin, which is greatest at t = 1/2
    found = conversion.zero(growth, "0.4", "0.7")
    assert agrees(mpf(str(found)), mpf(1) / 2, "1e-50")
    assert conversion.zero(growth, "0.6", "0.7") is None
    factor = 1 + t * (t - sp.Rational(3, 5)) ** 3 / 5
    touching = convert("linear", symsi.Schedule((1 - t) * factor, t * factor, data_scale=factor.subs(t, 1)))
    assert touching.zero("velocity_state", "0.5", "0.8") is not None


def test_a_schedule_stands_for_its_conversion_to_itself_and_a_conversion_for_itself() -> None:
    conversion = convert("linear", "vp", "optimal", "noise")
    assert as_conversion(conversion) is conversion
    assert as_conversion("linear") == as_conversion(symsi.schedule("linear")) == convert("linear", "linear")


def test_a_conversion_to_itself_is_the_identity() -> None:
    conversion = convert("cosine", "cosine")
    assert (conversion.time, conversion.scale) == (t, 1)
    assert conversion.field("velocity") == sp.Symbol("v")


@pytest.mark.parametrize("target", ["lazy(kappa=1)", "trigonometric"])
def test_the_inverse_conversion_undoes_time_scale_and_diffusion(target: str) -> None:
    there = convert("linear", target, "optimal")
    back = there.inverse()
    for time in (sp.Rational(1, 5), sp.Rational(4, 5)):
        with mp.workdps(50):
            middle = there.evaluate_time(time, 60)
            assert agrees(back.evaluate_time(middle, 60), mpf(time.p) / time.q)
            assert agrees(back.evaluate("scale", middle) * there.evaluate("scale", time), mpf(1))
            assert agrees(back.evaluate("diffusion", middle), there.evaluate("base_diffusion", time))
            assert agrees(back.evaluate("base_diffusion", middle), there.evaluate("diffusion", time))


def test_a_way_back_without_closed_form_is_refused_with_the_alternative() -> None:
    with pytest.raises(DiffusionError, match="convert"):
        convert("linear", USER, "optimal").inverse()


@pytest.mark.parametrize(
    "base",
    ["linear", pytest.param("ddpm", marks=pytest.mark.slow), "cosine", "ve", "edm", "lazy(kappa=2, beta=sin(pi*t/2))"],
)
def test_every_closed_time_map_is_proved_within_seconds(base: str) -> None:
    assert convert(base, USER, "optimal").proof().verdict is Verdict.PROVED


@pytest.mark.parametrize("epsilon", ["alpha", "beta*(1-t)", "t*(1-t)", "optimal*sin(pi*t)", "1/2"])
def test_any_wanted_diffusion_has_exactly_one_base_diffusion(epsilon: str) -> None:
    conversion = convert("linear", "vp", epsilon)
    time = sp.Rational(2, 5)
    with mp.workdps(50):
        factor = conversion.evaluate("scale", time) ** 2 * conversion.evaluate("time_rate", time)
        assert agrees(conversion.evaluate("base_diffusion", time) * factor, conversion.evaluate("diffusion", time))


def test_the_recovered_noise_is_that_of_the_step() -> None:
    conversion = convert("linear", "lazy(kappa=1)", "optimal")
    step = conversion.drift * sp.Symbol("dt") + sp.sqrt(2 * conversion.formulas["diffusion"]) * sp.Symbol("dW")
    assert sp.simplify(conversion.noise.subs(sp.Symbol("dx"), step) - sp.Symbol("dW")) == 0


def test_the_ode_has_no_noise_to_recover() -> None:
    with pytest.raises(DiffusionError, match="no noise"):
        _ = convert("linear", "vp").noise


@pytest.mark.parametrize("pair", [("linear", "lazy(kappa=1)"), ("ddpm", "edm"), (USER, "vp"), ("cosine", "ve")])
def test_a_conversion_carries_its_proof(pair: tuple[str, str]) -> None:
    proof = convert(*pair, "optimal").proof()
    assert proof.verdict is Verdict.PROVED
    stated = {s.claim.partition(",")[0] for s in proof.steps}
    assert set(convert(*pair, "optimal").coefficients) <= stated
    assert "of them confirmed by numbers alone" in proof.conclusion


def fresh(
    base: symsi.Schedule | str = "linear", target: str = "polynomial", prediction: str = "velocity"
) -> Conversion:
    """A conversion that nobody else holds, to be falsified."""
    made = convert(base, target, "optimal", prediction)
    return Conversion(made.base, made.target, made.diffusion, prediction)


def falsify(conversion: Conversion, what: str, value: object) -> Conversion:
    """Put another value in the place of a cached property."""
    getattr(conversion, what)
    conversion.__dict__[what] = value
    return conversion


COEFFICIENTS = tuple(fresh().coefficients)


def verdicts(conversion: Conversion) -> dict[str, Verdict]:
    return {s.claim: s.verdict for s in conversion.proof().steps}


@pytest.mark.parametrize("base", ["linear", USER])
@pytest.mark.parametrize("form", ["formulas", "coefficients"])
def test_every_printed_and_every_tabulated_coefficient_is_refuted_where_it_is_off_by_1e_40(
    base: symsi.Schedule | str, form: str
) -> None:
    conversion = fresh(base)
    _ = dict(conversion.formulas), conversion.limits
    off = {
        n: e * (1 + sp.Rational(1, 10**40)) if e != 0 else sp.Rational(1, 10**40)
        for n, e in getattr(conversion, form).items()
    }
    found = verdicts(falsify(conversion, form, off))
    how = "printed" if form == "formulas" else "tabulated"
    for name in COEFFICIENTS:
        assert found[f"{name}, as {how}."] is Verdict.REFUTED, name
    others = [v for claim, v in found.items() if not claim.endswith(f"as {how}.")]
    assert Verdict.REFUTED not in others


@pytest.mark.parametrize("name", ["scale", "base_diffusion", "velocity_state", "drift_prediction"])
def test_one_coefficient_replaced_by_7_refutes_the_conversion(name: str) -> None:
    conversion = fresh()
    assert (
        falsify(conversion, "formulas", {**conversion.formulas, name: sp.Integer(7)}).proof().verdict is Verdict.REFUTED
    )


@pytest.mark.parametrize("what", ["time", "_time"])
def test_another_time_map_is_refuted(what: str) -> None:
    conversion = fresh()
    _ = dict(conversion.formulas), conversion.limits
    claim = "tau in closed form." if what == "time" else "tau as numbers come from it."
    assert verdicts(falsify(conversion, what, t**3))[claim] is Verdict.REFUTED


def test_another_time_equation_is_refuted() -> None:
    conversion = fresh(USER, "vp")
    equation = conversion.time_equation
    found = verdicts(falsify(conversion, "time_equation", sp.Eq(equation.lhs, 2 * equation.rhs, evaluate=False)))
    assert found["The equation: the target's side."] is Verdict.REFUTED


def test_another_inverse_of_the_ratio_is_refuted() -> None:
    base = symsi.Schedule("(1-t)", "t")
    conversion = Conversion(base, convert("linear", "vp").target)
    _ = dict(conversion.formulas), conversion.limits
    base.__dict__["inverse"] = 2 * base.inverse
    assert verdicts(conversion)["The inverse of rho."] is Verdict.REFUTED


@pytest.mark.parametrize("end", [0, 1])
def test_another_limit_is_refuted(end: int) -> None:
    conversion = fresh()
    wrong = {}
    for name, ends in conversion.limits.items():
        changed = replace(ends[end], constant=ends[end].coefficient + sp.Rational(1, 10**6))
        wrong[name] = (changed, ends[1]) if end == 0 else (ends[0], changed)
    place = conversion.start if end == 0 else 1
    found = verdicts(falsify(conversion, "limits", wrong))
    at_end = {c: v for c, v in found.items() if f"at t -> {place}" in c}
    assert set(at_end.values()) == {Verdict.REFUTED}
    assert len(at_end) == len(COEFFICIENTS)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_the_proof_knows_what_the_network_predicts(prediction: str) -> None:
    assert fresh(prediction=prediction).proof().proved
    conversion = fresh(prediction=prediction)
    other = fresh(prediction="data" if prediction != "data" else "noise")
    assert falsify(conversion, "coefficients", other.coefficients).proof().verdict is Verdict.REFUTED


def test_a_symbolic_parameter_is_asked_for_and_never_invented() -> None:
    conversion = convert("linear", symsi.lazy_schedule(kappa=1, variance=None), "optimal")
    lamda = sp.Symbol("lamda")
    for call in (
        lambda: conversion.evaluate("scale", sp.Rational(1, 2)),
        lambda: conversion.evaluate_all(sp.Rational(1, 2), ["scale"]),
        lambda: conversion.evaluate_time(sp.Rational(1, 2)),
        lambda: conversion.zero("drift_state", 0.25, 0.5),
    ):
        with pytest.raises(SymsiError, match="parameter lamda"):
            call()
    given = {lamda: 4}
    with mp.workdps(50):
        assert agrees(conversion.evaluate("alpha", sp.Rational(1, 2), parameters=given), mpf(1))
        assert agrees(conversion.evaluate_time(sp.Rational(1, 2), 50, given), mpf(1) / 3)


def test_a_conversion_with_a_symbolic_parameter_is_proved() -> None:
    proof = convert("linear", symsi.lazy_schedule(kappa=1, variance=None), "optimal").proof()
    assert proof.verdict is Verdict.PROVED


@pytest.mark.slow
@pytest.mark.parametrize("diffusion", ["ode", "optimal", "kappa=1/2", "alpha"])
@pytest.mark.parametrize("target", SCHEDULES)
@pytest.mark.parametrize("base", SCHEDULES)
def test_every_conversion_between_named_schedules_is_proved(base: str, target: str, diffusion: str) -> None:
    proof = convert(base, target, diffusion).proof()
    assert proof.verdict is Verdict.PROVED, [s.claim for s in proof.steps if s.verdict not in ("proved", "confirmed")]


def test_latex_shows_time_scale_fields_and_drift() -> None:
    text = convert("linear", "vp", "optimal").latex()
    assert text.startswith("\\begin{aligned}")
    assert all(part in text for part in ("\\tau &=", "c &=", "\\bar\\varepsilon", "b &="))
    assert text.count("{") == text.count("}")


@pytest.mark.parametrize(
    ("epsilon", "message"),
    [
        ("-1", "must not be negative"),
        ("t-1/2", "negative"),
        ("kappa=-1", "kappa must be >= 0"),
        ("1/(t-1/2)**2", "finite"),
        ("log(t)", "negative"),
    ],
)
def test_an_unfit_diffusion_is_refused(epsilon: str, message: str) -> None:
    with pytest.raises(DiffusionError, match=message):
        convert("linear", "vp", epsilon)


def test_unknown_predictions_and_fields_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="velocity"):
        convert("linear", "vp", prediction="velocty")
    with pytest.raises(UnknownNameError, match="drift"):
        convert("linear", "vp").field("drft")


def test_limits_are_refused_where_there_is_no_end_or_no_such_coefficient() -> None:
    conversion = convert("linear", "trigonometric")
    with pytest.raises(SymsiError, match=r"at the ends, 0 and 1; got 0\.5"):
        conversion.limit("time", 0.5)
    with pytest.raises(UnknownNameError, match="Did you mean 'time'"):
        conversion.limit("tme", 0)


RATIO_KEEPING = 1 + (sp.Symbol("a") - sp.Rational(13, 10)) * t * (1 - t)
SCALED = symsi.Schedule((1 - t) * RATIO_KEEPING, t * RATIO_KEEPING, {"a": None})


def test_a_coefficient_that_vanishes_at_one_parameter_alone_is_no_zero() -> None:
    conversion = convert("linear", SCALED)
    for a in (sp.Rational(13, 10), sp.Integer(2)):
        growth = (sp.diff(RATIO_KEEPING, t) / RATIO_KEEPING).subs({sp.Symbol("a"): a, t: sp.Rational(1, 4)})
        found = conversion.evaluate("velocity_state", sp.Rational(1, 4), parameters={sp.Symbol("a"): a})
        assert agrees(found, evaluate(growth, {}, 60)), a


def test_a_coefficient_that_vanishes_at_two_times_alone_is_no_zero() -> None:
    factor = 1 + 3 * (sp.integrate((t - sp.Rational(3, 5)) * (t - sp.Rational(7, 8)), t))
    target = symsi.Schedule((1 - t) * factor, t * factor, data_scale=factor.subs(t, 1))
    assert convert("linear", target).coefficients["velocity_state"] != 0


def test_a_tiny_coefficient_is_no_zero() -> None:
    factor = 1 + t * (1 - t) / 10**80
    target = symsi.Schedule((1 - t) * factor, t * factor)
    assert convert("linear", target).coefficients["velocity_state"] != 0


def test_a_coefficient_that_vanishes_for_every_parameter_is_an_exact_zero() -> None:
    free = symsi.Schedule("(1-t)**a", "t**a", {"a": None})
    assert convert("linear", free, prediction="noise").coefficients["noise_state"] == 0
    assert convert(free, free).coefficients["velocity_state"] == 0


@pytest.mark.parametrize(("alpha", "beta"), [("(1-t)**a", "t"), ("1-t", "t**a"), ("1-t", "(t + a)/(1 + a)")])
def test_a_zero_is_found_where_only_one_side_or_the_start_depends_on_a_parameter(alpha: str, beta: str) -> None:
    free = symsi.Schedule(alpha, beta, {"a": None})
    assert convert(free, "linear", prediction="noise").coefficients["noise_state"] == 0
    assert convert("linear", free, prediction="noise").coefficients["noise_state"] == 0


@pytest.mark.parametrize("pair", [("linear", "trigonometric"), ("vp", "lazy(kappa=1)"), ("cosine", "polynomial")])
def test_formulas_are_as_printing_and_parsing_leave_them(pair: tuple[str, str]) -> None:
    conversion = convert(*pair, "optimal")
    for name, formula in conversion.formulas.items():
        assert parse(sp.sstr(formula), symbols=[s.name for s in formula.free_symbols]) == formula, name


def test_parameters_go_by_name_or_by_symbol() -> None:
    conversion = convert("linear", SCALED)
    by_name = conversion.evaluate_all("0.25", ("velocity_state", "scale"), parameters={"a": 2})
    assert by_name == conversion.evaluate_all("0.25", ("velocity_state", "scale"), parameters={sp.Symbol("a"): 2})
    with pytest.raises(SymsiError, match=r'give it: parameters=\{"a": 0.5\}'):
        conversion.evaluate("scale", "0.25")


def test_a_coefficient_that_is_not_the_definition_is_refuted_and_traced_to_no_letters() -> None:
    conversion = Conversion(symsi.schedule("linear"), symsi.schedule("trigonometric"))
    coefficients = dict(conversion.coefficients)
    conversion.__dict__["coefficients"] = {**coefficients, "scale": coefficients["scale"] + t / 10**6}
    steps = conversion.proof().steps
    assert any(s.verdict is Verdict.REFUTED for s in steps if s.claim.startswith("scale, "))
    traced = [s.method for s in steps if s.claim.startswith("velocity_prediction, ")]
    assert any(method.startswith("the formula proved for letters") for method in traced)

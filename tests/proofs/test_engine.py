"""The proof engine against a hostile reader: what is false is not proved, what is assumed is printed."""

from collections.abc import Callable
from typing import Any

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import Integer, Integral, Rational, Symbol, atan, cos, diff, exp, floor, log, oo, pi, sin, sqrt, tan

from symsi.algebra.draws import draw_function, draw_points
from symsi.algebra.proof import Derivation, Step, Verdict

x, y, t, k, s, w, c = sp.symbols("x y t k s w c")
Statement = Callable[[Derivation], Any]


def step_of(statement: Statement) -> Step:
    d = Derivation("X", "a statement", "it holds")
    statement(d)
    (step,) = d.proof().steps
    return step


def equal(left: Any, right: Any, **ranges: tuple[Any, Any]) -> Statement:
    def statement(d: Derivation) -> None:
        for name, (low, high) in ranges.items():
            d.symbol(name, low, high)
        d.equal("claim", left, right, by="nothing")

    return statement


def tends(expr: Any, value: Any, **ranges: tuple[Any, Any]) -> Statement:
    def statement(d: Derivation) -> None:
        d.symbol("w")
        for name, (low, high) in ranges.items():
            d.symbol(name, low, high)
        d.tends("claim", expr, w, value)

    return statement


def about(shape: str, statement: Callable[[Any], tuple[Any, Any]], name: str = "f") -> Statement:
    def whole(d: Derivation) -> None:
        time = d.symbol("t", 0, 1)
        d.equal("claim", *statement(d.function(name, shape)(time)), by="nothing")

    return whole


LINE = (-oo, oo)
NEAR = 1 + Rational(1, 10**25)
g = cos(2000 * pi * x)
FALSE: dict[str, Statement] = {
    "a root far below a floor": equal(sqrt(x**2) / 10**40, x / 10**40, x=(-2, 2)),
    "a root beside a large number": equal(10**40 + sqrt(x**2), 10**40 + x, x=(-2, 2)),
    "a root beside a number beyond all digits": equal(10**400 + sqrt(x**2), 10**400 + x, x=(-2, 2)),
    "a root times a tiny number": equal(sqrt(x**2) * exp(-80), x * exp(-80), x=(-2, 2)),
    "a function that is 1 on a lattice": equal(log(g**2), 2 * log(g), x=(-2, 2)),
    "a root whose region is small": equal(sqrt(x**2), x, x=(-0.01, 3)),
    "a root whose region is not so small": equal(sqrt(x**2), x, x=(-0.3, 3)),
    "a curvature that may be negative": about(
        "increasing", lambda f: ((f.diff(t, 2) ** 3) ** Rational(1, 3), f.diff(t, 2))
    ),
    "a value that may be negative": about("any", lambda v: ((v**3) ** Rational(1, 3), v)),
    "increasing is not positive": about("increasing", lambda f: (sqrt(f**2), f)),
    "positive is not increasing": about("positive", lambda f: (sqrt(f.diff(t) ** 2), f.diff(t))),
    "convex is not positive": about("convex", lambda f: (sqrt(f**2), f)),
    "unit is not increasing": about("unit", lambda f: (sqrt(f.diff(t) ** 2), f.diff(t))),
    "a logarithm of what may be negative": about("decreasing", lambda f: (log(f**2), 2 * log(f))),
    "f' for f": about("positive increasing", lambda f: (f.diff(t), f)),
    "a pole at two values of the parameter": tends((c - Rational(7, 8)) * (c - Rational(11, 8)) / w, 0, c=(0, oo)),
    "a parameter at which the limit is another": tends(w / (w + (c - 1) ** 2), 0, c=(0, oo)),
    "a root of a parameter that is negative": tends(sqrt(c**2 + w), c, c=(-2, -1)),
    "a limit that depends on the sign": tends(sqrt(c**2 + w), c, c=LINE),
    "a limit from a divisor that vanishes": tends(w / (c - 2 + w), 0, c=(0, oo)),
    "a limit off by 1e-25": tends(sin(w) / w, NEAR),
    "a near identity of 1e-25": equal(NEAR * x, x, x=(0, oo)),
    "a near identity of 1e-45": equal((1 + Rational(1, 10**45)) * x + y, x + y, x=(0, oo), y=LINE),
    "a sum of near cancelling exponentials": equal(exp(x) - exp(x - Rational(1, 10**30)), 0, x=(0, 1)),
    "a logarithm over a branch cut": equal(log(x * y), log(x) + log(y), x=LINE, y=LINE),
    "a product of roots": equal(sqrt(x) * sqrt(y), sqrt(x * y), x=LINE, y=LINE),
    "an arc undone beyond its branch": equal(sp.asin(sin(x)), x, x=(0, 3)),
    "an arc undone at the end of its branch": equal(sp.asin(sin(x)), x, x=(0, pi / 2 + Rational(1, 100))),
    "arctangents that add up beyond pi/2": equal(atan(x) + atan(y), atan((x + y) / (1 - x * y)), x=(0, oo), y=(0, oo)),
    "a reciprocal arctangent of both signs": equal(atan(x) + atan(1 / x), pi / 2, x=LINE),
    "a power of a power": equal((x**2) ** k, x ** (2 * k), x=LINE, k=(0, oo)),
    "a power that is a root of unity": equal((-1) ** (2 * k), 1, k=(0, oo)),
    "true of integers only": equal(sin(pi * k), 0, k=(0, oo)),
    "true of integers only, squared": equal(cos(2 * pi * k), 1, k=(0, oo)),
    "true of whole numbers only": equal(floor(k), k, k=(0, oo)),
    "true on a lattice of 1/1000 and not beyond": equal(sin(1000 * pi * x) * (x - 1), 0, x=(0, 1)),
    "true on a dyadic lattice": equal(tan(2**70 * pi * x), 0, x=(0, 1)),
    "series that agree to high order": equal(sin(x / 10**6), x / 10**6 - x**3 / (6 * 10**18), x=(0, 1)),
    "a Padé approximant": equal(exp(x / 10**5), (1 + x / (2 * 10**5)) / (1 - x / (2 * 10**5)), x=(0, 1)),
    "a root of an inequality": equal(sp.Max(x, x**2), x, x=(0, 2)),
    "an absolute value past its corner": equal(sp.Abs(x - 1), 1 - x, x=(0, 1 + Rational(1, 50))),
    "a nested root past its corner": equal(sqrt((x - 1) ** 2), 1 - x, x=(0, 2)),
    "a denested root of the wrong branch": equal(sqrt(x + 2 * sqrt(x - 1)), 1 - sqrt(x - 1), x=(1, oo)),
    "a hyperbolic sign": equal(sqrt(sp.cosh(x) ** 2 - 1), sp.sinh(x), x=LINE),
    "a wrong power": equal(x ** (k + 1) * x, x ** (k + 3), x=(0, oo), k=(0, oo)),
    "true at one parameter": equal((k - 1) * x, 0, k=(0, oo), x=(0, oo)),
    "a cube root of both signs": equal((x**3) ** Rational(1, 3), x, x=LINE),
    "a factor at one side": equal(sqrt(4 * x**2), -2 * x, x=(-oo, oo)),
    "a derivative of the wrong argument": about(
        "any", lambda f: (f.subs(t, 2 * t).diff(t), f.diff(t).subs(t, 2 * t).doit())
    ),
}


@pytest.mark.parametrize("name", FALSE)
def test_what_is_false_is_not_proved_and_says_why(name: str) -> None:
    step = step_of(FALSE[name])
    assert step.verdict in (Verdict.REFUTED, Verdict.UNDECIDED)
    assert step.where or step.reason
    assert not step.method


REFUTED = [
    n for n in FALSE if n not in ("a parameter at which the limit is another", "a limit from a divisor that vanishes")
]


@pytest.mark.parametrize("name", REFUTED)
def test_where_numbers_can_see_it_a_false_statement_has_a_counterexample(name: str) -> None:
    step = step_of(FALSE[name])
    assert step.verdict is Verdict.REFUTED, step.checks
    assert step.where


def integral_statement(d: Derivation) -> None:
    f = d.function("f", "increasing")
    d.equal("claim", Integral(f(s) * (20 * s**3 - 30 * s**2 + 12 * s - 1), (s, 0, 1)), 0, by="nothing")


def test_a_bound_variable_is_no_constant() -> None:
    step = step_of(integral_statement)
    assert step.verdict is Verdict.REFUTED
    assert not step.method


def test_a_sum_over_an_undetermined_function_is_refused_with_the_reason() -> None:
    n = Symbol("n")

    def statement(d: Derivation) -> None:
        f, count = d.function("f", "any"), d.symbol("k")
        d.equal("claim", sp.Sum(f(n), (n, 1, count)), f(count), by="nothing")

    step = step_of(statement)
    assert step.verdict is Verdict.UNDECIDED
    assert "f(n) depends on a bound variable" in step.reason


def test_integrals_over_one_range_add_up_by_their_integrands() -> None:
    def statement(d: Derivation) -> None:
        f, a = d.function("f", "any"), d.symbol("a")
        left = Integral(f(s) * a * s, (s, 0, 1)) + Integral(f(s) * a * (1 - s), (s, 0, 1))
        d.equal("claim", left, a * Integral(f(s), (s, 0, 1)), by="linearity")

    step = step_of(statement)
    assert (step.verdict, step.method) == (Verdict.PROVED, "the integrands")


def over(left: Any, right: Any, **ranges: tuple[Any, Any]) -> Step:
    """A step between integrals of an undetermined f."""

    def statement(d: Derivation) -> None:
        d.function("f", "any")
        for name, (low, high) in ranges.items():
            d.symbol(name, low, high)
        d.equal("claim", left, right, by="nothing")

    return step_of(statement)


f, a = sp.Function("f"), Symbol("a")
ROOT = f(s) * (sqrt(s**2) - s)  # 0 for s > 0 alone


@pytest.mark.parametrize(
    ("low", "high", "ranges"),
    [(0, a, {"a": (-2, -1)}), (1, -1, {}), (0, a, {"a": LINE}), (-a, a, {"a": (0, oo)}), (a, 1, {"a": (-1, 2)})],
)
def test_the_range_of_a_bound_variable_is_that_of_its_limits(low: Any, high: Any, ranges: Any) -> None:
    for much in (0, Integer(10) ** 40):
        step = over(much + Integral(ROOT, (s, low, high)), much, **ranges)
        assert step.verdict is Verdict.REFUTED, step.checks
        assert step.where


@pytest.mark.parametrize(
    ("low", "high", "ranges"), [(0, a, {"a": (0, oo)}), (1, 0, {}), (a, 3, {"a": (1, 2)}), (a, 1, {"a": (0, oo)})]
)
def test_rounding_is_no_counterexample_where_the_integrand_vanishes(low: Any, high: Any, ranges: Any) -> None:
    step = over(Integral(ROOT, (s, low, high)), 0, **ranges)
    assert (step.verdict, step.method) == (Verdict.PROVED, "the integrands"), step.checks


def test_an_integral_without_a_closed_form_takes_no_time() -> None:
    import time

    start = time.process_time()
    one, two = Integral(f(s) * exp(-s), (s, 0, oo)), Integral(2 * f(s) * exp(-s), (s, 0, oo))
    assert over(2 * one, two).verdict is Verdict.PROVED
    assert over(one, two).verdict is Verdict.REFUTED
    assert time.process_time() - start < 20


@pytest.mark.parametrize(
    ("left", "right", "reason"),
    [
        (s * Integral(f(s), (s, 0, 1)), Integral(f(s), (s, 0, 1)), "s is a bound variable and a free symbol"),
        (Integral(f(s) * t, (s, 0, t), (t, 0, 1)), 1, "several variables"),
        (Integral(f(s), (s, 0, 1)) ** 2, 1, "is no integral with a factor"),
    ],
)
def test_integrals_that_are_not_evaluated_leave_a_step_undecided_with_the_reason(
    left: Any, right: Any, reason: str
) -> None:
    step = over(left, right, s=(0, 1))
    assert step.verdict is Verdict.UNDECIDED
    assert reason in step.reason


@pytest.mark.parametrize("shape", ["increasing", "convex positive"])
def test_a_function_of_two_arguments_has_no_slope(shape: str) -> None:
    d = Derivation("X", "two", "no")
    h = d.function("h", shape)(d.symbol("x"), d.symbol("y"))
    with pytest.raises(ValueError, match=r"h\(x, y\) has 2 arguments"):
        d.equal("claim", 2 * h, h + h, by="nothing")


def test_a_limit_of_what_has_no_power_series_is_undecided_with_the_reason() -> None:
    step = step_of(tends(sp.Abs(c + w), sp.Abs(c), c=LINE))
    assert step.verdict is Verdict.UNDECIDED
    assert "Abs has no Taylor series" in step.reason


@pytest.mark.parametrize("expr", [1 / log(w), w ** Rational(1, 200), 1 / log(1 - log(w))])
def test_a_limit_that_is_approached_slowly_is_not_refuted(expr: Any) -> None:
    step = step_of(tends(expr, 0))
    assert step.verdict is Verdict.UNDECIDED
    assert step.reason


@pytest.mark.parametrize(
    ("factor", "where"),
    [
        (1 / (c - 1), "c - 1 = 0"),
        (tan(c), "cos(c) = 0"),
        (1 / log(c), "log(c) = 0"),
        (sp.gamma(1 - c), "1/gamma(1 - c) = 0"),
        (1 / (exp(c) - 2), "exp(c) - 2 = 0"),
    ],
)
def test_a_limit_says_at_which_parameters_it_has_no_meaning(factor: Any, where: str) -> None:
    step = step_of(tends(w * factor, 0, c=(0, oo)))
    assert (step.verdict, step.excluded) == (Verdict.PROVED, (where,))
    assert f"except where {where}" in step.checks


TRUE: dict[str, Statement] = {
    "a root where the sign is declared": equal(sqrt(x**2), x, x=(0, oo)),
    "a root where the sign is negative": equal(sqrt(x**2), -x, x=(-3, 0)),
    "a root on a bounded range": equal(sqrt((2 - x) ** 2 * y), (2 - x) * sqrt(y), x=(1, 2), y=(0, oo)),
    "an increasing function's slope": about("increasing", lambda f: (sqrt(f.diff(t) ** 2), f.diff(t))),
    "a convex function's curvature": about("convex", lambda f: (sqrt(f.diff(t, 2) ** 2), f.diff(t, 2))),
    "a positive function's value": about("positive increasing", lambda f: (log(f**2), 2 * log(f))),
    "a unit function's complement": about("unit", lambda f: (sqrt((1 - f) ** 2), 1 - f)),
    "a power of a power": equal((x**2) ** k, x ** (2 * k), x=(0, oo), k=LINE),
    "exactly zero": equal((x + 1) ** 2 - x**2 - 2 * x - 1, 0, x=LINE),
    "trigonometry": equal(sin(x) ** 2 + cos(x) ** 2, 1, x=LINE),
    "the product rule": about("any", lambda f: (diff(f**2, t), 2 * f * f.diff(t))),
    "a limit for a bounded parameter": tends(sqrt(w + c - 1), sqrt(c - 1), c=(1, 2)),
    "a limit for any real parameter": tends(sqrt(w + c**2 + 1) * (c - 3) + w * c, sqrt(c**2 + 1) * (c - 3), c=LINE),
    "a limit for a negative parameter": tends(sqrt(c**2 + w), -c, c=(-2, -1)),
    "a limit from above": tends(sin(w) / w, 1),
}


@pytest.mark.parametrize("name", TRUE)
def test_what_is_true_is_proved(name: str) -> None:
    step = step_of(TRUE[name])
    assert step.verdict is Verdict.PROVED, step.checks


coefficient = st.integers(-6, 6).filter(bool)


@st.composite
def polynomials(draw: st.DrawFn) -> sp.Expr:
    return sum(
        (draw(coefficient) * x**i * y**j for i, j in draw(st.sets(st.tuples(*[st.integers(0, 3)] * 2), min_size=2))), 0
    )


@settings(max_examples=30, deadline=None)
@given(polynomials(), polynomials(), st.integers(1, 40), coefficient)
def test_a_false_polynomial_identity_is_refuted_however_small_the_difference(
    p: sp.Expr, q: sp.Expr, digits: int, sign: int
) -> None:
    error = Rational(sign, 10**digits) * x * y
    step = step_of(equal(sp.expand(p * q) + error, p * q, x=LINE, y=LINE))
    assert step.verdict is Verdict.REFUTED


@settings(max_examples=30, deadline=None)
@given(polynomials(), polynomials())
def test_a_true_polynomial_identity_is_proved(p: sp.Expr, q: sp.Expr) -> None:
    assert step_of(equal(sp.expand(p * q), p * q, x=LINE, y=LINE)).verdict is Verdict.PROVED


@settings(max_examples=20, deadline=None)
@given(st.fractions(-2, 2), st.fractions(Rational(1, 1000), 1))
def test_a_root_is_refuted_wherever_its_corner_lies(corner: Any, room: Any) -> None:
    where = Rational(corner)
    step = step_of(equal(sqrt((x - where) ** 2), x - where, x=(where - Rational(room), where + 3)))
    assert step.verdict is Verdict.REFUTED


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 10**6), st.integers(0, 80))
def test_a_lattice_however_fine_fools_no_draw(base: int, power: int) -> None:
    assert step_of(equal(sin(base * 2**power * pi * x), 0, x=(0, 1))).verdict is Verdict.REFUTED


@settings(max_examples=15, deadline=None)
@given(st.lists(st.fractions(Rational(1, 10), 5), min_size=1, max_size=3))
def test_a_limit_that_fails_at_single_parameters_is_not_proved(values: list[Any]) -> None:
    product = sp.Mul(*(c - Rational(v) for v in values))
    assert step_of(tends(w / (w + product**2), 0, c=(0, oo))).verdict is not Verdict.PROVED


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.sampled_from([sin, cos, exp]))
def test_a_wrong_power_or_sign_in_a_derivative_is_refuted(n: int, m: int, function: Any) -> None:
    term = x**n * function(m * x)
    wrong = diff(term, x) - 2 * x**n * diff(function(m * x), x)
    assert step_of(equal(diff(term, x), wrong, x=(0, 1))).verdict is Verdict.REFUTED


def test_a_name_is_not_declared_twice_with_other_assumptions() -> None:
    d = Derivation("X", "twice", "no")
    d.function("f", "increasing")
    d.function("f", "increasing")
    d.symbol("a", 0, 1)
    with pytest.raises(ValueError, match="f is declared already, with another shape"):
        d.function("f", "any")
    with pytest.raises(ValueError, match="a is declared already, with another range: 0 < a < 1"):
        d.symbol("a", 0, 2)


@pytest.mark.parametrize(
    "shape", ["rising", "increasing decreasing", "positive concave", "unit convex", "convex concave"]
)
def test_shapes_that_do_not_exist_or_exclude_each_other_are_refused(shape: str) -> None:
    with pytest.raises(ValueError, match=r"no shape|exclude each other"):
        Derivation("X", "shape", "no").function("f", shape)


def test_an_undeclared_function_is_refused() -> None:
    with pytest.raises(ValueError, match="declare h"):
        step_of(equal(sp.Function("h")(x), 1, x=LINE))


def test_assumptions_are_printed_and_nothing_else_is_assumed() -> None:
    d = Derivation("X", "assumed", "x")
    time = d.symbol("t", 0, 1)
    d.real("x")
    d.symbol("lam")
    f, h = d.function("f", "increasing")(time), d.function("h", "positive convex")(time)
    d.equal("trivial", f + h, h + f, by="order")
    proof = d.proof()
    assert proof.assumptions == ("0 < t < 1", "x real", "lam > 0", "f' > 0", "h > 0, h'' > 0")
    assert "Assumed: 0 < t < 1; x real; lam > 0; f' > 0; h > 0, h'' > 0." in proof.text()
    assert "Assumed:" in proof.markdown()


@pytest.mark.parametrize(
    ("left", "right", "where"),
    [
        (sp.Mul(x, 1 / x, evaluate=False), 1, "x = 0"),
        ((x**2 - x) / (x - 1), x, "x - 1 = 0"),
        (2 * log(sp.Abs(x + 1)), log((x + 1) ** 2), "x + 1 = 0"),
        (tan(x) * sp.cot(x), 1, "cos(x) = 0"),
        (tan(x) * sp.cot(x), 1, "sin(x) = 0"),
        (sp.sec(x) * cos(x), 1, "cos(x) = 0"),
        (sp.csc(x) * sin(x), 1, "sin(x) = 0"),
        (sp.gamma(x + 1), x * sp.gamma(x), "1/gamma(x) = 0"),
    ],
)
def test_where_a_side_has_no_meaning_is_printed(left: Any, right: Any, where: str) -> None:
    d = Derivation("X", "excluded", "x")
    d.symbol("x", -2, 2)
    d.equal("claim", left, right, by="cancelling")
    proof = d.proof()
    assert where in proof.excluded
    assert f"except where {' or '.join(proof.excluded)}" in proof.text()


def test_nothing_is_excluded_where_the_range_leaves_no_zero() -> None:
    assert step_of(equal((x**2 - x) / (x - 1), x, x=(1, 2))).excluded == ()


SHAPES = [
    "any",
    "positive",
    "unit",
    "increasing",
    "decreasing",
    "convex",
    "concave",
    "positive increasing",
    "positive decreasing",
    "unit increasing",
    "convex increasing",
    "convex decreasing",
    "concave increasing",
    "concave decreasing",
    "positive convex increasing",
]


@pytest.mark.parametrize("shape", SHAPES)
def test_drawn_functions_have_their_shape_and_otherwise_both_signs(shape: str) -> None:
    import random

    words = frozenset(shape.split()) - {"any"}
    signs: dict[str, set[int]] = {"value": set(), "slope": set(), "curvature": set()}
    for seed in range(5):
        body = draw_function(words, random.Random(seed))(x)
        for name, order in (("value", 0), ("slope", 1), ("curvature", 2)):
            formula = sp.lambdify(x, diff(body, x, order) if order else body)
            signs[name] |= {1 if formula(i / 10) > 0 else -1 for i in range(-15, 16)}
    unit = "unit" in words
    assert signs["value"] == ({1} if words & {"positive", "unit"} else {1, -1})
    slope = {1} if "increasing" in words else {-1} if "decreasing" in words else {1, -1}
    assert signs["slope"] == slope
    curvature = {1} if "convex" in words else {-1} if "concave" in words else {1, -1}
    assert signs["curvature"] == curvature or unit


def test_points_lie_inside_close_to_both_ends_and_far_out() -> None:
    import random

    points = draw_points({x: (Rational(-1, 2), Rational(3)), y: LINE, k: (0, oo)}, 64, random.Random(0))
    assert all(-0.5 < p[x] < 3 and p[k] > 0 for p in points)
    assert min(p[x] for p in points) < -0.5 + 1e-6
    assert max(p[x] for p in points) > 3 - 1e-6
    assert min(abs(p[x]) for p in points) < 1e-6
    assert min(p[y] for p in points) < -50 < 50 < max(p[y] for p in points)
    assert min(p[k] for p in points) < 1e-6 < 50 < max(p[k] for p in points)
    assert all(p[x].q > 2**40 for p in points)

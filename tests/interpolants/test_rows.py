"""Rows over named parts: n - 1 rows and the state determine every other, for any n."""

from dataclasses import fields

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import Rational, symbols

from symsi.interpolants.rows import Pair, Row, Triple, combine, determinant

FRACTIONS = st.fractions(min_value=-9, max_value=9, max_denominator=20).map(
    lambda f: Rational(f.numerator, f.denominator)
)
PARTS = ("x0", "x1", "latent")


@settings(deadline=None)
@given(st.lists(FRACTIONS, min_size=15, max_size=15))
def test_three_parts_are_solved_for_from_the_state_and_two_fields(numbers: list[Rational]) -> None:
    """A bridge's state, velocity and latent, any numbers: the combination gives the wanted field for all means."""
    rows = [Row(**dict(zip(PARTS, numbers[3 * k : 3 * k + 3], strict=True))) for k in range(4)]
    state, first, second, wanted = rows
    matrix = sp.Matrix([[row[part] for part in PARTS] for row in (state, first, second)])
    if matrix.det() == 0:
        return
    means = dict(zip(PARTS, numbers[12:15], strict=True))
    found = combine(state, [first, second], wanted)
    assert found(state(**means), first(**means), second(**means)) == wanted(**means)
    expected = matrix.T.LUsolve(sp.Matrix([wanted[part] for part in PARTS]))
    assert (found.state, *found.predictions) == tuple(expected)


def test_two_parts_divide_by_the_determinant_that_conversions_do() -> None:
    a, b, c, d = symbols("a b c d")
    pair = Pair(a, b, c, d)
    found = combine(pair.state, pair.velocity, Row(noise=1, data=0))
    assert sp.fraction(sp.together(found.state))[1] in (determinant(pair), -determinant(pair))
    assert sp.simplify(found(*(row(noise=3, data=5) for row in (pair.state, pair.velocity))) - 3) == 0


def test_a_pair_and_a_triple_at_a_time_are_their_numbers_there() -> None:
    """alpha = 1 - t^2, beta = t^3 and gamma = t - t^2 at t = 1/2, with gamma gamma' = 1/4 * 0."""
    t, half = symbols("t"), Rational(1, 2)
    pair = Pair.of(1 - t**2, t**3, t).at(half, t)
    assert pair == Pair(Rational(3, 4), Rational(1, 8), Rational(-1), Rational(3, 4))
    assert pair.ratio == Rational(1, 6)
    assert dict(pair.state) == {"noise": Rational(3, 4), "data": Rational(1, 8)}
    assert dict(pair.velocity) == {"noise": -1, "data": Rational(3, 4)}
    triple = Triple.of(1 - t**2, t**3, t - t**2, t).at(half, t)
    assert dict(triple.state) == {"x0": Rational(3, 4), "x1": Rational(1, 8), "latent": Rational(1, 4)}
    assert dict(triple.velocity) == {"x0": -1, "x1": Rational(3, 4), "latent": 0}
    assert triple.gamma_rate == 0


def test_a_schedule_is_a_triple_whose_latent_is_the_noise() -> None:
    t = symbols("t")
    alpha, beta = (1 - t) ** 2, sp.sin(t)
    found, wanted = Triple.one_sided(Pair.of(alpha, beta, t)), Triple.of(sp.Integer(0), beta, alpha, t)
    for part in fields(Triple):
        assert sp.expand(getattr(found, part.name) - getattr(wanted, part.name)) == 0, part.name


def test_a_row_is_a_mapping_and_the_sum_that_it_says() -> None:
    u, v = symbols("u v")
    row = Row(noise=2, data=3)
    assert dict(row) == {"noise": 2, "data": 3}
    assert row(noise=u, data=v) == 2 * u + 3 * v
    assert repr(row) == "Row(noise=2, data=3)"


@pytest.mark.parametrize("given", [[], [Row(noise=1, data=0)] * 2, [Row(noise=1, latent=0)]])
def test_too_few_too_many_or_foreign_rows_are_refused(given: list[Row]) -> None:
    with pytest.raises(ValueError, match=r"2 parts .* need the state and 1 rows"):
        combine(Row(noise=1, data=2), given, Row(noise=0, data=1))

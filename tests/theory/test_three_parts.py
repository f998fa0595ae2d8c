"""The fields of two-sided interpolants from one another, against linear algebra and against one-sided fields."""

from itertools import combinations

import pytest
import sympy as sp
from sympy import Rational, symbols

from symsi.errors import UnknownNameError
from symsi.interpolants.rows import Pair, Triple
from symsi.theory import fields
from symsi.theory.three_parts import FIELDS, PREDICTIONS, drift_row, predict, row, written

NUMBERS = Triple(*(Rational(n, 7) for n in (3, 5, 2, -4, 9, 6)), gamma_rate=Rational(12, 49))
EPSILON = Rational(3, 11)
MEANS = {"x0": Rational(2), "x1": Rational(-3, 5), "latent": Rational(7, 4)}


def value(kind: str) -> sp.Expr:
    if kind in PREDICTIONS:
        return row(NUMBERS, kind)(**MEANS)
    return drift_row(NUMBERS, EPSILON if kind == "forward" else -EPSILON)(**MEANS)


@pytest.mark.parametrize("given", [g for g in combinations(FIELDS, 2) if set(g) != {"score", "latent"}], ids=" ".join)
def test_any_two_fields_and_the_state_give_every_other(given: tuple[str, str]) -> None:
    state = NUMBERS.state(**MEANS)
    for wanted in FIELDS:
        found = predict(NUMBERS, given, wanted, EPSILON)
        assert found(state, *(value(kind) for kind in given)) == value(wanted)


def test_score_and_latent_are_one_and_determine_nothing_more() -> None:
    assert predict(NUMBERS, ("score", "latent"), "velocity").state.has(sp.zoo, sp.nan)


@pytest.mark.parametrize("kind", FIELDS)
def test_a_field_is_written_by_state_velocity_and_latent(kind: str) -> None:
    found = written(NUMBERS, kind, EPSILON)
    assert found(state=NUMBERS.state(**MEANS), velocity=value("velocity"), latent=MEANS["latent"]) == value(kind)


def test_without_x0_the_fields_are_those_of_a_schedule() -> None:
    p = Pair(*symbols("a b c d"))
    one, own = Triple.one_sided(p), {"noise": MEANS["latent"], "data": MEANS["x1"]}
    for ours, theirs in (("velocity", "velocity"), ("score", "score"), ("latent", "noise"), ("x1", "data")):
        assert sp.simplify(row(one, ours)(**MEANS) - fields.row(p, theirs)(**own)) == 0
    gap = drift_row(one, EPSILON)(**MEANS) - fields.drift_row(p, EPSILON)(**own)
    assert sp.simplify(gap) == 0


def test_a_name_that_is_no_field_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="prediction 'noise'"):
        row(NUMBERS, "noise")
    with pytest.raises(UnknownNameError, match="field 'drift'"):
        written(NUMBERS, "drift")

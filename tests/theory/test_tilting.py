"""What T25 proves of sums alone, each increment by itself; and Gaussians against numbers worked out by hand."""

import pytest
import sympy as sp
from sympy import Rational

from symsi.errors import UnknownNameError
from symsi.interpolants.rows import Pair
from symsi.theory.tilting import (
    POTENTIALS,
    Tilt,
    candidate,
    correction,
    increments,
    linear_shift,
    linear_tilt,
    mean_weight,
    offspring,
    posterior_gain,
    quadratic_tilt,
    tilted_weights,
    twist,
)

REWARDS = [sp.Integer(n) for n in (4, 1, 6, 5)]
HALF = Rational(1, 2)


@pytest.mark.parametrize(
    ("kind", "expected"), [("difference", [8, -6, 10, -2]), ("max", [8, 8, 12, -18]), ("sum", [8, 10, 22, -30])]
)
def test_increments_are_differences_running_maxima_and_running_sums(kind: str, expected: list[int]) -> None:
    assert increments(kind, REWARDS, HALF) == expected


@pytest.mark.parametrize("kind", POTENTIALS)
def test_one_step_has_the_whole_reward(kind: str) -> None:
    assert increments(kind, REWARDS[:1], HALF) == [8]


def test_an_unknown_potential_is_refused_with_the_closest_name() -> None:
    with pytest.raises(UnknownNameError, match="difference"):
        increments("differences", REWARDS, HALF)


def test_weights_and_offspring() -> None:
    weights = [sp.Integer(n) for n in (1, 2, 5)]
    assert mean_weight(weights) == Rational(8, 3)
    assert offspring(weights, sp.Integer(4)) == [HALF, 1, Rational(5, 2)]
    assert tilted_weights(weights, [sp.Integer(n) for n in (6, 2, 2)]) == [Rational(3, 10), Rational(1, 5), HALF]


def test_candidates_and_their_correction() -> None:
    assert candidate(sp.Integer(3), sp.Integer(7), sp.Integer(5), HALF) == 7
    assert correction(sp.Integer(4), sp.Integer(7), HALF) == -6


def test_the_twist_is_a_ratio_of_densities() -> None:
    n, s = Rational(3, 4), Rational(5, 3)
    assert twist(n, s) == (n - s) ** 2 / 2 - n**2 / 2
    assert linear_shift(sp.Integer(2), sp.Integer(3), sp.Integer(5), HALF) == 60


def test_a_line_and_a_parabola() -> None:
    line = linear_tilt(sp.Integer(1), sp.Integer(2), sp.Integer(3), sp.Integer(4))
    assert line == Tilt(Rational(5, 2), sp.Integer(2), Rational(21, 16), sp.Integer(1))
    assert line.normalizer == sp.exp(Rational(21, 16))
    bowl = quadratic_tilt(sp.Integer(1), sp.Integer(2), sp.Integer(3), sp.Integer(5), sp.Integer(2))
    assert bowl == Tilt(sp.Integer(4), HALF, sp.Integer(-3), sp.Integer(4))
    assert bowl.normalizer == sp.exp(-3) / 2
    assert sp.expand_log(bowl.log_normalizer + 3 + sp.log(2), force=True) == 0


def test_the_gain_is_the_slope_of_the_posterior_mean() -> None:
    assert posterior_gain(Pair(HALF, sp.Integer(2), sp.Integer(0), sp.Integer(0)), sp.Integer(3)) == Rational(24, 49)

"""The 2 x 2 algebra of predictions, against an independent numerical solve."""

import mpmath
import pytest
import sympy as sp

from symsi.errors import UnknownNameError
from symsi.interpolants.named import schedule
from symsi.interpolants.rows import Pair
from symsi.theory.fields import PREDICTIONS, predict

TIME = sp.Rational(3, 7)


def numbers(name: str, eta_z: float, eta_x: float) -> dict[str, mpmath.mpf]:
    """The four predictions from alpha, beta and central differences alone."""
    s = schedule(name)
    with mpmath.workdps(50):
        alpha = sp.lambdify(sp.Symbol("t"), s.alpha, "mpmath")
        beta = sp.lambdify(sp.Symbol("t"), s.beta, "mpmath")
        t = mpmath.mpf(3) / 7
        return {
            "state": alpha(t) * eta_z + beta(t) * eta_x,
            "velocity": mpmath.diff(alpha, t) * eta_z + mpmath.diff(beta, t) * eta_x,
            "score": -eta_z / alpha(t),
            "noise": mpmath.mpf(eta_z),
            "data": mpmath.mpf(eta_x),
        }


@pytest.mark.parametrize("name", ["linear", "trigonometric", "ddpm", "edm", "lazy(kappa=1)"])
@pytest.mark.parametrize("given", PREDICTIONS)
@pytest.mark.parametrize("wanted", PREDICTIONS)
def test_each_prediction_gives_each_other(name: str, given: str, wanted: str) -> None:
    truth = numbers(name, 0.75, -1.25)
    formula = predict(schedule(name).pair.at(TIME), given, wanted)
    got = formula(truth["state"], truth[given])
    assert abs(mpmath.mpf(sp.N(got, 40)) - truth[wanted]) < mpmath.mpf("1e-12") * (1 + abs(truth[wanted]))


def test_an_unknown_prediction_is_refused_with_the_closest_name() -> None:
    t = sp.Symbol("t")
    with pytest.raises(UnknownNameError, match="Did you mean 'velocity'"):
        predict(Pair.of(1 - t, t), "velocty", "score")

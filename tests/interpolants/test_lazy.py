"""The kappa family, Gaussian data and modal coordinates, on concrete schedules."""

import pytest
import sympy as sp

from symsi.algebra.limits import Limit
from symsi.algebra.multiprecision import evaluate
from symsi.interpolants.lazy import lazy_diffusion, lazy_schedule
from symsi.interpolants.schedule import at_end
from symsi.theory.diffusion import optimal_diffusion
from symsi.theory.gaussian import gaussian_drift, marginal_variance, transition

t, x = sp.symbols("t x")
lam = sp.Symbol("lamda", positive=True)
KAPPAS = [sp.Integer(0), sp.Rational(1, 2), sp.Integer(1), sp.Integer(2)]
BETAS = ["t", "sin(pi*t/2)", "t**2*(3-2*t)"]


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("kappa", KAPPAS)
def test_the_drift_vanishes_for_symbolic_variance(kappa: sp.Expr, beta: str) -> None:
    p = lazy_schedule(kappa, variance=None, beta=beta).pair
    drift = gaussian_drift(p, kappa * optimal_diffusion(p), x, sp.Integer(0), sp.Symbol("lamda"))
    assert sp.simplify(drift.subs(sp.Symbol("lamda"), lam)) == 0
    assert abs(evaluate(drift, {t: sp.Rational(1, 3), x: 2, sp.Symbol("lamda"): 5}, 50)) < 1e-45


@pytest.mark.parametrize("kappa", KAPPAS)
def test_the_drift_does_not_vanish_under_another_diffusion(kappa: sp.Expr) -> None:
    p = lazy_schedule(kappa, variance=None).pair
    drift = gaussian_drift(p, (kappa + 1) * optimal_diffusion(p), x, sp.Integer(0), sp.Symbol("lamda"))
    assert abs(evaluate(drift, {t: sp.Rational(1, 3), x: 2, sp.Symbol("lamda"): 5}, 50)) > 0.1


@pytest.mark.parametrize("kappa", KAPPAS)
def test_limits_at_both_ends_are_reported_for_symbolic_variance(kappa: sp.Expr) -> None:
    s = lazy_schedule(kappa, variance=None)
    for expr in (s.alpha, s.beta, s.ratio, optimal_diffusion(s.pair), lazy_diffusion(s.pair, sp.Symbol("lamda"))):
        for end in (0, 1):
            found = at_end(expr, end)
            assert isinstance(found, Limit)
            assert found.exponent is not None, (expr, end, found.reason)


def test_the_point_mass_schedule_has_constant_optimal_diffusion_with_its_limits() -> None:
    s = lazy_schedule(1, variance=None)
    found = at_end(optimal_diffusion(s.pair), 0)
    assert found.value == sp.Symbol("lamda") / 2
    assert str(at_end(s.alpha, 0)) == "~ sqrt(lamda)*sqrt(t)"
    assert str(at_end(sp.diff(s.alpha, t), 0)) == "~ sqrt(lamda)/(2*sqrt(t))"


def test_kappa_zero_with_variance_starts_from_scaled_noise() -> None:
    s = lazy_schedule(0, variance=4)
    assert s.noise_scale == 2
    assert at_end(s.alpha, 0).value == 2


def test_a_transition_agrees_with_a_fine_euler_maruyama_recursion() -> None:
    """Mean factor and variance of the linear schedule under 0.7 epsilon*, by 20 000 exact-moment Euler steps."""
    from symsi.interpolants.named import schedule

    p = schedule("linear").pair
    variance, kappa = sp.Rational(3, 2), sp.Rational(7, 10)
    start, stop = p.at(sp.Rational(1, 5)), p.at(sp.Rational(4, 5))
    law = transition(start, stop, variance, kappa)
    rate = sp.lambdify(t, gaussian_drift(p, kappa * optimal_diffusion(p), sp.Integer(1), sp.Integer(0), variance))
    noise = sp.lambdify(t, 2 * kappa * optimal_diffusion(p))
    steps, factor, spread = 20_000, 1.0, 0.0
    h = 0.6 / steps
    for k in range(steps):
        time = 0.2 + (k + 0.5) * h
        growth = 1 + rate(time) * h
        factor, spread = factor * growth, spread * growth**2 + noise(time) * h
    assert abs(float(law.factor) - factor) < 2e-4
    assert abs(float(law.variance) - spread) < 2e-4
    total = law.factor**2 * marginal_variance(start, variance) + law.variance
    assert abs(float(total - marginal_variance(stop, variance))) < 1e-14

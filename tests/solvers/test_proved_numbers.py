"""The numbers of plans are those that T8 and T12 prove: against the formulas at 30 digits, and on data of any law.

The truth is never read from a table: w, C and the transition come from the proved expressions at the exact noise
levels, s from the integral of its proved rate, drifts from exact velocity and score.
"""

from collections.abc import Callable
from dataclasses import replace

import mpmath
import pytest
import torch
from sympy import Integer, Rational, Symbol, sympify

import symsi
from symsi.algebra.multiprecision import evaluate
from symsi.interpolants.rows import Pair
from symsi.models.reference import Reference
from symsi.solvers import planning
from symsi.theory.diffusion import optimal_diffusion
from symsi.theory.gaussian import gaussian_field, hidden, revealed, transition
from symsi.theory.modal import coordinate_scale, coordinate_variance, natural_rate, natural_residual

DOUBLE = torch.float64
VARIANCES = ("1/25", "1/2", "3")
GRID = (0.0, 0.15, 0.4, 0.8, 1.0)
LAMBDA, W = Symbol("lamda"), Symbol("w")


def pair(tau: float) -> Pair:
    """The linear schedule at the model's time tau."""
    return Pair(1 - Rational(tau), Rational(tau), Integer(-1), Integer(1))


def number(expression: object, **values: object) -> mpmath.mpf:
    return evaluate(sympify(expression), {Symbol(k): v for k, v in values.items()}, 40)


def natural(kappa: Rational, start: mpmath.mpf, stop: mpmath.mpf) -> mpmath.mpf:
    """The integral of ds/dw, in sin^2, where it is smooth."""
    angle = [mpmath.asin(mpmath.sqrt(w)) for w in (start, stop)]

    def rate(theta: mpmath.mpf) -> mpmath.mpf:
        w = mpmath.sin(theta) ** 2
        return evaluate(natural_rate(W, kappa), {W: w}, 40) * mpmath.sin(2 * theta)

    with mpmath.workdps(30):
        return mpmath.quad(rate, mpmath.linspace(*angle, 9))


def plan_of(kappa: str, solver: str = "exact", **options: object) -> symsi.Plan:
    values = torch.tensor([float(Rational(v)) for v in VARIANCES], dtype=DOUBLE)
    reference = Reference("pca", values, torch.tensor([0.3, -0.2, 0.7], dtype=DOUBLE), torch.eye(3, dtype=DOUBLE))
    how = {"diffusion": "ode", "solver": "euler"} if kappa == "0" else {"diffusion": f"kappa={kappa}", "solver": solver}
    return symsi.plan("linear", grid=GRID, last="step", reference=reference, **how, **options)


@pytest.mark.parametrize("kappa", ["0", "1/2", "1", "2"])
@pytest.mark.parametrize("mode", range(3))
def test_keep_noise_weight_and_field_of_each_stage_are_the_proved_ones(kappa: str, mode: int) -> None:
    k, lam = Rational(kappa), Rational(VARIANCES[mode])
    plan = plan_of(kappa)
    for stage, start, stop in zip(plan.stages, plan.times, plan.times[1:], strict=False):
        keep, weight, noise, state, gain, offset = (
            float(torch.as_tensor(v, dtype=DOUBLE).expand(3)[mode])
            for v in (stage.keep, stage.weights[0], stage.noise, stage.state, stage.gain, stage.offset)
        )
        p, q = pair(start), pair(stop)
        w0, w1 = (number(revealed(x, lam)) for x in (p, q))
        end = number(coordinate_scale(q, lam, k))
        assert keep == pytest.approx(float(number(coordinate_scale(p, lam, k)) / end), rel=1e-13, abs=1e-15)
        gained = number(coordinate_variance(W, lam, k), w=w1) - number(coordinate_variance(W, lam, k), w=w0)
        assert noise**2 == pytest.approx(float(gained / end**2), rel=1e-12, abs=1e-15)
        if start > 0:  # T8: the transition of Gaussian data
            exact = transition(p, q, lam, k)
            assert keep == pytest.approx(float(number(exact.factor)), rel=1e-13)
            assert noise**2 == pytest.approx(float(number(exact.variance)), rel=1e-12, abs=1e-15)
        assert weight == pytest.approx(float(natural(k, w0, w1) / end), rel=1e-13)
        # eta_X = x + (1 - tau) v of the linear schedule; the field is (eta_X - eta_X^G) (1 - w)^(-(1 + kappa)/2)
        factor = number(natural_residual(hidden(p, lam), k))
        gaussian = number(gaussian_field(p, "data", Integer(1), Integer(0), lam))
        assert state == pytest.approx(float(factor * (1 - gaussian)), rel=1e-12, abs=1e-13)
        assert gain == pytest.approx(float(factor * (1 - mpmath.mpf(start))), rel=1e-13)
        mean = (0.3, -0.2, 0.7)[mode]
        assert offset == pytest.approx(float(factor * (mpmath.mpf(start) - 1)) * mean, rel=1e-12, abs=1e-14)


def test_a_later_start_has_the_variance_of_each_mode_there() -> None:
    values = torch.tensor([0.04, 0.5, 3.0], dtype=DOUBLE)
    reference = Reference("pca", values, torch.zeros(3, dtype=DOUBLE), torch.eye(3, dtype=DOUBLE))
    plan = symsi.plan("linear", grid=[0.3, 0.6, 1.0], solver="euler", reference=reference)
    torch.testing.assert_close(plan.start, (0.49 + 0.09 * values).sqrt(), rtol=1e-15, atol=0)


@pytest.mark.parametrize("kappa", ["1/2", "2"])
@pytest.mark.parametrize("solver", ["exact", "exact-ab2"])
def test_in_a_small_step_any_data_move_as_their_drift_says(kappa: str, solver: str) -> None:
    """On a mixture far from its reference (z' - z)/h tends to b = v + epsilon s, the variance to 2 epsilon h."""
    law = symsi.models.mixture([0.3, 0.7], [[-1.1], [0.6]], [0.05, 0.2])
    variance, mean = torch.tensor([[0.4], [0.1]], dtype=DOUBLE)
    reference = Reference("pca", variance, mean, torch.eye(1, dtype=DOUBLE))
    velocity, score = (law.model(prediction=p) for p in ("velocity", "score"))
    x, tau = torch.linspace(-1.5, 1.5, 7, dtype=DOUBLE)[:, None], 0.45
    t = torch.full((7,), tau, dtype=DOUBLE)
    epsilon = float(number(Rational(kappa) * optimal_diffusion(pair(tau))))
    drift = velocity(x, t) + epsilon * score(x, t)
    gaps = []
    for h in (1e-3, 1e-4):
        grid = [tau - 3 * h, tau - h, tau, tau + h]
        how = {"diffusion": f"kappa={kappa}", "solver": solver, "last": "step"}
        plan = symsi.plan("linear", grid=grid, reference=reference, **how)
        state = symsi.init(plan, torch.zeros(7, 1, dtype=DOUBLE))
        for stage in plan.stages:  # each step starts from the same x, so that earlier fields are close by
            at = torch.full((7,), float(stage.time), dtype=DOUBLE)
            state = replace(state, z=x - stage.mean * reference.mean)
            state = symsi.step(plan, state, velocity(x, at), torch.zeros(7, 1))
        after = state.z + plan.beta[-1] * reference.mean
        gaps.append(float(((after - x) / h - drift).abs().max()))
        assert float(plan.stages[-1].noise) ** 2 / h == pytest.approx(2 * epsilon, rel=20 * h)
    assert gaps[0] < 0.05
    assert gaps[1] < gaps[0] / 7


def test_a_natural_variable_that_is_wrong_by_a_twentieth_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right: Callable[..., dict[str, torch.Tensor]] = planning.modal_tables

    def wrong(*given: object) -> dict[str, torch.Tensor]:
        found = dict(right(*given))
        return found | {"natural": 1.05 * found["natural"]}

    monkeypatch.setattr(planning, "modal_tables", wrong)
    with pytest.raises(AssertionError):
        test_keep_noise_weight_and_field_of_each_stage_are_the_proved_ones("1/2", 0)
    with pytest.raises(AssertionError):
        test_in_a_small_step_any_data_move_as_their_drift_says("2", "exact")

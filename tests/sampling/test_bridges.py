"""Bridges between laws whose fields are exact: moments, orders, there and back, Schroedinger's bridge, and refusals."""

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

import symsi
from symsi.models.analytic import Mixture

DOUBLE = torch.float64
QUIET: dict[str, Any] = {"progress": False}
SMOOTH = "trigonometric(gamma=quadratic)"
NARROW, WIDE = symsi.models.gaussian([1.0], 0.5), symsi.models.gaussian([-0.5], 2.0)
TWO = symsi.models.mixture([0.3, 0.7], [[-1.0, 0.0], [1.5, 1.0]], [0.2, 0.6])
THREE = symsi.models.mixture([0.5, 0.2, 0.3], [[0.0, 2.0], [1.0, -1.0], [-2.0, 0.0]], [0.3, 0.3, 0.3])
EPSILONS = ("gamma/2", "gamma", "2*gamma")


def ends(direction: str, first: Mixture, second: Mixture) -> tuple[Mixture, Mixture]:
    return (first, second) if direction == "forward" else (second, first)


def order(errors: list[float]) -> float:
    """The slope of log2 of errors under halved steps, by the last pair."""
    return math.log2(errors[-2] / errors[-1])


class Linear:
    """A plan of one evaluation a step on fields that are affine in x: x <- a x + b + noise n, step by step."""

    def __init__(self, model: symsi.BridgeModel, plan: symsi.Plan) -> None:
        stages = plan.stages
        t = torch.tensor([stage.time for stage in stages], dtype=DOUBLE)
        zeros = torch.zeros(len(t), 1, dtype=DOUBLE)
        low, high = (torch.stack(model(x, t))[..., 0].T for x in (zeros, zeros + 1))
        gains = torch.tensor([stage.gains for stage in stages], dtype=DOUBLE)
        keep, state, weight, self.noise = (
            torch.tensor(values, dtype=DOUBLE)
            for values in zip(*((s.keep, s.state, s.weights[0], s.noise) for s in stages), strict=True)
        )
        self.a = keep + weight * (state + (gains * (high - low)).sum(1))
        self.b = weight * (gains * low).sum(1)

    def moments(self, mean: float, variance: float) -> tuple[Tensor, Tensor]:
        """The mean and the variance at each point of the grid."""
        found = [torch.tensor([mean, variance], dtype=DOUBLE)]
        for a, b, noise in zip(self.a, self.b, self.noise, strict=True):
            m, v = found[-1]
            found.append(torch.stack([a * m + b, a * a * v + noise * noise]))
        return torch.stack(found).unbind(1)


def romberg(values: list[Tensor]) -> Tensor:
    """The limit of values under halved steps, whose errors have an expansion in the step."""
    power = 1
    while len(values) > 1:
        power *= 2
        values = [(power * fine - coarse) / (power - 1) for coarse, fine in pairwise(values)]
    return values[0]


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("diffusion", ["ode", *EPSILONS])
def test_a_mixture_becomes_the_other_within_monte_carlo_error(direction: str, diffusion: str) -> None:
    count, steps = 3000, 60
    first, last = ends(direction, TWO, THREE)
    model = symsi.models.between(TWO, THREE)
    noise = torch.randn(steps, count, 2, dtype=DOUBLE, generator=torch.Generator().manual_seed(3))
    out = symsi.sample_bridge(
        model,
        first.sample(count, seed=1),
        direction=direction,
        diffusion=diffusion,
        steps=steps,
        grid="cosine",
        noise=noise,
        **QUIET,
    )
    assert out.nfe == steps
    x, wanted = out.x, last.sample(100_000, seed=9)
    for power in (1, 2, 3):
        exact = (wanted - last.mean) ** power
        error = exact.std(0) / count**0.5
        assert (((x - last.mean) ** power).mean(0) - exact.mean(0)).abs().lt(4 * error).all(), power
    assert abs((x.prod(1).mean() - wanted.prod(1).mean()) / wanted.prod(1).std()) < 4 / count**0.5


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize(("solver", "expected"), [("euler", 1), ("heun", 2), ("ab2", 2), ("ab3", 3)])
def test_the_ode_between_gaussians_converges_at_the_order_of_its_solver(
    direction: str, solver: str, expected: int
) -> None:
    """In one dimension the exact map takes each quantile to the same quantile."""
    first, last = ends(direction, NARROW, WIDE)
    start = torch.linspace(-1, 2, 5, dtype=DOUBLE)[:, None]
    scale = (last.covariance / first.covariance).sqrt()
    exact = last.mean + (start - first.mean) * scale
    model = symsi.models.between(NARROW, WIDE, SMOOTH)
    run = {"direction": direction, "solver": solver, "grid": "cosine", **QUIET}  # so that ab3's Euler start is short
    errors = [float((symsi.sample_bridge(model, start, steps=k, **run).x - exact).norm()) for k in (40, 80)]
    assert order(errors) == pytest.approx(expected, abs=0.15)


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("diffusion", EPSILONS)
def test_the_sde_between_gaussians_converges_with_weak_order_one(direction: str, diffusion: str) -> None:
    first, last = ends(direction, NARROW, WIDE)
    model = symsi.models.between(NARROW, WIDE, SMOOTH)
    errors = []
    for steps in (64, 128):
        plan = symsi.bridge_plan(model, direction=direction, diffusion=diffusion, steps=steps)
        _, variance = Linear(model, plan).moments(float(first.mean), float(first.covariance))
        errors.append(abs(float(variance[-1] - last.covariance)))
    assert order(errors) == pytest.approx(1, abs=0.15)


def test_forwards_then_backwards_along_the_ode_returns() -> None:
    model = symsi.models.between(TWO, THREE, SMOOTH)
    start = TWO.sample(50, seed=2)
    run = {"solver": "ab3", "steps": 800, "grid": "cosine", **QUIET}
    there = symsi.sample_bridge(model, start, **run).x
    back = symsi.sample_bridge(model, there, direction="backward", **run).x
    assert (there - start).norm() > 1
    assert (back - start).abs().max() < 1e-6


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_the_plan_of_schroedingers_bridge_has_its_marginals_and_its_covariance_of_two_times(direction: str) -> None:
    """X_t = (1 - t) X_0 + t X_1 + sigma B_t, B a Brownian bridge, for ends of the entropic covariance."""
    sigma, (m0, m1), (c0, c1) = 0.5, (1.0, -0.5), (0.5, 2.0)
    half = symsi.parse("1/2")
    path = symsi.gaussian_bridge(half, symsi.parse("2"), half)
    model = symsi.models.between(NARROW, WIDE, path, ("velocity", "score"))
    found = []
    for steps in (8, 16, 32, 64, 128, 256, 512):
        plan = symsi.bridge_plan(model, direction=direction, diffusion=sigma**2 / 2, steps=steps)
        chain = Linear(model, plan)
        mean, variance = chain.moments(*((m0, c0) if direction == "forward" else (m1, c1)))
        quarters = [steps * k // 4 for k in range(5)]
        jumps = torch.stack([chain.a[i:j].prod() for i, j in pairwise(quarters)])
        found.append(torch.cat([mean[quarters], variance[quarters], variance[quarters[:-1]] * jumps]))
    mean, variance, covariance = romberg(found).split((5, 5, 4))
    times = torch.linspace(0, 1, 5, dtype=DOUBLE)
    coupled = ((4 * c0 * c1 + sigma**4) ** 0.5 - sigma**2) / 2

    def covariance_of(s: Tensor, t: Tensor) -> Tensor:
        bridge = sigma**2 * s * (1 - t)
        return (1 - s) * (1 - t) * c0 + s * t * c1 + ((1 - s) * t + s * (1 - t)) * coupled + bridge

    exact = [(1 - times) * m0 + times * m1, covariance_of(times, times), covariance_of(times[:-1], times[1:])]
    if direction == "backward":
        exact = [value.flip(0) for value in exact]
    for value, wanted in zip((mean, variance, covariance), exact, strict=True):
        torch.testing.assert_close(value, wanted, rtol=0, atol=1e-10)


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_a_sample_is_the_same_whatever_the_batch(direction: str) -> None:
    model, start = symsi.models.between(TWO, THREE), TWO.sample(7, seed=0).float()
    run = {"direction": direction, "diffusion": "gamma", "steps": 5, "seed": 4, **QUIET}
    whole = symsi.sample_bridge(model, start, **run)
    parts = symsi.sample_bridge(model, start, batch=3, **run)
    later = symsi.sample_bridge(model, start[4:], first=4, **run)
    assert whole.x.dtype == torch.float32
    torch.testing.assert_close(parts.x, whole.x, rtol=0, atol=1e-6)
    torch.testing.assert_close(later.x, whole.x[4:], rtol=0, atol=1e-6)
    assert not torch.equal(symsi.sample_bridge(model, start, **{**run, "seed": 5}).x, whole.x)


def test_a_bar_counts_every_evaluation_of_every_batch_and_memory_what_a_path_takes(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[int] = []
    monkeypatch.setattr(
        "symsi.sampling.bridges.check_memory", lambda count, form, kind, where, states: held.append(states)
    )
    model, start = symsi.models.between(TWO, THREE), TWO.sample(4, seed=0)
    one_by_one = symsi.sample_bridge(model, start, solver="heun", steps=3, batch=1, progress=True)
    assert capfd.readouterr().err.count(f"{4 * one_by_one.nfe}/{4 * one_by_one.nfe}") == 1
    symsi.sample_bridge(model, start, steps=3, batch=3, trajectory=True, progress=True)
    assert "6/6" in capfd.readouterr().err
    assert held == [0, 4]


def test_the_path_runs_from_the_start_to_the_samples_and_a_callback_sees_it() -> None:
    model, start = symsi.models.between(TWO, THREE), THREE.sample(5, seed=0)
    kept, seen = start.clone(), []
    run = {"direction": "backward", "solver": "heun", "steps": 4, "batch": 2, **QUIET}
    out = symsi.sample_bridge(model, start, trajectory=True, callback=seen.append, **run)
    assert out.plan.grid == (1.0, 0.75, 0.5, 0.25, 0.0)
    assert out.path is not None
    assert out.path.shape == (5, 5, 2)
    assert torch.equal(out.path[0], start)
    assert torch.equal(start, kept)
    assert torch.equal(out.path[-1], out.x)
    assert [s.t for s in seen[:4]] == [0.75, 0.5, 0.25, 0.0]
    assert torch.equal(seen[1].x, out.path[2, :2])


def test_steps_by_hand_are_what_the_sampler_does() -> None:
    model, start = symsi.models.between(TWO, THREE), TWO.sample(6, seed=0)
    plan = symsi.bridge_plan(model, direction="backward", diffusion="gamma/2", solver="ab2-maruyama", steps=5)
    noise = torch.randn(5, 6, 2, dtype=DOUBLE, generator=torch.Generator().manual_seed(1))
    state = symsi.init(plan, start)
    for stage in plan.stages:
        x, t = symsi.model_input(plan, state)
        state = symsi.step(plan, state, model(x, t), noise[stage.step - 1])
    expected = symsi.sample_bridge(model, start, plan=plan, noise=noise, **QUIET).x
    torch.testing.assert_close(symsi.observe(plan, state), expected, rtol=0, atol=1e-14)


def test_conditions_are_split_with_the_batch() -> None:
    def function(x: Tensor, t: Tensor, shift: Tensor) -> Tensor:
        return shift.expand_as(x)

    model, shift = symsi.BridgeModel(function, predictions="velocity"), torch.arange(5.0)[:, None]
    run = {"steps": 4, "batch": 2, **QUIET}
    out = symsi.sample_bridge(model, torch.ones(5, 3), conditions={"shift": shift}, **run)
    torch.testing.assert_close(out.x, 1 + shift.expand(5, 3))
    back = symsi.sample_bridge(model, out.x, conditions={"shift": shift}, direction="backward", **run)
    torch.testing.assert_close(back.x, torch.ones(5, 3))


MODEL = symsi.models.between(TWO, THREE)
START = torch.zeros(4, 2)
BAD = START.clone()
BAD[2, 1] = math.nan


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((TWO.model(), START), {"direction": "forward"}, "one-sided, from noise to data: symsi.sample"),
        ((lambda x, t: x, START), {}, "needs a symsi.BridgeModel.* got a callable"),
        ((3, START), {}, "got int"),
        ((MODEL, BAD), {}, "nan or inf in row 2"),
        ((MODEL, torch.zeros(4, 3)), {}, r"shape \(2,\); start has the shape \(4, 3\), and \(4, 2\) would fit"),
        ((MODEL, torch.zeros(4, 2, dtype=torch.int64)), {}, "floating-point"),
        ((MODEL, [[1.0, 2.0]]), {}, "got list"),
        ((MODEL, START), {"direction": "backwards"}, "Did you mean 'backward'"),
        ((MODEL, START), {"diffusion": 1}, "no value at t = 0.* O.gamma., gamma .* such as 'gamma'"),
        ((MODEL, START), {"diffusion": "gamma", "solver": "heun"}, "does not step an SDE.* euler-maruyama"),
        ((MODEL, START), {"solver": "exact"}, "does not step the ODE.* euler, heun, ab2, ab3"),
        ((MODEL, START), {"solver": "eular"}, "Did you mean 'euler'"),
        ((MODEL, START), {"grid": "angle"}, "unknown grid of a bridge"),
        ((MODEL, START), {"steps": 0}, "steps must be an integer"),
        ((MODEL, START), {"conditions": {"label": 1}}, "knows no condition label"),
        ((MODEL, START), {"noise": torch.zeros(1)}, "noise must have the shape"),
        ((symsi.BridgeModel(lambda x, t: x, predictions="velocity"), START), {"diffusion": "gamma"}, "two predictions"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(arguments: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(symsi.SymsiError, match=message):
        symsi.sample_bridge(*arguments, **{"steps": 2, **options}, **QUIET)


def test_a_plan_of_another_model_is_refused_in_words() -> None:
    plan = symsi.bridge_plan(MODEL, steps=2)
    other = symsi.models.between(TWO, THREE, SMOOTH)
    with pytest.raises(symsi.PlanError, match="another interpolant"):
        symsi.sample_bridge(other, START, plan=plan)
    with pytest.raises(symsi.SymsiError, match="leave steps out"):
        symsi.sample_bridge(MODEL, START, plan=plan, steps=2)
    with pytest.raises(symsi.PlanError, match=r"asks for prediction; .* gives velocity, latent"):
        symsi.sample_bridge(MODEL, START, plan=symsi.Plan([symsi.Stage(1, 0.0, [1.0])], [0.0, 1.0]))
    with pytest.raises(symsi.PlanError):
        symsi.sample(TWO.model(), shape=4, plan=plan)


def test_answers_that_are_no_predictions_are_refused_in_words() -> None:
    def run(function: Any) -> None:
        symsi.sample_bridge(symsi.BridgeModel(function), START, steps=2, **QUIET)

    with pytest.raises(symsi.ModelError, match="its function returned 1"):
        run(lambda x, t: x)
    with pytest.raises(symsi.ModelError, match=r"returned shape \(4, 1\)"):
        run(lambda x, t: (x, x[:, :1]))
    with pytest.raises(symsi.ModelError, match="nan or inf at step 1"):
        run(lambda x, t: (x * math.nan, x))
    with pytest.raises(symsi.ModelError, match="wrote into its input"):
        run(lambda x, t: (x.add_(1), x))


@pytest.mark.parametrize("diffusion", ["ode", "gamma"])
def test_a_landing_leaves_none_of_the_latent_where_data_are_points(diffusion: str) -> None:
    """Four points under sqrt(t (1 - t)): the nearest of them to each sample, in 10 evaluations."""
    points = torch.tensor([[2.0, 0.0], [0.0, 2.0], [-2.0, 0.0], [0.0, -2.0]], dtype=DOUBLE)
    start = symsi.models.gaussian([0.0, 0.0], 1.0)
    model = symsi.models.between(start, symsi.models.mixture([0.25] * 4, points, [1e-12] * 4), "linear")
    left = {}
    for last in ("step", "land"):
        x = symsi.sample_bridge(model, start.sample(200), diffusion=diffusion, steps=10, last=last, **QUIET).x
        left[last] = torch.cdist(x, points).min(1).values.median().item()
    assert left["land"] < 0.02 < 0.1 < left["step"]

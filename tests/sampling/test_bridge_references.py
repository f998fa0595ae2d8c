"""Bridges by mode: exact between Gaussians in any step, of the solver's order elsewhere, in fewer evaluations."""

import math
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

import symsi
from symsi.models.reference import Reference, isotropic

DOUBLE = torch.float64
QUIET: dict[str, Any] = {"progress": False}
FIRST, LAST = (torch.tensor(v, dtype=DOUBLE) for v in ([1.0, 0.3, 0.05, 2.0], [0.2, 1.5, 0.4, 0.02]))
START, END = (torch.tensor(v, dtype=DOUBLE) for v in ([1.0, -2.0, 0.5, 0.0], [0.0, 3.0, -1.0, 0.25]))
EYE = torch.eye(4, dtype=DOUBLE)
TURN = torch.linalg.qr(torch.randn(4, 4, dtype=DOUBLE, generator=torch.Generator().manual_seed(0)))[0]
PATHS = ["linear(gamma=brownian)", "trigonometric(gamma=quadratic)", "encoding-decoding(gamma=sine)"]


def turned(model: symsi.BridgeModel) -> symsi.BridgeModel:
    """The model of TURN x."""

    def function(x: Tensor, t: Tensor) -> tuple[Tensor, ...]:
        return tuple(p @ TURN.T for p in model(x @ TURN, t))

    return symsi.BridgeModel(function, model.interpolant, model.predictions, model.shape)


def references(basis: Tensor = TURN) -> tuple[Reference, Reference]:
    return (Reference("pca", FIRST, basis @ START, basis), Reference("pca", LAST, basis @ END, basis))


def exact(x: Tensor, direction: str) -> Tensor:
    """The map of quantiles, mode by mode."""
    a, b, scale = (START, END, (LAST / FIRST).sqrt()) if direction == "forward" else (END, START, (FIRST / LAST).sqrt())
    return (b + scale * (x @ TURN - a)) @ TURN.T


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("path", PATHS)
def test_one_step_between_gaussians_is_exact(path: str, direction: str) -> None:
    left, right = symsi.models.gaussian(START, FIRST), symsi.models.gaussian(END, LAST)
    for predictions in (("velocity", "latent"), ("ends", "score"), "velocity"):
        model = turned(symsi.models.between(left, right, path, predictions))
        x = torch.randn(20, 4, dtype=DOUBLE, generator=torch.Generator().manual_seed(1))
        run = {"direction": direction, "reference": references(), **QUIET}
        out = symsi.sample_bridge(model, x, solver="euler", steps=1, **run)
        assert out.nfe == 1
        assert (out.x - exact(x, direction)).abs().max() < 1e-10


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("solver", ["euler", "heun", "ab2", "ab3"])
@pytest.mark.parametrize("grid", ["cosine", [0.0, 1e-6, 0.1, 0.11, 0.9, 1.0], [0.2, 0.3, 0.7]])
def test_every_solver_on_every_grid_is_exact_between_gaussians(solver: str, grid: Any, direction: str) -> None:
    """On a grid inside (0, 1) from and to the laws there."""
    model = turned(symsi.models.between(symsi.models.gaussian(START, FIRST), symsi.models.gaussian(END, LAST)))
    x = torch.randn(20, 4, dtype=DOUBLE, generator=torch.Generator().manual_seed(2))
    times = {"grid": grid} if isinstance(grid, list) else {"grid": grid, "steps": 7}
    run = {"direction": direction, "solver": solver, "reference": references(), "trajectory": True, **times, **QUIET}
    out = symsi.sample_bridge(model, x, **run)
    time = torch.tensor(out.plan.grid, dtype=DOUBLE)[:, None]
    mean = (1 - time) * START + time * END
    spread = ((1 - time) ** 2 * FIRST + time**2 * LAST + time * (1 - time)).sqrt()
    wanted = (mean[:, None] + (spread / spread[0])[:, None] * (x @ TURN - mean[0])) @ TURN.T
    assert out.path is not None
    assert (out.path - wanted).abs().max() < 1e-10


def test_isotropic_references_of_vectors_of_means_are_exact_too() -> None:
    left, right = symsi.models.gaussian(START, 2.0), symsi.models.gaussian(END, 0.1)
    pair = tuple(Reference("isotropic", torch.tensor([v], dtype=DOUBLE), m) for v, m in ((2.0, START), (0.1, END)))
    x = torch.randn(20, 4, dtype=DOUBLE, generator=torch.Generator().manual_seed(3))
    out = symsi.sample_bridge(symsi.models.between(left, right), x, steps=2, reference=pair, **QUIET)
    assert out.plan.reference is None
    assert (out.x - (END + (x - START) * 0.05**0.5)).abs().max() < 1e-10


def test_cosines_of_pictures_and_a_number_for_a_mean() -> None:
    """In cosines a picture of variances lambda is bridged to N(1/2, 1/10): each mode by itself."""
    shape, variance = (2, 3, 4), 0.1
    lam = torch.rand(shape, dtype=DOUBLE, generator=torch.Generator().manual_seed(0)) + 0.1
    cosines = Reference("dct", lam, torch.zeros((), dtype=DOUBLE))
    ends = (
        symsi.models.gaussian(torch.zeros(24, dtype=DOUBLE), lam.flatten()),
        symsi.models.gaussian(cosines.forward(torch.full((1, *shape), 0.5, dtype=DOUBLE)).flatten(), variance),
    )
    inner = symsi.models.between(*ends)

    def function(x: Tensor, t: Tensor) -> tuple[Tensor, ...]:
        return tuple(cosines.inverse(p.reshape(x.shape), shape) for p in inner(cosines.forward(x).flatten(1), t))

    model = symsi.BridgeModel(function)
    x = torch.randn(5, *shape, dtype=DOUBLE, generator=torch.Generator().manual_seed(1))
    out = symsi.sample_bridge(model, x, steps=1, reference=(cosines, isotropic(variance, mean=0.5)), **QUIET)
    wanted = 0.5 + cosines.inverse(cosines.forward(x) * (variance / lam).sqrt(), shape)
    assert (out.x - wanted).abs().max() < 1e-10


def mixture(weights: list[float], places: list[float], variances: Tensor) -> symsi.models.analytic.Mixture:
    """Components along the first mode, with the same variances."""
    means = torch.tensor(places, dtype=DOUBLE)[:, None] * EYE[0]
    return symsi.models.mixture(torch.tensor(weights, dtype=DOUBLE), means, variances.expand(len(places), 4))


LEFT = mixture([0.5, 0.5], [-0.7, 0.7], FIRST)
RIGHT = mixture([0.5, 0.2, 0.3], [0.7, -0.7, 0.0], LAST)
OWN = tuple(Reference("pca", law.covariance.diagonal().clone(), law.mean, EYE) for law in (LEFT, RIGHT))
MIXTURES = symsi.models.between(LEFT, RIGHT)


@cache
def truth(direction: str) -> tuple[Tensor, Tensor]:
    """Samples of one mixture, and where the ODE takes them."""
    start = (LEFT if direction == "forward" else RIGHT).sample(50, seed=1)
    run = {"direction": direction, "solver": "ab3", "steps": 400, "grid": "cosine", "reference": OWN, **QUIET}
    return start, symsi.sample_bridge(MIXTURES, start, **run).x


def error(direction: str, solver: str, steps: int, pair: Any) -> float:
    """The root mean square distance from there."""
    start, end = truth(direction)
    run = {"direction": direction, "solver": solver, "steps": steps, "grid": "cosine", "reference": pair, **QUIET}
    return float((symsi.sample_bridge(MIXTURES, start, **run).x - end).square().sum(1).mean().sqrt())


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize(("solver", "expected"), [("euler", 1), ("heun", 2), ("ab2", 2), ("ab3", 3)])
def test_between_mixtures_a_solver_keeps_its_order(solver: str, expected: int, direction: str) -> None:
    coarse, fine = (error(direction, solver, steps, OWN) for steps in (40, 80))
    assert math.log2(coarse / fine) == pytest.approx(expected, abs=0.15)


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_between_mixtures_references_save_two_of_three_evaluations(direction: str) -> None:
    """ab2: 8 evaluations with references leave less than 24 without."""
    assert error(direction, "ab2", 8, OWN) < error(direction, "ab2", 24, None)


def test_a_saved_plan_samples_the_same_and_steps_by_hand(tmp_path: Any) -> None:
    start = LEFT.sample(6, seed=2)
    plan = symsi.bridge_plan(MIXTURES, solver="ab3", steps=5, reference=OWN)
    out = symsi.sample_bridge(MIXTURES, start, solver="ab3", steps=5, reference=OWN, **QUIET)
    assert out.plan == plan
    loaded = symsi.load_plan(plan.save(tmp_path / "plan.json"))
    assert torch.equal(symsi.sample_bridge(MIXTURES, start, plan=loaded, **QUIET).x, out.x)
    state = symsi.init(plan, start)
    for _ in plan.stages:
        state = symsi.step(plan, state, MIXTURES(*symsi.model_input(plan, state)))
    torch.testing.assert_close(symsi.observe(plan, state), out.x, rtol=0, atol=1e-13)


def test_a_plan_by_mode_refuses_samples_of_another_shape() -> None:
    anything = symsi.BridgeModel(lambda x, t: (x, x))
    plan = symsi.bridge_plan(anything, steps=2, reference=OWN, shape=(4,))
    with pytest.raises(symsi.SymsiError, match=r"another shape than \(5,\)"):
        symsi.sample_bridge(anything, torch.zeros(2, 5), plan=plan, **QUIET)
    with pytest.raises(symsi.SymsiError, match="leave reference out"):
        symsi.sample_bridge(anything, torch.zeros(2, 4), plan=plan, reference=OWN, **QUIET)
    with pytest.raises(symsi.SymsiError, match="got one of kind pca"):
        symsi.sample_bridge(anything, torch.zeros(2, 4), steps=2, reference=OWN[0], **QUIET)

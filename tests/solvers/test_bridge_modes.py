"""Plans of bridges by mode: their numbers against the proved formulas at 40 digits, kept in files, and refusals."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from sympy import Rational

import symsi
from symsi.algebra.multiprecision import evaluate
from symsi.algebra.symbols import t
from symsi.interpolants.named_two_sided import interpolant
from symsi.models.reference import Reference, isotropic
from symsi.theory.two_gaussians import GaussianEnds, bridge_coordinate, bridge_field, bridge_flow_map, bridge_variance

DOUBLE = torch.float64
NAME = "linear(gamma=brownian(a=2))"
MODEL = symsi.BridgeModel(lambda x, time: (x, x), NAME, shape=(3,))
FIRST, LAST, START, END = ("1/25", "1/2", "3"), ("2", "1/2", "1/10"), ("3/10", "-1/5", "0"), ("1", "0", "-2")
GRID = (0.0, 0.15, 0.4, 0.8, 1.0)


def numbers(words: tuple[str, ...]) -> torch.Tensor:
    return torch.tensor([float(Rational(w)) for w in words], dtype=DOUBLE)


EYE = torch.eye(3, dtype=DOUBLE)
PAIR = (Reference("pca", numbers(FIRST), numbers(START), EYE), Reference("pca", numbers(LAST), numbers(END), EYE))


def of(value: Any, mode: int) -> float:
    return float(torch.as_tensor(value, dtype=DOUBLE).expand(3)[mode])


def exact(formula: Any) -> float:
    return float(evaluate(formula, {}, 40))


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("mode", range(3))
def test_keep_weight_field_and_offset_of_each_step_are_the_proved_ones(direction: str, mode: int) -> None:
    """The step is the flow map where v = v_G, and moves by h sqrt(S) of the excess over sqrt(S) else."""
    ends = GaussianEnds(*(Rational(w[mode]) for w in (START, FIRST, END, LAST)))
    plan = symsi.bridge_plan(MODEL, direction=direction, solver="euler", grid=GRID, reference=PAIR)
    assert plan.grid == (GRID if direction == "forward" else GRID[::-1])
    triple = interpolant("linear", "brownian", a=2).triple
    for stage, start, stop in zip(plan.stages, plan.grid, plan.grid[1:], strict=False):
        p, q = (triple.at(Rational(time), t) for time in (start, stop))
        keep, weight, offset, state = (of(v, mode) for v in (stage.keep, stage.weights[0], stage.offset, stage.state))
        grown = [exact(bridge_flow_map(p, q, ends, x)) for x in (Rational(0), Rational(1))]
        assert keep == pytest.approx(grown[1] - grown[0], rel=1e-13)
        assert weight == pytest.approx((stop - start) * exact(bridge_variance(q, ends)) ** 0.5, rel=1e-13)
        inverse = exact(bridge_coordinate(p, ends, Rational(1)) - bridge_coordinate(p, ends, Rational(0)))
        assert [of(g, mode) for g in stage.gains] == pytest.approx([inverse, 0], rel=1e-13, abs=1e-15)
        if 0 < start < 1:  # the coded velocity divides by gamma
            v = [exact(bridge_field(p, ends, "velocity", x)) for x in (Rational(0), Rational(1))]
            assert state == pytest.approx(-(v[1] - v[0]) * inverse, rel=1e-12, abs=1e-13)
            for x, velocity in enumerate(v):
                moved = keep * x + weight * (state * x + inverse * velocity + offset)
                assert moved == pytest.approx(grown[x], rel=1e-12, abs=1e-13)


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("solver", ["euler", "heun", "ab2", "ab3"])
def test_between_gaussians_a_path_is_the_flow_maps_whatever_the_solver(solver: str, direction: str) -> None:
    laws = [symsi.models.gaussian(numbers(m), numbers(v)) for m, v in ((START, FIRST), (END, LAST))]
    x = torch.tensor([[0.5, -1.0, 2.0]], dtype=DOUBLE)
    run = {"direction": direction, "solver": solver, "grid": GRID, "reference": PAIR, "trajectory": True}
    out = symsi.sample_bridge(symsi.models.between(*laws, NAME), x, progress=False, **run)  # type: ignore[arg-type]
    triple = interpolant("linear", "brownian", a=2).triple
    first, *later = (triple.at(Rational(time), t) for time in out.plan.grid)
    assert out.path is not None
    for place, q in zip(out.path[1:], later, strict=True):
        for mode in range(3):
            ends = GaussianEnds(*(Rational(w[mode]) for w in (START, FIRST, END, LAST)))
            wanted = exact(bridge_flow_map(first, q, ends, Rational(float(x[0, mode]))))
            assert float(place[0, mode]) == pytest.approx(wanted, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("solver", ["euler", "heun", "ab2", "ab3"])
def test_only_means_need_offsets(solver: str) -> None:
    still = tuple(Reference("pca", r.variances, torch.zeros(3, dtype=DOUBLE), EYE) for r in PAIR)
    plans = [symsi.bridge_plan(MODEL, solver=solver, grid=GRID, reference=pair) for pair in (still, PAIR)]
    assert all(stage.offset == 0 for stage in plans[0].stages)
    for a, b in zip(*(plan.stages for plan in plans), strict=True):
        for name in ("keep", "state", "weights", "gains"):
            for left, right in zip(
                *(getattr(s, name) if name in ("weights", "gains") else [getattr(s, name)] for s in (a, b)), strict=True
            ):
                torch.testing.assert_close(left, right, rtol=0, atol=0)


def test_one_variance_for_all_modes_is_a_number_and_needs_no_basis() -> None:
    plan = symsi.bridge_plan(MODEL, steps=3, reference=(isotropic(2.0), isotropic(0.5, mean=1.0)))
    assert plan.reference is None
    values = [v for s in plan.stages for v in (s.keep, s.state, s.offset, *s.gains, *s.weights)]
    assert all(isinstance(v, float) for v in values)
    assert math.prod(stage.keep for stage in plan.stages) == pytest.approx(0.5)
    assert plan.origin["reference"] == "isotropic, isotropic"


def test_variances_of_the_latent_alone_are_left_where_both_ends_are_alike() -> None:
    """C = D = 1 and gamma^2 = 2 t (1 - t) of a straight line: S = 1 throughout, and the plan is the solver's own."""
    pair = (isotropic(), isotropic())
    for solver in ("euler", "ab3"):
        mine = symsi.bridge_plan(MODEL, solver=solver, steps=4, reference=pair)
        plain = symsi.bridge_plan(MODEL, solver=solver, steps=4)
        for a, b in zip(mine.stages, plain.stages, strict=True):
            assert (a.keep, a.state, *a.gains, *a.weights) == pytest.approx(
                (b.keep, b.state, *b.gains, *b.weights), abs=1e-14
            )


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_a_plan_by_mode_is_kept_in_a_file(direction: str, tmp_path: Path) -> None:
    plan = symsi.bridge_plan(MODEL, direction=direction, steps=5, grid="cosine", last="land", reference=PAIR)
    again = symsi.load_plan(plan.save(tmp_path / "plan.json"))
    assert again == plan
    assert again.hash == plan.hash
    assert plan.origin["reference"] == "pca, pca"
    assert plan != symsi.bridge_plan(MODEL, direction=direction, steps=5, grid="cosine", last="land")


def test_a_landing_is_on_the_prediction_as_without_references() -> None:
    plans = [symsi.bridge_plan(MODEL, grid=GRID, last="land", reference=pair) for pair in (None, PAIR)]
    plain, mine = (plan.stages[-1] for plan in plans)
    assert (mine.keep, mine.state, mine.gains, mine.weights, mine.offset) == (
        *(plain.keep, plain.state, plain.gains, plain.weights),
        0,
    )


SHAPELESS = symsi.BridgeModel(lambda x, time: (x, x), NAME, name="mine")


def test_the_shape_of_a_sample_is_the_models_or_told() -> None:
    assert symsi.bridge_plan(SHAPELESS, steps=2, reference=PAIR, shape=(3,)) == symsi.bridge_plan(
        MODEL, steps=2, reference=PAIR
    )


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (MODEL, {"reference": PAIR[0]}, "pair of symsi.Reference.* got one of kind pca"),
        (MODEL, {"reference": PAIR, "diffusion": "gamma"}, "steps of the ODE exact.* diffusion='ode'"),
        (SHAPELESS, {"reference": PAIR}, r"mine does not say the shape .* give shape="),
        (MODEL, {"reference": PAIR, "shape": (4,)}, r"pca reference was made for samples of another shape than \(4,\)"),
        (lambda x, time: x, {"reference": PAIR}, "needs a symsi.BridgeModel"),
        (symsi.Model(lambda x, time: x, name="noise"), {"reference": PAIR}, "noise is one-sided"),
    ],
)
def test_references_that_do_not_fit_are_refused_in_words(model: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(symsi.SymsiError, match=message):
        symsi.bridge_plan(model, steps=2, **options)


def test_a_plan_of_one_sided_models_takes_one_reference() -> None:
    with pytest.raises(symsi.SymsiError, match=r"a reference is a symsi\.Reference; got tuple"):
        symsi.plan("linear", steps=2, reference=PAIR)  # type: ignore[arg-type]

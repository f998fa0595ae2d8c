"""Sums of states to come against the definition of a row: z <- keep z + sum_j weights[j] g_j, g = state z + P + c."""

import gc
from collections.abc import Callable

import pytest
import torch

import symsi
from symsi.calibration.reference import estimate
from symsi.models.analytic import Mixture
from symsi.sampling.moves import _PLACED, Memory, advance, moves
from symsi.solvers.plan import Plan
from symsi.solvers.table import SOLVERS

Predict = Callable[[torch.Tensor], torch.Tensor]


def defined(plan: Plan, predict: Predict, z: torch.Tensor) -> list[torch.Tensor]:
    """The state after each stage, by the definition and without noise."""
    fields: list[torch.Tensor] = []
    found = []
    for stage in plan.stages:
        fields.insert(0, stage.state * z + stage.gain * predict(z) + stage.offset)
        z = stage.keep * z + sum(weight * g for weight, g in zip(stage.weights, fields, strict=False))
        found.append(z)
    return found


@pytest.mark.parametrize("memory", Memory)
@pytest.mark.parametrize(
    ("solver", "modal"), [*((s, False) for s in SOLVERS), *((s, True) for s in ("euler", "ab2", "ab3", "exact-ab2"))]
)
def test_moves_do_what_rows_say(three_modes: Mixture, solver: str, modal: bool, memory: Memory) -> None:
    data = torch.randn(50, 3, generator=torch.Generator().manual_seed(5)).double() * torch.tensor([1.0, 2.0, 3.0]) + 1
    noisy = SOLVERS[solver].stochastic
    plan = symsi.plan(
        three_modes.model(),
        schedule="lazy(kappa=1)" if noisy else "trigonometric",
        solver=solver,
        diffusion="optimal" if noisy else "ode",
        reference=estimate(data, "pca") if modal else None,
        spectrum=[0.3, 2.0] if SOLVERS[solver].ridge is not None else None,
        steps=6,
    )
    start = torch.randn(4, 3, generator=torch.Generator().manual_seed(6)).double()
    z, ahead = start.clone(), ()
    for move, expected in zip(moves(plan, z), defined(plan, torch.sin, start), strict=True):
        kept = [(v, v._version) for v in (z, *ahead) if v is not None]
        z, ahead = advance(move, z, [torch.sin(z)], ahead, memory=memory)
        torch.testing.assert_close(z, expected, rtol=1e-12, atol=1e-12)
        untouched = {Memory.KEPT: len(kept), Memory.SUMS: 1, Memory.ALL: 0}[memory]
        assert all(v._version == version and v.data_ptr() != z.data_ptr() for v, version in kept[:untouched])
    assert not any(held is not None for held in ahead)


def test_whose_memory_is_used_changes_no_bit(three_modes: Mixture) -> None:
    plan = symsi.plan(three_modes.model(), schedule="trigonometric", solver="ab3", steps=5)

    def run(memory: Memory) -> torch.Tensor:
        z, ahead = torch.randn(4, 3, generator=torch.Generator().manual_seed(1)), ()
        for move in moves(plan, z):
            z, ahead = advance(move, z, [torch.sin(z)], ahead, memory=memory)
        return z

    assert torch.equal(run(Memory.KEPT), run(Memory.SUMS))
    assert torch.equal(run(Memory.KEPT), run(Memory.ALL))


def test_what_was_remembered_in_inference_mode_is_stepped_on_outside(three_modes: Mixture) -> None:
    plan = symsi.plan(three_modes.model(), schedule="trigonometric", solver="ab2", steps=2)
    z = torch.ones(2, 3)
    first, second = moves(plan, z)
    with torch.inference_mode():
        inside, ahead = advance(first, z, [z])
    outside, _ = advance(second, inside.clone().requires_grad_(), [z], ahead)
    assert outside.requires_grad


def test_sums_of_inference_mode_are_added_to_outside_where_they_may_be_written(three_modes: Mixture) -> None:
    plan = symsi.plan(three_modes.model(), schedule="trigonometric", solver="ab2", steps=2)
    z = torch.ones(2, 3)
    first, second = moves(plan, z)
    with torch.inference_mode():
        inside, ahead = advance(first, z, [z])
    expected, _ = advance(second, inside, [z], ahead)
    found, _ = advance(second, inside.clone(), [z], ahead, memory=Memory.SUMS)
    assert torch.equal(found, expected)


def test_a_prediction_of_fewer_bits_is_widened_before_anything_is_multiplied() -> None:
    plan = symsi.plan("linear", solver="euler", steps=3)
    z = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    said = torch.sin(z).to(torch.bfloat16)
    (move, *_) = moves(plan, z)
    for memory in Memory:
        found, _ = advance(move, z.clone(), [said], memory=memory)
        expected, _ = advance(move, z.clone(), [said.float()], memory=memory)
        assert found.dtype == torch.float32
        assert torch.equal(found, expected)


@pytest.mark.parametrize("memory", Memory)
@pytest.mark.parametrize(
    ("state", "gain", "offset"), [(0.0, 1.0, 0.0), (0.0, 0.3, 0.5), (1.0, 0.3, 1.0), (1.0, -0.2, 2.0), (-1.0, 1.0, 0.0)]
)
def test_each_form_of_a_term_is_its_formula_in_any_layout(
    state: float, gain: float, offset: float, memory: Memory
) -> None:
    """a = 1 + state alone or with c = offset, of a prediction that lies in memory as the state does or transposed."""
    stage = symsi.Stage(1, 0.0, [1.0], state=state, gains=[gain], offset=offset)
    plan = symsi.Plan([stage], grid=[0.0, 1.0], spans=())
    z = torch.randn(4, 3, generator=torch.Generator().manual_seed(1)).double()
    (move,) = moves(plan, z)
    for said in (torch.sin(z), torch.sin(z).T.contiguous().T):
        found, _ = advance(move, z.clone(), [said], memory=memory)
        torch.testing.assert_close(found, (1 + state) * z + gain * said + offset, rtol=1e-14, atol=1e-14)


def test_placed_numbers_are_kept_with_their_plan_and_go_with_it(three_modes: Mixture) -> None:
    data = torch.randn(50, 3, generator=torch.Generator().manual_seed(5))
    plan = symsi.plan(three_modes.model(), steps=3, reference=estimate(data, "pca"))
    z = torch.ones(2, 3)
    assert moves(plan, z) is moves(plan, z)
    assert moves(plan, z) is not moves(plan, z.double())
    held = len(_PLACED)
    del plan
    gc.collect()
    assert len(_PLACED) == held - 1


def test_coefficients_by_mode_have_the_dtype_of_the_states() -> None:
    by_mode = torch.tensor([0.5, 0.25, 0.125]) / 3
    stage = symsi.Stage(1, 0.0, [1.0], keep=by_mode, state=by_mode, gains=[by_mode], offset=by_mode, noise=by_mode)
    plan = symsi.Plan([stage], grid=[0.0, 1.0], spans=())
    for kind in (torch.float32, torch.float64):
        (move,) = moves(plan, torch.ones(2, 3, dtype=kind))
        (term,) = move.terms
        assert {v.dtype for v in (term.a, *term.b, term.c, move.noise)} == {kind}


def test_weights_by_mode_of_nothing_are_nothing_to_add() -> None:
    by_mode = torch.tensor([0.5, 0.25, 0.125])
    stages = [symsi.Stage(1, 0.0, [by_mode]), symsi.Stage(2, 0.5, [by_mode, by_mode], keep=by_mode)]
    plan = symsi.Plan(stages, grid=[0.0, 0.5, 1.0], spans=())
    first, second = moves(plan, torch.ones(2, 3))
    assert [(term.a, term.c) for term in first.terms if term] == [(1.0, 0.0), (0.0, 0.0)]
    (term,) = second.terms
    assert term is not None
    assert (term.a.tolist(), term.c) == (by_mode.tolist(), 0.0)  # type: ignore[union-attr]


def test_numbers_serve_states_of_any_dtype(three_modes: Mixture) -> None:
    plan = symsi.plan(three_modes.model(), steps=3)
    assert moves(plan, torch.ones(2, 3)) is moves(plan, torch.ones(2, 3).double())

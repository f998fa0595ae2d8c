"""Sums of states to come against the definition of a row: z <- keep z + sum_j weights[j] g_j, g = state z + P + c."""

from collections.abc import Callable

import pytest
import torch

import symsi
from symsi.calibration.reference import estimate
from symsi.models.analytic import Mixture
from symsi.sampling.moves import advance, moves
from symsi.solvers.plan import Plan
from symsi.solvers.table import SOLVERS

Predict = Callable[[torch.Tensor], torch.Tensor]


def defined(plan: Plan, predict: Predict, z: torch.Tensor) -> list[torch.Tensor]:
    """The state after each row, by the definition and without noise."""
    fields: list[torch.Tensor] = []
    found = []
    for row in plan.rows:
        fields.insert(0, row.state * z + row.prediction * predict(z) + row.offset)
        z = row.keep * z + sum(weight * g for weight, g in zip(row.weights, fields, strict=False))
        found.append(z)
    return found


@pytest.mark.parametrize("in_place", [True, False])
@pytest.mark.parametrize(
    ("solver", "modal"), [*((s, False) for s in SOLVERS), *((s, True) for s in ("euler", "ab2", "ab3", "exact-ab2"))]
)
def test_moves_do_what_rows_say(three_modes: Mixture, solver: str, modal: bool, in_place: bool) -> None:
    data = torch.randn(50, 3, generator=torch.Generator().manual_seed(5)).double() * torch.tensor([1.0, 2.0, 3.0]) + 1
    noisy = SOLVERS[solver].stochastic
    plan = symsi.plan(
        three_modes.model(),
        schedule="lazy(kappa=1)" if noisy else "trigonometric",
        solver=solver,
        diffusion="optimal" if noisy else "ode",
        reference=estimate(data, "pca") if modal else None,
        steps=6,
    )
    start = torch.randn(4, 3, generator=torch.Generator().manual_seed(6)).double()
    z, ahead = start.clone(), []
    for move, expected in zip(moves(plan, z), defined(plan, torch.sin, start), strict=True):
        kept, version = z, z._version
        z = advance(move.terms, z, torch.sin(z), ahead, in_place=in_place)
        torch.testing.assert_close(z, expected, rtol=1e-12, atol=1e-12)
        assert in_place or (kept._version == version and kept.data_ptr() != z.data_ptr())
    assert not any(held is not None for held in ahead)


def test_what_was_remembered_in_inference_mode_is_stepped_on_outside(three_modes: Mixture) -> None:
    plan = symsi.plan(three_modes.model(), schedule="trigonometric", solver="ab2", steps=2)
    (first, second), ahead = plan.terms, []
    z = torch.ones(2, 3)
    with torch.inference_mode():
        inside = advance(first, z, z, ahead, in_place=False)
    outside = advance(second, inside.clone().requires_grad_(), z, ahead, in_place=False)
    assert outside.requires_grad

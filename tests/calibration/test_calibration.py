"""References from a model's own samples, and the optimised grid."""

import pytest
import torch

import symsi
from symsi.models.analytic import Mixture, gaussian, mixture

MODES = mixture([0.5, 0.3, 0.2], [[1.5, 0.5], [-1.0, 0.2], [0.3, -1.4]], [0.02, 0.05, 0.1])
QUIET = {"dtype": torch.float64, "progress": False}


def error(law: Mixture, **options: object) -> float:
    """RMS difference to the flow of the same noise, on samples that calibration did not see."""
    found, truth = (
        symsi.sample(law.model(), shape=200, schedule="trigonometric", seed=9, **QUIET, **o).x
        for o in (options, {"solver": "heun", "steps": 200})
    )
    return float((found - truth).square().mean().sqrt())


@pytest.mark.parametrize("steps", [3, 5])
def test_the_optimised_grid_is_better_than_every_named_one_on_other_samples(steps: int) -> None:
    grid = symsi.optimal_grid(MODES.model(), steps, shape=64, converged=64, **QUIET)
    assert len(grid) == steps + 1
    ours = error(MODES, grid=grid)
    fixed = [error(MODES, grid=g, steps=steps) for g in ("uniform", "linear", "point-mass", "shifted", "log-snr")]
    assert ours < min(fixed)


def test_a_reference_from_samples_is_the_law_of_the_model() -> None:
    law = gaussian(torch.tensor([1.0, -1.0, 0.5]), torch.tensor([2.0, 0.5, 0.1]))
    reference = symsi.reference_of_model(law.model(), shape=4000, shrinkage=0.0, **QUIET)
    assert reference.variances.tolist() == pytest.approx([2.0, 0.5, 0.1], rel=0.12)
    assert reference.mean.tolist() == pytest.approx([1.0, -1.0, 0.5], abs=0.12)


def test_modes_bring_a_law_of_unequal_axes_closer_in_few_steps() -> None:
    """Heavy tails, and a tenth of the spread across that there is along."""
    law = mixture([0.5, 0.5], [[0.0, 0.0], [0.2, 0.0]], [[6.0, 0.06], [2.0, 0.02]])
    reference = symsi.reference_of_model(law.model(), shape=2000, **QUIET)
    for steps in (4, 8):
        assert error(law, steps=steps, solver="ab2", reference=reference) < error(law, steps=steps, solver="ab2")


def test_a_grid_for_a_diffusion_is_refused() -> None:
    with pytest.raises(symsi.SymsiError, match="defined for the ODE"):
        symsi.optimal_grid(MODES.model(), 3, shape=8, diffusion="optimal")
    with pytest.raises(symsi.SymsiError, match="unknown solver"):
        symsi.optimal_grid(MODES.model(), 3, shape=8, solver="ab9")

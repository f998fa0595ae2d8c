"""Sequential Monte Carlo samples the tilt: log Z, moments, and what fan-out, twist and tempering leave unbiased."""

import math
from typing import Any

import pytest
import torch

import symsi
from symsi.models.reference import isotropic
from tests.steering.problems import (
    LOG_NORMALIZER,
    MEAN,
    SLOPE,
    TILTED_MEAN,
    VARIANCE,
    forever,
    gaussian_model,
    linear,
    standard_error,
)

MODEL = gaussian_model()


def modal(steps: int) -> symsi.Plan:
    """Steps that are exact for N(0.4, 0.6)."""
    reference = isotropic(VARIANCE, MEAN)
    return symsi.plan(
        MODEL, diffusion="optimal", reference=reference, steps=steps, grid="angle", last="step", shape=(1,)
    )


def steered(seed: int, plan: symsi.Plan, particles: int = 10, **options: Any) -> symsi.Steered:
    budget = particles * plan.evaluations
    return symsi.steer(
        MODEL, linear, budget=budget, plan=plan, seed=seed, dtype=torch.float64, progress=False, **options
    )


@pytest.mark.parametrize(
    ("steps", "options"),
    [
        (1, {"children": 1}),
        (2, {"children": 1}),
        (5, {"children": 1}),
        (1, {"children": 4}),
        (2, {"children": 4}),
        (5, {"children": 4}),
        (2, {"children": 1, "ess": 1.0, "resample": "multinomial"}),
        (2, {"children": 4, "tempering": "linear"}),
        (2, {"children": 1, "potential": "max"}),
        (3, {"children": 3, "potential": "sum", "tempering": "linear", "resample": "ssp"}),
    ],
    ids=str,
)
def test_the_normaliser_is_unbiased(steps: int, options: dict[str, Any]) -> None:
    plan = modal(steps)
    found = [steered(seed, plan, **options).log_normalizer for seed in range(120)]
    ratio = (torch.tensor(found, dtype=torch.float64) - LOG_NORMALIZER).exp()
    assert abs(float(ratio.mean()) - 1) < 4 * standard_error(ratio)


def test_the_estimate_is_not_that_of_another_temperature() -> None:
    found = torch.tensor([steered(seed, modal(2), temperature=2.0).log_normalizer for seed in range(100)])
    assert abs(float(found.exp().mean().log()) - (SLOPE * MEAN / 2 + SLOPE**2 * VARIANCE / 8)) < 0.02


@pytest.mark.parametrize("children", [1, 5])
@pytest.mark.parametrize("steps", [1, 3])
def test_the_twist_of_a_linear_reward_leaves_weights_without_variance(children: int, steps: int) -> None:
    found = steered(3, modal(steps), particles=4, children=children, twist="gradient")
    assert found.log_normalizer == pytest.approx(LOG_NORMALIZER, abs=1e-6)
    assert float(found.log_weights.max() - found.log_weights.min()) < 1e-6


def test_weighted_samples_have_the_moments_of_the_tilt() -> None:
    found = steered(0, modal(6), particles=2000)
    mean = float((found.weights[:, None] * found.x).sum())
    variance = float((found.weights[:, None] * (found.x - mean) ** 2).sum())
    assert mean == pytest.approx(TILTED_MEAN, abs=0.06)
    assert variance == pytest.approx(VARIANCE, abs=0.08)
    assert len(found.x) == 2000 * 8


def test_fan_out_lowers_the_error_of_the_normaliser_at_equal_evaluations() -> None:
    plan = modal(5)

    def error(children: int) -> float:
        found = torch.tensor([steered(seed, plan, children=children).log_normalizer for seed in range(60)])
        return float((found - LOG_NORMALIZER).square().mean().sqrt())

    assert error(8) < 0.7 * error(1)


def test_errors_fall_as_the_root_of_the_number_of_particles() -> None:
    plan = modal(3)

    def error(particles: int) -> float:
        found = [steered(seed, plan, particles, children=1).log_normalizer for seed in range(100)]
        return float((torch.tensor(found) - LOG_NORMALIZER).square().mean().sqrt())

    sizes = [8, 32, 128]
    logs = torch.tensor([math.log(error(size)) for size in sizes])
    x = torch.tensor(sizes).log()
    slope = float(((x - x.mean()) * (logs - logs.mean())).sum() / (x - x.mean()).square().sum())
    assert slope == pytest.approx(-0.5, abs=0.12)


def test_without_a_preference_every_particle_goes_its_way_as_in_sample() -> None:
    plan = symsi.plan(MODEL, diffusion="optimal", steps=5)
    found = symsi.steer(MODEL, forever(), budget=40, plan=plan, children=1, seed=7, progress=False)
    drawn = symsi.sample(MODEL, shape=8, plan=plan, seed=7)
    assert torch.allclose(found.x, drawn.x, atol=1e-6)
    assert torch.equal(found.ancestry, torch.arange(8).repeat(4, 1))
    assert found.log_normalizer == 0
    assert found.ess == pytest.approx([8] * 6)


def test_what_is_foreseen_on_gaussian_data_is_what_the_model_then_says() -> None:
    plan, rated = modal(4), []

    def watched(x: torch.Tensor) -> torch.Tensor:
        rated.append(x[:, 0].clone())
        return linear(x)

    symsi.steer(MODEL, watched, budget=4 * 6, plan=plan, children=3, dtype=torch.float64, progress=False)
    evaluated, foreseen = [v for v in rated if len(v) == 6], [v for v in rated if len(v) == 18]
    for told, ahead in zip(evaluated[1:], foreseen[:-1], strict=True):
        assert all(float((ahead - one).abs().min()) < 1e-6 for one in told)


@pytest.mark.parametrize("children", [1, 4])
def test_costs_are_counted_and_the_budget_is_spent(children: int) -> None:
    plan = symsi.plan(MODEL, diffusion="optimal", steps=5)  # which lands
    found = symsi.steer(MODEL, linear, budget=60, plan=plan, children=children, progress=False)
    inner = 4 * 12 * children if children > 1 else 0
    assert (found.nfe, found.reward_calls) == (60, 5 * 12 + inner + 12)
    fewer = symsi.steer(MODEL, linear, budget=symsi.Budget(60, 50), plan=plan, children=children, progress=False)
    assert fewer.reward_calls <= 50
    assert len(fewer.x) == 50 // (6 + (16 if children > 1 else 0))


def test_ancestors_lead_from_samples_to_the_start() -> None:
    found = steered(1, modal(4), particles=6, children=3)
    assert found.ancestry.shape == (3, 6)
    assert found.parents.tolist() == [p for p in range(6) for _ in range(3)]
    assert int(found.ancestry.max()) < 6

"""Potentials add up to the tilt, and the tempering by ESS keeps the ESS."""

import pytest
import torch
from sympy import Float

from symsi.steering.potential import POTENTIALS, Past, accumulate, gamma_at
from symsi.steering.resampling import effective
from symsi.theory.tilting import increments

REWARDS = torch.tensor([[1.0, -2.0], [3.0, -1.0], [2.0, -4.0]], dtype=torch.float64)


@pytest.mark.parametrize(
    ("potential", "totals"),
    [
        ("difference", [[1, -2], [3, -1], [2, -4]]),
        ("max", [[1, -2], [4, -3], [7, -4]]),
        ("sum", [[1, -2], [5, -5], [11, -12]]),
    ],
)
def test_a_potential_accumulates_as_its_formula(potential: str, totals: list[list[float]]) -> None:
    past = Past.new(2, potential)
    for rewards, total in zip(REWARDS, totals, strict=True):
        past = accumulate(potential, past, rewards)
        assert past.total.tolist() == total
    assert set(POTENTIALS) == {"difference", "max", "sum"}


def test_the_past_of_resampled_particles_is_that_of_their_parents() -> None:
    past = accumulate("sum", Past.new(2, "sum"), REWARDS[0])[torch.tensor([1, 1, 0])]
    assert past.total.tolist() == past.running.tolist() == [-2, -2, 1]


def test_tempering() -> None:
    total = torch.tensor([0.0, 1.0, 5.0, 9.0], dtype=torch.float64)
    zeros = torch.zeros_like(total)
    assert gamma_at("fixed", 0, 4, 0.0, zeros, total, 0.5) == 1
    assert gamma_at("linear", 1, 4, 0.0, zeros, total, 0.5) == 0.5
    found = gamma_at("ess", 3, 4, 0.0, zeros, total, 0.5)
    assert 0 < found < 1
    assert effective(found * total) == pytest.approx(2, abs=1e-9)
    assert gamma_at("ess", 3, 4, 0.0, zeros, total / 100, 0.5) == 1
    assert gamma_at("ess", 0, 4, 0.0, zeros, total / 100, 0.5) == 0.25  # no more than "linear"
    assert gamma_at("ess", 3, 4, 0.9, zeros, total, 0.5) == pytest.approx(0.9)  # never less than before


@pytest.mark.parametrize("potential", POTENTIALS)
def test_what_accumulates_is_what_is_proved(potential: str) -> None:
    """T25's increments, whose sums are U_k, and at last r(x_1)/lambda."""
    rewards, temperature = [1.5, -2.0, 3.0, 0.25], 0.5
    past, reached = Past.new(1, potential), 0.0
    for k, step in enumerate(increments(potential, [Float(r) for r in rewards], Float(temperature))):
        past = accumulate(potential, past, torch.tensor([rewards[k] / temperature], dtype=torch.float64))
        reached += float(step)
        assert reached == pytest.approx(float(past.total) if k + 1 < len(rewards) else rewards[k] / temperature)

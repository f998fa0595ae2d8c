"""Resampling keeps expectations, and ESS is what it is named for."""

import pytest
import torch

from symsi.steering.resampling import SCHEMES, effective, log_mean, resample, uniforms

LOG_WEIGHTS = torch.tensor([0.3, -1.0, 2.0, -torch.inf, 0.0, 1.1], dtype=torch.float64)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_offspring_numbers_have_the_expectation_of_the_weights(scheme: str) -> None:
    count, runs = 7, 4000
    totals = torch.zeros(6)
    for seed in range(runs):
        found = resample(scheme, LOG_WEIGHTS, count, seed, 3)
        assert len(found) == count
        totals += torch.bincount(found, minlength=6)
    expected = count * torch.softmax(LOG_WEIGHTS, 0)
    assert torch.allclose(totals.double() / runs, expected, atol=5 * (count / 4 / runs) ** 0.5)
    assert totals[3] == 0


@pytest.mark.parametrize("scheme", ["systematic", "ssp"])
def test_offspring_numbers_are_the_expectation_rounded_up_or_down(scheme: str) -> None:
    expected = 7 * torch.softmax(LOG_WEIGHTS, 0)
    for seed in range(200):
        found = torch.bincount(resample(scheme, LOG_WEIGHTS, 7, seed, 0), minlength=6)
        assert bool(((found >= expected.floor()) & (found <= expected.ceil())).all())


@pytest.mark.parametrize("scheme", SCHEMES)
def test_equal_weights_of_all_schemes_but_multinomial_keep_everyone(scheme: str) -> None:
    found = resample(scheme, torch.zeros(9, dtype=torch.float64), 9, 5, 1).tolist()
    assert (found == list(range(9))) == (scheme != "multinomial")


def test_an_ancestor_depends_on_seed_and_level_alone() -> None:
    assert torch.equal(uniforms(3, 2, 4), uniforms(3, 2, 9)[:4])
    assert not torch.equal(uniforms(3, 2, 4), uniforms(3, 1, 4))
    assert not torch.equal(uniforms(3, 2, 4), uniforms(4, 2, 4))


def test_the_effective_size_of_equal_weights_is_their_number_and_of_one_alone_is_one() -> None:
    assert effective(torch.full((8,), 900.0, dtype=torch.float64)) == pytest.approx(8)
    assert effective(torch.tensor([0.0, -1e4]).double()) == pytest.approx(1)
    assert effective(torch.tensor([2.0, 1.0]).log()) == pytest.approx(9 / 5)


def test_the_mean_of_weights_is_taken_in_logarithms() -> None:
    assert log_mean(torch.tensor([2000.0, 2000.0 + torch.tensor(3.0).log()])) == pytest.approx(
        2000 + torch.tensor(2.0).log()
    )

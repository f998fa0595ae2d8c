"""The noise of a run: the same numbers wherever and whenever they are drawn."""

import pytest
import torch

import symsi
from symsi.sampling import drawing
from symsi.sampling.drawing import Noise
from symsi.sampling.noise import standard_normal

SAMPLES, SHAPE, CPU = range(3, 6), (2, 5), torch.device("cpu")


@pytest.fixture(scope="module")
def plan() -> symsi.Plan:
    return symsi.plan("linear", schedule="lazy(kappa=1)", diffusion="optimal", steps=6)


@pytest.mark.parametrize("little", [0, 150])
@pytest.mark.parametrize("at_once", [1, 60, 1000])  # a step, two, all
@pytest.mark.parametrize("from_noise", [True, False])
def test_each_step_has_the_noise_of_its_number(
    monkeypatch: pytest.MonkeyPatch, plan: symsi.Plan, little: int, at_once: int, from_noise: bool
) -> None:
    monkeypatch.setattr(drawing, "_LITTLE", little)
    monkeypatch.setattr(drawing, "_AT_ONCE", at_once)
    noise = Noise(plan, 7, SAMPLES, SHAPE, CPU, torch.float64)

    def right(step: int) -> torch.Tensor:
        return standard_normal(7, SAMPLES, step, SHAPE, dtype=torch.float64)

    if from_noise:
        z = noise.start()
        assert torch.equal(z, right(0))
        assert z.untyped_storage().nbytes() == 8 * z.numel()
        z.zero_()
    for step in range(1, 6):
        noise.begin()
        assert (noise.pool is None) == (little > 0)
        assert torch.equal(noise.take(), right(step))
    noise.close()


def test_as_many_steps_are_drawn_in_one_go_as_fit(monkeypatch: pytest.MonkeyPatch, plan: symsi.Plan) -> None:
    monkeypatch.setattr(drawing, "_LITTLE", 149)  # 5 steps of 30 numbers are one too many
    monkeypatch.setattr(drawing, "_AT_ONCE", 89)
    noise = Noise(plan, 7, SAMPLES, SHAPE, CPU, torch.float32)
    waiting = []
    for _ in range(5):
        noise.begin()
        waiting.append(len(noise.coming))
        noise.take()
    noise.close()
    assert waiting == [2, 1, 2, 1, 1]


def test_noise_that_is_given_is_taken_and_the_start_is_drawn(plan: symsi.Plan) -> None:
    given = torch.randn(6, 3, *SHAPE, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    noise = Noise(plan, 7, SAMPLES, SHAPE, CPU, torch.float32, given)
    assert torch.equal(noise.start(), standard_normal(7, SAMPLES, 0, SHAPE))
    for row in given[:5]:
        noise.begin()
        assert torch.equal(noise.take(), row.float())
    assert noise.pool is None

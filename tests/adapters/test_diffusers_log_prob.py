"""The density of a stochastic step: that of the Gaussian it draws from."""

from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

import symsi
from symsi.calibration.reference import estimate
from symsi.models.reference import save

pytest.importorskip("diffusers")

from symsi.diffusers import LazyFlowMatchScheduler

WAYS = [
    {"diffusion": "optimal"},
    {"diffusion": "kappa=0.3", "solver": "exact"},
    {"schedule": "lazy(kappa=1)", "diffusion": "optimal", "solver": "euler-maruyama"},
    {"schedule": "linear", "diffusion": "alpha"},
    {"diffusion": "optimal", "reference": 0.5},
]


def ready(**config: object) -> LazyFlowMatchScheduler:
    scheduler = LazyFlowMatchScheduler(last="step", **config)
    scheduler.set_timesteps(5)
    return scheduler


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def constant(value: float, generator: object, like: Tensor, step: int, dtype: torch.dtype) -> Tensor:
    return torch.full_like(like, value, dtype=dtype)


def mean_and_deviation(scheduler: LazyFlowMatchScheduler, k: int, v: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """From the step itself: the mean of two opposite noises, and half their difference for noise 1."""
    ends = []
    for sign in (1.0, -1.0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(scheduler._driver, "_noise", partial(constant, sign))
            scheduler.set_timesteps(5)
            scheduler.set_begin_index(k)
            ends.append(scheduler.step(v, scheduler.timesteps[k], x).prev_sample)
    return (ends[0] + ends[1]) / 2, (ends[0] - ends[1]) / 2


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("k", [0, 2, 4])
def test_it_is_torchs_density_of_the_step(way: dict, k: int) -> None:
    scheduler = ready(**way)
    x, v, after = (normal(3, 2, 4, seed=seed) for seed in range(3))
    mean, deviation = mean_and_deviation(scheduler, k, v, x)
    expected = torch.distributions.Normal(mean, deviation).log_prob(after).sum((1, 2))
    found = scheduler.log_prob(v, scheduler.timesteps[k], x, after)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_it_integrates_to_one() -> None:
    scheduler = ready(diffusion="optimal")
    grid = torch.linspace(-12, 12, 4001, dtype=torch.float64)[:, None]
    x, v = torch.full_like(grid, 0.7), torch.full_like(grid, -0.4)
    density = scheduler.log_prob(v, scheduler.timesteps[1], x, grid).exp()
    assert float(torch.trapezoid(density, grid[:, 0])) == pytest.approx(1, abs=1e-10)


def test_samples_at_different_steps_are_served_together() -> None:
    scheduler = ready(diffusion="optimal")
    x, v, after = (normal(3, 4, seed=seed) for seed in range(3))
    at = [3, 0, 2]
    together = scheduler.log_prob(v, scheduler.timesteps[at], x, after)
    for i, k in enumerate(at):
        alone = scheduler.log_prob(v[i : i + 1], float(scheduler.timesteps[k]), x[i : i + 1], after[i : i + 1])
        torch.testing.assert_close(together[i], alone[0])


def test_gradients_reach_the_network() -> None:
    scheduler = ready(diffusion="optimal")
    x, v, after = (normal(2, 3, seed=seed) for seed in range(3))
    v.requires_grad_()
    assert torch.autograd.gradcheck(lambda v: scheduler.log_prob(v, scheduler.timesteps[2], x, after), (v,))


@pytest.mark.parametrize("rank", [None, 3])
def test_in_the_modes_of_a_reference_it_is_the_density_of_x(rank: int | None, tmp_path: Path) -> None:
    """An orthogonal basis changes no volume; a low-rank one leaves the rest of x its share."""
    data = normal(200, 6) @ normal(6, 6, seed=1) + 1
    path = tmp_path / "reference.safetensors"
    save(estimate(data, "pca", rank=rank), path)
    scheduler = ready(diffusion="optimal", reference=str(path))
    x, v, after = (normal(2, 6, seed=seed) for seed in range(2, 5))
    k = 2

    def end(noise: Tensor) -> Tensor:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(scheduler._driver, "_noise", lambda generator, like, step, dtype: noise)
            scheduler.set_timesteps(5)
            scheduler.set_begin_index(k)
            return scheduler.step(v, scheduler.timesteps[k], x).prev_sample

    mean = end(torch.zeros_like(x))
    root = torch.stack([(end(torch.eye(6, dtype=torch.float64)[[i, i]]) - mean)[0] for i in range(6)])
    law = torch.distributions.MultivariateNormal(mean, covariance_matrix=root.T @ root)
    found = scheduler.log_prob(v, scheduler.timesteps[k], x, after)
    torch.testing.assert_close(found, law.log_prob(after), rtol=1e-8, atol=1e-8)


def test_drawn_steps_have_the_mean_log_density_of_their_entropy() -> None:
    scheduler = ready(diffusion="optimal")
    count, size = 4000, 4
    x, v, t = normal(count, size), normal(count, size, seed=1), scheduler.timesteps[1]
    scheduler.set_begin_index(1)
    found = scheduler.log_prob(v, t, x, scheduler.step(v, t, x).prev_sample)
    _, deviation = mean_and_deviation(scheduler, 1, v[:1], x[:1])
    entropy = torch.distributions.Normal(0.0, deviation[0]).entropy().sum()
    assert float(found.mean()) == pytest.approx(-float(entropy), abs=5 * (size / 2 / count) ** 0.5)


def test_nothing_waits_for_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """With timesteps on a device the step is found there; `meta` stands for one that has no numbers to give."""
    scheduler = ready(diffusion="optimal")
    x = torch.empty(2, 3, device="meta")
    scheduler.timesteps = scheduler.timesteps.to("meta")
    assert scheduler.log_prob(x, scheduler.timesteps[:2], x, x).shape == (2,)


def by_hand(weight: Tensor, keep: Tensor) -> LazyFlowMatchScheduler:
    first = symsi.Stage(1, 0.0, [weight], keep=1.0, noise=0.5)
    plan = symsi.Plan([first, symsi.Stage(2, 0.5, [1.0], keep=keep, noise=0.25)], [0.0, 0.5, 1.0], spans=())
    scheduler = LazyFlowMatchScheduler(plan=plan)
    scheduler.set_timesteps(2)
    return scheduler


def test_a_plan_s_numbers_may_be_of_other_dimensions_from_row_to_row() -> None:
    weight, keep = normal(3, 1, 1), normal(2)
    scheduler = by_hand(weight, keep)
    x, p, after = (normal(2, 3, 2, 2, seed=seed) for seed in range(3))
    for k, (mean, noise) in enumerate([(x + weight * p, 0.5), (keep * x + p, 0.25)]):
        expected = torch.distributions.Normal(mean, noise).log_prob(after).flatten(1).sum(1)
        found = scheduler.log_prob(-p, scheduler.timesteps[k], x, after)  # networks of flows predict noise - data
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("form", [(4, 2, 2), (3,), (2, 2), (3, 2, 5)])
def test_a_plan_of_other_modes_has_no_density_and_says_so(form: tuple[int, ...]) -> None:
    scheduler, x = by_hand(normal(3, 1, 1), normal(2)), torch.zeros(2, *form)
    with pytest.raises(symsi.PlanError, match="does not broadcast to the modes"):
        scheduler.log_prob(x, scheduler.timesteps[0], x, x)


def test_a_plan_with_a_reference_has_no_density_for_samples_of_another_shape() -> None:
    law = symsi.Reference("channel", torch.tensor([0.5, 1.0, 2.0]).reshape(3, 1, 1), torch.tensor(0.1))
    plan = symsi.plan("linear", diffusion="optimal", steps=2, reference=law, shape=(3, 2, 2))
    scheduler, x = LazyFlowMatchScheduler(plan=plan), torch.zeros(2, 4, 2, 2)
    scheduler.set_timesteps(2)
    with pytest.raises(symsi.SymsiError, match="made for samples of another shape"):
        scheduler.log_prob(x, scheduler.timesteps[0], x, x)

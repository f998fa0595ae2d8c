"""The counters of each method, against rewards that are scripted and laws that are known."""

import math
from typing import Any

import pytest
import torch

import symsi
from symsi.models import gaussian
from symsi.models.reference import isotropic
from symsi.sampling.noise import standard_normal
from tests.steering.problems import LOG_NORMALIZER, Scripted, forever, gaussian_model, linear

MODEL = gaussian_model()
NEAR = [0.0, 0.4, 0.75, 1.0]
NORMAL = gaussian(torch.zeros(1), torch.ones(1, 1)).model(prediction="data")


def steered(reward: Any, method: str, budget: Any, steps: int, seed: int = 0, **options: Any) -> symsi.Steered:
    options = {"steps": steps, "seed": seed, "dtype": torch.float64, "progress": False, **options}
    return symsi.steer(MODEL, reward, method, budget=budget, **options)


def path_of(draws: list[int], steps: int, grid: Any = "uniform", seed: int = 0) -> torch.Tensor:
    """The sample that starts from the noise of draws[0] and has that of draws[k] after stage k - 1, step by step."""
    plan = symsi.plan(MODEL, diffusion="optimal", steps=steps, grid=grid)
    state = symsi.init(plan, standard_normal(seed, draws[:1], 0, (1,), dtype=torch.float64))
    for k, stage in enumerate(plan.stages):
        noise = standard_normal(seed, [draws[k + 1]], k + 1, (1,), dtype=torch.float64) if stage.noisy else None
        state = symsi.step(plan, state, MODEL(*symsi.model_input(plan, state)), noise)
    return symsi.observe(plan, state)


def test_rbf_accepts_advances_rolls_over_and_spends_the_rest_at_last() -> None:
    start = [1.0, 5.0]  # M = 2 noises, the second is better; r* = 5, Q = (18 - 2) // 4 = 4
    first = [5.0]  # a tie is accepted after 1 of 4: quota 3 + 4 = 7
    second = [0.0, 1.0, 4.0, 2.0, 3.0, 0.0, 1.0]  # 7 below r*: the third goes on, quota 4, r* stays
    third = [2.0, 1.0, 2.0, 9.0, 3.0, 1.0, 0.0, 8.0]  # the last level spends what is left, 18 - 10, past r*
    reward = Scripted([*start, *first, *second, *third, 6.0])
    found = steered(reward, "rbf", 18, 4, particles=1, children=2)
    assert [entry.nfe for entry in found.entries] == [2, 3, 10, 18, 18]
    assert [entry.best for entry in found.entries] == [5, 5, 4, 9, 6]
    assert (found.nfe, found.reward_calls, found.rewards.tolist()) == (18, 19, [6.0])
    assert torch.allclose(found.x, path_of([1, 0, 2, 3], 4), atol=1e-9)
    assert (found.peak_reward, found.peak_time) == (9.0, pytest.approx(0.75))


def test_rbf_carries_a_chain_to_its_own_best_of_the_level() -> None:
    start = [3.0, 1.0]  # two chains of one noise; r* = 3, Q = (12 - 2) // 6 = 1
    first = [0.0, 2.0]
    second = [5.0, 1.0, 4.0, 7.0, 0.0, 0.0, 0.0, 8.0]
    found = steered(Scripted([*start, *first, *second, 1.0, 2.0]), "rbf", 12, 3, particles=2, children=1, grid=NEAR)
    assert found.nfe == 12
    assert torch.allclose(found.x[:1], path_of([0, 0, 0], 3, NEAR), atol=1e-9)
    assert torch.allclose(found.x[1:], path_of([1, 1, 7], 3, NEAR), atol=1e-9)


@pytest.mark.parametrize("budget", [4, 5, 6, 7, 9])
def test_rbf_with_less_than_a_draw_a_level_by_its_quota_still_ends_within_the_budget(budget: int) -> None:
    found = steered(linear, "rbf", budget, 4, particles=1)
    assert found.nfe == budget
    assert len(found.x) == 1


def test_rbf_on_exact_martingales_draws_geometrically_often() -> None:
    """With M = 1 a child's posterior mean is above its parent's with chance 1/2, until the quota of 6 ends it."""
    options = {"particles": 1, "children": 1, "reference": isotropic(0.6, 0.4), "grid": NEAR}
    runs, counts = 160, torch.zeros(7)
    for seed in range(runs):
        found = steered(linear, "rbf", 19, 3, seed, **options)
        counts[found.entries[1].nfe - found.entries[0].nfe] += 1
    expected = runs * torch.tensor([0.5**k for k in range(1, 6)] + [0.5**5])
    assert float(((counts[1:] - expected).square() / expected).sum()) < 20.5  # 0.1 % of chi squared of 5


@pytest.mark.parametrize(("method", "block"), [("svdd", 1), ("code", 2)])
def test_the_best_of_k_goes_on_at_each_end_of_a_block(method: str, block: int) -> None:
    steps, children = 4, 3
    found = steered(linear, method, 2 * children * steps, steps, particles=2)
    plan = symsi.plan(MODEL, diffusion="optimal", steps=steps)
    state = symsi.init(plan, standard_normal(0, range(6), 0, (1,), dtype=torch.float64))
    for k, stage in enumerate(plan.stages):
        x, t = symsi.model_input(plan, state)
        data = MODEL(x, t)
        if (k + 1) % block == 0:
            best = [c * children + int(data[c * children : (c + 1) * children, 0].argmax()) for c in range(2)]
            rows = [b for b in best for _ in range(children)]
            state, data = state[rows], data[rows]
        noise = standard_normal(0, range(6), k + 1, (1,), dtype=torch.float64) if stage.noisy else None
        state = symsi.step(plan, state, data, noise)
    assert torch.allclose(found.x, symsi.observe(plan, state)[::children], atol=1e-9)
    assert found.nfe == 24


def test_the_best_of_n_normals_has_the_law_phi_to_the_n() -> None:
    count, runs, found = 5, 300, []
    for seed in range(runs):
        result = symsi.steer(
            NORMAL, lambda x: x[:, 0], "bon", budget=2 * count, steps=2, schedule="lazy", seed=seed, progress=False
        )
        assert len(result.x) == count
        found.append(float(result.best))
    chances = (0.5 * (1 + torch.erf(torch.tensor(found) / math.sqrt(2)))) ** count
    gaps = chances.sort().values - (torch.arange(runs) + 0.5) / runs
    assert float(gaps.abs().max()) < 1.95 / math.sqrt(runs)  # 0.1 % of Kolmogorov


def test_search_over_paths_keeps_the_law_where_nothing_is_preferred() -> None:
    found = []
    for seed in range(20):
        result = symsi.steer(NORMAL, forever(), "sop", budget=500, particles=15, children=2, seed=seed, progress=False)
        assert result.nfe <= 500
        found.append(result.x)
    x = torch.cat(found)
    assert float(x.mean()) == pytest.approx(0, abs=4 / math.sqrt(len(x)))
    assert float(x.var()) == pytest.approx(1, abs=4 * math.sqrt(2 / len(x)) + 0.03)


def test_search_over_paths_climbs_and_counts() -> None:
    found = steered(linear, "sop", 500, 10)
    assert found.nfe == 498  # 2 chains: 9 steps near the data, then 6 turns of 8 steps on 5 copies each
    assert [entry.nfe for entry in found.entries] == [18 + 80 * turn for turn in range(1, 7)]
    assert float(found.rewards.mean()) > float(steered(forever(), "bon", 500, 10).x.mean()) * 1.3


def test_a_tree_spends_its_budget_to_the_last_and_comes_to_the_normaliser() -> None:
    options = {"reference": isotropic(0.6, 0.4), "last": "step"}

    def error(budget: int) -> float:
        total = 0.0
        for seed in range(8):
            found = steered(linear, "dts", budget, 3, seed, **options)
            assert found.nfe == budget
            assert float(found.log_weights.logsumexp(0)) == pytest.approx(0, abs=1e-9)
            total += abs(float(found.log_normalizer or 0) - LOG_NORMALIZER) / 8
        return total

    assert error(200) < 0.6 * error(12)


@pytest.mark.parametrize(
    ("method", "spent"), [("smc", 480), ("rbf", 480), ("svdd", 480), ("code", 480), ("bon", 480), ("dts", 480)]
)
def test_every_method_spends_what_it_is_given(method: str, spent: int) -> None:
    calls = 0

    def counted(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += len(x)
        return MODEL(x, t)

    model = symsi.Model(counted, prediction="data", shape=(1,))
    found = symsi.steer(model, linear, method, budget=spent, steps=8, progress=False)
    assert found.nfe == calls == spent


def test_a_guided_row_is_two_evaluations() -> None:
    calls = 0

    def counted(x: torch.Tensor, t: torch.Tensor, on: bool = True) -> torch.Tensor:
        nonlocal calls
        calls += len(x)
        return MODEL(x, t) + float(on)

    model = symsi.Model(counted, prediction="data", shape=(1,), unconditional={"on": False})
    found = symsi.steer(model, linear, budget=80, steps=4, guidance=2.0, progress=False)
    assert found.nfe == calls == 80
    assert len(found.x) == 10


@pytest.mark.parametrize("method", ["smc", "rbf", "svdd", "code", "bon", "dts"])
def test_a_budget_of_rewards_is_kept_too(method: str) -> None:
    found = steered(linear, method, symsi.Budget(400, 60), 5)
    assert found.reward_calls <= 60
    assert found.nfe <= 400

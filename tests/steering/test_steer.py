"""What steer refuses, how a run is kept and goes on, and that batches change nothing."""

import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import symsi
from symsi.models import mixture
from symsi.models.rewards import reward
from tests.steering.problems import gaussian_model, linear

MODEL = gaussian_model()
NEAR = [0.0, 0.3, 0.6, 0.8, 1.0]
MODES = mixture(
    torch.tensor([0.5, 0.3, 0.2]), torch.tensor([[-1.0, 0.0], [1.0, 1.0], [0.5, -1.0]]), torch.full((3,), 0.1)
).model(prediction="data")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"method": "smd"}, "smc"),
        ({"reward": 3}, "callable"),
        ({"budget": 0}, "at least 1"),
        ({"budget": 5}, "the budget is"),
        ({"budget": 9, "method": "rbf"}, "the budget is"),
        ({"budget": 19, "method": "svdd"}, "the budget is"),
        ({"budget": 9, "method": "bon"}, "the budget is"),
        ({"budget": 30, "method": "sop"}, "a turn of 5 copies"),
        ({"budget": 9, "method": "dts"}, "one way down"),
        ({"children": 0}, "children must be an integer of at least 1"),
        ({"particles": 0}, "particles must be"),
        ({"particles": 51}, "which carries 50"),
        ({"temperature": 0}, "positive"),
        ({"temperature": -1.0}, "positive"),
        ({"temperature": float("nan")}, "positive"),
        ({"ess": 2}, "from 0"),
        ({"potential": "product"}, "Known: difference"),
        ({"tempering": "slow"}, "Known: ess"),
        ({"resample": "systemic"}, "systematic"),
        ({"twist": "yes"}, "gradient"),
        ({"diffusion": "ode"}, "copies stay alike"),
        ({"diffusion": "ode", "method": "rbf"}, "copies stay alike"),
        ({"diffusion": "optimal", "method": "sop"}, "makes the ODE of its paths itself"),
        ({"schedule": "cosine", "method": "sop"}, "makes the ODE of its paths itself"),
        ({"solver": "heun", "method": "sop"}, "'euler' or 'ab2'"),
        ({"method": "rbf", "last": "step"}, "last='land'"),
        ({"method": "bon", "children": 4}, "does not use children; leave it out. It is of smc, rbf"),
        ({"method": "svdd", "twist": "gradient"}, "does not use twist; leave it out. It is of smc"),
        ({"grid": [0.0, 0.5, 0.9], "last": "step"}, "ends in noise, at model time 0.9"),
        ({"preset": "kim2025-vp-sde", "steps": 0}, "steps must be an integer of at least 1"),
        ({"shape": 1}, "shape is that of one sample"),
        ({"temperature": 1e-320}, "over the temperature"),
        ({"temperature": 1e-320, "method": "dts"}, "over the temperature"),
        ({"decode": lambda x: 1 // 0}, "decode failed at level 0"),
        ({"reward": lambda x: torch.complex(x[:, 0], x[:, 0])}, "complex"),
        ({"reward": lambda x: torch.ones((), requires_grad=True).expand(len(x)), "twist": "gradient"}, "not depend"),
        ({"reward": lambda x: (x[:, 0] * 0).sqrt(), "twist": "gradient"}, "nan or infinite"),
        ({"method": "dts", "solver": "exact-ab2"}, "multistep"),
        ({"preset": "kim2025"}, "kim2025-vp-sde"),
        ({"preset": "kim2025-vp-sde", "diffusion": "ode"}, "leave diffusion out"),
        ({"preset": "kim2025-linear-ode"}, "copies stay alike"),
        ({"reward": lambda x: 1.0}, "a float at level 0 of 10, particles 0 to 49"),
        ({"reward": lambda x: x}, r"shape \(50, 1\) at level 0"),
        (
            {"reward": lambda x: torch.full((len(x),), torch.nan), "reward_batch": 20},
            "nan at level 0 of 10, particle 0",
        ),
        ({"decode": lambda x: x[:2]}, "decode made 2 of 50"),
        ({"reward": lambda x: x.detach()[:, 0], "twist": "gradient"}, "differentiate"),
        ({"conditions": {"label": 3}}, "knows no condition label"),
        ({"batch": 0}, "batch must be"),
        ({"reward_batch": 0}, "reward_batch must be"),
        ({"seed": -1}, "seed"),
        ({"guidance": 2.0}, "unconditional"),
        ({"preset": "kim2025-vp-sde", "plan": symsi.plan("linear", diffusion="optimal", steps=10)}, "leave one out"),
        ({"plan": symsi.plan("linear", diffusion="optimal", steps=10)}, "another prediction"),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, dict) else value[:20],
)
def test_what_does_not_fit_is_refused_with_what_would(options: dict[str, Any], said: str) -> None:
    given = {"reward": linear, "progress": False, **options}
    with pytest.raises(symsi.SymsiError, match=said):
        symsi.steer(MODEL, **given)


def test_a_nan_is_named_by_level_and_particle() -> None:
    batches = 0

    def reward(x: Tensor) -> Tensor:
        nonlocal batches
        batches += 1
        found = linear(x)
        found[2] = torch.nan if batches == 11 else 0.0  # three batches a level
        return found

    with pytest.raises(symsi.SymsiError, match="nan at level 3 of 10, particle 12"):
        symsi.steer(MODEL, reward, budget=300, reward_batch=10, children=1, progress=False)


def test_landing_in_noise_warns_with_the_noise_level() -> None:
    with pytest.warns(UserWarning, match=r"noise level 0\.7"):
        symsi.steer(MODEL, linear, preset="kim2025-vp-sde", budget=50, progress=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        symsi.steer(MODEL, linear, preset="kim2025-linear-sde", budget=50, progress=False)


def test_the_presets_are_those_of_the_paper() -> None:
    found = symsi.steer(MODEL, linear, preset="kim2025-linear-sde", budget=50, progress=False).plan
    assert found.grid == pytest.approx([k / 10 for k in range(11)])
    spread = [(2 * 4.5 * (1 - t) ** 4 * 0.1) ** 0.5 for t in found.grid[:-2]]  # g = 3 sigma^2
    assert [float(stage.noise) for stage in found.stages[:-1]] == pytest.approx(spread)
    assert not found.stages[-1].noisy
    with pytest.warns(UserWarning, match="lands"):
        found = symsi.steer(MODEL, linear, preset="kim2025-vp-sde", budget=50, progress=False).plan
    linear_noise = [1 - t for t in found.times]  # the model's own time is that of the linear schedule
    assert [linear_noise[1], linear_noise[8], linear_noise[9]] == pytest.approx([0.9935, 0.859, 0.709], abs=1e-3)


def test_a_reward_gets_what_it_asks_for_by_name() -> None:
    times = []

    def reward(x: Tensor, conditions: dict[str, Any], t: float) -> Tensor:
        assert conditions == {"scale": 2.0}
        times.append(t)
        return linear(x)

    model = symsi.Model(lambda x, t, scale: MODEL(x, t), prediction="data", shape=(1,))
    symsi.steer(model, reward, budget=40, steps=4, children=1, conditions={"scale": 2.0}, progress=False)
    assert times == [0, 0.25, 0.5, 0.75, 1]


def test_a_condition_of_one_row_serves_every_particle() -> None:
    seen = []

    def function(x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        seen.append(label.shape)
        return MODEL(x, t)

    model = symsi.Model(function, prediction="data", shape=(1,))
    given = {"label": torch.tensor([[3.0, 4.0]])}
    symsi.steer(model, linear, budget=28, steps=4, batch=5, conditions=given, progress=False)
    assert set(seen) == {(5, 2), (2, 2)}


@pytest.mark.parametrize("method", ["smc", "rbf", "svdd", "code", "bon", "sop", "dts"])
def test_the_same_samples_come_in_batches_of_any_size(method: str) -> None:
    def steered(size: int | None) -> symsi.Steered:
        return symsi.steer(
            MODES, lambda x: x[:, 0], method, budget=320, steps=5, batch=size, reward_batch=size, progress=False
        )

    whole = steered(None)
    for size in (1, 7, 64):
        found = steered(size)
        assert torch.equal(found.x, whole.x)
        assert torch.equal(found.log_weights, whole.log_weights)
        assert torch.equal(found.rewards, whole.rewards)
        assert (found.nfe, found.reward_calls) == (whole.nfe, whole.reward_calls)


@pytest.mark.parametrize("guidance", [1.0, 1.7])
def test_the_same_samples_of_a_network_come_in_batches_of_any_size(guidance: float) -> None:
    model, label = symsi.models.load("digits28"), {"label": torch.tensor([7])}

    def steered(size: int) -> symsi.Steered:
        return symsi.steer(
            *(model, reward("class=7"), "smc"),
            budget=30,
            steps=3,
            last="step",
            children=3,
            guidance=guidance,
            conditions=label,
            batch=size,
            reward_batch=size,
            progress=False,
        )

    whole = steered(64)
    assert len(whole.x) == (30 if guidance == 1 else 15)
    for size in (1, 7):
        found = steered(size)
        assert torch.equal(found.x, whole.x)
        assert torch.equal(found.log_weights, whole.log_weights)
        assert torch.equal(found.rewards, whole.rewards)


@pytest.mark.parametrize(
    ("method", "options"),
    [("smc", {}), ("smc", {"children": 1}), ("smc", {"children": 1, "solver": "exact-ab2"})]
    + [(method, {}) for method in ("rbf", "svdd", "code", "bon", "sop", "dts")],
    ids=str,
)
def test_a_run_whose_reward_raises_goes_on_to_the_same_bits(
    method: str, options: dict[str, Any], tmp_path: Path
) -> None:
    class Failing:
        """Fails once, at its call of this number."""

        def __init__(self, at: int) -> None:
            self.at, self.calls = at, 0

        def __call__(self, x: Tensor) -> Tensor:
            self.calls += 1
            if self.calls == self.at:
                raise RuntimeError("the scorer is away")
            return x[:, 0] - x[:, 1]

    def steered(reward: Failing, state: Path | None) -> symsi.Steered:
        return symsi.steer(MODES, reward, method, budget=320, steps=5, state=state, progress=False, seed=2, **options)

    whole = steered(Failing(0), None)
    calls = 1 if method == "bon" else 4
    with pytest.raises(symsi.SymsiError, match=r"the reward failed at level .* the scorer is away"):
        steered(Failing(calls), tmp_path / "run.safetensors")
    found = steered(Failing(0), tmp_path / "run.safetensors")
    again = steered(Failing(1), tmp_path / "run.safetensors")  # is done: asks nothing
    for result in (found, again):
        assert torch.equal(result.x, whole.x)
        assert torch.equal(result.log_weights, whole.log_weights)
        assert result.entries == whole.entries or str(result.entries) == str(whole.entries)
        assert (result.nfe, result.reward_calls) == (whole.nfe, whole.reward_calls)
        assert torch.equal(result.peak, whole.peak)


def test_a_file_of_another_run_or_a_damaged_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    symsi.steer(MODEL, linear, budget=50, state=path, progress=False)
    with pytest.raises(symsi.SymsiError, match="holds a run with seed = 0, and this one has 1"):
        symsi.steer(MODEL, linear, budget=50, state=path, seed=1, progress=False)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(symsi.SymsiError, match="was changed"):
        symsi.steer(MODEL, linear, budget=50, state=path, progress=False)
    path.write_bytes(b"nothing")
    with pytest.raises(symsi.SymsiError, match="cannot read a run"):
        symsi.steer(MODEL, linear, budget=50, state=path, progress=False)
    with pytest.raises(symsi.SymsiError, match="no such folder"):
        symsi.steer(MODEL, linear, budget=50, state=tmp_path / "none" / "run", progress=False)


KILLED = """
import sys, time, torch, symsi
from symsi.models import gaussian
model = gaussian(torch.zeros(2), torch.ones(2)).model(prediction="data")
def reward(x):
    time.sleep(float(sys.argv[2]))
    return x[:, 0]
found = symsi.steer(model, reward, budget=600, steps=20, state=sys.argv[1], progress=False)
print(found.x.double().sum().item().hex())
"""


def test_a_killed_run_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    def command(name: str, pause: float) -> list[str]:
        return [sys.executable, "-c", KILLED, str(tmp_path / name), str(pause)]

    whole = subprocess.run(command("whole", 0.0), capture_output=True, text=True, check=True).stdout
    with subprocess.Popen(command("killed", 0.1), stdout=subprocess.PIPE, text=True) as process:
        while not (tmp_path / "killed").exists() and process.poll() is None:
            time.sleep(0.05)
        time.sleep(0.4)
        process.kill()
        assert not process.communicate()[0], "it was to be killed before its end"
    assert subprocess.run(command("killed", 0.0), capture_output=True, text=True, check=True).stdout == whole


@pytest.mark.parametrize("method", ["smc", "svdd"])
def test_a_run_is_drawn(method: str, tmp_path: Path) -> None:
    found = symsi.steer(MODEL, linear, method, budget=100, steps=5, progress=False)
    found.plot(tmp_path / "run.png")
    assert (tmp_path / "run.png").stat().st_size > 5000
    assert repr(found).startswith(f"<Steered: {len(found.x)} samples by {method}")
    assert float(linear(found.best)) == pytest.approx(float(found.rewards.max()))


def test_a_reward_that_writes_into_its_images_changes_no_sample() -> None:
    def clamped(x: Tensor) -> Tensor:
        return x.clamp_(-0.1, 0.1)[:, 0]

    def steered(reward: Any) -> Tensor:
        return symsi.steer(MODEL, reward, budget=40, grid=NEAR, decode=lambda x: x, progress=False).x

    assert torch.equal(steered(clamped), steered(lambda x: x.clamp(-0.1, 0.1)[:, 0]))


def test_search_over_paths_rates_at_the_time_of_its_posterior_means() -> None:
    times: list[float] = []

    def reward(x: Tensor, t: float) -> Tensor:
        times.append(t)
        return x[:, 0]

    symsi.steer(MODEL, reward, "sop", budget=300, steps=10, progress=False)
    assert times[-1] == 1
    assert all(0.5 < t < 1 for t in times[:-1])


def test_the_last_entry_is_of_the_samples_that_are_returned() -> None:
    found = symsi.steer(MODEL, linear, budget=200, steps=5, last="step", temperature=0.2, progress=False)
    last = found.entries[-1]
    assert (last.nfe, last.reward_calls) == (found.nfe, found.reward_calls)
    assert last.ess == pytest.approx(float(1 / found.weights.square().sum()))


def test_tempering_by_ess_keeps_the_particles_from_collapsing() -> None:
    def steered(tempering: str) -> symsi.Steered:
        return symsi.steer(MODES, lambda x: 30 * x[:, 0], budget=500, children=1, tempering=tempering, progress=False)

    kept, fixed = steered("ess"), steered("fixed")
    assert sum(kept.ess[:-1]) > sum(fixed.ess[:-1])
    assert kept.ess[1:] != fixed.ess[1:]

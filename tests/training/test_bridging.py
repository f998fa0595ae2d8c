"""Training of bridges: that it learns, goes on to the same bits, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import symsi
from symsi.training.bridging import BridgeRecipe, train_bridge

RECIPE = BridgeRecipe(steps=6, batch=8, warmup=2)
BRIDGE = "linear(gamma=brownian(a=0.25))"


class Heads(nn.Module):
    """Two linear predictions of (x, t)."""

    def __init__(self, count: int = 2) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.count = nn.Linear(3, 2 * count), count

    def forward(self, x: Tensor, t: Tensor) -> Any:
        found = self.layer(torch.cat([x, t[:, None]], 1)).chunk(self.count, 1)
        return found if self.count > 1 else found[0]


def samples(count: int = 64, seed: int = 0) -> tuple[Tensor, Tensor]:
    x0 = torch.randn(count, 2, generator=torch.Generator().manual_seed(seed))
    return x0, 2 * x0 + 1


def train(folder: Path, recipe: BridgeRecipe = RECIPE, **given: Any) -> tuple[dict[str, Tensor], list[Any]]:
    lines: list[str] = []
    options = {"net": Heads(), "pairs": samples(), "interpolant": BRIDGE, "every": 2, **given}
    net, pairs, path = (options.pop(name) for name in ("net", "pairs", "interpolant"))
    found = train_bridge(net, *pairs, samples(32, 1), path, recipe, folder / "b.checkpoint", lines.append, **options)
    return found, [json.loads(line) for line in lines]


def test_a_run_that_was_stopped_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    wanted, lines = train(whole)
    calls = iter([False, False, True])
    train(broken, until=lambda: next(calls))
    found, rest = train(broken)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    assert [line["step"] for line in lines] == [2, 4, 6]
    assert rest[-1]["held_out"] == lines[-1]["held_out"]
    assert set(lines[-1]["loss"]) == {"velocity", "latent"}


def test_training_lowers_the_held_out_loss_of_each_head(tmp_path: Path) -> None:
    _, lines = train(tmp_path, replace(RECIPE, steps=200, rate=0.02, ema=0.9), every=100)
    velocity, latent = (lines[-1]["held_out"][name] for name in ("velocity", "latent"))
    assert velocity < -1.5  # of |f - G|^2 - |G|^2, where E|x1 - x0|^2 = 2 a number
    assert latent < 0


def test_the_loss_at_the_start_is_a_regression_of_x1(tmp_path: Path) -> None:
    recipe = replace(RECIPE, steps=300, rate=0.05, ema=0.9, predictions=("ends",), antithetic=False, at=0.0)
    found, _ = train(tmp_path, recipe, net=Heads(1), every=300)
    net = Heads(1)
    net.load_state_dict(found)
    x0, x1 = samples(16, 2)
    model = symsi.BridgeModel(net, BRIDGE, "velocity", (2,))
    mean = symsi.sample_bridge(model, x0, solver="euler", steps=1, progress=False).x
    assert symsi.metrics.rmse(mean, x1) < 0.05


def test_a_coupling_pairs_batches_of_unequal_sets(tmp_path: Path) -> None:
    seen: list[int] = []

    def coupling(x0: Tensor, x1: Tensor) -> tuple[Tensor, Tensor]:
        seen.append(len(x0))
        return symsi.couplings.optimal(x0, x1)

    train(tmp_path, pairs=(samples(64)[0], samples(20)[1]), coupling=coupling)
    assert seen == [8] * 6


def test_the_condition_is_the_start_of_each_pair(tmp_path: Path) -> None:
    seen: list[Tensor] = []

    class Told(Heads):
        def forward(self, x: Tensor, t: Tensor, start: Tensor | None = None) -> Any:
            assert start is not None
            seen.append(start)
            return super().forward(x, t)

    train(tmp_path, net=Told(), start=True)
    rows = samples()[0]
    assert all(bool((rows == row).all(1).any()) for row in seen[0])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"pairs": (samples(64)[0], samples(63)[1])}, "paired samples must be as many; got 64 of x0 and 63 of x1"),
        ({"pairs": (samples()[0], samples()[1].index_fill(0, torch.tensor(7), torch.nan))}, "x1 must be finite; row 7"),
        ({"pairs": (samples()[0].index_fill(0, torch.tensor(3), torch.inf), samples()[1])}, "x0 must be finite; row 3"),
        ({"pairs": (samples()[0], samples()[1][:, :1])}, "must have one shape"),
        ({"net": Heads(1)}, "tuple of 2 tensors"),
        ({"interpolant": "lineal"}, "linear"),
        ({"coupling": symsi.couplings.optimal, "pairs": (samples()[0], samples()[1] * torch.nan)}, "x1 must be finite"),
    ],
)
def test_what_cannot_be_trained_on_is_refused_by_name(tmp_path: Path, given: dict[str, Any], words: str) -> None:
    with pytest.raises(symsi.SymsiError, match=words):
        train(tmp_path, **given)
    assert not (tmp_path / "b.checkpoint").exists()


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    train(tmp_path)
    kept = (tmp_path / "b.checkpoint").read_bytes()
    huge = tuple(x.clone() for x in samples())
    for x in huge:
        x.fill_(1e38)
    with pytest.raises(symsi.SymsiError, match="loss of step 7 is"):
        train(tmp_path, replace(RECIPE, steps=9), pairs=huge)
    assert (tmp_path / "b.checkpoint").read_bytes() == kept


@pytest.mark.parametrize("change", [{"batch": 4}, {"predictions": ("velocity", "score")}, {"seed": 1}])
def test_a_checkpoint_of_another_recipe_is_refused_and_a_longer_run_is_not(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    train(tmp_path)
    with pytest.raises(symsi.SymsiError, match="another run"):
        train(tmp_path, replace(RECIPE, **change))
    with pytest.raises(symsi.SymsiError, match="another run"):
        train(tmp_path, interpolant="linear")
    assert train(tmp_path, replace(RECIPE, steps=8, decay=0.3))[1][-1]["step"] == 8


class Dense(nn.Module):
    """Velocity and latent in 2-D, times as cosines."""

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        layers = [nn.Linear(2 + 8, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width)]
        self.body = nn.Sequential(*layers, nn.SiLU(), nn.Linear(width, 4))

    def forward(self, x: Tensor, t: Tensor) -> Any:
        waves = torch.cos(torch.pi * torch.arange(8) * t[:, None]).to(x)
        return self.body(torch.cat([x, waves], 1)).chunk(2, 1)


def moons(count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    angle, noise = torch.pi * torch.rand(count, generator=generator), torch.randn(count, 2, generator=generator)
    sign = torch.where(torch.arange(count) % 2 == 0, 1.0, -1.0)
    arc = torch.stack([sign * angle.cos() - sign / 2, sign * angle.sin() - sign / 4], 1)
    return 1.5 * arc + 0.1 * noise


def gaussians(count: int, seed: int) -> Tensor:
    angles = torch.arange(8) * torch.pi / 4
    law = symsi.models.mixture(torch.ones(8), 2 * torch.stack([angles.cos(), angles.sin()], 1), torch.full((8,), 0.02))
    return law.sample(count, seed).float()


@pytest.mark.slow
def test_two_moons_become_eight_gaussians_by_the_ode_and_by_an_sde(tmp_path: Path) -> None:
    """Sliced W2 to fresh samples of the target, beside that of as many exact ones."""
    torch.manual_seed(0)
    net, count = Dense(), 4000
    recipe = BridgeRecipe(steps=6000, batch=256, rate=2e-3, ema=0.999)
    sets = moons(50_000, 0), gaussians(50_000, 1)
    held_out = moons(256, 2), gaussians(256, 3)
    coupling = symsi.couplings.independent
    average = train_bridge(
        net, *sets, held_out, "linear", recipe, tmp_path / "m", lambda line: None, coupling=coupling, every=1000
    )
    net.load_state_dict(average)
    model, start, real = symsi.BridgeModel(net, "linear"), moons(count, 4), gaussians(count, 5)
    floor = max(symsi.metrics.sliced_wasserstein(gaussians(count, 6 + k), real) for k in range(5))
    for options in ({}, {"diffusion": "gamma"}):
        x = symsi.sample_bridge(model, start, steps=100, grid="cosine", progress=False, **options).x
        assert symsi.metrics.sliced_wasserstein(x, real) < 4 * floor

"""Training by several processes: the weights of one process, on every rank, also after a loss."""

import json
import os
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import symsi
from symsi.processes.ranks import ALONE, Ranks
from symsi.training.bridging import BridgeRecipe, train_bridge
from symsi.training.checkpoint import metadata_of
from symsi.training.distillation import LOSSES, distill_map
from symsi.training.matching import Recipe, train_flow
from tests.together import DIED, together
from tests.training.test_bridging import BRIDGE, Dense, moons
from tests.training.test_distillation import RECIPE, inputs, path, student, teacher
from tests.training.test_matching import interpolant

STEPS = 20
Weights = dict[str, Any]


class Flow(nn.Module):
    """A small network of (x, t) and a label."""

    def __init__(self) -> None:
        super().__init__()
        self.label = nn.Embedding(4, 16)
        self.enter, self.leave = nn.Linear(4, 16), nn.Linear(16, 3)

    def forward(self, x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        found: Tensor = self.leave(torch.tanh(self.enter(torch.cat([x, t[:, None]], 1)) + self.label(label + 1)))
        return found


def flow(ranks: Ranks, folder: Path, *, dies: bool = False, images: Tensor | None = None) -> Weights:
    """Train by matching; rank 1 dies when it has made 10 steps, if it is to."""
    torch.manual_seed(0)
    net, noise = Flow(), torch.randn(50, 3)

    def log(line: str) -> None:
        if dies and ranks.rank == 1 and json.loads(line)["step"] == 10:
            os._exit(1)

    recipe = Recipe(steps=STEPS, batch=7, warmup=3, rate=1e-2, ema=0.9)
    given = (noise if images is None else images, torch.arange(50) % 3, interpolant, recipe, folder / "flow.checkpoint")
    return listed(train_flow(net, *given, log, every=5, ranks=ranks))


def quiet(line: str) -> None:
    """Keep no log."""


def bridge(ranks: Ranks, folder: Path) -> Weights:
    """Train a bridge; after 7 steps the last rank says that it is time to stop, and all go on in another run."""
    torch.manual_seed(0)
    calls = count(1)
    recipe, held_out = BridgeRecipe(steps=STEPS, batch=7, warmup=3, ema=0.9), (moons(5, 2), moons(5, 3))
    given = (moons(50, 0), moons(50, 1), held_out, BRIDGE, recipe, folder / "bridge.checkpoint")
    told: dict[str, Any] = {"every": 5, "ranks": ranks}
    train_bridge(Dense(16), *given, quiet, until=lambda: next(calls) == 7 and ranks.rank + 1 == ranks.world, **told)
    ranks.agree("stopped")
    assert metadata_of(folder / "bridge.checkpoint")["step"] == "7"
    return listed(train_bridge(Dense(16), *given, quiet, **told))


def maps(ranks: Ranks, folder: Path, loss: str) -> Weights:
    model = teacher()
    recipe = replace(RECIPE, batch=5, loss=loss, late=0.7, diagonal=0.4)
    files = folder / f"{loss}.checkpoint", folder / loss
    said: list[str] = []
    found = distill_map(student(), model, path(model), recipe, *files, said.append, ranks=ranks)
    x, s, t, label = inputs()  # a bias before a norm does nothing: its gradient is rounding, and Adam follows that
    return {
        "map": torch.func.functional_call(student(), found, (x, s, t, label)).tolist(),
        "held_out": list(json.loads(said[-1])["held_out_rmse"].values()),
    }


def listed(found: dict[str, Tensor]) -> Weights:
    return {name: value.tolist() for name, value in found.items()}


def spoiled(ranks: Ranks, folder: Path) -> str:
    """What is said of samples that are too large."""
    try:
        flow(ranks, folder, images=torch.full((50, 3), 1e38))
    except symsi.SymsiError as error:
        return str(error)
    return ""


def everything(ranks: Ranks, folder: Path) -> dict[str, Any]:
    bad = folder / "bad"
    bad.mkdir(exist_ok=True)
    found = {"flow": flow(ranks, folder), "bridge": bridge(ranks, folder)}
    return {**found, **{loss: maps(ranks, folder, loss) for loss in LOSSES}, "spoiled": spoiled(ranks, bad)}


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return everything(ALONE, tmp_path_factory.mktemp("one"))


def dying(ranks: Ranks, folder: Path) -> Weights:
    return flow(ranks, folder, dies=True)


@pytest.mark.parametrize("world", [pytest.param(2, marks=pytest.mark.slow), 3])
def test_the_weights_are_those_of_one_process(one: dict[str, Any], tmp_path: Path, world: int) -> None:
    """By three processes it goes on where two of them ended, of which one died."""
    if world == 3:
        first, second = together(2, dying, tmp_path)
        assert second == DIED
        assert "lost another process of the run" in first
        assert metadata_of(tmp_path / "flow.checkpoint")["step"] == "10"
    many = together(world, everything, tmp_path)
    assert all(found == many[0] for found in many)
    said = [found.pop("spoiled") for found in (many[0], {**one})]
    assert all(words.startswith("the loss of step 1 is") for words in said)
    for name, weights in many[0].items():
        for key, value in weights.items():
            wanted = torch.tensor(one[name][key])
            far = (torch.tensor(value) - wanted).abs().max() / wanted.abs().max()
            assert far < 1e-5, (name, key)


def test_processes_that_distill_together_need_a_file() -> None:
    with pytest.raises(symsi.SymsiError, match="need an output, in a folder that all see"):
        symsi.distill(teacher(), ranks=Ranks(1, 2), steps=1)

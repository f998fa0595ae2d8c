"""Flow-matching training: it can be broken off and goes on, and a checkpoint that does not fit is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import symsi
from symsi.models.unet import Config, UNet
from symsi.training.matching import Recipe, train_flow

SMALL = Config(width=8, heads=2)


def interpolant(z: Tensor, x: Tensor, t: Tensor) -> Tensor:
    at = t.reshape(-1, *[1] * (z.ndim - 1))
    return (1 - at) * z + at * x


def test_training_learns_and_goes_on_where_it_was_broken_off(tmp_path: Path) -> None:
    """Twice 6 steps by way of a checkpoint are 12 steps, weight by weight."""
    images = torch.randn(64, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(64) % 10
    recipe = Recipe(steps=12, batch=8, warmup=2)

    class BrokenOffError(Exception):
        pass

    def train(name: str, stop: int = 0) -> dict[str, Tensor]:
        torch.manual_seed(1)

        def log(line: str) -> None:
            if json.loads(line)["step"] > stop > 0:
                raise BrokenOffError

        return train_flow(UNet(SMALL), images, labels, interpolant, recipe, tmp_path / name, log, every=6)

    whole = train("whole.safetensors")
    with pytest.raises(BrokenOffError):
        train("parts.safetensors", stop=6)
    with pytest.raises(symsi.SymsiError, match="checkpoint of another run"):
        train_flow(UNet(SMALL), images, labels, interpolant, Recipe(steps=13), tmp_path / "parts.safetensors", print)
    parts = train("parts.safetensors")
    for name, weight in whole.items():
        torch.testing.assert_close(parts[name], weight, rtol=1e-5, atol=1e-6)


def test_the_learning_rate_rises_stays_and_falls_to_zero() -> None:
    recipe = Recipe(steps=1000, warmup=100, decay=0.5)
    assert recipe.rate_at(0) == pytest.approx(0.01)
    assert recipe.rate_at(300) == 1
    assert recipe.rate_at(750) == pytest.approx(0.5)
    assert recipe.rate_at(999) == pytest.approx(0.002)


class Line(nn.Module):
    """The least network: a weight of the size of a sample."""

    def __init__(self, size: int = 3) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        return x * self.weight


def train_line(checkpoint: Path, steps: int = 4, size: int = 3) -> tuple[Line, dict[str, Tensor]]:
    net = Line(size)
    images = torch.ones(8, size)
    recipe = Recipe(steps=steps, batch=2, warmup=1)
    return net, train_flow(net, images, torch.zeros(8).long(), interpolant, recipe, checkpoint, lambda line: None)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    train_line(tmp_path / "line.checkpoint")
    return tmp_path / "line.checkpoint"


def edit(path: Path, name: str, change: Callable[[Tensor], Tensor] | None, **metadata: str) -> None:
    with safe_open(path, "pt") as file:
        about = dict(file.metadata())
    tensors = load_file(path)
    held = tensors.pop(name)
    if change:
        tensors[name] = change(held)
    save_file(tensors, path, metadata={**about, **metadata})


@pytest.mark.parametrize(
    ("name", "change", "metadata", "message"),
    [
        ("exp_avg.weight", lambda v: v[:2], {}, r"its exp_avg\.weight is \(2,\) in float32, the network's \(3,\)"),
        ("exp_avg_sq.weight", lambda v: torch.ones(3, 3), {}, r"exp_avg_sq\.weight is \(3, 3\)"),
        ("weight.weight", lambda v: v[:1], {}, r"weight\.weight is \(1,\)"),  # would broadcast
        ("average.weight", lambda v: v.double(), {}, "in float64, the network's .* in float32"),
        ("weight.weight", lambda v: v * torch.nan, {}, "nan, infinite or a negative square"),
        ("exp_avg_sq.weight", lambda v: v - 1e9, {}, "nan, infinite or a negative square"),
        ("average.weight", None, {}, "it has no average.weight"),
        ("weight.weight", lambda v: v, {"step": "5"}, "its step is '5', not a number from 0 to 4"),
        ("weight.weight", lambda v: v, {"step": "-1"}, "its step is '-1'"),
        ("weight.weight", lambda v: v, {"step": "nan"}, "its step is 'nan'"),
        ("weight.weight", lambda v: v, {"about": "{}"}, "checkpoint of another run"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused_before_anything_is_copied(
    checkpoint: Path, name: str, change: Callable[[Tensor], Tensor] | None, metadata: dict[str, str], message: str
) -> None:
    edit(checkpoint, name, change, **metadata)
    kept = Line.__init__

    def init(self: Line, size: int = 3) -> None:
        kept(self, size)
        made.append(self)

    made: list[Line] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Line, "__init__", init)
        with pytest.raises(symsi.SymsiError, match=message):
            train_line(checkpoint)
    assert made[0].weight.tolist() == [1, 1, 1]


def test_a_checkpoint_of_another_network_is_refused(checkpoint: Path) -> None:
    with pytest.raises(symsi.SymsiError, match=r"is \(3,\) in float32, the network's \(5,\)"):
        train_line(checkpoint, size=5)


def test_a_checkpoint_that_is_no_safetensors_file_is_refused(checkpoint: Path) -> None:
    checkpoint.write_bytes(checkpoint.read_bytes()[:50])
    with pytest.raises(symsi.SymsiError, match=r"cannot read a checkpoint from .* Delete it to start anew\."):
        train_line(checkpoint)


def test_a_finished_checkpoint_gives_its_average_back(checkpoint: Path) -> None:
    assert train_line(checkpoint)[1]["weight"].tolist() == load_file(checkpoint)["average.weight"].tolist()

"""The benchmark of restorations, on a few made-up digits and an untrained network."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

import symsi
from symsi.bench import restore
from symsi.models.datasets import Dataset
from symsi.models.pretrained_bridge import save_bridge
from symsi.models.restoring import Restorer
from symsi.models.unet import Config, UNet

COUNT = 12


def made(path: Path, part: str) -> tuple[Tensor, Tensor]:
    assert part == "test"
    return torch.rand(COUNT, 1, 28, 28, generator=torch.Generator().manual_seed(0)), torch.arange(COUNT) % 10


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(restore, "dataset", lambda name: Dataset(name, tmp_path, 0.5, 0.3, "made up", made))
    torch.manual_seed(0)
    net = Restorer(UNet(Config(width=8, channels=2, classes=0, heads=2)))
    model = symsi.BridgeModel(net, "linear(gamma=brownian(a=0.25))", ("velocity", "latent"), (1, 28, 28), gain=0.3)
    return save_bridge(tmp_path / "a.safetensors", net.state_dict(), model, {})


def test_rows_start_from_the_same_digits_and_an_untrained_network_leaves_them(file: Path) -> None:
    rows = list(restore.restoration_rows(file, file, nfe=(3,), samples=4, repeats=2))
    assert [(row["method"], row["nfe"]) for row in rows] == [
        ("truth", 0), ("degraded", 0), ("regression", 1), ("ODE", 3), ("SDE", 3),
    ]  # fmt: skip
    truth, degraded, regression, ode, sde = rows
    assert truth["rmse"] == 0
    assert regression["rmse"] == ode["rmse"] == degraded["rmse"] < sde["rmse"]  # it predicts 0; the SDE adds noise
    assert all(0 <= row["accuracy"] <= 1 and row["fd"] > 0 and row["fd_spread"] > 0 for row in rows)


def test_counts_that_the_held_out_digits_do_not_have_are_refused(file: Path) -> None:
    for given in (
        {"samples": 7, "repeats": 2},
        {"samples": 1},
        {"repeats": 1},
        {"samples": 2, "repeats": 2, "nfe": ()},
    ):
        with pytest.raises(symsi.SymsiError, match="restoring needs samples"):
            next(restore.restoration_rows(file, file, **given))  # type: ignore[arg-type]


def test_what_was_measured_stands_on_the_page_and_says_what_it_says() -> None:
    root = Path(restore.__file__).parents[2]
    rows = json.loads((root / "symsi" / "figures" / "restore.json").read_text())["rows"]
    (mean,) = (row for row in rows if row["method"] == "regression")
    drawn = [row for row in rows if row["method"] in restore.METHODS]
    assert {row["nfe"] for row in drawn} <= set(restore.NFE)
    assert all(row["rmse"] > mean["rmse"] and row["sw"] < mean["sw"] for row in drawn)
    page = (root / "docs" / "interpolants.md").read_text()
    for row in rows:
        digits = {"fd": 2, "sw": 4, "rmse": 4, "accuracy": 3}
        cells = (f"{row[k]:.{n}f} +- {row[f'{k}_spread']:.{n}f}" for k, n in digits.items())
        assert f"| {row['method']} | {row['nfe'] or ''} | {' | '.join(cells)} |" in page

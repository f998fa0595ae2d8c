"""Solvers fitted by several processes: the plan of one, the same on all."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import symsi
from symsi.processes.ranks import ALONE, Ranks
from tests.together import together


class Velocity(nn.Module):
    """A network of (x, t) and a class, with or without one."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.label, self.enter, self.leave = nn.Embedding(4, 16), nn.Linear(5, 16), nn.Linear(16, 4)

    def forward(self, x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        told = self.label(torch.zeros(len(x), dtype=torch.long) if label is None else label + 1)
        found: Tensor = 2 * self.leave(torch.tanh(self.enter(torch.cat([x, t[:, None]], 1)) + told))
        return found


FITS: dict[str, dict[str, Any]] = {
    "several": {"steps": [1, 2], "samples": 10, "guidance": 1.5, "batch": 2},
    "joint": {"steps": 2, "samples": 10, "refine": "joint", "constant": True},
    "gradient": {"steps": 2, "samples": 10, "refine": "gradient"},
    "by channel": {"steps": 2, "samples": 16, "by_channel": True},
}


def fits(ranks: Ranks) -> dict[str, Any]:
    """The texts of the plans, and the samples that they draw."""
    net = Velocity().requires_grad_(False)
    model = symsi.Model(net, shape=(4,), classes=3, unconditional={"label": None}, name="small")
    found: dict[str, Any] = {}
    for name, given in FITS.items():
        made = symsi.fit_solver(model, ranks=ranks, progress=False, **given)
        for k, plan in enumerate(made.values() if isinstance(made, dict) else [made]):
            told = {"conditions": {"label": torch.arange(5) % 3}, "guidance": given.get("guidance", 1.0)}
            x = symsi.sample(model, shape=5, plan=plan, progress=False, **told).x
            found[f"{name} {k}"] = [plan.text(), dict(plan.origin), x.tolist()]
    return found


@pytest.fixture(scope="module")
def one() -> dict[str, Any]:
    return fits(ALONE)


@pytest.mark.parametrize("world", [pytest.param(2, marks=pytest.mark.slow), 3])
def test_processes_fit_the_plan_of_one(one: dict[str, Any], world: int) -> None:
    many = together(world, fits)
    assert all(found == many[0] for found in many)
    for name, (_, origin, x) in one.items():
        _, its, drawn = many[0][name]
        told = [{k: v for k, v in words.items() if k != "calibration"} for words in (origin, its)]  # a look costs more
        assert told[0] == told[1]
        assert origin["solver"] == "fitted"
        torch.testing.assert_close(torch.tensor(drawn), torch.tensor(x), rtol=1e-4, atol=1e-5)

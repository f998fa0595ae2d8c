"""Processes that share the rows of a network: what all get is what one gets, and a loss is told in words."""

from __future__ import annotations

import os
import re
import socket
from datetime import timedelta
from typing import Any

import pytest
import torch
from torch import Tensor

import symsi
from symsi.processes import team
from symsi.processes.ranks import ALONE, Ranks
from tests.together import DIED, together


def net(x: Tensor, t: Tensor) -> Tensor:
    return torch.tanh(x * t[:, None]) + x.square()


def batch(count: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(count)
    x = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    return x, torch.rand(count, generator=generator, dtype=torch.float64)


def sloped(ranks: Ranks) -> list[Any]:
    """Slopes in a parameter, whose parts are to be added, and in the rows, which are whole; through two evaluations."""
    x, t = (v.requires_grad_() for v in batch(5))
    weight = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    once = ranks.spread(lambda x, t: weight * net(x, t), x, t)
    (ranks.spread(net, once, t) * x).sum().backward()  # type: ignore[no-untyped-call]
    slopes = [value.grad for value in (x, t, weight) if value.grad is not None]
    ranks.sum(slopes[2:])
    return [slope.tolist() for slope in slopes]


def velocity(x: Tensor, t: Tensor, label: Tensor, scale: Tensor, word: str) -> Tensor:
    assert word == "a"
    return scale * (label[:, None] - x) * t[:, None]


def sampled(ranks: Ranks) -> list[Any]:
    model = symsi.Model(velocity, shape=(2,), name="told")
    told = {"label": torch.arange(5), "scale": torch.tensor(0.5), "word": "a"}
    return symsi.sample(ranks.shared(model), shape=5, steps=3, conditions=told, progress=False).x.tolist()


def steered(ranks: Ranks) -> list[Any]:
    mixture = symsi.models.mixture([0.5, 0.5], [[-1.0, 0.0], [1.0, 0.0]], [0.1, 0.1])
    model = ranks.shared(mixture.model())
    return symsi.steer(model, lambda x: x[:, 0], budget=symsi.Budget(60), particles=6, progress=False).x.tolist()


def wrong(x: Tensor, t: Tensor) -> Any:
    return x[:, :1]


def everything(ranks: Ranks) -> dict[str, Any]:
    found: dict[str, Any] = {str(count): ranks.spread(net, *batch(count)).tolist() for count in range(1, 8)}
    for kind in (torch.float16, torch.bfloat16):
        found[str(kind)] = ranks.spread(net, *(value.to(kind) for value in batch(4))).tolist()
    found |= {"slopes": sloped(ranks), "sampled": sampled(ranks), "steered": steered(ranks)}
    found["any"] = [ranks.any(said) for said in (False, ranks.rank == 0, ranks.rank + 1 == ranks.world, True)]
    ranks.agree("the same")
    try:
        symsi.sample(ranks.shared(symsi.Model(wrong, shape=(2,))), shape=5, steps=1, progress=False)
    except symsi.ModelError as error:
        found["wrong"] = ["the model returned shape" in str(error)]
    return found


def test_all_get_what_one_gets() -> None:
    one, many = everything(ALONE), together(3, everything)
    assert all(found == many[0] for found in many)
    for name in one:
        for found, wanted in zip(many[0].pop(name), one[name], strict=True):
            torch.testing.assert_close(torch.tensor(found), torch.tensor(wanted), msg=name)


def lost(ranks: Ranks) -> list[str]:
    """What is said where rank 1 says something else, and then dies."""
    said = []
    for death in (False, True):
        if death and ranks.rank == 1:
            os._exit(1)
        try:
            ranks.agree("1" if ranks.rank == 1 else "0")
        except symsi.SymsiError as error:
            said.append(str(error))
    return said


def test_a_process_that_does_something_else_or_dies_is_told() -> None:
    (differs, dies), second = together(2, lost)
    assert second == DIED
    assert differs == "rank 1 was started with other options, files or versions than rank 0."
    assert re.fullmatch(r"lost another process of the run \(.*\)\. What is written stays; .* goes on\.", dies)


@pytest.mark.parametrize("missing", ["MASTER_ADDR", "rank 0"])
def test_processes_that_cannot_be_reached_are_told(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    for name, value in {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv(missing, raising=False)
    monkeypatch.setattr(team, "_JOIN", timedelta(seconds=1))
    with (
        pytest.raises(symsi.SymsiError, match=r"cannot meet the other processes at .*Start them by torchrun"),
        Ranks.join(),
    ):
        pass


def test_alone_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    model = symsi.Model(net, shape=(3,))
    with symsi.Ranks.join() as ranks:
        assert ranks == ALONE
        assert ranks.shared(model) is model
        assert (ranks.any(True), ranks.any(False)) == (True, False)
        ranks.agree("alone")

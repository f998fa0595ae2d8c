"""A run's file with a right digest is held against the run itself, tensor by tensor."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

import symsi
from symsi.steering import saving
from tests.steering.problems import gaussian_model

MODEL = gaussian_model()
OPTIONS: dict[str, dict[str, Any]] = {
    "smc": {"potential": "max"},
    "smc, two steps": {"children": 1, "solver": "exact-ab2"},
    "smc, ends in noise": {"last": "step"},
}
STOPS = {"smc": 4, "smc, two steps": 4, "smc, ends in noise": 4, "rbf": 4, "svdd": 4, "code": 2, "bon": 1, "sop": 1}
CASES = (*STOPS, "dts")


def steered(case: str, path: Path, stop: int = 0) -> symsi.Steered:
    calls = 0

    def reward(x: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        if calls == stop:
            raise RuntimeError("the scorer is away")
        return x[:, 0]

    method = case.partition(",")[0]
    options = OPTIONS.get(case, {})
    return symsi.steer(MODEL, reward, method, budget=120, steps=4, state=path, progress=False, **options)


def begun(case: str, path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What a run holds that stopped on its way, and what its file says of it."""
    with pytest.raises(symsi.SymsiError, match="the scorer is away"):
        steered(case, path, stop=STOPS.get(case, 18))
    return kept(path)


def kept(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, json.loads(file.metadata()["about"])  # noqa: SIM118


def forgeries(value: Tensor) -> dict[str, Tensor]:
    """The same tensor with another shape, in another kind, and with numbers that no run has."""
    floats = value.is_floating_point()
    found = {"shape": value[None], "kind": value.to(torch.float16 if floats else torch.int32)}
    if value.ndim:
        found["longer"] = torch.cat([value, value.new_zeros((1, *value.shape[1:]))])
    if value.numel():
        wrong = value.clone()
        wrong.view(-1)[-1] = torch.nan if floats else -9
        found["number"] = wrong
    return found


@pytest.mark.parametrize("end", [False, True], ids=["on the way", "done"])
@pytest.mark.parametrize("case", CASES)
def test_no_tensor_of_a_file_is_taken_that_the_run_would_not_hold(case: str, end: bool, tmp_path: Path) -> None:
    path = tmp_path / "run"
    held, about = begun(case, path)
    if end:
        steered(case, path)
        held, about = kept(path)
    assert ("x" in held) == end

    def refused(forged: Mapping[str, Tensor], said: str) -> None:
        saving.save(path, forged, about)
        with pytest.raises(symsi.SymsiError, match=rf"cannot go on from {path}: .*{said}.*Delete it to start anew"):
            steered(case, path)

    refused({**held, "more": torch.zeros(1)}, "it holds more|it holds account")
    for name, value in held.items():
        refused({key: other for key, other in held.items() if key != name}, "it holds no|it holds|is")
        for forged in forgeries(value).values():
            refused({**held, name: forged}, "")
    saving.save(path, held, about)
    assert torch.isfinite(steered(case, path).x).all()


def changed(value: Tensor, place: int, number: float) -> Tensor:
    found = value.clone()
    found.view(-1)[place] = number
    return found


@pytest.mark.parametrize(
    ("case", "name", "forge", "said"),
    [
        ("smc", "state.about", lambda v: changed(v, 0, 4), r"its state.about is \[4, 0\], and this run has \[3, 0\]"),
        ("smc", "state.about", lambda v: changed(v, 1, 1 << 40), "its state.about holds 1099511627776"),
        ("smc", "ancestry", lambda v: changed(v, 0, 30), "its ancestry holds 30; here all is from 0 to 29"),
        ("smc", "log_weights", lambda v: changed(v, 3, torch.inf), "its log_weights holds inf; here all is finite"),
        ("smc", "state.z", lambda v: v[:7], r"its state.z is \(7, 1\) in float32, and this run's \(30, 1\) in float32"),
        ("smc", "account.spent", lambda v: changed(v, 0, 121), "has spent 121 evaluations and .*, beyond Budget"),
        ("rbf", "quotas", lambda v: changed(v, 1, 0), "its quotas holds 0; here all is from 1 to 120"),
        ("sop", "turns", lambda v: changed(v, 1, 2), "its turns are 0 of 2, and this run makes 3"),
        ("dts", "tree.nodes", lambda v: changed(v, 3, 8), "no tree"),
        ("dts", "tree.nodes", lambda v: changed(v, v.shape[1] + 2, 4), "no tree"),
        ("dts", "tree.nodes", lambda v: changed(v, 0, 0), "no tree"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_is_wrong_is_said(
    case: str, name: str, forge: Callable[[Tensor], Tensor], said: str, tmp_path: Path
) -> None:
    held, about = begun(case, tmp_path / "run")
    saving.save(tmp_path / "run", {**held, name: forge(held[name])}, about)
    with pytest.raises(symsi.SymsiError, match=said):
        steered(case, tmp_path / "run")


def test_an_account_that_leaves_no_draw_ends_in_words(tmp_path: Path) -> None:
    held, about = begun("rbf", tmp_path / "run")
    saving.save(tmp_path / "run", {**held, "account.spent": changed(held["account.spent"], 0, 120)}, about)
    with pytest.raises(symsi.BudgetError, match="no draw is left for level"):
        steered("rbf", tmp_path / "run")

"""Exported flow maps: the network with its formulas as one graph, checked where symsi cannot be imported."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import symsi
from symsi.exports.flow_map import check_map
from symsi.models.map_net import MapNet
from symsi.models.pretrained_map import save_map
from symsi.models.unet import Config, UNet
from tests.cli.test_cli import in_process

CONFIG = Config(width=8, multipliers=(1, 2), classes=3, heads=2)


def network(schedule: str, classes: int = 3) -> MapNet:
    torch.manual_seed(0)
    net = MapNet(UNet(replace(CONFIG, classes=classes)), "linear", schedule)
    for weight in net.parameters():
        nn.init.normal_(weight, std=0.1)
    return net.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def flow() -> symsi.FlowMap:
    return symsi.FlowMap(network("trigonometric"), schedule="trigonometric", shape=(1, 8, 8), classes=3, name="tiny")


@pytest.fixture(scope="module")
def pt2(flow: symsi.FlowMap, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return symsi.export(flow, tmp_path_factory.mktemp("exported") / "map.pt2")


def test_a_program_is_the_map_for_any_batch_and_bit_for_bit_where_the_map_is_not_filled_up(
    flow: symsi.FlowMap, pt2: Path
) -> None:
    program = torch.export.load(pt2).module()
    for batch in (1, 3, 16, 48):
        x, (s, t) = torch.randn(batch, 1, 8, 8), torch.rand(2, batch).sort(0).values
        label = torch.arange(batch) % 3
        found, wanted = program(x, s, t, label), flow(x, s, t, label=label)
        assert torch.equal(found, wanted) if batch % 16 == 0 else torch.allclose(found, wanted, rtol=0, atol=1e-5)
        assert torch.equal(program(x, t, t, label), x)


def test_a_program_is_checked_where_symsi_cannot_be_imported(flow: symsi.FlowMap, pt2: Path) -> None:
    found = check_map(flow, pt2)
    assert found.good, str(found)
    assert found.values == 6 * 64


def test_the_program_of_another_map_fails_the_check(flow: symsi.FlowMap, pt2: Path) -> None:
    own = flow.function
    other = replace(flow, function=lambda x, s, t, label: 1.001 * own(x, s, t, label=label))
    assert not check_map(other, pt2).good


@pytest.mark.parametrize("schedule", ["trigonometric", pytest.param("vp", marks=pytest.mark.slow)])
def test_an_onnx_model_runs_in_onnxruntime(tmp_path: Path, schedule: str) -> None:
    pytest.importorskip("onnxruntime")
    flow = symsi.FlowMap(network(schedule), schedule=schedule, shape=(1, 8, 8), classes=3)
    found = check_map(flow, symsi.export(flow, tmp_path / "map.onnx"))
    assert found.good, str(found)


def test_a_converted_map_and_a_map_without_classes_are_exported(tmp_path: Path) -> None:
    flow = symsi.FlowMap(network("trigonometric", 0), schedule="trigonometric", shape=(1, 8, 8)).convert("linear")
    program = torch.export.load(symsi.export(flow, tmp_path / "map.pt2")).module()
    x, (s, t) = torch.randn(16, 1, 8, 8), torch.rand(2, 16).sort(0).values
    assert torch.equal(program(x, s, t), flow(x, s, t))
    function = symsi.FlowMap(lambda x, s, t: 2 * x, shape=(3,))
    program = torch.export.load(symsi.export(function, tmp_path / "double.pt2")).module()
    assert torch.equal(program(torch.ones(1, 3), torch.zeros(1), torch.ones(1)), torch.full((1, 3), 3.0))


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        ({}, {"path": "map.py"}, r"must be \.pt2 or \.onnx"),
        ({"shape": None}, {}, "does not say the shape"),
        ({"function": network("linear").double()}, {}, "float64 on cpu; export it in float32"),
        ({"function": lambda x, s, t, label: x * float(x.sum())}, {}, "cannot capture tiny"),
        ({}, {"what": "drift"}, "leave what, dtype and aot out"),
        ({}, {"aot": True}, "leave what, dtype and aot out"),
        ({}, {"dtype": "float16"}, "leave what, dtype and aot out"),
    ],
)
def test_what_cannot_be_exported_is_refused_in_words(
    flow: symsi.FlowMap, tmp_path: Path, change: dict[str, Any], options: dict[str, Any], words: str
) -> None:
    path = tmp_path / options.get("path", "map.pt2")
    with pytest.raises(symsi.SymsiError, match=words):
        symsi.export(replace(flow, **change), path, **{k: v for k, v in options.items() if k != "path"})
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def file(flow: symsi.FlowMap, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("maps") / "tiny.safetensors"
    model = symsi.Model(lambda x, t: x, shape=(1, 8, 8), classes=3)
    assert isinstance(flow.function, MapNet)
    return save_map(path, flow.function.state_dict(), CONFIG, model, "trigonometric", {})


def test_a_map_is_exported_and_checked_from_the_command_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, file: Path
) -> None:
    arguments = ("export", "--map", str(file), str(tmp_path / "map.pt2"), "--json")
    code, out, err = in_process(capsys, monkeypatch, *arguments)
    assert code == 0, err
    (row,) = json.loads(out)["files"]
    assert row["values"] == 6 * 64
    assert row["worst_ulp"] < 2**10


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("map.pt2", "--from", "linear"), "leave --from out"),
        (("map.pt2", "--what", "drift"), "leave --what out"),
        (("map.tex",), r"must be one of \.pt2, \.onnx"),
    ],
)
def test_what_does_not_go_with_a_map_is_refused(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    file: Path,
    more: tuple[str, ...],
    words: str,
) -> None:
    arguments = ("export", "--map", str(file), str(tmp_path / more[0]), *more[1:])
    code, _, err = in_process(capsys, monkeypatch, *arguments)
    assert code == 2
    assert re.search(words, err), err
    assert list(tmp_path.iterdir()) == []

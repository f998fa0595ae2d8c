"""The checks of a GPU, on a CPU: what passes, what must fail, and what says that it needs a GPU."""

import json
from typing import Any

import pytest
import torch
from torch import Tensor

import symsi
from symsi.bench import gpu, kernels
from tests.cli.test_cli import in_process

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch


@pytest.fixture(autouse=True)
def quick(monkeypatch: Patch) -> None:
    monkeypatch.setattr(kernels, "_SECONDS", 1e-3)
    monkeypatch.setattr(gpu, "_SIZE", 1000)


def verdicts(*only: str, device: str = "cpu", batch: int = 4) -> dict[str, gpu.Check]:
    return {check.name: check for check in gpu.device_checks("digits8", device, batch, only)}


def test_a_cpu_runs_what_needs_no_gpu(capsys: Capture, monkeypatch: Patch) -> None:
    only = [word for name in gpu.CHECKS if name != "compile" for word in ("--only", name)]
    given = ("bench", "gpu", "--device", "cpu", "--model", "digits8", "--batch", "4", *only)
    code, out, err = in_process(capsys, monkeypatch, *given, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert (found["model"], found["batch"], found["torch"]) == ("digits8", 4, torch.__version__)
    said = {check["name"]: check for check in found["checks"]}
    assert {name: check["verdict"] for name, check in said.items()} == {
        "noise": "passed", "syncs": "not here", "step": "measured", "throughput": "measured", "agreement": "passed"
    }  # fmt: skip
    assert "needs a GPU" in said["syncs"]["words"]
    assert said["noise"]["numbers"] == {"numbers": 4 * 4 * 64, "apart": 0}
    assert set(said["throughput"]["numbers"]) == {"float32", "float16", "bfloat16"}
    shares = said["agreement"]["numbers"]
    assert 0 < shares["float32"] < shares["float16"] < shares["bfloat16"]
    step = said["step"]["numbers"]
    assert step["ratio"] == pytest.approx(step["step_us"] / step["copy_us"])
    assert step["gb_per_s"] == pytest.approx(12_000 / step["step_us"] / 1e3)
    code, out, _ = in_process(capsys, monkeypatch, *given)
    assert code == 0
    assert len(out.splitlines()) == 1 + len(said)


@pytest.mark.parametrize("change", ["a bit", "a row", "rounding"])
def test_noise_that_is_not_the_hosts_fails(capsys: Capture, monkeypatch: Patch, change: str) -> None:
    real, alone = gpu.standard_normals, gpu.standard_normal

    def draw(seed: int, samples: Any, steps: Any, shape: Any, *where: Any) -> Tensor:
        x = real(seed, samples, steps, shape, *where)
        if len(where) == {"a bit": 1, "rounding": 2}.get(change):
            x.view(torch.int32 if x.dtype == torch.float32 else torch.int16)[-1, -1, ...] ^= 1
        return x

    monkeypatch.setattr(gpu, "standard_normals", draw)
    if change == "a row":
        monkeypatch.setattr(gpu, "standard_normal", lambda *given: -alone(*given))
    assert verdicts("noise")["noise"].verdict == "failed"
    given = ("bench", "gpu", "--device", "cpu", "--model", "digits8", "--batch", "4", "--only", "noise")
    code, out, _ = in_process(capsys, monkeypatch, *given)
    assert (code, "failed" in out) == (1, True)


def test_samples_that_are_far_from_float64_fail(monkeypatch: Patch) -> None:
    for dtype, most in gpu._APART.items():
        with monkeypatch.context() as patch:
            patch.setattr(gpu, "_APART", {**gpu._APART, dtype: most * 1e-3})
            assert verdicts("agreement")["agreement"].verdict == "failed"


@pytest.mark.parametrize("waits", [False, True])
def test_a_wait_between_evaluations_fails(monkeypatch: Patch, waits: bool) -> None:
    """With a stand-in for torch's mode, and a network that waits in its third evaluation, as torch would tell it."""
    modes, calls = ["default"], 0
    real, samples = gpu.load("digits8"), gpu._samples

    def function(x: Tensor, t: Tensor, **conditions: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        if waits and calls % 6 == 3 and modes[-1] == "error":
            raise RuntimeError("called a synchronizing CUDA operation")
        return real(x, t, **conditions)

    model = symsi.Model(function, real.schedule, real.prediction, real.shape, classes=real.classes)
    monkeypatch.setattr(torch.cuda, "get_sync_debug_mode", lambda: modes[-1])
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", modes.append)
    monkeypatch.setattr(gpu, "load", lambda name, device: model)
    monkeypatch.setattr(gpu, "_samples", lambda model, device, *given, **more: samples(model, "cpu", *given, **more))
    found = verdicts("syncs", device="cuda")["syncs"]
    assert found.numbers == {"evaluations": 6}
    assert found.verdict == ("failed" if waits else "passed")
    assert ("synchronizing" in found.words) == waits
    assert modes == ["default", "error", *["default"] * (1 if waits else 2)]


def test_the_mode_holds_from_the_first_evaluation_to_the_last() -> None:
    seen = list[str]()

    def function(x: Tensor, t: Tensor) -> Tensor:
        seen.append("evaluation")
        return x

    model = gpu.between_evaluations(symsi.Model(function), 3, lambda: seen.append("begin"), lambda: seen.append("end"))
    for _ in range(3):
        model(torch.zeros(1), torch.zeros(1))
    assert seen == ["evaluation", "begin", "evaluation", "end", "evaluation"]


@pytest.mark.slow
def test_a_compiled_network_agrees() -> None:
    found = verdicts("compile")["compile"]
    assert found.verdict == "passed"
    assert found.numbers["gain"] == pytest.approx(found.numbers["eager_us"] / found.numbers["compiled_us"])


def test_where_torch_compiles_nothing_that_is_said(monkeypatch: Patch) -> None:
    def fails(*given: Any, **more: Any) -> Tensor:
        raise RuntimeError("No working C++ compiler found\nand a stack")

    monkeypatch.setattr(torch, "compile", lambda function: fails)
    found = verdicts("compile")["compile"]
    assert (found.verdict, found.words) == (
        "not here",
        "torch.compile fails: RuntimeError: No working C++ compiler found",
    )
    monkeypatch.setattr(torch, "compile", lambda function: lambda *given, **more: 1.01 * function(*given, **more))
    assert verdicts("compile")["compile"].verdict == "failed"


def test_what_is_not_there_is_refused(capsys: Capture, monkeypatch: Patch) -> None:
    code, _, err = in_process(capsys, monkeypatch, "bench", "gpu", "--device", "cpu", "--only", "speed")
    assert (code, "checks are noise, syncs, step" in err) == (2, True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    code, _, err = in_process(capsys, monkeypatch, "bench", "gpu", "--device", "cuda", "--only", "noise")
    assert code == 2
    assert "no GPU is visible" in err

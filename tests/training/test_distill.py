"""`symsi.distill`: what it returns and leaves, that it can be killed at any time, and what it refuses."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import symsi
from symsi.models.pretrained import save
from symsi.models.pretrained_map import described_map
from symsi.models.unet import Config, UNet
from symsi.training import trajectories

CONFIG = Config(width=8, multipliers=(1, 2), classes=3, heads=2)
SMALL = {"batch": 4, "chunks": 1, "chunk": 8, "held_out": 4, "warmup": 2}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    net = UNet(CONFIG)
    for weight in net.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    return save(tmp_path / "tiny.safetensors", net.state_dict(), CONFIG, (1, 8, 8))


def test_a_map_is_returned_as_its_file_holds_it_and_the_model_stays_as_it_was(file: Path, tmp_path: Path) -> None:
    model, path, lines = symsi.models.load(file), tmp_path / "map.safetensors", []
    assert isinstance(model.function, UNet)
    before = {name: value.clone() for name, value in model.function.state_dict().items()}
    fast = symsi.distill(model, path, log=lines.append, steps=3, **SMALL)
    assert all(torch.equal(value, before[name]) for name, value in model.function.state_dict().items())
    again = symsi.models.load_map(path)
    label = torch.arange(4) % 3
    found, wanted = (symsi.sample(m, shape=4, steps=2, conditions={"label": label}).x for m in (fast, again))
    assert torch.equal(found, wanted)
    said = described_map(path)
    assert (fast.grid, again.grid) == ("shifted(shift=2)", "shifted(shift=2)")
    assert symsi.sample(fast, shape=1, steps=2).plan.grid[1] == pytest.approx(math.atan(1 / 2) * 2 / math.pi)
    assert (said["teacher"], said["cost"]["steps"], said["cost"]["images"]) == ("tiny", 3, 12)
    assert said["cost"]["teacher_evaluations"] == 8 * 8
    assert [json.loads(line)["step"] for line in lines] == [3]
    assert path.with_suffix(".log").read_text().splitlines() == lines


def test_without_a_file_it_returns_the_map_alone(file: Path) -> None:
    fast = symsi.distill(file, steps=1, **SMALL)
    assert symsi.sample(fast, shape=2, steps=1).nfe == 1


@pytest.mark.parametrize("loss", ["student", "lmd", "psd-m"])
def test_a_late_loss_leaves_the_first_steps_as_they_are_and_goes_on_from_them(
    file: Path, tmp_path: Path, loss: str
) -> None:
    def weights(name: str, **options: object) -> dict[str, torch.Tensor]:
        symsi.distill(file, tmp_path / name, force=True, **SMALL, **options)  # type: ignore[arg-type]
        return load_file(tmp_path / name)

    weights("a.safetensors", steps=2, decay=1e-9)
    whole = weights("b.safetensors", steps=4, decay=1e-9, loss=loss, late=0.5)
    on = weights("a.safetensors", steps=4, decay=1e-9, loss=loss, late=0.5)
    plain = weights("d.safetensors", steps=4, decay=1e-9)
    assert all(torch.equal(on[name], whole[name]) for name in whole)
    assert any(not torch.equal(plain[name], whole[name]) for name in whole)


def test_a_map_goes_on_from_a_map_with_other_trajectories(file: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    symsi.distill(file, first, steps=2, **SMALL)
    asked = {"start": first, "seed": 1, **SMALL}
    symsi.distill(file, second, steps=1, rate=1e-12, **asked)
    before, found = load_file(first), load_file(second)
    assert all(torch.allclose(found[name], before[name], rtol=1e-6, atol=1e-9) for name in before)
    said = described_map(second)
    assert (said["cost"]["steps"], said["cost"]["trajectories"]) == (3, 16)
    assert said["note"].startswith("symsi.distill('tiny', start='a.safetensors', steps=1")
    ours, theirs = (load_file(next(p.with_suffix(".trajectories").glob("*-8.safetensors"))) for p in (first, second))
    assert not torch.equal(ours["x"], theirs["x"])
    symsi.distill(file, first, steps=3, force=True, **SMALL)  # the same name with other weights
    with pytest.raises(symsi.SymsiError, match="checkpoint of another run"):
        symsi.distill(file, second, steps=2, rate=1e-12, force=True, **asked)


def test_a_map_does_not_go_on_from_one_of_another_form(file: Path) -> None:
    with pytest.raises(
        symsi.SymsiError, match=r"cannot go on from digits28-map: that is of a Config.*width=48.*width=8"
    ):
        symsi.distill(file, start="digits28-map", steps=1, **SMALL)


def test_a_noise_network_of_ddpm_has_a_map_in_its_own_schedule() -> None:
    model = symsi.Model(UNet(CONFIG), schedule="ddpm", prediction="noise", shape=(1, 8, 8), classes=3)
    fast = symsi.distill(model, steps=1, **SMALL)
    assert str(fast.schedule) == "ddpm"
    assert symsi.sample(fast, shape=2, steps=2, conditions={"label": torch.arange(2)}).x.isfinite().all()


def test_a_schedule_without_a_name_is_refused_before_training() -> None:
    model = symsi.Model(UNet(CONFIG), schedule=symsi.Schedule("1-t", "t**3"), shape=(1, 8, 8))
    with pytest.raises(symsi.SymsiError, match=r"beta=t\*\*3\) is none of linear"):
        symsi.distill(model, steps=1, **SMALL)


@pytest.mark.slow  # three imports of torch and 120 steps
def test_a_killed_distillation_goes_on_to_the_same_bits(file: Path, tmp_path: Path) -> None:
    path, steps = tmp_path / "killed.safetensors", 65
    code = f"import symsi; symsi.distill({str(file)!r}, {str(path)!r}, steps={steps}, **{SMALL!r})"
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    process = subprocess.Popen([sys.executable, "-c", code], env=os.environ | threads)
    while not path.with_suffix(".checkpoint").exists() and process.poll() is None:
        time.sleep(0.002)
    process.kill()
    assert process.wait() == -9
    assert not path.exists()
    symsi.distill(file, path, steps=steps, **SMALL)
    symsi.distill(file, tmp_path / "whole.safetensors", steps=steps, **SMALL)
    found, wanted = load_file(path), load_file(tmp_path / "whole.safetensors")
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    lines = path.with_suffix(".log").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines][-2:] == [50, 65]


def test_where_the_loss_turns_nan_the_last_good_checkpoint_stays(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "map.safetensors"
    symsi.distill(file, path, steps=2, **SMALL)
    kept = path.with_suffix(".checkpoint").read_bytes()
    (chunk,) = (p for p in (tmp_path / "map.trajectories").iterdir() if "-8." in p.name)
    good = chunk.read_bytes()
    for change, message in SPOILT.items():
        chunk.write_bytes(_spoilt(chunk, change))
        with pytest.raises(symsi.SymsiError, match=message):
            symsi.distill(file, path, steps=4, force=True, **SMALL)
        assert path.with_suffix(".checkpoint").read_bytes() == kept
        chunk.write_bytes(good)
    read = trajectories._read
    monkeypatch.setattr(trajectories, "_read", lambda *asked: replace(read(*asked), x=read(*asked).x * float("nan")))
    with pytest.raises(symsi.SymsiError, match="loss of step 3 is nan"):
        symsi.distill(file, path, steps=4, force=True, **SMALL)
    assert path.with_suffix(".checkpoint").read_bytes() == kept


SPOILT = {
    "nan": "holds trajectories that are nan or inf",
    "cut": "does not hold 8 trajectories of",
    "kind": "does not hold 8 trajectories of",
    "none": "does not hold 8 trajectories of",
}


def _spoilt(path: Path, change: str) -> bytes:
    from safetensors import safe_open
    from safetensors.torch import save as serialised

    with safe_open(path, "pt") as held:
        tensors = {name: held.get_tensor(name) for name in held.keys()}  # noqa: SIM118
        metadata = held.metadata()
    if change == "none":
        del tensors["label"]
    elif change == "cut":
        tensors["x"] = tensors["x"][:, 1:].contiguous()
    elif change == "kind":
        tensors["velocity"] = tensors["velocity"].float()
    else:
        tensors["x"][:] = float("nan")
    return serialised(tensors, metadata)


@pytest.mark.parametrize(
    ("model", "options", "words"),
    [
        ("digits8", {}, "made from a U-Net such as digits28; digits8 is none"),
        ("digits28", {"output": "map.npz"}, "a .safetensors file; got 'map.npz'"),
        ("digits28", {"start": "digit28-map"}, "unknown flow map 'digit28-map'. Did you mean 'digits28-map'"),
        ("digits28", {"lose": "lmd"}, "unknown option of a recipe 'lose'. Did you mean 'loss'"),
        ("digits28", {"loss": "lmb"}, "unknown loss 'lmb'. Did you mean 'lmd'"),
        ("digits28", {"late": 1.5}, "late is a share, from 0 to 1; got 1.5"),
        ("digits28", {"steps": 0}, "steps must be a whole number from 1 on; got 0"),
        ("digits28", {"minutes": 0}, "minutes must be positive"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(model: str, options: dict[str, object], words: str) -> None:
    with pytest.raises(symsi.SymsiError, match=words):
        symsi.distill(model, **options)  # type: ignore[arg-type]

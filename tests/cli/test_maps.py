"""Flow maps as a user of the command line meets them: sampled, listed, distilled, refused."""

import json
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import symsi
from symsi.algebra.parse import parse
from symsi.bench import nfe
from symsi.models import pretrained_map
from symsi.models.map_net import MapNet
from symsi.models.pretrained import save
from symsi.models.pretrained_map import described_map, save_map
from symsi.models.unet import Config, UNet
from tests.cli.test_cli import in_process

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A map of digits28 as training begins: its velocity."""
    teacher = symsi.models.load("digits28")
    assert isinstance(teacher.function, UNet)
    net = MapNet(teacher.function, "linear", "trigonometric")
    path = tmp_path_factory.mktemp("maps") / "early-map.safetensors"
    cost = {"steps": 0, "images": 0, "minutes": 0.0}
    return save_map(path, net.state_dict(), teacher.function.config, teacher, "trigonometric", {}, cost=cost)


@pytest.mark.parametrize("steps", [1, 2])
def test_a_map_is_sampled_in_any_number_of_steps(
    capsys: Capture, monkeypatch: Patch, tmp_path: Path, file: Path, steps: int
) -> None:
    path = tmp_path / "x.safetensors"
    arguments = ("--model", str(file), "--steps", str(steps), "--count", "3", "--label", "7", "--seed", "5")
    code, out, err = in_process(capsys, monkeypatch, "sample", str(path), *arguments)
    assert code == 0, err
    assert f"3 samples at {steps} evaluation{'s' * (steps > 1)} each" in out
    flow, label = symsi.models.load_map(file), torch.full((3,), 7)
    wanted = symsi.sample(flow, shape=3, steps=steps, seed=5, conditions={"label": label}).x
    torch.testing.assert_close(load_file(path)["samples"], wanted, rtol=0, atol=1e-5)


def test_a_map_of_a_grid_stops_at_its_times(capsys: Capture, monkeypatch: Patch, tmp_path: Path, file: Path) -> None:
    arguments = ("sample", str(tmp_path / "x.npz"), "--model", str(file), "--grid", "0,0.3,1", "--count", "2")
    code, out, err = in_process(capsys, monkeypatch, *arguments)
    assert (code, "at 2 evaluations" in out) == (0, True), err


@pytest.mark.parametrize(("told", "share"), [(("--stochastic",), 1.0), (("--stochastic", "0.3"), 0.3)])
def test_the_steps_of_a_map_draw_noise_anew(
    capsys: Capture, monkeypatch: Patch, tmp_path: Path, file: Path, told: tuple[str, ...], share: float
) -> None:
    path = tmp_path / "x.safetensors"
    arguments = ("--model", str(file), "--steps", "2", "--count", "2", "--label", "7", *told)
    code, _, err = in_process(capsys, monkeypatch, "sample", str(path), *arguments)
    assert code == 0, err
    flow, label = symsi.models.load_map(file), torch.full((2,), 7)
    wanted = symsi.sample(flow, shape=2, steps=2, stochastic=share, conditions={"label": label}).x
    torch.testing.assert_close(load_file(path)["samples"], wanted, rtol=0, atol=1e-5)


def test_a_model_of_one_time_has_no_steps_to_draw_noise_between(
    capsys: Capture, monkeypatch: Patch, tmp_path: Path
) -> None:
    path = str(tmp_path / "x.png")
    for more in ((), ("--tolerance", "1e-2")):
        code, _, err = in_process(capsys, monkeypatch, "sample", path, "--stochastic", *more)
        assert (code, "stochastic" in err) == (2, True), err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--stochastic", "1.5"), "from 0 .* to 1"),
        (("--schedule", "linear"), "is a flow map.*leave --schedule out"),
        (("--solver", "ab2"), "leave --solver out; --steps and --grid say"),
        (("--diffusion", "optimal"), "leave --diffusion out"),
        (("--last", "land"), "leave --last out"),
        (("--tolerance", "1e-2"), "leave --tolerance out"),
        (("--guidance", "2"), "leave --guidance out"),
        (("--grid", "0,1.2"), "1"),
        (("--label", "11"), "0..9"),
        (("--steps", "0"), "at least 1"),
    ],
)
def test_what_does_not_go_with_a_map_is_refused_in_words(
    capsys: Capture, monkeypatch: Patch, tmp_path: Path, file: Path, arguments: tuple[str, ...], words: str
) -> None:
    path = tmp_path / "x.png"
    code, _, err = in_process(capsys, monkeypatch, "sample", str(path), "--model", str(file), *arguments)
    assert code == 2
    assert re.search(words, err), err
    assert not path.exists()


def test_a_map_that_ships_is_listed_and_has_a_name(
    capsys: Capture, monkeypatch: Patch, tmp_path: Path, file: Path
) -> None:
    monkeypatch.setattr(pretrained_map, "WEIGHTS", file.parent)
    code, out, err = in_process(capsys, monkeypatch, "models", "--json")
    assert code == 0, err
    row = json.loads(out)["early-map"]
    assert row["text"].startswith("flow map of digits28, samples in 1, 2, 4")
    assert (row["prediction"], row["schedule"]) == ("flow map", "trigonometric")
    code, out, err = in_process(
        capsys, monkeypatch, "sample", str(tmp_path / "x.png"), "--model", "early-map", "--steps", "1", "--count", "2"
    )
    assert code == 0, err
    with pytest.raises(symsi.UnknownNameError, match="Did you mean 'early-map'"):
        symsi.models.load_map("earlymap")


def test_a_map_is_no_model_of_one_time(file: Path) -> None:
    with pytest.raises(symsi.SymsiError, match=r"takes two times: symsi\.models\.load_map reads it"):
        symsi.models.load(file)


def test_a_map_is_distilled(capsys: Capture, monkeypatch: Patch, tmp_path: Path) -> None:
    config, path = Config(width=8, classes=3, heads=2), tmp_path / "map.safetensors"
    tiny = save(tmp_path / "tiny.safetensors", UNet(config).state_dict(), config, (1, 8, 8))
    arguments = ("distill", str(tiny), "-o", str(path), "--minutes", "1e-9", "--batch", "2", "--loss", "psd-m")
    code, out, err = in_process(capsys, monkeypatch, *arguments, "--late", "1")
    assert code == 0, err
    assert "map.checkpoint lets it go on" in out
    assert described_map(path)["cost"]["images"] == 2
    code, _, err = in_process(capsys, monkeypatch, *arguments)
    assert (code, "exists" in err) == (2, True)
    arguments = (*arguments[:3], str(tmp_path / "on.safetensors"), *arguments[4:], "--start", str(path))
    assert in_process(capsys, monkeypatch, *arguments)[0] == 0
    assert described_map(tmp_path / "on.safetensors")["cost"]["images"] == 4


def test_a_map_is_measured(capsys: Capture, monkeypatch: Patch, file: Path) -> None:
    monkeypatch.setattr(nfe, "CONVERGED", {**nfe.CONVERGED, "steps": 2})
    code, out, err = in_process(capsys, monkeypatch, "bench", "map", str(file), "--quick", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["cost"] == {"steps": 0, "images": 0, "minutes": 0.0}
    assert [(row["kind"], row["nfe"]) for row in found["rows"]] == [("map", 1)]
    assert 0 < found["certificate"]["error"] <= found["certificate"]["bound"]
    assert found["rows"][0]["ratio"] == found["rows"][0]["fd"] / found["converged"]["fd"]


DERIVE = ("derive", "--flow-map", "--from", "linear", "--to", "trigonometric")


def test_the_conversion_of_maps_is_derived_and_proved(capsys: Capture, monkeypatch: Patch) -> None:
    code, out, err = in_process(capsys, monkeypatch, *DERIVE, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert parse(found["scale"], symbols=["t"]) == parse("sin(pi*t/2) + cos(pi*t/2)", symbols=["t"])
    assert found["format"] == "symsi-map-conversion/1"
    assert set(found["coefficients"]) >= {"state", "prediction", "lagrangian", "eulerian", "semigroup"}
    code, out, err = in_process(capsys, monkeypatch, *DERIVE, "--proof")
    assert code == 0, err
    assert "map       X_{s,t}(x) = c_t X_{tau_s,tau_t}(x/c_s)" in out
    assert "Map is proved" in out
    for option, words in (("--latex", "Flow maps of linear to trigonometric"), ("--markdown", "## Behaviour")):
        code, out, err = in_process(capsys, monkeypatch, *DERIVE, option)
        assert (code, words in out) == (0, True), err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--diffusion", "optimal"), "one of the ODE; leave --diffusion out"),
        (("--prediction", "noise"), "leave --prediction out"),
        (("--gamma", "brownian"), "leave --interpolant and --gamma out"),
    ],
)
def test_what_maps_do_not_have_is_refused(
    capsys: Capture, monkeypatch: Patch, arguments: tuple[str, ...], words: str
) -> None:
    code, _, err = in_process(capsys, monkeypatch, *DERIVE, *arguments)
    assert (code, words in err) == (2, True), err

"""`symsi steer` on digits28, with small budgets."""

import json
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

import symsi
from tests.cli.test_cli import in_process

SMALL = ("--nfe", "40", "--steps", "4")


@pytest.fixture
def steer(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    return lambda *words: in_process(capsys, monkeypatch, "steer", *words)


def test_a_run_writes_the_picture_the_numbers_and_a_chart_and_says_what_it_spent(steer) -> None:
    words = ("x.png", "--reward", "class=7", *SMALL, "--samples", "x.safetensors", "--chart", "c.svg")
    code, out, err = steer(*words)
    assert code == 0, err
    assert out.startswith("10 samples by smc at 40 evaluations and ")
    assert "class=7: best -0." in out
    assert "log normalizer -" in out
    held = load_file("x.safetensors")
    assert {name: value.shape for name, value in held.items()} == {
        "samples": (10, 1, 28, 28),
        "rewards": (10,),
        "log_weights": (10,),
    }
    model = symsi.models.load("digits28")
    again = symsi.models.reward("class=7")(model.offset + model.gain * held["samples"])
    torch.testing.assert_close(held["rewards"].float(), again, rtol=1e-4, atol=1e-4)
    with safe_open("x.safetensors", "pt") as file:
        assert file.metadata() == {"model": "digits28", "reward": "class=7", "method": "smc", "nfe": "40"}
    assert matplotlib.image.imread("x.png").ndim == 3
    assert Path("c.svg").stat().st_size > 1000
    code, _, err = steer(*words)
    assert (code, "exists" in err) == (2, True)


@pytest.mark.parametrize("method", ["smc", "rbf", "svdd", "code", "dts", "bon"])
def test_a_method_spends_no_more_than_its_budget_and_prints_one_object(steer, method: str) -> None:
    many = () if method == "dts" else ("--particles", "2")
    words = (*many, "--rewards", "60", "--method", method, "--json")
    code, out, err = steer("x.png", "--reward=-ink", *SMALL, *words)
    assert code == 0, err
    said = json.loads(out)
    assert (said["method"], said["reward"], said["files"]) == (method, "-ink", ["x.png"])
    assert said["nfe"] <= 40
    assert said["reward_calls"] <= 60
    assert -1 < said["mean"] <= said["best"] <= 0.1
    assert (said["log_normalizer"] is None) == (method not in ("smc", "dts"))


def test_options_reach_the_run(steer, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {}
    monkeypatch.setattr(symsi, "steer", lambda *given, **words: told.update(words, given=given) or 1 / 0, raising=False)
    words = {
        "particles": 3,
        "children": 4,
        "temperature": 0.5,
        "tempering": "ess",
        "potential": "max",
        "ess": 0.3,
        "resample": "ssp",
        "twist": "gradient",
        "schedule": "lazy(kappa=1)",
        "diffusion": "optimal",
        "solver": "exact",
        "steps": 5,
        "last": "step",
        "guidance": 1.5,
        "seed": 7,
        "batch": 8,
        "reward_batch": 16,
    }
    options = [f"--{name.replace('_', '-')}={value}" for name, value in words.items()]
    with pytest.raises(ZeroDivisionError):
        steer("x.png", "--reward", "ink", "--label", "3", "--grid", "0,0.5,1", "--state", "s.run", *options)
    assert {name: told[name] for name in words} == words
    assert (told["grid"], told["state"], told["dtype"]) == ([0, 0.5, 1], Path("s.run"), torch.float32)
    assert told["conditions"]["label"].tolist() == [3]
    assert told["budget"] == symsi.Budget(500)
    told.clear()
    with pytest.raises(ZeroDivisionError):
        steer("x.png", "--reward", "ink", "--nfe", "80", "--rewards", "9", "--preset", "kim2025-linear-sde")
    assert told.keys() == {"given", "budget", "preset", "seed", "device", "dtype"}
    assert told["budget"] == symsi.Budget(80, 9)


def test_the_best_stand_first(steer) -> None:
    """Of nine samples in a square, brightest first: lines of the picture grow darker."""
    code, _, err = steer("x.png", "--reward", "ink", "--method", "bon", "--nfe", "36", "--steps", "4")
    assert code == 0, err
    drawn = matplotlib.image.imread("x.png")[..., 0]
    dark = np.flatnonzero((drawn < 0.5).mean(1) > 0.3)
    lines = np.array_split(drawn[dark[0] : dark[-1]], 3)
    brightness = [line.mean() for line in lines]
    assert brightness == sorted(brightness, reverse=True)


def test_a_run_goes_on_from_its_state(steer) -> None:
    words = ("--reward", "class=1", *SMALL, "--state", "s.run", "--json")
    code, first, err = steer("a.png", *words)
    assert code == 0, err
    code, again, err = steer("b.png", *words)
    assert code == 0, err
    kept = ("nfe", "reward_calls", "best", "mean", "log_normalizer")
    assert [json.loads(first)[name] for name in kept] == [json.loads(again)[name] for name in kept]
    code, _, err = steer("c.png", "--reward", "class=2", *words[2:])
    assert code == 2, err


def test_a_plan_is_followed(steer) -> None:
    model = symsi.models.load("digits28")
    symsi.plan(model, shape=(1, 28, 28), schedule="linear", diffusion="optimal", steps=4).save("p.json")
    code, out, err = steer("x.png", "--reward", "ink", "--nfe", "40", "--plan", "p.json")
    assert code == 0, err
    assert out.startswith("10 samples")
    code, _, err = steer("y.png", "--reward", "ink", "--plan", "p.json", "--steps", "4")
    assert (code, err) == (2, "symsi: --plan says how to sample; leave --steps out.\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("x.png",), "Missing option '--reward'"),
        (("x.png", "--reward", "class=12"), "must lie in 0..9"),
        (("x.png", "--reward", "inc"), "Did you mean 'ink'"),
        (("x.npz", "--reward", "ink"), "cannot draw 'x.npz'"),
        (("x.png", "--reward", "ink", "--samples", "x.npz"), "--samples takes a .safetensors file"),
        (("x.png", "--reward", "ink", "--chart", "x.png"), "files of their own"),
        (("x.png", "--reward", "ink", "--state", "x.png"), "files of their own"),
        (("x.png", "--reward", "ink", "--chart", "c.txt"), "cannot draw 'c.txt'"),
        (("none/x.png", "--reward", "ink"), "there is no such folder"),
        (("x.png", "--reward", "ink", "--label", "10"), "--label must lie in 0..9; got 10"),
        (("x.png", "--reward", "ink", "--label", "1", "--model", "digits8"), "digits8 has no classes"),
        (("x.png", "--reward", "ink", "--model", "digit28"), "Did you mean 'digits28'"),
        (("x.png", "--reward", "ink", "--method", "smcc"), "Did you mean 'smc'"),
        (("x.png", "--reward", "class=7", "--model", "digits8", *SMALL), "class=7 takes digits of shape"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(steer, words: tuple[str, ...], message: str) -> None:
    code, _, err = steer(*words)
    assert code == 2
    assert message in err
    assert not list(Path.cwd().iterdir())

"""sample, calibrate, models, bench nfe, demo, as a user meets them."""

import json
import warnings
from dataclasses import replace
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import symsi
from symsi.models.features import SHIPPED
from symsi.proofs import load
from tests.cli.test_cli import in_process

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch
REFINED = (
    *("calibrate", "solver", "digits8", "--output", "s.json", "--steps", "1", "--samples", "4"),
    *("--refine", "joint"),
)


def test_sample_writes_numbers_and_a_picture(capsys: Capture, monkeypatch: Patch, tmp_path: Path) -> None:
    numbers, picture = tmp_path / "x.npz", tmp_path / "x.png"
    arguments = ("sample", str(numbers), "--count", "6", "--steps", "2", "--label", "3", "--picture", str(picture))
    code, out, err = in_process(capsys, monkeypatch, *arguments)
    assert code == 0, err
    assert "6 samples at 2 evaluations each" in out
    with np.load(numbers) as held:
        assert held["samples"].shape == (6, 1, 28, 28)
        assert str(held["nfe"]) == "2"
    assert matplotlib.image.imread(picture).shape == (560, 840)  # 2 lines of 3 images, each pixel 10 x 10
    code, _, err = in_process(capsys, monkeypatch, *arguments)
    assert (code, "exists" in err) == (2, True)


def test_the_same_seed_gives_the_same_file_in_any_batch(capsys: Capture, monkeypatch: Patch, tmp_path: Path) -> None:
    found = []
    for name, batch in (("a", "5"), ("b", "2")):
        path = tmp_path / f"{name}.safetensors"
        arguments = ("sample", str(path), "--model", "digits8", "--count", "5", "--steps", "3", "--batch", batch)
        assert in_process(capsys, monkeypatch, *arguments, "--seed", "7")[0] == 0
        found.append(load_file(path)["samples"])
    torch.testing.assert_close(*found, rtol=0, atol=1e-5)


def test_a_solver_is_calibrated_and_used(capsys: Capture, monkeypatch: Patch, tmp_path: Path) -> None:
    fit = ("calibrate", "solver", "digits8", "--samples", "4", "--output", str(tmp_path / "solver.json"))
    code, out, err = in_process(capsys, monkeypatch, *fit, "--steps", "3,2")
    assert code == 0, err
    assert [line.split(":")[0] for line in out.splitlines()] == ["2 steps, 2 evaluations", "3 steps, 3 evaluations"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["solver-2.json", "solver-3.json"]
    drawn = ("sample", str(tmp_path / "x.npz"), "--model", "digits8", "--count", "3")
    code, out, err = in_process(capsys, monkeypatch, *drawn, "--plan", str(tmp_path / "solver-2.json"))
    assert code == 0, err
    assert "3 samples at 2 evaluations each" in out
    code, _, err = in_process(capsys, monkeypatch, *fit, "--steps", "2,4")
    assert (code, "exists" in err) == (2, True)
    code, _, err = in_process(capsys, monkeypatch, *fit, "--by-channel")
    assert (code, "(1, 8, 8) have one channel. Leave by_channel out" in err) == (2, True)


def test_a_reference_is_calibrated_and_used(capsys: Capture, monkeypatch: Patch, tmp_path: Path) -> None:
    path, data = tmp_path / "r.safetensors", tmp_path / "data.npy"
    np.save(data, np.random.default_rng(0).normal(size=(50, 1, 8, 8)))
    for source in (("--model", "digits8", "--count", "64", "--steps", "4"), ("--data", str(data))):
        code, out, err = in_process(
            capsys, monkeypatch, "calibrate", "reference", *source, "--kind", "dct", "--force", str(path)
        )
        assert code == 0, err
        assert "64 variances" in out
    code, _, err = in_process(
        capsys,
        monkeypatch,
        "sample",
        str(tmp_path / "x.png"),
        "--model",
        "digits8",
        "--reference",
        str(path),
        "--count",
        "4",
        "--grid",
        "0,0.3,0.6,1",
    )
    assert code == 0, err


def test_a_grid_is_calibrated(capsys: Capture, monkeypatch: Patch) -> None:
    code, out, err = in_process(
        capsys, monkeypatch, "calibrate", "grid", "--model", "digits8", "--steps", "3", "--count", "8", "--json"
    )
    assert code == 0, err
    assert len(json.loads(out)["grid"]) == 4


def test_models_are_listed(capsys: Capture, monkeypatch: Patch) -> None:
    code, out, _ = in_process(capsys, monkeypatch, "models", "--json")
    assert code == 0
    assert json.loads(out)["digits28"]["shape"] == [1, 28, 28]


def test_bench_nfe_prints_rows_and_draws(capsys: Capture, monkeypatch: Patch, tmp_path: Path) -> None:
    pytest.importorskip("diffusers")
    plot = tmp_path / "nfe.png"
    code, out, err = in_process(
        capsys,
        monkeypatch,
        "bench",
        "nfe",
        "--model",
        "digits8",
        "--nfe",
        "2,4",
        "--samples",
        "20",
        "--repeats",
        "2",
        "--method",
        "lazy VP AB2",
        "--json",
        "--plot",
        str(plot),
    )
    assert code == 0, err
    assert [row["nfe"] for row in json.loads(out)["rows"]] == [2, 4]
    assert plot.stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sample", "x.gif"), "suffix must be one of"),
        (("sample", "nowhere/x.png"), "no such folder"),
        (("sample", "x.png", "--model", "digit28"), "Did you mean 'digits28'"),
        (("sample", "x.png", "--steps", "0"), "at least 1"),
        (("sample", "x.png", "--solver", "ab22"), "Did you mean 'ab2'"),
        (("sample", "x.png", "--solver", "ab2", "--diffusion", "optimal"), "deterministic but"),
        (("sample", "x.png", "--grid", "0,half,1"), "--grid takes"),
        (("sample", "x.png", "--label", "11"), "0..9"),
        (("sample", "x.png", "--count", "1000000000000"), "take 3,136,000 GB"),
        (("sample", "x.npz", "--count", "1000000000000", "--model", "digits8"), "Draw fewer"),
        (("sample", "x.png", "--label", "1", "--model", "digits8"), "no classes"),
        (("sample", "x.png", "--device", "gpu"), "cpu, cuda or such"),
        (("sample", "x.png", "--reference", "none.safetensors"), "cannot read a reference"),
        (("sample", "x.png", "--solver", "gaussian"), "give spectrum="),
        (("sample", "x.png", "--solver", "gaussian(ridge=x)"), "a number of at least 0"),
        (("calibrate", "reference", "r.safetensors"), "--model NAME"),
        (("calibrate", "reference", "r.npy", "--model", "digits8"), ".safetensors"),
        (("calibrate", "reference", "r.safetensors", "--data", "none.npy"), "cannot read samples"),
        (
            ("calibrate", "reference", "r.safetensors", "--data", "x.csv"),
            "samples are read from .npy, .npz, .safetensors",
        ),
        (("calibrate", "solver", "digits8", "--output", "s.txt"), "a plan is a .json file"),
        (("calibrate", "solver", "digits8", "--output", "s.json", "--steps", "two"), "--steps takes a whole number"),
        (("calibrate", "solver", "digits8", "--output", "s.json", "--steps", "0"), "whole number from 1 on"),
        (("calibrate", "solver", "digits8", "--output", "s.json", "--guidance", "2"), "unconditional prediction"),
        (("calibrate", "solver", "digits8", "--output", "s.json", "--features", "f"), "add --refine joint"),
        ((*REFINED, "--features", "none.safetensors"), "cannot read features"),
        ((*REFINED, "--features", str(SHIPPED)), "(B, 1, 28, 28); got (2, 1, 8, 8)"),
        (("sample", "x.png", "--plan", "none.json"), "there is no plan none.json"),
        (("sample", "x.png", "--plan", "none.json", "--steps", "3"), "leave --steps out"),
        (("train", "flow", "w.safetensors", "--dataset", "fashon"), "Did you mean 'fashion'"),
        (("train", "features", "w.safetensors", "--dataset", "fashion", "--data", "none"), "cannot read none"),
        (
            ("sample", "x.npz", "--tolerance", "1e-2", "--steps", "4"),
            "--tolerance chooses the steps; leave --steps out",
        ),
        (("sample", "x.npz", "--tolerance", "1e-2", "--plan", "p.json"), "leave --plan out"),
        (("sample", "x.npz", "--model", "digits8", "--tolerance", "2"), "between 0 and 1"),
        (("bench", "nfe", "--nfe", "two"), "--nfe takes"),
        (("bench", "nfe", "--model", "digits9"), "Did you mean"),
        (("train", "flow", "weights.bin"), ".safetensors"),
    ],
)
def test_refusals_leave_no_file(
    capsys: Capture, monkeypatch: Patch, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = in_process(capsys, monkeypatch, *arguments)
    assert code == 2
    assert message in err
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())


def test_a_file_of_pickled_objects_is_refused(capsys: Capture, monkeypatch: Patch, tmp_path: Path) -> None:
    data = tmp_path / "data.npy"
    np.save(data, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    code, _, err = in_process(
        capsys, monkeypatch, "calibrate", "reference", str(tmp_path / "r.safetensors"), "--data", str(data)
    )
    assert (code, "cannot read samples" in err) == (2, True)
    save_file({}, tmp_path / "empty.safetensors")
    code, _, err = in_process(
        capsys,
        monkeypatch,
        "calibrate",
        "reference",
        str(tmp_path / "r.safetensors"),
        "--data",
        str(tmp_path / "empty.safetensors"),
    )
    assert (code, "cannot read samples" in err) == (2, True)


def test_an_interrupted_run_leaves_no_file(capsys: Capture, monkeypatch: Patch, tmp_path: Path) -> None:
    def stop(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("symsi.sampling.sample.run", stop)
    code, _, err = in_process(capsys, monkeypatch, "sample", str(tmp_path / "x.npz"), "--model", "digits8")
    assert (code, "interrupted" in err) == (130, True)
    assert not list(tmp_path.iterdir())


def test_the_demo_derives_proves_compiles_and_samples(capsys: Capture, monkeypatch: Patch, tmp_path: Path) -> None:
    """With two of the theorems: the others are proved in tests/derivations."""
    picture = tmp_path / "demo.png"
    monkeypatch.setattr("symsi.cli.demo.proved", lambda: [load(name)() for name in ("T4", "T10")])
    code, out, err = in_process(capsys, monkeypatch, "demo", "--output", str(picture), "--count", "30")
    assert code == 0, err
    for word in ("1. Derived", "2. Proved", "3. Compiled", "4. Sampled", "lazy VP + AB2", "5. Drawn"):
        assert word in out
    assert "tau = u/(u + w), c = u*(u + w)," in out
    assert "of 30 samples a cell" in out
    assert matplotlib.image.imread(picture).shape[0] > 500


def test_a_noise_network_is_sampled_by_its_own_defaults(capsys: Capture, monkeypatch: Patch, tmp_path: Path) -> None:
    found = []
    for name, options in (
        ("own", ()),
        ("told", ("--schedule", "ddpm", "--grid", "eased")),
        ("other", ("--grid", "angle")),
    ):
        path = tmp_path / f"{name}.safetensors"
        arguments = ("sample", str(path), "--model", "fashion28-noise", "--count", "2", "--steps", "3", *options)
        assert in_process(capsys, monkeypatch, *arguments)[0] == 0
        found.append(load_file(path)["samples"])
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_bench_advice_prints_a_table_and_json(capsys: Capture, monkeypatch: Patch) -> None:
    bench = ("bench", "advice", "--model", "mixture", "--nfe", "2,4", "--samples", "10")
    code, out, err = in_process(capsys, monkeypatch, *bench)
    assert code == 0, err
    assert out.splitlines()[1].split() == ["method", "2", "4"]
    code, out, err = in_process(capsys, monkeypatch, *bench, "--json")
    assert json.loads(out)["model"] == "mixture"


def test_a_warning_is_one_line_in_words(capsys: Capture, monkeypatch: Patch, tmp_path: Path) -> None:
    plan = symsi.plan("linear", steps=2)
    path = tmp_path / "plan.json"
    replace(plan, origin={**plan.origin, "shape": "(3,)"}).save(path)
    drawn = ("sample", str(tmp_path / "x.npz"), "--model", "digits8", "--count", "2", "--plan", str(path))
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        code, _, err = in_process(capsys, monkeypatch, *drawn)
    assert code == 0, err
    assert "symsi: warning: this plan was fitted to samples of shape (3,)" in err
    assert ".py" not in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("sample", "x.npz", "--model", "digits8", "--plan", "bad.json"),
            "bad.json is no plan: it is not JSON at line 1",
        ),
        (("calibrate", "reference", "r.safetensors", "--data", "none.npy"), "none.npy: no such file or directory"),
        (("calibrate", "reference", "r.safetensors", "--data", "bad.npy"), "bad.npy: it is no .npy file"),
        (("calibrate", "reference", "r.safetensors", "--data", "words.npy"), "words.npy: it holds <U1, not numbers"),
        (("sample", "x.npz", "--model", "digits8", "--grid", "uniform(3)"), "grid 'uniform' has nothing to set"),
        (("sample", "x.npz", "--model", "digits8", "--diffusion", "kappa=1e9"), "Use a smaller kappa"),
        (("sample", "x.npz", "--model", "digits8", "--diffusion", "kappa=abc"), "Give a number such as 2"),
        (("derive", "--alpha", "1-t", "--beta", "t*q"), "on the command line --parameter q=2"),
        (("bench", "advice", "--nfe", "two"), "--nfe takes a whole number from 1 on"),
    ],
)
def test_a_refusal_is_in_words_and_not_in_python(
    capsys: Capture, monkeypatch: Patch, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("bad.json", "bad.npy"):
        Path(name).write_text("junk")
    np.save("words.npy", np.array(["a"]))
    code, _, err = in_process(capsys, monkeypatch, *arguments)
    assert (code, message in err) == (2, True), err
    for quoted in ("Errno", "Traceback", "keyword argument", "literal", "pickle", "Error("):
        assert quoted not in err
    assert not Path("x.npz").exists()


def test_sample_to_a_tolerance_takes_the_steps_that_it_needs(
    capsys: Capture, monkeypatch: Patch, tmp_path: Path
) -> None:
    counts = []
    for tolerance in ("0.1", "0.01"):
        options = ("--model", "digits8", "--count", "4", "--tolerance", tolerance)
        code, out, err = in_process(capsys, monkeypatch, "sample", str(tmp_path / f"{tolerance}.npz"), *options)
        assert code == 0, err
        counts.append(int(out.split(" at ")[1].split()[0]))
    assert 3 < counts[0] < counts[1] < 100

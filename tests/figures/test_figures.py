"""Figures: each script runs by the public interface, says what it found in numbers, and refuses what it cannot do."""

import json
import math
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import matplotlib.image
import pytest
from click.testing import CliRunner

from symsi.cli.figures import _differences, command
from symsi.errors import SymsiError, UnknownNameError
from symsi.figures import FOLDER, NAMES, Drawing, check, draw, measured
from symsi.plotting.style import column, label_lines, style


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two quick figures."""
    out = tmp_path_factory.mktemp("figures")
    only = ["--only", "schedules", "--only", "quality"]
    done = CliRunner().invoke(command, [*only, "--quick", "--out", str(out)], catch_exceptions=False)
    assert done.exit_code == 0
    return out


# What each figure is about must hold for its quick version too: numbers by part of their name, and a bound.
CLAIMS = {
    "fewer_steps": (
        ("lazy VP + AB2, shift 2, rmse to converged samples at 4", 0.0, 0.28),
        ("linear Euler, rmse to converged samples at 4", 0.35, 0.5),
        ("DPM++2M, rmse to converged samples at 4", 0.35, 0.5),
    ),
    "quality": (("lazy VP AB2, optimised grid, FD at 4", 2.0, 3.5),),
    "schedules": (("point mass", 0.0, 0.0),),
    "time_maps": (("back(tau_t)", 0.0, 1e-12),),
    "paths": (("ODE, VP: largest gap", 0.0, 1e-4), ("ODE, point mass", 0.0, 0.01), ("SDE, VP", 0.0, 0.03)),
    "laziness": (
        ("Gaussian data N(0, 1), lazy VP", 0.0, 1e-9),
        ("Gaussian data N(0, 1), point mass", 0.0, 1e-9),
        ("Gaussian data N(0, 1), linear ODE", 2 - math.pi / 2 - 0.06, 2 - math.pi / 2 + 0.06),  # E|b|^2 = 2 - pi/2
        ("digits28, a pixel, lazy VP", 1.0, 4.0),
    ),
    "optimal_diffusion": (("path KL, kappa = 1, wrong late", 0.03, 0.3),),
    "endpoints": (("symsi, worst ulp", 0.0, 0.5001),),
    "modal": (("mode 1 is half", 0.05, 0.15), ("mode 128 is half", 0.6, 0.85)),
    "bridges": (
        ("energy distance to the law", -0.02, 0.02),
        ("sigma = 2: covariance", -0.05, 0.09),  # exact: 0.02, and 0.278; 1000 pairs
        ("sigma = 0.1: covariance", 0.22, 0.34),
    ),
    "flow_maps": (
        ("steps, rmse to the teacher's samples", 0.1, 0.5),
        ("rmse of the learned map", 0.0, 0.25),
        ("error, rms", 0.1, 0.5),
        ("bound (T23), rms", 0.5, 4.0),
    ),
    "steering": (
        ("SMC, squared energy distance", 0.0, 0.25),
        ("SMC, fan-out 8, squared energy distance", 0.0, 0.12),
        ("RBF, squared energy distance", 0.1, 3.0),
        ("best of 50, squared energy distance", 0.3, 3.0),
    ),
    "restore": (("ODE, rmse of the shown", 0.02, 0.2), ("regression, rmse of the shown", 0.02, 0.15)),
}


LONG = ("paths", "laziness", "optimal_diffusion", "time_maps")


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow if n in LONG else ()) for n in NAMES])
def test_a_quick_figure_is_written_and_its_claims_hold(tmp_path: Path, name: str) -> None:
    line = draw(name, tmp_path, quick=True)
    for part, low, high in CLAIMS[name]:
        found = [value for what, (value, _) in line["numbers"].items() if part in what]
        assert found
        assert all(low <= value <= high for value in found), (part, found)
    image = matplotlib.image.imread(tmp_path / f"{name}.png")
    assert image.shape[1] == round(6.9 * 200)
    assert image[..., :3].std() > 0.05
    assert (tmp_path / f"{name}.pdf").read_bytes().startswith(b"%PDF")


def test_every_script_is_listed_and_every_name_has_a_script() -> None:
    assert sorted(NAMES) == sorted(p.stem for p in FOLDER.glob("*.py") if p.stem != "__init__")
    for name in NAMES:
        assert callable(import_module(f"symsi.figures.{name}").draw)


def test_a_script_of_the_checkout_draws_its_figure(tmp_path: Path) -> None:
    script = Path(__file__).parents[2] / "figures" / "schedules.py"
    done = subprocess.run([sys.executable, script, "--quick", "--out", tmp_path], capture_output=True, text=True, check=True)
    assert "point mass" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["schedules.pdf", "schedules.png"]


def test_the_manifest_says_how_each_was_made(drawn: Path) -> None:
    manifest = json.loads((drawn / "manifest.json").read_text())
    assert sorted(manifest) == ["quality", "schedules"]
    for name, line in manifest.items():
        assert line["script"] == f"figures/{name}.py"
        assert line["quick"] is True
        assert set(line["versions"]) == {"python", "symsi", "sympy", "numpy", "torch", "matplotlib"}
        assert line["seconds"] > 0
        assert len(line["data"]) == 16
        assert all(math.isfinite(value) and spread >= 0 for value, spread in line["numbers"].values())


def test_the_shipped_manifest_is_of_full_figures_and_its_files_are_there() -> None:
    manifest = json.loads((FOLDER / "manifest.json").read_text())
    assert sorted(manifest) == sorted(NAMES)
    for name, line in manifest.items():
        assert line["quick"] is False
        assert (FOLDER / f"{name}.png").exists()
        assert (FOLDER / f"{name}.pdf").exists()


@pytest.mark.parametrize("name", ["schedules", "quality", "endpoints"])
def test_a_full_figure_has_the_shipped_numbers_and_data(tmp_path: Path, name: str) -> None:
    shipped = json.loads((FOLDER / "manifest.json").read_text())[name]
    line = draw(name, tmp_path)
    assert line["data"] == shipped["data"] or name == "endpoints"  # errors there depend on libm's last bit
    assert _differences(line["numbers"], shipped["numbers"]) == []


def test_numbers_that_moved_are_named() -> None:
    old = {"a": [1.0, 0.1], "b": [2.0, 0.0], "gone": [1.0, 0.0]}
    assert _differences({"a": [1.4, 0.1], "b": [2.0, 0.0]}, old) == ["gone is not measured any more"]
    assert _differences({"a": [math.nan, 0.1]}, {"a": [1.0, 0.1]}) == ["a is nan, was 1 +- 0.1"]
    assert "a is 1.5" in _differences({"a": [1.5, 0.1], "b": [2.0, 0.0], "gone": [1.0, 0.0]}, old)[0]


def test_a_number_that_moved_ends_in_exit_code_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    manifest = {"schedules": {"numbers": {"size of the point mass at t = 0": [0.5, 0.1]}}}
    (shipped / "manifest.json").write_text(json.dumps(manifest))
    monkeypatch.setattr("symsi.cli.figures.FOLDER", shipped)
    done = CliRunner().invoke(command, ["--only", "schedules", "--out", str(tmp_path / "out")])
    assert done.exit_code == 1
    assert "schedules: size of the point mass at t = 0 is 0, was 0.5 +- 0.1" in done.output


def test_a_manifest_of_another_shape_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"schedules": {}}')
    with pytest.raises(SymsiError, match="no manifest of figures"):
        CliRunner().invoke(command, ["--only", "schedules", "--out", str(tmp_path)], catch_exceptions=False)


def test_an_unknown_figure_is_refused_with_the_closest_name(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'laziness'"):
        check(("lazines",), tmp_path)


def test_a_figure_that_exists_is_not_overwritten_unasked(drawn: Path) -> None:
    with pytest.raises(SymsiError, match=r"schedules\.png exists"):
        check(("schedules",), drawn)


def test_a_folder_that_cannot_be_made_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SymsiError, match="cannot make the folder"):
        CliRunner().invoke(command, ["--out", str(tmp_path / "file" / "below")], catch_exceptions=False)


def test_missing_data_are_refused_with_the_command_that_makes_them() -> None:
    with pytest.raises(SymsiError, match=r"`symsi bench nfe --json > .*none\.json` makes it"):
        measured("none.json", "symsi bench nfe --json", ())


def test_data_of_another_benchmark_are_refused_with_the_key_that_is_missing() -> None:
    with pytest.raises(SymsiError, match="no 'converged'"):
        measured("sampler.json", "symsi bench nfe --json", ("rows", "converged"))


def test_a_quick_figure_says_so_and_a_full_one_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = import_module("symsi.figures.schedules")
    seen: list[Drawing] = []
    whole = script.draw

    def keep(quick: bool, seed: int) -> Drawing:
        seen.append(whole(quick, seed))
        return seen[-1]

    monkeypatch.setattr(script, "draw", keep)
    for quick in (True, False):
        draw("schedules", tmp_path, quick=quick, force=True)
        marks = [text.get_text() for text in seen[-1].figure.texts]
        assert any("quick" in text for text in marks) is quick


def test_labels_of_lines_that_end_together_do_not_overlap() -> None:
    with style():
        figure = column(2.0)
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1])
        label_lines(axes, [(0.5, "a", "black"), (0.5, "b", "black"), (0.51, "c", "black"), (0.99, "d", "black")])
        figure.draw_without_rendering()
        boxes = [text.get_window_extent() for text in axes.texts]
    for k, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[k + 1 :])

"""Tables of the pages that quote a figure's JSON: each cell is the number there, rounded as it is shown."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.tables import table

ROOT = Path(__file__).parents[2]
Row = Mapping[str, Any]

_LABELS = {  # of the pages, where they are not the names of the benchmark
    "fitted, 32 samples": "fitted",
    "symsi, fitted to 32 samples": "fitted",
    "symsi, fitted to 8 samples": "fitted, 8 samples",
    "symsi without a fit (lazy VP + AB2, shift 2)": "lazy VP AB2, shift 2",
    "UniPC, on the same grid": "UniPC, shift 2",
    "UniPC, as shipped with diffusers": "UniPC",
    'fitted, `refine="joint"`': "fitted, joint",
    'fitted, `refine="joint"`, features, 128 samples': "fitted, features",
    "by gradient, in the manner of GS": "by gradient (as GS)",
    "linear SDE (epsilon = alpha), landing": "linear SDE",
    "point mass, landing": "point mass",
    "ours, `plan` of a fitted solver": "symsi, fitted",
    "ours, as it is": "symsi, default",
    'ours, `grid="sigmas"`, shift 2': "symsi, sigmas of the config, shift 2",
    'ours, `grid="sigmas"`': "symsi, sigmas of the config",
    'ours, `diffusion="optimal"`': "symsi, optimal SDE",
    "FlowMatchEuler, `stochastic_sampling`": "FlowMatchEuler, stochastic_sampling",
}


def figure(name: str) -> Any:
    return json.loads((ROOT / "symsi" / "figures" / f"{name}.json").read_text())


def same(shown: str, value: float, spread: float | None = None) -> None:
    """The value, and the spread if one is shown, rounded to as many places as are shown."""
    number, _, more = shown.partition(" +- ")
    for text, found in ((number, value), (more, spread)):
        if text:
            assert found is not None
            places = len(text.partition(".")[2])
            assert abs(float(text) - found) <= 0.5 * 10**-places + 1e-9, (shown, value, spread)


def at(rows: Iterator[Row] | list[Row], label: str, count: str, name: str = "method", steps: str = "nfe") -> Row:
    """The one row of a method at a number of evaluations."""
    wanted = _LABELS.get(label, label.replace(" + ", " ").removesuffix(", as shipped"))
    (found,) = [r for r in rows if r[name] == wanted and r[steps] == int(count)]
    return found


def best(rows: list[Row], solver: str, count: str) -> Row:
    """The row of a solver with the least distance, of all its grids."""
    return min((r for r in rows if r["method"].startswith(solver) and r["nfe"] == int(count)), key=lambda r: r["fd"])


@pytest.mark.parametrize(
    ("page", "head", "name"),
    [
        ("sampling.md", "evaluations 2 3 4 6 8 32", "nfe"),
        ("sampling.md", "evaluations 2 3 4 5 6 8 10 calibration at 3", "nfe-fashion28"),
        ("sampling.md", "evaluations 2 3 4 5 6 8 10 12", "nfe-fashion28-2000"),
        ("../README.md", "Fréchet distance at N evaluations", "nfe"),
    ],
)
def test_frechet_distances_by_evaluations(page: str, head: str, name: str) -> None:
    rows = figure(name)["rows"]
    columns, lines = table(page, head)
    for label, *cells in lines:
        for count, cell in zip(columns[1:], cells, strict=True):
            if cell and count == "calibration at 3":
                assert re.sub(r"\D", "", cell) == str(at(rows, label, "3")["calibration"])
            elif cell:
                solver, _, several = label.partition(", best of ")
                found = best(rows, solver, count) if several else at(rows, label, count)
                same(cell, found["fd"], found["fd_spread"])


def test_schedulers_in_pipelines() -> None:
    rows = figure("pipelines")["quality"]
    columns, lines = table("diffusers.md", "steps 2 3 4 8 16")
    for label, *cells in lines:
        for count, cell in zip(columns[1:], cells, strict=True):
            if cell:
                found = at(rows, label, count, "scheduler", "steps")
                same(cell, found["fd"], found["fd_spread"])


def test_flow_maps_beside_solvers() -> None:
    digits, fashion = figure("map")["rows"], figure("map-fashion")["rows"]
    for label, count, *cells in table("flow-maps.md", " evaluations `digits28`: Fréchet distance")[1]:
        columns: list[tuple[list[Row], str, Callable[[Row], float | None]]] = [
            (digits, "fd", lambda r: r["fd_spread"]),
            (digits, "ratio", lambda r: None),
            (digits, "accuracy", lambda r: None),
            (digits, "rmse_converged", lambda r: None),
            (fashion, "fd", lambda r: r["fd_spread"]),
            (fashion, "ratio", lambda r: None),
            (fashion, "rmse_converged", lambda r: None),
        ]
        for cell, (rows, key, spread) in zip(cells, columns, strict=True):
            found = at(rows, label, count)
            same(cell, found[key], spread(found))


def test_objectives_of_flow_maps() -> None:
    found = figure("objectives")
    rows = {r["objective"]: r for r in found["rows"]}
    _, lines = table("flow-maps.md", "objective teacher")
    for label, teacher, steps, seconds, whole, between in lines:
        if label == "the identity":
            same(whole, found["still"]["whole"])
            same(between, found["still"]["between"])
            continue
        row = rows.pop(label)
        assert (teacher, steps) == (row["teacher"] or "none", str(row["steps"]))
        same(seconds, row["seconds"])
        same(whole, row["whole"])
        same(between, row["between"])
    assert not rows


def test_the_checkerboard() -> None:
    found = figure("checkerboard")
    rows = {r["objective"]: r for r in found["rows"]}
    for label, steps, seconds, *cells in table("flow-maps.md", "objective steps seconds KL at 1")[1]:
        row = {"kl": found["published"]} if label == "LSD, published" else rows.pop(label)
        for cell, count in zip(cells, ("1", "2", "4", "8", "16"), strict=True):
            same(cell, row["kl"][count])
        if steps:
            assert steps == str(row["steps"])
            same(seconds, row["seconds"])
    assert not rows


def test_numbers_by_channel() -> None:
    rows = figure("channels")["channels"]
    columns, lines = table("plans.md", "evaluations 1 2 3 4")
    for label, *cells in lines:
        what, _, rest = label.rpartition(": ")
        own, count = rest.endswith("one a channel"), int(rest.split()[0])
        for steps, cell in zip(columns[1:], cells, strict=True):
            alike = [r for r in rows if r["calibration"] == count and r["by_channel"] == own]
            (found,) = [r for r in alike if r["steps"] == int(steps)]
            if what:
                same(cell, found["channels"][0])
                continue
            median, _, worst = cell.rstrip(")").partition(" (")
            same(median, found["rmse"])
            same(worst, found["worst"])
    assert len(lines) == 8

"""The benchmark of steering: rows say what they are named for, by a judge that sees images in its own units."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

import symsi
from symsi.bench.steering import digit_rows, gaussian_rows, mixture_rows, modes
from symsi.cli.bench import command
from tests.tables import tables

ROOT = Path(symsi.__file__).parents[1]
TRANSITIONS = {  # as the page names them
    "linear SDE": "linear SDE, g = 3 sigma^2, landing",
    "linear SDE, multinomial": "the same, multinomial at every level",
    "modal kappa = 1": "modal kappa = 1, w = 1 - (1 - i/N)^2",
    "point mass, exact": "lazy(kappa=1), exact, landing",
    "VP SDE": "VP SDE at its own grid, landing from .71",
}


def lines(
    rows: list[dict[str, Any]], name: str, across: list[dict[str, Any]], cell: str, last: str
) -> Iterator[list[str]]:
    """The cells of a line of a table for each name, with a cell for each column that has a row."""
    for label in dict.fromkeys(name.format(**row) for row in rows):
        mine = [row for row in rows if name.format(**row) == label]
        found = [[row for row in mine if column.items() <= row.items()] for column in across]
        cells = [cell.format(**row[0]) if row else "" for row in found]
        yield [label, *cells, *([last.format(**mine[-1])] if last else [])]


def test_what_was_measured_stands_on_the_page() -> None:
    found = json.loads((ROOT / "symsi" / "figures" / "steering.json").read_text())
    mixture = [
        row | {"name": TRANSITIONS[row["transition"]] + "; fan-out 8" * (row["children"] == 8)}
        for row in found["mixture"]["rows"]
    ]
    columns = [{"reward": reward, "steps": n} for reward in ("linear", "quadratic") for n in (10, 5)]
    budgets = [{"budget": n} for n in (50, 100, 200, 500)]
    seven = "{reward:.2f} ± {reward_error:.2f}, {right:.2f}, {fd:.0f}"
    wanted = [
        lines(mixture, "{name}", columns, "{distance:.3f}", ""),
        lines(
            found["digits"]["rows"],
            "{transition}, {contender}",
            budgets,
            "{reward:.1f} ± {reward_error:.1f}",
            "{sure:.2f}, {diversity:.2f}, {reward_calls}",
        ),
        lines(found["sevens"]["rows"], "{transition}, {contender}", [budgets[k] for k in (0, 1, 3)], seven, ""),
    ]
    for (_, *shown), rows in zip(tables("steering.md", "## Measured"), wanted, strict=True):
        assert sorted(shown) == sorted(rows)


def test_rows_of_the_mixture_have_the_exact_tilt_beside_them() -> None:
    rows = list(mixture_rows(steps=(4,), particles=40, runs=3))
    assert len(rows) == 2 * 5 * 2
    for row in rows:
        assert (row["nfe"], row["steps"]) == (160, 4)
        assert 0 < row["floor"] < 0.03 < row["distance_error"] + row["distance"] + 0.03
        assert 1.9 < row["nats"] < 2.7
    plain, fanned = (row["reward_calls"] for row in rows[:2])
    assert fanned > 5 * plain
    worst = max(rows, key=lambda row: row["distance"])
    assert worst["transition"] == "VP SDE"


def test_the_floor_is_what_independent_samples_of_the_tilt_have() -> None:
    law = modes()
    target = law.sample(1500, seed=1)
    equal = torch.zeros(50, dtype=torch.float64)
    found = [symsi.metrics.weighted_energy_distance(law.sample(50, seed=s), equal, target) for s in range(2, 42)]
    apart = torch.cdist(target, target).sum() / (1500 * 1499)
    assert sum(found) / len(found) == pytest.approx(float(apart) / 50, rel=0.25)


def test_weights_select_what_they_weigh() -> None:
    x = torch.tensor([[0.0], [5.0], [1.0]])
    y = torch.tensor([[0.0], [1.0]])
    weights = torch.tensor([0.0, -1e9, 0.0])
    # 2 E|X - Y| - E|X - X'| - E|Y - Y'|, with |Y - Y'| = 1 for two different rows
    assert symsi.metrics.weighted_energy_distance(x, weights, y) == pytest.approx(2 * 0.5 - 0.5 - 1)
    with pytest.raises(symsi.MetricError, match="one a row"):
        symsi.metrics.weighted_energy_distance(x, weights[:2], y)


def test_on_gaussian_data_the_estimate_of_z_is_right() -> None:
    (row,) = gaussian_rows(steps=(2,), runs=60, children=(4,))
    assert abs(row["z_ratio"] - 1) < 4 * row["z_ratio_error"]


def test_rows_of_digits_are_judged_by_another_classifier_in_its_units() -> None:
    rows = list(
        digit_rows(
            reward="class=7",
            budgets=(10, 64),
            contenders=("BoN", "SMC, fan-out 8", "SVDD"),
            transitions=("linear ODE", "linear SDE"),
            steps=8,
            runs=10,
        )
    )
    names = [(row["contender"], row["budget"]) for row in rows]
    assert names == [("BoN", 10), ("BoN", 64), ("SMC, fan-out 8", 10), ("SMC, fan-out 8", 64), ("SVDD", 64)]
    best = rows[3]
    assert best["nfe"] == 64
    assert best["right"] >= 0.8
    assert best["sure"] >= 0.6
    assert best["fd"] < 10 * best["fd_floor"] < rows[0]["fd"]
    assert all(row["fd_floor"] == best["fd_floor"] for row in rows)
    assert best["reward"] > rows[0]["reward"]
    with pytest.raises(symsi.SymsiError, match="runs >= 2"):
        next(digit_rows(runs=1))
    with pytest.raises(symsi.UnknownNameError, match="RBF"):
        next(digit_rows(contenders=("RBG",)))


def test_the_command_prints_rows_or_json_and_refuses_what_is_of_another_problem() -> None:
    run = CliRunner().invoke
    done = run(command, ["steering", "--on", "gaussian", "--steps", "1", "--runs", "3", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["rows"][0]["steps"] == 1
    shown = run(command, ["steering", "--on", "gaussian", "--steps", "1", "--runs", "3"])
    assert shown.output.split()[:3] == ["steps", "children", "z_ratio"]
    for words, said in (
        (["--on", "digits28", "--steps", "5,10"], "one number"),
        (["--on", "mixture", "--reward", "ink"], "--reward is not of"),
        (["--on", "digits28", "--particles", "3"], "--particles is not of"),
    ):
        refused = run(command, ["steering", *words])
        assert refused.exit_code != 0
        assert said in str(refused.exception) + refused.output

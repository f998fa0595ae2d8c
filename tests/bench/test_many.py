"""The command that measures and simulates, on a small model; and what was measured stands on the page."""

import json
import math
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

import symsi
from symsi.bench.many import ranks_of_a_store, runs
from symsi.bench.ranks import RESTARTS, Times
from tests.cli.test_cli import in_process
from tests.tables import table

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch
ROOT = Path(symsi.__file__).parents[1]
TIMES = Times(start=6.0, network=8.0, noise=0.5, rest=0.25, write=0.25, look=0.0, ask=1.0, serve=0.01, seal=0.02)


def formula(times: Times, shards: int, ranks: int) -> float:
    each = math.ceil(shards / ranks) * (times.ask + times.shard)
    return times.start + each + times.ask + (ranks - 1) * times.serve + shards * times.seal


def test_measured_times_and_runs_of_them(capsys: Capture, monkeypatch: Patch, tmp_path: Path) -> None:
    given = ("--model", "digits8", "--batch", "8", "--count", "80", "--ranks", "1,5", "--failures", "0,9")
    code, out, err = in_process(capsys, monkeypatch, "bench", "many", *given, "--folder", str(tmp_path), "--json")
    assert code == 0, err
    found = json.loads(out)
    times = Times(**found["times"])
    assert min(found["times"].values()) >= 0
    assert min(times.network, times.noise, times.write, times.look, times.seal, times.start) > 0
    assert 0 < times.serve <= times.ask
    assert found["samples_per_second"] == pytest.approx(8 / (times.shard + times.ask))
    assert list(tmp_path.iterdir()) == []
    rows = found["rows"]
    assert [(row["ranks"], row["failures"], row["restart"]) for row in rows] == [
        (1, 0, ""), (1, 9, ""), (5, 0, ""), *((5, 9, restart) for restart in RESTARTS)
    ]  # fmt: skip
    for row in rows:
        if not row["failures"]:
            assert row["hours"] * 3600 == pytest.approx(formula(times, 10, row["ranks"]), rel=1e-3)


def test_a_table_of_a_model_that_is_not_here(capsys: Capture, monkeypatch: Patch) -> None:
    monkeypatch.setattr(import_module("symsi.cli.bench.many"), "measured_times", lambda *_, **__: TIMES)
    given = ("--model", "digits8", "--batch", "8", "--count", "80", "--ranks", "5", "--failures", "0,20000")
    code, out, err = in_process(capsys, monkeypatch, "bench", "many", *given, "--evaluation", "100")
    assert code == 0, err
    lines = out.splitlines()
    assert "a shard takes 3201 s: network 3.2e+06 ms" in lines[1]

    assert float(lines[-4].split()[2]) == pytest.approx(2 * 3200 / 3600, rel=0.02)
    assert [line.split() for line in lines[-3:]] == [["5", "20000", restart, "never"] for restart in RESTARTS]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("--failures", "0,-1"), "--failures takes deaths of a rank an hour, such as 0,0.1,1; got '0,-1'"),
        (("--failures", "nan"), "got 'nan'"),
        (("--failures", "x"), "got 'x'"),
        (("--ranks", "0"), "--ranks takes a whole number from 1 on"),
        (("--folder", "nowhere"), "--folder nowhere is no folder"),
        (("--evaluation", "0"), "0"),
    ],
)
def test_what_is_no_question_is_refused(capsys: Capture, monkeypatch: Patch, given: tuple[str, str], says: str) -> None:
    code, _, err = in_process(capsys, monkeypatch, "bench", "many", *given)
    assert code == 2
    assert says in err


def test_means_are_of_runs_and_shares_of_what_drawing_takes() -> None:
    (still, *rows) = runs(TIMES, 3000, 100, ranks=[10], failures=[0, 5.0], back=30.0)
    assert still["hours"] * 3600 == pytest.approx(formula(TIMES, 30, 10))
    assert still["ideal"] == pytest.approx(3 * TIMES.shard / 3600 / still["hours"])
    for row in rows:
        assert row["low"] <= row["hours"] <= row["high"]
        assert row["ideal"] <= still["ideal"]
        assert row["deaths"] > 0
    (never,) = runs(replace(TIMES, network=1e6), 10, 1, ranks=[1], failures=[60.0], back=1e6)
    assert (never["hours"], never["lost"]) == (None, None)


def test_a_store_is_full_when_requests_and_signs_of_life_are_a_second_a_second() -> None:
    full = ranks_of_a_store(TIMES)
    assert full * (1 / 10 + 1 / 2) * 0.01 == pytest.approx(1)


def test_what_was_measured_stands_on_the_page() -> None:
    found = json.loads((ROOT / "symsi" / "figures" / "many.json").read_text())
    page = (ROOT / "docs" / "million-samples.md").read_text()
    times = found["digits28"]["times"]
    shown = {name: value for name, value, _ in table("million-samples.md", "of a shard ms")[1]}
    assert shown.pop("network") == f"{times['network'] * 1e3:.0f}"
    names = ("noise", "rest", "write", "look", "seal")
    assert shown == {name: f"{times[name] * 1e3:.3g}" for name in names}
    assert f"starts in {times['start']:.3g} s. It draws {found['digits28']['samples_per_second']:.0f} samples" in page
    words = (f"{times['ask'] * 1e3:.3g} ms", f"{times['serve'] * 1e6:.3g} us", f"{3907 * times['seal']:.3g} s")
    assert all(word in page for word in words)
    for run, unit, per in (("digits28", "minutes", 60), ("slower", "hours", 1)):
        cases: dict[tuple[int, float], list[str]] = {}
        for row in found[run]["rows"]:
            hours = row["hours"]
            cell = "never" if hours is None else f"{hours * per:.3g}"
            cases.setdefault((row["ranks"], row["failures"]), []).append(cell)
        wanted = [[str(ranks), f"{deaths:g}", *cells] for (ranks, deaths), cells in cases.items()]
        _, rows = table("million-samples.md", f"ranks deaths one: {unit}")
        assert rows == [row + [""] * (5 - len(row)) for row in wanted]


def test_what_was_simulated_is_what_its_times_give() -> None:
    found = json.loads((ROOT / "symsi" / "figures" / "many.json").read_text())["digits28"]
    given = {"ranks": [1, 1000], "failures": [0.0, 0.1], "back": found["back"]}
    again = list(runs(Times(**found["times"]), found["count"], found["batch"], **given))
    for row in again:
        (same,) = [r for r in found["rows"] if all(r[key] == row[key] for key in ("ranks", "failures", "restart"))]
        assert row == pytest.approx(same)

"""Every formula is held by a proof or a test: its mutants die, but for those that compute the same."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutation.equivalent import EQUIVALENT
from tests.mutation.mutate import functions, mutants
from tests.mutation.subjects import EXCLUDED, ROOMS, ROOT, subjects

SCORE = 0.98


def run(room: str, *only: str) -> list[dict[str, str]]:
    command = [sys.executable, "-m", "tests.mutation.engine", room, *only]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT.parent)}
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def key(found: dict[str, str]) -> tuple[str, str, str, str]:
    return found["module"], found["function"], found["what"], found["text"]


def explained(found: dict[str, str]) -> bool:
    return key(found) in EQUIVALENT or (found["module"], found["function"], "*", found["text"]) in EQUIVALENT


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("room", ROOMS)
def test_mutants_die_or_compute_the_same(room: str) -> None:
    found = run(room)
    unexplained = [key(f) for f in found if not f["killer"] and not explained(f)]
    others = sum(not explained(f) for f in found)
    assert len(unexplained) <= (1 - SCORE) * others, unexplained
    dead, living = ({key(f) for f in found if bool(f["killer"]) is wanted} for wanted in (True, False))
    assert not (dead - living) & set(EQUIVALENT), "these are listed as equivalent and die"


def test_mutants_of_a_grid_die_by_its_test_and_those_that_compute_the_same_live() -> None:
    judge = "tests/solvers/test_grids.py::test_log_snr_is_geometric_between_twenty_and_a_tenth"
    found = run("solvers", "grids.py:_log_snr", "--test", judge)
    dead, living = ([f for f in found if bool(f["killer"]) is wanted] for wanted in (True, False))
    assert len(dead) > 30
    assert {f["killer"] for f in dead} <= {judge, "time"}
    assert living
    assert all(explained(f) for f in living)


def test_every_function_with_arithmetic_is_mutated_or_excluded_with_a_reason() -> None:
    for room, rules in ROOMS.items():
        listed = subjects(room)
        for folder in rules.folders:
            for path in (ROOT / folder).glob("*.py"):
                module = f"{folder}/{path.name}"
                for name in functions(path):
                    excluded = module in EXCLUDED or f"{module}:{name}" in EXCLUDED
                    has = next(mutants(path, name), None) is not None
                    assert (name in listed.get(module, ())) == (has and not excluded), f"{module}:{name}"


def test_what_is_excluded_is_there() -> None:
    for place, reason in EXCLUDED.items():
        module, _, name = place.partition(":")
        assert reason
        assert (ROOT / module).is_file(), place
        assert not name or name in functions(ROOT / module), place


def test_every_equivalent_mutant_is_one_that_is_made() -> None:
    made: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for module, function, what, text in EQUIVALENT:
        if (module, function) not in made:
            every = list(mutants(ROOT / module, function))
            made[module, function] = {(w, m.text) for m in every for w in (m.what, "*")}
        assert (what, text) in made[module, function], (module, function, what)

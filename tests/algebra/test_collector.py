"""The collector waits while formulas are derived, and goes on as it was afterwards."""

import gc
import threading
from typing import Any

import pytest

import symsi
from symsi import SymsiError
from symsi.algebra.collector import uncollected
from symsi.solvers import planning
from symsi.theory.conversion import convert


@pytest.mark.parametrize("before", [True, False])
def test_the_collector_waits_and_is_left_as_it_was(before: bool) -> None:
    (gc.enable if before else gc.disable)()
    try:
        with uncollected:
            assert not gc.isenabled()
            with uncollected:
                assert not gc.isenabled()
            assert not gc.isenabled()
        assert gc.isenabled() is before
        with pytest.raises(ZeroDivisionError), uncollected:
            _ = 1 / 0
        assert gc.isenabled() is before
    finally:
        gc.enable()


def test_threads_that_overlap_leave_the_collector_on() -> None:
    inside, out = threading.Event(), threading.Event()

    def first() -> None:
        with uncollected:
            inside.set()
            out.wait(10)

    thread = threading.Thread(target=first)
    thread.start()
    inside.wait(10)
    with uncollected:
        out.set()
        thread.join()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_the_collector_waits_while_a_plan_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []

    def watched(*args: Any, **options: Any) -> Any:
        seen.append(gc.isenabled())
        return convert(*args, **options)

    monkeypatch.setattr(planning, "convert", watched)
    symsi.plan("shifted(shift=5)", schedule="linear", steps=17)
    assert seen
    assert not any(seen)
    assert gc.isenabled()


def test_a_plan_that_is_refused_leaves_the_collector_on() -> None:
    with pytest.raises(SymsiError):
        symsi.plan("linear", steps=0)
    assert gc.isenabled()

"""Processes of one run: who takes what, and what is said when one of them, or the store, is lost."""

import math
import socket
import threading
import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from torch import Tensor
from torch.distributed import HashStore

import symsi
from symsi.processes import team
from symsi.processes.team import Team
from symsi.shards.draw import Drawn
from tests.shards.small import draw, hashes, velocity

Patch = pytest.MonkeyPatch


class Lost:
    """A store that answers, and is lost after some calls: its process dies, or hangs."""

    def __init__(self, calls: int, *, hangs: bool) -> None:
        self._store, self._left, self._hangs = HashStore(), calls, hangs

    def __getattr__(self, name: str) -> Any:
        def call(*given: Any) -> Any:
            if threading.current_thread().name != "beats":
                self._left -= 1
            if self._left < 0 and self._hangs:
                threading.Event().wait(3)
            elif self._left < 0:
                raise RuntimeError("Connection reset by peer\nand a stack")
            return getattr(self._store, name)(*given)

        return call


@pytest.mark.parametrize("hangs", [False, True], ids=["dies", "hangs"])
def test_a_lost_store_ends_a_rank_with_words(tmp_path: Path, hangs: bool) -> None:
    with pytest.raises(symsi.SymsiError, match=r"lost the store of the run .* the same command goes on"):
        draw(tmp_path / "out", team=Team(Lost(4, hangs=hangs), 0, 2, where="here:1", patience=0.5))
    assert 0 < len([name for name in hashes(tmp_path / "out") if name.startswith("samples-")]) < 5
    assert draw(tmp_path / "out").missing == 0


def test_a_rank_that_died_is_given_up(tmp_path: Path) -> None:
    store = HashStore()
    dead = Team(store, 1, 2, patience=0.3)
    assert dead.take() == 0
    dead._over.set()  # it gives no sign of life from now on
    found = draw(tmp_path / "out", team=Team(store, 0, 2, patience=0.3))
    assert (found.silent, found.drawn, found.missing) == ((1,), 22, 0)  # its shard, too


@pytest.mark.parametrize(("lost", "missing"), [(0, 0), (1, 5), (2, 10)], ids=["none", "one", "two"])
def test_what_a_dead_rank_had_is_drawn_in_a_second_turn_and_no_third(tmp_path: Path, lost: int, missing: int) -> None:
    """Of the two shards that it had, some are lost again by who takes them in the second turn."""
    store = HashStore()
    dead = Team(store, 2, 3, patience=0.5)
    assert (dead.take(), dead.take()) == (0, 1)
    assert [dead.take(1) for _ in range(lost)] == list(range(lost))
    dead._over.set()
    found = both(tmp_path / "out", store, world=3)
    assert sum(one.drawn for one in found) == 22 - missing
    assert (found[0].silent, found[0].missing) == ((2,), missing)


def test_what_a_model_failed_on_is_not_tried_again_for_one_that_died(tmp_path: Path) -> None:
    store, calls = HashStore(), list[float]()

    def failing(x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        if len(x) == 2:  # the last shard
            calls.append(float(t[0]))
            raise ValueError("broken")
        return velocity(x, t, label)

    dead = Team(store, 2, 3, patience=0.5)
    assert dead.take() == 0
    dead._over.set()
    found = both(tmp_path / "out", store, world=3, model=symsi.Model(failing, shape=(2,), name="small"))
    assert (found[0].missing, sum(one.drawn for one in found), len(calls)) == (2, 20, 1)


def test_a_rank_that_comes_back_when_it_was_given_up_takes_part_in_the_second_turn(tmp_path: Path) -> None:
    store = HashStore()
    dead = Team(store, 1, 2, patience=0.5)
    assert dead.take() == 0
    dead._over.set()
    zero = Team(store, 0, 2, patience=0.5)
    asked, begun = zero.wait, list[threading.Thread]()

    def wait(word: str, ranks: Any, *given: Any, **more: Any) -> set[int]:
        found = asked(word, ranks, *given, **more)
        if found == {1} and not begun:  # it was given up
            begun.append(threading.Thread(target=lambda: draw(tmp_path / "out", team=Team(store, 1, 2, patience=0.5))))
            begun[0].start()
            time.sleep(0.2)
        return found

    zero.wait = wait  # type: ignore[method-assign]
    found = draw(tmp_path / "out", team=zero)
    begun[0].join()
    assert (found.silent, found.missing) == ((), 0)


def both(folder: Path, store: Any, world: int, **options: Any) -> list[Drawn]:
    """Draw by ranks 0 and 1."""
    found = dict[int, Drawn]()

    def work(rank: int) -> None:
        found[rank] = draw(folder, team=Team(store, rank, world, patience=0.5), **options)

    threads = [threading.Thread(target=work, args=(rank,)) for rank in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [found[rank] for rank in (0, 1)]


def test_a_rank_waits_for_one_that_is_slow(tmp_path: Path) -> None:
    store = HashStore()

    def late() -> None:
        slow = Team(store, 1, 2, patience=0.3)
        time.sleep(1.5)
        with slow:
            pass

    thread = threading.Thread(target=late)
    thread.start()
    assert draw(tmp_path / "out", team=Team(store, 0, 2, patience=0.3)).silent == ()
    thread.join()


def test_a_rank_that_waits_asks_ever_less(monkeypatch: Patch) -> None:
    """On a clock of its own: 22 times until it looks once a second."""
    now, looks = 0.0, 0

    class Late(Lost):
        def check(self, names: list[str]) -> bool:
            nonlocal looks
            looks += 1
            return now > 60

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(team, "time", SimpleNamespace(monotonic=lambda: now, sleep=sleep))
    one = Team(Late(10**9, hangs=False), 0, 1)
    one._patience = one._joining = math.inf
    assert one.wait("done", [0]) == set()
    assert 60 < looks < 90
    one._over.set()


def test_no_rank_0_is_a_refusal(tmp_path: Path) -> None:
    store = HashStore()
    Team(store, 0, 2, patience=0.3)._over.set()
    time.sleep(0.1)
    with pytest.raises(symsi.SymsiError, match=r"rank 0 gave no sign of life for 0.3 seconds"):
        draw(tmp_path / "out", team=Team(store, 1, 2, patience=0.3))
    assert not (tmp_path / "out").exists()


def test_an_environment_that_lacks_an_address_is_refused(monkeypatch: Patch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with pytest.raises(symsi.SymsiError, match=r"cannot meet the other processes .*MASTER_ADDR"):
        Team.join()


@pytest.mark.timeout(250)  # less than the five minutes of `_JOIN`
def test_a_store_that_never_comes_is_told(monkeypatch: Patch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        given = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(team, "_JOIN", timedelta(seconds=1))
    with pytest.raises(symsi.SymsiError, match=r"cannot meet the other processes at 127.0.0.1:\d+"):
        Team.join()


def test_a_rank_that_is_to_stop_gives_a_dead_one_up_before_it_is_killed(tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.setattr(team, "_STOPPED", 0.3)
    store = HashStore()
    Team(store, 1, 2, patience=3600.0)._over.set()
    found = draw(tmp_path / "out", team=Team(store, 0, 2, patience=3600.0), stop=lambda: True)
    assert (found.stopped, found.silent, found.missing) == (True, (1,), 22)


def test_a_run_that_torchrun_restarts_begins_anew_in_the_store_that_stays() -> None:
    store, met = HashStore(), list[Team]()

    def join(rank: int) -> Team:
        return Team(team._of_this_attempt(store, rank), rank, 2, patience=2.0)

    first = join(0), join(1)
    assert [one.take() for one in first] == [0, 1]
    first[0].say("ready", "of the first")
    for one in first:
        one._over.set()  # both are killed
    early = threading.Thread(target=lambda: met.append(join(1)))  # it comes before the new rank 0, and waits for it
    early.start()
    time.sleep(0.3)
    assert not met
    zero = join(0)
    early.join()
    assert [zero.take(), met[0].take()] == [0, 1]
    zero.say("ready", "of the second")
    assert met[0].hear("ready", 0) == "of the second"
    for one in (zero, *met):
        one._over.set()


def test_without_a_rank_0_of_this_attempt_that_is_told(monkeypatch: Patch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "True")
    monkeypatch.setattr(team, "_JOIN", timedelta(seconds=0.3))
    monkeypatch.setattr(team, "rendezvous", lambda *_, **__: iter([(HashStore(), 1, 2)]))
    with pytest.raises(symsi.SymsiError, match=r"cannot meet the other processes at .*: rank 0 did not come"):
        Team.join()


def test_every_number_is_taken_once() -> None:
    store, taken = HashStore(), list[int]()

    def work(rank: int) -> None:
        one = Team(store, rank, 4, patience=5.0)
        while (number := one.take()) < 100:
            taken.append(number)

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(100))

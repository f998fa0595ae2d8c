"""The processes of one run: they take shards from a counter in torch.distributed's store, and nobody waits forever.

Each works alone between two calls. The store is the one that torchrun serves, or rank 0 where RANK, WORLD_SIZE,
MASTER_ADDR and MASTER_PORT are set by hand or by SLURM; one process has one of its own, in memory. A team has no
collectives, so that gloo and nccl, CPUs and GPUs are the same.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any

from torch.distributed import HashStore, PrefixStore  # type: ignore[attr-defined]  # public, and not in its __all__
from torch.distributed.rendezvous import rendezvous

from symsi.errors import SymsiError

__all__ = ["REFUSED", "Team", "not_met"]

REFUSED = "rank 0 refused: "

_CLOSED = 1 << 40  # added to the counter: more than any folder has shards
_JOIN = timedelta(minutes=5)
_BEATS = 30  # signs of life while others are patient
_SIGNS = 4  # that may be missed by one that was given up before, and may have been started again
_FIRST = 0.05  # seconds between the first two signs of life, which a rank that joins waits for; then twice as long
_PAUSE, _LONGER, _LONGEST = 0.02, 1.2, 1.0  # seconds between two looks of one that waits, from the first on
_STOPPED = 10.0  # seconds of patience of a process that was asked to stop: torchrun and SLURM kill it after 30


class Team:
    """Rank `rank` of `world` processes that share a store; a context, at whose end the others may end, too.

    A process that gives no sign of life for `patience` seconds is given up; that is told by its own counter in the
    store and this process' monotonic clock, so that no two clocks are compared. Every call raises SymsiError where the
    store is lost: the process that serves it died, or does not answer within `patience` seconds.
    """

    def __init__(self, store: Any, rank: int, world: int, *, where: str = "", patience: float = 60.0) -> None:
        self.rank, self.world, self.store, self.where, self._patience = rank, world, store, where, patience
        self._joining = max(patience, _JOIN.total_seconds())  # for one that has not begun, and may read a large model
        self._silent: set[int] = set()
        self._over = threading.Event()
        threading.Thread(target=self._live, name="beats", daemon=True).start()

    @classmethod
    def join(cls, patience: float = 60.0) -> Team:
        """Meet the other processes that the environment tells of. Raises SymsiError where they cannot be reached."""
        if "WORLD_SIZE" not in os.environ or os.environ["WORLD_SIZE"] == "1":
            return cls(HashStore(), 0, 1, patience=patience)
        where = f"{os.environ.get('MASTER_ADDR', '')}:{os.environ.get('MASTER_PORT', '')}"
        try:
            found = _within(_JOIN.total_seconds(), lambda: next(iter(rendezvous("env://", timeout=_JOIN))))
            if isinstance(found, Exception):
                raise found
            store, rank, world = found
            if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
                store = _of_this_attempt(store, rank)
        except (RuntimeError, ValueError, TimeoutError) as error:
            raise not_met(where, error) from None
        return cls(store, rank, world, where=where, patience=patience)

    def __enter__(self) -> Team:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the others end; rank 0, which may serve the store, ends last."""
        try:
            if self.rank == 0:
                self.close()
                self.say("ready", f"{REFUSED}{error}")
                self.say("left")
                self.say("over")
            self.say("drawn")
            self.say("done")
            self.say("gone")
            if self.rank == 0:
                self.wait("gone", set(range(self.world)) - self._silent)
        except SymsiError:
            if error is None:
                raise
        finally:
            self._over.set()

    def take(self, turn: int = 0) -> int:
        """Return the next number, from 0 on, that no other process has taken in this turn."""
        return int(self._ask(self.store.add, f"next/{turn}", 1)) - 1

    def close(self) -> None:
        """Let nobody take another number."""
        for turn in (0, 1):
            self._ask(self.store.add, f"next/{turn}", _CLOSED)

    def say(self, word: str, text: str = "") -> None:
        """Tell the others, once: what was said first stays."""
        self._ask(self.store.compare_set, f"{word}/{self.rank}", "", f"={text}")

    def hear(self, word: str, rank: int, stop: Callable[[], bool] = lambda: False) -> str:
        """Wait for what another process says, and return it; "" where `stop()` came first.

        Raises SymsiError where it gives no sign of life.
        """
        if self.wait(word, [rank], stop):
            raise SymsiError(f"rank {rank} gave no sign of life for {self._patience:g} seconds. {_AGAIN}")
        if stop():
            return ""
        return str(self._ask(self.store.get, f"{word}/{rank}").decode()).removeprefix("=")

    def wait(
        self, word: str, ranks: Iterable[int], stop: Callable[[], bool] = lambda: False, *, stopped: bool = False
    ) -> set[int]:
        """Wait until all of these said a word, or `stop()`; return those that gave no sign of life instead.

        A process that was `stopped` is less patient, as it will be killed; and so is any with those it gave up before.
        """
        patience = min(self._patience, _STOPPED) if stopped else self._patience
        waiting = {rank: (-1, time.monotonic()) for rank in ranks}
        before, silent = self._silent & waiting.keys(), set[int]()
        pause = _PAUSE
        while waiting and not stop():
            for rank, (beats, since) in list(waiting.items()):
                if self._ask(self.store.check, [f"{word}/{rank}"]):
                    del waiting[rank]
                    continue
                now = int(self._ask(self.store.add, f"beats/{rank}", 0))
                if now != beats:
                    waiting[rank] = (now, time.monotonic())
                elif time.monotonic() - since > self._limit(rank in before, beats, patience, stopped):
                    silent.add(rank)
                    del waiting[rank]
            if waiting:
                time.sleep(pause)
                pause = min(_LONGER * pause, _LONGEST)  # a thousand that wait leave the store to those that work
        self._silent = self._silent - before | silent
        return silent

    def _limit(self, before: bool, beats: int, patience: float, stopped: bool) -> float:
        """Seconds without a sign of life after which a process is given up."""
        if before:
            return min(patience, self._patience * _SIGNS / _BEATS)
        return patience if beats > 0 or stopped else self._joining

    def _live(self) -> None:
        """Give signs of life until the end."""
        most = self._patience / _BEATS
        pause = min(_FIRST, most)
        try:
            while True:
                self.store.add(f"beats/{self.rank}", 1)
                if self._over.wait(pause):
                    return
                pause = min(2 * pause, most)
        except RuntimeError:
            return  # the next call says that the store is lost

    def _ask(self, call: Callable[..., Any], *given: Any) -> Any:
        """Ask the store. Raises SymsiError where it is lost."""
        if self.world == 1:
            return call(*given)
        found = _within(self._patience, call, *given)
        if isinstance(found, Exception):
            reason = str(found).partition("\n")[0][:120]
            raise SymsiError(
                f"lost the store of the run at {self.where} ({reason}): the process that serves it, torchrun or "
                f"rank 0, has ended. {_AGAIN}"
            ) from None
        return found


_AGAIN = "What is written stays; the same command goes on."


def not_met(where: str, error: Exception | str) -> SymsiError:
    """Return the error of a process that cannot reach the others."""
    reason = str(error).partition("\n")[0][:200].rstrip(".")
    return SymsiError(
        f"cannot meet the other processes at {where}: {reason}. Start them by torchrun, or give each RANK, WORLD_SIZE, "
        "MASTER_ADDR and MASTER_PORT."
    )


def _of_this_attempt(store: Any, rank: int) -> Any:
    """Return the part of torchrun's store that is of this attempt: the store outlives those that torchrun restarted.

    Rank 0 numbers the attempts; others join the one whose rank 0 gives signs of life. torchrun's own number is not the
    same on all nodes. Raises TimeoutError where there is none.
    """
    if rank == 0:
        return PrefixStore(str(store.add("attempts", 1)), store)
    before, end = (0, 0), time.monotonic() + _JOIN.total_seconds()
    while time.monotonic() < end:
        attempt = int(store.add("attempts", 0))
        found = PrefixStore(str(attempt), store)
        beats = int(found.add("beats/0", 0))
        if attempt and before[0] == attempt and 0 < before[1] < beats:
            return found
        before = attempt, beats
        time.sleep(_FIRST / 2)
    raise TimeoutError("rank 0 did not come")


def _within(seconds: float, call: Callable[..., Any], *given: Any) -> Any:
    """Return what a call returns or raises, or a TimeoutError: in a thread, as a call that hangs in C++ stays there."""
    answers: SimpleQueue[Any] = SimpleQueue()

    def ask() -> None:
        try:
            answers.put(call(*given))
        except Exception as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        return answers.get(timeout=seconds)
    except Empty:
        return TimeoutError(f"no answer in {seconds:g} seconds")

"""Runs of `symsi.sample_shards` by ranks that die, event by event: how long until the folder is sealed.

A rank asks the store for the next shard, which answers one request at a time, looks whether it is there, and draws and
writes it. The store counts on past a shard whose rank died; when all are taken, and the dead are given up, the ranks
take turns at what is missing, once. Where shards are missing then, the same command is given again, and passes over
those that are there.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

from symsi.errors import SymsiError

__all__ = ["RESTARTS", "Outcome", "Times", "simulate"]

# What is started again after a death: that rank, which joins the run (that of rank 0, which serves the store, ends it);
# all ranks, as torchrun --max-restarts does; none, until the run has ended.
RESTARTS = ("one", "all", "none")
_GRACE = 30.0  # seconds that torchrun lets a rank finish its shard
_PATIENCE = 60.0  # seconds after which rank 0 gives a silent rank up
_LESS = 8.0  # and one that it gave up before
_MOST, _LEAST = 20.0, 86400.0  # times as long as drawing takes, or a day if that is longer: then it does not end
_FREE, _DEAD = -1, -2  # in the place of a shard that a rank has in work


@dataclass(frozen=True)
class Times:
    """Seconds that things take.

    start    a process, from its command to its first request
    network, noise, rest, write    a shard: evaluations, its noise, what else sampling does, the file until it is synced
    look     to see that a shard is there
    ask      a request to the store, as a rank sees it, of which the store is busy for
    serve    seconds, and others wait
    seal     to read and hash a shard at the end
    """

    start: float
    network: float
    noise: float
    rest: float
    write: float
    look: float
    ask: float
    serve: float
    seal: float

    @property
    def shard(self) -> float:
        """A shard that is not there."""
        return self.look + self.network + self.noise + self.rest + self.write


@dataclass(frozen=True)
class Outcome:
    """What it took: seconds until all is sealed, runs, deaths, shards lost in work, requests and their seconds in line.

    `drawn` counts the shards that were written, each once.
    """

    seconds: float
    runs: int
    deaths: int
    lost: int
    drawn: int
    requests: int
    waited: float


def simulate(
    shards: int,
    ranks: int,
    times: Times,
    *,
    failures: float = 0.0,
    back: float = 60.0,
    restart: str = "one",
    seed: int = 0,
) -> Outcome:
    """Return what it takes `ranks` processes to write so many shards, where each dies `failures` times an hour.

    The lives of processes are exponential. `back` is the time in seconds until what died, or a run that has ended with
    shards missing, is started again; `restart` one of `RESTARTS`. Without deaths and with N a multiple of n, as long as
    the store is not full (n serve <= shard + ask),

        seconds = start + (n - 1) serve + (N/n) (ask + shard) + ask + N seal.

    Raises SymsiError where that is more than 20 times as long as drawing takes, and than a day.
    """
    if restart not in RESTARTS:
        raise SymsiError(f"restart is one of {', '.join(RESTARTS)}; got {restart!r}.")
    fleet = _Fleet(ranks, times, failures / 3600, back, restart, random.Random(seed), [False] * shards)  # noqa: S311
    most = max(_LEAST, _MOST * math.ceil(shards / ranks) * times.shard)
    begin, run = 0.0, 1
    while begin < most:
        end, sealed = fleet.run(begin)
        if sealed:
            return Outcome(end, run, fleet.deaths, fleet.lost, fleet.drawn, fleet.requests, fleet.waited)
        begin, run = end + back, run + 1
    raise SymsiError(
        f"{ranks} ranks that die {failures:g} times an hour each have not drawn all in {most / 3600:.3g} hours with "
        f"restart {restart!r}: take a smaller batch than one of {times.shard:.3g} s, or fewer ranks."
    )


@dataclass
class _Fleet:
    """The ranks, what they have written, and what happened to them."""

    ranks: int
    times: Times
    rate: float  # deaths a second
    back: float
    restart: str
    chance: random.Random
    done: list[bool]
    deaths: int = 0
    lost: int = 0
    drawn: int = 0
    requests: int = 0
    waited: float = 0.0
    dies: list[float] = field(default_factory=list)
    finished: list[float] = field(default_factory=list)
    events: list[tuple[float, int, int]] = field(default_factory=list)  # when, which rank, with which shard in work

    def run(self, begin: float) -> tuple[float, bool]:
        """Run all ranks once; return when the run ended, and whether it sealed the folder."""
        self.dies = [begin + self._life() for _ in range(self.ranks)]
        self.events = []
        for rank in range(self.ranks):
            self._after(begin, self.times.start, rank, _FREE)
        end, going = self._turn(range(len(self.done)), begin, set())
        left = [shard for shard, done in enumerate(self.done) if not done]
        if going and left:
            there = {rank: max(end, at) for rank, at in enumerate(self.finished) if self.dies[rank] > max(end, at)}
            for rank, at in there.items():
                self._after(at, 0.0, rank, _FREE)
            end, going = self._turn(left, end, set(range(self.ranks)) - there.keys())
        return self._until(end + self.times.seal * len(self.done)) if going and all(self.done) else (end, False)

    def _turn(self, todo: Sequence[int], begin: float, silent: set[int]) -> tuple[float, bool]:
        """Let the ranks draw these; return when rank 0 knows of all others, and whether the run goes on."""
        self.finished, away = [begin] * self.ranks, [-math.inf] * self.ranks  # when a rank has all, and died last
        free, taken, over, held = begin, 0, math.inf, [_FREE] * self.ranks
        while self.events:
            now, rank, shard = heappop(self.events)
            if shard == _DEAD:
                self.deaths += 1
                if held[rank] >= 0:
                    self.lost += 1
                    self.finished[rank] = now
                held[rank], away[rank] = _FREE, now
                if self.restart == "all" or rank == 0:
                    over = min(over, now)
                elif self.restart == "one" and now < over:
                    self.dies[rank] = now + self.back + self._life()
                    self._after(now + self.back, self.times.start, rank, _FREE)
                continue
            held[rank] = _FREE
            if shard >= 0 and self.restart == "all" and now > over + _GRACE:
                self.lost += 1
                self.finished[rank] = over + _GRACE
                continue
            if shard >= 0:
                self.done[shard], self.finished[rank] = True, now
                self.drawn += 1
            if now >= over:
                continue
            at = max(free, now)
            free = at + self.times.serve
            self.requests, self.waited = self.requests + 1, self.waited + at - now
            ready = at + self.times.ask
            if taken >= len(todo):
                self.finished[rank] = ready
            elif self.done[todo[taken]]:
                self._after(ready, self.times.look, rank, _FREE)
            else:
                held[rank] = todo[taken]
                self._after(ready, self.times.shard, rank, todo[taken])
            taken += 1
        if over < math.inf:
            return max(over, *self.finished), False
        words = [self._word(self.finished[0], *told) for told in zip(self.finished, away, strict=True)]
        return self._until(max(words + [self.finished[0] + _LESS] * bool(silent)))

    def _until(self, end: float) -> tuple[float, bool]:
        """The end of what rank 0 does, or the death before it that ends the run."""
        last = min(self.dies) if self.restart == "all" else self.dies[0]
        if last < end:
            self.deaths += 1
            return last, False
        return end, True

    def _word(self, none_left: float, finished: float, died: float) -> float:
        """When rank 0 hears of a rank that it has finished, or gives it up: it waits since none was left for itself."""
        given_up = max(none_left, died) + _PATIENCE
        returned = died + self.back + self.times.start
        return finished if finished > died and returned <= given_up else given_up

    def _after(self, now: float, seconds: float, rank: int, shard: int) -> None:
        """Let something happen to a rank, or its death, if that is earlier."""
        when = now + seconds
        event = (when, rank, shard) if when <= self.dies[rank] else (self.dies[rank], rank, _DEAD)
        heappush(self.events, event)

    def _life(self) -> float:
        return self.chance.expovariate(self.rate) if self.rate else math.inf

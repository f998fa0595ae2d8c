"""What many samples take, here and on many machines: times measured here, and runs of ranks that die simulated."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean, median, quantiles
from typing import Any

import torch
from torch import Tensor
from torch.distributed import TCPStore  # type: ignore[attr-defined]  # public, and not in its __all__

from symsi.bench.ranks import RESTARTS, Times, simulate
from symsi.errors import SymsiError
from symsi.files import write_text
from symsi.models.protocol import Model
from symsi.processes.team import Team
from symsi.sampling.noise import standard_normals
from symsi.sampling.sample import sample
from symsi.shards.draw import sample_shards
from symsi.shards.folder import MANIFEST, Folder, digest_of
from symsi.shards.shard import is_there, numbers_in, path_of, shard_bytes, write_shard
from symsi.solvers.plan import Plan

__all__ = ["BEAT", "clock_of", "measured_times", "ranks_of_a_store", "runs"]

BEAT = 2.0  # seconds between a rank's signs of life
_ROUNDS, _REQUESTS, _RUNS = 3, 300, 20


def clock_of(device: str) -> tuple[str, Callable[[], float]]:
    """Return the clock of what is computed, and its name.

    On a CPU with one thread it is the process' own time, which is what an idle core would take, whoever else is there;
    otherwise time goes by on the wall, and a GPU is waited for.
    """
    if device == "cpu" and torch.get_num_threads() == 1:
        return "process", time.process_time

    def wall() -> float:
        if device != "cpu":
            torch.cuda.synchronize()
        return time.perf_counter()

    return "wall", wall


def measured_times(name: str, model: Model, plan: Plan, *, batch: int, place: Path, device: str = "cpu") -> Times:
    """Return the times of shards of `batch` samples of a model that ships by this name, in a folder at `place`.

    Of computing the least of 3 rounds is taken, by `clock_of`; of files and of requests, which wait for others, the
    median, on the wall. The store is served on this machine, and the seal reads what the system still holds in memory:
    another machine's network and disk come on top. Raises SymsiError as `sample_shards` does, and where the command
    line fails.
    """
    _, clock = clock_of(device)
    shape = model.shape or ()
    inside = 0.0

    def timed(x: Tensor, t: Tensor, **conditions: Any) -> Tensor:
        nonlocal inside
        begin = clock()
        found: Tensor = model(x, t, **conditions)
        inside += clock() - begin
        return found

    watched = replace(model, function=timed)
    given = {"plan": plan, "device": device, "dtype": model.dtype, "conditions": model.in_turn(batch)}
    steps = [0, *(stage.step for stage in plan.stages if stage.noisy)]
    totals, networks, noises = list[float](), list[float](), list[float]()
    with tempfile.TemporaryDirectory(dir=place, prefix=".symsi-many-") as held:
        out = Path(held) / "out"
        sample_shards(out, model, count=batch, batch=batch, progress=False, **given)  # type: ignore[arg-type]
        for _ in range(_ROUNDS):
            inside, begin = 0.0, clock()
            found = sample(watched, shape=(batch, *shape), progress=False, **given)  # type: ignore[arg-type]
            totals.append(clock() - begin)
            networks.append(inside)
            begin = clock()
            standard_normals(0, range(batch), steps, shape, device)
            noises.append(clock() - begin)
        folder, span = Folder.open(out), range(batch)
        manifest, path = folder.manifest, path_of(out, span)

        def seal() -> None:
            data = shard_bytes(out, manifest, span)
            numbers_in(data, path, manifest, span)
            digest_of(data)

        write = _median(lambda: write_shard(out, manifest, span, found.x))
        look = _median(lambda: is_there(out, manifest, span))
        sealed = _median(seal)
        start = _start(name, plan, Path(held), device, clock is time.process_time)
    ask, serve = _requests()
    best = totals.index(min(totals))
    rest = max(0.0, totals[best] - networks[best] - min(noises))
    return Times(start, networks[best], min(noises), rest, write, look, ask, min(serve, ask), sealed)


def ranks_of_a_store(times: Times) -> float:
    """How many ranks fill a store: each asks once a shard, and gives a sign of life every 2 seconds."""
    return 1 / (times.serve * (1 / (times.shard + times.ask) + 1 / BEAT))


def runs(
    times: Times, count: int, batch: int, *, ranks: Sequence[int], failures: Sequence[float], back: float, seed: int = 0
) -> Iterator[dict[str, Any]]:
    """Yield a row for each number of ranks, deaths of a rank an hour, and way to start again, from 20 simulated runs.

    "hours", "runs", "deaths" and "lost" (shards) are means, "low" and "high" the first and the last tenth of the hours,
    "ideal" the share of them that drawing alone would take. Where a run does not end they are None. A single rank has
    one way to start again, and so has one that does not die.
    """
    shards = -(-count // batch)
    for number in ranks:
        for rate in failures:
            for restart in RESTARTS if rate and number > 1 else RESTARTS[:1]:
                row = {"ranks": number, "failures": rate, "restart": restart if rate and number > 1 else ""}
                try:
                    found = [
                        simulate(shards, number, times, failures=rate, back=back, restart=restart, seed=each)
                        for each in range(seed, seed + (_RUNS if rate else 1))
                    ]
                except SymsiError:
                    yield row | dict.fromkeys(("hours", "low", "high", "runs", "deaths", "lost", "ideal"))
                    continue
                means = {name: mean(getattr(one, name) for one in found) for name in ("runs", "deaths", "lost")}
                hours = [one.seconds / 3600 for one in found]
                low, *_, high = quantiles(hours, n=10) if rate else hours * 2
                ideal = shards / number * times.shard / 3600 / mean(hours)
                yield row | {"hours": mean(hours), "low": low, "high": high, **means, "ideal": ideal}


def _start(name: str, plan: Plan, place: Path, device: str, own: bool) -> float:
    """A process from its command to a folder of one sample; `own`: the processor's time."""
    file = write_text(place / "solver.json", plan.text())
    command = [sys.executable, "-m", "symsi", "sample", f"{place / 'one'}/", "--model", name, "--plan", str(file)]
    threads = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    alone = {key: value for key, value in threads.items() if key not in ("RANK", "WORLD_SIZE")}
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(  # noqa: S603
        [*command, "--count", "1", "--batch", "1", "--device", device],
        env=alone,
        capture_output=True,
        text=True,
        check=False,
    )
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode or not (place / "one" / MANIFEST).exists():
        raise SymsiError(f"a run of one sample failed: {done.stderr.strip()[-300:]}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime if own else wall


def _requests() -> tuple[float, float]:
    """A request as a rank makes it, and the round trip alone, of which the store is busy for a part."""
    server = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    client = TCPStore("127.0.0.1", server.port, is_master=False, wait_for_workers=False)
    with Team(client, 1, 2, where="127.0.0.1") as team:
        return _median(team.take, _REQUESTS), _median(lambda: client.add("asked", 1), _REQUESTS)


def _median(call: Callable[[], Any], times: int = 15) -> float:
    """The median of the seconds that a call takes, on the wall."""
    found = []
    for _ in range(times):
        begin = time.perf_counter()
        call()
        found.append(time.perf_counter() - begin)
    return median(found)

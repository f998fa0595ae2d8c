"""Run the mutants of a room: `python -m tests.mutation.engine solvers` prints what each one died of, as JSON.

pytest collects the room's tests once. Each test is run once to see which functions it calls and how long it takes, in
a process of its own. Then each mutant is a fork of this process, in which the function's code is replaced wherever it
is held, and the tests that call it run until one fails, the likeliest first. A hang is a death, too.
"""

from __future__ import annotations

import argparse
import ast
import functools
import gc
import hashlib
import importlib
import json
import os
import pickle
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, FunctionType
from typing import Any, TypeAlias

import pytest
import torch
from _pytest.runner import runtestprotocol
from hypothesis import HealthCheck, settings

from tests.mutation.mutate import Mutant, mutants
from tests.mutation.subjects import ROOMS, ROOT, Room, subjects

__all__ = ["Judge", "run"]

Place: TypeAlias = tuple[str, str]  # a file and the qualified name of a function
_PATIENCE = 5.0  # a mutant may take so many times as long as a test that judges it, and
_GRACE = 20.0  # so many seconds more


class Judge:
    """A pytest plugin that runs mutants instead of tests."""

    def __init__(
        self,
        room: Room,
        wanted: dict[str, tuple[str, ...]],
        tell: Callable[[dict[str, Any]], None],
        say: Callable[[str], None],
    ) -> None:
        self.room, self.wanted, self.tell, self.say = room, wanted, tell, say
        self.items: list[pytest.Item] = []
        self.calls: dict[str, set[Place]] = {}
        self.seconds: dict[str, float] = {}

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Called by pytest when the tests are collected."""
        self.items = [i for i in session.items if not any(word in i.nodeid for word in self.room.left_out)]
        begin = time.process_time()
        if self.room.warm:
            rooms = tuple(f"symsi.{folder}." for folder in self.room.folders)
            with _no_autograd():
                self.calls, self.seconds, failed = _survey(self.items, lambda home: home.startswith(rooms))
            again = [i for i in self.items if i.nodeid in failed]
            calls, seconds, failed = _in_a_fork(functools.partial(_survey, again, lambda home: False))
            self.calls |= calls
            self.seconds |= seconds
        else:
            self.calls, self.seconds, failed = _in_a_fork(functools.partial(_survey, self.items, lambda home: True))
        if failed:
            raise RuntimeError(f"these tests fail without a mutant: {failed}")
        self.say(f"{len(self.items)} tests, surveyed in {time.process_time() - begin:.0f} s")
        for module, names in self.wanted.items():
            self._module(ROOT / module, module, names)
        return True

    def pytest_internalerror(self, excrepr: Any) -> None:
        """Called by pytest where this plugin, or pytest, fails."""
        self.say(str(excrepr))

    def _module(self, path: Path, module: str, names: Iterable[str]) -> None:
        dotted = f"symsi.{module.removesuffix('.py').replace('/', '.')}"
        importlib.import_module(dotted)
        caches = _caches(_users(dotted).__contains__)
        for name in names:
            judges = [i for i in self.items if (str(path), name) in self.calls[i.nodeid]]
            limit = _GRACE + _PATIENCE * sum(self.seconds[i.nodeid] for i in judges)
            held = _holders(path, name)
            deaths: Counter[str] = Counter()
            every = list(mutants(path, name))
            chosen = _some(every, self.room.most)
            begin = time.monotonic()
            for mutant in chosen:
                judges.sort(key=lambda i: (-deaths[i.nodeid], path.stem not in i.nodeid, self.seconds[i.nodeid]))
                killer = _in_a_fork(functools.partial(_judge, mutant, held, caches, judges, self.seconds), limit)
                deaths[killer] += 1
                place = {"module": module, "function": name, "line": mutant.line}
                self.tell({**place, "what": mutant.what, "text": mutant.text, "killer": killer})
                if not killer:
                    self.say(f"  survives: {module}:{mutant.line} {name}: {mutant.what}")
            dead = len(chosen) - deaths[""]
            self.say(f"{module}:{name}: {dead} of {len(chosen)} ({len(every)}) in {time.monotonic() - begin:.0f} s")


def _survey(
    items: Sequence[pytest.Item], forgotten: Callable[[str], bool]
) -> tuple[dict[str, set[Place]], dict[str, float], set[str]]:
    """Which functions of the house each test calls when these modules remember nothing, the time, and failures."""
    calls: dict[str, set[Place]] = {}
    seconds: dict[str, float] = {}
    failed: set[str] = set()
    for item in items:
        _forget(_caches(forgotten))
        found: set[Place] = set()
        trace = _tracer(found)
        threading.settrace(trace)
        sys.settrace(trace)
        begin = time.process_time()
        reports = runtestprotocol(item, nextitem=None, log=False)
        seconds[item.nodeid] = time.process_time() - begin
        sys.settrace(None)
        threading.settrace(None)
        if any(r.failed for r in reports):
            failed.add(item.nodeid)
        calls[item.nodeid] = found
    return calls, seconds, failed


def _judge(
    mutant: Mutant,
    held: Sequence[FunctionType],
    caches: Sequence[Any],
    judges: Sequence[pytest.Item],
    seconds: Mapping[str, float],
) -> str:
    """The first test that a mutant fails, or nothing; each has a limit of its own, so that a hang ends soon."""
    for function in held:
        function.__code__ = mutant.code
    _forget(caches)
    for k, item in enumerate(judges):
        following = judges[k + 1] if k + 1 < len(judges) else None
        signal.setitimer(signal.ITIMER_PROF, _GRACE + _PATIENCE * seconds[item.nodeid])
        if any(r.failed for r in runtestprotocol(item, nextitem=following, log=False)):
            return item.nodeid
    return ""


def _holders(path: Path, name: str) -> list[FunctionType]:
    """Every function object that has this code, decorated or not."""
    found = [
        f
        for f in gc.get_objects()
        if type(f) is FunctionType and f.__code__.co_filename == str(path) and f.__code__.co_qualname == name
    ]
    if not found:
        raise RuntimeError(f"{name} of {path} is held nowhere")
    return found


def _caches(which: Callable[[str], bool]) -> list[Any]:
    """The caches of functions in the modules of these names."""
    wrappers = (held for held in gc.get_objects() if type(held) is functools._lru_cache_wrapper)
    homes = ((held, str(getattr(held, "__module__", None))) for held in wrappers)
    return [held for held, home in homes if home.startswith("symsi.") and which(home)]


def _forget(caches: Iterable[Any]) -> None:
    for cache in caches:
        cache.cache_clear()


@functools.cache
def _imports() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for path in ROOT.rglob("*.py"):
        name = ".".join(("symsi", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
        nodes = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.ImportFrom) and n.module]
        found[name] = {str(n.module) for n in nodes} | {f"{n.module}.{a.name}" for n in nodes for a in n.names}
    return found


def _users(module: str) -> set[str]:
    """A module and all that know it, through others too."""
    found = {module}
    while True:
        more = {name for name, known in _imports().items() if known & found} - found
        if not more:
            return found
        found |= more


def _some(every: Sequence[Mutant], most: int) -> list[Mutant]:
    if not most or len(every) <= most:
        return list(every)
    chosen = sorted(every, key=lambda m: hashlib.sha256(repr(m.key).encode()).digest())[:most]
    return [m for m in every if m in chosen]


def _tracer(found: set[Place]) -> Callable[[FrameType, str, Any], None]:
    root = str(ROOT)

    def trace(frame: FrameType, event: str, arg: Any) -> None:
        code = frame.f_code
        if code.co_filename.startswith(root):
            found.add((code.co_filename, code.co_qualname.partition(".<locals>")[0]))

    return trace


@contextmanager
def _no_autograd() -> Iterator[None]:
    """Autograd's threads do not survive a fork, so that what needs them fails here."""
    engine = torch.autograd._engine_run_backward

    def refuse(*given: Any, **options: Any) -> Any:
        raise RuntimeError("not before a fork")

    torch.autograd._engine_run_backward = refuse  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.autograd._engine_run_backward = engine


def _in_a_fork(work: Callable[[], Any], limit: float = 0.0) -> Any:
    """Do work in a child and return what it returns; "time" if it takes longer than the limit, "crash" if it dies."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(read)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, limit * 20)  # a machine may be busy
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, limit)
        try:
            answer: tuple[bool, Any] = (True, work())
        except BaseException as error:  # whatever it is, the parent hears of it
            answer = (False, f"{type(error).__name__}: {error}")
        with os.fdopen(write, "wb") as pipe:
            pickle.dump(answer, pipe)
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        data = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return "time" if os.WTERMSIG(status) in (signal.SIGALRM, signal.SIGPROF) else "crash"
    good, value = pickle.loads(data)
    if not good:
        raise RuntimeError(value)
    return value


def run(
    name: str,
    only: Sequence[str],
    tests: Sequence[str],
    tell: Callable[[dict[str, Any]], None],
    say: Callable[[str], None],
) -> None:
    """Run the mutants of a room, or `only` those of functions "module.py:name" that contain a text; `tests` judge."""
    wanted = {
        module: tuple(n for n in names if not only or any(text in f"{module}:{n}" for text in only))
        for module, names in subjects(name).items()
    }
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"
    torch.set_num_threads(1)
    settings.register_profile(
        "mutation", derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    settings.load_profile("mutation")
    judge = Judge(ROOMS[name], {m: n for m, n in wanted.items() if n}, tell, say)
    options = ["-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:timeout", "-m", "not slow"]
    options += ["-W", "default"]  # a mutant dies by what it computes; and hypothesis is imported before pytest begins
    found = pytest.main([*options, *(tests or ROOMS[name].tests)], plugins=[judge])
    if found != pytest.ExitCode.OK:
        raise RuntimeError(f"pytest ended with {found!r}")


def main() -> None:
    """Print a line of JSON a mutant, and what happens on standard error."""
    parser = argparse.ArgumentParser(description="Run mutants.")
    parser.add_argument("room", choices=ROOMS)
    parser.add_argument("only", nargs="*", help="part of module.py:function")
    parser.add_argument("--test", action="append", default=[], help="judge by this test alone, instead of the room's")
    options = parser.parse_args()
    with os.fdopen(os.dup(1), "w", buffering=1) as out, os.fdopen(os.dup(2), "w", buffering=1) as err:
        with open(os.devnull, "w") as nothing:
            os.dup2(nothing.fileno(), 1)
        run(
            options.room,
            options.only,
            options.test,
            lambda found: print(json.dumps(found), file=out),
            lambda line: print(line, file=err),
        )


if __name__ == "__main__":
    main()

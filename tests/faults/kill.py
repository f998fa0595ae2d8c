"""Kill runs at random moments and compare what is left, after the same command again, with the undisturbed run.

    python tests/faults/kill.py --kills 20

Kills, in turn: a random rank of two, all ranks, the rank that serves the store. Each round is a run of two processes in
the same folder, so that later kills meet what earlier ones left. After each third one the same command is left alone,
by one or two processes, and a new folder is begun. Exits with 1 at the first difference.
"""

import argparse
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.shards.small import hashes

OPTIONS = ("--model", "digits8", "--steps", "2", "--seed", "7")
PATIENCE = 400  # seconds until a process counts as hanging: it waits 300 for a store that was killed unborn


def command(folder: Path, count: int, batch: int) -> list[str]:
    """Return the command of a run."""
    where = (sys.executable, "-m", "symsi", "sample", f"{folder}/")
    return [*where, *OPTIONS, "--count", str(count), "--batch", str(batch)]


def start(folder: Path, count: int, batch: int, world: int) -> list[subprocess.Popen[str]]:
    """Start the ranks of a run; rank 0 serves the store."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {**os.environ, "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [
        subprocess.Popen(
            command(folder, count, batch),
            env={**shared, "WORLD_SIZE": str(world), "RANK": str(rank)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(world)
    ]


def end(processes: list[subprocess.Popen[str]]) -> list[str]:
    """Wait for all, and return what each said. Raises TimeoutExpired for one that hangs."""
    said = [process.communicate(timeout=PATIENCE)[1] for process in processes]
    for text in said:
        assert "Traceback" not in text, text
    return said


def wait_for(folder: Path, shards: int, processes: list[subprocess.Popen[str]]) -> None:
    """Wait until a run has written so many shards, or has ended."""
    while len(list(folder.glob("samples-*"))) < shards and any(p.poll() is None for p in processes):
        time.sleep(0.01)


def round_of(kind: str, folder: Path, count: int, batch: int, chance: random.Random) -> str:
    """Run two ranks, kill at a random moment, and return what is left in words."""
    held, shards = len(list(folder.glob("samples-*"))), -(-count // batch)
    processes = start(folder, count, batch, 2)
    wait_for(folder, chance.randint(held, max(held, shards - 1)), processes)
    time.sleep(chance.random() * 0.05)
    victims = {"a rank": [chance.choice(processes)], "all ranks": processes, "the store's rank": processes[:1]}[kind]
    for victim in victims:
        victim.send_signal(signal.SIGKILL)
    if (
        victims == processes[1:]
    ):  # rank 0 would draw the rest, and give rank 1 up after a minute: end it as torchrun does
        processes[0].terminate()
        time.sleep(chance.random())
        processes[0].kill()
    end(processes)
    return f"{len(list(folder.glob('samples-*')))} of {shards} shards"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the rounds, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--batch", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    chance, kinds = random.Random(given.seed), ("a rank", "all ranks", "the store's rank")
    with tempfile.TemporaryDirectory() as place:
        undisturbed, folder = Path(place) / "undisturbed", Path(place) / "0"
        subprocess.run(command(undisturbed, given.count, given.batch), check=True, capture_output=True)
        wanted = hashes(undisturbed)
        for kill in range(given.kills):
            kind = kinds[kill % len(kinds)]
            left = round_of(kind, folder, given.count, given.batch, chance)
            partial = {name: value for name, value in hashes(folder).items() if not name.startswith(".")}
            wrong = [name for name, value in partial.items() if wanted.get(name) != value]
            print(f"kill {kill + 1}, {kind}: {left} left, {len(wrong)} wrong", flush=True)
            if wrong:
                return 1
            if kill % 3 == 2 or kill + 1 == given.kills:
                end(start(folder, given.count, given.batch, 1 + kill % 2))
                same = hashes(folder) == wanted
                print(f"the same command again: {'the same bytes' if same else 'OTHER BYTES'}", flush=True)
                if not same:
                    return 1
                folder = Path(place) / str(kill + 1)
    return 0


if __name__ == "__main__":
    sys.exit(main())

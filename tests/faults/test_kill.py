import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.faults.kill import command, end, main, start, wait_for
from tests.shards.small import hashes


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("seed", [1, 2])
def test_what_was_killed_goes_on_to_the_same_bytes(seed: int) -> None:
    assert main(["--kills", "3", "--count", "1500", "--seed", str(seed)]) == 0


@pytest.mark.slow
def test_the_other_rank_draws_what_a_killed_one_had_in_the_same_run(tmp_path: Path) -> None:
    subprocess.run(command(tmp_path / "whole", 1500, 20), check=True, capture_output=True)
    ranks = start(tmp_path / "out", 1500, 20, 2)
    wait_for(tmp_path / "out", 10, ranks)
    ranks[1].kill()
    said = end(ranks)
    assert ranks[0].returncode == 0, said
    assert "rank 1 gave no sign of life and was given up" in said[0]
    assert hashes(tmp_path / "out") == hashes(tmp_path / "whole")


def processes_of(parent: int) -> list[int]:
    """Return the processes that a process has started, by /proc."""
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_what_torchrun_restarts_goes_on_to_the_same_bytes(tmp_path: Path, rank: int) -> None:
    given = {"check": True, "capture_output": True, "text": True}
    subprocess.run(command(tmp_path / "whole", 3000, 20), **given)  # type: ignore[call-overload]
    out = tmp_path / "out"
    launcher = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--max-restarts", "1")
    run = subprocess.Popen(
        [*launcher, *command(out, 3000, 20)[1:]],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    while len(list(out.glob("samples-*"))) < 10:
        assert run.poll() is None, run.communicate()
        time.sleep(0.01)
    os.kill(processes_of(run.pid)[rank], signal.SIGKILL)
    _, said = run.communicate(timeout=300)
    assert run.returncode == 0, said
    assert hashes(out) == hashes(tmp_path / "whole")

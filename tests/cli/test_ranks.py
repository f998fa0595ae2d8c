"""Commands that torchrun starts: what they write is what one process writes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import symsi
from tests.faults.test_kill import processes_of

TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2")
QUIET = {**os.environ, "OMP_NUM_THREADS": "1"}


def finished(*command: str) -> str:
    found = subprocess.run(command, capture_output=True, text=True, env=QUIET)
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_a_solver_is_fitted_by_two_processes(tmp_path: Path) -> None:
    command = ("-m", "symsi", "calibrate", "solver", "digits28", "--steps", "1", "--samples", "4", "--output")
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    said = finished(sys.executable, *command, str(one))
    assert finished(*TORCHRUN, *command, str(two)) == said.replace(str(one), str(two))
    plans = [symsi.load_plan(path) for path in (one, two)]
    model = symsi.models.load("digits28")
    samples = [symsi.sample(model, shape=2, plan=plan, progress=False).x for plan in plans]
    torch.testing.assert_close(*samples, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_a_map_is_trained_by_two_processes_of_which_one_is_killed(tmp_path: Path) -> None:
    """torchrun starts both again, and they go on from the checkpoint."""
    command = ("-m", "symsi", "distill", "digits28", "--steps", "150", "--batch", "3", "--chunks", "1", "--output")
    one, two = tmp_path / "one.safetensors", tmp_path / "two.safetensors"
    finished(sys.executable, *command, str(one))
    options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True, "env": QUIET}
    run = subprocess.Popen([*TORCHRUN, "--max-restarts", "1", *command, str(two)], **options)  # type: ignore[call-overload]
    while not two.with_suffix(".checkpoint").exists():
        assert run.poll() is None, run.communicate()
        time.sleep(0.01)
    os.kill(processes_of(run.pid)[1], signal.SIGKILL)
    _, said = run.communicate(timeout=600)
    assert run.returncode == 0, said
    assert "exitcode: -9" in said
    assert "Traceback" not in said
    x = [symsi.sample(symsi.models.load_map(path), shape=4, steps=2, progress=False).x for path in (one, two)]
    torch.testing.assert_close(*x, rtol=0, atol=1e-3)
    assert load_file(one).keys() == load_file(two).keys()

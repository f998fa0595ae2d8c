"""What a steered run holds at most: some copies of the particles, and a batch of what is decoded."""

import subprocess
import sys
from pathlib import Path

import pytest

COPIES = 9.5  # of all particles' latents; 5.9 to 7.5 were measured, one of which is the decoded batch's
CODE = """
import sys
from pathlib import Path

import torch
from torch.nn.functional import interpolate

import symsi


def peak():  # of this program: ru_maxrss would be that of the process which started it, where that was larger
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def run(particles, shape, children):
    symsi.steer(
        lambda x, t: -x / 2,
        lambda images: images.mean((1, 2, 3)),
        budget=2 * particles,
        particles=particles,
        children=children,
        shape=shape,
        decode=lambda x: interpolate(x[:, :3], scale_factor=8),
        grid=[0.0, 0.8, 1.0],
        batch=4,
        reward_batch=4,
        progress=False,
    )


particles, children, size = map(int, sys.argv[1:])
run(4, (16, 8, 8), children)
before = peak()
run(particles, (16, size, size), children)
print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is what Linux says of a process")
@pytest.mark.parametrize("children", [1, 2])
def test_64_particles_take_few_copies_of_themselves(children: int) -> None:
    """SD3's latents at 1024 x 1024 are (16, 128, 128): 67 MB for 64, whose images would be 805 MB."""
    command = [sys.executable, "-c", CODE, "64", str(children), "128"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    copy = 64 * 16 * 128 * 128 * 4
    assert copy < int(done.stdout) < COPIES * copy

"""Speed of the fused step, as ratios within one run: to a bandwidth-bound triad, plain eager torch, and diffusers.

The triad out = p + s n moves the same bytes as our step in place: two reads, and a write whose line is fetched first,
against three reads and a write of a line that is there.
"""

from __future__ import annotations

import ctypes
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from symsi.coefficients.fused import fused_step

__all__ = ["SIZES", "device_name", "interleaved", "kernel_times", "wait_until_quiet"]

SIZES = (10_000, 100_000, 1_000_000, 10_000_000, 100_000_000)
DTYPES = (torch.float32, torch.bfloat16)
_A, _B, _C = 0.97, 0.21, 0.05
_ROUNDS = 9
_SECONDS = 0.15  # per contender and round, at least one call


def kernel_times(sizes: Sequence[int], device: str) -> Iterator[dict[str, Any]]:
    """Yield a row per size, dtype and allocator; times in microseconds, ratios > 1 mean that ours is faster.

    On a CPU everything is measured twice: "as shipped", where each large temporary costs page faults, and with
    "reuse" of freed memory by the allocator, which lasts until the process ends.
    """
    allocators = ("caching",) if device == "cuda" else ("as shipped", "reuse")
    for allocator in allocators:
        if allocator == "reuse" and not _reuse_freed_memory():
            return
        for n in sizes:
            for dtype in DTYPES:
                yield _row(n, dtype, device, allocator)


def device_name(device: str) -> str:
    """Return the processor or GPU and the number of threads."""
    if device == "cuda":
        return str(torch.cuda.get_device_name())
    model = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        model = names[0] if names else model
    return f"{model}, {torch.get_num_threads()} threads"


def wait_until_quiet(seconds: float = 60.0) -> bool:
    """Wait until other processes leave the cores alone; False where they do not."""
    give_up = time.monotonic() + seconds
    while os.getloadavg()[0] > 0.5 * (os.cpu_count() or 1):
        if time.monotonic() > give_up:
            return False
        time.sleep(2)
    return True


def _row(n: int, dtype: torch.dtype, device: str, allocator: str) -> dict[str, Any]:
    x, p, noise, out = (torch.randn(n, device=device).to(dtype) for _ in range(4))
    contenders: dict[str, Callable[[], Any]] = {
        "ours": lambda: fused_step(x, p, _A, _B, _C, noise),
        "ode": lambda: fused_step(x, p, _A, _B),
        "triad": lambda: torch.add(p, noise, alpha=_B, out=out),
        "eager": lambda: _A * x + _B * p + _C * noise,
    }
    diffusers = _diffusers_step(x, p)
    if diffusers:
        contenders["diffusers"] = diffusers
    times = interleaved(contenders, device)
    return {
        "n": n,
        "dtype": str(dtype).removeprefix("torch."),
        **{
            f"{name}_us": round(times[name], 2) if name in times else None
            for name in ("ours", "ode", "triad", "eager", "diffusers")
        },
        "ratio_triad": round(times["ours"] / times["triad"], 3),
        "ratio_diffusers": round(times["diffusers"] / times["ours"], 3) if "diffusers" in times else None,
        "allocator": allocator,
    }


def interleaved(contenders: dict[str, Callable[[], Any]], device: str) -> dict[str, float]:
    """Return the best over rounds of the microseconds of one call, the contenders taking turns; a GPU is waited for."""
    calls = {}
    for name, call in contenders.items():
        call()
        call()
        calls[name] = max(1, min(2000, int(_SECONDS / max(_once(call, 1, device), 1e-7))))
    rounds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(_ROUNDS):
        for name, call in contenders.items():
            rounds[name].append(_once(call, calls[name], device))
    return {name: min(found) * 1e6 for name, found in rounds.items()}


def _once(call: Callable[[], Any], times: int, device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    for _ in range(times):
        call()
    if device == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - started) / times


def _diffusers_step(x: Tensor, velocity: Tensor) -> Callable[[], Any] | None:
    if find_spec("diffusers") is None:
        return None
    scheduler = import_module("diffusers").FlowMatchEulerDiscreteScheduler()
    scheduler.set_timesteps(50, device=x.device)
    timestep = scheduler.timesteps[0]
    scheduler.set_begin_index(0)

    def step() -> Tensor:
        scheduler._step_index = 0  # the same step each time
        found: Tensor = scheduler.step(velocity, timestep, x, return_dict=False)[0]
        return found

    return step


def _reuse_freed_memory() -> bool:
    """Ask glibc to keep freed memory instead of returning it to the kernel."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    trim, mmap_max = -1, -4
    return bool(mallopt(mmap_max, 0)) and bool(mallopt(trim, 2**31 - 1))

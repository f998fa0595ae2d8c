"""Grids of a schedule's time: uniform in any variable that another schedule's time stands for, or in log-SNR."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from symsi.coefficients.tables import tabulate
from symsi.errors import SymsiError, unknown
from symsi.interpolants.named import schedule as named
from symsi.interpolants.schedule import Schedule
from symsi.theory.conversion import convert

__all__ = ["GRIDS", "Grid", "carry", "time_grid"]

Grid: TypeAlias = "str | Sequence[float] | Tensor"

# A grid that is uniform in the time of a schedule; "uniform" and "eased" lie in the sampled schedule's own.
GRIDS: Mapping[str, str | None] = {
    "uniform": None,
    "eased": None,
    "linear": "linear",
    "angle": "trigonometric",
    "point-mass": "lazy(kappa=1)",
    "shifted": "shifted",
    "log-snr": "linear",
}
_EASE = 1.15
_NOISIEST, _CLEANEST = 20.0, 0.1  # noise-to-signal ratios of the second and last but one point of "log-snr"


def time_grid(
    target: Schedule, grid: Grid = "uniform", steps: int | None = None, start: float = 0.0
) -> tuple[float, ...]:
    """Return the K + 1 times of `target`, from `start` to 1.

    By name: "uniform" in t; "eased", t = 1 - (1 - k/K)^1.15, with a few more points at data; uniform in the time of
    another schedule, so at equal signal-to-noise ratios: "linear", "angle" (trigonometric), "point-mass", "shifted" or
    "shifted(shift=S)" (more points at noise, as SD3 and FLUX do); "log-snr": ends at 0 and 1, and between them
    alpha/beta geometric from 20 to 0.1. Or the times themselves: then `steps`, if given, must agree. Raises SymsiError
    for steps < 1, times that do not increase inside [start, 1], or an unknown name.
    """
    if not isinstance(grid, str):
        return _own(grid, steps, start)
    if steps is not None and hasattr(steps, "__index__"):
        steps = int(steps)
    if not isinstance(steps, int) or steps < 1:
        raise SymsiError(f"steps must be an integer of at least 1; got {steps!r}.")
    head = grid.partition("(")[0].strip()
    if head not in GRIDS:
        raise unknown("grid", grid, GRIDS)
    even = [k / steps for k in range(steps + 1)]
    if GRIDS[head] is None:
        if grid.strip() != head:
            raise SymsiError(f"grid {head!r} has nothing to set; got {grid!r}.")
        shares = even if head == "uniform" else [1 - (1 - u) ** _EASE for u in even]
        return (*(start + (1 - start) * u for u in shares[:-1]), 1.0)
    name = grid if "(" in grid else GRIDS[head]
    source = _log_snr(steps) if head == "log-snr" else even
    times = carry(named(str(name)), target, source[1:-1])
    inner = [time for time in times if time > start]
    if len(inner) < len(times):
        raise SymsiError(
            f"grid {grid!r} with {steps} steps has points before the start {start:.6g} of the conversion; "
            "use grid='uniform' or fewer steps."
        )
    return (start, *inner, 1.0)


def carry(source: Schedule, target: Schedule, times: Sequence[float]) -> list[float]:
    """Return the times of `target` with the signal-to-noise ratios that `source` has at `times`, which increase.

    Raises SymsiError for a ratio that `target` never has.
    """
    if not times:
        return []
    found: list[float] = tabulate(convert(target, source), times, ("time",))["time"].tolist()
    return found


def _log_snr(steps: int) -> list[float]:
    """Times of the linear schedule, 1/(1 + alpha/beta)."""
    inner = steps - 1
    ratio = _CLEANEST / _NOISIEST
    between = [_NOISIEST * ratio ** (k / max(inner - 1, 1)) for k in range(inner)]
    if inner == 1:
        between = [math.sqrt(_NOISIEST * _CLEANEST)]
    return [0.0, *(1 / (1 + r) for r in between), 1.0]


def _own(grid: Sequence[float] | Tensor, steps: int | None, start: float) -> tuple[float, ...]:
    try:
        times = tuple(torch.as_tensor(grid, dtype=torch.float64).flatten().tolist())
    except (TypeError, ValueError, RuntimeError):
        raise SymsiError(f"a grid is a name ({', '.join(GRIDS)}) or increasing times; got {grid!r:.60}.") from None
    if len(times) < 2:
        raise SymsiError(f"a grid needs at least two times, its start and its end; got {times}.")
    if steps is not None and steps != len(times) - 1:
        raise SymsiError(f"the grid has {len(times) - 1} steps, steps={steps} was given; leave steps out.")
    for k, time in enumerate(times):
        if not start <= time <= 1 or (k and time <= times[k - 1]):
            raise SymsiError(f"grid[{k}] = {time}: the times must increase inside [{start:.6g}, 1].")
    return times

"""Flow maps of a checkerboard, trained without a teacher: KL divergence to the data by steps."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from symsi.bench.objectives import OBJECTIVES, steps_of
from symsi.bench.small_map import Batch, SmallMap, SmallRecipe, counted, train_map
from symsi.errors import SymsiError, unknown
from symsi.models.flow_map import FlowMap

__all__ = ["PUBLISHED", "board", "board_rows", "divergence"]

PUBLISHED: Mapping[int, float] = {1: 0.086, 2: 0.077, 4: 0.071, 8: 0.070, 16: 0.071}  # LSD: Boffi et al. 2505.18825
_BINS = 32  # a side of the board
_SHAPE: Mapping[str, Any] = {"width": 128, "depth": 4, "waves": (math.pi / 2, math.pi, 2 * math.pi)}
_CHUNK = 8192


def board(count: int, generator: torch.Generator) -> Tensor:
    """Draw from the uniform law on the 8 dark cells of a 4 x 4 board over [-2, 2]^2, (count, 2) in float32."""
    cell = torch.randint(8, (count,), generator=generator)
    row = cell // 2
    corner = torch.stack([2 * (cell % 2) + row % 2, row], 1) - 2
    return corner + torch.rand(count, 2, generator=generator)


def divergence(samples: Tensor) -> float:
    """KL(data || samples) = sum_b p_b log(p_b/q_b) over the 512 dark ones of 32 x 32 bins of the board.

    p_b = 1/512 is exact; q_b = (n_b + 1)/(N + 512) for n_b of N samples, so that no bin is empty. What lies in white
    cells or off the board is missing in q. Data against itself gives some 511/(2N).
    """
    place = torch.floor((samples.double() + 2) * (_BINS / 4)).long()
    place = place[((place >= 0) & (place < _BINS)).all(1)]
    found = torch.bincount(place[:, 0] * _BINS + place[:, 1], minlength=_BINS**2)
    cells = torch.arange(_BINS) // (_BINS // 4)
    dark = ((cells[:, None] + cells) % 2 == 0).flatten()
    bins = int(dark.sum())
    q = (found[dark].double() + 1) / (len(samples) + bins)
    return float(-torch.log(bins * q).mean())


def board_rows(
    names: Sequence[str] = ("LSD", "PSD-M", "ESD"),
    *,
    nfe: Sequence[int] = tuple(PUBLISHED),
    steps: int = 12_000,
    count: int = 32768,
    seed: int = 0,
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Return {"network", "recipe", "samples", "floor", "published", "rows"} for objectives without a teacher.

    A row is {"objective", "steps", "seconds", "kl"}: `steps_of` the objective, from the same start, seconds of one
    processor, and {NFE: `divergence`} of `count` samples from the same noise in even steps. "floor" is that of `count`
    draws of the data. Raises SymsiError for objectives that are unknown or need a teacher, and for counts below 1.
    """
    known = [name for name, objective in OBJECTIVES.items() if objective.teacher == "none"]
    for name in names:
        if name not in known:
            raise unknown("objective without a teacher", name, known)
    if min(steps, count, *nfe, len(nfe)) < 1:
        raise SymsiError(f"steps, count and NFE must be 1 or more; got {steps}, {count} and {list(nfe)}.")
    generator = torch.Generator().manual_seed(1 << 33)
    floor, noise = divergence(board(count, generator)), torch.randn(count, 2, generator=generator)
    planned = {name: steps_of(name, steps) for name in names}
    recipe, rows = SmallRecipe(steps, rate=6e-3, seed=seed), []
    one = counted(tick, sum(planned.values()))
    for name, own in planned.items():
        torch.manual_seed(seed)
        net, begun = SmallMap(2, **_SHAPE), time.process_time()

        def objective(batch: Batch, net: SmallMap = net, name: str = name) -> Tensor:
            return OBJECTIVES[name].loss(net, None, batch)

        train_map(net, objective, board, replace(recipe, steps=own), one)
        seconds = time.process_time() - begun
        rows.append({"objective": name, "steps": own, "seconds": seconds, "kl": _measured(net, noise, nfe)})
    return {
        "network": dict(_SHAPE),
        "recipe": {key: value for key, value in vars(recipe).items() if key != "steps"},
        "samples": count,
        "floor": floor,
        "published": {str(n): PUBLISHED[n] for n in nfe if n in PUBLISHED},
        "rows": rows,
    }


@torch.no_grad()
def _measured(net: SmallMap, noise: Tensor, nfe: Sequence[int]) -> dict[str, float]:
    flow = FlowMap(net, shape=(2,))
    found = {}
    for n in nfe:
        times = torch.linspace(0, 1, n + 1).tolist()
        found[str(n)] = divergence(torch.cat([flow.composed(x, *times) for x in torch.split(noise, _CHUNK)]))
    return found

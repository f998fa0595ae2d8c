"""How good the samples of a folder are, a shard at a time: memory does not grow with their number."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from symsi.bench.nfe import Task, task
from symsi.errors import SymsiError
from symsi.metrics import Moments, energy_distance, frechet_distance, sampling_floor
from symsi.shards.reading import read_samples

__all__ = ["quality_of_folder"]

_HELD = 4096  # features that the energy distance takes, of samples and of real data


def quality_of_folder(
    folder: str | Path, name: str = "digits28", *, tick: Callable[[int, int], None] = lambda done, total: None
) -> dict[str, Any]:
    """Return {"samples", "model", "judge", "fd", "floor", "energy", "energy_samples", "accuracy"} of a folder.

    "fd" is the Frechet distance of all samples to all real data of the task `name`, in its features, from moments that
    are merged over shards; "floor" is what as many real samples (half of them at most) have against the others.
    "energy" is the energy distance of "energy_samples" of the samples, at most 4096, to as many real ones: both chosen
    once for all, one at a random place of each of so many equal parts. "accuracy" is how often the task's classifier
    sees the class that a sample was asked for, None where there is none. `tick(done, total)` follows samples. Raises
    SymsiError for samples of another shape, and as `read_samples`.
    """
    samples, given = read_samples(folder), task(name)
    if samples.shape != given.model.shape:
        raise SymsiError(f"{name} judges samples of shape {given.model.shape}; {folder} holds {samples.shape}.")
    if len(samples) < 2:
        raise SymsiError(f"{folder} holds one sample; the distance to data needs 2 or more.")
    chosen, held = _spread(len(samples)), list[Tensor]()
    moments: Moments | None = None
    right = asked = 0
    for shard in samples:
        features = given.features(shard.x).double()
        here = Moments.of(features)
        moments = here if moments is None else moments.merge(here)
        held.append(features[chosen[(chosen >= shard.first) & (chosen < shard.first + len(shard.x))] - shard.first])
        hits, of = _seen(given, shard.x, shard.conditions.get("label"))
        right, asked = right + hits, asked + of
        tick(shard.first + len(shard.x), len(samples))
    assert moments is not None
    some = torch.cat(held)
    floor = sampling_floor(frechet_distance, given.real, min(len(samples), len(given.real) // 2))
    return {
        "samples": len(samples),
        "model": samples.model,
        "judge": name,
        "fd": frechet_distance(moments, given.real),
        "floor": {"fd": floor.mean, "spread": floor.spread},
        "energy": energy_distance(some, given.real[_spread(len(given.real))]),
        "energy_samples": len(some),
        "accuracy": right / asked if asked else None,
    }


def _spread(count: int) -> Tensor:
    """Return indices below `count`, all or one at a random place of each of 4096 equal parts."""
    parts = min(count, _HELD)
    ends = torch.arange(parts + 1) * count // parts
    places = torch.rand(parts, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return ends[:-1] + (places * ends.diff()).long()


@torch.no_grad()
def _seen(given: Task, x: Tensor, label: Tensor | None) -> tuple[int, int]:
    """Return for how many samples the classifier sees the class asked for, and how many were asked for one."""
    if given.classify is None or label is None:
        return 0, 0
    named = label >= 0
    found = given.classify(x.float()).argmax(1)
    return int((found == label)[named].sum()), int(named.sum())

"""What fitted plans cost where guidance is left out of some steps, or fitted elsewhere; what they gain by channel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import mean, stdev
from typing import Any

import torch
from torch import Tensor

from symsi.bench.nfe import CALIBRATION, CONVERGED, Task, task
from symsi.calibration.solver import fit_solver
from symsi.metrics import frechet_distance, rmse
from symsi.models.analytic import mixture
from symsi.models.protocol import Model
from symsi.sampling.sample import sample
from symsi.solvers.plan import Plan
from symsi.solvers.planning import plan

__all__ = ["STEPS", "channel_rows", "guidance_rows", "transfer_rows"]

STEPS = (3, 4)
_SIZES = (0.1, 0.3, 1.0, 3.0)  # of the channels of the mixture
_CALIBRATIONS = (8, 32)


class _Judge:
    """Samples of a task under conditions and guidance, and their distance to real data and to converged ones."""

    def __init__(self, name: str, samples: int, repeats: int) -> None:
        self.task: Task = task(name)
        self.samples, self.repeats = samples, repeats

    def draw(self, labels: Tensor, guidance: float, **options: Any) -> list[Tensor]:
        """Samples for labels in turn, a batch a seed."""
        told = {"label": labels[torch.arange(self.samples) % len(labels)]}
        given: dict[str, Any] = {
            "shape": self.samples,
            "batch": 125,
            "conditions": told,
            "guidance": guidance,
            "progress": False,
        }
        return [sample(self.task.model, seed=seed, **given, **options).x for seed in range(self.repeats)]

    def score(self, found: Sequence[Tensor], converged: Sequence[Tensor], *, whole: bool = True) -> dict[str, Any]:
        """Distances of samples, a batch a seed: means over seeds, and the spread of the first over them.

        "fd" to converged samples of the other seeds, "fd_real" to real data where all classes are there, "rmse" to the
        converged samples of the same noise.
        """
        features = [self.task.features(x).double() for x in found]
        ends = [self.task.features(x).double() for x in converged]
        others = [torch.cat(ends[:k] + ends[k + 1 :]) for k in range(len(ends))]
        fds = [frechet_distance(f, other) for f, other in zip(features, others, strict=True)]
        real = mean(frechet_distance(f, self.task.real) for f in features) if whole else None
        return {"fd": mean(fds), "fd_spread": stdev(fds), "fd_real": real, "rmse": mean(map(rmse, found, converged))}


def guidance_rows(
    name: str, *, guidance: float = 2.0, steps: Sequence[int] = STEPS, samples: int = 500, repeats: int = 3
) -> Iterator[dict[str, Any]]:
    """Yield a row for each number of steps and each choice of steps with an unconditional evaluation.

    {"steps", "unconditional": how many have one, the first, "nfe", "fd", "fd_spread", "fd_real", "rmse", "fd_ratio": to
    the plan that spares none}; first a row of converged samples, of 64 steps.
    """
    judge = _Judge(name, samples, repeats)
    labels = torch.arange(judge.task.model.classes)
    converged = judge.draw(labels, guidance, **CONVERGED)
    yield {"steps": 64, "unconditional": 64, "nfe": 128, **judge.score(converged, converged), "fd_ratio": None}
    for n in steps:
        whole = 0.0
        for kept in range(n, 0, -1):
            told = {"label": labels[torch.arange(32) % len(labels)]}
            made = _fitted(judge, n, guidance, told, unconditional=range(kept))
            row = judge.score(judge.draw(labels, guidance, plan=made), converged)
            whole = whole or row["fd"]
            yield {"steps": n, "unconditional": kept, "nfe": n + kept, **row, "fd_ratio": row["fd"] / whole}


def transfer_rows(
    name: str, *, steps: Sequence[int] = STEPS, samples: int = 500, repeats: int = 3
) -> Iterator[dict[str, Any]]:
    """Yield rows for plans that were fitted elsewhere beside those fitted where they are used.

    {"used", "fitted", "steps", "fd", "fd_spread", "fd_real", "rmse"}: on the later half of the classes, fitted on 8
    samples of the earlier half; and under guidance 2, fitted under 1.
    """
    judge = _Judge(name, samples, repeats)
    labels = torch.arange(judge.task.model.classes)
    earlier, later = labels[: len(labels) // 2], labels[len(labels) // 2 :]
    places = {"later classes": (later, 1.0), "earlier classes": (earlier, 1.0)}
    places |= {"guidance 1": (labels, 1.0), "guidance 2": (labels, 2.0)}
    for here, there in (("later classes", "earlier classes"), ("guidance 2", "guidance 1")):
        used, strength = places[here]
        converged = judge.draw(used, strength, **CONVERGED)
        for n in steps:
            for origin in (here, there):
                told = {"label": places[origin][0][torch.arange(8) % len(places[origin][0])]}
                made = _fitted(judge, n, places[origin][1], told, unconditional="together")
                found = judge.draw(used, strength, plan=replace(made, origin={}))  # it warns of other guidance
                row = judge.score(found, converged, whole=len(used) == len(labels))
                yield {"used": here, "fitted": origin, "steps": n, **row}


def channel_rows(
    *, steps: Sequence[int] = STEPS, samples: int = 500, repeats: int = 3, calibrations: Sequence[int] = _CALIBRATIONS
) -> Iterator[dict[str, Any]]:
    """Yield rows for plans of one number a column and of one a channel, on exact data whose channels differ in size.

    {"calibration": how many samples it had, "by_channel", "steps", "rmse": the median over seeds of the calibration of
    the root mean square to converged samples of other noise, "worst": the largest, "channels": the median of the same
    for each channel, as a share of its own root mean square}. The data are six clusters of samples (4, 2, 2).
    """
    model = _unequal()
    converged = plan(model, schedule="trigonometric", solver="heun", steps=200)
    given: dict[str, Any] = {"shape": samples, "dtype": torch.float64, "progress": False}
    truth = sample(model, plan=converged, **given).x
    size = _by_channel(truth)
    for count in calibrations:
        for own in (False, True):
            options: dict[str, Any] = {"samples": count, "by_channel": own, "teacher": converged, "progress": False}
            fits = []
            for k in range(repeats):
                found = fit_solver(model, list(steps), seed=1 + k, **options)
                assert isinstance(found, dict)
                fits.append(found)
            for n in steps:
                off = torch.stack([_by_channel(sample(model, plan=f[n], **given).x - truth) for f in fits])
                whole = off.square().mean(1).sqrt()
                row = {"rmse": float(whole.quantile(0.5)), "worst": float(whole.max())}
                yield {
                    "calibration": count,
                    "by_channel": own,
                    "steps": n,
                    **row,
                    "channels": [round(v, 4) for v in (off / size).quantile(0.5, dim=0).tolist()],
                }


def _unequal() -> Model:
    generator = torch.Generator().manual_seed(3)
    sizes = torch.tensor(_SIZES, dtype=torch.float64).reshape(-1, 1, 1)
    means = sizes * torch.randn(6, len(_SIZES), 2, 2, generator=generator, dtype=torch.float64)
    spread = (0.3 * sizes).square().expand(means.shape[1:]).flatten().diag()
    return mixture([1 / 6] * 6, means, spread.expand(6, -1, -1)).model()


def _by_channel(x: Tensor) -> Tensor:
    """The root mean square of each channel, (C,)."""
    return x.square().transpose(0, 1).flatten(1).mean(1).sqrt()


def _fitted(judge: _Judge, steps: int, guidance: float, told: Mapping[str, Tensor], **options: Any) -> Plan:
    given: dict[str, Any] = {"samples": len(told["label"]), "conditions": told, "guidance": guidance}
    found = fit_solver(judge.task.model, steps, **given, **options, **CALIBRATION)
    assert isinstance(found, Plan)
    return found

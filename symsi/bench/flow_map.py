"""What a flow map is worth: its error against the teacher with a certificate (T23), residuals, and quality by steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from symsi.adapters.peers import PEERS
from symsi.bench.nfe import CONTENDERS, Judge, task
from symsi.errors import SymsiError, unknown
from symsi.models.flow_map import FlowMap
from symsi.models.pretrained_map import described_map, load_map
from symsi.models.protocol import Model
from symsi.models.velocity_field import VelocityField
from symsi.sampling.sample import sample
from symsi.training.objectives.flow_maps import lagrangian, roughness

__all__ = ["OTHERS", "certificate", "map_quality"]

OTHERS = ("fitted", "UniPC", "UniPC, shift 2", "DPM-Solver++(2M)", "DPM-Solver++(2M), shift 2")


def map_quality(
    name: str | Path,
    *,
    steps: Sequence[int] = (1, 2, 4, 8),
    others: Sequence[str] = OTHERS,
    nfe: Sequence[int] = (1, 2, 3, 4),
    samples: int = 500,
    repeats: int = 3,
    knots: int = 32,
    batch: int = 125,
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Return {"map", "teacher", "cost", "note", "certificate", "floor", "converged", "rows"} of a map, by name or file.

    Rows are those of `quality_at_nfe`, with "error", the mean square of what is between the map's samples and the
    teacher's converged ones of the same noise, and "ratio", FD to that of converged samples: the map at `steps`, other
    samplers of the teacher at `nfe`. "certificate" is `certificate` of up to 64 samples. "cost" is what the file says
    that training took. Raises SymsiError for a map whose teacher is no benchmark model, and for unknown others.
    """
    known = {**CONTENDERS, **PEERS}
    for other in others:
        if other not in known:
            raise unknown("method", other, known)
    if repeats < 2 or samples < 2 or min([*steps, *nfe], default=1) < 1:
        raise SymsiError("the benchmark needs repeats >= 2, samples >= 2 and steps >= 1.")
    said, flow = described_map(name), load_map(name)
    judge = Judge(task(said["teacher"]), samples, repeats, batch)
    certified = certificate(flow, judge.task.model, count=min(samples, 64), knots=knots)
    cells = [(known[other], n) for other in others for n in nfe if judge.fits(known[other], n)]
    rows: list[dict[str, Any]] = []
    for n in steps:
        draw = partial(_drawn, flow, n, samples, batch)
        rows.append(judge.measured(draw, method="flow map", kind="map", nfe=n))
        tick(len(rows), len(steps) + len(cells))
    for method, n in cells:
        rows.append(judge.row(method, n))
        tick(len(rows), len(steps) + len(cells))
    for row in rows:
        row["error"] = row["rmse_converged"] ** 2
        row["ratio"] = row["fd"] / judge.converged_row["fd"]
    return {
        "map": flow.name,
        "teacher": said["teacher"],
        "cost": said["cost"],
        "note": said["note"],
        "samples": samples,
        "repeats": repeats,
        "certificate": certified,
        "floor": judge.floor(),
        "converged": judge.converged_row,
        "rows": rows,
    }


def _drawn(flow: FlowMap, steps: int, samples: int, batch: int, seed: int, count: int | None = None) -> Tensor:
    count = count or samples
    told = flow.model().in_turn(count)
    return sample(flow, shape=count, steps=steps, seed=seed, batch=batch, conditions=told, progress=False).x


@torch.no_grad()
def certificate(flow: FlowMap, teacher: Model, *, count: int = 64, knots: int = 32, seed: int = 0) -> dict[str, Any]:
    """Return how far one step of the map is from the teacher's path, and the bound of T23 (mean squares of a number).

    "error" is E|X_{0,1}(x_0) - x_1|^2. With d_k the change of X_{q,1}(x_q) between `knots` even times of Heun's path,
    "bound" is sum_k E|d_k|^2/(q_{k+1} - q_k): at least the error, growing to int E|r|^2 of the Eulerian residual r as
    knots are added; "quadrature" is its growth from half the knots on. "errors" and "bounds" are those of the step from
    each of the knots "times" to the last. "residual" is sqrt(E|d_k|^2)/(q_{k+1} - q_k) by k. "semigroup" and
    "lagrangian" are mean squares of those residuals at random knots s < q < t, three a sample, the latter from s to q
    (at t = 1 a velocity off the data may be anything); "roughness" is that of u in s and t. Raises SymsiError unless
    knots are even.
    """
    if knots < 2 or knots % 2:
        raise SymsiError(f"knots must be an even number from 2 on; got {knots}.")
    told = teacher.in_turn(count)
    run: dict[str, Any] = {"schedule": str(flow.schedule), "solver": "heun", "steps": knots, "grid": "uniform"}
    made = sample(teacher, shape=count, conditions=told, seed=seed, trajectory=True, progress=False, **run)
    path, times = made.path, torch.tensor(made.plan.grid, dtype=torch.float32)
    assert path is not None
    ahead = torch.stack([flow(x, float(q), float(times[-1]), **told) for x, q in zip(path, times, strict=True)])
    coarse, fine = (_changes(ahead, times, stride) for stride in (2, 1))
    bounds = [float((times[-1] - times[0]) * (c.square() * h).sum()) for c, h in (coarse, fine)]
    parts = fine[0].square() * fine[1]
    later = (times[-1] - times) * torch.cat([parts.flip(0).cumsum(0).flip(0), parts.new_zeros(1)])
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.rand(count, knots + 1, generator=generator).argsort(1)[:, :3].sort(1).values
    s, q, t = times[chosen].unbind(1)
    x = path[chosen[:, 0], torch.arange(count)]
    once, twice = flow(x, s, t, **told), flow(flow(x, s, q, **told), q, t, **told)

    def u(x: Tensor, s: Tensor, t: Tensor) -> Tensor:
        return flow.function(x, s, t, **told)

    field = VelocityField(teacher, str(flow.schedule))
    slope = lagrangian(u, lambda x, t: field(x, t, **told), x, s, q)
    inner = 0.02
    rough = roughness(u, x, s.clamp(inner, 1 - inner), t.clamp(inner, 1 - inner))
    errors = (ahead - path[-1]).flatten(1).square().mean(1).tolist()
    return {
        "samples": count,
        "knots": knots,
        "error": errors[0],
        "bound": bounds[1],
        "quadrature": bounds[1] - bounds[0],
        "times": times.tolist(),
        "errors": errors,
        "bounds": later.tolist(),
        "residual": fine[0].tolist(),
        "semigroup": float((once - twice).square().mean()),
        "lagrangian": float(slope.square().mean()),
        "roughness": dict(zip(("s", "t"), rough, strict=True)),
    }


def _changes(ahead: Tensor, times: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    """sqrt(E|d_k|^2)/h_k and h_k, every `stride` knots."""
    h = times[::stride].diff()
    return ahead[::stride].diff(dim=0).flatten(1).square().mean(1).sqrt() / h, h

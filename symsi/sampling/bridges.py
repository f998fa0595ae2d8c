"""From samples of one law to samples of another: a two-sided model, followed by the ODE or an SDE, either way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from symsi.models.protocol import as_device
from symsi.models.reference import Reference
from symsi.models.two_sided import BridgeModel, as_bridge_model
from symsi.sampling.drawing import Noise
from symsi.sampling.inputs import check_bridge_plan, check_inputs, check_memory, check_noise, read_start, whole_number
from symsi.sampling.loop import run
from symsi.sampling.noise import check_seed
from symsi.sampling.predictions import rows_of
from symsi.sampling.progress import bar
from symsi.sampling.sample import SampleResult, Snapshot, cast, recorder
from symsi.solvers.bridge_planning import bridge_plan
from symsi.solvers.grids import Grid
from symsi.solvers.plan import Plan

__all__ = ["sample_bridge"]


@torch.inference_mode(False)
@torch.no_grad()
def sample_bridge(
    model: BridgeModel,
    start: Tensor,
    *,
    plan: Plan | None = None,
    direction: str | None = None,
    diffusion: Any = None,
    solver: str | None = None,
    steps: int | None = None,
    grid: Grid | None = None,
    last: str | None = None,
    reference: tuple[Reference, Reference] | None = None,
    conditions: Mapping[str, Any] | None = None,
    seed: int = 0,
    first: int = 0,
    batch: int | None = None,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    noise: Tensor | None = None,
    trajectory: bool = False,
    callback: Callable[[Snapshot], None] | None = None,
    progress: bool | None = None,
) -> SampleResult:
    """Carry samples of x0 to samples of x1, or backward, by a two-sided model.

    start       samples of x0 (of x1 for direction="backward"), (N, *shape)
    plan        how, as `symsi.bridge_plan` or `symsi.load_plan` gives it, instead of the next seven arguments, which
                `symsi.bridge_plan` describes: direction "forward" or "backward", diffusion "ode" (default) or epsilon
                such as "gamma", solver, steps, grid, last, reference, those of x0 and x1
    conditions  passed to the model; tensors with N rows are split with the batch
    seed, first sample i gets the noise of (seed, first + i, step), whatever the batch
    batch       rows a call at most
    dtype       of the samples; by default the model's, or that of `start`
    noise       of each step, (K, N, *shape), instead of the seed's
    trajectory  keep the path, at the times `result.plan.grid`, which fall backward; callback is called after each step
                of each batch with a `Snapshot`
    progress    show a bar; by default where standard error is a terminal

    Samples carry no gradient, and `start` is left as it is. Raises SymsiError for what does not fit, with what would.
    """
    known = as_bridge_model(model)
    start = read_start(start, known)
    count, form = len(start), tuple(start.shape[1:])
    where = as_device(device or known.called.device or "cpu")
    kind = dtype or known.called.dtype or start.dtype
    given = dict(conditions or {}) if isinstance(conditions, Mapping | None) else {"conditions": conditions}
    batch = count if batch is None else whole_number("batch", batch, 1)
    first, seed = whole_number("first", first, 0), check_seed(seed)
    check_inputs(known.called, where, kind, 1.0, given, conditions, count)
    asked = {
        "direction": direction,
        "diffusion": diffusion,
        "solver": solver,
        "steps": steps,
        "grid": grid,
        "last": last,
        "reference": reference,
    }
    options: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    made = bridge_plan(known, shape=form, **options) if plan is None else check_bridge_plan(plan, known, options, form)
    check_memory(count, form, kind, where, len(made.grid) if trajectory else 0)
    check_noise("noise", noise, {"K": len(made.grid) - 1, "N": count}, form)
    working = torch.float64 if kind == torch.float64 else torch.float32
    ends: list[Tensor] = []
    paths: list[Tensor] = []
    with bar(known.name, made.evaluations * -(-count // batch), progress) as shown:
        for begin in range(0, count, batch):
            rows = slice(begin, min(begin + batch, count))
            indices = range(first + rows.start, first + rows.stop)
            path: list[Tensor] = []
            x = run(
                made,
                partial(_answers, known, rows_of(given, rows, count, where)),
                start[rows].to(where, working, copy=True),
                Noise(made, seed, indices, form, where, working, None if noise is None else noise[:, rows]),
                dtype=kind,
                record=recorder(made, path if trajectory else None, callback),
                tick=shown.update,
            )
            ends.append(cast(x, kind))
            if trajectory:
                paths.append(torch.stack(path))
    whole = torch.cat(ends)
    return SampleResult(whole, made.evaluations, made, known, torch.cat(paths, 1) if trajectory else None)


def _answers(
    model: BridgeModel, told: Mapping[str, Any], asks: tuple[str, ...], x: Tensor, t: Tensor
) -> tuple[Tensor, ...]:
    """What a stage, which asks for all that the model predicts, is told."""
    return model(x, t, **told)

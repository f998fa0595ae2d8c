"""From a model, a schedule, a diffusion, a solver and a grid to samples: formulas become tables, tables a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from symsi.errors import ModelError
from symsi.interpolants.schedule import Schedule
from symsi.models.flow_map import FlowMap
from symsi.models.protocol import Model, as_device, as_model
from symsi.models.reference import Reference
from symsi.models.two_sided import BridgeModel
from symsi.sampling.adaptive import adaptive_run, check_tolerance
from symsi.sampling.drawing import Noise
from symsi.sampling.inputs import check_inputs, check_memory, check_noise, check_plan, read_shape, whole_number
from symsi.sampling.loop import run
from symsi.sampling.noise import check_seed
from symsi.sampling.predictions import predictor, rows_of
from symsi.sampling.progress import bar
from symsi.solvers.advice import advice
from symsi.solvers.grids import Grid
from symsi.solvers.plan import Plan
from symsi.solvers.planning import plan as make_plan
from symsi.theory.diffusion import Diffusion

__all__ = ["SampleResult", "Snapshot", "cast", "recorder", "sample"]


@dataclass(frozen=True)
class Snapshot:
    """What a callback sees after step `step` of `steps`: the grid's time t and x in the schedule's coordinates."""

    step: int
    steps: int
    t: float
    x: Tensor


@dataclass(frozen=True)
class SampleResult:
    """Samples x (N, *shape), the evaluations each cost, the plan that made them, and the path if it was asked for.

    `path` is (K + 1, N, *shape), in the schedule's coordinates at the times `plan.grid`.
    """

    x: Tensor
    nfe: int
    plan: Plan
    model: Model | BridgeModel
    path: Tensor | None = None

    def plot(self, path: str | Path | None = None, *, columns: int | None = None, force: bool = False) -> Any:
        """Return a figure of the samples, images (N, C, H, W) with 1 or 3 channels; write it to `path` if given."""
        from symsi.plotting.pictures import plot_images  # a drawing library, which sampling does without

        return plot_images([self.x * self.model.gain + self.model.offset], path, columns=columns, force=force)


@torch.inference_mode(False)
@torch.no_grad()
def sample(
    model: Model | FlowMap | Callable[..., Tensor],
    *,
    shape: tuple[int, ...] | int,
    plan: Plan | None = None,
    schedule: Schedule | str | None = None,
    diffusion: Diffusion | str | None = None,
    solver: str | None = None,
    steps: int | None = None,
    grid: Grid | None = None,
    last: str | None = None,
    tolerance: float | None = None,
    reference: Reference | None = None,
    spectrum: Sequence[float] | Tensor | None = None,
    stochastic: bool | float | None = None,
    guidance: float = 1.0,
    conditions: Mapping[str, Any] | None = None,
    seed: int = 0,
    first: int = 0,
    batch: int | None = None,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    start: Tensor | None = None,
    noise: Tensor | None = None,
    trajectory: bool = False,
    callback: Callable[[Snapshot], None] | None = None,
    progress: bool | None = None,
) -> SampleResult:
    """Draw samples from a pretrained model under any schedule and diffusion, without retraining.

    model       a Model, or a callable v(x, t, **conditions) taken for the velocity of the linear schedule; or a
                FlowMap, whose steps are X_{s,t} between the times of steps and grid, in its own schedule
    shape       (N, *shape of a sample), or N if the model knows its shape
    plan        how to sample, as `symsi.plan` or `symsi.load_plan` gives it, instead of the next ten arguments
    schedule    of the sampled process, by default the model's own; `symsi.lazy_schedule()` needs the fewest steps
    diffusion   epsilon of that schedule: "ode" (default), "optimal", "kappa=0.5" or an expression in t, alpha, beta,
                optimal
    solver      euler, heun, ab2 (default), ab3, dpm++2m; gaussian, fitted to a reference or a spectrum (T24), or
                "gaussian(ridge=R)", by default 0.01, with R = 0 for data that is that Gaussian; with
                noise exact (default), exact-ab2, euler-maruyama (default for an expression), ab2-maruyama. With a
                reference, other solvers step in the natural variable of each mode (T12)
    steps, grid N steps on a grid by name ("uniform", "angle", ...; see `time_grid`), or its K + 1 times; one that
                starts later than 0 starts from N(0, alpha^2 + beta^2), or from the reference's law there. Default:
                "uniform", "eased" for the ODE of a noise network under ddpm in its own schedule, a flow map's own
    last        "step", or "land" on eta_X without noise (default with noise)
    tolerance   instead of steps and grid: as many steps of ab2 as an embedded error of so much of the samples' size
                needs in the first batch, whose plan the others follow (the ODE alone; default schedule: lazy, or as
                `symsi.solvers.advice` says)
    reference   Gaussian reference, see `symsi calibrate`; makes the steps exact on that Gaussian
    spectrum    for solver "gaussian", instead of a reference: the variances of the data's modes
    stochastic  of a flow map: the share of the noise's variance, from 0 to 1, that each step draws anew; True for all
                of it, each step a jump to the data and noise again
    guidance    P = P_0 + guidance (P_1 - P_0), with P_0 under the model's `unconditional`; doubles the evaluations. A
                plan that asks for both by itself (`fit_solver`) has its own
    conditions  passed to the model; tensors with N rows are split with the batch
    seed, first sample i gets the noise of (seed, first + i, step), whatever the batch
    batch       rows a call at most (guidance calls twice)
    start       the unit noise Z to start from, (N, *shape), instead of the seed's
    noise       of each step, (K, N, *shape), instead of the seed's: couples two samplers (T7)
    trajectory  keep the path; callback is called after each step of each batch with a `Snapshot`
    progress    show a bar; by default where standard error is a terminal

    Samples are in model units (`model.gain`, `model.offset` map them to the data's) and carry no gradient. A model may
    return its input or keep what it computes, but the memory of x is used again after the call. Raises SymsiError for
    what does not fit, with what would.
    """
    known = model.model() if isinstance(model, FlowMap) else as_model(model)
    count, form = read_shape(shape, known)
    where = as_device(device or known.device or "cpu")
    kind = dtype or known.dtype or torch.float32
    given = dict(conditions or {}) if isinstance(conditions, Mapping | None) else {"conditions": conditions}
    batch = count if batch is None else whole_number("batch", batch, 1)
    first, seed = whole_number("first", first, 0), check_seed(seed)
    check_inputs(known, where, kind, guidance, given, conditions, count)
    asked: dict[str, Any] = {
        "schedule": schedule,
        "diffusion": diffusion,
        "solver": solver,
        "steps": steps,
        "grid": grid,
        "last": last,
        "reference": reference,
        "spectrum": spectrum,
        "stochastic": stochastic,
    }
    options = {name: value for name, value in asked.items() if value is not None}
    if tolerance is not None:
        beside = {"plan": plan, **options, "noise": noise, "trajectory": trajectory or None, "callback": callback}
        check_tolerance(tolerance, [name for name, value in beside.items() if value is not None])
        options = {"schedule": advice(known).schedule if schedule is None else schedule, "steps": 1}
    taken = model if isinstance(model, FlowMap) else known
    made = make_plan(taken, shape=form, **options) if plan is None else check_plan(plan, taken, options, form, guidance)
    check_memory(count, form, kind, where, len(made.grid) if trajectory else 0)
    check_noise("start", start, {"N": count}, form)
    check_noise("noise", noise, {"K": len(made.grid) - 1, "N": count}, form)
    working = torch.float64 if kind == torch.float64 else torch.float32
    size = min(batch, count)
    whole = torch.empty((count, *form) if size < count else (0,), dtype=kind, device=where)
    paths: list[Tensor] = []
    with bar(known.name, made.evaluations * -(-count // size), progress) as shown:
        for begin in range(0, count, size):
            rows = slice(begin, min(begin + size, count))
            indices = range(first + rows.start, first + rows.stop)
            told, untold = (rows_of(c, rows, count, where) for c in (given, {**given, **known.unconditional}))
            predict = predictor(known, told, untold, guidance)
            drawn = Noise(made, seed, indices, form, where, working, None if noise is None else noise[:, rows])
            z = drawn.start() if start is None else start[rows].to(where, working, copy=True)
            path: list[Tensor] = []
            if tolerance is not None and begin == 0:
                made, x = adaptive_run(
                    known, predict, z, schedule=options["schedule"], tolerance=tolerance, dtype=kind, tick=shown.update
                )
                shown.total = made.evaluations * -(-count // size)
            else:
                x = run(
                    made,
                    partial(_only, predict),
                    z,
                    drawn,
                    dtype=kind,
                    record=recorder(made, path if trajectory else None, callback),
                    tick=shown.update,
                )
            scale = made.scales[-1]
            x = cast(x if scale == 1 else x.mul_(scale), kind)
            if size == count:
                whole = x
            else:
                whole[rows] = x
            if trajectory:
                paths.append(torch.stack(path))
    doubled = 0 if guidance == 1 else sum(stage.asks[0] == "prediction" for stage in made.stages)
    return SampleResult(whole, made.evaluations + doubled, made, known, torch.cat(paths, 1) if trajectory else None)


def _only(predict: Callable[..., Tensor], asks: tuple[str, ...], x: Tensor, t: Tensor, *until: Tensor) -> tuple[Tensor]:
    """The answer to a stage of one prediction."""
    return (predict(asks[0], x, t, *until),)


def cast(x: Tensor, kind: torch.dtype) -> Tensor:
    """Return x in the dtype of the samples. Raises ModelError where a 16-bit one cannot hold it."""
    found = x.to(kind)
    if kind == torch.float16 and x.device.type == "cpu" and not torch.isfinite(found).all():
        raise ModelError(
            f"samples as large as {float(x.abs().max()):.3g} do not fit into float16, which ends at 65504; use "
            "dtype=torch.bfloat16 or float32, and check what the model predicts."
        )
    return found


def recorder(
    made: Plan, path: list[Tensor] | None, callback: Callable[[Snapshot], None] | None
) -> Callable[[int, Tensor], None] | None:
    """Return what keeps a state after a step in `path` and shows it to `callback`; None where neither is there.

    States are in the schedule's coordinates.
    """
    if path is None and callback is None:
        return None

    def record(step: int, x: Tensor) -> None:
        state = x * made.scales[step]
        if path is not None:
            path.append(state)
        if callback and step:
            callback(Snapshot(step, len(made.grid) - 1, made.grid[step], state if path is None else state.clone()))

    return record

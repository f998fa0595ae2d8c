"""From a model, a schedule, a diffusion, a solver and a grid to samples: formulas become tables, tables a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import index
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from symsi.errors import SymsiError
from symsi.interpolants.schedule import Schedule
from symsi.models.protocol import Model, as_device, as_model
from symsi.models.reference import Reference
from symsi.plotting.pictures import plot_images
from symsi.sampling.loop import run
from symsi.sampling.noise import check_seed, standard_normal
from symsi.solvers.grids import Grid
from symsi.solvers.plan import Plan
from symsi.solvers.planning import plain, plan
from symsi.theory.diffusion import Diffusion

__all__ = ["SampleResult", "State", "sample"]


@dataclass(frozen=True)
class State:
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
    model: Model
    path: Tensor | None = None

    def plot(self, path: str | Path | None = None, *, columns: int | None = None, force: bool = False) -> Any:
        """Return a figure of the samples, images (N, C, H, W) with 1 or 3 channels; write it to `path` if given."""
        return plot_images([self.x * self.model.gain + self.model.offset], path, columns=columns, force=force)


@torch.inference_mode(False)
@torch.no_grad()
def sample(
    model: Model | Callable[..., Tensor],
    *,
    shape: tuple[int, ...] | int,
    schedule: Schedule | str | None = None,
    diffusion: Diffusion | str = "ode",
    solver: str | None = None,
    steps: int | None = None,
    grid: Grid = "uniform",
    last: str | None = None,
    reference: Reference | None = None,
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
    callback: Callable[[State], None] | None = None,
    progress: bool | None = None,
) -> SampleResult:
    """Draw samples from a pretrained model under any schedule and diffusion, without retraining.

    model       a Model, or a callable v(x, t, **conditions) taken for the velocity of the linear schedule
    shape       (N, *shape of a sample), or N if the model knows its shape
    schedule    of the sampled process, by default the model's own; `symsi.lazy_schedule()` needs the fewest steps
    diffusion   epsilon of that schedule: "ode", "optimal", "kappa=0.5" or an expression in t, alpha, beta, optimal
    solver      euler, heun, ab2 (default), ab3, dpm++2m; with noise euler-maruyama (default), ab2-maruyama, exact,
                exact-ab2. With a reference, steps are taken in the natural variable of each mode (T12)
    steps, grid N steps on a grid by name ("uniform", "angle", ...; see `time_grid`), or the grid's K + 1 times; one
                that starts later than 0 starts from N(0, alpha^2 + beta^2), or from the reference's law there
    last        "step", or "land" on eta_X without noise (default with noise)
    reference   Gaussian reference, see `symsi calibrate`; makes the steps exact on that Gaussian
    guidance    P = P_0 + guidance (P_1 - P_0), with P_0 under the model's `unconditional`; doubles the evaluations
    conditions  passed to the model; tensors with N rows are split with the batch
    seed, first sample i gets the noise of (seed, first + i, step), whatever the batch
    batch       rows a call at most (guidance calls twice)
    start       the unit noise Z to start from, (N, *shape), instead of the seed's
    noise       of each step, (K, N, *shape), instead of the seed's: couples two samplers (T7)
    trajectory  keep the path; callback is called after each step of each batch with a `State`
    progress    show a bar; by default where standard error is a terminal

    Samples are in model units (`model.gain`, `model.offset` map them to the data's) and carry no gradient. A model may
    return its input or keep what it computes, but the memory of x is used again after the call. Raises SymsiError for
    what does not fit, with what would.
    """
    known = as_model(model)
    count, form = _shape(shape, known)
    where = as_device(device or known.device or "cpu")
    kind = dtype or known.dtype or torch.float32
    given = dict(conditions or {}) if isinstance(conditions, Mapping | None) else {"conditions": conditions}
    batch = count if batch is None else _whole("batch", batch, 1)
    first, seed = _whole("first", first, 0), check_seed(seed)
    _check_inputs(known, where, kind, guidance, given, conditions)
    made = plan(
        known,
        schedule=schedule,
        diffusion=diffusion,
        solver=solver,
        steps=steps,
        grid=grid,
        last=last,
        reference=reference,
        shape=form,
    )
    _check_noise("start", start, {"N": count}, form)
    _check_noise("noise", noise, {"K": len(made.grid) - 1, "N": count}, form)
    modal = reference if reference is not None and not plain(reference) else None
    working = torch.float64 if kind == torch.float64 else torch.float32
    calls = 1 if guidance == 1 else 2
    size = min(batch, count)
    whole = torch.empty((count, *form) if size < count else (0,), dtype=kind, device=where)
    paths: list[Tensor] = []
    with tqdm(
        total=made.evaluations * -(-count // size),
        desc=known.name,
        unit="eval",
        disable=None if progress is None else not progress,
    ) as bar:
        for begin in range(0, count, size):
            rows = slice(begin, min(begin + size, count))
            indices = range(first + rows.start, first + rows.stop)
            told, untold = (_rows_of(c, rows, count, where) for c in (given, {**given, **known.unconditional}))
            predict = _predictor(known, told, untold, guidance)
            if start is None:
                z = standard_normal(seed, indices, 0, form, where, working)
            else:
                z = start[rows].to(where, working, copy=True)
            path: list[Tensor] = []
            x = run(
                made,
                predict,
                z,
                seed=seed,
                samples=indices,
                dtype=kind,
                reference=modal,
                noise=None if noise is None else noise[:, rows],
                record=partial(_record, made, path if trajectory else None, callback)
                if trajectory or callback
                else None,
                tick=lambda: bar.update() and None,
            )
            x = (x if made.scales[-1] == 1 else x.mul_(made.scales[-1])).to(kind)
            if size == count:
                whole = x
            else:
                whole[rows] = x
            if trajectory:
                paths.append(torch.stack(path))
    return SampleResult(whole, made.evaluations * calls, made, known, torch.cat(paths, 1) if trajectory else None)


def _predictor(
    model: Model, told: Mapping[str, Any], untold: Mapping[str, Any], guidance: float
) -> Callable[[Tensor, Tensor], Tensor]:
    """The model with its conditions, and with classifier-free guidance where guidance != 1."""
    if guidance == 1:
        return lambda x, t: model(x, t, **told)

    def guided(x: Tensor, t: Tensor) -> Tensor:
        free, bound = model(x, t, **untold), model(x, t, **told)
        right = isinstance(free, Tensor) and isinstance(bound, Tensor) and free.shape == bound.shape
        return torch.lerp(free, bound, guidance) if right else bound  # the sampler says what is wrong

    return guided


def _record(
    made: Plan, path: list[Tensor] | None, callback: Callable[[State], None] | None, step: int, x: Tensor
) -> None:
    state = x * made.scales[step]
    if path is not None:
        path.append(state)
    if callback and step:
        callback(State(step, len(made.grid) - 1, made.grid[step], state if path is None else state.clone()))


def _rows_of(conditions: Mapping[str, Any], rows: slice, count: int, device: torch.device) -> dict[str, Any]:
    """Split what has one row a sample; move tensors to the device."""
    return {
        name: (value[rows] if value.ndim and len(value) == count else value).to(device)
        if isinstance(value, Tensor)
        else value
        for name, value in conditions.items()
    }


def _whole(name: str, value: Any, least: int) -> int:
    """Return an integer of at least `least`, below 2^63."""
    try:
        found = index(value)
    except TypeError:
        found = -1
    if not least <= found < 1 << 63:
        raise SymsiError(f"{name} must be an integer of at least {least}; got {value!r}.")
    return found


def _shape(shape: Any, model: Model) -> tuple[int, tuple[int, ...]]:
    alone = hasattr(shape, "__index__")
    if alone and model.shape is None:
        raise SymsiError(f"{model.name} does not know the shape of a sample; give shape=(N, ...), not {shape}.")
    if not alone and not isinstance(shape, Sequence):
        raise SymsiError(f"shape must be (N, ...) in positive integers, or N; got {shape!r}.")
    given = (shape, *(model.shape or ())) if alone else shape
    whole = tuple(_whole("each entry of shape, (N, ...),", n, 1) for n in given)
    if len(whole) < 2:
        raise SymsiError(f"shape must be (N, ...) in positive integers; got {whole}.")
    if model.shape is not None and whole[1:] != tuple(model.shape):
        raise SymsiError(f"{model.name} makes samples of shape {tuple(model.shape)}; got shape={whole}.")
    return whole[0], whole[1:]


def _check_inputs(
    model: Model, device: torch.device, dtype: Any, guidance: float, given: Mapping[str, Any], conditions: Any
) -> None:
    if model.device is not None and model.device.type != device.type:
        raise SymsiError(f"{model.name} is on {model.device}, device={device} was asked for; move the model there.")
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise SymsiError(f"dtype must be a floating-point type such as torch.float32; got {dtype!r}.")
    if model.dtype is not None and dtype != model.dtype:
        raise SymsiError(f"{model.name} has weights in {model.dtype}; load it in {dtype}, or leave dtype out.")
    if not isinstance(conditions, Mapping | None):
        raise SymsiError(f"conditions must be a mapping of names to values; got {type(conditions).__name__}.")
    for told in (given, *([{**given, **model.unconditional}] if guidance != 1 else [])):
        model.check_conditions(told)
    label = given.get("label")
    if model.classes and label is not None:
        whole = isinstance(label, Tensor) and label.ndim == 1 and not label.is_floating_point()
        if not whole or not -1 <= int(label.min()) <= int(label.max()) < model.classes:
            raise SymsiError(f"label must be (N,) integers from 0 to {model.classes - 1}, or -1 for no class.")
    if guidance != 1 and not model.unconditional:
        raise SymsiError(
            f"{model.name} does not say what its unconditional prediction is; "
            "give Model(..., unconditional={'label': ...}) or leave guidance=1."
        )


def _check_noise(name: str, noise: Tensor | None, wanted: Mapping[str, int], form: tuple[int, ...]) -> None:
    """Check noise that the user gives, of shape (*wanted, *form)."""
    if noise is None:
        return
    shape, letters = (*wanted.values(), *form), ", ".join(wanted)
    if not (isinstance(noise, Tensor) and noise.is_floating_point()):
        raise SymsiError(f"{name} must be a floating-point tensor, ({letters}, *shape); got {type(noise).__name__}.")
    if tuple(noise.shape) != shape:
        raise SymsiError(f"{name} must have the shape ({letters}, *shape) = {shape}; got {tuple(noise.shape)}.")
    if not bool(torch.isfinite(noise).all()):
        raise SymsiError(f"{name} has nan or inf.")

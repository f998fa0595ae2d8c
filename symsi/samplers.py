"""From a model, a schedule, a diffusion, a solver and a grid to samples: formulas become tables, tables a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from operator import index
from pathlib import Path
from typing import Any

import torch
from sympy import Rational
from torch import Tensor
from tqdm import tqdm

from symsi.compile.coefficients import tabulate
from symsi.compile.modal import modal_tables
from symsi.errors import EndpointError, SymsiError
from symsi.models.protocol import Model, as_device, as_model
from symsi.plotting import plot_images
from symsi.sampling.modal import ModalNodes, make_modal_plan
from symsi.sampling.noise import check_seed, standard_normal
from symsi.sampling.plan import Plan
from symsi.sampling.reference import Reference, isotropic
from symsi.sampling.sampler import run
from symsi.sampling.solvers import Nodes, Solver, choose, make_plan
from symsi.symbolic.conversion import Conversion, convert
from symsi.symbolic.diffusion import Diffusion, as_diffusion
from symsi.symbolic.named import as_schedule
from symsi.symbolic.schedule import Kind, Schedule
from symsi.time_grids import Grid, time_grid

__all__ = ["SampleResult", "State", "plan", "sample"]


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


def plan(
    model: Model | Callable[..., Tensor] | Schedule | str,
    *,
    schedule: Schedule | str | None = None,
    diffusion: Diffusion | str = "ode",
    solver: str | None = None,
    steps: int | None = None,
    grid: Grid = "uniform",
    last: str | None = None,
    reference: Reference | None = None,
    shape: tuple[int, ...] | None = None,
) -> Plan:
    """Return the numbers that `sample` would follow; see there. `model` may be given as its schedule alone."""
    known = Model(_never, schedule=model) if isinstance(model, (Schedule, str)) else as_model(model)
    base = as_schedule(known.schedule)
    target = base if schedule is None else as_schedule(schedule)
    scale = as_diffusion(diffusion)
    stochastic = not scale.deterministic
    chosen = choose(solver or ("euler-maruyama" if stochastic else "ab2"), stochastic=stochastic)
    ending = last or ("land" if stochastic else "step")
    times = time_grid(target, grid, steps, start=convert(base, target).start_time)
    conversion = convert(base, target, diffusion=scale, prediction=known.prediction)
    if reference is None and not chosen.modal:
        try:
            return make_plan(_nodes(conversion, times, chosen), chosen, ending)
        except EndpointError as error:
            raise EndpointError(f"{error}{_advice(scale, target)}") from None
    reference = isotropic() if reference is None else reference
    if not isinstance(reference, Reference):
        raise SymsiError(f"a reference is a symsi.Reference; got {type(reference).__name__}.")
    if shape is not None:
        reference.check(shape)
    if scale.kappa is None or not scale.kappa.is_Rational:
        raise SymsiError(f"a reference needs diffusion 'ode', 'optimal' or 'kappa=K' with rational K; got {scale}.")
    if chosen.both_ends or not chosen.drift:
        raise SymsiError(f"solver {solver!r} has no form in modes; use euler, ab2, ab3, exact or exact-ab2.")
    modal = _modal_nodes(conversion, times, reference, Rational(scale.kappa), shape)
    return replace(make_modal_plan(modal, chosen.order, ending), modal=not _plain(reference))


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
        known, schedule=schedule, diffusion=diffusion, solver=solver, steps=steps, grid=grid, last=last,
        reference=reference, shape=form,
    )  # fmt: skip
    _check_noise("start", start, {"N": count}, form)
    _check_noise("noise", noise, {"K": len(made.grid) - 1, "N": count}, form)
    modal = reference if reference is not None and not _plain(reference) else None
    working = torch.float64 if kind == torch.float64 else torch.float32
    calls = 1 if guidance == 1 else 2
    size = min(batch, count)
    whole = torch.empty((count, *form) if size < count else (0,), dtype=kind, device=where)
    paths: list[Tensor] = []
    with tqdm(total=made.evaluations * -(-count // size), desc=known.name, unit="eval",
              disable=None if progress is None else not progress) as bar:  # fmt: skip
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
                made, predict, z, seed=seed, samples=indices, dtype=kind, reference=modal,
                noise=None if noise is None else noise[:, rows],
                record=partial(_record, made, path if trajectory else None, callback)
                if trajectory or callback
                else None,
                tick=lambda: bar.update() and None,
            )  # fmt: skip
            x = (x if made.scales[-1] == 1 else x.mul_(made.scales[-1])).to(kind)
            if size == count:
                whole = x
            else:
                whole[rows] = x
            if trajectory:
                paths.append(torch.stack(path))
    return SampleResult(whole, made.evaluations * calls, made, known, torch.cat(paths, 1) if trajectory else None)


def _advice(diffusion: Diffusion, target: Schedule) -> str:
    """What usually helps where a drift is infinite at an end."""
    if diffusion.kappa is not None and not diffusion.deterministic:
        return " For sampling use solver='exact', whose steps need no drift there."
    return " For sampling use diffusion='optimal'." if target.kind is Kind.POINT_MASS else ""


def _never(x: Tensor, t: Tensor) -> Tensor:
    raise SymsiError("a schedule stood for the model; it predicts nothing.")


@lru_cache(maxsize=256)
def _nodes(conversion: Conversion, times: tuple[float, ...], solver: Solver) -> Nodes:
    """Tabulate what the solvers of a schedule's own coordinates need."""
    whole = _common(conversion, times)
    field: tuple[tuple[float, ...], ...] = whole["data"]
    if solver.drift:
        names = ("drift_input", "drift_prediction")
        table = tabulate(conversion, times if solver.both_ends else times[:-1], names)
        field = tuple(tuple(table[name].tolist()) for name in names)
    spread = torch.zeros(len(times) - 1, dtype=torch.float64)
    if not conversion.diffusion.deterministic:
        steps = torch.tensor(times, dtype=torch.float64).diff()
        epsilon = tabulate(conversion, times[:-1], ("diffusion",))["diffusion"]
        spread = (2 * epsilon * steps).sqrt() / torch.tensor(whole["scales"][1:], dtype=torch.float64)
    return Nodes(
        **whole,
        field=(field[0], field[1]),
        spread=tuple(spread.tolist()),
    )


@lru_cache(maxsize=64)
def _modal_nodes(
    conversion: Conversion,
    times: tuple[float, ...],
    reference: Reference,
    kappa: Rational,
    shape: tuple[int, ...] | None,
) -> ModalNodes:
    """Tabulate T12 by mode."""
    whole = _common(conversion, times)
    variances = reference.modal_variances.cpu()
    tables = modal_tables(kappa, whole["alpha"], whole["beta"], variances)
    mean = reference.mean.cpu()
    if bool(mean.any()):
        if mean.ndim == 0 and shape is None:
            raise SymsiError("the reference has a number for its mean; give the plan the shape of a sample.")
        mean = reference.forward(mean.expand(shape or mean.shape)[None])[0]
    start = (whole["alpha"][0] ** 2 + whole["beta"][0] ** 2 * variances).sqrt()
    return ModalNodes(**{**whole, **tables, "start": start}, mean=mean)


def _common(conversion: Conversion, times: tuple[float, ...]) -> dict[str, Any]:
    """What every plan needs: times, scales, the base's alpha and beta there, eta_X, and the size of the start."""
    table = tabulate(conversion, times, ("time", "scale"))
    taus = tuple(min(1.0, max(0.0, v)) for v in table["time"].tolist())
    data = tabulate(conversion, times[:-1], ("data_input", "data_prediction"))
    own = tabulate(convert(conversion.base, conversion.base), taus, ("alpha", "beta"))
    alpha, beta = own["alpha"].tolist(), own["beta"].tolist()
    return {
        "grid": times,
        "times": taus,
        "scales": tuple(table["scale"].tolist()),
        "data": (tuple(data["data_input"].tolist()), tuple(data["data_prediction"].tolist())),
        "alpha": tuple(alpha),
        "beta": tuple(beta),
        "start": (alpha[0] ** 2 + beta[0] ** 2) ** 0.5,
    }


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


def _plain(reference: Reference) -> bool:
    """Whether the reference's modes are the components themselves, around 0: then the plan says it all."""
    return reference.kind == "isotropic" and not bool(reference.mean.any())


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
    model: Model,
    device: torch.device,
    dtype: Any,
    guidance: float,
    given: Mapping[str, Any],
    conditions: Any,
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

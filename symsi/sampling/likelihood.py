"""Log-likelihoods by the probability-flow ODE: data goes back to noise, and its divergences are added up (T15)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from symsi.coefficients.runtime import working
from symsi.coefficients.two_sided import bridge_kernels
from symsi.errors import ModelError, SymsiError, unknown
from symsi.interpolants.schedule import Schedule
from symsi.models.protocol import Model, as_model
from symsi.models.reference import Reference
from symsi.models.two_sided import BridgeModel
from symsi.sampling.divergence import exact_trace, probed_traces
from symsi.sampling.inputs import check_inputs, check_plan, whole_number
from symsi.sampling.noise import check_seed
from symsi.sampling.predictions import check_form, predictor, rows_of, where
from symsi.sampling.progress import bar
from symsi.solvers.backward import Backward, backward, options_of
from symsi.solvers.grids import Grid
from symsi.solvers.plan import Plan
from symsi.solvers.stage import Coefficient

__all__ = ["DIVERGENCES", "Likelihood", "log_likelihood"]

DIVERGENCES = ("exact", "hutchinson")


@dataclass(frozen=True, eq=False)
class Likelihood:
    """log p(x) of each sample in nats, (N,) in float64, and what it cost.

    `bits_per_dim` is -nats/(D log 2), smaller for what is likelier; `standard_error` (N,) that of `nats` over the
    probes of each sample, 0 where the divergence is exact. `nfe` counts evaluations of the model a sample, and
    `products` the products with its Jacobian in each. `z` (N, *shape) is the noise, or x0 of a two-sided
    model, that the ODE takes to x. For pictures of pixels y = offset + gain x, log p(y) = log p(x) - D log gain.
    """

    nats: Tensor
    standard_error: Tensor
    nfe: int
    products: int
    z: Tensor

    @property
    def bits_per_dim(self) -> Tensor:
        """-log2 p(x) / D, (N,)."""
        return -self.nats / (self.z[0].numel() * math.log(2))

    @property
    def bits_error(self) -> Tensor:
        """The standard error of `bits_per_dim`, (N,)."""
        return self.standard_error / (self.z[0].numel() * math.log(2))


@torch.inference_mode(False)
def log_likelihood(
    model: Model | BridgeModel | Callable[..., Tensor],
    x: Tensor,
    *,
    start: Callable[[Tensor], Tensor] | None = None,
    plan: Plan | None = None,
    schedule: Schedule | str | None = None,
    solver: str | None = None,
    steps: int | None = None,
    grid: Grid | None = None,
    reference: Reference | None = None,
    divergence: str | None = None,
    probes: int = 8,
    conditions: Mapping[str, Any] | None = None,
    seed: int = 0,
    first: int = 0,
    batch: int | None = None,
    progress: bool | None = None,
) -> Likelihood:
    """Return log p(x) of samples x (N, *shape) under the law that the model's probability-flow ODE samples.

    start       log p of x0, from (N, *shape) to (N,): of a two-sided model, and needed there. Its velocity carries x
                back to x0 as it is: schedule, reference and plan are none of its options
    plan        the ODE's, as `symsi.plan` makes it: its schedule, grid, solver and reference, the other way round
    schedule    instead of a plan: any; by default "trigonometric", lazy coordinates, where N(0, I) is exact
                in one step. The law is the same under every schedule
    solver      "dopri5" (order 5, six evaluations a step; the default), "rk4", "heun", "ab2" (the default with a
                reference, and for predictions without a field at t = 0, as noise and score mostly are), "euler"
    steps, grid as in `sample`; default 8 steps uniform in the schedule's time. A grid that ends short of t = 1 takes x
                for a sample of alpha Z + beta X there, which has a density whatever the data
    reference   Gaussian reference: the Gaussian is exact in one step, whatever its covariance
    divergence  "exact", D products with the Jacobian an evaluation, or "hutchinson", `probes` of them and a standard
                error. Default: exact up to 64 dimensions
    conditions  passed to the model; tensors with N rows are split with the batch
    seed, first probes of x[i] are those of (seed, first + i), whatever the batch
    batch       rows a call at most
    progress    show a bar; by default where standard error is a terminal

    d log rho_t(X_t) = -div v dt is integrated from x at the grid's end to z at its start by the quadrature of the
    solver (`symsi.solvers.backward`), in float64 for float64 x; there log N(z; 0, I) is added, and D log c of each
    scale c on the way. x is in model units, a sample of a continuous law: pixels of 256 levels need uniform noise.
    Raises SymsiError for what does not fit, EndpointError where the schedule and prediction have no field at an end,
    and ModelError for a model that cannot be differentiated or a field that is not finite, as at t = 1 of data
    without a density.
    """
    known = _velocity(model) if isinstance(model, BridgeModel) else as_model(model)
    kind = known.dtype or working(_checked(x, known))
    place = known.device or x.device
    count, shape = len(x), tuple(x.shape[1:])
    given = dict(conditions or {}) if isinstance(conditions, Mapping | None) else {"conditions": conditions}
    check_inputs(known, place, kind, 1.0, given, conditions, count)
    first, seed = whole_number("first", first, 0), check_seed(seed)
    size = min(count, count if batch is None else whole_number("batch", batch, 1))
    method = divergence or ("exact" if x[0].numel() <= 64 else "hutchinson")
    if method not in DIVERGENCES:
        raise unknown("divergence", str(method), DIVERGENCES)
    probes = whole_number("probes (one has no standard error)", probes, 2)
    asked = {"schedule": schedule, "solver": solver, "steps": steps, "grid": grid, "reference": reference}
    asked = {name: value for name, value in asked.items() if value is not None}
    if isinstance(model, BridgeModel):
        _check_two_sided(model, start, {**asked, **({} if plan is None else {"plan": plan})})
        asked["schedule"] = known.schedule
    elif start is not None:
        raise SymsiError(f"{known.name} starts from noise, N(0, I): `start` is the density of a two-sided model's x0.")
    rows = _rows(known, plan, asked, shape)
    found: list[tuple[Tensor, ...]] = []
    with bar(known.name, rows.evaluations * -(-count // size), progress) as shown:
        for begin in range(0, count, size):
            some = slice(begin, min(begin + size, count))
            told = rows_of(given, some, count, place)
            predict = predictor(known, told, told, 1.0)
            indices = range(first + some.start, first + some.stop)

            def traces(
                said: Tensor, at: Tensor, q: Callable[[Tensor], Tensor], e: int, held: range = indices
            ) -> Tensor:
                time = rows.stages[e].time
                if method == "exact":
                    return exact_trace(said, at, q, time)
                return probed_traces(said, at, q, time, seed=seed, samples=held, probes=probes, evaluation=e)

            moved = x[some].detach().to(place, working(torch.empty((), dtype=kind)), copy=True)
            found.append(_flow(rows, predict, moved, kind, traces, start, begin, shown.update))
    nats, errors, z = (torch.cat(parts) for parts in zip(*found, strict=True))
    return Likelihood(nats, errors, rows.evaluations, x[0].numel() if method == "exact" else probes, z)


def _velocity(model: BridgeModel) -> Model:
    """The velocity of a two-sided model as one of the linear schedule, whose own coordinates it moves as it is."""
    if "velocity" in model.predictions:
        place = model.predictions.index("velocity")
        return replace(model.called, function=lambda x, t, **told: model(x, t, **told)[place])
    fields = bridge_kernels(model.bridge())

    def velocity(x: Tensor, t: Tensor, **told: Any) -> Tensor:
        first, second = model(x, t, **told)
        return fields.field("velocity", x, first, second, t)

    return replace(model.called, function=velocity)


def _check_two_sided(model: BridgeModel, start: Any, asked: Mapping[str, Any]) -> None:
    if not callable(start):
        raise SymsiError(
            f"{model.name} is two-sided: start=, a function that gives log p of x0 (N, *shape) as (N,), is needed; got "
            f"{type(start).__name__}."
        )
    for name in ("plan", "schedule", "reference"):
        if name in asked:
            raise SymsiError(f"{name} is an option of one-sided models; {model.name} takes solver, steps and grid.")


def _rows(model: Model, plan: Plan | None, options: dict[str, Any], shape: tuple[int, ...]) -> Backward:
    """The rows of a plan or of options, with the defaults filled in."""
    if plan is not None:
        options = options_of(check_plan(plan, model, options, shape, 1.0))
    reference = options.get("reference")
    if not isinstance(reference, Reference | None):
        raise SymsiError(f"a reference is a symsi.Reference; got {type(reference).__name__}.")
    if reference is not None:
        reference.check(shape)
    defaults: dict[str, Any] = {"schedule": "trigonometric", "grid": "uniform"}
    if isinstance(options.get("grid", ""), str):
        defaults["steps"] = 8
    return backward(model, shape=shape, **{**defaults, **options})


def _flow(
    rows: Backward,
    predict: Callable[[str, Tensor, Tensor], Tensor],
    x: Tensor,
    kind: torch.dtype,
    traces: Callable[[Tensor, Tensor, Callable[[Tensor], Tensor], int], Tensor],
    density: Callable[[Tensor], Tensor] | None,
    begin: int,
    tick: Callable[[], Any],
) -> tuple[Tensor, Tensor, Tensor]:
    """log p(x), its standard error and the noise z of one batch; `begin` is the index of its first row."""
    shape, size = tuple(x.shape[1:]), x[0].numel()
    reference = None if rows.reference is None else rows.reference.beside(x)

    def whole(z: Tensor, mean: Coefficient) -> Tensor:
        return z if reference is None else reference.inverse(z, shape) + mean * reference.mean

    def modes(v: Tensor) -> Tensor:
        return v if reference is None else reference.forward(v)

    def trace(c: Coefficient, z: Tensor) -> float:
        """The sum over the D dimensions of a coefficient of each mode."""
        each = torch.as_tensor(c, dtype=torch.float64).expand(z.shape[1:]).flatten()
        rank = len(each) - size  # of a low-rank basis, whose last D numbers are what is left in D - rank dimensions
        return float(each.sum() if rank <= 0 else each[:rank].sum() + (size - rank) * each[-1])

    z = modes(x / rows.scale)
    if reference is not None:
        z = z - modes((rows.beta * reference.mean).expand(1, *shape))
    nats = torch.full((len(x),), -size * math.log(rows.scale), dtype=torch.float64, device=x.device)
    variance = torch.zeros_like(nats)
    fields: list[Tensor] = []
    for e, (stage, volume) in enumerate(zip(rows.stages, rows.volumes, strict=True)):
        at = whole(z, stage.mean).to(kind).detach().clone().requires_grad_()
        time = torch.full((len(z),), float(stage.time), dtype=z.dtype, device=z.device)
        with torch.enable_grad():
            said = predict("prediction", at, time)
            check_form(said, tuple(at.shape), at.device, stage.time)

            gain = _placed(volume * stage.gain, z)

            def weigh(n: Tensor, gain: Any = gain) -> Tensor:
                return whole(gain * modes(n.to(x)), 0.0).to(n)

            found = traces(said, at, weigh, e)
        nats += trace(volume * stage.state, z) + trace(_log(stage.keep), z) + found.mean(1)
        if found.shape[1] > 1:
            variance += found.var(1) / found.shape[1]
        field = (
            _placed(stage.state, z) * z + _placed(stage.gain, z) * modes(said.detach().to(z)) + _placed(stage.offset, z)
        )
        fields = [field, *fields[: max(len(s.weights) for s in rows.stages) - 1]]
        z = _placed(stage.keep, z) * z
        for weight, past in zip(stage.weights, fields, strict=False):
            z = z + _placed(weight, z) * past
        _check_finite(nats, z, said, stage.time, begin)
        tick()
    noise, n = _unit_noise(z, rows.start, size) if density is None else (_said(density, z), z)
    return nats + noise - trace(_log(rows.start), z), variance.sqrt(), whole(n, 0.0)


def _unit_noise(z: Tensor, start: Coefficient, size: int) -> tuple[Tensor, Tensor]:
    """log N(n; 0, I) of n = z/start, and n: the law at the start of a one-sided path."""
    n = z / _placed(start, z)
    return -n.flatten(1).square().sum(1, dtype=torch.float64) / 2 - size * math.log(2 * math.pi) / 2, n


def _said(density: Callable[[Tensor], Tensor], x0: Tensor) -> Tensor:
    """log p(x0) as the user's function says it."""
    found = density(x0)
    if not isinstance(found, Tensor) or found.shape != x0.shape[:1]:
        got = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise SymsiError(f"start must give one log density a sample, shape ({len(x0)},); got {got}.")
    return found.detach().to(x0.device, torch.float64)


def _placed(value: Coefficient, like: Tensor) -> Any:
    return value.to(like) if isinstance(value, Tensor) else value


def _log(value: Coefficient) -> Coefficient:
    return value.log() if isinstance(value, Tensor) else math.log(value)


def _check_finite(nats: Tensor, z: Tensor, said: Tensor, time: Coefficient, begin: int) -> None:
    """Raise ModelError for the first row whose state or divergence is not finite."""
    fine = nats.isfinite() & z.flatten(1).isfinite().all(1)
    if bool(fine.all()):
        return
    row = begin + int((~fine).nonzero()[0])
    what = "prediction" if not bool(torch.isfinite(said).all()) else "divergence"
    raise ModelError(
        f"the model's {what} is not finite {where(time)}, for row {row}. At t = 1 the law of the data has no density "
        "then (points, or a subspace): end the grid short of it, grid=[0, 0.5, 0.99], for the law with that much noise."
    )


def _checked(x: Any, model: Model) -> Tensor:
    """x, if it holds samples of the model."""
    if not isinstance(x, Tensor) or not x.is_floating_point():
        got = str(x.dtype) if isinstance(x, Tensor) else type(x).__name__
        raise SymsiError(f"x must be a floating-point tensor of samples, (N, *shape); got {got}.")
    wanted = "(N, *shape)" if model.shape is None else f"(N, {', '.join(map(str, model.shape))})"
    if x.ndim < 2 or not x.numel() or (model.shape is not None and tuple(x.shape[1:]) != tuple(model.shape)):
        raise SymsiError(f"x must hold samples of {model.name}, {wanted}; got shape {tuple(x.shape)}.")
    fine = x.detach().flatten(1).isfinite().all(1)
    if not bool(fine.all()):
        raise SymsiError(
            f"x has nan or inf in {int((~fine).sum())} of {len(x)} rows; the first is row {int((~fine).nonzero()[0])}."
        )
    return x

"""From a schedule, a diffusion, a solver and a grid to a plan: formulas become tables, tables rows."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import torch
from sympy import Expr, Rational, srepr
from torch import Tensor

from symsi.algebra.collector import uncollected
from symsi.coefficients.cache import kept
from symsi.coefficients.modal import modal_tables
from symsi.coefficients.tables import tabulate
from symsi.errors import EndpointError, PlanError, SymsiError
from symsi.interpolants.named import as_schedule
from symsi.interpolants.schedule import Kind, Schedule
from symsi.models.flow_map import FlowMap
from symsi.models.protocol import Model, as_model
from symsi.models.reference import Reference, isotropic
from symsi.models.spectrum import Spectrum, as_spectrum, spectrum_of
from symsi.solvers.advice import default_grid
from symsi.solvers.flow_map import map_plan
from symsi.solvers.gaussian import gaussian_table
from symsi.solvers.grids import Grid, time_grid
from symsi.solvers.modal import as_coefficient, land, modal
from symsi.solvers.nodes import LANDING, ModalNodes, Nodes
from symsi.solvers.plan import Plan, read_plan
from symsi.solvers.table import Solver, check_last, choose
from symsi.solvers.triangle import triangle_of
from symsi.theory.conversion import Conversion, convert
from symsi.theory.diffusion import Diffusion, as_diffusion
from symsi.theory.functions import Functions

__all__ = ["base_of", "base_words", "origin_of", "plan"]


class _Named(NamedTuple):
    """A grid by name."""

    grid: str
    steps: int


_Asked: TypeAlias = _Named | tuple[float, ...]


@uncollected
def plan(
    model: Model | FlowMap | Callable[..., Tensor] | Schedule | str,
    *,
    schedule: Schedule | str | None = None,
    diffusion: Diffusion | str = "ode",
    solver: str | None = None,
    steps: int | None = None,
    grid: Grid | None = None,
    last: str | None = None,
    reference: Reference | None = None,
    spectrum: Sequence[float] | Tensor | None = None,
    shape: tuple[int, ...] | None = None,
    stochastic: bool | float = False,
) -> Plan:
    """Return the numbers that `sample` would follow, for `sample(model, plan=...)`; see there for the arguments.

    `model` may be given as its schedule alone. A FlowMap takes steps, grid and stochastic alone; with a solver it is
    its velocity u_{t,t} that is solved. Raises SymsiError for what does not fit, with what would.
    """
    if isinstance(model, FlowMap) and solver is None:
        beside = {"schedule": schedule, "last": last, "reference": reference, "spectrum": spectrum}
        for word in [name for name, value in beside.items() if value is not None]:
            raise SymsiError(
                f"a flow map takes steps, grid and stochastic; leave {word} out, convert it (`map.convert(schedule)`), "
                "or give a solver for its velocity."
            )
        if not as_diffusion(diffusion).deterministic:
            raise SymsiError("a flow map is one of the ODE; leave diffusion out. Noise between its steps: stochastic.")
        return map_plan(model, steps, grid, stochastic)
    if stochastic is not False:
        raise SymsiError("stochastic is for the steps of a flow map; leave it out. An SDE takes diffusion='optimal'.")
    model = model.model() if isinstance(model, FlowMap) else model
    known = Model(_never, schedule=model) if isinstance(model, (Schedule, str)) else as_model(model)
    base = as_schedule(known.schedule)
    target = base if schedule is None else as_schedule(schedule)
    scale = as_diffusion(diffusion)
    name, chosen = choose(solver, scale)
    ending = str(last) if last is not None else ("step" if scale.deterministic else "land")
    grid = default_grid(known, target, deterministic=scale.deterministic) if grid is None else grid
    conversion = convert(base, target, diffusion=scale, prediction=known.prediction)
    origin = {
        **origin_of(known),
        "schedule": str(target),
        "diffusion": str(scale),
        "solver": name,
        "grid": grid if isinstance(grid, str) else "times",
        "last": ending,
    }
    if not isinstance(reference, Reference | None):
        raise SymsiError(f"a reference is a symsi.Reference; got {type(reference).__name__}.")
    if reference is not None and shape is not None:
        reference.check(shape)
    law = _law(name, chosen, ending, reference, spectrum)
    asked: _Asked = (
        _Named(grid, steps) if isinstance(grid, str) and type(steps) is int else _times(conversion, grid, steps)
    )
    try:
        if law is not None:
            origin["reference"] = "spectrum" if reference is None else reference.kind
            nodes = _nodes(conversion, _points(conversion, asked), chosen)
            return _fitted_plan(_own_plan(nodes, chosen, ending, origin), nodes, known, law, chosen.ridge or 0.0)
        if reference is None:
            return _plain_plan(conversion, asked, chosen, ending, tuple(origin.items()))
        return _plan_by_mode(conversion, _points(conversion, asked), chosen, ending, reference, origin, shape)
    except EndpointError as error:
        raise EndpointError(f"{error}{_hint(conversion)}") from None


@lru_cache(maxsize=32)
def _plain_plan(
    conversion: Conversion, asked: _Asked, solver: Solver, last: str, origin: tuple[tuple[str, str], ...]
) -> Plan:
    """The plan of a solver without a reference: nothing but numbers and words, so that one object serves every call.

    Its `origin` tells apart schedules that are equal and have other names.
    """

    def make() -> Plan:
        times = _points(conversion, asked)
        if solver.modal:
            return _plan_by_mode(conversion, times, solver, last, isotropic(), dict(origin), None)
        return _own_plan(_nodes(conversion, times, solver), solver, last, dict(origin))

    question = {"plan": _exactly(conversion), "grid": asked, "origin": dict(origin)}
    return kept(question, make, lambda plan: json.loads(plan.text()), lambda data: read_plan(data, "what is kept"))


def _points(conversion: Conversion, asked: _Asked) -> tuple[float, ...]:
    """The times of what was asked for."""
    return _times(conversion, asked.grid, asked.steps) if isinstance(asked, _Named) else asked


def _times(conversion: Conversion, grid: Grid, steps: int | None) -> tuple[float, ...]:
    """The times of a grid, from where the conversion starts."""
    base, target = conversion.base, conversion.target
    return time_grid(target, grid, steps, start=convert(base, target).start_time)


@lru_cache(maxsize=256)
def _exactly(conversion: Conversion) -> tuple[str, ...]:
    """All that the formulas of a conversion follow from, as text that no two of them share."""
    sides = [(s.alpha, s.beta, s.noise_scale, s.data_scale) for s in (conversion.base, conversion.target)]
    return (
        *map(srepr, sides),
        srepr((conversion.diffusion.kappa, conversion.diffusion.expression)),
        conversion.prediction,
    )


def _plan_by_mode(
    conversion: Conversion,
    times: tuple[float, ...],
    solver: Solver,
    last: str,
    reference: Reference,
    origin: Mapping[str, str],
    shape: tuple[int, ...] | None,
) -> Plan:
    """The plan of a solver that steps in the modes of a reference."""
    _check_modal(conversion.diffusion, solver, origin["solver"])
    nodes = _modal_nodes(conversion, times, reference, Rational(conversion.diffusion.kappa), shape)
    return _modal_plan(nodes, solver, last, reference, origin)


def origin_of(model: Model) -> dict[str, str]:
    """Return what a plan says of the model that it is made for: its schedule, as expressions, and its prediction."""
    return {"base": base_words(as_schedule(model.schedule)), "prediction": model.prediction}


def base_words(base: Schedule) -> str:
    """Return a model's schedule as a plan's origin says it."""
    return _words(base.alpha, base.beta)


@lru_cache(maxsize=256)
def _words(alpha: Expr, beta: Expr) -> str:
    return f"alpha={alpha}, beta={beta}"


def base_of(origin: Mapping[str, str]) -> Schedule | None:
    """Return the schedule that `origin_of` wrote down, None where it wrote none. Raises PlanError for other words."""
    if "base" not in origin:
        return None
    words = re.fullmatch(r"alpha=(.+), beta=(.+)", origin["base"])
    if words is None:
        raise PlanError(f"the plan's origin says {origin['base']!r:.60} for the model's schedule, which is none.")
    return Schedule(words[1], words[2])


def _check_modal(scale: Diffusion, solver: Solver, name: str) -> None:
    """Raise SymsiError unless a solver can step in the modes of a reference under a diffusion."""
    if scale.kappa is None or not scale.kappa.is_Rational:
        what = f"solver {name!r}" if solver.modal else "a reference"
        raise SymsiError(f"{what} needs diffusion 'ode', 'optimal' or 'kappa=K' with rational K; got {scale}.")
    if solver.both_ends or not solver.drift:
        raise SymsiError(f"solver {name!r} has no form in modes; use euler, ab2, ab3, exact or exact-ab2.")


def _own_plan(nodes: Nodes, solver: Solver, last: str, origin: Mapping[str, str]) -> Plan:
    """The plan of a solver in the schedule's coordinates."""
    stages, spans = solver.rows(nodes, solver.order)
    if check_last(last, nodes):
        landing, spans[-1] = nodes.landing()
        stages = [*(stage for stage in stages if stage.step < landing.step), landing]
    points = (nodes.grid, nodes.times, nodes.scales, nodes.beta)
    return Plan(stages, *points, nodes.start, spans=spans, clock=solver.clock(nodes), origin=origin)


def _modal_plan(nodes: ModalNodes, solver: Solver, last: str, reference: Reference, origin: Mapping[str, str]) -> Plan:
    """The plan of a solver in the modes of a reference; where those are the components around 0 it needs none."""
    stages, spans = modal(nodes, solver.order)
    if check_last(last, nodes):
        stages[-1], spans[-1] = land(nodes), LANDING
    plain = reference.kind == "isotropic" and not bool(reference.mean.any())
    kept, told = None if plain else reference, {**origin, "reference": reference.kind}
    points = (nodes.grid, nodes.times, nodes.scales, nodes.beta)
    start, clock = as_coefficient(nodes.start), [as_coefficient(s) for s in nodes.natural]
    return Plan(stages, *points, start, reference=kept, spans=spans, clock=clock, origin=told)


def _law(
    name: str, solver: Solver, last: str, reference: Reference | None, variances: Sequence[float] | Tensor | None
) -> Spectrum | None:
    """The Gaussian that a solver is fitted to, if it is. Raises SymsiError where there is none, or nothing to fit."""
    if solver.ridge is None:
        if variances is not None:
            raise SymsiError(
                f"a spectrum is for solver='gaussian'; got solver {name!r}, which takes reference= at most."
            )
        return None
    if last == "land":
        raise SymsiError(f"solver {name!r} fits its last row to where the ODE ends; leave last='land' out.")
    if reference is not None and variances is None:
        return spectrum_of(reference)
    if variances is not None and reference is None:
        return as_spectrum(variances)
    raise SymsiError(
        f"solver {name!r} is fitted to a Gaussian: give spectrum=[...], the variances of the data's modes, or "
        "reference=, one of them. `symsi calibrate reference`, or symsi.reference_of_model, makes a reference."
    )


def _fitted_plan(own: Plan, nodes: Nodes, model: Model, law: Spectrum, ridge: float) -> Plan:
    """The plan of the table that is fitted to a Gaussian, drawn to a solver's own."""
    base, kind = as_schedule(model.schedule), model.prediction
    names = (f"{kind}_state", f"{kind}_prediction")
    predicted = tabulate(convert(base, base, prediction="data"), nodes.times[:-1], names)
    of_state, of_data = (predicted[name].tolist() for name in names)
    table = gaussian_table(triangle_of(own), law, nodes.alpha, nodes.beta, (of_state, of_data), ridge)
    return replace(own, stages=table.plan().stages, spans=())


def _hint(conversion: Conversion) -> str:
    """What usually helps where a coefficient is infinite at an end."""
    scale, base = conversion.diffusion, conversion.base
    if conversion.prediction in ("noise", "score") and base.kind is not Kind.TRUNCATED:
        return (
            f" Under {base} no data is left in the state at t = 0, and a {conversion.prediction} prediction does not "
            "say there what the data is: start short of it, grid=[0.01, 0.25, 0.5, 0.75, 1] for 4 steps. If the "
            "network is a DDPM (variance preserving, betas from 0.0001 to 0.02), its schedule is 'ddpm', which starts "
            "with a trace of data: Model(..., schedule='ddpm')."
        )
    if scale.kappa is not None and not scale.deterministic:
        return " For sampling use solver='exact', whose steps need no drift there."
    return " For sampling use diffusion='optimal'." if conversion.target.kind is Kind.POINT_MASS else ""


def _never(x: Tensor, t: Tensor) -> Tensor:
    raise SymsiError("a schedule stood for the model; it predicts nothing.")


@lru_cache(maxsize=256)
def _nodes(conversion: Conversion, times: tuple[float, ...], solver: Solver) -> Nodes:
    """Tabulate what the solvers of a schedule's own coordinates need."""
    whole = _common(conversion, times)
    field: tuple[tuple[float, ...], ...] = whole["data"]
    if solver.drift:
        names = ("drift_input", "drift_prediction")
        finite = times[-1] < 1 or all(conversion.end_value(name, 1) is not None for name in names)
        table = tabulate(conversion, times if solver.both_ends and finite else times[:-1], names)
        field = tuple(tuple(table[name].tolist()) for name in names)
    spread = torch.zeros(len(times) - 1, dtype=torch.float64)
    if not conversion.diffusion.deterministic:
        steps = torch.tensor(times, dtype=torch.float64).diff()
        epsilon = tabulate(conversion, times[:-1], ("diffusion",))["diffusion"]
        spread = (2 * epsilon * steps).sqrt() / torch.tensor(whole["scales"][1:], dtype=torch.float64)
    return Nodes(**whole, field=(field[0], field[1]), spread=tuple(spread.tolist()))


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
    if not bool(mean.any()):
        mean = torch.zeros((), dtype=torch.float64)
    else:
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
    base = conversion.base
    own = tabulate(Functions((("alpha", base.alpha), ("beta", base.beta)), str(base)), taus)
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

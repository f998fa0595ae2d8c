"""From a schedule, a diffusion, a solver and a grid to a plan: formulas become tables, tables rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch
from sympy import Rational
from torch import Tensor

from symsi.coefficients.modal import modal_tables
from symsi.coefficients.tables import tabulate
from symsi.errors import EndpointError, SymsiError
from symsi.interpolants.named import as_schedule
from symsi.interpolants.schedule import Kind, Schedule
from symsi.models.protocol import Model, as_model
from symsi.models.reference import Reference, isotropic
from symsi.solvers.grids import Grid, time_grid
from symsi.solvers.modal import ModalNodes, make_modal_plan
from symsi.solvers.plan import Plan
from symsi.solvers.table import Nodes, Solver, choose, make_plan
from symsi.theory.conversion import Conversion, convert
from symsi.theory.diffusion import Diffusion, as_diffusion

__all__ = ["plain", "plan"]


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
    return replace(make_modal_plan(modal, chosen.order, ending), modal=not plain(reference))


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
    return Nodes(**whole, field=(field[0], field[1]), spread=tuple(spread.tolist()))


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


def plain(reference: Reference) -> bool:
    """Whether the reference's modes are the components themselves, around 0: then the plan says it all."""
    return reference.kind == "isotropic" and not bool(reference.mean.any())

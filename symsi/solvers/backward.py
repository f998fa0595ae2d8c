"""The probability-flow ODE from data to noise as rows, and what each evaluation adds to the log density (T15).

A solver's own rows over the reversed grid carry z = U^T (x/c - beta m) from t_K to t_0 < t_K,

    z <- keep z + sum_j weights[j] g_j,  g = state z + gain P + offset,

so that y = C z with C <- C / keep moves by the quadrature C weights of the fields g. Along the ODE
d log rho(y) = -div_y dy/dt dt, and the same quadrature of the divergences is, over all evaluations e of all steps,

    log rho_K(z_K) = log rho_0(z_0) + sum_i log(C_K/C_0)_i + sum_e sum_i volume_{e,i} (d g_e/d z)_{ii},
    volume_e = sum_k weights_k[k - e] C_{k+1}/C_e,   log(C_K/C_0) = sum_k log keep_k,

of the order of the solver. Nothing else of the solver is needed: an evaluation is weighted once. Where Gaussian data
has no drift in y, state + gain dP/dz = 0, and every term but log rho_0 and the keeps vanishes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from typing import Any

import torch
from sympy import Integer
from torch import Tensor

from symsi.coefficients.modal import modal_tables
from symsi.coefficients.tables import tabulate
from symsi.errors import EndpointError, PlanError, SymsiError, unknown
from symsi.interpolants.named import as_schedule
from symsi.interpolants.schedule import Kind, Schedule
from symsi.models.protocol import Model
from symsi.models.reference import Reference
from symsi.solvers.grids import Grid, time_grid
from symsi.solvers.heun import heun
from symsi.solvers.modal import modal
from symsi.solvers.multistep import multistep
from symsi.solvers.nodes import ModalNodes, Nodes
from symsi.solvers.plan import Plan
from symsi.solvers.runge_kutta import DOPRI5, RK4, runge_kutta
from symsi.solvers.stage import Coefficient, Span, Stage
from symsi.theory.conversion import Conversion, convert

__all__ = ["BACKWARD", "Backward", "backward", "options_of"]


@dataclass(frozen=True)
class _Rule:
    """A line of the table: the rows of nodes, and the shares of a step that are nodes, 0 and 1 among them."""

    rows: Callable[[Nodes], tuple[list[Stage], list[Span]]]
    points: tuple[Fraction, ...] = (Fraction(0), Fraction(1))
    end: bool = True  # whether the field is evaluated at the end of a step
    order: int = 0  # in the modes of a reference, which have Adams-Bashforth methods alone


BACKWARD: Mapping[str, _Rule] = {
    "euler": _Rule(partial(multistep, order=1), end=False, order=1),
    "ab2": _Rule(partial(multistep, order=2), end=False, order=2),
    "heun": _Rule(partial(heun, order=2)),
    "rk4": _Rule(partial(runge_kutta, method=RK4), RK4.points),
    "dopri5": _Rule(partial(runge_kutta, method=DOPRI5), DOPRI5.points),
}


@dataclass(frozen=True, eq=False)
class Backward:
    """Stages from data to noise, and each evaluation's volume; `grid` falls from t_K to t_0, in the schedule's time.

    Data x in the schedule's coordinates is z = U^T (x/scale - beta m) at first, and z = start n, n ~ N(0, I), at last.
    Without a reference U = I and m = 0.
    """

    stages: Sequence[Stage]
    volumes: Sequence[Coefficient]
    grid: Sequence[float]
    scale: float
    beta: float
    start: Coefficient
    reference: Reference | None = None

    @property
    def evaluations(self) -> int:
        """Evaluations of the model a sample."""
        return len(self.stages)


def backward(
    model: Model,
    *,
    schedule: Schedule | str,
    solver: str | None = None,
    steps: int | None = None,
    grid: Grid = "uniform",
    reference: Reference | None = None,
    shape: tuple[int, ...] | None = None,
) -> Backward:
    """Return the rows of the ODE of `model` under `schedule` from the end of the grid to its start.

    `grid` and `steps` are those of `time_grid`; the default solver is "dopri5", or "ab2" in the modes of a reference
    and where the field has no limit at t = 0, as that of noise predictions mostly: it evaluates none there.
    Raises SymsiError for what does not fit, and EndpointError where a field that the solver needs has no finite limit.
    """
    base, target = as_schedule(model.schedule), as_schedule(schedule)
    conversion = convert(base, target, prediction=model.prediction)
    name = solver or ("dopri5" if reference is None and not _endless(conversion, 0) else "ab2")
    if name not in BACKWARD:
        raise unknown("solver of the way back", str(name), BACKWARD)
    rule = BACKWARD[name]
    times = time_grid(target, grid, steps, start=conversion.start_time)
    if reference is not None:
        if not rule.order:
            raise SymsiError(f"solver {name!r} has no form in the modes of a reference; use ab2 or euler.")
        return _modal(conversion, times, reference, rule, shape)
    if target.kind is Kind.POINT_MASS and times[0] == conversion.start_time:
        raise EndpointError(
            f"{target} starts at a point mass, from which the ODE has no density to come from; use a schedule with "
            "noise at t = 0, such as 'trigonometric'."
        )
    try:
        return _plain(conversion, times, rule)
    except EndpointError as error:
        raise EndpointError(f"{error}{_hint(conversion, name)}") from None


def options_of(plan: Plan) -> dict[str, Any]:
    """Return the options of `backward` that run the ODE of a plan in the other direction.

    Raises PlanError for a plan with noise, of a solver without a way back, or that says nothing of its schedule.
    """
    if plan.stochastic or plan.origin.get("diffusion", "ode") != "ode":
        raise PlanError("the plan adds noise, and a path with noise has no likelihood; give the plan of the ODE.")
    solver, words = plan.origin.get("solver", ""), plan.origin.get("schedule", "")
    if solver not in BACKWARD or not words:
        raise PlanError(
            f"the plan's rows ({solver or 'of no known solver'}) lead from noise to data and say nothing of the way "
            f"back; give a plan of {', '.join(BACKWARD)}, or schedule=, solver= and steps= instead."
        )
    pair = re.fullmatch(r"\(alpha=(.+), beta=(.+)\)", words)
    target = Schedule(pair[1], pair[2]) if pair else as_schedule(words)
    return {"schedule": target, "solver": solver, "grid": plan.grid, "reference": plan.reference}


def _plain(conversion: Conversion, times: tuple[float, ...], rule: _Rule) -> Backward:
    """The rows in the schedule's own coordinates."""
    points = [times[-1]]
    for late, early in zip(times[:0:-1], times[-2::-1], strict=True):
        points += [*(late - (late - early) * float(c) for c in rule.points[1:-1]), early]
    table = tabulate(conversion, points[::-1], ("time", "scale"))
    taus = [min(1.0, max(0.0, v)) for v in table["time"].tolist()]
    asked = points[::-1] if rule.end else points[-2::-1]
    field = tabulate(conversion, asked, ("drift_input", "drift_prediction"))
    nodes = Nodes(
        grid=tuple(points),
        times=tuple(taus[::-1]),
        scales=tuple(table["scale"].tolist()[::-1]),
        field=(tuple(field["drift_input"].tolist()[::-1]), tuple(field["drift_prediction"].tolist()[::-1])),
        data=((), ()),
        alpha=(),
        beta=(),
        spread=(0.0,) * (len(points) - 1),
        start=1.0,
    )
    stages, _ = rule.rows(nodes)
    alpha, beta = _own(conversion, taus)
    start = (alpha[0] ** 2 + beta[0] ** 2) ** 0.5
    return Backward(tuple(stages), _volumes(stages), times[::-1], nodes.scales[0], beta[-1], start)


def _modal(
    conversion: Conversion, times: tuple[float, ...], reference: Reference, rule: _Rule, shape: tuple[int, ...] | None
) -> Backward:
    """The rows in the modes of a reference (T12, kappa = 0), where its Gaussian has no drift."""
    back = times[::-1]
    table = tabulate(conversion, times, ("time", "scale"))
    taus = [min(1.0, max(0.0, v)) for v in table["time"].tolist()]
    alpha, beta = _own(conversion, taus)
    data = tabulate(conversion, times[1:], ("data_input", "data_prediction"))
    variances = reference.modal_variances.cpu()
    tables = {k: v.flip(0) for k, v in modal_tables(Integer(0), alpha, beta, variances).items()}
    mean = reference.forward(reference.mean.cpu().expand(shape or reference.mean.shape)[None])[0]
    nodes = ModalNodes(
        grid=back,
        times=tuple(taus[::-1]),
        scales=(),
        data=(tuple(data["data_input"].tolist()[::-1]), tuple(data["data_prediction"].tolist()[::-1])),
        alpha=(),
        beta=beta[::-1],
        mean=mean,
        start=torch.ones(()),
        **tables,
    )
    stages, _ = modal(nodes, rule.order)
    if alpha[-1] == 0:
        stages[0] = _at_data(conversion, stages[0], taus[-1], variances, mean)
    start = (alpha[0] ** 2 + beta[0] ** 2 * variances).sqrt()
    return Backward(tuple(stages), _volumes(stages), back, float(table["scale"][-1]), beta[-1], start, reference)


def _at_data(conversion: Conversion, stage: Stage, tau: float, variances: Tensor, mean: Tensor) -> Stage:
    """The first stage where alpha = 0: Delta / sqrt(1 - w) is there the limit -sqrt(lambda) eta_Z.

    T12 for kappa = 0 is dy/d theta = -sqrt(lambda) sin(theta) eta_Z + cos(theta) (eta_X - m), with theta = pi/2.
    """
    base = conversion.base
    own = tabulate(convert(base, base, prediction=conversion.prediction), [tau], ("noise_state", "noise_prediction"))
    root = variances.sqrt()
    state, gain = (-root * own[name][0] for name in ("noise_state", "noise_prediction"))
    return replace(stage, state=state, gains=(gain,), offset=state * mean * stage.mean)


def _volumes(stages: Sequence[Stage]) -> tuple[Coefficient, ...]:
    """volume_e = sum_k weights_k[k - e] C_{k+1}/C_e, with C_{k+1}/C_e = 1/(keep_e ... keep_k)."""
    longest = max(len(stage.weights) for stage in stages)
    found: list[Any] = []
    for e in range(len(stages)):
        volume: Any = 0.0
        ratio: Any = 1.0
        for j, later in enumerate(stages[e : e + longest]):
            ratio = ratio / later.keep
            if j < len(later.weights):
                volume = volume + later.weights[j] * ratio
        found.append(volume)
    return tuple(found)


def _own(conversion: Conversion, taus: Sequence[float]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The model's alpha and beta at increasing times."""
    table = tabulate(convert(conversion.base, conversion.base), taus, ("alpha", "beta"))
    return tuple(table["alpha"].tolist()), tuple(table["beta"].tolist())


def _endless(conversion: Conversion, end: int) -> bool:
    """Whether the field has no finite limit at an end."""
    return any(conversion.end_value(name, end) is None for name in ("drift_input", "drift_prediction"))


def _hint(conversion: Conversion, solver: str) -> str:
    """What helps where the field has no limit at an end that the way back evaluates."""
    if _endless(conversion, 1):
        return (
            f" Data says there nothing of its score to a {conversion.prediction} prediction, or moves infinitely fast: "
            "end short of it, grid=[0, 0.25, 0.5, 0.75, 0.99], for the law of x with that much noise."
        )
    return f" Instead of {solver!r} use solver='ab2', which evaluates no field at the start, or start later."

"""From a two-sided model, a direction, a diffusion, a solver and a grid to a plan.

Forward the state follows dX = b_F dt + sqrt(2 epsilon) dW, b_F = v + epsilon s, from x0 at t = 0 to x1; backward the
grid falls from t = 1 to 0, and dX = b_B dt + sqrt(2 epsilon) dW with b_B = v - epsilon s (T13; Albergo, Boffi,
Vanden-Eijnden, arXiv:2303.08797). A step of length h, negative backward, adds sqrt(2 epsilon |h|) n.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from sympy import Expr
from torch import Tensor

from symsi.coefficients.modal import BRIDGE_COEFFICIENTS, bridge_tables
from symsi.coefficients.tables import tabulate
from symsi.errors import SymsiError, unknown
from symsi.interpolants.named import schedule
from symsi.models.reference import Reference
from symsi.models.shared_modes import SharedModes, shared_modes
from symsi.models.two_sided import BridgeModel, as_bridge_model
from symsi.solvers.bridge_modes import by_mode, with_means
from symsi.solvers.grids import Grid, time_grid
from symsi.solvers.nodes import Nodes
from symsi.solvers.plan import Plan
from symsi.solvers.table import SOLVERS, check_last
from symsi.theory.bridge import Bridge

__all__ = ["DIRECTIONS", "bridge_origin", "bridge_plan"]

DIRECTIONS: Mapping[str, str] = {"forward": "from x0 to x1", "backward": "from x1 to x0"}
_GRIDS = ("uniform", "cosine")


def bridge_plan(
    model: BridgeModel,
    *,
    direction: str = "forward",
    diffusion: Expr | str | float = "ode",
    solver: str | None = None,
    steps: int | None = None,
    grid: Grid = "uniform",
    last: str = "step",
    reference: tuple[Reference, Reference] | None = None,
    shape: tuple[int, ...] | None = None,
) -> Plan:
    """Return the numbers that `sample_bridge` would follow, for `sample_bridge(model, start, plan=...)`.

    direction   "forward", from x0 to x1, or "backward"
    diffusion   "ode", or epsilon >= 0 in t, alpha, beta, gamma, such as "gamma", which every end bears; or
                "brownian" (see `symsi.bridge`), which needs the score for a prediction at the end it starts from
    solver      "euler", "heun", "ab2" (default), "ab3"; with noise "euler-maruyama" (default), "ab2-maruyama"
    grid        "uniform"; "cosine", t = (1 - cos(pi k/K))/2, denser at both ends; or the increasing times themselves
    last        the last step: "step" as the others, or "land" on the prediction of x1, backward of x0, without noise;
                it leaves none of the latent behind, and needs two predictions
    reference   Gaussian references of x0 and x1, whose covariances commute; makes the steps of the ODE exact where
                the ends are those Gaussians, independent of each other (T16)
    shape       of a sample, for references, where the model does not say

    Raises EndpointError where a drift has no value at an end that the grid evaluates, with what that end bears, and
    SymsiError for what does not fit.
    """
    known = as_bridge_model(model)
    if direction not in DIRECTIONS:
        raise unknown("direction", str(direction), DIRECTIONS)
    fields = known.bridge(diffusion)
    name = _solver(solver, stochastic=fields.epsilon != 0)
    chosen = SOLVERS[name]
    times = _times(grid, steps)
    nodes = _nodes(known, fields, times if direction == "forward" else times[::-1], both_ends=chosen.both_ends)
    modes = None if reference is None else _modes(known, fields, reference, shape)
    if modes is None:
        stages, spans = chosen.rows(nodes, chosen.order)
    else:
        triple = _columns(fields, nodes.times, BRIDGE_COEFFICIENTS)
        tables = bridge_tables(triple, modes.variances, modes.means)
        stages, spans = chosen.rows(by_mode(nodes, tables), chosen.order)
        stages = with_means(stages, nodes, tables)
    if check_last(last, nodes):
        landing, spans[-1] = replace(nodes, data=_data(known, fields, nodes.times)).landing()
        stages = [*(stage for stage in stages if stage.step < landing.step), landing]
    origin = {
        **bridge_origin(known),
        "direction": direction,
        "diffusion": "ode" if fields.epsilon == 0 else str(fields.epsilon),
        "solver": name,
        "grid": grid if isinstance(grid, str) else "times",
        "last": last,
    }
    if reference is not None:
        origin["reference"] = ", ".join(r.kind for r in reference)
    return Plan(stages, nodes.grid, reference=None if modes is None else modes.basis, spans=spans, origin=origin)


def bridge_origin(model: BridgeModel) -> dict[str, str]:
    """Return what a plan says of the two-sided model that it is made for: its interpolant, and its predictions."""
    i = model.interpolant
    words = ", ".join(f"{name}={getattr(i, name)}" for name in ("alpha", "beta", "gamma"))
    return {"interpolant": words, "prediction": ", ".join(model.predictions)}


def _solver(name: str | None, *, stochastic: bool) -> str:
    """The name of a solver of a bridge's own coordinates. Raises SymsiError for one that does not fit the diffusion."""
    fit = [n for n, s in SOLVERS.items() if s.stochastic == stochastic and s.drift and not s.modal and s.ridge is None]
    name = (fit[0] if stochastic else "ab2") if name is None else name
    if name not in SOLVERS:
        raise unknown("solver", str(name), SOLVERS)
    if name not in fit:
        what = "an SDE" if stochastic else "the ODE"
        raise SymsiError(f"solver {name!r} does not step {what} of a bridge; use {', '.join(fit)}.")
    return name


def _times(grid: Grid, steps: int | None) -> tuple[float, ...]:
    """The K + 1 increasing times."""
    if isinstance(grid, str) and grid not in _GRIDS:
        raise unknown("grid of a bridge", grid, _GRIDS)
    cosine = isinstance(grid, str) and grid == "cosine"
    even = time_grid(schedule("linear"), "uniform" if cosine else grid, steps)
    return tuple((1 - math.cos(math.pi * u)) / 2 for u in even) if cosine else even


def _nodes(model: BridgeModel, fields: Bridge, times: tuple[float, ...], *, both_ends: bool) -> Nodes:
    """Tabulate the drift where the solver evaluates it, and the noise of each step."""
    rising = times[0] < times[-1]
    drift = "velocity" if fields.epsilon == 0 else "forward" if rising else "backward"
    points = times if both_ends else times[:-1]
    for end in {0.0, 1.0} & set(points):
        fields.require(drift, int(end))
    names = (f"{drift}_state", *(f"{drift}_{kind}" for kind in fields.given[: len(model.predictions)]))
    column: dict[str, Any] = _columns(fields, points, (*names, "diffusion"))
    steps = torch.tensor(times, dtype=torch.float64).diff().abs()
    spread = (2 * column["diffusion"][: len(steps)] * steps).sqrt()
    zeros = (0.0,) * len(times)
    return Nodes(
        grid=times,
        times=times,
        scales=(1.0,) * len(times),
        field=tuple(tuple(column[name].tolist()) for name in names),
        data=((), ()),
        alpha=zeros,
        beta=zeros,
        spread=tuple(spread.tolist()),
        start=1.0,
        asks=tuple(model.predictions),
    )


def _columns(fields: Bridge, times: tuple[float, ...], names: Sequence[str]) -> dict[str, Tensor]:
    """Tabulate coefficients at times in their order, which may be a falling one."""
    table = tabulate(fields.functions, sorted(times), names)
    return {name: table[name].flip(0) if times[0] > times[-1] else table[name] for name in table}


def _modes(model: BridgeModel, fields: Bridge, references: Any, shape: tuple[int, ...] | None) -> SharedModes:
    """The modes that two references share. Raises SymsiError for an SDE, and where no shape is known."""
    if fields.epsilon != 0:
        raise SymsiError(
            "references make the steps of the ODE exact; between Gaussians a step of an SDE needs the integral of "
            f"epsilon/S, which has no closed form for epsilon = {fields.epsilon}. Leave reference out, or take "
            "diffusion='ode'."
        )
    form = model.shape if shape is None else shape
    if form is None:
        raise SymsiError(f"{model.name} does not say the shape of a sample, which references need; give shape=(...).")
    return shared_modes(references, tuple(form))


def _data(model: BridgeModel, fields: Bridge, times: tuple[float, ...]) -> tuple[tuple[float, ...], ...]:
    """The end that a grid leads to, x1 or x0, as a row over the state and the predictions, where the last step starts.

    Raises SymsiError for a grid that ends elsewhere or a model of one prediction, EndpointError for a step that starts
    where the row has no value.
    """
    goal = "x1" if times[0] < times[-1] else "x0"
    if len(model.predictions) < 2 or times[-1] != (goal == "x1"):
        raise SymsiError(
            f"last='land' goes to the prediction of {goal} at t = {goal[1]}: it needs a grid that ends there, here at "
            f"{times[-1]:g}, and two predictions; {model.name} has {' and '.join(model.predictions)}. Use last='step'."
        )
    *before, point = times[:-1]
    if point in (0.0, 1.0):
        fields.require(goal, int(point))
    names = (f"{goal}_state", *(f"{goal}_{kind}" for kind in fields.given))
    table = tabulate(fields.functions, (point,), names)
    return tuple((0.0,) * len(before) + (float(table[name]),) for name in names)

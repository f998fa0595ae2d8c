"""Solvers as tables of weights: how each turns a grid and the coefficients on it into the rows of a plan."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from symsi.errors import SymsiError, unknown
from symsi.solvers.plan import Coefficient, Plan, Row

__all__ = ["LAST", "SOLVERS", "Nodes", "Solver", "adams_bashforth", "check_last", "choose", "make_plan"]

LAST = ("step", "land")


@dataclass(frozen=True)
class Nodes:
    """Coefficients at the K + 1 points of a grid, as lists of floats.

    `field` (of z, of P) gives the drift that the solver integrates over the grid, F = field[0] z + field[1] P;
    `data` likewise gives eta_X; both have an entry for every point that a solver evaluates. `alpha` and `beta` are the
    base's at the model's times; `spread` is the standard deviation of the noise of each step over the scale at its end.
    """

    grid: tuple[float, ...]
    times: tuple[float, ...]
    scales: tuple[float, ...]
    field: tuple[tuple[float, ...], tuple[float, ...]]
    data: tuple[tuple[float, ...], tuple[float, ...]]
    alpha: tuple[float, ...]
    beta: tuple[float, ...]
    spread: tuple[float, ...]
    start: float


@dataclass(frozen=True)
class Solver:
    """A row of the table: what it is for, its order, and the function that makes its rows."""

    stochastic: bool
    order: int
    rows: Callable[[Nodes, int], list[Row]]
    both_ends: bool = False  # whether the field is evaluated at the last point as well
    modal: bool = False  # whether it steps in the coordinates of a reference
    drift: bool = True  # whether it needs the drift's coefficients, or those of eta_X alone


def adams_bashforth(nodes: Sequence[Coefficient], order: int) -> tuple[Coefficient, ...]:
    """Return the weights of the fields at nodes[-2], nodes[-3], ... in the integral from nodes[-2] to nodes[-1].

    The polynomial through the last `order` fields is integrated exactly: with h the step, q and p the steps before,
    order 1: h; order 2: h + h^2/(2 q), -h^2/(2 q); order 3 adds (h^3/3 + q h^2/2) f[k, k-1, k-2]. Fewer nodes than
    order + 1 give the highest order that they allow (Euler start).
    """
    order = min(order, len(nodes) - 1)
    h = nodes[-1] - nodes[-2]
    if order == 1:
        return (h,)
    q = nodes[-2] - nodes[-3]
    first = h * h / (2 * q)
    if order == 2:
        return (h + first, -first)
    p = nodes[-3] - nodes[-4]
    second = (h * h * h / 3 + q * h * h / 2) / (q + p)
    return (h + first + second / q, -first - second / q - second / p, second / p)


def _multistep(nodes: Nodes, order: int) -> list[Row]:
    """Euler, Adams-Bashforth 2 and 3 in the schedule's time; with spread, their Maruyama forms."""
    rows = []
    for k in range(len(nodes.grid) - 1):
        weights = adams_bashforth(nodes.grid[max(0, k + 1 - order) : k + 2], order)
        scale = nodes.scales[k + 1]
        rows.append(
            Row(
                step=k + 1,
                time=nodes.times[k],
                state=nodes.field[0][k],
                prediction=nodes.field[1][k],
                keep=nodes.scales[k] / scale,
                weights=tuple(w / scale for w in weights),
                noise=nodes.spread[k],
            )
        )
    return rows


def _heun(nodes: Nodes, order: int) -> list[Row]:
    """Heun: an Euler step to z', then z' + h/2 (g(z') - g(z)); two evaluations a step."""
    rows = []
    for k, euler in enumerate(_multistep(nodes, 1)):
        half = (nodes.grid[k + 1] - nodes.grid[k]) / 2 / nodes.scales[k + 1]
        field = (nodes.field[0][k + 1], nodes.field[1][k + 1])
        rows += [euler, Row(k + 1, nodes.times[k + 1], *field, keep=1.0, weights=(half, -half))]
    return rows


def _dpm(nodes: Nodes, order: int) -> list[Row]:
    """DPM-Solver++(2M): x/alpha moves by (rho' - rho) D, D = D_k + (D_k - D_{k-1})/(2 r), r = h_{k-1}/h_k of log rho.

    First and last steps are of order 1: log rho is infinite there. (Lu et al. 2022, algorithm 2.)
    """
    rows = []
    last = len(nodes.grid) - 2
    log_ratio = [_log_ratio(a, b) for a, b in zip(nodes.alpha, nodes.beta, strict=True)]
    for k in range(last + 1):
        keep = nodes.alpha[k + 1] / nodes.alpha[k]
        gain = nodes.beta[k + 1] - keep * nodes.beta[k]
        weights: tuple[float, ...] = (gain,)
        if 0 < k < last and math.isfinite(log_ratio[k - 1]):
            share = (log_ratio[k + 1] - log_ratio[k]) / (2 * (log_ratio[k] - log_ratio[k - 1]))
            weights = (gain * (1 + share), -gain * share)
        rows.append(Row(k + 1, nodes.times[k], nodes.data[0][k], nodes.data[1][k], keep, weights))
    return rows


def _log_ratio(alpha: float, beta: float) -> float:
    """log(beta/alpha), infinite at the ends."""
    return -math.inf if beta == 0 else math.inf if alpha == 0 else math.log(beta) - math.log(alpha)


SOLVERS: Mapping[str, Solver] = {
    "euler": Solver(False, 1, _multistep),
    "heun": Solver(False, 2, _heun, both_ends=True),
    "ab2": Solver(False, 2, _multistep),
    "ab3": Solver(False, 3, _multistep),
    "dpm++2m": Solver(False, 2, _dpm, drift=False),
    "euler-maruyama": Solver(True, 1, _multistep),
    "ab2-maruyama": Solver(True, 2, _multistep),
    "exact": Solver(True, 1, _multistep, modal=True),
    "exact-ab2": Solver(True, 2, _multistep, modal=True),
}


def choose(name: str, *, stochastic: bool) -> Solver:
    """Return the solver of that name. Raises UnknownNameError, and SymsiError where it does not fit the diffusion."""
    if name not in SOLVERS:
        raise unknown("solver", str(name), SOLVERS)
    solver = SOLVERS[name]
    fitting = [n for n, s in SOLVERS.items() if s.stochastic == stochastic]
    if stochastic and not solver.stochastic:
        raise SymsiError(
            f"solver {name!r} is deterministic but the diffusion is not 0; use {', '.join(fitting)}, "
            "or diffusion='ode'."
        )
    if solver.stochastic and not stochastic:
        raise SymsiError(
            f"solver {name!r} is stochastic but the diffusion is 0 (the ODE); use {', '.join(fitting)}, "
            "or diffusion='optimal'."
        )
    return solver


def make_plan(nodes: Nodes, solver: Solver, last: str) -> Plan:
    """Return the plan of a solver on a grid; `last` = "land" replaces the last step by x = eta_X."""
    rows = solver.rows(nodes, solver.order)
    if check_last(last, nodes.alpha[-1]):
        final = len(nodes.grid) - 2
        rows = [row for row in rows if row.step <= final]
        field = (nodes.data[0][final], nodes.data[1][final])
        rows.append(Row(final + 1, nodes.times[final], *field, keep=0.0, weights=(1.0,)))
    return Plan(tuple(rows), nodes.grid, nodes.times, nodes.scales, nodes.beta, nodes.start)


def check_last(last: str, alpha_end: float) -> bool:
    """Return whether to land. Raises SymsiError where there is no such choice or the grid ends in noise."""
    if last not in LAST:
        raise unknown("last step", last, LAST)
    if last == "land" and alpha_end != 0:
        raise SymsiError("last='land' needs a grid that ends at t = 1, where no noise is left; use last='step'.")
    return last == "land"

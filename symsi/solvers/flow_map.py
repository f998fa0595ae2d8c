"""Steps of a flow map: x <- x + (t - s) u_{s,t}(x), one evaluation each, exact for an exact map (T19)."""

from __future__ import annotations

from itertools import pairwise

from symsi.coefficients.tables import tabulate
from symsi.interpolants.named import as_schedule
from symsi.models.flow_map import FlowMap
from symsi.solvers.grids import Grid, time_grid
from symsi.solvers.plan import Plan
from symsi.solvers.stage import Stage
from symsi.theory.conversion import convert

__all__ = ["map_plan"]


def map_plan(flow: FlowMap, steps: int | None = None, grid: Grid | None = None) -> Plan:
    """Return the plan of a flow map on a grid, by default uniform, in its own schedule."""
    own, grid = as_schedule(flow.schedule), "uniform" if grid is None else grid
    times = time_grid(own, grid, steps)
    stages = [Stage(k + 1, time=s, weights=[t - s], until=t) for k, (s, t) in enumerate(pairwise(times))]
    table = tabulate(convert(own, own), times[:1], ("alpha", "beta"))
    start = (float(table["alpha"][0]) ** 2 + float(table["beta"][0]) ** 2) ** 0.5
    words = {
        "base": f"alpha={own.alpha}, beta={own.beta}",
        "prediction": "velocity",
        "schedule": str(own),
        "solver": "flow map",
        "grid": grid if isinstance(grid, str) else "times",
    }
    return Plan(stages, times, start=start, origin=words)

"""Steps of a flow map, one evaluation each: exact for an exact map, and with noise the marginal laws are (T19).

A step from s to t is x <- x + (t - s) u_{s,t}(x). Where a share of the noise is drawn anew it jumps past t, to u with
rho_u = rho_t/sqrt(1 - share), and adds noise: x <- (beta_t/beta_u) (x + (u - s) u_{s,u}(x)) + sqrt(share) alpha_t n.
With share 1 every jump is to the data, as of consistency models (Song et al., arXiv:2303.01469); sqrt(share) is the
gamma of CTM (Kim et al., arXiv:2310.02279).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from symsi.coefficients.renoising import renoising
from symsi.coefficients.tables import tabulate
from symsi.errors import SymsiError
from symsi.interpolants.named import as_schedule
from symsi.models.flow_map import FlowMap
from symsi.solvers.grids import Grid, time_grid
from symsi.solvers.plan import Plan
from symsi.solvers.stage import Span, Stage
from symsi.theory.conversion import convert

__all__ = ["map_plan"]


def map_plan(
    flow: FlowMap, steps: int | None = None, grid: Grid | None = None, stochastic: bool | float = False
) -> Plan:
    """Return the plan of a flow map on a grid, by default the map's, in its own schedule.

    `stochastic` is the share of the noise's variance that each step draws anew, True for all of it.
    """
    share = _share(stochastic)
    own, grid = as_schedule(flow.schedule), flow.grid if grid is None else grid
    times = time_grid(own, grid, steps)
    stages, spans = [], []
    for k, (s, t) in enumerate(pairwise(times)):
        u, factor, noise = renoising(own, times[1:], share)[k] if share else (t, 1.0, 0.0)
        spans.append(Span(factor, factor * (u - s)))
        stages.append(Stage(k + 1, s, (factor * (u - s),), keep=factor, noise=noise, until=u))
    table = tabulate(convert(own, own), times[:1], ("alpha", "beta"))
    start = (float(table["alpha"][0]) ** 2 + float(table["beta"][0]) ** 2) ** 0.5
    words = {
        "base": f"alpha={own.alpha}, beta={own.beta}",
        "prediction": "velocity",
        "schedule": str(own),
        "solver": "flow map",
        "grid": grid if isinstance(grid, str) else "times",
        **({"stochastic": f"{share:g}"} if share else {}),
    }
    return Plan(stages, times, start=start, spans=spans, origin=words)


def _share(stochastic: Any) -> float:
    """The share as a number. Raises SymsiError for what is none."""
    if not isinstance(stochastic, (int, float)) or not 0 <= stochastic <= 1:
        raise SymsiError(
            "stochastic is the share of the noise's variance that a step draws anew, from 0 (none) to 1 or True (all: "
            f"each jump is to the data); got {stochastic!r}."
        )
    return float(stochastic)

"""The classical method of Runge and Kutta (Kutta 1901; Hairer, Norsett, Wanner 1993, II.1): order 4, four a step.

In the coordinate y = scale z in which the drift is integrated, with h the step and f_i the fields in turn,

    y_2 = y + h/2 f_1,  y_3 = y + h/2 f_2,  y_4 = y + h f_3,  y' = y + h/6 (f_1 + 2 f_2 + 2 f_3 + f_4)

at the start, twice in the middle, and at the end of the step.
"""

from __future__ import annotations

from symsi.solvers.nodes import Nodes
from symsi.solvers.stage import Span, Stage

__all__ = ["rk4"]

_POINTS = (0, 1, 1, 2)  # of each evaluation: the start of the step, its middle twice, its end
_STATES = ((1 / 2,), (0.0, 1 / 2), (0.0, 0.0, 1.0), (1 / 6, 1 / 3, 1 / 3, 1 / 6))  # what follows each, shares of h


def rk4(nodes: Nodes, order: int) -> tuple[list[Stage], list[Span]]:
    """The rows over `nodes`, every second of which is the middle of a step, in either direction of time.

    A stage goes on from the state before it: its weights are the differences of two lines of the tableau.
    """
    stages, spans = [], []
    for k in range(0, len(nodes.grid) - 1, 2):
        h, before = nodes.grid[k + 2] - nodes.grid[k], (0.0, 0.0, 0.0, 0.0)
        for e, after in enumerate(_STATES):
            here, there = k + _POINTS[e], k + _POINTS[min(e + 1, 3)]
            scale = nodes.scales[there]
            steps = [h * (a - b) / scale for a, b in zip(after, before, strict=False)]
            before = (*after, *before[e + 1 :])
            stages.append(
                Stage(
                    step=k // 2 + 1,
                    time=nodes.times[here],
                    state=nodes.field[0][here],
                    gains=(nodes.field[1][here],),
                    keep=nodes.scales[here] / scale,
                    weights=tuple(reversed(steps)),
                )
            )
        spans.append(Span(nodes.scales[k] / nodes.scales[k + 2], h / nodes.scales[k + 2], order))
    return stages, spans

"""Heun's method (Heun 1900): an Euler step to z', then z' + h/2 (g(z') - g(z)); two evaluations a step, order 2.

Where the field has no limit at the last point, as the velocity of noise predictions has none where alpha' is infinite,
the last step is one evaluation and lands on the data prediction, as in Karras et al. 2022, algorithm 1.
"""

from __future__ import annotations

from symsi.solvers.multistep import multistep
from symsi.solvers.nodes import Nodes
from symsi.solvers.stage import Span, Stage

__all__ = ["heun"]


def heun(nodes: Nodes, order: int) -> tuple[list[Stage], list[Span]]:
    """The trapezium rule over the grid, with Euler's step as its predictor."""
    stages: list[Stage] = []
    spans: list[Span] = []
    for k, (euler, claim) in enumerate(zip(*multistep(nodes, 1), strict=True)):
        if k + 1 == len(nodes.field[0]):
            landing, span = nodes.landing()
            return [*stages, landing], [*spans, span]
        half = (nodes.grid[k + 1] - nodes.grid[k]) / 2 / nodes.scales[k + 1]
        state, gains = nodes.field[0][k + 1], nodes.gains(k + 1)
        end = Stage(k + 1, nodes.times[k + 1], (half, -half), state=state, gains=gains, asks=nodes.asks)
        stages += [euler, end]
        spans.append(Span(claim.keep, claim.length, order))
    return stages, spans

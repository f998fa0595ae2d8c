"""DPM-Solver++(2M): x/alpha moves by (rho' - rho) D, D = D_k + (D_k - D_{k-1})/(2 r), r = h_{k-1}/h_k of log rho.

First and last steps are of order 1: log rho is infinite there. (Lu et al. 2022, algorithm 2.)
"""

from __future__ import annotations

import math

from symsi.solvers.nodes import Nodes
from symsi.solvers.stage import Span, Stage

__all__ = ["dpm", "log_ratio"]


def dpm(nodes: Nodes, order: int) -> tuple[list[Stage], list[Span]]:
    """The data prediction, extrapolated in log rho to the middle of the step."""
    stages, spans = [], []
    last = len(nodes.grid) - 2
    clock = log_ratio(nodes)
    for k in range(last + 1):
        keep = nodes.alpha[k + 1] / nodes.alpha[k]
        gain = nodes.beta[k + 1] - keep * nodes.beta[k]
        weights: tuple[float, ...] = (gain,)
        if 0 < k < last and math.isfinite(clock[k - 1]):
            share = (clock[k + 1] - clock[k]) / (2 * (clock[k] - clock[k - 1]))
            weights = (gain * (1 + share), -gain * share)
        state, prediction = nodes.data[0][k], nodes.data[1][k]
        stages.append(Stage(k + 1, nodes.times[k], weights, keep=keep, state=state, gains=(prediction,)))
        spans.append(Span(keep, gain, len(weights)))
    return stages, spans


def log_ratio(nodes: Nodes) -> tuple[float, ...]:
    """log(beta/alpha), infinite at the ends."""
    return tuple(
        -math.inf if b == 0 else math.inf if a == 0 else math.log(b) - math.log(a)
        for a, b in zip(nodes.alpha, nodes.beta, strict=True)
    )

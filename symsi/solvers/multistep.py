"""Euler and Adams-Bashforth 2 and 3 in the schedule's time (Hairer, Norsett, Wanner 1993, III.1), and with noise.

With h the step, q and p the steps before, x moves by the integral of the polynomial through the last fields:
order 1: h g_0; order 2: (h + h^2/(2 q)) g_0 - h^2/(2 q) g_1; order 3 adds (h^3/3 + q h^2/2) times the divided
difference g[0, 1, 2]. The Maruyama forms add sqrt(2 epsilon h) n (Buckwar and Winkler 2006: weak order 1).
"""

from __future__ import annotations

from collections.abc import Sequence

from symsi.solvers.nodes import Nodes
from symsi.solvers.stage import Coefficient, Span, Stage

__all__ = ["adams_bashforth", "multistep"]


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


def multistep(nodes: Nodes, order: int) -> tuple[list[Stage], list[Span]]:
    """Adams-Bashforth of `order` over the grid; with spread, its Maruyama form."""
    stages, spans = [], []
    for k in range(len(nodes.grid) - 1):
        weights = adams_bashforth(nodes.grid[max(0, k + 1 - order) : k + 2], order)
        keep, scale = nodes.scales[k] / nodes.scales[k + 1], nodes.scales[k + 1]
        stages.append(
            Stage(
                step=k + 1,
                time=nodes.times[k],
                state=nodes.field[0][k],
                gains=nodes.gains(k),
                asks=nodes.asks,
                keep=keep,
                weights=tuple(w / scale for w in weights),
                noise=nodes.spread[k],
            )
        )
        spans.append(Span(keep, (nodes.grid[k + 1] - nodes.grid[k]) / scale, len(weights)))
    return stages, spans

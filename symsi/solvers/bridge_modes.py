"""Steps of a bridge's ODE by mode, exact between two independent Gaussians (T16), whatever the solver.

y = (x - mu)/sqrt(S) obeys dy = (v - v_G)/sqrt(S) dt, which vanishes where both ends are the Gaussians. With z the modes
of x, a solver steps z/sqrt(S) under this field, and the offsets of its stages hold what mu/sqrt(S) moves by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from symsi.solvers.modal import as_coefficient
from symsi.solvers.nodes import Nodes
from symsi.solvers.stage import Stage

__all__ = ["by_mode", "with_means"]


def by_mode(nodes: Nodes, tables: Mapping[str, Tensor]) -> Nodes:
    """Return the nodes of z/sqrt(S) with the field (v - v_G)/sqrt(S), means aside.

    `tables` are those of `bridge_tables` at the points of the grid.
    """
    scales: Any = tuple(map(as_coefficient, tables["scale"]))
    state, *gains = nodes.field
    centred = [value - slope for value, slope in zip(state, tables["slope"], strict=False)]
    field: Any = ([as_coefficient(a * b) for a, b in zip(part, scales, strict=False)] for part in (centred, *gains))
    return replace(nodes, scales=scales, field=tuple(map(tuple, field)))


def with_means(stages: Sequence[Stage], nodes: Nodes, tables: Mapping[str, Tensor]) -> list[Stage]:
    """Return the stages with the offsets d_i - v_G(0)/sqrt(S) of their fields.

    sum_j weights[j] d_(i-j) is what mu/sqrt(S) moves by over a step, all of it in the first stage: so is a step exact
    where v = v_G, by any solver.
    """
    y, velocity, scale = (tables[name] for name in ("y", "velocity", "scale"))
    moved: list[Any] = []
    found: list[Stage] = []
    for stage in stages:
        k, place = stage.step - 1, nodes.times.index(stage.time)
        begins = not found or found[-1].step < stage.step
        wanted = (y[k] - y[k + 1]) / scale[k + 1] if begins else 0.0
        own, *earlier = stage.weights
        known = sum(w * d for w, d in zip(earlier, reversed(moved), strict=False))
        moved.append((wanted - known) / own)
        found.append(replace(stage, offset=as_coefficient(moved[-1] - velocity[place] * scale[place])))
    return found

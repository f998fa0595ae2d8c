"""Modal lazy sampling (T12): steps in the natural variable of each mode, exact on the reference's Gaussian.

With y = C z, dy = residual Delta ds + noise of variance d(variance), where Delta = eta_X - eta_X^G (both centred).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from symsi.solvers.plan import Coefficient, Plan, Row
from symsi.solvers.table import adams_bashforth, check_last

__all__ = ["ModalNodes", "make_modal_plan"]


@dataclass(frozen=True)
class ModalNodes:
    """At the K + 1 points of a grid: floats as in `solvers.Nodes`, and by mode (K + 1, *modes) what T12 names.

    `gaussian` is the coefficient of the Gaussian's eta_X, `coordinate` C, `natural` s, `residual` the factor of Delta,
    `variance` that of y. `mean` is the reference's, in modes; `start` the standard deviation of z at the first point.
    """

    grid: tuple[float, ...]
    times: tuple[float, ...]
    scales: tuple[float, ...]
    data: tuple[tuple[float, ...], tuple[float, ...]]
    alpha: tuple[float, ...]
    beta: tuple[float, ...]
    gaussian: Tensor
    coordinate: Tensor
    natural: Tensor
    residual: Tensor
    variance: Tensor
    mean: Tensor
    start: Tensor


def make_modal_plan(nodes: ModalNodes, order: int, last: str) -> Plan:
    """Return the plan: Adams-Bashforth of `order` in s; `last` = "land" replaces the last step by x = eta_X."""
    land = check_last(last, nodes.alpha[-1])
    rows = []
    for k in range(len(nodes.grid) - 1):
        (state, prediction), of_mean = (nodes.data[0][k], nodes.data[1][k]), nodes.data[0][k] * nodes.beta[k] - 1
        if land and k == len(nodes.grid) - 2:
            offset = _coefficient(of_mean * nodes.mean)
            rows.append(Row(k + 1, nodes.times[k], state, prediction, 0.0, (1.0,), 0.0, offset, nodes.beta[k]))
            break
        factor, end = nodes.residual[k], nodes.coordinate[k + 1]
        weights = adams_bashforth(nodes.natural[max(0, k + 1 - order) : k + 2].unbind(0), order)
        rows.append(
            Row(
                step=k + 1,
                time=nodes.times[k],
                state=_coefficient(factor * (state - nodes.gaussian[k])),
                prediction=_coefficient(factor * prediction),
                keep=_coefficient(nodes.coordinate[k] / end),
                weights=tuple(_coefficient(w / end) for w in weights),
                noise=_coefficient((nodes.variance[k + 1] - nodes.variance[k]).sqrt() / end),
                offset=_coefficient(factor * of_mean * nodes.mean),
                mean=nodes.beta[k],
            )
        )
    return Plan(tuple(rows), nodes.grid, nodes.times, nodes.scales, nodes.beta, _coefficient(nodes.start))


def _coefficient(value: Coefficient) -> Coefficient:
    """A number where one number says it."""
    if isinstance(value, Tensor) and (value.numel() == 1 or bool((value == value.flatten()[0]).all())):
        return float(torch.as_tensor(value).flatten()[0])
    return value

"""Modal lazy sampling (T12): steps in the natural variable of each mode, exact on the reference's Gaussian.

With y = C z, dy = residual Delta ds + noise of variance d(variance), where Delta = eta_X - eta_X^G (both centred).
"""

from __future__ import annotations

from torch import Tensor

from symsi.solvers.multistep import adams_bashforth
from symsi.solvers.nodes import ModalNodes
from symsi.solvers.stage import Coefficient, Span, Stage

__all__ = ["as_coefficient", "land", "modal"]


def modal(nodes: ModalNodes, order: int) -> tuple[list[Stage], list[Span]]:
    """Adams-Bashforth of `order` in s, mode by mode."""
    stages, spans = [], []
    for k in range(len(nodes.grid) - 1):
        (state, prediction), of_mean = (nodes.data[0][k], nodes.data[1][k]), nodes.data[0][k] * nodes.beta[k] - 1
        factor, end = nodes.residual[k], nodes.coordinate[k + 1]
        weights = adams_bashforth(nodes.natural[max(0, k + 1 - order) : k + 2].unbind(0), order)
        keep = as_coefficient(nodes.coordinate[k] / end)
        stages.append(
            Stage(
                step=k + 1,
                time=nodes.times[k],
                state=as_coefficient(factor * (state - nodes.gaussian[k])),
                gains=(as_coefficient(factor * prediction),),
                keep=keep,
                weights=tuple(as_coefficient(w / end) for w in weights),
                noise=as_coefficient((nodes.variance[k + 1] - nodes.variance[k]).sqrt() / end),
                offset=as_coefficient(factor * of_mean * nodes.mean),
                mean=nodes.beta[k],
            )
        )
        spans.append(Span(keep, as_coefficient((nodes.natural[k + 1] - nodes.natural[k]) / end), len(weights)))
    return stages, spans


def land(nodes: ModalNodes) -> Stage:
    """The last step as x = eta_X, the data prediction."""
    k = len(nodes.grid) - 2
    (state, prediction), of_mean = (nodes.data[0][k], nodes.data[1][k]), nodes.data[0][k] * nodes.beta[k] - 1
    offset = as_coefficient(of_mean * nodes.mean)
    return Stage(
        k + 1, nodes.times[k], (1.0,), keep=0.0, state=state, gains=(prediction,), offset=offset, mean=nodes.beta[k]
    )


def as_coefficient(value: Coefficient) -> Coefficient:
    """A number where one number says it."""
    if isinstance(value, Tensor) and (value.numel() == 1 or bool((value == value.flatten()[0]).all())):
        return float(value.flatten()[0])
    return value

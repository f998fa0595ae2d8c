"""T21 as a tensor kernel: a flow map of one schedule from that of another, for two times a sample."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import torch
from sympy import lambdify, symbols
from torch import Tensor

from symsi.coefficients.kernels import kernels
from symsi.interpolants.schedule import Schedule
from symsi.theory.conversion import convert
from symsi.theory.flow_map import converted

__all__ = ["MapCoefficients", "map_coefficients"]


class MapCoefficients(NamedTuple):
    """u_bar = state x + prediction u_{start, stop}(x/scale), each of shape (B,), in float64."""

    state: Tensor
    prediction: Tensor
    start: Tensor
    stop: Tensor
    scale: Tensor


@lru_cache(maxsize=64)
def map_coefficients(base: Schedule, target: Schedule) -> Callable[[Tensor, Tensor], MapCoefficients]:
    """Return f(s, t) for times (B,) of the target. Where s = t it is T6, the velocity's conversion."""
    functions = kernels(convert(base, target)).functions
    letters = symbols("s t tau_s tau_t c_s c_t")
    s, t, tau_s, tau_t, c_s, c_t = letters
    row = converted(s, t, (tau_s, tau_t), (c_s, c_t))
    apart = lambdify(letters, (row.state, row.prediction), "math")

    def found(start: Tensor, stop: Tensor) -> MapCoefficients:
        start, stop = start.to(torch.float64), stop.to(torch.float64)
        here, there = functions["model_input"](start), functions["model_input"](stop)
        same = start == stop
        diagonal = functions["velocity"](start)
        later = torch.where(same, start + 1, stop)  # anything else: the other branch is taken there
        state, gain = apart(start, later, here["time"], there["time"], here["scale"], there["scale"])
        return MapCoefficients(
            torch.where(same, diagonal["velocity_state"], state),
            torch.where(same, diagonal["velocity_prediction"], gain),
            here["time"],
            there["time"],
            here["scale"],
        )

    return found

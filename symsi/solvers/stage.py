"""A stage of a plan: one evaluation of the model and what follows from it, as numbers.

z is the state in model coordinates; with a reference N(m, U diag U^T) it is U^T (x - mean m), and P likewise. A stage
evaluates the predictions P_i, forms the field g = state z + sum_i gains[i] P_i + offset, and moves
z <- keep z + sum_j weights[j] g_j + noise n, with g_0 this stage's field, g_1 the one before, and n ~ N(0, I).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, TypeAlias

import torch
from torch import Tensor

__all__ = ["Coefficient", "Span", "Stage", "exact", "listed"]

Coefficient: TypeAlias = "float | Tensor"  # a tensor broadcasts to the modes; it may carry a gradient


@dataclass(frozen=True, eq=False)
class Stage:
    """One evaluation at the model's `time`, and what follows from it; `step` counts the grid's steps from 1.

    `asks` names the predictions that the model is asked for, by default the one that it makes; two heads, or a
    conditional and an unconditional prediction, are two names, with a gain each. `until` is the second time of a flow
    map. With a reference the model is called at x = U z + mean m. `node` is where on the plan's clock the evaluation
    lies: by default where its step starts, or ends if `time` is the model's time there.
    """

    step: int
    time: Coefficient
    weights: Sequence[Coefficient]
    keep: Coefficient = 1.0
    state: Coefficient = 0.0
    gains: Sequence[Coefficient] = (1.0,)
    offset: Coefficient = 0.0
    noise: Coefficient = 0.0
    mean: Coefficient = 0.0
    until: Coefficient | None = None
    node: Coefficient | None = None
    asks: Sequence[str] = ("prediction",)

    def __post_init__(self) -> None:
        """Freeze what was given, numbers as float64; the plan says what is wrong with the rest."""
        for name in ("time", "keep", "state", "offset", "noise", "mean", "until", "node"):
            object.__setattr__(self, name, exact(getattr(self, name)))
        for name in ("weights", "gains"):
            object.__setattr__(self, name, listed(getattr(self, name)))
        object.__setattr__(self, "asks", (self.asks,) if isinstance(self.asks, str) else self.asks)
        if isinstance(self.asks, list):
            object.__setattr__(self, "asks", tuple(self.asks))

    @property
    def coefficients(self) -> tuple[Coefficient, ...]:
        """What acts on states and broadcasts to the modes: keep, state, offset, noise, gains, weights."""
        return (self.keep, self.state, self.offset, self.noise, *self.gains, *self.weights)

    @property
    def noisy(self) -> bool:
        """Whether noise is added."""
        return not isinstance(self.noise, float) or self.noise != 0

    @property
    def gain(self) -> Coefficient:
        """The factor of the only prediction."""
        (only,) = self.gains
        return only


@dataclass(frozen=True, eq=False)
class Span:
    """What a step says of itself: z becomes keep z + length G where every field is G.

    With `order` p, fields that are polynomials of degree below p in the plan's clock are integrated as exactly.
    """

    keep: Coefficient
    length: Coefficient
    order: int = 1

    def __post_init__(self) -> None:
        """Freeze the numbers as float64."""
        for name in ("keep", "length"):
            object.__setattr__(self, name, exact(getattr(self, name)))


def exact(value: Any) -> Any:
    """Return a number as a float, and a tensor as a float64 copy of its own, or as it is if it carries a gradient.

    What is neither is returned as it is.
    """
    if isinstance(value, Tensor):
        kept = value.requires_grad or value.is_complex()
        return value if kept else value.detach().to("cpu", torch.float64, copy=True)
    if isinstance(value, Real):
        try:
            return float(value)
        except OverflowError:
            return math.inf
    return value


def listed(values: Any) -> Any:
    """Return several numbers as a tuple of exact ones; what is no list of anything as it is."""
    if isinstance(values, Tensor):
        return tuple(map(exact, values.unbind(0))) if values.ndim else values
    return tuple(map(exact, values)) if isinstance(values, Iterable) and not isinstance(values, str) else values

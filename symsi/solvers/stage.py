"""A stage of a plan: one evaluation of the model and what follows from it, as numbers.

z is the state in model coordinates; with a reference N(m, U diag U^T) it is U^T (x - mean m), and P likewise. A stage
evaluates the predictions P_i, forms the field g = state z + sum_i gains[i] P_i + offset, and moves
z <- keep z + sum_j weights[j] g_j + noise n, with g_0 this stage's field, g_1 the one before, and n ~ N(0, I).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor

__all__ = ["Claim", "Coefficient", "Stage"]

Coefficient: TypeAlias = "float | Tensor"  # a tensor is one number, or one a mode; it may carry a gradient


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
        """Freeze what was given as a list."""
        for name in ("weights", "gains", "asks"):
            object.__setattr__(self, name, tuple(getattr(self, name)))

    @property
    def noisy(self) -> bool:
        """Whether noise is added."""
        return isinstance(self.noise, Tensor) or self.noise != 0

    @property
    def gain(self) -> Coefficient:
        """The factor of the only prediction."""
        (only,) = self.gains
        return only


@dataclass(frozen=True, eq=False)
class Claim:
    """What a step says of itself: z becomes keep z + length G where every field is G.

    With `order` p, fields that are polynomials of degree below p in the plan's clock are integrated as exactly.
    """

    keep: Coefficient
    length: Coefficient
    order: int = 1

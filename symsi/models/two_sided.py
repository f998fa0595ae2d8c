"""What a two-sided model is: a callable (x, t, **conditions) with its interpolant, predictions and sample shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import Tensor

from symsi.errors import ModelError, SymsiError, unknown
from symsi.interpolants.named_two_sided import as_interpolant
from symsi.models.protocol import Model
from symsi.theory.bridge import Bridge, bridge
from symsi.theory.three_parts import PREDICTIONS

__all__ = ["BridgeModel", "as_bridge_model"]


@dataclass(frozen=True)
class BridgeModel:
    """A network that bridges two laws, or any callable with its meaning.

    `function(x, t, **conditions)` takes x of shape (B, *shape) and t of shape (B,), from 0 (x0) to 1 (x1), and returns
    what `predictions` names, each of the shape of x: two of velocity, score, latent, ends, x0, x1 (T13) in this order,
    as a tuple or stacked, (2, B, *shape), which serve the ODE and every SDE; or the velocity alone, a tensor, which
    serves the ODE. `interpolant` is the one that it was trained with, as `symsi.interpolant` reads it. `classes`,
    `offset` and `gain` are those of `Model`. Raises SymsiError for what is none of these, InterpolantError for two
    predictions that say the same, and both for a function of (t, x).
    """

    function: Callable[..., Any]
    interpolant: Any = "linear"
    predictions: Sequence[str] | str = ("velocity", "latent")
    shape: tuple[int, ...] | None = None
    name: str = "bridge"
    classes: int = 0
    offset: float = 0.0
    gain: float = 1.0

    def __post_init__(self) -> None:
        """Check all that can be told without a call."""
        _ = self.called
        object.__setattr__(self, "interpolant", as_interpolant(self.interpolant))
        free = sorted(s.name for s in self.interpolant.free_parameters)
        if free:
            raise SymsiError(
                f"a model has one interpolant; {self.interpolant} keeps {free[0]} symbolic. Give a number."
            )
        object.__setattr__(self, "predictions", _predictions(self.predictions))
        self.bridge()

    def __call__(self, x: Tensor, t: Tensor, **conditions: Any) -> tuple[Tensor, ...]:
        """Return the predictions at (x, t), one tensor each. Raises ModelError for another number of them."""
        found, wanted = self.function(x, t, **conditions), len(self.predictions)
        if isinstance(found, Tensor):
            stacked = wanted > 1 and found.ndim == x.ndim + 1 and len(found) == wanted
            found = found.unbind() if stacked else (found,)
        if not isinstance(found, (tuple, list)) or len(found) != wanted:
            got = f"{len(found)}" if isinstance(found, (tuple, list)) else f"a {type(found).__name__}"
            raise ModelError(
                f"{self.name} is said to predict {' and '.join(self.predictions)}; its function returned {got}. Return "
                f"{'a tuple, one tensor each' if wanted > 1 else 'one tensor'}, or name what it predicts: "
                "symsi.BridgeModel(..., predictions=...)."
            )
        return tuple(found)

    def bridge(self, diffusion: Any = "ode") -> Bridge:
        """Return the fields that follow from the predictions, as `symsi.bridge`.

        Raises SymsiError for a diffusion that the velocity alone does not serve.
        """
        if len(self.predictions) == 2:
            return bridge(self.interpolant, diffusion, (self.predictions[0], self.predictions[1]))
        found = bridge(self.interpolant, diffusion)
        if found.epsilon != 0:
            raise SymsiError(
                f"an SDE needs two predictions, such as ('velocity', 'latent'); {self.name} has the velocity alone, "
                f"which serves diffusion='ode'; got {diffusion!r}."
            )
        return found

    @cached_property
    def called(self) -> Model:
        """The function with what a call of it needs to know: device, dtype, conditions, classes, shape, name."""
        return Model(
            self.function, shape=self.shape, name=self.name, classes=self.classes, offset=self.offset, gain=self.gain
        )


def as_bridge_model(model: Any) -> BridgeModel:
    """Return a two-sided model as it is. Raises SymsiError for what is none, with how to make one."""
    if isinstance(model, BridgeModel):
        return model
    what = f"{model.name} is one-sided, from noise to data: symsi.sample" if isinstance(model, Model) else "a callable"
    raise SymsiError(
        f"a bridge, with its direction, needs a symsi.BridgeModel(function, interpolant, predictions); got "
        f"{what if callable(model) else type(model).__name__}."
    )


def _predictions(given: Any) -> tuple[str, ...]:
    """The names as a tuple: two, or the velocity alone."""
    names = (given,) if isinstance(given, str) else given
    whole = isinstance(names, Sequence) and all(isinstance(name, str) for name in names)
    if not whole or not 1 <= len(names) <= 2:
        raise SymsiError(f"predictions are two names, such as ('velocity', 'latent'), or 'velocity'; got {given!r}.")
    for name in names:
        if name not in PREDICTIONS:
            raise unknown("prediction", name, PREDICTIONS)
    if len(names) == 1 and names[0] != "velocity":
        raise SymsiError(
            f"one prediction must be the velocity; {names[0]} alone gives no drift. Name two, such as "
            f"('velocity', {names[0]!r})."
        )
    return tuple(names)

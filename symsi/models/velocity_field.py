"""A pretrained model as the velocity of another schedule: for any ODE solver, whoever wrote it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from symsi.coefficients.kernels import kernels
from symsi.errors import ModelError
from symsi.interpolants.named import as_schedule
from symsi.interpolants.schedule import Schedule
from symsi.models.protocol import Model, as_model
from symsi.theory.conversion import convert

__all__ = ["VelocityField"]


class VelocityField(nn.Module):
    """v(t, x) = (c'/c) x + c tau' v_model(tau, x/c) (T6), a function of x (B, *shape) and t, one number or (B,).

    t runs from 0 (noise) to 1 (data), as in flow_matching, SiT and torchcfm; x starts as alpha_0 n, n ~ N(0, I).
    `model` is a Model, or a callable v(x, t, **conditions) taken for the velocity of the linear schedule; other
    predictions are turned into the velocity (T1). Parameters of a network are this module's. Raises SymsiError for an
    unknown schedule, or a schedule with symbolic parameters.
    """

    def __init__(self, model: Model | Callable[..., Tensor], schedule: Schedule | str = "trigonometric") -> None:
        super().__init__()
        self.model = as_model(model)
        self.network = self.model.function if isinstance(self.model.function, nn.Module) else None
        base = as_schedule(self.model.schedule)
        self.kernels = kernels(convert(base, as_schedule(schedule), prediction=self.model.prediction))

    def forward(self, x: Tensor, t: Tensor | float, **conditions: Any) -> Tensor:
        """Return the velocity at (x, t). Raises ModelError where the model returns another shape than that of x."""
        y, tau = self.kernels.model_input(x, t)
        prediction = self.model(y, tau.to(x.dtype).expand(len(x)), **conditions)
        if not isinstance(prediction, Tensor) or prediction.shape != x.shape:
            got = tuple(prediction.shape) if isinstance(prediction, Tensor) else type(prediction).__name__
            raise ModelError(f"the model must return a tensor like x, {tuple(x.shape)}; got {got}.")
        return self.kernels.velocity(prediction, x, t)

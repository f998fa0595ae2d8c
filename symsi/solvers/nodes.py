"""What a solver is given: the coefficients at the points of a grid, in the schedule's coordinates or by mode."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from symsi.solvers.stage import Span, Stage

__all__ = ["LANDING", "ModalNodes", "Nodes"]

LANDING = Span(keep=0.0, length=1.0)  # x = eta_X


@dataclass(frozen=True)
class Nodes:
    """Coefficients at the K + 1 points of a grid, as lists of floats.

    `field` (of z, of P) gives the drift that the solver integrates over the grid, F = field[0] z + field[1] P, with one
    more entry for each further prediction that `asks` names;
    `data` likewise gives what the last step may land on, eta_X; both have an entry for every point that a solver
    evaluates, `field` at the last one for solvers of both ends where it has a limit there. `alpha` and `beta` are the
    base's at the model's times; `spread` is the standard deviation of the noise of each step over the scale at its end.
    Of a bridge in modes, scales and `field` hold a tensor, of a number a mode, where the modes differ.
    """

    grid: tuple[float, ...]
    times: tuple[float, ...]
    scales: tuple[float, ...]
    field: tuple[tuple[float, ...], ...]
    data: tuple[tuple[float, ...], ...]
    alpha: tuple[float, ...]
    beta: tuple[float, ...]
    spread: tuple[float, ...]
    start: float
    asks: tuple[str, ...] = ("prediction",)

    def gains(self, k: int) -> tuple[float, ...]:
        """The factors of the predictions in the drift at a point."""
        return tuple(part[k] for part in self.field[1:])

    def landing(self) -> tuple[Stage, Span]:
        """Return the last step as one to the data prediction, x = eta_X."""
        last = len(self.grid) - 2
        state, *gains = (part[last] for part in self.data)
        stage = Stage(last + 1, self.times[last], (1.0,), keep=0.0, state=state, gains=gains, asks=self.asks)
        return stage, LANDING


@dataclass(frozen=True)
class ModalNodes:
    """At the K + 1 points of a grid: floats as in `Nodes`, and by mode (K + 1, *modes) what T12 names.

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

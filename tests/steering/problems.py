"""Exact models and rewards with known tilts, for the tests of steering."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from symsi.models import Model, gaussian

MEAN, VARIANCE, SLOPE = 0.4, 0.6, 1.3


def gaussian_model() -> Model:
    """N(0.4, 0.6) in one dimension, its exact denoiser."""
    return gaussian(torch.tensor([MEAN]), torch.tensor([[VARIANCE]])).model(prediction="data")


def linear(x: Tensor) -> Tensor:
    """1.3 x."""
    return SLOPE * x[:, 0].double()


LOG_NORMALIZER = SLOPE * MEAN + SLOPE**2 * VARIANCE / 2
TILTED_MEAN = MEAN + SLOPE * VARIANCE


def forever(value: float = 0.0):
    """A reward that is the same for all."""
    return lambda x: torch.full((len(x),), value, dtype=torch.float64)


class Scripted:
    """A reward that gives the numbers of a list, one a row, then -1e6."""

    def __init__(self, values: list[float]) -> None:
        self.values, self.calls = list(values), 0

    def __call__(self, x: Tensor) -> Tensor:
        """Return the next numbers."""
        found = []
        for _ in range(len(x)):
            found.append(self.values[self.calls] if self.calls < len(self.values) else -1e6)
            self.calls += 1
        return torch.tensor(found, dtype=torch.float64)


def standard_error(values: Tensor) -> float:
    """Of the mean."""
    return float(values.std()) / math.sqrt(len(values))

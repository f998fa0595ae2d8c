"""The settings of a method, checked."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from math import isfinite
from numbers import Real
from typing import Any

from symsi.errors import SymsiError, unknown
from symsi.sampling.inputs import whole_number
from symsi.steering.potential import POTENTIALS, TEMPERINGS
from symsi.steering.resampling import SCHEMES

__all__ = ["Settings"]

_TWISTS = ("gradient",)


@dataclass(frozen=True)
class Settings:
    """What `steer` was asked for; particles and children are None where the budget says how many.

    Raises SymsiError for counts below 1, a temperature that is not positive, an ESS outside [0, 1], unknown names.
    """

    particles: int | None = None
    children: int | None = None
    temperature: float = 1.0
    tempering: str = "fixed"
    potential: str = "difference"
    ess: float = 0.5
    resample: str = "systematic"
    twist: str | None = None

    def __post_init__(self) -> None:
        """Check each."""
        for name in ("particles", "children"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, whole_number(name, getattr(self, name), 1))
        if not _real(self.temperature) or self.temperature <= 0:
            raise SymsiError(
                f"temperature must be a positive number, lambda in exp(r/lambda); got {self.temperature!r}. A smaller "
                "one weighs the reward more; for the best sample alone use method='bon', 'svdd' or 'rbf'."
            )
        if not _real(self.ess) or not 0 <= self.ess <= 1:
            raise SymsiError(
                f"ess is a share of the particles, from 0 (never resample) to 1 (always); got {self.ess!r}."
            )
        object.__setattr__(self, "temperature", float(self.temperature))
        _known("potential", self.potential, POTENTIALS)
        _known("tempering", self.tempering, TEMPERINGS)
        _known("resampling", self.resample, SCHEMES)
        if self.twist is not None:
            _known("twist", self.twist, _TWISTS)


def _real(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, Real) and isfinite(value)


def _known(what: str, name: str, names: Collection[str]) -> None:
    if name not in names:
        raise unknown(what, str(name), names)

"""The settings of a paper by name: what `plan` takes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from symsi.errors import SymsiError, unknown
from symsi.sampling.inputs import whole_number

__all__ = ["PRESETS", "preset_of"]

_G = "9*alpha**4/2"  # epsilon = g^2/2 of g = 3 sigma^2, sigma = alpha the noise level of the linear schedule


def _linear_ode(steps: int) -> dict[str, Any]:
    return {"schedule": "linear", "diffusion": "ode", "solver": "euler", "steps": steps}


def _linear_sde(steps: int) -> dict[str, Any]:
    return {"schedule": "linear", "diffusion": _G, "solver": "euler-maruyama", "steps": steps, "last": "land"}


def _vp_sde(steps: int) -> dict[str, Any]:
    """The VP SDE of b = 0.1, B = 20 at its times s_i = sqrt(1 - (i/N)^2), which is t = 1 - s."""
    grid = [1 - math.sqrt(1 - (i / steps) ** 2) for i in range(steps + 1)]
    return {"schedule": "ddpm", "diffusion": "optimal", "solver": "euler-maruyama", "grid": grid, "last": "land"}


PRESETS: Mapping[str, Callable[[int], dict[str, Any]]] = {
    "kim2025-linear-ode": _linear_ode,
    "kim2025-linear-sde": _linear_sde,
    "kim2025-vp-sde": _vp_sde,
}


def preset_of(name: str, steps: int, beside: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a preset (Kim et al. 2025). Raises UnknownNameError, and SymsiError for options beside."""
    if name not in PRESETS:
        raise unknown("preset", str(name), PRESETS)
    for word in beside:
        raise SymsiError(f"preset={name!r} says what {word} is; leave {word} out, or the preset.")
    return PRESETS[name](whole_number("steps", steps, 1))

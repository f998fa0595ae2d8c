"""What the field calls a prediction, and what symsi calls it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from symsi.errors import SymsiError, UnknownNameError, unknown
from symsi.theory.fields import PREDICTIONS

__all__ = ["ALIASES", "prediction_named"]

ALIASES: Mapping[str, str] = {
    "epsilon": "noise",
    "eps": "noise",
    "x0": "data",
    "sample": "data",
    "denoiser": "data",
    "flow": "velocity",
}
_TWO_MEANINGS: Mapping[str, str] = {
    "v": "alpha' Z + beta' X of a flow, which is 'velocity' here, and beta Z - alpha X of a variance-preserving "
    "diffusion, diffusers' v_prediction. For the latter give its data prediction, beta x - alpha v: "
    "Model(lambda x, t: beta(t) * x - alpha(t) * v(x, t), prediction='data', schedule=...)",
    "flow": "X - Z, from noise to data, which is 'velocity' here, and Z - X, which diffusers' flow_prediction is. For "
    "the latter give -v at the time 1 - sigma: Model(lambda x, t: -v(x, 1 - t), prediction='velocity')",
}
_AMBIGUOUS: Mapping[str, str] = {
    "v": _TWO_MEANINGS["v"],
    "v_prediction": _TWO_MEANINGS["v"],
    "flow_prediction": _TWO_MEANINGS["flow"],
}


def prediction_named(name: Any) -> str:
    """Return velocity, score, noise or data for a name or another name of it.

    Raises UnknownNameError for what is none, and SymsiError for a name of two things, with both.
    """
    if not isinstance(name, str):
        raise SymsiError(f"prediction is a name: {', '.join(PREDICTIONS)}; got {type(name).__name__}.")
    if name in _AMBIGUOUS:
        raise UnknownNameError(f"prediction {name!r} has two meanings: {_AMBIGUOUS[name]}.")
    if name in PREDICTIONS:
        return name
    if name in ALIASES:
        return ALIASES[name]
    raise unknown("prediction", name, [*PREDICTIONS, *ALIASES])

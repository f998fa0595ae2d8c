"""What a model is asked for and what it may answer: its parts under guidance, rows of its conditions, its errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from symsi.errors import ModelError, SymsiError
from symsi.models.protocol import FLOATS, Model
from symsi.solvers.stage import Coefficient

__all__ = ["check_form", "not_finite", "predictor", "rows_of", "where"]

_FAILURES = (TypeError, ValueError, IndexError, RuntimeError)  # of a function that cannot work with what it got
_NAMED = 3  # samples, in a message


def predictor(
    model: Model, told: Mapping[str, Any], untold: Mapping[str, Any], guidance: float
) -> Callable[..., Tensor]:
    """Return predict(ask, x, t): what a stage asks of a model.

    "conditional" is the model with the conditions `told`, "unconditional" with `untold`; "prediction" is the former, or
    with guidance u + guidance (c - u). A stage of a flow map adds its second time, `until`, which the model gets as a
    condition of that name.
    """

    def predict(ask: str, x: Tensor, t: Tensor, until: Tensor | None = None) -> Tensor:
        if until is not None:
            return over(ask, x, t, {**told, "until": until}, {**untold, "until": until})
        return over(ask, x, t, told, untold)

    def over(ask: str, x: Tensor, t: Tensor, told: Mapping[str, Any], untold: Mapping[str, Any]) -> Tensor:
        if ask == "conditional" or (ask == "prediction" and guidance == 1):
            return _answer(model, x, t, told)
        if ask == "unconditional":
            return _answer(model, x, t, untold)
        free, bound = _answer(model, x, t, untold), _answer(model, x, t, told)
        right = isinstance(free, Tensor) and isinstance(bound, Tensor) and free.shape == bound.shape
        return torch.lerp(free, bound, guidance) if right else bound  # the sampler says what is wrong

    return predict


def _answer(model: Model, x: Tensor, t: Tensor, told: Mapping[str, Any]) -> Tensor:
    """What the model says. Raises SymsiError where it takes (t, x), and ModelError where a condition has other rows."""
    try:
        found = model(x, t, **told)
    except torch.OutOfMemoryError:
        raise
    except _FAILURES as error:
        if isinstance(error, SymsiError):
            raise
        if _takes_time_first(model, x, t, told):
            raise model.takes_time_first() from error
        for name, value in told.items():
            if isinstance(value, Tensor) and value.ndim and len(value) not in (1, len(x)):
                raise ModelError(
                    f"{model.name} failed for x of {len(x)} samples and the condition {name!r} of {len(value)} rows: "
                    f"{error}. Give a condition one row a sample, which go with the batch, or one row for all."
                ) from error
        raise
    wrong = isinstance(found, Tensor) and found.shape != x.shape
    if wrong and _takes_time_first(model, x, t, told):
        raise model.takes_time_first()
    return found


def _takes_time_first(model: Model, x: Tensor, t: Tensor, told: Mapping[str, Any]) -> bool:
    """Whether model(t, x) is a prediction where model(x, t) is none."""
    try:
        found = model.function(t, x, **told)
    except Exception:  # whatever a user's function raises for arguments that it was not made for
        return False
    return isinstance(found, Tensor) and found.shape == x.shape


def rows_of(conditions: Mapping[str, Any], rows: slice, count: int, device: torch.device) -> dict[str, Any]:
    """Return the conditions of some of `count` samples: what has a row a sample is split; tensors go to the device."""
    return {
        name: (value[rows] if value.ndim and len(value) == count else value).to(device)
        if isinstance(value, Tensor)
        else value
        for name, value in conditions.items()
    }


def check_form(
    prediction: object, shape: tuple[int, ...], device: torch.device, time: Coefficient, step: int | None = None
) -> None:
    """Raise ModelError, saying where, unless a prediction is a floating-point tensor of a shape on a device."""
    if isinstance(prediction, Tensor) and prediction.layout is not torch.strided:
        layout = str(prediction.layout).removeprefix("torch.")
        raise ModelError(
            f"the model returned a tensor in the layout {layout} {where(time, step)}; it must be dense: x.to_dense()."
        )
    if not isinstance(prediction, Tensor):
        raise ModelError(
            f"the model returned a {type(prediction).__name__} {where(time, step)}; it must return a tensor. "
            "Wrap it: lambda x, t, **c: model(x, t, **c).sample, for example."
        )
    if tuple(prediction.shape) != shape:
        raise ModelError(
            f"the model returned shape {tuple(prediction.shape)} {where(time, step)}; it got x of shape {shape}."
        )
    if prediction.device != device:
        raise ModelError(f"the model returned a tensor on {prediction.device} {where(time, step)}; x is on {device}.")
    if prediction.dtype not in FLOATS:
        raise ModelError(f"the model returned {prediction.dtype} {where(time, step)}; it must return floating point.")


def not_finite(time: Coefficient, step: int | None = None, *, finite: bool, samples: Sequence[int] = ()) -> ModelError:
    """Return the error for a state that is not finite, whose prediction was `finite` or not, in these samples."""
    some = ", ".join(map(str, samples[:_NAMED])) + (f" and {len(samples) - _NAMED} more" * (len(samples) > _NAMED))
    at = where(time, step) + (f" for sample{'s' * (len(samples) > 1)} {some}" if samples else "")
    if finite:
        return ModelError(
            f"the model's predictions are finite {at}, but so large that the state is not. Check what "
            "it predicts (velocity, score, noise or data) and the scale of its data."
        )
    return ModelError(
        f"the model returned nan or inf {at}. "
        "Check its weights and dtype (float16 overflows at 65504; bfloat16 does not)."
    )


def where(time: Coefficient, step: int | None = None) -> str:
    """Return "at step k, model time t", for messages."""
    return f"at {'' if step is None else f'step {step}, '}model time {float(time):.6g}"

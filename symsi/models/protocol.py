"""What a model is: a callable (x, t, **conditions) with its schedule, prediction and sample shape."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from symsi.errors import SymsiError

__all__ = ["Model", "as_device", "as_model", "fingerprint"]


@dataclass(frozen=True)
class Model:
    """A pretrained network, or any callable with its meaning.

    `function(x, t, **conditions)` takes x of shape (B, *shape) and t of shape (B,), model times from 0 (noise) to 1
    (data), and returns the `prediction` (velocity, score, noise or data; T1) with the shape of x.
    `schedule` is the one it was trained with, as `symsi.schedule` reads it. `unconditional` holds the conditions that
    stand for "none" in classifier-free guidance; `classes` is how many the condition `label` may name. `offset` and
    `gain` map a sample to the units of the data, offset + gain x, for pictures.
    """

    function: Callable[..., Tensor]
    schedule: Any = "linear"
    prediction: str = "velocity"
    shape: tuple[int, ...] | None = None
    name: str = "model"
    unconditional: Mapping[str, Any] = field(default_factory=dict)
    classes: int = 0
    offset: float = 0.0
    gain: float = 1.0

    def __call__(self, x: Tensor, t: Tensor, **conditions: Any) -> Tensor:
        """Return the prediction at (x, t)."""
        return self.function(x, t, **conditions)

    def in_turn(self, count: int) -> dict[str, Tensor]:
        """Return conditions for `count` samples of classes 0, 1, ... in turn; none for a model without classes."""
        return {"label": torch.arange(count) % self.classes} if self.classes else {}

    def check_conditions(self, names: Iterable[str]) -> None:
        """Raise SymsiError unless the function may be called as (x, t) with conditions of these names."""
        function = self.function.forward if isinstance(self.function, nn.Module) else self.function
        try:
            signature = inspect.signature(function)
        except (TypeError, ValueError):  # some built-in functions have none
            return
        try:
            signature.bind(None, None, **dict.fromkeys(names))
        except TypeError as error:
            raise SymsiError(
                f"{self.name} takes {signature}; with x, t and the conditions {list(names)}: {error}."
            ) from None

    @property
    def device(self) -> torch.device | None:
        """Where the function's parameters are, if it is a module with any."""
        first = self._first_parameter()
        return None if first is None else first.device

    @property
    def dtype(self) -> torch.dtype | None:
        """The dtype of the function's parameters, if it is a module with any."""
        first = self._first_parameter()
        return None if first is None else first.dtype

    def _first_parameter(self) -> Tensor | None:
        return next(self.function.parameters(), None) if isinstance(self.function, nn.Module) else None


def as_device(spec: torch.device | str) -> torch.device:
    """Return the device. Raises SymsiError for one that torch does not know or see."""
    try:
        found = torch.device(spec)
    except (RuntimeError, TypeError):
        raise SymsiError(f"device must be cpu, cuda or such; got {spec!r}.") from None
    if found.type == "cuda" and not torch.cuda.is_available():
        raise SymsiError("no GPU is visible to torch; use device cpu.")
    return found


def as_model(model: Model | Callable[..., Tensor]) -> Model:
    """Return `model` as a Model; a plain callable is taken for the velocity of the linear schedule.

    Raises SymsiError for what cannot be called.
    """
    if isinstance(model, Model):
        return model
    if not callable(model):
        raise SymsiError(
            f"a model is a callable (x, t, **conditions), such as symsi.models.load gives; got {type(model).__name__}."
        )
    return Model(model, name=getattr(model, "__name__", type(model).__name__))


_SEEN = 64  # numbers of a parameter


def fingerprint(model: Model) -> str:
    """Return a hash of a network's parameters, "" for a callable without: names, shapes and some numbers in bfloat16.

    It is the same in float32 and bfloat16.
    """
    if not isinstance(model.function, nn.Module):
        return ""
    found = hashlib.sha256()
    for name, value in model.function.named_parameters():
        flat = value.detach().flatten()
        some = flat[:: max(1, len(flat) // _SEEN)][:_SEEN].to("cpu", torch.bfloat16)
        found.update(f"{name} {tuple(value.shape)}".encode() + some.view(torch.uint8).numpy().tobytes())
    return found.hexdigest()[:16]

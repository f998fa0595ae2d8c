"""What a model is: a callable (x, t, **conditions) with its schedule, prediction and sample shape."""

from __future__ import annotations

import hashlib
import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from symsi.errors import SymsiError
from symsi.interpolants.named import as_schedule
from symsi.models.names import prediction_named

__all__ = ["FLOATS", "Model", "as_device", "as_model", "check_dtype", "check_units", "fingerprint"]

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)

_TIMES = ("t", "time", "times", "timestep", "timesteps", "tau")  # what a function calls its time


@dataclass(frozen=True)
class Model:
    """A pretrained network, or any callable with its meaning.

    `function(x, t, **conditions)` takes x of shape (B, *shape) and t of shape (B,), model times from 0 (noise) to 1
    (data), and returns the `prediction` (velocity, score, noise or data; T1) with the shape of x; "epsilon" and "eps"
    are noise, "x0", "sample" and "denoiser" data, "flow" the velocity. `schedule` is the one it was trained with, as
    `symsi.schedule` reads it. `unconditional` holds the conditions that
    stand for "none" in classifier-free guidance; `classes` is how many the condition `label` may name. `offset` and
    `gain` map a sample to the units of the data, offset + gain x, for pictures. Raises SymsiError for what is none of
    these, and for a function of (t, x).
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

    def __post_init__(self) -> None:
        """Check all that can be told without a call."""
        if not callable(self.function):
            raise SymsiError(
                "a model is a callable (x, t, **conditions), such as symsi.models.load gives; "
                f"got {type(self.function).__name__}."
            )
        as_schedule(self.schedule)
        object.__setattr__(self, "prediction", prediction_named(self.prediction))
        self._check_shape()
        check_units(self.offset, self.gain)
        if isinstance(self.classes, bool) or not isinstance(self.classes, int) or self.classes < 0:
            raise SymsiError(f"classes is how many there are, an integer of at least 0; got {self.classes!r}.")
        if not isinstance(self.unconditional, Mapping):
            raise SymsiError(
                "unconditional maps names of conditions to what stands for none, such as {'label': None}; "
                f"got {type(self.unconditional).__name__}."
            )
        self._check_order()

    def __call__(self, x: Tensor, t: Tensor, **conditions: Any) -> Tensor:
        """Return the prediction at (x, t)."""
        return self.function(x, t, **conditions)

    def takes_time_first(self) -> SymsiError:
        """Return the error for a function of (t, x)."""
        return SymsiError(
            f"{self.name} takes (t, x), and symsi calls model(x, t) with x of shape (B, ...) and t of shape (B,). "
            "Wrap it: symsi.Model(lambda x, t, **c: f(t, x, **c), ...)."
        )

    def in_turn(self, count: int) -> dict[str, Tensor]:
        """Return conditions for `count` samples of classes 0, 1, ... in turn; none for a model without classes."""
        return {"label": torch.arange(count) % self.classes} if self.classes else {}

    def check_conditions(self, names: Iterable[str]) -> None:
        """Raise SymsiError unless the function may be called as (x, t) with conditions of these names."""
        signature = self._signature
        if signature is None:
            return
        try:
            signature.bind(None, None, **dict.fromkeys(names))
        except TypeError:
            given = ", ".join(["x", "t", *names])
            raise SymsiError(
                f"{self.name} takes {signature}, and is to be called with {given}: {_misfit(signature, names)}."
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

    @cached_property
    def _signature(self) -> inspect.Signature | None:
        """What the function takes; some built-in ones do not say."""
        function = self.function.forward if isinstance(self.function, nn.Module) else self.function
        try:
            return inspect.signature(function)
        except (TypeError, ValueError):
            return None

    def _check_shape(self) -> None:
        if self.shape is None:
            return
        whole = isinstance(self.shape, Sequence) and not isinstance(self.shape, str)
        if not whole or not all(hasattr(n, "__index__") and int(n) > 0 for n in self.shape):
            raise SymsiError(
                "shape is that of one sample, without the batch, in positive integers such as (1, 28, 28); "
                f"got {self.shape!r}."
            )

    def _check_order(self) -> None:
        """Raise SymsiError for a function whose first argument is called a time and whose second is not."""
        signature = self._signature
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        names = [p.name for p in signature.parameters.values() if p.kind in kinds] if signature else []
        if len(names) > 1 and names[0] in _TIMES and names[1] not in _TIMES:
            raise self.takes_time_first()

    def _first_parameter(self) -> Tensor | None:
        return next(self.function.parameters(), None) if isinstance(self.function, nn.Module) else None


def as_device(spec: torch.device | str) -> torch.device:
    """Return the device. Raises SymsiError for one that torch does not know or see, and for meta, without numbers."""
    try:
        found = torch.device(spec)
    except (RuntimeError, TypeError):
        raise SymsiError(f"device must be cpu, cuda or such; got {spec!r}.") from None
    if found.type == "meta":
        raise SymsiError("tensors on the device meta hold no numbers; use device cpu, or cuda.")
    if found.type == "cuda" and not torch.cuda.is_available():
        raise SymsiError("no GPU is visible to torch; use device cpu.")
    try:
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, ImportError, AttributeError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0][:120].rstrip(".")
        raise SymsiError(f"torch cannot use the device {found} here ({reason}); use device cpu.") from None
    return found


def check_dtype(dtype: Any) -> None:
    """Raise SymsiError for a dtype in which a model is not run: what is not in FLOATS, such as 8 bits or integers."""
    if dtype not in FLOATS:
        known = ", ".join(str(kind).removeprefix("torch.") for kind in FLOATS)
        raise SymsiError(f"dtype must be a floating-point type of torch, {known}; got {dtype!r}.")


def check_units(offset: Any, gain: Any) -> None:
    """Raise SymsiError unless offset + gain x maps samples to the units of the data, and back."""
    whole = all(isinstance(v, (int, float)) and math.isfinite(v) for v in (offset, gain))
    if not whole or gain == 0:
        raise SymsiError(f"offset and gain must be finite numbers, and gain not 0; got offset={offset}, gain={gain}.")


def as_model(model: Model | Callable[..., Tensor]) -> Model:
    """Return `model` as a Model; a plain callable is taken for the velocity of the linear schedule.

    Raises SymsiError for what cannot be called, and for a two-sided model.
    """
    if hasattr(model, "interpolant") and hasattr(model, "predictions"):
        raise SymsiError(f"{getattr(model, 'name', 'the model')} is two-sided, from x0 to x1: use symsi.sample_bridge.")
    return model if isinstance(model, Model) else Model(model, name=getattr(model, "__name__", type(model).__name__))


def _misfit(signature: inspect.Signature, names: Iterable[str]) -> str:
    """What conditions of these names lack or are too many of, for a signature that does not take them."""
    parameters = signature.parameters.values()
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(positional) < 2 and not any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return "it must take x and t first"
    taken = {p.name for p in positional[2:]} | {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
    unknown = [] if any(p.kind is p.VAR_KEYWORD for p in parameters) else [n for n in names if n not in taken]
    needed = {p.name for p in parameters if p.default is p.empty and p.name in taken}
    missing = sorted(needed - set(names))
    parts = [f"it knows no condition {', '.join(unknown)}"] if unknown else []
    parts += [f"give conditions={{{', '.join(f'{n!r}: ...' for n in missing)}}}"] if missing else []
    return "; ".join(parts) or "these do not fit"


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

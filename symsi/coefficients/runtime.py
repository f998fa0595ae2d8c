"""The few lines around the coefficients that every compiled field needs; exported modules carry this text with them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from symsi.errors import EndpointError, SymsiError

__all__ = [
    "as_time",
    "at_point_mass",
    "beside",
    "check_duration",
    "check_end",
    "euler_maruyama",
    "mix",
    "model_coordinates",
    "working",
]


def as_time(t: Tensor | float, start: float, device: torch.device | None = None) -> Tensor:
    """Return t as a tensor; a number outside [start, 1] and what is not real floating point are refused."""
    if not isinstance(t, Tensor):
        if not isinstance(t, (int, float)):
            raise SymsiError(f"t must be a number or a torch tensor; got {type(t).__name__}.")
        if not start <= t <= 1:
            raise SymsiError(f"t = {t} leaves the domain [{start:.6g}, 1] of the conversion.")
        return torch.tensor(float(t), dtype=torch.float64, device=device)
    if not t.is_floating_point():
        raise SymsiError(f"t must be a floating-point tensor; got {t.dtype}. Times run from 0 (noise) to 1 (data).")
    return t


def check_end(t: Tensor | float, start: float, what: str, endless: Mapping[str, tuple[str, str]]) -> None:
    """Refuse a number t at an end where `what` has no finite limit; `endless` gives (reason at the start, at t = 1)."""
    if isinstance(t, Tensor) or what not in endless or start < t < 1:
        return
    reason = endless[what][int(t == 1)]
    if reason:
        raise EndpointError(f"{what} has no value at t = {t}: {reason}. End short of it, or choose another schedule.")


def check_duration(t: Tensor | float, dt: Tensor | float, start: float) -> None:
    """Refuse a number dt that is negative, or leads past t = 1 by more than float32's spacing there."""
    if isinstance(dt, Tensor):
        return
    if not dt >= 0:
        raise SymsiError(f"dt must not be negative; got {dt}.")
    earliest = start if isinstance(t, Tensor) else t
    if earliest + dt > 1 + 2.0**-23:
        raise SymsiError(f"dt = {dt} from t = {earliest:.6g} leads past t = 1, where the data is; dt <= 1 - t.")


def working(x: Tensor) -> torch.dtype:
    """Return the dtype to compute in: float64 for float64 x, else float32."""
    if not x.is_floating_point():
        raise SymsiError(f"x must be a floating-point tensor; got {x.dtype}.")
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def beside(coefficient: Tensor, x: Tensor) -> Tensor:
    """Shape a coefficient of one time, or of one time per sample, to multiply x."""
    if coefficient.ndim == 0:
        return coefficient
    if coefficient.ndim > x.ndim or any(a not in (1, b) for a, b in zip(coefficient.shape, x.shape, strict=False)):
        raise SymsiError(
            f"t of shape {tuple(coefficient.shape)} does not match x of shape {tuple(x.shape)}; "
            "give one time, or one per sample."
        )
    return coefficient.reshape(coefficient.shape + (1,) * (x.ndim - coefficient.ndim))


def mix(a: Tensor, x: Tensor, b: Tensor, prediction: Tensor) -> Tensor:
    """a x + b P, computed in at least float32 and returned in the dtype of x."""
    if prediction.shape != x.shape:
        raise SymsiError(f"the prediction has shape {tuple(prediction.shape)}, x {tuple(x.shape)}; they must agree.")
    if not prediction.is_floating_point():
        raise SymsiError(f"the prediction must be a floating-point tensor; got {prediction.dtype}.")
    kind = working(x)
    return (beside(a, x).to(kind) * x.to(kind) + beside(b, x).to(kind) * prediction.to(kind)).to(x.dtype)


def model_coordinates(x: Tensor, scale: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
    """Return (x / c, tau), where the base network is to be called; x itself where c = 0."""
    kind = working(x)
    c = beside(scale, x).to(kind)
    return (x.to(kind) / torch.where(c == 0, 1.0, c)).to(x.dtype), time.to(kind)


def at_point_mass(scale: Tensor, state: Tensor, of_input: Tensor) -> Tensor:
    """The coefficient of x, or of z = x/c where c = 0: there the state is 0 and x stands for z."""
    return torch.where(scale == 0, of_input, state)


def euler_maruyama(
    drift: Tensor, x: Tensor, noise: Tensor, scale: Tensor, epsilon: Tensor, dt: Tensor | float
) -> Tensor:
    """x + b dt + sqrt(2 epsilon dt) n, with x = 0 at a point mass: one step of dX = b dt + sqrt(2 epsilon) dW."""
    if noise.shape != x.shape:
        raise SymsiError(f"the noise has shape {tuple(noise.shape)}, x {tuple(x.shape)}; they must agree.")
    kind = working(x)
    x = torch.where(beside(scale, x) == 0, 0.0, x)
    duration = beside(torch.as_tensor(dt, dtype=torch.float64, device=x.device), x)
    spread = torch.sqrt(2 * beside(epsilon, x) * duration)
    return (x.to(kind) + duration.to(kind) * drift.to(kind) + spread.to(kind) * noise.to(kind)).to(x.dtype)

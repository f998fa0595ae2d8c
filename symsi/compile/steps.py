"""The one update that samplers need, x <- a x + b p + c n, in as few passes over memory as torch allows.

Large contiguous tensors take one compiled pass (Inductor's C++ on a CPU, Triton on a GPU); small ones are quicker with
two or three eager operations in place, and so is a machine without a compiler. bfloat16 and float16 are rounded once.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

from symsi.errors import SymsiError

__all__ = ["COMPILE_FROM", "fused_step"]

COMPILE_FROM = {2: 1 << 17, 4: 1 << 20, 8: 1 << 20}  # elements by their bytes; below, a compiled call costs too much


def fused_step(
    x: Tensor,
    prediction: Tensor,
    a: float,
    b: float,
    c: float = 0.0,
    noise: Tensor | None = None,
    *,
    generator: torch.Generator | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """Write a x + b prediction + c noise into `out` (default: into x itself) and return it.

    With c != 0 and no noise given, n ~ N(0, I) is drawn inside: from `generator` if there is one, else by torch's
    default generator of the device, in the same pass where the step is compiled. Raises SymsiError for tensors of
    different shapes or devices, or an x that is not floating point.
    """
    out = x if out is None else out
    _check(x, prediction, noise, out)
    if c == 0:
        noise = None
    elif noise is None and generator is not None:
        noise = torch.empty_like(x).normal_(generator=generator)
    draw = c != 0 and noise is None
    if (
        x.numel() < COMPILE_FROM[x.element_size()]
        or not _flat(x, prediction, noise, out)
        or not _can_compile(x.device.type)
    ):
        return _eager(x, prediction, a, b, c, torch.randn_like(x) if draw else noise, out)
    kind = torch.float64 if x.dtype == torch.float64 else torch.float32
    weights = torch.tensor((a, b, c), dtype=kind)
    state = x.view(-1)
    target = state if out is x else out.view(-1)  # one object: two views of one storage would be copied apart
    tensors = [target, state, *(v.view(-1) for v in (prediction, noise) if v is not None)]
    update = _update_drawn if draw else _update if noise is None else _update_given
    _compiled(update)(*tensors, weights)
    return out


def _update(out: Tensor, x: Tensor, p: Tensor, w: Tensor) -> None:
    out.copy_(w[0] * x.to(w.dtype) + w[1] * p.to(w.dtype))


def _update_given(out: Tensor, x: Tensor, p: Tensor, n: Tensor, w: Tensor) -> None:
    out.copy_(w[0] * x.to(w.dtype) + w[1] * p.to(w.dtype) + w[2] * n.to(w.dtype))


def _update_drawn(out: Tensor, x: Tensor, p: Tensor, w: Tensor) -> None:
    out.copy_(w[0] * x.to(w.dtype) + w[1] * p.to(w.dtype) + w[2] * torch.randn_like(x, dtype=w.dtype))


@lru_cache(maxsize=3)
def _compiled(update: Callable[..., None]) -> Callable[..., None]:
    return torch.compile(update, dynamic=True)


def _eager(x: Tensor, p: Tensor, a: float, b: float, c: float, n: Tensor | None, out: Tensor) -> Tensor:
    if x.dtype in (torch.bfloat16, torch.float16):
        total = x.to(torch.float32).mul_(a).add_(p, alpha=b)
        return out.copy_(total if n is None else total.add_(n, alpha=c))
    torch.mul(x, a, out=out)
    out.add_(p, alpha=b)
    return out if n is None else out.add_(n, alpha=c)


@lru_cache(maxsize=4)
def _can_compile(device: str) -> bool:
    return device == "cuda" or (device == "cpu" and shutil.which(os.environ.get("CXX", "g++")) is not None)


def _flat(*tensors: Tensor | None) -> bool:
    return all(v is None or v.is_contiguous() for v in tensors)


def _check(x: Tensor, prediction: Tensor, noise: Tensor | None, out: Tensor) -> None:
    if not x.is_floating_point():
        raise SymsiError(f"x must be a floating-point tensor; got {x.dtype}.")
    for name, tensor in (("prediction", prediction), ("noise", noise), ("out", out)):
        if tensor is not None and (tensor.shape != x.shape or tensor.device != x.device):
            raise SymsiError(
                f"{name} has shape {tuple(tensor.shape)} on {tensor.device}, "
                f"x {tuple(x.shape)} on {x.device}; they must agree."
            )

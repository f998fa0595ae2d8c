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

from symsi.coefficients.runtime import working
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
    inputs = [v for v in (x, prediction, noise) if v is not None]
    if _share_memory(*inputs, *([] if out is x else [out])):
        return _unfused(x, prediction, a, b, c, torch.randn_like(x) if draw else noise, out)
    if x.numel() < COMPILE_FROM.get(x.element_size(), 0) or not _flat(*inputs, out) or not _can_compile(x.device.type):
        return _eager(x, prediction, a, b, c, torch.randn_like(x) if draw else noise, out)
    weights = torch.tensor((a, b, c), dtype=working(x))
    flat = [v.view(-1) for v in inputs]
    update: Callable[..., None]
    if out is x:
        update = _drawn_in_place if draw else _plain_in_place if noise is None else _given_in_place
        _compiled(update)(*flat, weights)
    else:
        update = _drawn if draw else _plain if noise is None else _given
        _compiled(update)(out.view(-1), *flat, weights)
    return out


# In place and out of place are functions of their own: given the same tensor twice, torch's compile cache on disk
# may answer with the kernel of the one for the other.
def _plain(out: Tensor, x: Tensor, p: Tensor, w: Tensor) -> None:
    out.copy_(w[0] * x.to(w.dtype) + w[1] * p.to(w.dtype))


def _given(out: Tensor, x: Tensor, p: Tensor, n: Tensor, w: Tensor) -> None:
    out.copy_(w[0] * x.to(w.dtype) + w[1] * p.to(w.dtype) + w[2] * n.to(w.dtype))


def _drawn(out: Tensor, x: Tensor, p: Tensor, w: Tensor) -> None:
    out.copy_(w[0] * x.to(w.dtype) + w[1] * p.to(w.dtype) + w[2] * torch.randn_like(x, dtype=w.dtype))


def _plain_in_place(x: Tensor, p: Tensor, w: Tensor) -> None:
    x.copy_(w[0] * x.to(w.dtype) + w[1] * p.to(w.dtype))


def _given_in_place(x: Tensor, p: Tensor, n: Tensor, w: Tensor) -> None:
    x.copy_(w[0] * x.to(w.dtype) + w[1] * p.to(w.dtype) + w[2] * n.to(w.dtype))


def _drawn_in_place(x: Tensor, p: Tensor, w: Tensor) -> None:
    x.copy_(w[0] * x.to(w.dtype) + w[1] * p.to(w.dtype) + w[2] * torch.randn_like(x, dtype=w.dtype))


@lru_cache(maxsize=6)
def _compiled(update: Callable[..., None]) -> Callable[..., None]:
    return torch.compile(update, dynamic=True)


def _share_memory(*tensors: Tensor) -> bool:
    """Whether two of them are views of one storage."""
    where = [v.untyped_storage().data_ptr() for v in tensors]
    return len(set(where)) < len(where)


def _unfused(x: Tensor, p: Tensor, a: float, b: float, c: float, n: Tensor | None, out: Tensor) -> Tensor:
    """The step where reading and writing may overlap."""
    total = a * x.to(working(x)) + b * p
    return out.copy_(total if n is None else total + c * n)


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
    if x.dtype not in (torch.float64, torch.float32, torch.bfloat16, torch.float16):
        raise SymsiError(f"x must be a floating-point tensor of 16 bits or more; got {x.dtype}.")
    for name, tensor in (("prediction", prediction), ("noise", noise), ("out", out)):
        if tensor is not None and (tensor.shape != x.shape or tensor.device != x.device):
            raise SymsiError(
                f"{name} has shape {tuple(tensor.shape)} on {tensor.device}, "
                f"x {tuple(x.shape)} on {x.device}; they must agree."
            )

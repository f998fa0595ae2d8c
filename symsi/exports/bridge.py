"""A two-sided interpolant and its fields as a module that needs only torch, as LaTeX or as JSON."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

from sympy import latex

from symsi.coefficients.source import coefficients_source
from symsi.coefficients.two_sided import bridge_kernels
from symsi.exports.latex import bridge_tex
from symsi.exports.module import reference, runtime_text, safe, self_check
from symsi.files import write_text
from symsi.theory.bridge import Bridge
from symsi.theory.bridge_record import bridge_record

__all__ = ["write_bridge"]

_HEAD = r'''r"""{title}, exported by symsi {version}. It needs only torch.

I_t = alpha x0 + beta x1 + gamma z from x0 at t = 0 to x1 at t = 1. A network predicts {first} and {second} at (t, x);
pass them, in this order, to one of {fields},
as in forward({first}, {second}, x, t): dX = forward dt + sqrt(2 epsilon) dW, and backward in time with that drift.
t is a number or one time per sample; x has the samples first. A coefficient without a finite limit at an end is
infinite there, and outside [0, 1] the values are nan.
 `python {name}` checks the coefficients against values computed with 60 digits.

{latex}
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor


{runtime}

{coefficients}'''

_FIELD = r'''

def {field}({first}, {second}, x, t):
    r"""The {field} (T13): {latex}."""
    c = coefficients(as_time(t, 0.0, x.device))
    kind = working(x)
    state = mix(c["{field}_state"], x.to(kind), c["{field}_{first}"], {first})
    return mix(torch.ones_like(c["gamma"]), state, c["{field}_{second}"], {second}).to(x.dtype)
'''


def write_bridge(bridge: Bridge, path: Path, force: bool) -> None:
    """Write a bridge to .py, .tex or .json. Raises SymsiError for a path that exists, unless `force`."""
    if path.suffix == ".tex":
        write_text(path, bridge_tex(bridge, bridge.proof()), force=force)
    elif path.suffix == ".json":
        write_text(path, json.dumps(bridge_record(bridge), indent=1) + "\n", force=force)
    else:
        write_text(path, _module(bridge, path.name), force=force)


def _module(bridge: Bridge, name: str) -> str:
    first, second = bridge.given
    doc = "Every coefficient at the times t, in float64, limits at the ends included."
    text = _HEAD.format(
        title=safe(f"{bridge.interpolant}, epsilon = {bridge.epsilon}"),
        version=version("symsi"),
        first=first,
        second=second,
        fields=", ".join(bridge.fields),
        name=safe(name),
        latex=bridge.latex(),
        runtime=runtime_text(),
        coefficients=coefficients_source(bridge_kernels(bridge).program, doc=doc),
    )
    for field in bridge.fields:
        text += _FIELD.format(field=field, first=first, second=second, latex=latex(bridge.field(field)))
    return text + self_check(*reference(bridge.functions))

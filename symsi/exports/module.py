"""A Python module that needs only torch: the coefficients as they run in symsi, the fields, and a self-check."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from sympy import Rational, latex

from symsi.coefficients import runtime
from symsi.coefficients.kernels import kernels
from symsi.coefficients.source import coefficients_source
from symsi.files import write_text
from symsi.theory.conversion import FIELDS, Conversion
from symsi.theory.functions import Formulas

__all__ = ["TIMES", "ZERO", "reference", "runtime_text", "safe", "self_check", "write_py"]

TIMES = (
    0.0,
    2.0**-40,
    2.0**-20,
    0.001,
    0.1,
    0.25,
    0.5,
    0.77,
    0.9,
    0.999,
    1 - 2.0**-20,
    1 - 2.0**-40,
    1.0,
)  # of [start, 1]
ZERO = 1e-55  # what is smaller is 0, left over by the digits of pi
_THEOREM = {"velocity": "T6", "score": "T1, T6", "noise": "T6", "data": "T6", "drift": "T2, T6"}

_HEAD = r'''r"""{title}, exported by symsi {version}. It needs only torch.

A network trained with the base schedule predicts the {prediction} P. At a time t in [{start:.6g}, 1] of the target and
a state x, call it at `model_input(x, t)`, and pass what it says to one of {fields},
as in drift(P, x, t). t is a number or one time per sample; x has the samples first.

A coefficient without a finite limit at an end is infinite there (nan without a power law): a field or `step` at a
number t there raises ValueError. A tensor of times is not looked into: there values are infinite or nan, and outside
the domain nan.
 `python {name}` checks the coefficients against values computed with 60 digits.

{latex}

Behaviour at the ends (start, t = 1); "~" marks a leading term where there is no finite limit, or it is 0:
{limits}
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

START = {start!r}  # first time of the domain
ENDLESS = {endless}  # what has no finite limit: why at START, why at t = 1


{runtime}

{coefficients}

def model_input(x, t):
    """Where to call the base network: (x / c, tau), T4. At a point mass c = 0, and there x stands for z ~ N(0, I)."""
    c = coefficients(as_time(t, START, x.device))
    return model_coordinates(x, c["scale"], c["time"])
'''

_FIELD = r'''

def {field}(prediction, x, t):
    r"""The target's {field} ({theorem}): {latex}."""
    c = coefficients(as_time(t, START, x.device))
    check_end(t, START, "{field}", ENDLESS)
    state = at_point_mass(c["scale"], c["{field}_state"], c["{field}_input"])
    return mix(state, x, c["{field}_prediction"], prediction)
'''

_TAIL = r'''

def step(prediction, x, noise, t, dt):
    """x + b dt + sqrt(2 epsilon dt) n (Euler-Maruyama), with n ~ N(0, I) and t + dt <= 1."""
    c = coefficients(as_time(t, START, x.device))
    check_end(t, START, "step", ENDLESS)
    check_duration(t, dt, START)
    return euler_maruyama(drift(prediction, x, t), x, noise, c["scale"], c["diffusion"], dt)
'''

_CHECK = r'''

TIMES = {times}
REFERENCE = {{
{reference}
}}


def self_check():
    """The worst error of a coefficient in units of float32's spacing, and where; limits at the ends included."""
    found = coefficients(torch.tensor(TIMES, dtype=torch.float64))
    worst = (0.0, "", 0.0)
    for name, column in REFERENCE.items():
        for time, value, truth in zip(TIMES, found[name].to(torch.float32).tolist(), column):
            if truth is not None and abs(truth) < torch.finfo(torch.float32).max:
                size = max(abs(truth), 2.0**-126) if truth else 1.0
                error = abs(value - truth) / 2.0 ** (math.floor(math.log2(size)) - 23)
                if not error <= worst[0]:
                    worst = (error, name, time)
    return worst


if __name__ == "__main__":
    error, name, time = self_check()
    print(f"worst error {{error:.2f}} ulp of float32 ({{name}} at t = {{time}})")
    raise SystemExit(0 if error <= 4 else 1)
'''


def write_py(conversion: Conversion, path: Path, force: bool) -> None:
    """Write the module."""
    compiled = kernels(conversion)
    times, values = reference(conversion)
    limits = (f"    {n:<22}{a!s:<34}{b!s}" for n, (a, b) in conversion.limits.items())
    text = _HEAD.format(
        title=safe(f"{conversion.base} to {conversion.target}, diffusion {conversion.diffusion}"),
        version=version("symsi"),
        prediction=conversion.prediction,
        fields=", ".join(FIELDS),
        start=conversion.start_time,
        endless=_lines(compiled.endless),
        name=safe(path.name),
        latex=conversion.latex(),
        limits="\n".join(limits),
        runtime=runtime_text(),
        coefficients=coefficients_source(
            compiled.program, doc="Every coefficient at the times t, in float64, limits at the ends included."
        ),
    )
    for field in FIELDS:
        formula = latex(conversion.field(field))
        text += _FIELD.format(field=field, theorem=_THEOREM[field], latex=formula)
    text += _TAIL + self_check(times, values)
    write_text(path, text, force=force)


def self_check(times: list[float], values: Mapping[str, list[float | None]]) -> str:
    """The end of a module: its values to 60 digits, and a function that compares."""
    rows = (f'    "{n}": {column!r},' for n, column in values.items())
    return _CHECK.format(times=times, reference="\n".join(rows))


def reference(formulas: Formulas, digits: int = 60) -> tuple[list[float], dict[str, list[float | None]]]:
    """Return times from the start to 1, and each coefficient there, rounded once; None where it has no limit."""
    start = formulas.start_time
    times = sorted({start + (1 - start) * s for s in TIMES})
    names = tuple(formulas.coefficients)
    columns: dict[str, list[float | None]] = {name: [] for name in names}
    for time in times:
        end = 0 if time == start else 1 if time == 1 else None
        row = formulas.evaluate_all(Rational(time), names, digits) if end is None else None
        for name in names:
            value = formulas.end_value(name, end or 0) if row is None else row[name]
            columns[name].append(None if value is None else float(value) if abs(value) > ZERO else 0.0)
    return times, columns


def _lines(endless: Mapping[str, tuple[str, str]]) -> str:
    """A dictionary with an entry a line."""
    return (
        "{"
        + "".join(f"\n    {what!r}: {reasons!r}," for what, reasons in endless.items())
        + ("\n}" if endless else "}")
    )


def safe(text: str) -> str:
    """Text from outside that cannot end the docstring."""
    return "".join(c if c.isprintable() and c not in '"\\' else "?" for c in text)


def runtime_text() -> str:
    """The text of `symsi.coefficients.runtime` below its imports, with plain ValueErrors."""
    text = inspect.getsource(runtime)
    body = text[re.search(r"^def ", text, re.MULTILINE).start() :]  # type: ignore[union-attr]
    return re.sub("SymsiError|EndpointError", "ValueError", body)

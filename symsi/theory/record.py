"""A conversion as JSON data, and back: what is read is parsed, derived again and compared, never trusted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sympy import Expr, sstr

from symsi.algebra.parse import parse
from symsi.errors import ParseError, SymsiError
from symsi.interpolants.schedule import Schedule
from symsi.theory.conversion import Conversion, convert
from symsi.theory.fields import PREDICTIONS

__all__ = ["FORMAT", "from_record", "record"]

FORMAT = "symsi-conversion/1"


def record(c: Conversion) -> dict[str, Any]:
    """Return the conversion as JSON data: each formula is a string that SymPy parses back to the same expression."""
    return {
        "format": FORMAT,
        "schedule": _schedule(c.base),
        "target": _schedule(c.target),
        "kind": str(c.target.kind),
        "prediction": c.prediction,
        "time": sstr(c.time_equation if c.time is None else c.time),
        "implicit": c.implicit,
        "start": sstr(c.start),
        "scale": sstr(c.scale),
        "epsilon": str(c.diffusion),
        "diffusion": sstr(c.formulas["diffusion"]),
        "base_diffusion": sstr(c.formulas["base_diffusion"]),
        **{name: sstr(c.field(name)) for name in ("drift", *PREDICTIONS)},
        "coefficients": {name: sstr(e) for name, e in c.formulas.items()},
        "limits": {name: {"start": a.record(), "1": b.record()} for name, (a, b) in c.limits.items()},
        "latex": c.latex(),
    }


def _schedule(s: Schedule) -> dict[str, Any]:
    return {
        "name": s.name,
        "alpha": sstr(s.alpha),
        "beta": sstr(s.beta),
        "kind": str(s.kind),
        "parameters": sorted(p.name for p in s.free_parameters),
        "noise_scale": sstr(s.noise_scale),
        "data_scale": sstr(s.data_scale),
        "evidence": dict(s.evidence),
    }


def from_record(data: Any) -> Conversion:
    """Rebuild the conversion that `record` described.

    Raises SymsiError where `data` is no such record, holds anything that is not a formula, or holds a coefficient
    that does not follow from its schedules and diffusion.
    """
    if not isinstance(data, Mapping) or data.get("format") != FORMAT:
        raise SymsiError(f"this is not a symsi conversion: its format is not {FORMAT!r}.")
    try:
        base, target = (_read_schedule(data[key]) for key in ("schedule", "target"))
        conversion = convert(base, target, data["epsilon"], data["prediction"])
        stored = dict(data["coefficients"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, SymsiError):
            raise
        raise SymsiError(f"the conversion in this file is incomplete or malformed: {error!r}.") from None
    if set(stored) != set(conversion.formulas):
        raise SymsiError("the file does not hold the coefficients of a conversion; was it edited?")
    for name, formula in conversion.formulas.items():
        if stored[name] != sstr(formula) and _read(name, stored[name], conversion) != formula:
            raise SymsiError(
                f"{name} in the file is {str(stored[name])[:80]!r}, but its schedules give {sstr(formula)[:80]!r}; "
                "was it edited? Export it again."
            )
    rebuilt = record(conversion)
    for key in data:
        if key not in rebuilt:
            raise SymsiError(
                f"{str(key)[:80]!r} in the file is no part of a conversion; was it edited? Export it again."
            )
    for key, value in rebuilt.items():
        if key != "coefficients" and data.get(key) != value:
            raise SymsiError(f"{key} in the file does not follow from its schedules; was it edited? Export it again.")
    return conversion


def _read_schedule(data: Mapping[str, Any]) -> Schedule:
    return Schedule(
        data["alpha"],
        data["beta"],
        parameters={str(name): None for name in data["parameters"]},
        noise_scale=data["noise_scale"],
        data_scale=data["data_scale"],
        name=str(data["name"]),
    )


def _read(name: str, text: Any, conversion: Conversion) -> Expr:
    if not isinstance(text, str):
        raise SymsiError(f"{name} in the file is no formula but {type(text).__name__}.")
    letters = {s.name for s in conversion.formulas[name].free_symbols} | {"t", "tau"}
    try:
        return parse(text, symbols=sorted(letters))
    except ParseError as error:
        raise SymsiError(f"{name} in the file cannot be read: {error}") from None

"""A bridge as JSON data, and back: what is read is parsed, derived again and compared, never trusted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sympy import sstr

from symsi.algebra.parse import parse
from symsi.errors import SymsiError
from symsi.interpolants.two_sided import Interpolant
from symsi.theory.bridge import Bridge, bridge

__all__ = ["FORMAT", "bridge_from_record", "bridge_record"]

FORMAT = "symsi-bridge/1"


def bridge_record(b: Bridge) -> dict[str, Any]:
    """Return a bridge as JSON data; formulas parse back with SymPy."""
    i = b.interpolant
    return {
        "format": FORMAT,
        "interpolant": {"name": i.name, **{name: sstr(getattr(i, name)) for name in ("alpha", "beta", "gamma")}},
        "parameters": sorted(s.name for s in i.free_parameters),
        "evidence": dict(i.evidence),
        "given": list(b.given),
        "epsilon": sstr(b.epsilon),
        "fields": {kind: sstr(b.field(kind)) for kind in b.fields},
        "coefficients": {name: sstr(e) for name, e in b.coefficients.items()},
        "limits": {name: {"0": a.record(), "1": z.record()} for name, (a, z) in b.limits.items()},
        "latex": b.latex(),
    }


def bridge_from_record(data: Any) -> Bridge:
    """Rebuild the bridge that `bridge_record` described.

    Raises SymsiError where `data` is no such record, holds anything that is not a formula, or holds what does not
    follow from its interpolant, epsilon and predictions.
    """
    if not isinstance(data, Mapping) or data.get("format") != FORMAT:
        raise SymsiError(f"this is not a symsi bridge: its format is not {FORMAT!r}.")
    try:
        declared = {str(name): None for name in data["parameters"]}
        said = data["interpolant"]
        alpha, beta, gamma = (parse(said[n], symbols=("t", *declared), pieces=True) for n in ("alpha", "beta", "gamma"))
        epsilon = parse(data["epsilon"], symbols=("t", "alpha", "beta", "gamma", *declared), pieces=True)
        found = Interpolant(alpha, beta, gamma, parameters=declared, name=str(said["name"]))
        first, second = data["given"]
        rebuilt = bridge(found, epsilon, (first, second))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, SymsiError):
            raise
        raise SymsiError(f"the bridge in this file is incomplete or malformed: {error!r}.") from None
    derived = bridge_record(rebuilt)
    for key in (*derived, *data):
        if key not in derived or data.get(key) != derived[key]:
            raise SymsiError(
                f"{str(key)[:80]!r} in the file does not follow from its interpolant; was it edited? Export it again."
            )
    return rebuilt

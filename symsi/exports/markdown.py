"""Markdown, as GitHub shows it: a conversion or a bridge with its limits and its proof."""

from __future__ import annotations

from collections.abc import Mapping

from sympy import latex

from symsi.algebra.limits import Limit
from symsi.algebra.proof import Proof
from symsi.exports.latex import limit_tex, title
from symsi.theory.bridge import Bridge
from symsi.theory.conversion import Conversion
from symsi.theory.map_conversion import MapConversion

__all__ = ["bridge_markdown", "conversion_markdown", "map_markdown"]


def conversion_markdown(conversion: Conversion, proof: Proof) -> str:
    """Return a document on a conversion: formulas, behaviour at both ends, and `proof`, which is the conversion's."""
    return _document(title(conversion), conversion.latex(), latex(conversion.start), conversion.limits, proof)


def bridge_markdown(bridge: Bridge, proof: Proof) -> str:
    """Return the same on a two-sided interpolant and its fields."""
    return _document(proof.title, bridge.latex(), "0", bridge.limits, proof)


def map_markdown(found: MapConversion, proof: Proof) -> str:
    """Return the same on a conversion of flow maps."""
    return _document(proof.title, found.latex(), latex(found.conversion.start), found.limits, proof)


def _document(heading: str, formulas: str, start: str, limits: Mapping[str, tuple[Limit, Limit]], proof: Proof) -> str:
    lines = (f"| `{n}` | {limit_tex(a)} | {limit_tex(b)} |" for n, (a, b) in limits.items())
    table = [f"| coefficient | $t \\to {start}$ | $t \\to 1$ |", "| --- | --- | --- |", *lines]
    blocks = [
        f"# {heading}".replace("*", "\\*"),
        f"$$\n{formulas}\n$$",
        "## Behaviour at the ends",
        "\n".join(table),
        proof.markdown(level=2),
    ]
    return "\n\n".join(blocks)

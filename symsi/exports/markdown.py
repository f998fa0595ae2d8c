"""Markdown, as GitHub shows it: a conversion with its limits and its proof."""

from __future__ import annotations

from sympy import latex

from symsi.algebra.proof import Proof
from symsi.exports.latex import limit_tex, title
from symsi.theory.conversion import Conversion

__all__ = ["conversion_markdown"]


def conversion_markdown(conversion: Conversion, proof: Proof) -> str:
    """Return a document on a conversion: formulas, behaviour at both ends, and `proof`, which is the conversion's."""
    limits = (f"| `{n}` | {limit_tex(a)} | {limit_tex(b)} |" for n, (a, b) in conversion.limits.items())
    table = [f"| coefficient | $t \\to {latex(conversion.start)}$ | $t \\to 1$ |", "| --- | --- | --- |", *limits]
    blocks = [
        f"# {title(conversion)}".replace("*", "\\*"),
        f"$$\n{conversion.latex()}\n$$",
        "## Behaviour at the ends",
        "\n".join(table),
        proof.markdown(level=2),
    ]
    return "\n\n".join(blocks)

"""LaTeX: pages that compile by themselves: a conversion or a bridge with limits and proof, or proofs of theorems."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from sympy import latex

from symsi.algebra.limits import Limit
from symsi.algebra.proof import Proof, Remark
from symsi.files import write_text
from symsi.theory.bridge import Bridge
from symsi.theory.conversion import Conversion
from symsi.theory.map_conversion import MapConversion

__all__ = ["bridge_tex", "conversion_tex", "limit_tex", "map_tex", "proofs_tex", "title", "write_tex"]

_PAGE = r"""\documentclass{article}
\usepackage{amsmath,graphicx,longtable}
\newsavebox{\formula}
\newcommand{\fit}[1]{\sbox{\formula}{#1}\par\smallskip\noindent
  \ifdim\wd\formula>\linewidth\resizebox{\linewidth}{!}{\usebox{\formula}}\else\usebox{\formula}\fi\par\smallskip}
\setlength{\emergencystretch}{3em}
\begin{document}
\everymath{\displaystyle}
%s
\end{document}
"""
_CONVERSION = r"""\section*{%(title)s}
\fit{$
%(formulas)s
$}
\subsection*{Behaviour at the ends}
\begin{longtable}{lp{0.33\linewidth}p{0.33\linewidth}}
 & $t \to %(start)s$ & $t \to 1$ \\ \hline
%(limits)s
\end{longtable}
\subsection*{Proof (%(verdict)s)}
%(steps)s"""


def conversion_tex(conversion: Conversion, proof: Proof) -> str:
    """Return a document on a conversion: formulas, behaviour at both ends, and `proof`, which is the conversion's."""
    return _document(title(conversion), conversion.latex(), latex(conversion.start), conversion.limits, proof)


def bridge_tex(bridge: Bridge, proof: Proof) -> str:
    """Return the same on a two-sided interpolant and its fields."""
    return _document(proof.title, bridge.latex(), "0", bridge.limits, proof)


def map_tex(found: MapConversion, proof: Proof) -> str:
    """Return the same on a conversion of flow maps."""
    return _document(proof.title, found.latex(), latex(found.conversion.start), found.limits, proof)


def _document(heading: str, formulas: str, start: str, limits: Mapping[str, tuple[Limit, Limit]], proof: Proof) -> str:
    lines = (f"{_plain(n)} & \\fit{{{limit_tex(a)}}} & \\fit{{{limit_tex(b)}}} \\\\" for n, (a, b) in limits.items())
    return _PAGE % (
        _CONVERSION
        % {
            "title": _plain(heading),
            "formulas": formulas,
            "start": start,
            "limits": "\n".join(lines),
            "verdict": str(proof.verdict),
            "steps": "\n".join(_steps(proof)),
        }
    )


def proofs_tex(proofs: Iterable[Proof]) -> str:
    """Return a document with a section for each proof."""
    lines: list[str] = []
    for proof in proofs:
        lines.append(f"\\section*{{{_plain(f'{proof.id}. {proof.title}')}}}")
        lines.append(f"\\textbf{{Claim.}} {_plain(proof.premise or proof.statement)}\\par")
        lines += [f"\\noindent {_plain(str(claim))}\\par" for claim in proof.claims]
        lines += [f"Source: {_plain(proof.source)}.\\par"] if proof.source else []
        lines += [f"Assumed: {_plain('; '.join(proof.assumptions))}.\\par"] if proof.assumptions else []
        lines += [*_steps(proof), f"\\textbf{{{_plain(proof.conclusion)}}}"]
    return _PAGE % "\n".join(lines)


def write_tex(conversion: Conversion, path: Path, force: bool) -> None:
    """Write the document on a conversion."""
    write_text(path, conversion_tex(conversion, conversion.proof()), force=force)


def title(conversion: Conversion) -> str:
    """Return what a document on a conversion is called."""
    return f"{conversion.base} to {conversion.target}, diffusion {conversion.diffusion}"


def limit_tex(found: Limit) -> str:
    """Return the behaviour at an end as an inline formula."""
    if found.exponent is None:
        return "undecided"
    return f"${latex(found.value)}$" if found.exponent == 0 else f"$\\sim {latex(found.leading)}$"


def _steps(proof: Proof) -> Iterator[str]:
    for number, part in proof.numbered():
        formula = part.latex()
        shown = f"\\fit{{${formula}$}}" if formula else "\\par"
        if isinstance(part, Remark):
            yield f"\\noindent {_plain(part.text)}{shown}"
            continue
        yield f"\\noindent ({number}) {_plain(part.named)}{shown}"
        yield f"{{\\footnotesize\\noindent {_plain(f'{part.rule}: {part.checks}')}\\par}}\\medskip"


def _plain(text: str) -> str:
    """Escape text for LaTeX."""
    words = {"^": "asciicircum", "~": "asciitilde", "\\": "backslash", "<": "less", ">": "greater", "|": "bar"}
    escapes = {**{c: "\\" + c for c in "_&%#${}"}, **{c: f"\\text{word}{{}}" for c, word in words.items()}}
    return "".join(escapes.get(c, c) for c in text)

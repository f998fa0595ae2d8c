"""LaTeX: a page that compiles by itself, with the formulas, their limits and the proof."""

from __future__ import annotations

from pathlib import Path

from sympy import latex

from symsi.files import write_text
from symsi.symbolic.conversion import Conversion
from symsi.symbolic.endpoints import Limit
from symsi.symbolic.proof import Step

__all__ = ["write_tex"]

_PAGE = r"""\documentclass{article}
\usepackage{amsmath,graphicx,longtable}
\begin{document}
\section*{%(title)s}
\noindent\resizebox{\linewidth}{!}{$
%(formulas)s
$}
\subsection*{Behaviour at the ends}
\begin{longtable}{lll}
 & $t \to %(start)s$ & $t \to 1$ \\ \hline
%(limits)s
\end{longtable}
\subsection*{Proof (%(verdict)s)}
\begin{enumerate}
%(steps)s
\end{enumerate}
\end{document}
"""


def write_tex(conversion: Conversion, path: Path, force: bool) -> None:
    """Write a document of class article."""
    proof = conversion.proof()
    limits = (f"{_plain(n)} & {_limit(a)} & {_limit(b)} \\\\" for n, (a, b) in conversion.limits.items())
    steps = (
        f"\\item {_plain(p.claim if isinstance(p, Step) else p.text)} ${p.latex()}$"
        for p in proof.parts
    )  # fmt: skip
    page = _PAGE % {
        "title": _plain(f"{conversion.base} to {conversion.target}, diffusion {conversion.diffusion}"),
        "formulas": conversion.latex(),
        "start": latex(conversion.start),
        "limits": "\n".join(limits),
        "verdict": str(proof.verdict),
        "steps": "\n".join(s.replace("$$", "") for s in steps),
    }
    write_text(path, page, force=force)


def _limit(found: Limit) -> str:
    if found.exponent is None:
        return "undecided"
    return f"${latex(found.value)}$" if found.exponent == 0 else f"$\\sim {latex(found.leading)}$"


def _plain(text: str) -> str:
    """Escape text for LaTeX."""
    escapes = {**{c: "\\" + c for c in "_&%#${}"}, "^": r"\^{}", "~": r"\~{}", "\\": r"\textbackslash{}"}
    return "".join(escapes.get(c, c) for c in text)

"""The page: one HTML file with everything in it, readable without JavaScript and without a network."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from symsi.algebra.proof import Proof
from symsi.errors import SymsiError
from symsi.files import check_free
from symsi.report.derivation import derivation
from symsi.report.explore import Tables, explore
from symsi.report.html import Html, element, join
from symsi.report.pictures import INTRODUCTION, QUALITY, beside, picture
from symsi.report.tables import certificate, evaluations
from symsi.report.theorems import contents, theorem
from symsi.theory.conversion import Conversion

__all__ = ["SHIPPED", "check_target", "page"]

SHIPPED = Path(__file__).parents[1] / "figures"  # the figures folder that ships
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
_SECTIONS = {
    "contents": "Contents",
    "fewer": "Fewer evaluations",
    "pair": "Your pair of schedules",
    "explore": "Explore",
    "theorems": "Theorems",
    "certificate": "How exact",
    "evaluations": "How good at how many evaluations",
}


def check_target(path: Path, *, force: bool = False) -> None:
    """Raise SymsiError, before any work is done, where the page cannot be put at `path`."""
    if path.suffix != ".html":
        raise SymsiError(f"cannot write the report to {path.name!r}: the suffix must be .html.")
    check_free(path, force=force)


def page(proofs: Sequence[Proof], conversion: Conversion, proof: Proof, tables: Tables, folder: Path = SHIPPED) -> str:
    """Return the report as one HTML document.

    `proofs` are the theorems to show, `proof` that of `conversion`, `tables` what the reader can explore; figures and
    measurements come from `folder`. Raises SymsiError for a measurement that cannot be read.
    """
    pair = f"From {conversion.base} to {conversion.target}, diffusion {conversion.diffusion}"
    bodies = {
        "contents": contents(proofs),
        "fewer": picture(INTRODUCTION, folder),
        "pair": join(element("p", pair, ".", class_="statement"), derivation(conversion, proof)),
        "explore": explore(tables),
        "theorems": join(theorem(p, beside(p.id, folder)) for p in proofs),
        "certificate": certificate(folder),
        "evaluations": join(picture(QUALITY, folder), evaluations(folder)),
    }
    sections = (
        element(
            "section",
            element("h2", _SECTIONS[name], id=f"{name}-title"),
            body,
            id=name,
            aria_labelledby=f"{name}-title",
        )
        for name, body in bodies.items()
    )
    links = (element("li", element("a", title, href=f"#{name}")) for name, title in _SECTIONS.items())
    header = element(
        "header",
        element("h1", "Stochastic interpolants, derived and proved"),
        element(
            "p",
            "I",
            element("sub", "t"),
            " = α",
            element("sub", "t"),
            " Z + β",
            element("sub", "t"),
            " X bridges noise Z and data X. This page shows how its schedule (α, β) and its diffusion ε change "
            "after training, why that is exact, and what it gains. Every formula here is the one that symsi "
            "runs.",
            class_="lead",
        ),
        element("p", f"symsi {version('symsi')} · {pair}", class_="source"),
        element("nav", element("ul", links), aria_label="Sections"),
    )
    style = Html(files("symsi.report").joinpath("style.css").read_text(encoding="utf-8"))
    head = (
        Html('<meta charset="utf-8">'),
        Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Html('<meta name="color-scheme" content="light dark">'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'),
        element("title", f"symsi report: {conversion.base} to {conversion.target}"),
        element("style", style),
    )
    body = element("body", header, element("main", sections))
    return f"<!doctype html>\n{element('html', element('head', head), body, lang='en')}\n"

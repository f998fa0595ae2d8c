"""A proof as HTML: claims and what each rests on, picture, and every step with its formula, rule and checks."""

from __future__ import annotations

from collections.abc import Sequence

from sympy import Integer

from symsi.algebra.claims import Claim, Status, StepKind
from symsi.algebra.proof import Proof, Remark, Step, Verdict
from symsi.report.html import Html, element, join, number
from symsi.report.lines import display
from symsi.report.mathml import math
from symsi.report.prose import prose

__all__ = ["contents", "steps", "theorem", "verdict"]

_NOTHING = Html()
_STATUS = {Status.COVERED: "proved", Status.CITED: "undecided", Status.OPEN: "refuted"}  # the colour that fits
_MARKS = {Verdict.PROVED: "✓", Verdict.CONFIRMED: "≈", Verdict.REFUTED: "✗", Verdict.UNDECIDED: "?"}


def contents(proofs: Sequence[Proof]) -> Html:
    """Return the table of theorems with their verdicts."""
    head = element("tr", (element("th", h, scope="col", class_=c) for h, c in _COLUMNS))
    rows = (
        element(
            "tr",
            element("th", element("a", p.id, href=f"#{p.id}"), scope="row"),
            element("td", element("a", p.title, href=f"#{p.id}")),
            element("td", verdict(p.verdict)),
            element("td", _counted(p.claims)),
            element("td", str(len(p.steps)), class_="wide"),
            element("td", str(p.numeric_points), class_="wide"),
            element("td", number(p.max_residual), class_="wide"),
        )
        for p in proofs
    )
    proved, claims = sum(p.proved for p in proofs), [c for p in proofs for c in p.claims]
    caption = element(
        "caption",
        f"{proved} of {len(proofs)} theorems proved on this machine, for this page. "
        f"Of {len(claims)} claims {_counted(claims)}.",
    )
    return element("table", caption, element("thead", head), element("tbody", rows), class_="contents")


_COLUMNS = (
    ("", None),
    ("Theorem", None),
    ("Verdict", None),
    ("Claims", None),
    ("Steps", "wide"),
    ("Random points", "wide"),
    ("Largest residual", "wide"),
)


def theorem(proof: Proof, picture: Html = _NOTHING) -> Html:
    """Return a theorem as an article: heading, verdict, claims, `picture`, proof."""
    heading = element("h3", element("span", proof.id, class_="id"), " ", proof.title, " ", verdict(proof.verdict))
    source = element("p", "Source: ", prose(proof.source), ".", class_="source") if proof.source else _NOTHING
    statement = element("p", prose(proof.premise), class_="statement")
    claims = element("ul", (_claim(proof, c) for c in proof.claims), class_="claims") if proof.claims else _NOTHING
    words = "; ".join(proof.assumptions)
    assumed = element("p", "Assumed, and nothing else: ", prose(words), ".", class_="source") if words else _NOTHING
    return element("article", heading, statement, claims, source, picture, assumed, steps(proof), id=proof.id)


def verdict(value: Verdict) -> Html:
    """Return a verdict with its mark."""
    return element("span", element("span", _MARKS[value], aria_hidden="true"), f" {value}", class_=f"verdict {value}")


def steps(proof: Proof) -> Html:
    """Return the steps of a proof, open, with remarks between them."""
    count = len(proof.steps)
    line = (
        f"Proof: {count} step{'' if count == 1 else 's'}, {proof.numeric_points} random points, largest residual ",
        number(proof.max_residual),
        f", {proof.seconds:.1f} s",
    )
    items = (_remark(p) if isinstance(p, Remark) else _step(p, f"{proof.id}-{n}") for n, p in proof.numbered())
    return element("details", element("summary", *line), element("ol", items, class_="proof"), open=True)


def _remark(remark: Remark) -> Html:
    shown = _NOTHING if remark.formula is None else formula(display((remark.formula,)))
    return element("li", element("p", prose(remark.text)), shown, class_="remark")


def _claim(proof: Proof, claim: Claim) -> Html:
    """A claim, its status, and what it rests on: links to its steps, or the source."""
    mark = element("span", str(claim.status), class_=f"verdict {_STATUS[claim.status]}")
    links = [element("a", str(n), href=f"#{proof.id}-{n}") for n in claim.steps]
    parts = [part for link in links for part in (", ", link)][1:]
    by = (" by step ", *parts) if links else ()
    cited = f": {claim.citation}" if claim.citation else ""
    return element("li", prose(claim.text), " ", element("span", mark, cited, by, class_="check"))


def _counted(claims: Sequence[Claim]) -> str:
    """How many claims rest on what: "7 covered, 1 cited"."""
    counts = {status: sum(c.status is status for c in claims) for status in Status}
    return ", ".join(f"{count} {status}" for status, count in counts.items() if count) or "none"


def _step(step: Step, name: str) -> Html:
    how = f"residual 0 by {step.method}" if step.method else "residual not reduced to 0"
    found: tuple[str, ...] = (verdict(step.verdict), f" · {how} · {step.points} points, largest ")
    found = (*found, number(step.max_residual))
    if step.kind is StepKind.DEFINITION and step.verdict is Verdict.PROVED:
        found = (
            element("span", str(StepKind.DEFINITION), class_="verdict definition"),
            ": both sides are one expression",
        )
    check = join(prose(step.rule), " · ", *found)
    if step.excluded:
        check = join(check, " · except where ", prose(" or ".join(step.excluded)))
    where = element("p", f"Counterexample: {step.where}", class_="where") if step.where else _NOTHING
    sign = join(Html("<wbr>"), math(">", Integer(0))) if step.positive else _NOTHING
    shown = formula(display((step.left, step.right), after=sign))
    return element("li", element("p", prose(step.claim)), shown, element("p", check, class_="check"), where, id=name)


def formula(content: Html) -> Html:
    """Return a formula in a box of its own, which scrolls where the formula is wider."""
    return element("div", content, class_="formula")

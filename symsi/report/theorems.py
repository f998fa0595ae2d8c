"""A proof as HTML: statement, picture, and every step with its formula, rule and checks."""

from __future__ import annotations

from collections.abc import Sequence

from symsi.report.html import Html, element, join, number
from symsi.report.lines import display
from symsi.report.prose import prose
from symsi.symbolic.proof import Proof, Remark, Step, Verdict

__all__ = ["contents", "steps", "theorem", "verdict"]

_NOTHING = Html()
_MARKS = {Verdict.PROVED: "✓", Verdict.REFUTED: "✗", Verdict.UNDECIDED: "?"}


def contents(proofs: Sequence[Proof]) -> Html:
    """Return the table of theorems with their verdicts."""
    head = element("tr", (element("th", h, scope="col", class_=c) for h, c in _COLUMNS))
    rows = (
        element(
            "tr",
            element("th", element("a", p.id, href=f"#{p.id}"), scope="row"),
            element("td", element("a", p.title, href=f"#{p.id}")),
            element("td", verdict(p.verdict)),
            element("td", str(len(p.steps)), class_="wide"),
            element("td", str(p.numeric_points), class_="wide"),
            element("td", number(p.max_residual), class_="wide"),
        )
        for p in proofs
    )
    proved = sum(p.proved for p in proofs)
    caption = element("caption", f"{proved} of {len(proofs)} theorems proved on this machine, for this page.")
    return element("table", caption, element("thead", head), element("tbody", rows), class_="contents")


_COLUMNS = (
    ("", None), ("Theorem", None), ("Verdict", None), ("Steps", "wide"), ("Random points", "wide"),
    ("Largest residual", "wide"),
)  # fmt: skip


def theorem(proof: Proof, picture: Html = _NOTHING) -> Html:
    """Return a theorem as an article: heading, verdict, statement, `picture`, proof."""
    heading = element("h3", element("span", proof.id, class_="id"), " ", proof.title, " ", verdict(proof.verdict))
    source = element("p", "Source: ", prose(proof.source), ".", class_="source") if proof.source else _NOTHING
    statement = element("p", prose(proof.statement), class_="statement")
    return element("article", heading, statement, source, picture, steps(proof), id=proof.id)


def verdict(value: Verdict) -> Html:
    """Return a verdict with its mark."""
    return element("span", element("span", _MARKS[value], aria_hidden="true"), f" {value}", class_=f"verdict {value}")


def steps(proof: Proof) -> Html:
    """Return the steps of a proof, open, with remarks between them."""
    count = len(proof.steps)
    line = (
        f"Proof: {count} step{'' if count == 1 else 's'}, {proof.numeric_points} random points, largest residual ",
        number(proof.max_residual), f", {proof.seconds:.1f} s",
    )  # fmt: skip
    items = (_remark(p) if isinstance(p, Remark) else _step(p) for p in proof.parts)
    return element("details", element("summary", *line), element("ol", items, class_="proof"), open=True)


def _remark(remark: Remark) -> Html:
    shown = _NOTHING if remark.formula is None else formula(display((remark.formula,)))
    return element("li", element("p", prose(remark.text)), shown, class_="remark")


def _step(step: Step) -> Html:
    how = f"residual 0 by {step.method}" if step.method else "residual not reduced to 0"
    check = join(
        prose(step.rule), " · ", verdict(step.verdict), f" · {how} · {step.points} points, largest ",
        number(step.max_residual),
    )  # fmt: skip
    where = element("p", f"Counterexample: {step.where}", class_="where") if step.where else _NOTHING
    shown = formula(display((step.left, step.right)))
    return element("li", element("p", prose(step.claim)), shown, element("p", check, class_="check"), where)


def formula(content: Html) -> Html:
    """Return a formula in a box of its own, which scrolls where the formula is wider."""
    return element("div", content, class_="formula")

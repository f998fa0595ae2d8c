"""The pair of schedules that the reader chose: its formulas, its limits, its proof."""

from __future__ import annotations

from collections.abc import Iterator

from sympy import Symbol

from symsi.algebra.limits import Limit
from symsi.algebra.proof import Proof
from symsi.algebra.symbols import PREDICTION_SYMBOLS, tau
from symsi.interpolants.schedule import Schedule
from symsi.report.html import Html, element, join, number, table
from symsi.report.mathml import equation, math
from symsi.report.theorems import formula, steps, verdict
from symsi.theory.conversion import FIELDS, Conversion

__all__ = ["derivation"]

_LETTERS = {**{name: f"{s.name}_bar" for name, s in PREDICTION_SYMBOLS.items()}, "drift": "b_bar"}


def derivation(conversion: Conversion, proof: Proof) -> Html:
    """Return the section's content: both schedules, the formulas, the limits table and the proof."""
    place = math(Symbol("x"), "/", Symbol("c"))
    given = math(PREDICTION_SYMBOLS[conversion.prediction])
    where = element(
        "p",
        "A bar marks the target at ",
        math(Symbol("t")),
        "; ",
        given,
        f" is the base’s {conversion.prediction} at ",
        math(tau),
        " and ",
        place,
        ".",
    )
    rows = (
        element("div", element("dt", label), element("dd", formula(shown))) for label, shown in _formulas(conversion)
    )
    limits = table(
        "Every coefficient at both ends of its domain: its limit or, where it has none, how it grows.",
        ("Coefficient", join("at t = ", number(conversion.start_time)), "at t = 1"),
        ((element("code", name), _limit(start), _limit(end)) for name, (start, end) in conversion.limits.items()),
    )
    return join(
        element("ul", _schedule("Base", conversion.base), _schedule("Target", conversion.target)),
        where,
        element("dl", rows, class_="formulas"),
        element("h3", "Limits"),
        limits,
        element("h3", "Proof of this conversion ", verdict(proof.verdict)),
        steps(proof),
    )


def _schedule(role: str, schedule: Schedule) -> Html:
    checked = {k: v for k, v in schedule.evidence.items() if k != "kind"}
    how = "proved" if set(checked.values()) == {"proved"} else "checked on a grid in part"
    kind = schedule.kind.replace("_", " ")
    return element("li", element("strong", role), " ", element("code", schedule.name), f": {kind}, validity {how}.")


def _formulas(c: Conversion) -> Iterator[tuple[str, Html]]:
    """Labels and equations, in the order in which one uses them."""
    for role, schedule, mark in (("Base", c.base, ""), ("Target", c.target, "_bar")):
        alpha, beta = (
            equation(Symbol(f"{name}{mark}"), e) for name, e in (("alpha", schedule.alpha), ("beta", schedule.beta))
        )
        yield role, join(alpha, ",  ", beta)
    if c.time is None:
        yield "Time, implicitly", equation(c.time_equation.lhs, c.time_equation.rhs)
    else:
        yield "Time", equation(tau, c.time)
    yield "Scale", equation(Symbol("c"), c.scale)
    yield "Diffusion", equation(Symbol("epsilon_bar"), c.formulas["diffusion"])
    yield "Diffusion of the base", equation(Symbol("epsilon"), c.formulas["base_diffusion"])
    for name in FIELDS:
        yield name.capitalize(), equation(Symbol(_LETTERS[name]), c.field(name))


def _limit(found: Limit) -> Html:
    if found.exponent is None:
        return Html(element("em", f"undecided: {found.reason}"))
    if found.value is None:
        return join(math("∼", found.leading), " ", element("em", "no limit"))
    return math(found.value) if found.exponent == 0 else join(math(found.value), ", as ", math(found.leading))

"""The pair of schedules that the reader chose: its formulas, its limits, its proof."""

from __future__ import annotations

from collections.abc import Iterator

from sympy import Expr, Float, Pow, Symbol

from symsi.algebra.limits import Limit
from symsi.algebra.proof import Proof
from symsi.algebra.symbols import PREDICTION_SYMBOLS, tau
from symsi.interpolants.schedule import Schedule
from symsi.report.html import Html, element, join, number, table
from symsi.report.lines import display
from symsi.report.mathml import math, size
from symsi.report.theorems import formula, steps, verdict
from symsi.theory.conversion import FIELDS, Conversion

__all__ = ["derivation"]

_CELL = 18  # em
_SMALLEST = 2  # how many times letters are made smaller
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
        yield role, display((Symbol(f"alpha{mark}"), schedule.alpha), (Symbol(f"beta{mark}"), schedule.beta))
    if c.time is None:
        yield "Time, implicitly", display((c.time_equation.lhs, c.time_equation.rhs))
    else:
        yield "Time", display((tau, c.time))
    yield "Scale", display((Symbol("c"), c.scale))
    yield "Diffusion", display((Symbol("epsilon_bar"), c.formulas["diffusion"]))
    yield "Diffusion of the base", display((Symbol("epsilon"), c.formulas["base_diffusion"]))
    for name in FIELDS:
        yield name.capitalize(), display((Symbol(_LETTERS[name]), c.field(name)))


def _limit(found: Limit) -> Html:
    if found.exponent is None:
        return Html(element("em", f"undecided: {found.reason}"))
    leading = _short(found.leading, sign="∼" if found.value is None else "")
    if found.value is None:
        return join(leading, " ", element("em", "no limit"))
    return leading if found.exponent == 0 else join(math(found.value), ", as ", leading)


def _short(e: Expr, sign: str = "") -> Html:
    """An expression for a cell of a table: where it is too wide its numbers are decimals of six digits."""
    width, shrunk = size(e)
    if width <= _CELL and shrunk <= _SMALLEST:
        return math(*([sign] if sign else []), e)
    decimal = _decimal(e)
    return math(sign or "≈", decimal.xreplace({f: Float(f, 6) for f in decimal.atoms(Float)}))


def _decimal(e: Expr) -> Expr:
    """`e` with decimals for its numbers, but for fractions and exponents."""
    if e.is_Rational or not e.args:
        return e
    if e.is_number:
        return e.evalf(20)
    return Pow(_decimal(e.base), e.exp) if isinstance(e, Pow) else e.func(*map(_decimal, e.args))

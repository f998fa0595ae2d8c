"""Proofs as values: a list of checked steps, each reduced exactly to 0 *and* evaluated at random points.

A derivation declares its undetermined functions and symbols, then states equalities, which `checks` decides: proved,
refuted with a point, or undecided with a reason. Neither of the latter counts as proved. What is declared is all that
is assumed; it is printed with the theorem, and so is where a side of a step has no meaning.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import Any

import sympy as sp
from sympy import Expr, Symbol, oo

from symsi.algebra.checks import Check, Verdict, check_equal, check_tends
from symsi.algebra.declared import Declared

__all__ = ["Derivation", "Proof", "Remark", "Step", "Verdict"]


@dataclass(frozen=True)
class Remark:
    """A sentence between the steps, with a formula to show if it has one; it claims nothing that needs a check."""

    text: str
    formula: Expr | None = None

    def latex(self) -> str:
        """The formula as LaTeX, or an empty string."""
        return "" if self.formula is None else sp.latex(self.formula)


@dataclass(frozen=True)
class Step:
    """One checked claim `left = right`, the rule that gives it, and what the two checks found."""

    claim: str
    rule: str
    left: Expr
    right: Expr
    verdict: Verdict
    method: str  # the rewriting that reduced the residual to 0
    points: int
    max_residual: float
    where: str = ""  # for a refuted step: the point, as text
    excluded: tuple[str, ...] = ()  # where a side has no meaning, as text
    reason: str = ""  # for an undecided step

    def latex(self) -> str:
        """`left = right` as LaTeX."""
        return f"{sp.latex(self.left)} = {sp.latex(self.right)}"

    @property
    def checks(self) -> str:
        """What both checks found, as a sentence; the counterexample of a refuted step."""
        by = "by" if self.verdict is Verdict.CONFIRMED else "residual 0 by"
        how = f"{self.verdict}: {by} {self.method}" if self.method else str(self.verdict)
        how = f"{how} ({self.reason})" if self.reason else how
        where = f"; counterexample: {self.where}" if self.where else ""
        excluded = f"; except where {' or '.join(self.excluded)}" if self.excluded else ""
        return f"{how}; {self.points} random points, max residual {self.max_residual:.1e}{where}{excluded}"


@dataclass(frozen=True)
class Proof:
    """A theorem with its checked steps."""

    id: str
    title: str
    statement: str
    source: str
    parts: tuple[Remark | Step, ...]
    seconds: float
    assumptions: tuple[str, ...] = ()  # what is declared of symbols and undetermined functions, and no more is used

    @property
    def steps(self) -> tuple[Step, ...]:
        """The checked steps, without the remarks."""
        return tuple(p for p in self.parts if isinstance(p, Step))

    @property
    def verdict(self) -> Verdict:
        """Proved if every step is, or is confirmed by numbers, and some is proved; refuted if any step is.

        Only the proof of a conversion has confirmed steps; the conclusion counts them.
        """
        verdicts = {s.verdict for s in self.steps}
        if Verdict.REFUTED in verdicts:
            return Verdict.REFUTED
        proved = Verdict.PROVED in verdicts and verdicts <= {Verdict.PROVED, Verdict.CONFIRMED}
        return Verdict.PROVED if proved else Verdict.UNDECIDED

    @property
    def proved(self) -> bool:
        """Whether the verdict is `proved`."""
        return self.verdict is Verdict.PROVED

    @property
    def numeric_points(self) -> int:
        """Random points at which steps were evaluated, summed over the steps."""
        return sum(s.points for s in self.steps)

    @property
    def max_residual(self) -> float:
        """Largest relative |left - right| seen at any point."""
        return max((s.max_residual for s in self.steps), default=float("nan"))

    @property
    def excluded(self) -> tuple[str, ...]:
        """Where a side of some step has no meaning, and the step says nothing."""
        return tuple(dict.fromkeys(e for s in self.steps for e in s.excluded))

    @property
    def cites(self) -> tuple[str, ...]:
        """Other theorems that rules, claims and remarks name, in order of their numbers."""
        words = (f"{p.claim} {p.rule}" if isinstance(p, Step) else p.text for p in self.parts)
        found = set(re.findall(r"\bT\d+\b", " ".join(words))) - {self.id}
        return tuple(sorted(found, key=lambda name: int(name[1:])))

    def text(self) -> str:
        """Return the proof as plain text with LaTeX formulas."""
        lines = [f"{self.id} · {self.title}", f"Claim. {self.statement}"]
        lines += [f"Source: {self.source}."] if self.source else []
        lines += [f"Assumed: {'; '.join(self.assumptions)}."] if self.assumptions else []
        number = 0
        for part in self.parts:
            if isinstance(part, Remark):
                lines += ["", part.text, *([f"      {part.latex()}"] if part.formula is not None else [])]
                continue
            number += 1
            lines += ["", f"({number}) {part.claim}", f"      {part.latex()}", f"    [{part.rule}] {part.checks}"]
        return "\n".join([*lines, "", self.conclusion])

    def markdown(self, level: int = 1) -> str:
        """Return the proof as Markdown with $$ formulas, under a heading of `level`."""
        blocks = [f"{'#' * level} {self.id} · {_escaped(self.title)}", f"**Claim.** {_escaped(self.statement)}"]
        blocks += [f"Source: {_escaped(self.source)}."] if self.source else []
        blocks += [f"Assumed: {_escaped('; '.join(self.assumptions))}."] if self.assumptions else []
        number = 0
        for part in self.parts:
            if isinstance(part, Remark):
                blocks += [_escaped(part.text), *([f"$$\n{part.latex()}\n$$"] if part.formula is not None else [])]
                continue
            number += 1
            blocks += [f"**({number})** {_escaped(part.claim)}", f"$$\n{part.latex()}\n$$"]
            blocks += [f"{_escaped(part.rule)}: {_escaped(part.checks)}"]
        return "\n\n".join([*blocks, f"**{_escaped(self.conclusion)}**"]) + "\n"

    @property
    def conclusion(self) -> str:
        """The last line: verdict, steps, how many of them rest on numbers alone, and time."""
        confirmed = sum(s.verdict is Verdict.CONFIRMED for s in self.steps)
        by_numbers = f", {confirmed} of them confirmed by numbers alone" if confirmed else ""
        return f"{self.id} is {self.verdict} ({len(self.steps)} steps{by_numbers}, {self.seconds:.2f} s)."


@dataclass
class Derivation:
    """Builds a Proof: declare unknowns, then state steps in the order in which a reader needs them."""

    id: str
    title: str
    statement: str
    source: str = ""
    _parts: list[Remark | Step] = field(default_factory=list)
    _declared: Declared = field(default_factory=Declared)
    _started: float = field(default_factory=time.perf_counter)

    def function(self, name: str, shape: str = "positive") -> Any:
        """Declare an undetermined function by words: positive, unit, increasing, decreasing, convex, concave; or any.

        Nothing is assumed that is not said: "increasing" may be negative. Raises ValueError for a known name of another
        shape.
        """
        return self._declared.function(name, shape)

    def symbol(self, name: str, low: Any = 0, high: Any = oo) -> Symbol:
        """Declare a symbol of the open interval (low, high), by default positive; ValueError if it was another."""
        return self._declared.symbol(name, low, high)

    def real(self, name: str) -> Symbol:
        """Declare a symbol that is any real number."""
        return self.symbol(name, -oo, oo)

    def say(self, text: str, formula: Expr | None = None) -> None:
        """Add a remark."""
        self._parts.append(Remark(text, formula))

    def equal(self, claim: str, left: Expr, right: Expr, by: str) -> Expr:
        """State left = right and check it both ways; return `right`, for use in later steps."""
        left, right = sp.sympify(left), sp.sympify(right)
        self.state(claim, by, left, right, check_equal(left, right, self._declared, self._seed))
        return right

    def tends(self, claim: str, expr: Expr, variable: Symbol, value: Expr, *, side: int = 1, end: int = 0) -> None:
        """State that expr -> value as variable -> end from above (side = 1) or below (side = -1)."""
        value = sp.sympify(value)
        found = check_tends(expr, variable, value, self._declared, side, end)
        left = sp.Limit(expr, variable, end, "+" if side > 0 else "-")
        self.state(claim, "generalized power series", left, value, found)

    def include(self, other: Derivation) -> None:
        """Take over the declarations, the remarks and the steps of another derivation."""
        for f, words in other._declared.functions.items():
            self._declared.function(f.__name__, " ".join(words))
        for s, ends in other._declared.symbols.items():
            self._declared.symbol(s.name, *ends)
        self._parts += other._parts

    def proof(self) -> Proof:
        """Close the derivation."""
        seconds = time.perf_counter() - self._started
        parts, assumptions = tuple(self._parts), self._declared.assumptions
        return Proof(self.id, self.title, self.statement, self.source, parts, seconds, assumptions)

    @property
    def _seed(self) -> str:
        return f"{self.id}:{len(self._parts)}"

    def state(self, claim: str, rule: str, left: Expr, right: Expr, found: Check) -> None:
        """State left = right with a check that was made elsewhere."""
        self._parts.append(
            Step(
                claim,
                rule,
                left,
                right,
                found.verdict,
                found.method,
                found.points,
                found.worst,
                found.where,
                found.excluded,
                found.reason,
            )
        )


def _escaped(text: str) -> str:
    """Keep Markdown from reading emphasis, code, formulas, tables or tags into a sentence."""
    return re.sub(r"([\\`*_$<>|\[\]])", r"\\\1", text)

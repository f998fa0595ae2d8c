"""Proofs as values: a list of checked steps, each reduced exactly to 0 *and* evaluated at random points.

A derivation declares its undetermined functions and symbols, then states equalities, which `checks` decides: proved,
refuted with a point, or undecided with a reason. Neither of the latter counts as proved. What is declared is all that
is assumed; it is printed with the theorem, and so is where a side of a step has no meaning.

Its statement is cut into claims. A claim is covered by the steps that name it, or cited from the literature, or open.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import sympy as sp
from sympy import Expr, Symbol, oo

from symsi.algebra.checks import Check, Verdict, check_equal, check_tends
from symsi.algebra.claims import Claim, Status, StepKind
from symsi.algebra.declared import Declared
from symsi.algebra.rewriting import positive

__all__ = ["Claim", "Derivation", "Proof", "Remark", "Status", "Step", "StepKind", "Verdict"]


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
    claims: tuple[str, ...] = ()  # keys of the claims that it proves
    positive: bool = False  # whether it also says that both sides are > 0

    def latex(self) -> str:
        """`left = right` as LaTeX, with `> 0` where the step says so."""
        return f"{sp.latex(self.left)} = {sp.latex(self.right)}{' > 0' if self.positive else ''}"

    @property
    def named(self) -> str:
        """Its sentence, with the keys of the claims that it proves."""
        return f"{self.claim} (proves {', '.join(self.claims)})" if self.claims else self.claim

    @property
    def kind(self) -> StepKind:
        """A definition where both sides are the same expression before anything is checked, and no sign is claimed."""
        same = self.left == self.right or self.left - self.right == 0
        return StepKind.DEFINITION if same and not self.positive else StepKind.PROVED

    @property
    def checks(self) -> str:
        """What both checks found, as a sentence; the counterexample of a refuted step."""
        if self.kind is StepKind.DEFINITION and self.verdict is Verdict.PROVED:
            return "definition: both sides are one expression"
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
    claims: tuple[Claim, ...] = ()

    @property
    def steps(self) -> tuple[Step, ...]:
        """The checked steps, without the remarks."""
        return tuple(p for p in self.parts if isinstance(p, Step))

    @property
    def verdict(self) -> Verdict:
        """Proved if every step is, or is confirmed by numbers, and some is proved; refuted if any step is.

        Definitions alone prove no claim. Only a conversion has confirmed steps, which its conclusion counts.
        """
        verdicts = {s.verdict for s in self.steps}
        if Verdict.REFUTED in verdicts:
            return Verdict.REFUTED
        says = not self.claims or any(s.kind is StepKind.PROVED for s in self.steps)
        proved = says and Verdict.PROVED in verdicts and verdicts <= {Verdict.PROVED, Verdict.CONFIRMED}
        return Verdict.PROVED if proved else Verdict.UNDECIDED

    @property
    def proved(self) -> bool:
        """Whether the verdict is `proved`."""
        return self.verdict is Verdict.PROVED

    @property
    def whole(self) -> bool:
        """Whether it is proved and no claim is open."""
        return self.proved and all(claim.status is not Status.OPEN for claim in self.claims)

    @property
    def definitions(self) -> tuple[int, ...]:
        """The numbers of the steps that are mere definitions."""
        return tuple(i for i, step in enumerate(self.steps, 1) if step.kind is StepKind.DEFINITION)

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
        lines = [f"{self.id} · {self.title}", f"Claim. {self.premise or self.statement}", *map(str, self.claims)]
        lines += [f"Source: {self.source}."] if self.source else []
        lines += [f"Assumed: {'; '.join(self.assumptions)}."] if self.assumptions else []
        for number, part in self.numbered():
            if isinstance(part, Remark):
                lines += ["", part.text, *([f"      {part.latex()}"] if part.formula is not None else [])]
                continue
            lines += ["", f"({number}) {part.named}", f"      {part.latex()}"]
            lines += [f"    [{part.rule}] {part.checks}"]
        return "\n".join([*lines, "", self.conclusion])

    def markdown(self, level: int = 1) -> str:
        """Return the proof as Markdown with $$ formulas, under a heading of `level`."""
        blocks = [f"{'#' * level} {self.id} · {_escaped(self.title)}"]
        blocks += [f"**Claim.** {_escaped(self.premise or self.statement)}"]
        blocks += ["\n".join(f"- {_escaped(str(claim))}" for claim in self.claims)] if self.claims else []
        blocks += [f"Source: {_escaped(self.source)}."] if self.source else []
        blocks += [f"Assumed: {_escaped('; '.join(self.assumptions))}."] if self.assumptions else []
        for number, part in self.numbered():
            if isinstance(part, Remark):
                blocks += [_escaped(part.text), *([f"$$\n{part.latex()}\n$$"] if part.formula is not None else [])]
                continue
            blocks += [f"**({number})** {_escaped(part.named)}", f"$$\n{part.latex()}\n$$"]
            blocks += [f"{_escaped(part.rule)}: {_escaped(part.checks)}"]
        return "\n\n".join([*blocks, f"**{_escaped(self.conclusion)}**"]) + "\n"

    def numbered(self) -> Iterator[tuple[int, Remark | Step]]:
        """Yield the parts, each step with its number; a remark has that of the step before."""
        number = 0
        for part in self.parts:
            number += isinstance(part, Step)
            yield number, part

    @property
    def premise(self) -> str:
        """What the statement says before its claims."""
        return self.statement.removesuffix(" ".join(c.text for c in self.claims)).strip()

    @property
    def conclusion(self) -> str:
        """The last line: verdict, steps, how many of them rest on numbers alone, claims and time."""
        confirmed = sum(s.verdict is Verdict.CONFIRMED for s in self.steps)
        by_numbers = f", {confirmed} of them confirmed by numbers alone" if confirmed else ""
        counts = {status: sum(c.status is status for c in self.claims) for status in Status}
        claims = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
        said = f"; claims: {claims}" if claims else ""
        return f"{self.id} is {self.verdict} ({len(self.steps)} steps{by_numbers}, {self.seconds:.2f} s{said})."


@dataclass
class Derivation:
    """Builds a Proof: state claims, declare unknowns, then give steps in the order in which a reader needs them."""

    id: str
    title: str
    statement: str = ""  # what is given; the claims follow it
    source: str = ""
    _parts: list[Remark | Step] = field(default_factory=list)
    _declared: Declared = field(default_factory=Declared)
    _claims: dict[str, str] = field(default_factory=dict)
    _cited: dict[str, list[str]] = field(default_factory=dict)
    _started: float = field(default_factory=time.perf_counter)

    def claim(self, key: str, text: str) -> None:
        """Add a sentence to the statement, under a key that steps name in `proves`."""
        if key in self._claims:
            raise ValueError(f"{self.id}: claim {key!r} is stated twice.")
        self._claims[key] = text

    def cite(self, key: str, what: str, source: str) -> None:
        """Mark a claim as resting on a theorem that is not proved here: what is used of it, and where it stands."""
        self._known((key,))
        self._cited.setdefault(key, []).append(f"{what} ({source})")

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

    def equal(self, claim: str, left: Expr, right: Expr, by: str, proves: str | Iterable[str] = ()) -> Expr:
        """State left = right and check it both ways; return `right`, for use in later steps."""
        left, right = sp.sympify(left), sp.sympify(right)
        self.state(claim, by, left, right, check_equal(left, right, self._declared, self._seed), proves)
        return right

    def positive(self, claim: str, left: Expr, right: Expr, by: str, proves: str | Iterable[str] = ()) -> Expr:
        """State left = right > 0, where `right` is a form whose sign the declarations show."""
        left, right = sp.sympify(left), sp.sympify(right)
        found = check_equal(left, right, self._declared, self._seed)
        given = self._declared.abstract(right)
        if not positive(given.exprs[0], given):
            found = replace(found, method="", reason=found.reason or "the sign of the right side does not show")
        self.state(claim, by, left, right, found, proves, positive=True)
        return right

    def tends(
        self,
        claim: str,
        expr: Expr,
        variable: Symbol,
        value: Expr,
        *,
        side: int = 1,
        end: int = 0,
        proves: str | Iterable[str] = (),
    ) -> None:
        """State that expr -> value as variable -> end from above (side = 1) or below (side = -1)."""
        value = sp.sympify(value)
        found = check_tends(expr, variable, value, self._declared, side, end)
        left = sp.Limit(expr, variable, end, "+" if side > 0 else "-")
        self.state(claim, "generalized power series", left, value, found, proves)

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
        statement = " ".join([*([self.statement] if self.statement else []), *self._claims.values()])
        parts, assumptions, claims = tuple(self._parts), self._declared.assumptions, tuple(self._settled())
        return Proof(self.id, self.title, statement, self.source, parts, seconds, assumptions, claims)

    def _settled(self) -> Iterator[Claim]:
        steps = [part for part in self._parts if isinstance(part, Step)]
        for key, text in self._claims.items():
            own = [(i, step) for i, step in enumerate(steps, 1) if key in step.claims]
            holds = all(step.verdict is Verdict.PROVED for _, step in own)
            covered = holds and any(step.kind is StepKind.PROVED for _, step in own)
            cited = self._cited.get(key, [])
            status = Status.CITED if cited and holds else Status.COVERED if covered else Status.OPEN
            yield Claim(key, text, status, tuple(i for i, _ in own), "; ".join(cited))

    @property
    def _seed(self) -> str:
        return f"{self.id}:{len(self._parts)}"

    def _known(self, keys: Iterable[str]) -> tuple[str, ...]:
        found = tuple(keys)
        for key in found:
            if key not in self._claims:
                raise ValueError(
                    f"{self.id}: no claim {key!r} is stated; there are {', '.join(self._claims) or 'none'}."
                )
        return found

    def state(
        self,
        claim: str,
        rule: str,
        left: Expr,
        right: Expr,
        found: Check,
        proves: str | Iterable[str] = (),
        positive: bool = False,
    ) -> None:
        """State left = right, and > 0 if `positive`, with a check that was made elsewhere."""
        keys = self._known((proves,) if isinstance(proves, str) else proves)
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
                keys,
                positive,
            )
        )


def _escaped(text: str) -> str:
    """Keep Markdown from reading emphasis, code, formulas, tables or tags into a sentence."""
    return re.sub(r"([\\`*_$<>|\[\]])", r"\\\1", text)

"""Proofs as values: a list of checked steps, each reduced exactly to 0 *and* evaluated at random points.

A derivation declares its undetermined functions and symbols, then states equalities. For each one
 * the residual left - right, with every undetermined function and derivative replaced by an independent unknown, must
   be rewritten to exactly 0 (so it holds for all functions), and
 * with random concrete functions and numbers in their place, |left - right| must vanish to 30 digits.
A step that fails numerically is *refuted*, with the point; one that only resists rewriting is *undecided*. Neither
counts as proved.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import mpmath
import sympy as sp
from sympy import Expr, Function, Integer, Rational, Symbol
from sympy.core.function import AppliedUndef

from symsi.algebra.limits import check_limit, limit
from symsi.algebra.multiprecision import evaluate
from symsi.algebra.series import near

__all__ = ["Derivation", "Proof", "Remark", "Step", "Verdict", "reduce_to_zero"]

DRAWS, TIMES = 3, 4  # random function draws, and points for each
_ZERO = mpmath.mpf("1e-30")
_WRONG = mpmath.mpf("1e-10")


class Verdict(StrEnum):
    """Outcome of a step or of a proof."""

    PROVED = "proved"
    REFUTED = "refuted"
    UNDECIDED = "undecided"


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

    def latex(self) -> str:
        """`left = right` as LaTeX."""
        return f"{sp.latex(self.left)} = {sp.latex(self.right)}"

    @property
    def checks(self) -> str:
        """What both checks found, as a sentence; the counterexample of a refuted step."""
        how = f"{self.verdict}: residual 0 by {self.method}" if self.method else str(self.verdict)
        where = f"; counterexample: {self.where}" if self.where else ""
        return f"{how}; {self.points} random points, max residual {self.max_residual:.1e}{where}"


@dataclass(frozen=True)
class Proof:
    """A theorem with its checked steps."""

    id: str
    title: str
    statement: str
    source: str
    parts: tuple[Remark | Step, ...]
    seconds: float

    @property
    def steps(self) -> tuple[Step, ...]:
        """The checked steps, without the remarks."""
        return tuple(p for p in self.parts if isinstance(p, Step))

    @property
    def verdict(self) -> Verdict:
        """Proved if every step is (and there is one); refuted if any step is."""
        verdicts = {s.verdict for s in self.steps}
        if Verdict.REFUTED in verdicts:
            return Verdict.REFUTED
        return Verdict.PROVED if verdicts == {Verdict.PROVED} else Verdict.UNDECIDED

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
    def cites(self) -> tuple[str, ...]:
        """Other theorems that rules, claims and remarks name, in order of their numbers."""
        words = (f"{p.claim} {p.rule}" if isinstance(p, Step) else p.text for p in self.parts)
        found = set(re.findall(r"\bT\d+\b", " ".join(words))) - {self.id}
        return tuple(sorted(found, key=lambda name: int(name[1:])))

    def text(self) -> str:
        """Return the proof as plain text with LaTeX formulas."""
        lines = [f"{self.id} · {self.title}", f"Claim. {self.statement}"]
        lines += [f"Source: {self.source}."] if self.source else []
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
        """The last line: verdict, steps and time."""
        return f"{self.id} is {self.verdict} ({len(self.steps)} steps, {self.seconds:.2f} s)."


@dataclass
class Derivation:
    """Builds a Proof: declare unknowns, then state steps in the order in which a reader needs them."""

    id: str
    title: str
    statement: str
    source: str = ""
    _parts: list[Remark | Step] = field(default_factory=list)
    _functions: dict[Any, str] = field(default_factory=dict)
    _symbols: dict[Symbol, tuple[float, float]] = field(default_factory=dict)
    _started: float = field(default_factory=time.perf_counter)

    def function(self, name: str, shape: str = "positive") -> Any:
        """Declare an undetermined function; `shape` (positive, increasing, decreasing, any) shapes its random draws."""
        f = Function(name)
        self._functions[f] = shape
        return f

    def symbol(self, name: str, low: float = 0.1, high: float = 3.0) -> Symbol:
        """Declare a symbol and the open interval of its random draws. low >= 0 makes it positive in rewriting."""
        s = Symbol(name)
        self._symbols[s] = (low, high)
        return s

    def say(self, text: str, formula: Expr | None = None) -> None:
        """Add a remark."""
        self._parts.append(Remark(text, formula))

    def equal(self, claim: str, left: Expr, right: Expr, by: str) -> Expr:
        """State left = right and check it both ways; return `right`, for use in later steps."""
        left, right = sp.sympify(left), sp.sympify(right)
        method = reduce_to_zero((left - right).doit(), self._is_positive, self._is_unit)
        points, worst, where = self._numeric(left, right)
        self._add(claim, by, left, right, method, points, worst, where)
        return right

    def tends(self, claim: str, expr: Expr, variable: Symbol, value: Expr, *, side: int = 1, end: int = 0) -> None:
        """State that expr -> value as variable -> end from above (side = 1) or below (side = -1)."""
        found = limit(expr, lambda size: {variable: near(Integer(end), side)}, Integer(end), side)
        exact = found.value is not None and sp.simplify(found.value - value) == 0
        draw = {s: Rational(7, 8) for s in expr.free_symbols - {variable}}
        residuals = []
        for digits in (30, 60):
            point = {**draw, variable: end + side * Rational(10) ** -digits}
            residuals.append(abs(evaluate(expr, point, 300) - evaluate(sp.sympify(value), draw, 300)))
        approaches = residuals[1] == 0 or residuals[1] < residuals[0] / 2
        believed = check_limit(found, lambda u: evaluate(expr, {**draw, variable: end + side * u}, 300))
        left = sp.Limit(expr, variable, end, "+" if side > 0 else "-")
        worst = float(residuals[1]) if not approaches else 0.0
        where = (
            "" if approaches else f"{variable} = {end} {'+' if side > 0 else '-'} 1e-60, gap {float(residuals[1]):.3g}"
        )
        method = "series" if exact and believed and approaches else ""
        self._add(claim, "generalized power series", left, sp.sympify(value), method, 2, worst, where)

    def proof(self) -> Proof:
        """Close the derivation."""
        seconds = time.perf_counter() - self._started
        return Proof(self.id, self.title, self.statement, self.source, tuple(self._parts), seconds)

    def _add(
        self, claim: str, rule: str, left: Expr, right: Expr, method: str, points: int, worst: float, where: str
    ) -> None:
        if where:
            verdict, method = Verdict.REFUTED, ""
        else:
            verdict = Verdict.PROVED if method and worst < _ZERO and points else Verdict.UNDECIDED
        self._parts.append(Step(claim, rule, left, right, verdict, method, points, worst, where))

    def _is_positive(self, atom: Expr) -> bool:
        if isinstance(atom, Symbol):
            return atom in self._symbols and self._symbols[atom][0] >= 0
        return isinstance(atom, AppliedUndef) and self._functions.get(atom.func, "any") != "any"

    def _is_unit(self, symbol: Symbol) -> bool:
        low, high = self._symbols.get(symbol, (-1.0, 2.0))
        return low >= 0 and high <= 1

    def _numeric(self, left: Expr, right: Expr) -> tuple[int, float, str]:
        rng = random.Random(f"{self.id}:{len(self._parts)}")  # noqa: S311 - reproducible draws, no secrets
        worst, where, points = mpmath.mpf(0), "", 0
        for _ in range(DRAWS):
            concrete = {f: _draw_function(shape, rng) for f, shape in self._functions.items()}
            sides = [_concretize(side, concrete) for side in (left, right)]
            unknown = sorted((sides[0].free_symbols | sides[1].free_symbols) - set(self._symbols), key=str)
            if unknown:
                raise ValueError(f"{self.id}: declare {unknown} with symbol()")
            for _ in range(TIMES):
                point = {s: _draw_number(low, high, rng) for s, (low, high) in self._symbols.items()}
                a, b = (evaluate(side, point, 60) for side in sides)
                gap = abs(a - b) / max(abs(a), abs(b), mpmath.mpf(1))
                points += 1
                if not gap <= worst:  # also true for NaN
                    worst = gap
                    if not gap < _WRONG:
                        where = ", ".join(f"{s}={v}" for s, v in point.items())
        return points, float(worst), where


def reduce_to_zero(
    residual: Expr,
    positive: Callable[[Expr], bool] = lambda atom: False,
    unit: Callable[[Symbol], bool] = lambda symbol: False,
) -> str:
    """Name the rewriting that turns `residual` into exactly 0, or return "".

    Undetermined functions and their derivatives become independent unknowns first, positive where declared. A symbol
    declared `unit` lies in (0, 1); where that matters for a root it is written p/(1 + p) with p > 0.
    """
    units = {s.name for s in residual.free_symbols if unit(s)}
    if residual.has(sp.exp) and residual.has(sp.log):
        residual = _expand_exponents(residual)
    expr = _unknowns(residual, positive)

    def stretch(e: Expr) -> Expr:
        p = {s: sp.Dummy("p", positive=True) for s in e.free_symbols if s.name in units}
        return sp.factor(sp.together(sp.powsimp(_settle_exponents(e)).subs({s: q / (1 + q) for s, q in p.items()})))

    rules: Mapping[str, Callable[[Expr], Expr]] = {
        "expansion": sp.expand,
        "common denominator": lambda e: sp.cancel(sp.together(e)),
        "powers": lambda e: sp.cancel(sp.together(sp.powsimp(sp.powdenest(sp.expand(e), force=True), force=True))),
        "power expansion": lambda e: sp.cancel(
            sp.together(sp.expand(sp.expand_power_base(sp.powdenest(sp.factor(e)))))
        ),
        "roots": lambda e: sp.cancel(sp.together(sp.expand(_factor_roots(_settle_exponents(e))))),
        "roots on (0, 1)": lambda e: sp.cancel(sp.together(sp.expand(_factor_roots(_settle_exponents(stretch(e)))))),
        "trigonometry": lambda e: sp.trigsimp(sp.together(sp.expand(e))),
        "logarithms": lambda e: sp.simplify(sp.expand_log(e, force=True)),
        "simplification": sp.simplify,
    }
    for name, rewrite in rules.items():
        try:
            if rewrite(expr) == 0:
                return name
        except (sp.PolynomialError, NotImplementedError):
            continue
    return ""


def _escaped(text: str) -> str:
    """Keep Markdown from reading emphasis, code, formulas, tables or tags into a sentence."""
    return re.sub(r"([\\`*_$<>|\[\]])", r"\\\1", text)


def _unknowns(expr: Expr, positive: Callable[[Expr], bool]) -> Expr:
    for kind in (sp.Subs, sp.Derivative, AppliedUndef):
        atoms = sorted(expr.atoms(kind), key=lambda a: -sp.count_ops(a))
        for atom in atoms:
            expr = expr.xreplace({atom: sp.Dummy(positive=True) if positive(atom) else sp.Dummy(real=True)})
    symbols = {s: sp.Dummy(s.name, positive=True) for s in expr.free_symbols if isinstance(s, Symbol) and positive(s)}
    return expr.xreplace(symbols)


def _draw_number(low: float, high: float, rng: random.Random) -> Rational:
    grain = 1000
    a, b = Rational(str(low)), Rational(str(high))
    return a + (b - a) * Rational(rng.randint(1, grain - 1), grain)


def _draw_function(shape: str, rng: random.Random) -> Callable[..., Expr]:
    """A random elementary function of the wanted shape in its first argument on (0, 1)."""

    def c() -> Rational:
        return Rational(rng.randint(2, 17), 9)

    c0, c1, c2, c3 = c(), c(), c(), c()
    weights = [c() for _ in range(4)]

    def mixed(*args: Expr) -> Expr:
        return c0 * sp.sin(sum((w * a for w, a in zip(weights, args, strict=False)), c3)) + c1

    shapes: dict[str, Callable[..., Expr]] = {
        "any": mixed,
        "positive": lambda *args: sp.exp(mixed(*args) / 2),
        "increasing": lambda a: c0 * a + c1 * a**2 + c2 / 9,
        "decreasing": lambda a: c2 / (c0 + c3 * a + c1 * a**2),
    }
    return shapes[shape]


def _concretize(expr: Expr, concrete: Mapping[Any, Callable[..., Expr]]) -> Expr:
    for derivative in expr.atoms(sp.Derivative):
        (variable, *_others) = derivative.variables
        if isinstance(variable, AppliedUndef):  # f'(g(t)): differentiate f first, then put g(t) in
            z = sp.Dummy("z")
            outer = _concretize(derivative.xreplace({variable: z}), concrete)
            expr = expr.xreplace({derivative: outer.subs(z, _concretize(variable, concrete))})
    for f, body in concrete.items():
        expr = expr.replace(f, body)
    return expr.doit()


def _settle_exponents(expr: Expr) -> Expr:
    """Cancel inside exponents: w^(2 kappa (kappa/2 + 1/2)/(kappa + 1)) is w^kappa."""
    return expr.replace(lambda e: e.is_Pow and not e.exp.is_Rational, lambda e: e.base ** sp.cancel(e.exp))


def _expand_exponents(expr: Expr) -> Expr:
    """Multiply exponents out, so that exp(a + b log(c)) becomes exp(a) c^b."""
    return expr.replace(lambda e: isinstance(e, sp.exp), lambda e: sp.exp(sp.expand(e.args[0], log=False)))


def _factor_roots(expr: Expr) -> Expr:
    """Pull positive factors out of every root."""
    return sp.powsimp(
        expr.replace(
            lambda e: e.is_Pow and e.exp.is_Rational and not e.exp.is_Integer,
            lambda e: sp.expand_power_base(sp.factor(sp.expand_power_exp(e.base)) ** e.exp, force=True),
        )
    )

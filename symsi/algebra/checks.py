"""The two checks of a statement left = right: its residual is rewritten to exactly 0, and random values agree.

 * With every undetermined function and derivative replaced by an independent unknown, the residual left - right must be
   rewritten to exactly 0 (so it holds for all functions), and
 * with random concrete functions and numbers in their place, |left - right| must vanish to 30 digits.
A statement that fails numerically is *refuted*, with the point; one that only resists rewriting is *undecided*.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import mpmath
import sympy as sp
from sympy import Expr, Integer, Rational, Symbol
from sympy.core.function import AppliedUndef

from symsi.algebra.limits import check_limit, limit
from symsi.algebra.multiprecision import evaluate
from symsi.algebra.series import near

__all__ = ["Check", "Declared", "Verdict", "check_equal", "check_tends", "reduce_to_zero"]

DRAWS, TIMES = 3, 4  # random function draws, and points for each
_ZERO = mpmath.mpf("1e-30")
_WRONG = mpmath.mpf("1e-10")


class Verdict(StrEnum):
    """Outcome of a step or of a proof."""

    PROVED = "proved"
    REFUTED = "refuted"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Declared:
    """What a derivation declares: the shape of each undetermined function, the open interval of each symbol."""

    functions: dict[Any, str] = field(default_factory=dict)
    symbols: dict[Symbol, tuple[float, float]] = field(default_factory=dict)

    def is_positive(self, atom: Expr) -> bool:
        """Whether a symbol or a value of an undetermined function is declared positive."""
        if isinstance(atom, Symbol):
            return atom in self.symbols and self.symbols[atom][0] >= 0
        return isinstance(atom, AppliedUndef) and self.functions.get(atom.func, "any") != "any"

    def is_unit(self, symbol: Symbol) -> bool:
        """Whether a symbol is declared to lie in (0, 1)."""
        low, high = self.symbols.get(symbol, (-1.0, 2.0))
        return low >= 0 and high <= 1


@dataclass(frozen=True)
class Check:
    """What the checks found: the rewriting, the points, the largest residual, and where it is refuted."""

    method: str
    points: int
    worst: float
    where: str = ""

    @property
    def verdict(self) -> Verdict:
        """Refuted by a counterexample; proved by a rewriting that numbers confirm; else undecided."""
        if self.where:
            return Verdict.REFUTED
        return Verdict.PROVED if self.method and self.worst < _ZERO and self.points else Verdict.UNDECIDED


def check_equal(left: Expr, right: Expr, declared: Declared, seed: str) -> Check:
    """Check left = right both ways; `seed` fixes the random draws. Raises ValueError for an undeclared symbol."""
    method = reduce_to_zero((left - right).doit(), declared.is_positive, declared.is_unit)
    points, worst, where = _numeric(left, right, declared, seed)
    return Check("" if where else method, points, worst, where)


def check_tends(expr: Expr, variable: Symbol, value: Expr, declared: Declared, side: int, end: int) -> Check:
    """Check that expr -> value as variable -> end from above (side = 1) or below (side = -1)."""
    found = limit(expr, lambda size: {variable: near(Integer(end), side)}, Integer(end), side)
    exact = found.value is not None and sp.simplify(found.value - value) == 0
    draw = {s: Rational(7, 8) for s in expr.free_symbols - {variable}}
    residuals = []
    for digits in (30, 60):
        point = {**draw, variable: end + side * Rational(10) ** -digits}
        residuals.append(abs(evaluate(expr, point, 300) - evaluate(value, draw, 300)))
    approaches = residuals[1] == 0 or residuals[1] < residuals[0] / 2
    believed = check_limit(found, lambda u: evaluate(expr, {**draw, variable: end + side * u}, 300))
    worst = float(residuals[1]) if not approaches else 0.0
    sign = "+" if side > 0 else "-"
    where = "" if approaches else f"{variable} = {end} {sign} 1e-60, gap {float(residuals[1]):.3g}"
    return Check("series" if exact and believed and approaches else "", 2, worst, where)


def _numeric(left: Expr, right: Expr, declared: Declared, seed: str) -> tuple[int, float, str]:
    rng = random.Random(seed)  # noqa: S311 - reproducible draws, no secrets
    worst, where, points = mpmath.mpf(0), "", 0
    for _ in range(DRAWS):
        concrete = {f: _draw_function(shape, rng) for f, shape in declared.functions.items()}
        sides = [_concretize(side, concrete) for side in (left, right)]
        unknown = sorted((sides[0].free_symbols | sides[1].free_symbols) - set(declared.symbols), key=str)
        if unknown:
            raise ValueError(f"declare {unknown} with symbol()")
        for _ in range(TIMES):
            point = {s: _draw_number(low, high, rng) for s, (low, high) in declared.symbols.items()}
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

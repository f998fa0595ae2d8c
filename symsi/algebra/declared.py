"""What a derivation assumes: the range of each symbol, the shape of each undetermined function, and nothing else.

A statement is about every value in these ranges and every function of these shapes. `abstract` replaces each symbol,
each value of an undetermined function and each derivative by an independent unknown that carries just these
assumptions: what holds for all such unknowns holds for all such functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sympy as sp
from sympy import Expr, Rational, Symbol, oo
from sympy.concrete.expr_with_limits import ExprWithLimits
from sympy.core.function import AppliedUndef

__all__ = ["WORDS", "Abstract", "Declared", "bound_values", "in_range"]

WORDS = {
    "positive": "{f} > 0",
    "unit": "0 < {f} < 1",
    "increasing": "{f}' > 0",
    "decreasing": "{f}' < 0",
    "convex": "{f}'' > 0",
    "concave": "{f}'' < 0",
}
_CLASHES = ({"positive", "unit"}, {"increasing", "decreasing"}, {"convex", "concave"}, {"positive", "concave"})
_SLOPES = ({"increasing": 1, "decreasing": -1}, {"convex": 1, "concave": -1})
_OF_ONE = frozenset(word for words in _SLOPES for word in words)  # shapes of functions of one argument
Range = tuple[Expr, Expr]


@dataclass(frozen=True)
class Abstract:
    """Expressions in independent unknowns, what each unknown stands for, and the ranges wider than a sign."""

    exprs: tuple[Expr, ...]
    meaning: Mapping[Symbol, Expr]
    ranges: Mapping[Symbol, Range]

    def stretched(self, expr: Expr) -> Expr:
        """Write every unknown of a bounded range (a, b) as (a + b p)/(1 + p) with p > 0."""
        found = {}
        for s in expr.free_symbols & set(self.ranges):
            p = sp.Dummy("p", positive=True)
            found[s] = in_range(p, *self.ranges[s])
        return expr.xreplace(found)


@dataclass(frozen=True)
class Declared:
    """The declarations of a derivation. Names are declared once: again only with the same assumptions."""

    functions: dict[Any, frozenset[str]] = field(default_factory=dict)
    symbols: dict[Symbol, Range] = field(default_factory=dict)
    drawn: dict[tuple[Expr, int], Expr] = field(default_factory=dict, repr=False)  # values with random functions

    def function(self, name: str, shape: str) -> Any:
        """Declare an undetermined function by words of `WORDS`, or "any" for a real one of any shape.

        Raises ValueError for other words, for words that exclude each other, and for another shape of a known name.
        """
        words = frozenset(shape.split()) - {"any"}
        unknown = sorted(words - set(WORDS))
        clash = [sorted(c) for c in _CLASHES if c <= words]
        if "unit" in words and words & {"convex", "concave"}:
            clash.append(["unit", *sorted(words & {"convex", "concave"})])
        if unknown or clash:
            what = f"{' and '.join(clash[0])} exclude each other" if clash else f"{unknown[0]!r} is no shape"
            raise ValueError(f"{name}: {what}; say any, or some of {', '.join(WORDS)}.")
        f = sp.Function(name)
        if self.functions.setdefault(f, words) != words:
            raise ValueError(f"{name} is declared already, with another shape: {self._of_function(f)}.")
        return f

    def symbol(self, name: str, low: Any, high: Any) -> Symbol:
        """Declare a symbol of the open interval (low, high). Raises ValueError if it is empty, or was another."""
        s = Symbol(name)
        ends = (_exact(low), _exact(high))
        if not ends[0] < ends[1]:
            raise ValueError(f"{name}: the range ({low}, {high}) is empty.")
        if self.symbols.setdefault(s, ends) != ends:
            raise ValueError(f"{name} is declared already, with another range: {self._of_symbol(s)}.")
        return s

    @property
    def assumptions(self) -> tuple[str, ...]:
        """Every assumption as text, in the order of the declarations."""
        return tuple([self._of_symbol(s) for s in self.symbols] + [self._of_function(f) for f in self.functions])

    def require(self, *exprs: Expr) -> None:
        """Raise ValueError for a free symbol or an undetermined function that is not declared."""
        missing = {s for e in exprs for s in e.free_symbols - set(self.symbols)}
        missing |= {a.func for e in exprs for a in e.atoms(AppliedUndef) if a.func not in self.functions}
        if missing:
            raise ValueError(f"declare {', '.join(sorted(map(str, missing)))} with symbol() or function().")
        shaped = {a for e in exprs for a in e.atoms(AppliedUndef) if self.functions[a.func] & _OF_ONE}
        for value in sorted((a for a in shaped if len(a.args) != 1), key=str):
            raise ValueError(f"{value} has {len(value.args)} arguments: {self._of_function(value.func)} needs one.")

    def abstract(self, *exprs: Expr, bare: bool = False) -> Abstract:
        """Replace symbols, values and derivatives of undetermined functions by unknowns; see the module's docstring.

        `bare` unknowns carry no assumptions: SymPy then evaluates nothing, which is all that numbers need.

        Raises ValueError where such a value depends on a bound variable, as f(s) in an integral over s does.
        """
        values = [v for e in exprs for v in bound_values(e)]
        if values:
            raise ValueError(f"{values[0]} depends on a bound variable, and is no constant")
        whole = sp.Tuple(*exprs)
        atoms = {kind: whole.atoms(kind) for kind in (sp.Subs, sp.Derivative, AppliedUndef)}
        ordered = [a for kind in atoms for a in sorted(atoms[kind], key=lambda a: (-sp.count_ops(a), str(a)))]
        ordered += sorted(whole.free_symbols, key=str)
        unknowns = {a: sp.Dummy(sp.sstr(a)) if bare else self._unknown(a) for a in ordered}
        whole = whole.xreplace(unknowns)  # the outermost first: what stands in a derivative is no unknown by that
        meaning = {u: a for a, u in unknowns.items() if u in whole.free_symbols}
        bounds = {u: self._bounds(a) for u, a in meaning.items()}
        ranges = {u: b for u, b in bounds.items() if b is not None}
        return Abstract(tuple(whole), meaning, ranges)

    def _unknown(self, atom: Expr) -> Symbol:
        sign = self._sign(atom)
        name = sp.sstr(atom)
        return sp.Dummy(name, **({1: {"positive": True}, -1: {"negative": True}}.get(sign, {"real": True})))

    def _sign(self, atom: Expr) -> int:
        """1 or -1 for an atom whose sign is declared, else 0."""
        if isinstance(atom, Symbol):
            low, high = self.symbols[atom]
            return 1 if low >= 0 else -1 if high <= 0 else 0
        if isinstance(atom, AppliedUndef):
            return 1 if self.functions[atom.func] & {"positive", "unit"} else 0
        if isinstance(atom, sp.Subs):
            return self._sign(atom.expr) if isinstance(atom.expr, sp.Derivative) else 0
        inner, order = atom.expr, len(atom.variables)
        if not isinstance(inner, AppliedUndef) or order > len(_SLOPES) or set(atom.variables) != set(inner.args):
            return 0
        return sum(sign for word, sign in _SLOPES[order - 1].items() if word in self.functions[inner.func])

    def _bounds(self, atom: Expr) -> Range | None:
        """The range of an atom where it is more than a sign."""
        if isinstance(atom, Symbol):
            low, high = self.symbols[atom]
            return None if {low, high} <= {sp.Integer(0), oo, -oo} else (low, high)
        unit = isinstance(atom, AppliedUndef) and "unit" in self.functions[atom.func]
        return (sp.Integer(0), sp.Integer(1)) if unit else None

    def _of_symbol(self, s: Symbol) -> str:
        low, high = self.symbols[s]
        if low == -oo:
            return f"{s} real" if high == oo else f"{s} < {high}"
        return f"{s} > {low}" if high == oo else f"{low} < {s} < {high}"

    def _of_function(self, f: Any) -> str:
        words = [text.format(f=f.__name__) for word, text in WORDS.items() if word in self.functions[f]]
        return ", ".join(words) or f"{f.__name__} real"


def bound_values(expr: Expr) -> list[Expr]:
    """Return the values of undetermined functions that depend on a variable bound by an integral, a sum or a limit."""
    found: list[Expr] = []
    for node in sp.preorder_traversal(expr):
        if isinstance(node, (ExprWithLimits, sp.Limit, sp.Lambda)):
            bound = set(node.atoms(Symbol)) - node.free_symbols
            bound |= set(node.args[1:2]) if isinstance(node, sp.Limit) else set()
            found += [a for a in node.atoms(AppliedUndef) if a.free_symbols & bound]
    return sorted(found, key=str)


def _exact(number: Any) -> Expr:
    return Rational(str(number)) if isinstance(number, float) and abs(number) != float("inf") else sp.sympify(number)


def in_range(p: Symbol, low: Expr, high: Expr) -> Expr:
    """Map p > 0 onto the open range."""
    if high == oo:
        return low + p
    return high - p if low == -oo else (low + high * p) / (1 + p)

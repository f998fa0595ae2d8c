"""Whether the sign of an expression can be read off its form and the declarations alone."""

from __future__ import annotations

import sympy as sp
from sympy import Derivative, Expr, Symbol
from sympy.core.function import AppliedUndef

from symsi.algebra.checks import Declared

__all__ = ["evidently_positive"]


def evidently_positive(expr: Expr, declared: Declared) -> bool:
    """Whether expr > 0 follows from products, powers and sums of what is declared positive.

    A symbol declared within (0, 1) is p/(1 + p) with p > 0; the first derivative of a function declared increasing is
    positive, that of one declared decreasing negative. Anything else undetermined is an unknown of no sign.
    """
    for kind in (sp.Subs, Derivative, AppliedUndef, Symbol):
        swaps = {atom: _unknown(atom, declared) for atom in expr.atoms(kind)}
        expr = expr.xreplace({atom: unknown for atom, unknown in swaps.items() if unknown != atom})
    return any(form.is_positive for form in (expr, sp.factor(sp.together(expr))))


def _unknown(atom: Expr, declared: Declared) -> Expr:
    p = sp.Dummy("p", positive=True)
    if isinstance(atom, sp.Subs | Derivative):
        return {"increasing": p, "decreasing": -p}.get(_slope(atom, declared), sp.Dummy(real=True))
    if isinstance(atom, sp.Dummy):
        return atom
    if isinstance(atom, Symbol) and declared.is_unit(atom):
        return p / (1 + p)
    return p if declared.is_positive(atom) else sp.Dummy(real=True)


def _slope(atom: Expr, declared: Declared) -> str:
    """The declared shape of f where the atom is f'(...), of first order; otherwise nothing."""
    derivative = atom.expr if isinstance(atom, sp.Subs) else atom
    if not isinstance(derivative, Derivative) or not isinstance(derivative.expr, AppliedUndef):
        return ""
    first_order = derivative.variable_count[0][1] == 1 and len(derivative.variable_count) == 1
    plain = derivative.expr.args == (derivative.variables[0],)
    return declared.functions.get(derivative.expr.func, "") if first_order and plain else ""

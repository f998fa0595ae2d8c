"""Expressions as lists of mpmath operations."""

from __future__ import annotations

import mpmath
import pytest
import sympy as sp

from symsi.algebra.multiprecision import evaluate, evaluate_many
from symsi.algebra.operations import Operations
from symsi.algebra.parse import FUNCTIONS
from symsi.algebra.symbols import t, tau

INSIDE = sp.Rational(7, 11)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_of_the_vocabulary_has_sympys_value(name: str) -> None:
    argument = 2 - t if name == "acosh" else t
    expr = FUNCTIONS[name](argument) / 3 + sp.pi * t ** sp.Rational(2, 3) - sp.Float("0.3", 60)
    exact = expr.subs(t, INSIDE).evalf(60)._to_mpmath(220)
    assert abs(evaluate(expr, {t: INSIDE}, 60) - exact) < mpmath.mpf("1e-55")


def test_a_function_that_is_not_listed_is_left_to_sympys_printer() -> None:
    expr = sp.Piecewise((t, t < tau), (sp.gamma(t), True))
    assert evaluate(expr, {t: 0.25, tau: 0.5}) == 0.25
    assert abs(evaluate(expr, {t: 4, tau: 0.5}) - 6) < mpmath.mpf("1e-40")


def test_numbers_are_computed_anew_for_each_precision() -> None:
    operations = Operations([sp.sqrt(2) + sp.Rational(1, 3)])
    for digits in (20, 60, *range(21, 40), 60):
        with mpmath.workdps(digits):
            assert operations({}) == [mpmath.sqrt(2) + mpmath.mpf(1) / 3]


def test_several_expressions_share_what_they_have_in_common() -> None:
    together = Operations([sp.cos(t**2), 1 + sp.cos(t**2), sp.sin(t) * sp.cos(t**2)])
    assert sum(operation is mpmath.cos for _, operation, _ in together._steps) == 1


def test_a_pole_is_nan_alone_and_raised_among_others() -> None:
    assert mpmath.isnan(evaluate(1 / t, {t: 0}))
    with pytest.raises(ZeroDivisionError):
        evaluate_many(sp.Tuple(t, 1 / t), {t: 0})

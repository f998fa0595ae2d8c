"""Proofs as killers of mutants: collected by `engine` alone, a theorem and a few conversions a test."""

import pytest

from symsi.proofs import THEOREMS, load
from symsi.theory.conversion import convert
from tests.theory.test_conversion import check

CONVERSIONS = [
    ("linear", "trigonometric", "ode", "velocity"),
    ("linear", "shifted", "optimal", "noise"),
    ("vp", "linear", "kappa=1/2", "score"),
    ("trigonometric", "lazy(kappa=1)", "alpha", "data"),
    ("ve", "linear", "ode", "velocity"),
]


@pytest.mark.parametrize("name", THEOREMS)
def test_theorem(name: str) -> None:
    assert load(name)().proved


@pytest.mark.parametrize("words", CONVERSIONS, ids=" ".join)
def test_conversion(words: tuple[str, str, str, str]) -> None:
    assert convert(*words).proof().proved


@pytest.mark.parametrize("words", CONVERSIONS, ids=" ".join)
def test_definitions(words: tuple[str, str, str, str]) -> None:
    base, target, _, _ = words
    check(convert(base, target, "optimal"), 1)

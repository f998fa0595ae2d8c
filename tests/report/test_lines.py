"""Formulas that fit a line: parts of wide ones get letters, and nothing else changes."""

import pytest
import sympy as sp
from sympy.core.function import AppliedUndef

import symsi
from symsi.proofs import load
from symsi.report.lines import display, fitted
from symsi.report.mathml import size
from symsi.theory.conversion import FIELDS

t, x, y = sp.symbols("t x y")
alpha = sp.Function("alpha")
WIDE = (x + sum(sp.Symbol(f"b_{n}") for n in range(12))) * (y + sum(sp.Symbol(f"c_{n}") for n in range(15))) / (t + 1)


def spelled_out(e: sp.Expr, names: dict[sp.Expr, sp.Expr]) -> sp.Expr:
    for name, part in reversed(names.items()):
        e = e.xreplace({name: part})
    return e


def terms(sides: tuple[sp.Expr, ...]) -> list[sp.Expr]:
    return [term for side in sides for term in sp.Add.make_args(side)]


@pytest.fixture(scope="module")
def long_ones() -> list[tuple[sp.Expr, ...]]:
    """The widest equations of a report: those of DDPM, with their constants, of the longest proof, and a limit."""
    conversion = symsi.convert("ddpm", "lazy(kappa=2)", diffusion="optimal")
    steps = [(s.left, s.right) for name in ("T10", "T11") for s in load(name)().steps]
    return [(sp.Symbol("b_bar"), conversion.field(name)) for name in FIELDS] + steps


def test_what_fits_is_left_alone() -> None:
    equations = [(x, 1 / (1 + 1 / (1 + t))), (alpha(t), sp.sqrt(1 - t))]
    assert fitted(equations) == (equations, {})
    assert "where" not in display(*equations)


def test_a_sum_that_fits_term_by_term_is_left_alone() -> None:
    long = sum((sp.Symbol(f"a_{n}") for n in range(100)), start=x**2)
    assert fitted([(y, long)]) == ([(y, long)], {})


def test_every_term_fits_and_can_be_read(long_ones: list[tuple[sp.Expr, ...]]) -> None:
    assert max(size(term)[0] for sides in long_ones for term in terms(sides)) > 60
    for sides in long_ones:
        (shown,), names = fitted([sides])
        for term in terms((*shown, *names.values())):
            width, shrunk = size(term)
            assert width <= 36
            assert shrunk <= 2


def test_with_its_parts_put_back_a_formula_is_what_it_was(long_ones: list[tuple[sp.Expr, ...]]) -> None:
    for sides in long_ones:
        (shown,), names = fitted([sides])
        for before, after in zip(sides, shown, strict=True):
            back = spelled_out(after, names)
            assert back == before or numbers(back) == pytest.approx(numbers(before), rel=1e-9)


def numbers(e: sp.Expr) -> complex:
    """The value at one point; a function, or its derivative, counts as a letter."""
    letters = sorted(e.atoms(AppliedUndef, sp.Derivative), key=lambda a: (-sp.count_ops(a), str(a)))
    for n, letter in enumerate(letters):
        e = e.subs(letter, sp.Rational(n + 3, 2 * n + 9))
    free = sorted(e.free_symbols, key=str)
    return complex(e.subs({s: sp.Rational(n + 2, n + 17) for n, s in enumerate(free)}).evalf(30))


def test_parts_stand_after_the_parts_that_they_need_and_all_are_used(long_ones: list[tuple[sp.Expr, ...]]) -> None:
    for sides in long_ones:
        (shown,), names = fitted([sides])
        known: set[sp.Symbol] = set()
        needed = set().union(*(letters_in(side) for side in shown))
        for name, part in names.items():
            assert letters_in(part) & names.keys() <= known
            known.add(name)
            needed |= letters_in(part)
        assert names.keys() <= needed


def test_a_part_has_the_same_letter_everywhere() -> None:
    (first, second), names = fitted([(x, WIDE), (y, WIDE**2)])
    assert len(set(names.values())) == len(names)
    assert first[1].free_symbols & names.keys() == second[1].free_symbols & names.keys() != set()


def test_one_letter_alone_has_no_number_and_none_is_taken() -> None:
    assert list(fitted([(x, WIDE)])[1]) == [sp.Symbol("K")]
    assert list(fitted([(sp.Symbol("K1"), WIDE), (sp.Function("L")(t), x)])[1]) == [sp.Symbol("M")]
    text = display((x, WIDE))
    assert text.count("<div>") == 1
    assert text.endswith("</div>")


def letters_in(e: sp.Expr) -> set[sp.Expr]:
    return e.atoms(sp.Symbol, AppliedUndef)


INSIDE = {
    "limit": lambda e: sp.Limit(e, t, 0, dir="+"),
    "integral": lambda e: sp.Integral(e, (t, 0, x)),
    "sum": lambda e: sp.Sum(e, (t, 1, 9)),
    "product": lambda e: sp.Product(e, (t, 1, 9)),
    "derivative": lambda e: sp.Derivative(e, t),
    "value at a point": lambda e: sp.Subs(e, t, x),
}


@pytest.mark.parametrize("kind", INSIDE)
def test_letters_inside_have_the_variable_as_argument(kind: str) -> None:
    whole = 2 * INSIDE[kind](alpha(t) * WIDE / (1 + WIDE.subs(y, t)))
    (shown,), names = fitted([(x, whole)])
    assert max(size(term)[0] for side in (*shown, *names.values()) for term in sp.Add.make_args(side)) <= 36
    assert max(size(side)[1] for side in (*shown, *names.values())) <= 2
    assert shown[1].has(type(INSIDE[kind](t)) if kind != "derivative" else sp.Derivative)
    assert all((t in part.free_symbols) == (name.args == (t,)) for name, part in names.items())
    assert any(name.args for name in names)
    assert spelled_out(shown[1], names) == whole


def test_the_derivative_of_one_function_stays_as_it_is() -> None:
    slope = sp.Derivative(alpha(t), t)
    (shown,), names = fitted([(x, WIDE * slope)])
    assert any(e.has(slope) for e in (*shown, *names.values()))
    assert all(name.is_Symbol for name in names)

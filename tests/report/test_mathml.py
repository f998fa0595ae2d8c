"""Formulas as MathML: one test for each thing that the theory writes and SymPy's printer does not."""

from xml.dom.minidom import parseString

import pytest
import sympy as sp

from symsi.report.mathml import equation, letter, math, size

t, u, x = sp.symbols("t u x")
alpha, tau, sigma, p = (sp.Function(name) for name in ("alpha", "tau", "sigma", "p"))


def inside(expr: sp.Expr) -> str:
    return math(expr).removeprefix('<math displaystyle="true">').removesuffix("</math>")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("lamda", "<mi>λ</mi>"),
        ("Delta", "<mi>Δ</mi>"),
        ("eta_Z", "<msub><mi>η</mi><mi>Z</mi></msub>"),
        ("x0", "<msub><mi>x</mi><mn>0</mn></msub>"),
        ("dW", "<mrow><mi>d</mi><mi>W</mi></mrow>"),
        ("epsilon_star", "<msup><mi>ε</mi><mo>*</mo></msup>"),
        ("alpha_bar", '<mover accent="true"><mi>α</mi><mo stretchy="false">¯</mo></mover>'),
        ("eta_X_bar", '<msub><mover accent="true"><mi>η</mi><mo stretchy="false">¯</mo></mover><mi>X</mi></msub>'),
    ],
)
def test_a_name_becomes_its_letter(name: str, expected: str) -> None:
    assert inside(sp.Symbol(name)) == expected


def test_a_function_of_a_letter_has_it_as_an_index() -> None:
    assert inside(alpha(t)) == "<msub><mi>α</mi><mi>t</mi></msub>"


def test_a_function_of_a_function_has_that_as_an_index() -> None:
    assert inside(alpha(tau(t))) == "<msub><mi>α</mi><msub><mi>τ</mi><mi>t</mi></msub></msub>"


def test_deeper_nesting_and_several_arguments_keep_parentheses() -> None:
    for expr in (alpha(tau(sigma(t))), p(t, x)):
        assert '<mo stretchy="false">(</mo>' in inside(expr)


def test_a_derivative_is_primed_at_its_argument() -> None:
    expected = "<msubsup><mi>α</mi><msub><mi>τ</mi><mi>t</mi></msub><mo>′</mo></msubsup>"
    assert inside(sp.diff(alpha(u), u).subs(u, tau(t)).doit()) == expected
    assert "<mo>′′</mo>" in inside(sp.diff(alpha(t), t, 2))


def test_a_partial_derivative_names_its_variable() -> None:
    assert inside(sp.diff(p(t, x), x)).startswith("<mrow><msub><mo>∂</mo><mrow><mi>x</mi></mrow></msub>")


def test_a_derivative_in_a_product_has_no_parentheses() -> None:
    assert "(" not in inside(x * sp.diff(alpha(t), t))
    assert inside(x * sp.diff(p(t, x), x)).count("(") == 1  # of the arguments


def test_a_power_of_a_function_joins_index_and_exponent() -> None:
    assert inside(alpha(t) ** 2) == "<msubsup><mi>α</mi><mi>t</mi><mn>2</mn></msubsup>"
    assert inside(sp.diff(alpha(t), t) ** 2).endswith("</mrow><mn>2</mn></msup>")


def test_a_rational_exponent_stays_on_one_line() -> None:
    assert inside(t ** sp.Rational(3, 2)).endswith("<mrow><mn>3</mn><mo>/</mo><mn>2</mn></mrow></msup>")


def test_minus_is_a_minus_sign() -> None:
    assert "<mo>−</mo>" in inside(1 - t)
    assert "-" not in inside(-t - 1)
    assert "<mo>−</mo><mn>1</mn>" in inside(t - 1)


def test_the_limit_of_a_sum_has_parentheses() -> None:
    assert inside(sp.Limit(sp.sin(t) + 1, t, 0)).count("(") == inside(sp.Limit(sp.sin(t), t, 0)).count("(") + 1


def test_a_limit_says_from_which_side() -> None:
    text = inside(sp.Limit(sp.sin(t) / t, t, 0, "-"))
    assert "<mo>lim</mo>" in text
    assert "<msup><mn>0</mn><mo>−</mo></msup>" in text


def test_an_equation_may_break_at_each_sign() -> None:
    pieces = equation(alpha(t), 1 + t - x).split("<wbr>")
    signs = [piece.partition('form="infix">')[2][:1] for piece in pieces]
    assert signs == ["", "=", "−", "+"]


def test_a_letter_on_the_left_stays_with_its_sign() -> None:
    assert len(equation(x, 1 + t).split("<wbr>")) == 2


def test_what_is_printed_is_well_formed_and_has_no_fences_that_browsers_ignore() -> None:
    expr = sp.Limit(sp.exp(-(x**2) / 2) * sp.log(alpha(tau(t))) / sp.sqrt(1 + t), t, 0) + sp.acos(t)
    parseString(math(expr).replace("&InvisibleTimes;", ""))
    assert "mfenced" not in math(expr)


def test_a_name_cannot_bring_markup() -> None:
    assert "<script" not in math(sp.Symbol("<script>"))
    assert "&lt;" in math(sp.Symbol("<b"))


def test_only_names_of_letters_are_greek() -> None:
    assert [letter(n) for n in ("lambda", "Omega", "data", "x")] == ["λ", "Ω", "data", "x"]


def test_a_wide_formula_says_how_wide_it_is() -> None:
    assert "--ems" not in math(1 + t)
    long = sp.Add(*(sp.Symbol(f"a_{n}") for n in range(30)))
    assert f"--ems: {int(size(long)[0]) + 1}" in math(long)


def test_the_width_of_a_fraction_is_that_of_its_wider_half() -> None:
    assert size((1 + t) / x) == size(1 + t)
    assert size(x / (1 + t)) == size(1 + t)


def test_what_stands_in_a_fraction_or_an_exponent_shrinks() -> None:
    assert size(1 / (1 + 1 / t))[1] == 1
    assert size(x ** ((t + 1) / u))[1] == 2
    assert size(1 / (1 + 1 / (1 + 1 / t)))[1] == 2
    assert size(alpha(tau(t)))[1] == 0  # an index
    assert size(sp.exp(1 + t))[0] < size(sp.exp(u) + 1 + t)[0]

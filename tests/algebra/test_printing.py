"""The printed vocabulary: every function and operator, in both dialects, against SymPy's own evaluation."""

import pytest
import sympy as sp
import torch

from symsi.algebra.parse import FUNCTIONS, parse
from symsi.algebra.printing import DIALECTS, TorchPrinter
from symsi.algebra.symbols import t
from symsi.coefficients.source import _HELPERS
from symsi.errors import SymsiError

POINTS = (1e-9, 0.02, 0.3, 0.71, 0.98)
FORMULAS = (
    "sqrt(2)*t",
    "t**2/3-1",
    "1/t",
    "1/sqrt(1-t)",
    "(1-t)/(1+t)/3",
    "5000**(2*(1-t))",
    "t**(3/7)",
    "-t",
    "-1/t",
    "t**-2",
    "E**t*pi",
    "sin(pi*t/2)**2",
    "(t+1)**t",
    "-(t+1)/2",
    "t/(3*(1+t)*sqrt(2))",
    "(1/t)**(2/3)",
    "2**(t**2)-1",
    "pi",
)


def value(text: str, time: float) -> float:
    space: dict[str, object] = {"torch": torch}
    exec(_HELPERS, space)
    found = eval(text, space, {"t": torch.tensor(time, dtype=torch.float64)})
    return float(found)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_function_is_right(name: str, dialect: str) -> None:
    if dialect == "onnx" and name == "erf":
        pytest.skip("onnxruntime has no float64 erf")
    shift = 1 if name == "acosh" else 0
    expr = FUNCTIONS[name](t + shift)
    text = TorchPrinter(dialect).text(expr)
    for time in POINTS:
        exact = expr.subs(t, sp.Rational(time)).evalf(40)
        slope = expr.diff(t).subs(t, sp.Rational(time)).evalf(40)
        bound = 4e-16 * (float(abs(exact)) + float(abs(slope)) * (time + shift) + 1)  # 1: expm1 and log1p are sums here
        assert abs(value(text, time) - float(exact)) <= bound, (text, time)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("formula", FORMULAS)
def test_each_operator_is_right(formula: str, dialect: str) -> None:
    expr = parse(formula)
    text = TorchPrinter(dialect).text(expr)
    for time in POINTS[1:]:
        assert value(text, time) == pytest.approx(float(expr.subs(t, sp.Rational(time)).evalf(40)), rel=1e-14), text


def test_a_function_without_a_row_is_refused_by_name() -> None:
    with pytest.raises(SymsiError, match="LambertW cannot be written for torch"):
        TorchPrinter().text(sp.LambertW(t))


def test_a_piecewise_formula_is_printed_as_a_choice_between_tensors() -> None:
    pieces = sp.Piecewise((sp.cos(t), t < sp.Rational(1, 3)), (0, t <= 1), (t, True))
    text = TorchPrinter().text(pieces)
    values = torch.tensor([0.25, 0.5, 1.5], dtype=torch.float64)
    found = eval(text, {"torch": torch, "t": values})
    assert found.tolist() == [torch.cos(values[0]).item(), 0.0, 1.5]

"""SymPy to torch text: every constant is a float and every function is applied to a tensor only.

SymPy's own TorchPrinter calls torch functions on Python numbers, which torch refuses; here whatever holds no symbol
is evaluated when it is printed.
"""

from __future__ import annotations

from collections.abc import Mapping

from sympy import Add, Expr, Float, Integer, Mul, Piecewise, Pow, Rational, log
from sympy.printing.precedence import PRECEDENCE
from sympy.printing.pycode import AbstractPythonCodePrinter

from symsi.errors import SymsiError

__all__ = ["DIALECTS", "TorchPrinter"]

_SAME = ("exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "asin", "acos", "atan", "asinh", "acosh", "atanh")
_TORCH: Mapping[str, str] = {
    **{name: f"torch.{name}({{0}})" for name in _SAME},
    "erf": "torch.erf({0})",
    "cot": "(1 / torch.tan({0}))",
    "acot": "torch.atan(1 / ({0}))",
}
# onnxruntime has no float64 kernels for these, so they are composed of those it has; erf cannot be.
_ONNX: Mapping[str, str] = {
    **{name: text for name, text in _TORCH.items() if name != "erf"},
    "tan": "_tan({0})",
    "cot": "(1 / _tan({0}))",
    "sinh": "_sinh({0})",
    "cosh": "_cosh({0})",
    "asin": "_asin({0})",
    "acos": "_acos({0})",
    "atan": "_atan({0})",
    "acot": "_atan(1 / ({0}))",
    "asinh": "_asinh({0})",
    "acosh": "_acosh({0})",
    "atanh": "_atanh({0})",
}
DIALECTS: Mapping[str, Mapping[str, str]] = {"torch": _TORCH, "onnx": _ONNX}


class TorchPrinter(AbstractPythonCodePrinter):  # type: ignore[misc]
    """Print an expression whose symbols are float64 tensors as torch code."""

    def __init__(self, dialect: str = "torch") -> None:
        super().__init__({"fully_qualified_modules": False})
        self._dialect = dialect
        self._table = DIALECTS[dialect]

    def text(self, expr: Expr) -> str:
        """Return the code of `expr`. Raises SymsiError for a function without a row in the table."""
        return str(self.doprint(_with_float_constants(expr)))

    def _print_Function(self, expr: Expr) -> str:
        template = self._table.get(expr.func.__name__)
        if template is None:
            known = ", ".join(sorted(self._table))
            raise SymsiError(f"{expr.func.__name__} cannot be written for {self._dialect}; known: {known}.")
        return template.format(self._print(expr.args[0]))

    def _print_Pow(self, expr: Expr, rational: bool = False) -> str:
        base, power = expr.args
        if power == Rational(1, 2):
            return f"torch.sqrt({self._print(base)})"
        if power == Rational(-1, 2):
            return f"1 / torch.sqrt({self._print(base)})"
        if power == -1:
            return f"1 / {self.parenthesize(base, PRECEDENCE['Pow'])}"
        if not base.free_symbols:  # a^f = exp(f log a)
            return f"torch.exp({float(log(base))!r}*({self._print(power)}))"
        return f"{self.parenthesize(base, PRECEDENCE['Pow'])}**{self.parenthesize(power, PRECEDENCE['Pow'])}"

    def _print_Piecewise(self, expr: Expr) -> str:
        *pieces, (last, _) = expr.args
        text = self._tensor(last)
        for piece, holds in reversed(pieces):
            text = f"torch.where({self._print(holds)}, {self._tensor(piece)}, {text})"
        return text

    def _tensor(self, expr: Expr) -> str:
        return self._print(expr) if expr.free_symbols else f"torch.tensor({float(expr)!r}, dtype=torch.float64)"

    def _print_Float(self, expr: Expr) -> str:
        return repr(float(expr))

    def _print_Rational(self, expr: Expr) -> str:
        return repr(float(expr))


def _with_float_constants(expr: Expr) -> Expr:
    """Evaluate what holds no symbol, and gather the constants of each sum and product into one float."""
    if expr.is_Rational or expr.is_Symbol:
        return expr
    if not expr.free_symbols:
        return Float(expr.evalf(40), 20)
    if isinstance(expr, Piecewise):
        return Piecewise(*((_with_float_constants(piece), holds) for piece, holds in expr.args), evaluate=False)
    if isinstance(expr, (Add, Mul)):
        constant, moving = expr.as_independent(*expr.free_symbols, as_Add=isinstance(expr, Add))
        parts = [_with_float_constants(a) for a in expr.func.make_args(moving)]
        neutral = Integer(0) if isinstance(expr, Add) else Integer(1)
        head = [] if constant == neutral else [_with_float_constants(constant)]
        return expr.func(*head, *parts, evaluate=False) if len(head) + len(parts) > 1 else parts[0]
    if isinstance(expr, Pow) and expr.exp.is_Rational:
        return Pow(_with_float_constants(expr.base), expr.exp, evaluate=False)
    return expr.func(*(_with_float_constants(a) for a in expr.args), evaluate=False)

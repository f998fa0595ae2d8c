"""A program as torch source text: one function `coefficients(t)`, the same for running here and for export."""

from __future__ import annotations

import math
import re
from fractions import Fraction

from sympy import Expr

from symsi.algebra.printing import TorchPrinter
from symsi.coefficients.program import Program, Terms, TimeMap

__all__ = ["coefficients_source"]

_BISECTIONS = 52  # of (0, 1), so that tau is known to float64's spacing before Newton's last word

# An ONNX graph keeps a number as float32 unless it is a tensor. Then float64 functions that onnxruntime lacks: atan by
# one correction of the float32 value, the others through it.
_NUMBER = re.compile(r"(?<![\w.])(\d+\.\d*(e[+-]?\d+)?|\d+e[+-]?\d+|\d{7,})(?![\w.])|(?<=\*\*)\(-?\d+ / \d+\)")
_HELPERS = """
def _c(value):
    return torch.tensor(value, dtype=torch.float64)


def _atan(x):
    y = torch.atan(x.to(torch.float32)).to(torch.float64)
    s, c = torch.sin(y), torch.cos(y)
    return y + (x * c - s) / (c + x * s)


def _tan(x):
    return torch.sin(x) / torch.cos(x)


def _asin(x):
    return 2 * _atan(x / (1 + torch.sqrt((1 - x) * (1 + x))))


def _acos(x):
    return 2 * _atan(torch.sqrt((1 - x) / (1 + x)))


def _sinh(x):
    e = torch.expm1(x)
    return (e + e / (e + 1)) / 2


def _cosh(x):
    return (torch.exp(x) + torch.exp(-x)) / 2


def _asinh(x):
    a = torch.abs(x)
    return torch.sign(x) * torch.log1p(a + a * a / (1 + torch.sqrt(a * a + 1)))


def _acosh(x):
    return torch.log(x + torch.sqrt((x - 1) * (x + 1)))


def _atanh(x):
    return torch.log1p(2 * x / (1 - x)) / 2
"""


def coefficients_source(program: Program, dialect: str = "torch", doc: str = "", dtype: str = "torch.float64") -> str:
    """Return the text of a function from a tensor of times to a dictionary of tensors, float64 unless asked.

    Outside [start, 1] the values are nan. The text needs `import torch` above it. The dialect "onnx" keeps to the
    functions that onnxruntime has in float64.
    """
    printer = TorchPrinter(dialect)
    start, (first, last) = program.start, program.ends
    open_ended = {n for end in program.ends for n in end.limits}
    lines = ["def formulas(t):"]
    if isinstance(program.time, TimeMap):
        lines += [f"    wanted = {printer.text(program.time.wanted)}", "    tau = _solve_time(wanted)"]
    else:
        lines += [f"    tau = {printer.text(program.time)}"]
    lines += [f"    {symbol} = {printer.text(expr)}" for symbol, expr in program.shared]
    lines += ["    return {", *(f'        "{n}": {_tensor(printer, e)},' for n, e in program.results.items()), "    }"]
    lines += ["", "", "def coefficients(t):"]
    lines += [f'    """{doc}"""'] if doc else []
    lines += [
        f"    t = t.to({dtype})",
        f"    t = torch.where((t >= {_below(start)!r}) & (t <= 1.0), t, torch.nan)",
        f"    from_start = {_distance(program)}",
        "    from_end = 1 - t",
        f"    at_start, at_end = from_start <= {first.radius!r}, from_end <= {last.radius!r}",
        f"    near = torch.where(at_start, from_start, {first.radius!r})",
        f"    late = torch.where(at_end, from_end, {last.radius!r})",
    ]
    if open_ended:
        lines += [
            "    ends = (from_start <= 0.0) | (from_end <= 0.0)",
            f"    up_to_the_ends = formulas(torch.where(ends, {(1 + start) / 2!r}, t))",
        ]
    lines += [f"    inside = formulas(torch.where(at_start | at_end, {(1 + start) / 2!r}, t))", "    return {"]
    for key in program.results:
        body = f'{"up_to_the_ends" if key in open_ended else "inside"}["{key}"]'
        for flag, variable, distance, end in (
            ("at_end", "late", "from_end", last),
            ("at_start", "near", "from_start", first),
        ):
            if key in end.series:
                body = f"torch.where({flag}, {_series(end.series[key], variable)}, {body})"
            elif key in end.limits:
                body = f"torch.where({distance} <= 0.0, {_number(end.limits[key])}, {body})"
        for zero in program.zeros.get(key, ()):
            w = f"(t - {zero.time!r} - {zero.rest!r})" if zero.rest else f"(t - {zero.time!r})"
            body = f"torch.where(torch.abs{w} < {zero.radius!r}, {_series(zero.terms, w)}, {body})"
        lines += [f'        "{key}": {body},']
    lines += ["    }"]
    parts = [_solver(printer, program.time)] if isinstance(program.time, TimeMap) else []
    text = "\n\n\n".join([*parts, "\n".join(lines)]) + "\n"
    return _HELPERS.strip() + "\n\n\n" + _NUMBER.sub(r"_c(\g<0>)", text) if dialect == "onnx" else text


def _solver(printer: TorchPrinter, time: TimeMap) -> str:
    return "\n".join(
        [
            "def _solve_time(wanted):",
            '    """tau with log rho(tau) = wanted, by bisection; two Newton steps carry the derivative."""',
            "    low, high = torch.full_like(wanted, 1e-300), torch.ones_like(wanted)",
            f"    for _ in range({_BISECTIONS}):",
            "        tau = (low + high) / 2",
            f"        below = {printer.text(time.log_ratio)} < wanted",
            "        low, high = torch.where(below, tau, low), torch.where(below, high, tau)",
            "    tau = ((low + high) / 2).detach()",
            "    for _ in range(2):",
            f"        step = ({printer.text(time.log_ratio)} - wanted) / ({printer.text(time.slope)})",
            "        tau = torch.clamp(tau - step, low, high)",
            "    return tau",
        ]
    )


def _distance(program: Program) -> str:
    """t - start, with the start's rounding error subtracted as well."""
    if program.start == 0:
        return "t"
    rest = f" - {program.start_rest!r}" if program.start_rest else ""
    return f"torch.clamp(t - {program.start!r}{rest}, min=0.0)"


def _below(start: float) -> float:
    """A time a float32 rounding below `start`, which still means `start`."""
    return start * (1 - 2.0**-23)


def _tensor(printer: TorchPrinter, expr: Expr) -> str:
    text = printer.text(expr)
    return text if expr.free_symbols else f"{float(expr)!r} + 0.0*t"  # nan where t is


def _series(terms: Terms, u: str) -> str:
    """Write sum c u^p with one Horner scheme per fractional part of p, so that derivatives at u = 0 are right too."""
    if not terms:
        return "0.0"
    lowest = terms[0][0]
    if lowest < 0:  # factored out, so that the leading term decides the sign of the infinity at u = 0
        rest = _series(tuple((p - lowest, c) for p, c in terms), u)
        return f"{u}**{_power(lowest)}*({rest})"
    classes: dict[Fraction, dict[int, float]] = {}
    for power, c in terms:
        whole = power.numerator // power.denominator
        classes.setdefault(power - whole, {})[whole] = c
    parts = []
    for fraction, column in classes.items():
        first = min(column)
        body = _horner([column.get(k, 0.0) for k in range(first, max(column) + 1)], u)
        power = fraction + first
        if power == 0:
            parts.append(body)
            continue
        root = "torch.sqrt({0})" if power == Fraction(1, 2) else "{0}" if power == 1 else "{0}**" + _power(power)
        factor = root.format(u)
        parts.append(f"{factor}*({body})" if body != "1.0" else factor)
    total = " + ".join(parts)
    return total if u in total else f"torch.full_like({u}, {total})"


def _power(power: Fraction) -> str:
    return f"({power.numerator})" if power.denominator == 1 else f"({power.numerator} / {power.denominator})"


def _number(value: float) -> str:
    return repr(value) if math.isfinite(value) else "torch.nan"


def _horner(coefficients: list[float], u: str) -> str:
    text = _number(coefficients[-1])
    for c in reversed(coefficients[:-1]):
        inner = f"({text})" if " " in text else text
        text = f"{c!r} + {u}*{inner}" if c else f"{u}*{inner}"
    return text

"""Safe reading of formulas: a closed vocabulary over Python's `ast`, never `eval` and never `sympify` of raw text."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any

import sympy as sp
from sympy import Expr, Rational, Symbol

from symsi.errors import ParseError

__all__ = ["CONSTANTS", "FUNCTIONS", "as_expression", "check_degree", "parse", "reread"]

FUNCTIONS: dict[str, Callable[[Expr], Expr]] = {
    "sqrt": sp.sqrt,
    "cbrt": sp.cbrt,
    "exp": sp.exp,
    "expm1": lambda e: sp.exp(e) - 1,
    "log": sp.log,
    "ln": sp.log,
    "log1p": lambda e: sp.log(1 + e),
    "sin": sp.sin,
    "cos": sp.cos,
    "tan": sp.tan,
    "cot": sp.cot,
    "asin": sp.asin,
    "acos": sp.acos,
    "atan": sp.atan,
    "acot": sp.acot,
    "sinh": sp.sinh,
    "cosh": sp.cosh,
    "tanh": sp.tanh,
    "asinh": sp.asinh,
    "acosh": sp.acosh,
    "atanh": sp.atanh,
    "erf": sp.erf,
}
CONSTANTS: dict[str, Expr] = {"pi": sp.pi, "E": sp.E}

MAX_LENGTH = 20_000  # characters
MAX_NESTING = 60  # open brackets, and depth of the tree
MAX_NODES = 5000
MAX_DIGITS = 150  # of a number as written
MAX_EXPONENT = 64  # absolute value of a numeric exponent
MAX_DEGREE = 128  # of the formula as a polynomial in its symbols
MAX_VALUE = 10**100  # of a constant that is no fraction
MAX_BITS = 4000  # of any number that arithmetic produces

_OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
}
_VOCABULARY = "numbers, declared symbols, pi, E, + - * / **, and " + ", ".join(FUNCTIONS)


def parse(text: str, *, symbols: Iterable[str] = ("t",), pieces: bool = False) -> Expr:
    """Read a formula in `symbols` into SymPy.

    Numbers are exact (0.1 is 1/10); symbols carry no assumptions. With `pieces`, as in files that symsi wrote, so is
    Piecewise((f, t < 1/2), (g, True)). Raises ParseError, naming the place and what is allowed, for anything outside
    the vocabulary, and for text or numbers of unreasonable size, before any work is done.
    """
    if not isinstance(text, str):
        raise ParseError(f"a formula is a string such as 'sqrt(1-t**2)'; got {type(text).__name__}.")
    _check_text(text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "1or t" warns before it is refused
            tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise ParseError(f"cannot read {_short(text)}: {_syntax_hint(text, error)}") from None
    nodes = sum(1 for _ in ast.walk(tree))
    if nodes > MAX_NODES or _depth(tree) > MAX_NESTING:
        raise ParseError(f"{_short(text)} is too large a formula (at most {MAX_NODES} nodes, {MAX_NESTING} levels).")
    result = _Reader(text.strip(), frozenset(symbols), pieces).read(tree.body)
    if result.has(sp.zoo, sp.oo, -sp.oo, sp.nan, sp.I):
        raise ParseError(f"{_short(text)} is not finite and real: it evaluates to {result}.")
    check_degree(result, text)
    return result


def reread(expr: Expr) -> Expr:
    """Return what `parse` makes of an expression's own text, whose numbers are bounded as those of `expr` are.

    Raises ParseError where the text is longer than a formula may be.
    """
    text = sp.sstr(expr)
    _check_text(text)
    return _Own(text, frozenset(s.name for s in expr.free_symbols), pieces=True).read(ast.parse(text, mode="eval").body)


def check_degree(expr: Expr, text: str = "") -> None:
    """Raise ParseError for a formula whose degree is above MAX_DEGREE: what algebra does with it takes too long.

    deg(a + b) = max(deg a, deg b), deg(a b) = deg a + deg b, deg(a^n) = |n| deg a, and deg f(a) = deg a of others.
    """
    found = _degree(expr)
    if found > MAX_DEGREE:
        raise ParseError(f"{_short(text or str(expr))} is of degree {found.n(4)}; at most {MAX_DEGREE} is taken.")


def as_expression(value: Any, symbols: Iterable[str] = ()) -> Expr:
    """Read a number or an expression exactly: floats by their shortest decimal, strings by `parse`."""
    if isinstance(value, str):
        return parse(value, symbols=symbols)
    if isinstance(value, Expr):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        if value != value or value in (float("inf"), float("-inf")):
            raise ParseError(f"a number must be finite; got {value}.")
        return Rational(str(value))
    raise ParseError(f"expected a number, a string or a SymPy expression; got {type(value).__name__}.")


class _Reader:
    def __init__(self, text: str, symbols: frozenset[str], pieces: bool) -> None:
        self.text, self.symbols, self.pieces = text, symbols, pieces

    def read(self, node: ast.expr) -> Expr:
        match node:
            case ast.Constant(value=value) if isinstance(value, int | float) and not isinstance(value, bool):
                return self._number(node)
            case ast.Name(id=name):
                return self._name(node, name)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self.read(operand)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.read(operand)
            case ast.BinOp(left=left, op=ast.Pow(), right=right):
                return self._power(node, self.read(left), self.read(right))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
                return self._bounded(node, _OPERATORS[type(op)](self.read(left), self.read(right)))
            case ast.BinOp(op=ast.BitXor()):
                raise self._error(node, "use ** for powers, not ^")
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
                return self._call(node, name, args)
        raise self._error(node, f"{type(node).__name__} is not allowed. Allowed: {_VOCABULARY}")

    def _number(self, node: ast.expr) -> Expr:
        source = self.text[node.col_offset : node.end_col_offset]  # one line of ASCII
        digits = source.replace("_", "")
        if not re.fullmatch(r"(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", digits):
            raise self._error(node, f"{source} is not a decimal number")
        if len(digits) > MAX_DIGITS:
            raise self._error(node, f"a number may have at most {MAX_DIGITS} digits")
        return Rational(digits)

    def _name(self, node: ast.expr, name: str) -> Expr:
        if name in self.symbols:
            return Symbol(name)
        if name in CONSTANTS:
            return CONSTANTS[name]
        if name in FUNCTIONS:
            raise self._error(node, f"{name} is a function; write {name}(...)")
        close = get_close_matches(name, [*self.symbols, *CONSTANTS, *FUNCTIONS], n=1, cutoff=0.6)
        hint = f"did you mean {close[0]!r}? " if close else ""
        declared = ", ".join(sorted(self.symbols)) or "none"
        declare = f"parameters={{{name!r}: 2}}, on the command line --parameter {name}=2"
        remedy = f"Declare it: {declare}" if self.symbols else "Give a number such as 2"
        raise self._error(node, f"unknown symbol {name!r}; {hint}declared: {declared}. {remedy}")

    def _call(self, node: ast.expr, name: str, args: list[ast.expr]) -> Expr:
        if name == "Piecewise" and self.pieces:
            found = [self._piece(arg) for arg in args]
            if not found or found[-1][1] is not True:
                raise self._error(node, "the last piece is (f, True)")
            return self._bounded(node, sp.Piecewise(*found))
        if name not in FUNCTIONS:
            close = get_close_matches(name, FUNCTIONS, n=1, cutoff=0.5)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise self._error(node, f"unknown function {name!r}; {hint}Known: {', '.join(FUNCTIONS)}")
        if len(args) != 1 or isinstance(args[0], ast.Starred):
            raise self._error(node, f"{name} takes exactly one argument")
        return self._bounded(node, FUNCTIONS[name](self.read(args[0])))

    def _piece(self, node: ast.expr) -> tuple[Expr, Any]:
        """(f, t < c) with a number c, or (f, True)."""
        match node:
            case ast.Tuple(elts=[value, ast.Constant(value=True)]):
                return self.read(value), True
            case ast.Tuple(elts=[value, ast.Compare(left=left, ops=[ast.Lt()], comparators=[right])]):
                symbol, number = self.read(left), self.read(right)
                if symbol.is_Symbol and number.is_Rational:
                    return self.read(value), symbol < number
        raise self._error(node, "a piece is (f, t < 1/2), with a fraction, or (f, True)")

    def _power(self, node: ast.expr, base: Expr, exponent: Expr) -> Expr:
        if exponent.is_number:
            size = abs(exponent.n(8, maxn=60))
            if size > MAX_EXPONENT:
                raise self._error(node, f"a numeric exponent may be at most {MAX_EXPONENT}")
            if base.is_Rational and max(abs(base.p), base.q).bit_length() * size > MAX_BITS:
                raise self._error(node, "this power is too large a number")
        return self._bounded(node, base**exponent)

    def _bounded(self, node: ast.expr, value: Expr) -> Expr:
        if value.has(sp.zoo, sp.nan, sp.oo, -sp.oo):
            raise self._error(node, "this part is not finite (a division by zero?)")
        if value.is_number and not value.is_Rational:
            size = value.n(8, maxn=60)
            if not size.is_real or abs(size) > MAX_VALUE:
                raise self._error(node, "this part is complex, or too large a number")
        for number in value.atoms(sp.Rational):
            if max(abs(number.p), number.q).bit_length() > MAX_BITS:
                raise self._error(node, "this part holds too large a number")
        return value

    def _error(self, node: ast.expr, reason: str) -> ParseError:
        return ParseError(f"cannot read {_short(self.text)} at column {node.col_offset + 1}: {reason}.")


class _Own(_Reader):
    """Reads what our printer wrote of an expression, which was bounded when it was made."""

    def _power(self, node: ast.expr, base: Expr, exponent: Expr) -> Expr:
        return base**exponent

    def _bounded(self, node: ast.expr, value: Expr) -> Expr:
        return value


def _check_text(text: str) -> None:
    if not text.strip():
        raise ParseError("an empty formula; write something such as '1-t'.")
    if len(text) > MAX_LENGTH:
        raise ParseError(f"a formula may have at most {MAX_LENGTH} characters; this one has {len(text)}.")
    for place, character in enumerate(text):
        if character not in "\t" and not " " <= character <= "~":
            hint = "; write Greek letters as words, such as pi" if "\u0370" <= character <= "\u03ff" else ""
            raise ParseError(f"{_short(text)} has the character {character!a} at column {place + 1}{hint}. Use ASCII.")
    depth = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if depth > MAX_NESTING:
            raise ParseError(f"{_short(text)} nests more than {MAX_NESTING} brackets.")


def _syntax_hint(text: str, error: BaseException) -> str:
    glued = re.search(r"(?<![\w.])\d+\.?\d*(?:[a-df-zA-DF-Z]\w*|\()", text)
    if glued:
        return f"write products with *, as in 2*t (near {glued.group()!r})."
    place = f" at column {error.offset}" if isinstance(error, SyntaxError) and error.offset else ""
    return f"not a formula{place}. Allowed: {_VOCABULARY}."


def _depth(tree: ast.AST) -> int:
    level, depth = [tree], 0
    while level:
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        depth += 1
    return depth


def _degree(e: Expr) -> Expr:
    found: dict[Expr, Expr] = {}
    for part in sp.postorder_traversal(e):  # without recursion, each part once
        below = [found[a] for a in part.args]
        if part.is_Pow and part.exp.is_Rational:
            found[part] = abs(part.exp) * below[0]
        elif part.is_Mul or part.is_Pow:
            found[part] = sum(below, sp.Integer(0))
        else:
            found[part] = max(below, default=sp.Integer(int(part.is_Symbol)))
    return found[e]


def _short(text: str) -> str:
    shown = ascii(text.strip())
    return shown if len(shown) <= 60 else f"{shown[:57]}...'"

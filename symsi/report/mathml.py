"""Formulas as presentation MathML, from SymPy's printer with the notation of the theory."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from html import escape, unescape
from math import ceil
from typing import Any

from sympy import Add, Derivative, Expr, Function, Integer, Limit, Pow, Rational, Symbol
from sympy.core.function import AppliedUndef
from sympy.printing.mathml import MathMLPresentationPrinter
from sympy.printing.precedence import PRECEDENCE

from symsi.report.html import Html

__all__ = ["equation", "letter", "math", "size"]

_ACCENTS = {"bar": "¯", "dot": "˙"}
_SIGNS = {
    "\u2062": 0.0,
    "′": 0.3,
    **dict.fromkeys("()", 0.7),
    **dict.fromkeys("+-−", 1.3),
    **dict.fromkeys("=∼≈→", 1.4),
}
_SCRIPTS = frozenset({"msub", "msup", "msubsup", "munder", "mover"})
_SMALLER = 0.76
_WIDE = 20  # em
_DIFFERENTIALS = frozenset({"db", "ds", "dt", "dW", "dx"})


def math(*parts: Expr | str) -> Html:
    """Return a `math` element: expressions, and the signs that stand between them, such as "=".

    A wide one says about how many em it takes, so that a printed page can shrink it.
    """
    nodes = _nodes(parts)
    inside = "".join(_fragment(node) for node in nodes)
    ems = ceil(sum(_size(node)[0] for node in nodes))
    wide = f' style="--ems: {ems}"' if ems > _WIDE else ""
    return Html(f'<math displaystyle="true"{wide}>{inside}</math>')


def size(e: Expr) -> tuple[float, int]:
    """Return how wide an expression is at most, in em and in any font, and how often its smallest letters shrink.

    Indices do not count: they are read from what stands around them.
    """
    return _size(_PRINTER._print(e))


def equation(*sides: Expr) -> Html:
    """Return left = right as `math` elements one after the other, between which a line may break: at = and at +.

    A letter on the left stays with its sign.
    """
    pieces: list[tuple[Expr | str, ...]] = []
    for k, side in enumerate(sides):
        terms = _PRINTER._as_ordered_terms(side) if isinstance(side, Add) else [side]
        for n, term in enumerate(terms):
            if n:
                pieces.append(("−", -term) if term.could_extract_minus_sign() else ("+", term))
            else:
                pieces.append(("=", term) if k else (term,))
    if len(sides) > 1 and sides[0].is_Atom:
        pieces[:2] = [pieces[0] + pieces[1]]
    return Html("<wbr>".join(math(*piece) for piece in pieces))


def letter(name: str) -> str:
    """Return the Greek letter that a name spells ("lamda" as SymPy has it, or "lambda"), or the name."""
    case = "SMALL" if name.islower() else "CAPITAL"
    try:
        return unicodedata.lookup(f"GREEK {case} LETTER {name.upper().replace('LAMBDA', 'LAMDA')}")
    except KeyError:
        return name


class _Printer(MathMLPresentationPrinter):  # type: ignore[misc]
    """SymPy's printer where it is good; letters, functions, derivatives, e, minus and one-sided limits as here.

    A function of one letter has it as an index, alpha_t, as has its derivative, alpha'_t; others keep parentheses.
    """

    def _node(self, tag: str, *children: Any, **attributes: str) -> Any:
        node = self.dom.createElement(tag)
        for child in children:  # this document does not escape text itself
            node.appendChild(self.dom.createTextNode(escape(child)) if isinstance(child, str) else child)
        for name, value in attributes.items():
            node.setAttribute(name, value)
        return node

    def _name(self, name: str) -> Any:
        """eta_Z, alpha_bar, a_dot, epsilon_star, x0, dW: accents go on the letter, the rest are indices."""
        if name in _DIFFERENTIALS:
            return self._node("mrow", self._node("mi", "d"), self._node("mi", name[1:]))
        stem, *parts = name.split("_")
        base = stem.rstrip("0123456789") or stem
        node = self._node("mi", letter(base))
        for accent in (p for p in parts if p in _ACCENTS):
            node = self._node("mover", node, self._node("mo", _ACCENTS[accent], stretchy="false"), accent="true")
        for index in (stem[len(base) :], *(p for p in parts if p not in _ACCENTS)):
            if index == "star":
                node = self._node("msup", node, self._node("mo", "*"))
            elif index:
                node = self._node("msub", node, self._node("mn" if index.isdigit() else "mi", letter(index)))
        return node

    def _applied(self, e: AppliedUndef, power: Any = None) -> Any:
        """A function of the theory, with what stands at its upper right: primes or a number."""
        head = self._name(e.func.__name__)
        if _has_index(e):
            index = self._print(e.args[0])
            return self._node("msub", head, index) if power is None else self._node("msubsup", head, index, power)
        return self._node("mrow", head if power is None else self._node("msup", head, power), self._arguments(e.args))

    def _arguments(self, args: tuple[Expr, ...]) -> Any:
        row = self._paren_comma_separated(*args)
        if not any(a.has(Pow) for a in args):
            for fence in (row.firstChild, row.lastChild):
                fence.setAttribute("stretchy", "false")
        return row

    def parenthesize(self, item: Expr, level: int, strict: bool = False) -> Any:
        """As SymPy does, except that the derivative of a function needs no parentheses in a product."""
        bare = isinstance(item, Derivative) and isinstance(item.expr, AppliedUndef) and level < PRECEDENCE["Pow"]
        return self._print(item) if bare else super().parenthesize(item, level, strict)

    def _get_printed_Rational(self, e: Rational, folded: bool | None = None) -> Any:
        """A rational exponent is p/q on one line; elsewhere it is a fraction."""
        if not folded:
            return super()._get_printed_Rational(e)
        return self._node("mrow", self._print(Integer(e.p)), self._node("mo", "/"), self._print(Integer(e.q)))

    def _print_Symbol(self, symbol: Symbol, style: str = "plain") -> Any:
        return self._name(symbol.name)

    def _print_Function(self, e: Function) -> Any:
        if isinstance(e, AppliedUndef):
            return self._applied(e)
        head = self._node("mo", self.mathml_tag(e), form="prefix", lspace="0.17em", rspace="0em")
        return self._node("mrow", head, self._arguments(e.args))

    def _print_Derivative(self, e: Derivative) -> Any:
        if _primes(e):
            return self._applied(e.expr, self._node("mo", "′" * _primes(e)))
        sign = self._node("msub", self._node("mo", "∂"), self._node("mrow", *map(self._print, e.variables)))
        plain = isinstance(e.expr, AppliedUndef)
        return self._node("mrow", sign, self._print(e.expr) if plain else self._arguments((e.expr,)))

    def _print_Pow(self, e: Pow) -> Any:
        raised = e.exp > 1 if e.exp.is_Integer else not e.exp.is_number and not e.exp.could_extract_minus_sign()
        if raised and isinstance(e.base, AppliedUndef) and _has_index(e.base):
            return self._applied(e.base, self._print(e.exp))
        return super()._print_Pow(e)

    def _print_Exp1(self, e: Expr | None) -> Any:
        return self._node("mi", "e")

    def _print_Limit(self, e: Limit) -> Any:
        expr, variable, end, side = e.args
        where = self._print(end)
        if str(side) in "+-":
            where = self._node("msup", where, self._node("mo", str(side)))
        under = self._node("mrow", self._print(variable), self._node("mo", "→"), where)
        return self._node(
            "mrow", self._node("munder", self._node("mo", "lim"), under), self.parenthesize(expr, PRECEDENCE["Mul"])
        )


_PRINTER = _Printer({"fold_frac_powers": True})


def _nodes(parts: Iterable[Expr | str]) -> list[Any]:
    return [_PRINTER._node("mo", p, form="infix") if isinstance(p, str) else _PRINTER._print(p) for p in parts]


def _fragment(node: Any) -> str:
    """A node as text, with minus signs for hyphens."""
    text = str(node.toxml()).replace("<mo>-</mo>", "<mo>−</mo>")
    return re.sub("<mn>-([^<]*)</mn>", r"<mrow><mo>−</mo><mn>\1</mn></mrow>", text)


def _size(node: Any, display: bool = True) -> tuple[float, int]:
    """See `size`. Browsers make scripts smaller, and fractions that stand within a fraction or a script.

    Letters are as wide as in TeX Gyre DejaVu Math, the widest of 17 fonts that were measured.
    """
    if node.nodeName == "#text":
        text = unescape(node.data)
        if len(text) == 1 and text.isalpha():
            return 1.2 if text in "MW" else 0.95 if text.isupper() or text in "mwω" else 0.75, 0
        return _SIGNS.get(text, (0.64 if text.isdigit() else 0.6) * len(text)), 0
    kind, inner = node.nodeName, display and node.nodeName != "mfrac"
    (first, depth), *others = [_size(c, inner and not (k and kind in _SCRIPTS)) for k, c in enumerate(node.childNodes)]
    widths, depths = [w for w, _ in others], [d for _, d in others]
    if kind == "mfrac":
        smaller = 0 if display else 1
        return _SMALLER**smaller * max(first, *widths), smaller + max(depth, *depths)
    if kind in _SCRIPTS:
        scripts = _SMALLER * max(widths)
        width = first + 0.05 + scripts if kind.startswith("ms") else max(first, scripts)
        return width, max(depth, 1 + depths[-1]) if kind.endswith("sup") else depth
    return first + sum(widths) + (1.0 if kind in ("msqrt", "mroot") else 0.0), max(depth, *depths, 0)


def _has_index(e: AppliedUndef) -> bool:
    """Whether the argument is a letter, or a function of a letter, and the name has no index of its own."""
    own = set(e.func.__name__.split("_")[1:]) - set(_ACCENTS)
    (first, *others) = e.args
    inner = isinstance(first, AppliedUndef) and len(first.args) == 1 and first.args[0].is_Symbol
    return not others and not own and (first.is_Symbol or inner)


def _primes(e: Expr) -> int:
    """How often a function of one argument is differentiated by it; 0 for any other expression."""
    if not isinstance(e, Derivative) or not isinstance(e.expr, AppliedUndef) or len(e.expr.args) != 1:
        return 0
    return len(e.variables) if set(e.variables) == {e.expr.args[0]} else 0

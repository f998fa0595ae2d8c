"""Formulas that fit a line: where one is too wide, its parts get letters, which are spelled out below it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from string import ascii_uppercase, digits

from sympy import Add, Derivative, Expr, Function, Limit, Mul, Pow, Subs, Symbol
from sympy.concrete.expr_with_limits import ExprWithLimits
from sympy.core.function import AppliedUndef

from symsi.report.html import Html, element, join
from symsi.report.mathml import equation, size

__all__ = ["display", "fitted"]

_WIDEST = 36  # em for a term; a letter and its sign take 4 before it, and the narrowest box on a printed page has 41
_SMALLEST = 2  # how many times letters are made smaller; a third time they cannot be read in print
_WORTH = 4  # em; what is narrower does not make room
_LETTERS = "KLMNQ"
_SAMPLE = f"{_LETTERS[0]}_10"
_BINDERS = (Derivative, ExprWithLimits, Limit, Subs)  # the second: integrals, sums and products

Equation = tuple[Expr, ...]
Names = dict[Expr, Expr]


def display(*equations: Equation, after: str = "") -> Html:
    """Return equations one after the other, what follows `after` them, and below what the letters stand for."""
    shown, names = fitted(equations)
    first = (join(",  " if n else "", equation(*sides)) for n, sides in enumerate(shown))
    below = (element("div", equation(name, part)) for name, part in names.items())
    return join(first, after, "  where" if names else "", below)


def fitted(equations: Sequence[Equation]) -> tuple[list[Equation], Names]:
    """Return the equations with letters for parts of the wide ones, and what the letters stand for, in order.

    A part may have the letters before it. With all parts put back the equations are what they were.
    What varies with the variable of a limit, an integral or a derivative of more than one function has that variable
    as its argument, K(t), wherever it stands; other letters are symbols.
    """
    letter = _free_letter(equations)
    names: Names = {}
    bound = {v for sides in equations for side in sides for e in side.atoms(*_BINDERS) for v in _bound(e)}
    short = [[_fit(side, letter, names, bound) for side in sides] for sides in equations]
    letters = {part: name for name, part in names.items()}
    parts = {name: _with_args(part, letters) for name, part in names.items()}
    short = [[_replaced(side, letters) for side in sides] for sides in short]
    used: list[Expr] = []
    for sides in short:
        for side in sides:
            _collect(side, parts, used)
    final = {name: _named(f"{letter}_{n}" if len(used) > 1 else letter, name.args) for n, name in enumerate(used, 1)}
    return (
        [tuple(_replaced(side, final) for side in sides) for sides in short],
        {final[name]: _replaced(parts[name], final) for name in used},
    )


def _free_letter(equations: Sequence[Equation]) -> str:
    sides = [side for sides in equations for side in sides]
    names = {s.name for side in sides for s in side.free_symbols}
    names |= {f.func.__name__ for side in sides for f in side.atoms(AppliedUndef)}
    stems = {name.split("_")[0].rstrip(digits) for name in names}
    return next(letter for letter in _LETTERS + ascii_uppercase if letter not in stems)


def _named(name: str, variables: Sequence[Expr]) -> Expr:
    return Function(name)(*variables) if variables else Symbol(name)


def _bound(e: Expr) -> Sequence[Symbol]:
    """The variables of an integral, a limit, …; none of alpha'(t), which stays as it is."""
    if isinstance(e, Limit):
        return (e.args[1],)
    return () if _is_slope(e) else tuple(e.variables)


def _is_slope(e: Expr) -> bool:
    return isinstance(e, Derivative) and isinstance(e.expr, AppliedUndef)


def _fit(e: Expr, letter: str, names: Names, bound: set[Symbol]) -> Expr:
    """Return `e` with letters in it, so that it fits or, where it is a sum, each of its terms does."""
    if not _is_open(e) or not any(_excess(e)):
        return e

    def named(name: str, part: Expr) -> Expr:
        return _named(name, sorted(part.free_symbols & bound, key=str))

    e = _rebuilt(e, [_fit(arg, letter, names, bound) for arg in e.args])
    while not isinstance(e, Add) and any(_excess(e)):
        parts = sorted((p for p in _parts(e) if p not in names), key=size, reverse=True)
        if not parts:
            break
        part = min(parts, key=lambda p: _excess(_replaced(e, {p: named(_SAMPLE, p)})))
        name = next((n for n, known in names.items() if known == part), named(f"{letter}_{len(names) + 1}", part))
        names[name] = part
        e = _replaced(e, {part: name})
    return e


def _excess(e: Expr) -> tuple[int, float]:
    """By how much the letters are too small and the formula too wide: zeros where it fits."""
    width, depth = size(e)
    return max(depth - _SMALLEST, 0), max(width - _WIDEST, 0.0)


def _is_open(e: Expr) -> bool:
    """Whether a part of it can have a letter: not so in the argument of a function of the theory."""
    return isinstance(e, (Add, Mul, Pow, *_BINDERS)) or (isinstance(e, Function) and not isinstance(e, AppliedUndef))


def _parts(e: Expr) -> Iterator[Expr]:
    """Parts that make room where a letter stands in their place; that of a fraction's half is the whole half."""
    for arg in () if _is_slope(e) else e.args[:1] if isinstance(e, _BINDERS) else e.args:
        part = arg.base if isinstance(e, Mul) and isinstance(arg, Pow) and arg.exp.is_Number else arg
        width, depth = size(part)
        if not part.is_Atom and (width >= _WORTH or (depth and _is_open(part))):
            yield part


def _rebuilt(e: Expr, args: Sequence[Expr]) -> Expr:
    """Return `e` with other arguments; a number times a sum stays a product."""
    return Mul(*args, evaluate=False) if isinstance(e, Mul) and len(args) == 2 else e.func(*args)


def _replaced(e: Expr, names: Mapping[Expr, Expr]) -> Expr:
    """Return `e` with letters for the parts that have one."""
    found = names.get(e)
    return _with_args(e, names) if found is None else found


def _with_args(e: Expr, names: Mapping[Expr, Expr]) -> Expr:
    """Return `e` with letters inside it only; in alpha'(t) none but a letter with that argument."""
    if not _is_open(e):
        return e
    args = [_replaced(arg, names) for arg in e.args]
    lost = _is_slope(e) and not set(e.variables) <= args[0].free_symbols
    return e if lost or args == list(e.args) else _rebuilt(e, args)


def _collect(e: Expr, parts: Names, used: list[Expr]) -> None:
    """Add the letters in `e` to `used`, each after those in its part."""
    for name in sorted(e.atoms(Symbol, AppliedUndef) & parts.keys(), key=list(parts).index):
        if name not in used:
            _collect(parts[name], parts, used)
            used.append(name)

"""Mutants of a formula: every small change of an abstract syntax tree that a slip of the pen could make.

A function is mutated from its outermost `def` on, inner functions included. Left alone are docstrings, annotations,
defaults, decorators, assertions, warnings, what is raised, and conditions that do nothing but raise.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType

__all__ = ["Mutant", "functions", "mutants"]

_SWAPPED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
}
_FLIPPED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
}
_TWINS = {"min": "max", "alpha": "beta", "alpha_dot": "beta_dot", "noise": "data", "sin": "cos", "floor": "ceil"}
_TWINS |= {b: a for a, b in _TWINS.items()}
_NAMES = {"min", "max"}  # of functions; the rest are attributes, keywords or string keys
_ROOTS = {"sqrt", "log", "asin", "square", "exp"}  # functions whose loss is a wrong power
_NO_ARITHMETIC = {"isinstance", "zip", "getattr", "hasattr", "setattr", "partition", "replace", "strict", "range"}
_SILENT = (ast.Raise, ast.Assert, ast.Import, ast.ImportFrom)


@dataclass(frozen=True)
class Mutant:
    """One change: where, what, and the code of the changed function."""

    function: str
    line: int
    what: str  # old expression -> new expression
    text: str  # the source line
    code: CodeType

    @property
    def key(self) -> tuple[str, str, str]:
        """What says which mutant this is as long as the code around it stays."""
        return self.function, self.what, self.text


def functions(path: Path) -> dict[str, ast.FunctionDef]:
    """Return the functions and methods of a module by qualified name, outermost ones alone."""
    return dict(_definitions(ast.parse(path.read_text()).body, ""))


def _definitions(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in body:
        if isinstance(node, ast.FunctionDef):
            yield prefix + node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from _definitions(node.body, f"{prefix}{node.name}.")


def mutants(path: Path, name: str) -> Iterator[Mutant]:
    """Yield every mutant of one function, in the order of its source; two changes with the same code are one."""
    source = path.read_text()
    tree = ast.parse(source)
    lines = source.splitlines()
    target = dict(_definitions(tree.body, ""))[name]
    tree.body = [node for node in tree.body if isinstance(node, ast.ImportFrom) or target in ast.walk(node)]
    seen: set[str] = set()
    for parent, field, index, node in _places(target):
        for new in _changes(node):
            ast.copy_location(new, node)
            what = f"{ast.unparse(node)} -> {ast.unparse(new)}"
            _put(parent, field, index, new)
            text = ast.unparse(target)
            if text not in seen:
                seen.add(text)
                changed = ast.fix_missing_locations(copy.deepcopy(tree))
                code = _code(compile(changed, str(path), "exec"), name)
                yield Mutant(name, node.lineno, what, lines[node.lineno - 1].strip(), code)
            _put(parent, field, index, node)


def _put(parent: ast.AST, field: str, index: int | None, node: ast.AST) -> None:
    if index is None:
        setattr(parent, field, node)
    else:
        getattr(parent, field)[index] = node


def _code(module: CodeType, name: str) -> CodeType:
    """The code of a function inside that of its module."""
    for part in name.split("."):
        (module,) = (c for c in module.co_consts if isinstance(c, CodeType) and c.co_name == part)
    return module


def _places(function: ast.FunctionDef) -> Iterator[tuple[ast.AST, str, int | None, ast.expr]]:
    """Every expression that belongs to a formula, with the place that holds it."""
    for statement in function.body:
        yield from _inside(statement)


def _inside(node: ast.AST) -> Iterator[tuple[ast.AST, str, int | None, ast.expr]]:
    if isinstance(node, _SILENT) or _is_words(node):
        return
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "args") and not isinstance(node, ast.Call):
            continue
        if field == "format_spec" or (field == "test" and _only_raises(node)):
            continue
        for index, item in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(item, ast.expr) and not _is_words(item):
                yield node, field, index, item
            if isinstance(item, ast.AST):
                yield from _inside(item)


def _only_raises(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and all(isinstance(s, ast.Raise) for s in node.body)


def _is_words(node: ast.AST) -> bool:
    """A docstring, or the making of an error or a warning."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if not isinstance(node, ast.Call):
        return False
    name = _name(node.func)
    return name.endswith("Error") or name in ("warn", "unknown", "join", "say")


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _changes(node: ast.expr) -> Iterator[ast.expr]:
    kinds: dict[type[ast.expr], Callable[..., Iterator[ast.expr]]] = {
        ast.BinOp: _of_operation,
        ast.UnaryOp: _of_sign,
        ast.Constant: _of_constant,
        ast.Call: _of_call,
        ast.Compare: _of_comparison,
        ast.Attribute: _of_attribute,
        ast.IfExp: _of_choice,
    }
    return kinds[type(node)](node) if type(node) in kinds else iter(())


def _of_operation(node: ast.BinOp) -> Iterator[ast.expr]:
    if any(_is_text_or_list(side) for side in (node.left, node.right)):
        return
    if type(node.op) in _SWAPPED:
        yield ast.BinOp(node.left, _SWAPPED[type(node.op)](), node.right)
    if isinstance(node.op, (ast.Add, ast.Sub, ast.Mult)):
        yield node.left
        yield node.right
    if isinstance(node.op, (ast.Div, ast.Pow)):
        yield node.left
    if isinstance(node.op, (ast.Mult, ast.Div)):
        yield ast.BinOp(ast.Constant(2), ast.Mult(), node)
        yield ast.UnaryOp(ast.USub(), node)
    if isinstance(node.op, ast.Pow) and not isinstance(node.right, ast.Constant):
        yield ast.BinOp(node.left, ast.Pow(), ast.BinOp(node.right, ast.Add(), ast.Constant(1)))


def _is_text_or_list(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str)
    return isinstance(node, (ast.JoinedStr, ast.List, ast.Tuple, ast.ListComp, ast.Set, ast.Dict))


def _of_sign(node: ast.UnaryOp) -> Iterator[ast.expr]:
    if isinstance(node.op, (ast.USub, ast.Not)):
        yield node.operand


def _of_constant(node: ast.Constant) -> Iterator[ast.expr]:
    if isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
        yield ast.Constant(node.value + 1)
    elif isinstance(node.value, str) and node.value in _TWINS and node.value not in _NAMES:
        yield ast.Constant(_TWINS[node.value])


def _of_call(node: ast.Call) -> Iterator[ast.expr]:
    name = _name(node.func)
    if name in _NAMES:
        twin = _TWINS[name]
        func = ast.Name(twin, ast.Load()) if isinstance(node.func, ast.Name) else _with(node.func, attr=twin)
        yield ast.Call(func, node.args, node.keywords)
    if name in _ROOTS:
        if isinstance(node.func, ast.Attribute) and not node.args:
            yield node.func.value
        elif len(node.args) == 1:
            yield node.args[0]
    if name not in _NO_ARITHMETIC and name not in _NAMES and not any(isinstance(a, ast.Starred) for a in node.args):
        for k in range(len(node.args) - 1):
            first, second = node.args[k : k + 2]
            if ast.dump(first) != ast.dump(second):
                yield ast.Call(node.func, [*node.args[:k], second, first, *node.args[k + 2 :]], node.keywords)
    by_name = {k.arg: k.value for k in node.keywords}
    if {"noise", "data"} <= set(by_name):
        twins = [ast.keyword(_TWINS[k.arg], k.value) if k.arg in ("noise", "data") else k for k in node.keywords]
        yield ast.Call(node.func, node.args, twins)


def _with(node: ast.expr, **fields: object) -> ast.expr:
    new = copy.copy(node)
    for key, value in fields.items():
        setattr(new, key, value)
    return new


def _of_comparison(node: ast.Compare) -> Iterator[ast.expr]:
    for k, op in enumerate(node.ops):
        if type(op) in _FLIPPED:
            yield ast.Compare(node.left, [*node.ops[:k], _FLIPPED[type(op)](), *node.ops[k + 1 :]], node.comparators)


def _of_attribute(node: ast.Attribute) -> Iterator[ast.expr]:
    if isinstance(node.ctx, ast.Load) and node.attr in _TWINS and node.attr not in _NAMES:
        yield _with(node, attr=_TWINS[node.attr])


def _of_choice(node: ast.IfExp) -> Iterator[ast.expr]:
    if not isinstance(node.test, (ast.Compare, ast.UnaryOp)):
        yield ast.IfExp(node.test, node.orelse, node.body)

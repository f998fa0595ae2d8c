"""Our printer's text as torch functions: the one place where generated code is run.

The names that a text defines become the local names of a function around it, not a module's globals. So torch.compile
finds them in the closure, whatever else has been made meanwhile, and a function that nobody holds is gone with its
text: neither `sys.modules` nor anything else keeps it, but for the few that `evaluate_on` used last.
"""

from __future__ import annotations

import hashlib
import linecache
import textwrap
import weakref
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import torch
from sympy import Expr, Symbol
from torch import Tensor

from symsi.algebra.printing import TorchPrinter

__all__ = ["compiled", "evaluate_on"]

_live: weakref.WeakValueDictionary[str, Callable[..., Any]] = weakref.WeakValueDictionary()


def compiled(text: str, name: str) -> Callable[..., Any]:
    """Return the function `name` that `text`, in which torch is known, defines; the same one while it is in use."""
    around = f"def made():\n    import torch\n\n{textwrap.indent(text, '    ')}\n    return {name}\n"
    file = f"symsi_{hashlib.sha256(around.encode()).hexdigest()[:16]}"
    found = _live.get(file)
    if found is None:
        scope: dict[str, Any] = {"__name__": file}
        exec(compile(around, file, "exec"), scope)  # noqa: S102 - our printer's text of whitelisted expressions
        function: Callable[..., Any] = scope.pop("made")()
        linecache.cache[file] = (len(around), None, around.splitlines(keepends=True), file)  # for tracebacks
        weakref.finalize(function, linecache.cache.pop, file, None).atexit = False
        _live[file] = found = function
    return found


def evaluate_on(formulas: Mapping[str, Expr], point: Mapping[Symbol, Tensor]) -> dict[str, Tensor]:
    """Evaluate formulas on float64 tensors that broadcast together; each result has the shape of them all."""
    found = _function(tuple(formulas.items()), tuple(symbol.name for symbol in point))(*point.values())
    nothing = sum(0 * value for value in point.values())
    return {name: torch.as_tensor(value, dtype=torch.float64) + nothing for name, value in found.items()}


@lru_cache(maxsize=64)
def _function(formulas: tuple[tuple[str, Expr], ...], names: tuple[str, ...]) -> Callable[..., Any]:
    """Formulas as one function of the symbols of these names."""
    printer = TorchPrinter()
    body = "".join(f"        {name!r}: {printer.text(expr)},\n" for name, expr in formulas)
    return compiled(f"def values({', '.join(names)}):\n    return {{\n{body}    }}\n", "values")

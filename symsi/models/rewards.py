"""Rewards by name: what a sample is worth, as a number for each image of a batch in the units of the data."""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from symsi.errors import SymsiError, unknown
from symsi.models import mnist
from symsi.models.mixer import Mixer, load_mixer

__all__ = ["Reward", "reward"]

_NAMES = ("class=N", "ink", "symmetry", "python:MODULE.FUNCTION")
_TERM = re.compile(
    r"\s*(?P<sign>[+-]?)\s*(?:(?P<weight>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*\*\s*)?"
    r"(?P<name>class=[+-]?[^\s*+-]*|[^\s*+-]+)\s*"
)
_CLASSES = 10


@dataclass(frozen=True)
class Reward:
    """A weighted sum of terms; `text` is what it was read from.

    Called with images (B, C, H, W) in the units of the data, offset + gain x of the model, it returns (B,); it is
    differentiable where its terms are. Raises SymsiError for another shape, of the images or of what a term returns.
    """

    text: str
    terms: tuple[tuple[float, Callable[[Tensor], Tensor]], ...]

    def __post_init__(self) -> None:
        """Take the text as the name that a function has."""
        object.__setattr__(self, "__qualname__", self.text)

    def __call__(self, x: Tensor) -> Tensor:
        """Return the sum of weight times term, (B,)."""
        if x.ndim != 4:
            raise SymsiError(f"the reward {self.text!r} takes images of shape (B, C, H, W); got {tuple(x.shape)}.")
        x = x if x.dtype == torch.float64 else x.float()
        first, *others = (weight * self._checked(term(x), len(x)) for weight, term in self.terms)
        return sum(others, first)

    def __str__(self) -> str:
        """Return the text."""
        return self.text

    def _checked(self, value: Any, count: int) -> Tensor:
        if not isinstance(value, Tensor) or value.shape != (count,):
            got = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            raise SymsiError(f"the reward {self.text!r} must return a tensor of shape ({count},); got {got}.")
        return value


def reward(text: str) -> Reward:
    """Return the reward that a text names: terms joined by + and -, each a name or WEIGHT*name.

    class=N     log of the probability of class N (0..9), in nats, by the mixer of `digits28-reward` on (x - mean)/std
    ink         the mean of x over channels and pixels: from 0, black, to 1, white
    symmetry    -mean((x - mirror(x))^2), with left and right exchanged
    python:MODULE.FUNCTION   a function of images (B, C, H, W) that returns (B,); MODULE is looked for in the current
                folder first, which goes onto sys.path

    So "class=7 + 0.5*symmetry" and "-ink". Raises UnknownNameError with the closest name, and SymsiError for a text
    that is no such sum, a class outside 0..9, and a module or a function that is not there or cannot be called.
    """
    terms: list[tuple[float, Callable[[Tensor], Tensor]]] = []
    end = 0
    while end < len(text) or not terms:
        found = _TERM.match(text, end)
        if not found or (terms and not found["sign"]):
            raise SymsiError(
                "a reward is a sum of names, each with a weight or none, such as 'class=7 + 0.5*symmetry' or '-ink'; "
                f"got {text!r}, where {text[end:].strip()!r} is no term."
            )
        weight = float(found["weight"] or 1) * (-1 if found["sign"] == "-" else 1)
        if not math.isfinite(weight):
            raise SymsiError(f"the weight {found['weight']} in the reward {text!r} is too large for a float.")
        terms.append((weight, _term(found["name"])))
        end = found.end()
    return Reward(text.strip(), tuple(terms))


def _term(name: str) -> Callable[[Tensor], Tensor]:
    if name == "ink":
        return _ink
    if name == "symmetry":
        return _symmetry
    kind, separator, value = name.partition("=" if name.startswith("class") else ":")
    if kind == "class" and separator:
        return _LogProbability(_class(value))
    if kind == "python" and separator:
        return _imported(value)
    raise unknown("reward", name, _NAMES)


def _ink(x: Tensor) -> Tensor:
    return x.mean((1, 2, 3))


def _symmetry(x: Tensor) -> Tensor:
    return -(x - x.flip(-1)).square().mean((1, 2, 3))


@dataclass(frozen=True)
class _LogProbability:
    """log_softmax of the mixer's logits at a class."""

    label: int

    def __call__(self, x: Tensor) -> Tensor:
        if x.shape[1:] != (1, 28, 28):
            raise SymsiError(
                f"the reward class={self.label} takes digits of shape (B, 1, 28, 28), as digits28 gives; "
                f"got {tuple(x.shape)}."
            )
        logits: Tensor = _mixer(str(x.device))((x.float() - mnist.MEAN) / mnist.STD)
        return logits.log_softmax(1)[:, self.label]


@cache
def _mixer(device: str) -> Mixer:
    with torch.inference_mode(False):  # else no gradient goes through its weights later
        return load_mixer()[0].to(device)


def _class(text: str) -> int:
    if not re.fullmatch(r"\d+", text, re.ASCII) or int(text) >= _CLASSES:
        raise SymsiError(f"class={text} is none of the digits: N of class=N must lie in 0..{_CLASSES - 1}.")
    return int(text)


def _imported(path: str) -> Callable[[Tensor], Tensor]:
    module, _, name = path.rpartition(".")
    if not all(part.isidentifier() for part in path.split(".")) or not module:
        raise SymsiError(f"python: takes MODULE.FUNCTION, such as python:rewards.brightness; got {path!r}.")
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        held = import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise SymsiError(f"the module {module} of python:{path} needs {error.name}, which is not there.") from error
        raise SymsiError(
            f"there is no module {error.name}, of python:{path}; it is looked for in {os.getcwd()} and where Python "
            "looks for packages."
        ) from None
    except Exception as error:
        raise SymsiError(f"the module {module} of python:{path} fails: {type(error).__name__}: {error}.") from error
    if not hasattr(held, name):
        raise unknown(f"function of {module}", name, [key for key in vars(held) if not key.startswith("_")])
    function: Any = getattr(held, name)
    if not callable(function):
        raise SymsiError(f"python:{path} is {type(function).__name__}, not a function of images (B, C, H, W).")
    return function  # type: ignore[no-any-return]

"""Every refusal of symsi: one family, and messages that say what was given, what is required, what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = [
    "BudgetError",
    "DiffusionError",
    "EndpointError",
    "InterpolantError",
    "MetricError",
    "MissingPackageError",
    "ModelError",
    "ParseError",
    "PlanError",
    "ScheduleError",
    "SchedulerError",
    "SymsiError",
    "UnknownNameError",
    "unknown",
]


class SymsiError(Exception):
    """Base of all errors that symsi raises on bad input."""


class ParseError(SymsiError, ValueError):
    """A string is not a formula in the accepted vocabulary."""


class ScheduleError(SymsiError, ValueError):
    """A pair (alpha, beta) does not carry noise to data."""


class InterpolantError(SymsiError, ValueError):
    """A triple (alpha, beta, gamma) does not bridge two laws, or a bridge was asked for what it does not have."""


class DiffusionError(SymsiError, ValueError):
    """A diffusion scale is not a non-negative function of time."""


class EndpointError(SymsiError, ValueError):
    """A coefficient was asked for at an end of [0, 1] where it has no finite limit."""


class MetricError(SymsiError, ValueError):
    """A metric was asked of tensors that it is not defined for."""


class MissingPackageError(SymsiError, ImportError):
    """An optional package is not installed; the message gives the command that installs it."""


class ModelError(SymsiError, ValueError):
    """A model returned what is no prediction."""


class PlanError(SymsiError, ValueError):
    """A plan's numbers are not those of a sampler, or its file is not one that symsi wrote."""


class BudgetError(SymsiError, ValueError):
    """A budget of evaluations or of rewards does not carry what was asked for."""


class SchedulerError(SymsiError, ValueError):
    """A scheduler was configured or called with what does not fit."""


class UnknownNameError(SymsiError, KeyError):
    """A name is not in a table; the message gives the closest one."""

    __str__ = Exception.__str__  # a KeyError would show the message's repr


def unknown(what: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """Return the error for `name` missing from `known`, with the closest match and the whole table."""
    options = sorted(known)
    lowered = {option.lower(): option for option in options}
    close = get_close_matches(name.lower(), lowered, n=1, cutoff=0.5)
    hint = f" Did you mean {lowered[close[0]]!r}?" if close else ""
    return UnknownNameError(f"unknown {what} {name!r}.{hint} Known: {', '.join(options)}.")

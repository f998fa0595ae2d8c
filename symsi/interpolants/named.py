"""The schedules of the literature by name: each is one line of expressions."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType

from sympy import Expr

from symsi.errors import ParseError, ScheduleError, unknown
from symsi.interpolants.lazy import lazy_schedule
from symsi.interpolants.schedule import Schedule

__all__ = ["NAMED", "Named", "as_schedule", "read_call", "schedule"]

_COSINE_ANGLE = "pi/2*(1-t+delta)/(1+delta)"
_DDPM_EXPONENT = "(B-b)*(1-t)**2/2+b*(1-t)"


@dataclass(frozen=True)
class Named:
    """A row of the table: formulas, default parameters, and where the schedule comes from."""

    alpha: str
    beta: str
    source: str
    parameters: Mapping[str, float | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make the parameters read-only."""
        object.__setattr__(self, "parameters", MappingProxyType(dict(self.parameters)))


NAMED: dict[str, Named] = {
    "linear": Named("1-t", "t", "flow matching, rectified flow (Lipman et al. 2023; Liu et al. 2023)"),
    "trigonometric": Named("cos(pi*t/2)", "sin(pi*t/2)", "Albergo & Vanden-Eijnden 2023; SiT's GVP"),
    "vp": Named("sqrt(1-t**2)", "t", "variance preserving in beta = t"),
    "ddpm": Named(
        f"sqrt(1-exp(-({_DDPM_EXPONENT})))",
        f"exp(-({_DDPM_EXPONENT})/2)",
        "variance preserving, linear noise rate from b to B (Ho et al. 2020; Song et al. 2021)",
        {"b": 0.1, "B": 20},
    ),
    "polynomial": Named("1-t**n", "t**n", "flow_matching's polynomial convex schedule", {"n": 2}),
    "cosine": Named(
        f"sqrt(1-(cos({_COSINE_ANGLE})/cos(pi/2*delta/(1+delta)))**2)",
        f"cos({_COSINE_ANGLE})/cos(pi/2*delta/(1+delta))",
        "Nichol & Dhariwal 2021, offset delta",
        {"delta": 0.008},
    ),
    "ve": Named(
        "low*sqrt((high/low)**(2*(1-t))-1)",
        "1",
        "variance exploding, exact kernel of the SDE (Song et al. 2021)",
        {"low": 0.01, "high": 50},
    ),
    "edm": Named("high*(1-t)", "1", "sigma(t) = t, s(t) = 1 (Karras et al. 2022)", {"high": 80}),
    "shifted": Named(
        "shift*(1-t)/(1+(shift-1)*(1-t))",
        "t/(1+(shift-1)*(1-t))",
        "linear with the time shift of SD3 and FLUX (Esser et al. 2024)",
        {"shift": 3},
    ),
}


def schedule(name: str, **parameters: float | str | Expr | None) -> Schedule:
    """Return a named schedule: "linear", "shifted(shift=3)", "lazy(kappa=1, variance=2)", or with keywords.

    Names and default parameters are in `NAMED`; "lazy" takes those of `lazy_schedule`. Raises UnknownNameError with
    the closest match, ScheduleError or ParseError for parameters that do not fit.
    """
    head, given = read_call(name)
    return _build(head, tuple(sorted({**given, **parameters}.items())))


def as_schedule(spec: Schedule | str) -> Schedule:
    """Return a schedule as it is, or the one of that name. Raises ScheduleError for what is neither."""
    if isinstance(spec, Schedule):
        return spec
    if not isinstance(spec, str):
        raise ScheduleError(f"a schedule is a name such as 'linear' or a symsi.Schedule; got {type(spec).__name__}.")
    return schedule(spec)


@lru_cache(maxsize=256)
def _build(name: str, given: tuple[tuple[str, float | str | Expr | None], ...]) -> Schedule:
    parameters = dict(given)
    if name == "lazy":
        _known(parameters, ("kappa", "variance", "beta"), name)
        return lazy_schedule(**parameters)
    if name not in NAMED:
        raise unknown("schedule", name, [*NAMED, "lazy"])
    entry = NAMED[name]
    _known(parameters, tuple(entry.parameters), name)
    shown = ", ".join(f"{k}={v}" for k, v in parameters.items())
    return Schedule(
        alpha=entry.alpha,
        beta=entry.beta,
        parameters={**entry.parameters, **parameters},
        name=f"{name}({shown})" if shown else name,
    )


def _known(given: dict[str, float | str | Expr | None], known: tuple[str, ...], name: str) -> None:
    for key in given:
        if key not in known:
            raise unknown(f"parameter of schedule {name!r}", key, known)


def read_call(text: str) -> tuple[str, dict[str, str]]:
    """Read `name` or `name(key=expression, ...)`; the values stay strings for the whitelist parser."""
    if not isinstance(text, str) or len(text) > 500:
        raise ScheduleError("a schedule is named by a short string such as 'linear' or 'lazy(kappa=1)'.")
    head, bracket, rest = text.strip().partition("(")
    if not bracket:
        return head.strip(), {}
    try:
        node = ast.parse(f"f({rest}", mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        node = None
    if not isinstance(node, ast.Call) or node.args or any(k.arg is None for k in node.keywords):
        raise ParseError(f"cannot read the schedule {text!r}; write a name with keywords, e.g. 'lazy(kappa=1)'.")
    return head.strip(), {str(k.arg): ast.get_source_segment(f"f({rest}", k.value) or "" for k in node.keywords}

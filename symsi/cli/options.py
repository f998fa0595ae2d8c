"""The options that name a conversion or a way to sample, the same for every command that takes one."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import Any

import click

from symsi.errors import ScheduleError, SymsiError
from symsi.interpolants.named import NAMED, schedule
from symsi.interpolants.schedule import Schedule
from symsi.theory.conversion import Conversion, convert
from symsi.theory.fields import PREDICTIONS

__all__ = [
    "Pair",
    "at_most_one",
    "conversion_options",
    "device_of_rank",
    "dtype_option",
    "read_counts",
    "read_grid",
    "read_parameters",
    "sampling_options",
    "steering_options",
]

_NAMES = ", ".join([*NAMED, "lazy"])


_CONVERSION = (
    click.option("--from", "source", metavar="NAME", help=f"The schedule the network was trained with: {_NAMES}."),
    click.option("--alpha", metavar="EXPR", help="Instead of --from: the noise coefficient, an expression in t."),
    click.option("--beta", metavar="EXPR", help="With --alpha: the data coefficient."),
    click.option("--to", "target", metavar="NAME", help="The schedule to sample with; default: the same."),
    click.option("--to-alpha", metavar="EXPR", help="Instead of --to: the noise coefficient, an expression in t."),
    click.option("--to-beta", metavar="EXPR", help="With --to-alpha: the data coefficient."),
    click.option(
        "--parameter", "parameters", multiple=True, metavar="NAME=VALUE", help="Of the expressions; may be repeated."
    ),
    click.option(
        "--diffusion",
        default="ode",
        show_default=True,
        metavar="ode|optimal|kappa=K|EXPR",
        help="epsilon of the target's SDE; EXPR may use t, alpha, beta, optimal.",
    ),
    click.option(
        "--prediction",
        default="velocity",
        show_default=True,
        metavar="|".join(PREDICTIONS),
        help="What the network predicts.",
    ),
)


@dataclass(frozen=True)
class Pair:
    """What the options say about a conversion."""

    source: str | None
    alpha: str | None
    beta: str | None
    target: str | None
    to_alpha: str | None
    to_beta: str | None
    parameters: tuple[str, ...]
    diffusion: str
    prediction: str

    def conversion(self, base: str = "", target: str = "") -> Conversion:
        """Return the conversion; `base` and `target` stand where no base is named. Raises SymsiError."""
        expressions = [self.alpha, self.beta, self.to_alpha, self.to_beta]
        if self.parameters and not any(expressions):
            raise ScheduleError(
                "--parameter is of --alpha, --beta, --to-alpha and --to-beta; a name has its own: 'polynomial(n=3)'."
            )
        declared = read_parameters(self.parameters)
        named = bool(self.source or self.alpha or self.beta)
        start = _read_side(("--from", self.source), ("--alpha", self.alpha), ("--beta", self.beta), declared)
        if start is None:
            if not base:
                raise ScheduleError(f"give --from NAME ({_NAMES}), or both --alpha and --beta.")
            start = schedule(base)
        goal = _read_side(("--to", self.target), ("--to-alpha", self.to_alpha), ("--to-beta", self.to_beta), declared)
        if goal is None:
            goal = start if named or not target else schedule(target)
        return convert(start, goal, self.diffusion, self.prediction)


def conversion_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that name a conversion; the command gets them as one `Pair`, called `pair`."""

    @wraps(function)
    def command(**given: Any) -> None:
        function(pair=Pair(**{item.name: given.pop(item.name) for item in fields(Pair)}), **given)

    wrapped: Callable[..., None] = command
    for option in reversed(_CONVERSION):
        wrapped = option(wrapped)
    return wrapped


_SAMPLING: dict[str, dict[str, Any]] = {
    "--schedule": {
        "metavar": "NAME",
        "help": f"The schedule to sample with: {_NAMES}. Default: trigonometric, which is lazy(kappa=0); of a network "
        "of noise under ddpm its own.",
    },
    "--diffusion": {
        "default": "ode",
        "show_default": True,
        "metavar": "ode|optimal|kappa=K|EXPR",
        "help": "epsilon of its SDE; EXPR may use t, alpha, beta, optimal.",
    },
    "--solver": {
        "metavar": "NAME",
        "help": "euler, heun, ab2, ab3, dpm++2m, gaussian (fitted to --reference); with noise euler-maruyama, "
        "ab2-maruyama, exact, exact-ab2. "
        "Default: ab2, or exact (euler-maruyama for an EXPR).",
    },
    "--steps": {"default": 4, "show_default": True, "type": int, "help": "Steps; heun evaluates twice a step."},
    "--grid": {
        "metavar": "NAME|TIMES",
        "help": "uniform, eased, linear, angle, point-mass, log-snr, shifted(shift=S), or times such as 0,0.3,0.7,1. "
        "Default: shifted(shift=2); in a noise network's own schedule eased.",
    },
    "--last": {
        "type": click.Choice(["step", "land"]),
        "help": "The last step: as the others, or land on the data prediction. Default: land with noise.",
    },
    "--reference": {
        "type": click.Path(path_type=Path),
        "metavar": "FILE",
        "help": "Step in the modes of a Gaussian reference, or as --solver gaussian fits it; see `symsi calibrate`.",
    },
}


def sampling_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say how to sample."""
    for name, words in reversed(_SAMPLING.items()):
        function = click.option(name, **words)(function)
    return function


_STEERING = {
    "--diffusion": "epsilon of its SDE; EXPR may use t, alpha, beta, optimal. Default: optimal; of bon and sop ode.",
    "--steps": "Levels, of one evaluation a particle. Default: 10.",
}


def steering_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the same options, None where they are left out: the defaults are the method's."""
    for name, words in reversed(_SAMPLING.items()):
        own = {key: value for key, value in words.items() if key not in ("default", "show_default")}
        own["help"] = _STEERING.get(name, own["help"].partition(" Default: ")[0])
        function = click.option(name, **own)(function)
    return function


def at_most_one(**given: bool) -> None:
    """Raise SymsiError where more than one of these flags is given."""
    names = [name for name, present in given.items() if present]
    if len(names) > 1:
        raise SymsiError(f"give one of {' and '.join(names)}; each is a way to print the same thing.")


dtype_option = click.option(
    "--dtype",
    default="float32",
    show_default=True,
    type=click.Choice(("float32", "bfloat16", "float16")),
    help="Of the network's weights and evaluations.",
)


def read_grid(text: str) -> str | list[float]:
    """Return a grid by name, or the times written out. Raises SymsiError."""
    if "," not in text or "(" in text:
        return text
    try:
        return [float(item) for item in text.split(",")]
    except ValueError:
        raise SymsiError(f"--grid takes a name or times such as 0,0.3,0.7,1; got {text!r}.") from None


def read_counts(option: str, text: str, least: int = 1) -> list[int]:
    """Return the whole numbers of an option such as "2,4,8". Raises SymsiError that names the option."""
    try:
        found = [int(item) for item in text.split(",")]
    except ValueError:
        found = [least - 1]
    if min(found) < least:
        raise SymsiError(f"{option} takes a whole number from {least} on, or several, such as 2,4,8; got {text!r}.")
    return found


def _read_side(
    name: tuple[str, str | None],
    alpha: tuple[str, str | None],
    beta: tuple[str, str | None],
    parameters: dict[str, str | None],
) -> Schedule | None:
    """Return the schedule that options name or write out, each given as (option, value); None where none is given."""
    if name[1]:
        if alpha[1] or beta[1]:
            raise ScheduleError(f"give {name[0]} NAME, or {alpha[0]} and {beta[0]} with --parameter, not both.")
        return schedule(name[1])
    if alpha[1] is None and beta[1] is None:
        return None
    if alpha[1] is None or beta[1] is None:
        raise ScheduleError(f"give {name[0]} NAME ({_NAMES}), or both {alpha[0]} and {beta[0]}.")
    return Schedule(alpha[1], beta[1], parameters=parameters)


def read_parameters(items: tuple[str, ...]) -> dict[str, str | None]:
    """Return the values of --parameter by name. Raises ScheduleError."""
    declared: dict[str, str | None] = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not equals or not name.strip().isidentifier():
            raise ScheduleError(f"--parameter takes NAME=VALUE, e.g. n=2; got {item!r}.")
        declared[name.strip()] = value
    return declared


def device_of_rank(device: str) -> str:
    """Return the GPU of this process: where torchrun starts one a GPU, cuda is the one of its local rank."""
    local = os.environ.get("LOCAL_RANK", "")
    return f"cuda:{int(local)}" if device == "cuda" and local.isdecimal() else device

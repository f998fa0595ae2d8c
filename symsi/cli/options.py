"""The options that name a conversion or a way to sample, the same for every command that takes one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from symsi.errors import ScheduleError, SymsiError
from symsi.interpolants.named import NAMED, schedule
from symsi.interpolants.schedule import Schedule
from symsi.theory.fields import PREDICTIONS

__all__ = ["at_most_one", "base_schedule", "read_grid", "sampling_options", "schedule_options"]

_NAMES = ", ".join([*NAMED, "lazy"])


_OPTIONS = (
    click.option("--from", "source", metavar="NAME", help=f"The schedule the network was trained with: {_NAMES}."),
    click.option("--alpha", metavar="EXPR", help="Instead of --from: the noise coefficient, an expression in t."),
    click.option("--beta", metavar="EXPR", help="With --alpha: the data coefficient."),
    click.option("--parameter", "parameters", multiple=True, metavar="NAME=VALUE", help="Of --alpha and --beta."),
    click.option("--to", "target", metavar="NAME", help="The schedule to sample with; default: the same."),
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


def schedule_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that name a conversion."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


_SAMPLING = (
    click.option(
        "--schedule",
        default="trigonometric",
        show_default=True,
        metavar="NAME",
        help=f"The schedule to sample with: {_NAMES}. trigonometric is lazy(kappa=0).",
    ),
    click.option(
        "--diffusion",
        default="ode",
        show_default=True,
        metavar="ode|optimal|kappa=K|EXPR",
        help="epsilon of its SDE; EXPR may use t, alpha, beta, optimal.",
    ),
    click.option(
        "--solver",
        metavar="NAME",
        help="euler, heun, ab2, ab3, dpm++2m; with noise euler-maruyama, ab2-maruyama, exact, exact-ab2. "
        "Default: ab2, or euler-maruyama.",
    ),
    click.option("--steps", default=4, show_default=True, type=int, help="Steps; heun evaluates twice a step."),
    click.option(
        "--grid",
        default="shifted(shift=2)",
        show_default=True,
        metavar="NAME|TIMES",
        help="uniform, linear, angle, point-mass, log-snr, shifted(shift=S), or times such as 0,0.3,0.7,1.",
    ),
    click.option(
        "--last",
        type=click.Choice(["step", "land"]),
        help="The last step: as the others, or land on the data prediction. Default: land with noise.",
    ),
    click.option(
        "--reference",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Step in the modes of a Gaussian reference; see `symsi calibrate`.",
    ),
)


def sampling_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say how to sample."""
    for option in reversed(_SAMPLING):
        function = option(function)
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


def read_grid(text: str) -> tuple[str | list[float], bool]:
    """Return a grid by name, or the times written out, and whether it is the latter. Raises SymsiError."""
    if "," not in text or "(" in text:
        return text, False
    try:
        return [float(item) for item in text.split(",")], True
    except ValueError:
        raise SymsiError(f"--grid takes a name or times such as 0,0.3,0.7,1; got {text!r}.") from None


def base_schedule(source: str | None, alpha: str | None, beta: str | None, parameters: tuple[str, ...]) -> Schedule:
    """Return the schedule that the options name. Raises ScheduleError where they do not name one."""
    if source and (alpha or beta or parameters):
        raise ScheduleError("give --from NAME, or --alpha and --beta with --parameter, not both.")
    if source:
        return schedule(source)
    if alpha is None or beta is None:
        raise ScheduleError(f"give --from NAME ({_NAMES}), or both --alpha and --beta.")
    declared: dict[str, str | None] = {}
    for item in parameters:
        name, equals, value = item.partition("=")
        if not equals or not name.strip().isidentifier():
            raise ScheduleError(f"--parameter takes NAME=VALUE, e.g. n=2; got {item!r}.")
        declared[name.strip()] = value
    return Schedule(alpha, beta, parameters=declared)

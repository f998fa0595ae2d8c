"""The options that name a conversion, the same for every command that takes one."""

from __future__ import annotations

from collections.abc import Callable

import click

from symsi.errors import ScheduleError
from symsi.symbolic.fields import PREDICTIONS
from symsi.symbolic.named import NAMED, schedule
from symsi.symbolic.schedule import Schedule

__all__ = ["base_schedule", "schedule_options"]

_NAMES = ", ".join([*NAMED, "lazy"])


_OPTIONS = (
    click.option("--from", "source", metavar="NAME", help=f"The schedule the network was trained with: {_NAMES}."),
    click.option("--alpha", metavar="EXPR", help="Instead of --from: the noise coefficient, an expression in t."),
    click.option("--beta", metavar="EXPR", help="With --alpha: the data coefficient."),
    click.option("--parameter", "parameters", multiple=True, metavar="NAME=VALUE", help="Of --alpha and --beta."),
    click.option("--to", "target", metavar="NAME", help="The schedule to sample with; default: the same."),
    click.option("--diffusion", default="ode", show_default=True, metavar="ode|optimal|kappa=K|EXPR",
              help="epsilon of the target's SDE; EXPR may use t, alpha, beta, optimal."),
    click.option("--prediction", default="velocity", show_default=True, metavar="|".join(PREDICTIONS),
              help="What the network predicts."),
)  # fmt: skip


def schedule_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that name a conversion."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


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

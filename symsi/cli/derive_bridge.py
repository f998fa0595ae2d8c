"""`symsi derive --interpolant`: every formula between two laws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

import click
from sympy import sstr

from symsi.cli.options import Pair, read_parameters
from symsi.errors import InterpolantError
from symsi.interpolants.named_two_sided import interpolant
from symsi.interpolants.two_sided import Interpolant
from symsi.theory.bridge import SYMBOLS, Bridge, bridge

__all__ = ["Sides", "bridge_options", "text"]

_GIVEN = "velocity,latent"
_OPTIONS = (
    click.option("--interpolant", metavar="NAME", help="Two-sided: linear, trigonometric, encoding-decoding."),
    click.option(
        "--gamma", metavar="NAME|EXPR", help="Of it: brownian, quadratic, sine, sigmoid, or an expression in t."
    ),
    click.option("--given", default=_GIVEN, show_default=True, help="Its two predictions; EXPR may use gamma."),
)


@dataclass(frozen=True)
class Sides:
    """What the options say about a two-sided interpolant."""

    name: str | None
    gamma: str | None
    given: str

    @property
    def asked(self) -> bool:
        """Whether a two-sided interpolant is meant at all."""
        return self.name is not None or self.gamma is not None or self.given != _GIVEN

    def bridge(self, pair: Pair) -> Bridge:
        """Return the bridge, with the options that it shares with a conversion. Raises SymsiError."""
        foreign = {"--from": pair.source, "--to": pair.target, "--to-alpha": pair.to_alpha, "--to-beta": pair.to_beta}
        foreign |= {"--prediction": pair.prediction if pair.prediction != "velocity" else None}
        for option, value in foreign.items():
            if value:
                raise InterpolantError(
                    f"{option} is of a schedule; --interpolant NAME, --gamma and --given say all of a bridge."
                )
        names = tuple(part.strip() for part in self.given.split(","))
        if len(names) != 2:
            raise InterpolantError(f"--given takes two predictions, such as velocity,latent; got {self.given!r}.")
        return bridge(self._interpolant(pair), pair.diffusion, (names[0], names[1]))

    def _interpolant(self, pair: Pair) -> Interpolant:
        declared = read_parameters(pair.parameters)
        if pair.alpha is None and pair.beta is None:
            if self.name is None:
                raise InterpolantError("give --interpolant NAME, or --alpha and --beta, with --gamma.")
            return interpolant(self.name, *([self.gamma] if self.gamma else []), **declared)
        if self.name is not None or pair.alpha is None or pair.beta is None or self.gamma is None:
            raise InterpolantError("give --interpolant NAME, or --alpha, --beta and --gamma as expressions in t.")
        return Interpolant(pair.alpha, pair.beta, self.gamma, parameters=declared)


def bridge_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that name a two-sided interpolant; the command gets them as one `Sides`, called `sides`."""

    @wraps(function)
    def command(interpolant: str | None, gamma: str | None, given: str, **others: Any) -> None:
        function(sides=Sides(interpolant, gamma, given), **others)

    wrapped: Callable[..., None] = command
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped


def text(b: Bridge) -> str:
    """Return the bridge as aligned plain text."""
    i = b.interpolant
    lines = [f"interpolant  {i.name}: x0 at t = 0, x1 at t = 1  [gamma > 0 {i.evidence['gamma > 0']}]"]
    lines += [f"  {name:<10} {sstr(getattr(i, name))}" for name in ("alpha", "beta", "gamma")]
    lines += [f"  {'gamma_rate':<10} {sstr(b.coefficients['gamma_rate'])}", f"  {'epsilon':<10} {sstr(b.epsilon)}"]
    known = " and ".join(f"{SYMBOLS[kind]} = {kind}" for kind in b.given)
    lines += ["", f"with {known} at (t, x); forward dX = b_F dt + sqrt(2 epsilon) dW, backward b_B:"]
    lines += [f"  {kind:<10} {sstr(b.field(kind))}" for kind in b.fields]
    lines += ["", f"limits    {'t -> 0':<34} t -> 1"]
    lines += [f"  {name:<20} {first.short:<30} {last.short}" for name, (first, last) in b.limits.items()]
    return "\n".join(lines)

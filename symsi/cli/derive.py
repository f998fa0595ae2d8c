"""`symsi derive`: every formula for a schedule or a conversion."""

from __future__ import annotations

import json
from typing import Any

import click
from sympy import Expr, sstr

from symsi.errors import ScheduleError
from symsi.symbolic.conversion import FIELDS, Conversion, convert
from symsi.symbolic.endpoints import Limit
from symsi.symbolic.fields import PREDICTIONS
from symsi.symbolic.named import NAMED, schedule
from symsi.symbolic.schedule import Schedule

__all__ = ["command"]

_NAMES = ", ".join([*NAMED, "lazy"])


@click.command("derive")
@click.option("--from", "source", metavar="NAME", help=f"The schedule the network was trained with: {_NAMES}.")
@click.option("--alpha", metavar="EXPR", help="Instead of --from: the noise coefficient, an expression in t.")
@click.option("--beta", metavar="EXPR", help="With --alpha: the data coefficient.")
@click.option("--parameter", "parameters", multiple=True, metavar="NAME=VALUE", help="A parameter of --alpha/--beta.")
@click.option("--to", "target", metavar="NAME", help="The schedule to sample with; default: the same.")
@click.option("--diffusion", default="ode", show_default=True, metavar="ode|optimal|kappa=K|EXPR",
              help="epsilon of the target's SDE; EXPR may use t, alpha, beta, optimal.")  # fmt: skip
@click.option("--prediction", default="velocity", show_default=True, metavar="|".join(PREDICTIONS),
              help="What the network predicts.")  # fmt: skip
@click.option("--latex", "as_latex", is_flag=True, help="Print a LaTeX aligned block.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; formulas parse back with SymPy.")
@click.option("--proof", "with_proof", is_flag=True, help="Print the proof of this conversion as well.")
def command(
    source: str | None, alpha: str | None, beta: str | None, parameters: tuple[str, ...], target: str | None,
    diffusion: str, prediction: str, as_latex: bool, as_json: bool, with_proof: bool,
) -> None:  # fmt: skip
    """Derive time map, scale, diffusion, fields and drift, with their limits at both ends.

    \b
    Examples:
      symsi derive --from linear --to "lazy(kappa=1)" --diffusion optimal
      symsi derive --from "shifted(shift=3)" --to vp --latex
      symsi derive --alpha "1-t**n" --beta "t**n" --parameter n=3 --json
    """
    base = _base(source, alpha, beta, parameters)
    conversion = convert(base, target or base, diffusion, prediction)
    if as_json:
        click.echo(json.dumps(record(conversion), indent=2))
    elif as_latex:
        click.echo(conversion.latex())
    else:
        click.echo(text(conversion))
    if with_proof:
        proof = conversion.proof()
        click.echo("\n" + proof.text(), err=as_json)
        if not proof.proved:
            raise SystemExit(1)


def _base(source: str | None, alpha: str | None, beta: str | None, parameters: tuple[str, ...]) -> Schedule:
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


def record(c: Conversion) -> dict[str, Any]:
    """Return the conversion as JSON data: each formula is a string that SymPy parses back to the same expression."""
    return {
        "schedule": _schedule(c.base),
        "target": _schedule(c.target),
        "kind": str(c.target.kind),
        "prediction": c.prediction,
        "time": sstr(c.time_equation if c.time is None else c.time),
        "implicit": c.implicit,
        "start": sstr(c.start),
        "scale": sstr(c.scale),
        "diffusion": sstr(c.formulas["diffusion"]),
        "base_diffusion": sstr(c.formulas["base_diffusion"]),
        **{name: sstr(c.field(name)) for name in ("drift", *PREDICTIONS)},
        "coefficients": {name: sstr(e) for name, e in c.formulas.items()},
        "limits": {name: {"start": _limit(a), "1": _limit(b)} for name, (a, b) in c.limits.items()},
        "latex": c.latex(),
    }


def _schedule(s: Schedule) -> dict[str, Any]:
    return {
        "name": s.name,
        "alpha": sstr(s.alpha),
        "beta": sstr(s.beta),
        "kind": str(s.kind),
        "noise_scale": sstr(s.noise_scale),
        "data_scale": sstr(s.data_scale),
        "evidence": dict(s.evidence),
    }


def _limit(found: Limit) -> dict[str, Any]:
    return {"value": _string(found.value), "leading": _string(found.leading), "text": str(found)}


def _string(e: Expr | None) -> str | None:
    return None if e is None else sstr(e)


def text(c: Conversion) -> str:
    """Return the conversion as aligned plain text."""
    same = c.base == c.target
    lines = [f"base      {_describe(c.base)}"]
    if not same:
        lines.append(f"target    {_describe(c.target)}")
    if c.start != 0:
        lines.append(f"domain    t from {sstr(c.start)} ≈ {float(c.start):.6g} to 1 (earlier, tau would be negative)")
    symbol = {"velocity": "v", "score": "s", "noise": "eta_Z", "data": "eta_X"}[c.prediction]
    where = "(t, x)" if same else "(tau, x/scale)"
    time = f"{sstr(c.time_equation.lhs)} = {sstr(c.time_equation.rhs)}  (implicit)" if c.implicit else sstr(c.time)
    rows = [("tau", time), ("scale", sstr(c.scale)), ("epsilon", sstr(c.formulas["diffusion"]))]
    rows += [("base eps", sstr(c.formulas["base_diffusion"]))] if not same else []
    rows += [(name, sstr(c.field(name))) for name in FIELDS]
    lines += [
        "",
        f"with {symbol} = the base's {c.prediction} at {where}:",
        *(f"  {n:<9} {f}" for n, f in rows),
    ]
    lines += ["", f"limits    {'t -> ' + sstr(c.start):<34} t -> 1"]
    lines += [f"  {n:<20} {a!s:<30} {b!s}" for n, (a, b) in c.limits.items()]
    return "\n".join(lines)


def _describe(s: Schedule) -> str:
    how = "proved" if all(v == "proved" for k, v in s.evidence.items() if k != "kind") else "checked on a grid in part"
    return f"{s.name}: alpha = {sstr(s.alpha)}, beta = {sstr(s.beta)}  [{s.kind}; validity {how}]"

"""`symsi derive`: every formula for a schedule or a conversion."""

from __future__ import annotations

import json

import click
from sympy import sstr

from symsi.cli.options import Pair, at_most_one, conversion_options
from symsi.exports.latex import conversion_tex
from symsi.exports.markdown import conversion_markdown
from symsi.interpolants.schedule import Schedule
from symsi.theory.conversion import FIELDS, Conversion
from symsi.theory.record import record

__all__ = ["command"]


@click.command("derive")
@conversion_options
@click.option("--latex", "as_latex", is_flag=True, help="Print a LaTeX document with limits and proof.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print a Markdown document with limits and proof.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; formulas parse back with SymPy.")
@click.option("--proof", "with_proof", is_flag=True, help="Print the proof of this conversion as well.")
def command(pair: Pair, as_latex: bool, as_markdown: bool, as_json: bool, with_proof: bool) -> None:
    """Derive time map, scale, diffusion, fields and drift, with their limits at both ends.

    Exits with 1 if a proof is asked for, as --proof, --latex and --markdown do, and does not succeed.

    \b
    Examples:
      symsi derive --from linear --to "lazy(kappa=1)" --diffusion optimal
      symsi derive --from "shifted(shift=3)" --to vp --latex > vp.tex
      symsi derive --alpha "1-t**n" --beta "t**n" --parameter n=3 --json
      symsi derive --from linear --to-alpha "cos(pi*t/2)**n" --to-beta "sin(pi*t/2)" --parameter n=2
    """
    conversion = pair.conversion()
    at_most_one(**{"--json": as_json, "--latex": as_latex, "--markdown": as_markdown})
    proof = conversion.proof() if with_proof or as_latex or as_markdown else None
    if proof and as_latex:
        click.echo(conversion_tex(conversion, proof), nl=False)
    elif proof and as_markdown:
        click.echo(conversion_markdown(conversion, proof), nl=False)
    else:
        click.echo(json.dumps(record(conversion), indent=2) if as_json else text(conversion))
        if proof:
            click.echo("\n" + proof.text(), err=as_json)
    if proof and not proof.proved:
        raise SystemExit(1)


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
    lines += ["", f"with {symbol} = the base's {c.prediction} at {where}:", *(f"  {n:<9} {f}" for n, f in rows)]
    lines += ["", f"limits    {'t -> ' + sstr(c.start):<34} t -> 1"]
    lines += [f"  {n:<20} {a!s:<30} {b!s}" for n, (a, b) in c.limits.items()]
    return "\n".join(lines)


def _describe(s: Schedule) -> str:
    how = "proved" if all(v == "proved" for k, v in s.evidence.items() if k != "kind") else "checked on a grid in part"
    return f"{s.name}: alpha = {sstr(s.alpha)}, beta = {sstr(s.beta)}  [{s.kind}; validity {how}]"

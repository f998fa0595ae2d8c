"""`symsi derive`: every formula for a schedule or a conversion."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import click
from sympy import sstr

from symsi.algebra.proof import Proof
from symsi.cli import derive_bridge, derive_map
from symsi.cli.derive_bridge import Sides, bridge_options
from symsi.cli.options import Pair, at_most_one, conversion_options
from symsi.coefficients.cache import kept
from symsi.errors import SymsiError
from symsi.exports.latex import bridge_tex, conversion_tex, map_tex
from symsi.exports.markdown import bridge_markdown, conversion_markdown, map_markdown
from symsi.interpolants.schedule import Schedule
from symsi.theory.bridge import Bridge
from symsi.theory.bridge_record import bridge_record
from symsi.theory.conversion import FIELDS, Conversion
from symsi.theory.map_conversion import MapConversion, map_record
from symsi.theory.record import record

__all__ = ["command"]

Found = Conversion | Bridge | MapConversion


@click.command("derive")
@conversion_options
@bridge_options
@click.option("--flow-map", "of_maps", is_flag=True, help="How a flow map of --from becomes one of --to (T21).")
@click.option("--latex", "as_latex", is_flag=True, help="Print a LaTeX document with limits and proof.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print a Markdown document with limits and proof.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; formulas parse back with SymPy.")
@click.option("--proof", "with_proof", is_flag=True, help="Print the proof of this conversion as well.")
def command(
    pair: Pair, sides: Sides, of_maps: bool, as_latex: bool, as_markdown: bool, as_json: bool, with_proof: bool
) -> None:
    """Derive time map, scale, diffusion, fields and drift, with their limits at both ends.

    With --interpolant or --gamma, the fields between two laws: alpha x0 + beta x1 + gamma z. With --flow-map, the map
    of two times of one schedule from that of another, and how residuals convert.

    Exits with 1 if a proof is asked for, as --proof, --latex and --markdown do, and does not succeed.

    \b
    Examples:
      symsi derive --from linear --to "lazy(kappa=1)" --diffusion optimal
      symsi derive --from "shifted(shift=3)" --to vp --latex > vp.tex
      symsi derive --alpha "1-t**n" --beta "t**n" --parameter n=3 --json
      symsi derive --interpolant linear --gamma "sqrt(2*t*(1-t))" --diffusion gamma
      symsi derive --flow-map --from linear --to trigonometric
      symsi derive --from linear --to-alpha "cos(pi*t/2)**n" --to-beta "sin(pi*t/2)" --parameter n=2
    """
    at_most_one(**{"--json": as_json, "--latex": as_latex, "--markdown": as_markdown})
    if of_maps and sides.asked:
        raise SymsiError("--flow-map is of schedules; leave --interpolant and --gamma out.")
    if not (with_proof or as_latex or as_markdown):
        asked = {"derive": asdict(pair), "sides": asdict(sides), "of_maps": of_maps, "as_json": as_json}
        click.echo(kept(asked, lambda: _told(_find(pair, sides, of_maps), as_json), str, _as_text))
        return
    found = _find(pair, sides, of_maps)
    proof = found.proof()
    if as_latex or as_markdown:
        click.echo(_page(found, proof, as_latex), nl=False)
    else:
        click.echo(_told(found, as_json))
        click.echo("\n" + proof.text(), err=as_json)
    if not proof.proved:
        raise SystemExit(1)


def _find(pair: Pair, sides: Sides, of_maps: bool) -> Found:
    found: Found = sides.bridge(pair) if sides.asked else pair.conversion()
    return derive_map.map_conversion(pair) if of_maps else found


def _told(found: Found, as_json: bool) -> str:
    return json.dumps(_record(found), indent=2) if as_json else _text(found)


def _as_text(data: Any) -> str:
    if not isinstance(data, str):
        raise SymsiError("what is kept is no text.")
    return data


def _page(found: Found, proof: Proof, as_latex: bool) -> str:
    if isinstance(found, MapConversion):
        return map_tex(found, proof) if as_latex else map_markdown(found, proof)
    if isinstance(found, Bridge):
        return bridge_tex(found, proof) if as_latex else bridge_markdown(found, proof)
    return conversion_tex(found, proof) if as_latex else conversion_markdown(found, proof)


def _record(found: Found) -> dict[str, Any]:
    if isinstance(found, MapConversion):
        return map_record(found)
    return bridge_record(found) if isinstance(found, Bridge) else record(found)


def _text(found: Found) -> str:
    if isinstance(found, MapConversion):
        return derive_map.text(found)
    return derive_bridge.text(found) if isinstance(found, Bridge) else text(found)


def text(c: Conversion) -> str:
    """Return the conversion as aligned plain text."""
    same = c.base == c.target
    lines = [f"base      {_describe(c.base)}"]
    if not same:
        lines.append(f"target    {_describe(c.target)}")
    if c.start != 0:
        lines.append(
            f"domain    t from start = {sstr(c.start)} ≈ {float(c.start):.6g} to 1 (earlier, tau would be negative)"
        )
    symbol = {"velocity": "v", "score": "s", "noise": "eta_Z", "data": "eta_X"}[c.prediction]
    where = "(t, x)" if same else "(tau, x/scale)"
    time = f"{sstr(c.time_equation.lhs)} = {sstr(c.time_equation.rhs)}  (implicit)" if c.implicit else sstr(c.time)
    rows = [("tau", time), ("scale", sstr(c.scale)), ("epsilon", sstr(c.formulas["diffusion"]))]
    rows += [("base eps", sstr(c.formulas["base_diffusion"]))] if not same else []
    rows += [(name, sstr(c.field(name))) for name in FIELDS]
    lines += ["", f"with {symbol} = the base's {c.prediction} at {where}:", *(f"  {n:<9} {f}" for n, f in rows)]
    start = "t -> start" if c.start.args else f"t -> {sstr(c.start)}"
    lines += ["", f"limits    {start:<34} t -> 1"]
    lines += [f"  {n:<20} {a.short:<30} {b.short}" for n, (a, b) in c.limits.items()]
    return "\n".join(lines)


def _describe(s: Schedule) -> str:
    how = "proved" if all(v == "proved" for k, v in s.evidence.items() if k != "kind") else "checked on a grid in part"
    return f"{s.name}: alpha = {sstr(s.alpha)}, beta = {sstr(s.beta)}  [{s.kind}; validity {how}]"

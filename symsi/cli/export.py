"""`symsi export`: a conversion, a bridge or a flow map as a file that runs without symsi."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
from click.core import ParameterSource
from tqdm import tqdm

from symsi.cli.derive_bridge import Sides, bridge_options
from symsi.cli.options import Pair, conversion_options
from symsi.errors import SymsiError
from symsi.exports.by_suffix import SUFFIXES, WHAT, export
from symsi.exports.check import Checked, check
from symsi.exports.flow_map import MAP_SUFFIXES, check_map
from symsi.exports.graph import DTYPES
from symsi.files import check_free
from symsi.models.flow_map import FlowMap
from symsi.models.pretrained_map import load_map
from symsi.theory.bridge import Bridge
from symsi.theory.conversion import Conversion

__all__ = ["command"]


@click.command("export")
@conversion_options
@bridge_options
@click.option("--map", "flow_map", metavar="NAME|FILE", help="Instead of --from: a flow map, as .pt2 or .onnx.")
@click.option(
    "--what",
    metavar="|".join(WHAT),
    help="The function that .pt2 and .onnx hold, by default drift, of a bridge forward; the other formats hold all.",
)
@click.option("--dtype", default="float32", show_default=True, metavar="|".join(DTYPES), help="Of x, for .pt2, .onnx.")
@click.option("--rank", default=4, show_default=True, help="Dimensions of x, batch included, for .pt2 and .onnx.")
@click.option("--aot", is_flag=True, help="Make .pt2 an AOTInductor package, compiled for this machine (a minute).")
@click.option("--force", is_flag=True, help="Replace files that exist.")
@click.option("--no-check", is_flag=True, help="Skip running the file in a fresh process.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
def command(
    pair: Pair,
    sides: Sides,
    flow_map: str | None,
    what: str | None,
    dtype: str,
    rank: int,
    aot: bool,
    force: bool,
    no_check: bool,
    as_json: bool,
    paths: tuple[Path, ...],
) -> None:
    """Write a conversion, a bridge or a flow map to files; the suffix says how: .py, .pt2, .onnx, .tex or .json.

    Each file is then run in a fresh process, where symsi cannot be imported, and its worst error printed.

    \b
    Examples:
      symsi export --from linear --to "lazy(kappa=1)" --diffusion optimal lazy.py lazy.tex
      symsi export --from linear --to vp --what step --rank 3 --dtype bfloat16 step.pt2
      symsi export --from linear --to vp --what velocity velocity.onnx
      symsi export --interpolant linear --gamma "sqrt(2*t*(1-t))" --diffusion gamma bridge.py bridge.tex
      symsi export --map map.safetensors map.pt2 map.onnx
    """
    if flow_map is not None:
        _refuse_beside_a_map()
        known: tuple[str, ...] = MAP_SUFFIXES
        write: Callable[..., Checked | None] = partial(_map, load_map(flow_map), force=force)
    else:
        known = SUFFIXES
        given = sides.bridge(pair) if sides.asked else pair.conversion()
        write = partial(_formulas, given, what=what, aot=aot, dtype=dtype, rank=rank, force=force)
    for path in paths:
        if path.suffix not in known:  # before anything is written
            raise SymsiError(f"cannot export to {path.name!r}: the suffix must be one of {', '.join(known)}.")
        check_free(path, force=force)
    results = []
    for path in tqdm(paths, desc="exporting", unit="file", disable=True if len(paths) == 1 else None, leave=False):
        found = write(path, checked=not no_check)
        results.append((path, found))
        if not as_json:
            tqdm.write(str(found or f"{path}: written, not checked"))
    if as_json:
        rows = [
            {"file": str(p), "worst_ulp": f.worst_ulp if f else None, "values": f.values if f else 0}
            for p, f in results
        ]
        click.echo(json.dumps({"files": rows}, indent=1))
    if any(f is not None and not f.good for _, f in results):
        raise SystemExit(1)


_BESIDE_A_MAP = ("flow_map", "force", "no_check", "as_json", "paths")


def _refuse_beside_a_map() -> None:
    """Raise SymsiError for an option that says what a map already says."""
    context = click.get_current_context()
    for option in context.command.params:
        name = str(option.name)
        if name not in _BESIDE_A_MAP and context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise SymsiError(f"--map is exported as X_{{s,t}}(x) in float32 alone; leave {option.opts[0]} out.")


def _map(flow: FlowMap, path: Path, *, force: bool, checked: bool) -> Checked | None:
    export(flow, path, force=force)
    return check_map(flow, path) if checked else None


def _formulas(
    given: Conversion | Bridge,
    path: Path,
    *,
    what: str | None,
    aot: bool,
    dtype: str,
    rank: int,
    force: bool,
    checked: bool,
) -> Checked | None:
    compiled = aot and path.suffix == ".pt2"
    export(given, path, what, aot=compiled, dtype=dtype, rank=rank, force=force)
    return check(given, path, what, aot=compiled, dtype=dtype, rank=rank) if checked else None

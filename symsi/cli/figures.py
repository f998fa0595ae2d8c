"""`symsi figures`: redraw every figure of the theory and of real runs, with a manifest of how each was made."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from symsi.errors import SymsiError
from symsi.figures import FOLDER, NAMES, check, check_names, draw
from symsi.files import read_data, trouble, write_text

__all__ = ["command"]

_MANIFEST = "manifest.json"


@click.command("figures")
@click.option("--only", "names", multiple=True, metavar="NAME", help="Only this one; may be repeated.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default="out/figures",
    show_default=True,
    metavar="DIR",
    help="Where PNG, PDF and manifest.json go; made if it is not there.",
)
@click.option("--quick", is_flag=True, help="Fewer samples, some minutes in all; marked on the figures.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--list", "listing", is_flag=True, help="List the figures and stop.")
@click.option("--json", "as_json", is_flag=True, help="Print the manifest.")
@click.option("--force", is_flag=True, help="Replace files.")
def command(
    names: tuple[str, ...], out: Path, quick: bool, seed: int, listing: bool, as_json: bool, force: bool
) -> None:
    """Redraw the figures, as PNG and PDF.

    Each figure has a script of its own in figures/, which also runs alone. The manifest says how each was made, and
    holds its numbers with their spread; full figures are compared with those that symsi ships: a number that differs
    by more than three times both spreads is named, and the exit code is 1.

    \b
    Examples:
      symsi figures --quick --out quick
      symsi figures --only paths --only laziness --out mine
      python figures/paths.py --quick
    """
    if listing:
        for name in NAMES:
            click.echo(name)
        return
    wanted = names or NAMES
    manifest = out / _MANIFEST
    check_names(wanted)
    _make(out)
    check(wanted, out, force=force)
    _read(manifest)  # refused now rather than after the work
    lines: dict[str, Any] = {}
    moved: list[str] = []
    shipped = _read(FOLDER / _MANIFEST)
    with tqdm(wanted, unit="figure", disable=None) as bar:
        for name in bar:
            bar.set_description(name)
            line = draw(name, out, quick=quick, seed=seed, force=force)
            lines[name] = line
            whole = {**_read(manifest), name: line}  # another run may have added to it meanwhile
            write_text(manifest, json.dumps(whole, indent=1, ensure_ascii=False) + "\n", force=True)
            if quick:
                continue
            if name not in shipped:
                click.echo(f"symsi: no shipped numbers to compare {name} with.", err=True)
            else:
                moved += [f"{name}: {text}" for text in _differences(line["numbers"], shipped[name]["numbers"])]
    if as_json:
        click.echo(json.dumps(lines, indent=1, ensure_ascii=False))
    else:
        for name in wanted:
            click.echo(f"{name:<20}{lines[name]['seconds']:>7.1f} s  {out / name}.png, .pdf")
    if moved:
        click.echo("symsi: these numbers are not those of the shipped figures:\n  " + "\n  ".join(moved), err=True)
        raise SystemExit(1)


def _make(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SymsiError(f"cannot make the folder {out}: {error.strerror}.") from None


def _read(path: Path) -> dict[str, Any]:
    """Return a manifest, empty if there is none. Raises SymsiError for a file that is none."""
    if not path.exists():
        return {}
    try:
        found: dict[str, Any] = read_data(path)
    except (OSError, ValueError) as error:
        raise SymsiError(f"{path} is no manifest of figures ({trouble(error)}); remove it.") from None
    lines = found.values() if isinstance(found, dict) else [None]
    if not all(isinstance(line, dict) and _numbered(line.get("numbers")) for line in lines):
        raise SymsiError(f"{path} is no manifest of figures; remove it.")
    return found


def _numbered(numbers: Any) -> bool:
    """Whether these are numbers by name, each with its spread."""
    pairs = numbers.values() if isinstance(numbers, dict) else [None]
    return all(isinstance(p, list) and len(p) == 2 and all(isinstance(v, (int, float)) for v in p) for p in pairs)


def _differences(new: Mapping[str, list[float]], old: Mapping[str, list[float]]) -> list[str]:
    """Name the numbers that are missing or differ by more than three times both spreads together."""
    found = [f"{what} is not measured any more" for what in old if what not in new]
    for what, (value, spread) in new.items():
        if what in old and not abs(value - old[what][0]) <= 3 * math.hypot(spread, old[what][1]):  # nan too
            found.append(f"{what} is {value:.4g}, was {old[what][0]:.4g} +- {old[what][1]:.2g}")
    return found

"""Every figure: one script each, by the public interface alone; `symsi figures` draws them all.

A script defines `draw(quick, seed)`, which returns a `Drawing`: the figure, the numbers that it is about with their
spread, and the arrays that are plotted.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import click
import numpy as np
from matplotlib.figure import Figure

import symsi
from symsi.errors import SymsiError, unknown
from symsi.files import check_free, read_data, trouble, write_atomic
from symsi.plotting.style import mark, style

__all__ = [
    "FOLDER",
    "NAMES",
    "POINT_MASS",
    "Drawing",
    "check",
    "check_names",
    "draw",
    "measured",
    "rows_of",
    "run_script",
    "start_noise",
]

FOLDER = Path(__file__).resolve().parent
NAMES = (
    "fewer_steps",
    "quality",
    "schedules",
    "time_maps",
    "paths",
    "laziness",
    "optimal_diffusion",
    "endpoints",
    "modal",
    "bridges",
    "restore",
    "flow_maps",
    "steering",
)
SUFFIXES = (".png", ".pdf")
# alpha^2 = beta (1 - beta), as lazy(kappa=1), in a clock in which velocity and drift are finite at t = 0
POINT_MASS = symsi.Schedule("sin(pi*t)/2", "sin(pi*t/2)**2", name="point mass")
_LIBRARIES = ("symsi", "sympy", "numpy", "torch", "matplotlib")


@dataclass(frozen=True)
class Drawing:
    """A figure, what it says in numbers (value, spread), and the arrays it shows."""

    figure: Figure
    numbers: Mapping[str, tuple[float, float]]
    data: Mapping[str, Any] = field(default_factory=dict)


def check(names: tuple[str, ...], out: Path, *, force: bool = False) -> None:
    """Raise SymsiError, before any work is done, for an unknown figure or files that cannot be written."""
    check_names(names)
    for name in names:
        for suffix in SUFFIXES:
            check_free(out / f"{name}{suffix}", force=force)


def check_names(names: tuple[str, ...]) -> None:
    """Raise UnknownNameError, with the closest match, for a figure that is none."""
    for name in names:
        if name not in NAMES:
            raise unknown("figure", name, NAMES)


def draw(name: str, out: Path, *, quick: bool = False, seed: int = 0, force: bool = False) -> dict[str, Any]:
    """Draw one figure as PNG and PDF into `out`; return its line of the manifest.

    The line says by which script, seed and versions, in how many seconds, the numbers with their spread, and a hash of
    the plotted data (to 4 significant digits). Raises SymsiError for an unknown figure, one whose data are missing,
    and files that cannot be written.
    """
    check((name,), out, force=force)
    return _draw(name, import_module(f"symsi.figures.{name}").draw, out, quick, seed, force)


def measured(file: str, command: str, keys: tuple[str, ...]) -> Any:
    """Return what a benchmark wrote into `file` beside the scripts, a dict with these keys.

    Raises SymsiError that names the command where there is no such file, or another one.
    """
    path = FOLDER / file
    try:
        found = read_data(path)
        missing = [key for key in keys if key not in found]
    except (OSError, ValueError, TypeError) as error:
        raise SymsiError(f"{path} is missing or damaged ({trouble(error)}); `{command} > {path}` makes it.") from None
    if missing:
        raise SymsiError(f"{path} has no {missing[0]!r}; `{command} > {path}` makes it anew.")
    return found


def rows_of(result: Mapping[str, Any], method: str) -> list[dict[str, Any]]:
    """Return a method's rows of `symsi bench nfe`, by evaluations."""
    return sorted((row for row in result["rows"] if row["method"] == method), key=lambda row: row["nfe"])


def start_noise(model: symsi.Model, **options: Any) -> Any:
    """Return the noise z that `symsi.sample` starts from with these options: the first state of the own schedule."""
    return symsi.sample(model, steps=1, trajectory=True, progress=False, **options).path[0]


def run_script(function: Callable[[bool, int], Drawing], file: str) -> None:
    """Make a figure's script a command of its own."""
    name = Path(file).stem

    @click.command(name, help=f"Draw {name}.png and {name}.pdf.")
    @click.option(
        "--out",
        type=click.Path(path_type=Path),
        default=".",
        show_default=True,
        metavar="DIR",
        help="Where PNG and PDF go.",
    )
    @click.option("--quick", is_flag=True, help="Fewer samples; marked on the figure.")
    @click.option("--seed", default=0, show_default=True)
    @click.option("--force", is_flag=True, help="Replace files.")
    def command(out: Path, quick: bool, seed: int, force: bool) -> None:
        try:
            check((name,), out, force=force)
            line = _draw(name, function, out, quick, seed, force)
        except SymsiError as error:
            raise click.ClickException(str(error)) from None
        click.echo(f"{out / name}.png, .pdf")
        for what, (value, spread) in line["numbers"].items():
            click.echo(f"{what}: {value:.6g} +- {spread:.2g}")

    command()


def _draw(
    name: str, function: Callable[[bool, int], Drawing], out: Path, quick: bool, seed: int, force: bool
) -> dict[str, Any]:
    started = perf_counter()
    with style():
        drawing = function(quick, seed)
        for what, pair in drawing.numbers.items():
            if not np.isfinite(pair).all():
                raise SymsiError(f"figure {name}: {what} is {pair[0]} +- {pair[1]}; nothing was written.")
        if quick:
            mark(drawing.figure, "made with --quick, not for print")
        for suffix in SUFFIXES:
            write_atomic(out / f"{name}{suffix}", _saver(drawing.figure, suffix[1:]), force=force)
    return {
        "script": f"figures/{name}.py",
        "seed": seed,
        "quick": quick,
        "seconds": round(perf_counter() - started, 1),
        "versions": {"python": platform.python_version(), **{library: version(library) for library in _LIBRARIES}},
        "data": _hash(drawing.data),
        "numbers": {what: list(pair) for what, pair in drawing.numbers.items()},
    }


def _saver(figure: Figure, kind: str) -> Callable[[Path], None]:
    """Save without the date, so that the same figure is the same file."""
    metadata = {"CreationDate": None} if kind == "pdf" else {"Software": None}
    return lambda path: figure.savefig(path, format=kind, metadata=metadata)


def _hash(data: Mapping[str, Any]) -> str:
    digest = hashlib.sha256()
    for what, values in sorted(data.items()):
        digest.update(what.encode())
        digest.update(" ".join(f"{v:.3e}" for v in np.asarray(values, dtype=float).ravel()).encode())
    return digest.hexdigest()[:16]

"""Pictures of what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from symsi.errors import SymsiError
from symsi.files import check_free, write_atomic

__all__ = ["check_picture", "plot_certificate"]

_FORMATS = (".png", ".svg", ".pdf")


def check_picture(path: Path, *, force: bool = False) -> None:
    """Raise SymsiError, before any work is done, for a suffix that is no picture or a file that exists."""
    if path.suffix not in _FORMATS:
        raise SymsiError(f"cannot draw {path.name!r}: the suffix must be one of {', '.join(_FORMATS)}.")
    check_free(path, force=force)


def plot_certificate(
    curves: Mapping[str, Sequence[tuple[float, float, float]]], path: Path, *, force: bool = False
) -> Path:
    """Draw float32 error in ulp against the distance from t = 1, of our kernels and of the textbook forms.

    `curves` maps a pair to (distance, our error, the textbook's error). Raises SymsiError if `path` exists.
    """
    check_picture(path, force=force)
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    for k, (pair, points) in enumerate(curves.items()):
        distance, ours, theirs = (list(column) for column in zip(*sorted(points), strict=True))
        color = f"C{k}"
        axes.plot(distance, [max(e, 0.01) for e in theirs], ".", ms=3, color=color, label=f"{pair}, textbook form")
        axes.plot(distance, [max(e, 0.01) for e in ours], "-", lw=1, color=color, label=f"{pair}, symsi")
    axes.set(xscale="log", yscale="log", xlabel="1 - t", ylabel="error of the velocity's coefficient (float32 ulp)")
    axes.axhline(4, color="black", lw=0.6, ls="--")
    axes.legend(fontsize=7)
    return write_atomic(path, lambda temporary: figure.savefig(temporary, dpi=150, format=path.suffix[1:]), force=force)

"""Pictures of what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from torch import Tensor

from symsi.files import write_atomic
from symsi.plotting.mosaic import check_images, check_picture, mosaic
from symsi.plotting.style import COLORS, column, label_lines, style

__all__ = ["plot_certificate", "plot_images", "plot_nfe", "write_figure"]


def plot_certificate(
    curves: Mapping[str, Sequence[tuple[float, float, float]]], path: Path, *, force: bool = False
) -> Path:
    """Draw float32 error in ulp against the distance from t = 1, of our kernels and of the textbook forms.

    `curves` maps a pair to (distance, our error, the textbook's error). Raises SymsiError if `path` exists.
    """
    check_picture(path, force=force)
    with style():
        figure = column(3)
        axes = figure.subplots()
        names = []
        for k, (pair, points) in enumerate(curves.items()):
            distance, ours, theirs = (list(values) for values in zip(*sorted(points), strict=True))
            color = list(COLORS.values())[2 + k]
            axes.plot(distance, [max(e, 0.01) for e in theirs], ".", ms=3, color=color)
            axes.plot(distance, [max(e, 0.01) for e in ours], "-", lw=1, color=color)
            names.append((max(theirs[0], 0.01), pair, color))
        axes.set(
            xscale="log",
            yscale="log",
            xlabel="1 - t",
            ylabel="error (ulp of float32)",
            title="the velocity's coefficient: textbook forms (dots), symsi (lines)",
        )
        label_lines(axes, names)
        return write_figure(figure, path, force=force)


def plot_images(
    panels: Sequence[Tensor],
    path: str | Path | None = None,
    *,
    columns: int | None = None,
    titles: Sequence[str] = (),
    rows: Sequence[str] = (),
    force: bool = False,
) -> Figure:
    """Draw panels of images, each (N, C, H, W) with values in [0, 1] and C of 1 or 3, as grids of `columns` images.

    With `rows`, panels fill a table of len(rows) lines whose columns have `titles`. Writes `path` if it is given.
    Raises SymsiError for tensors that are no images and for a path as `check_picture` does.
    """
    where = None if path is None else Path(path)
    if where:
        check_picture(where, force=force)
    for panel in panels:
        check_images(panel)
    with style():
        lines = max(len(rows), 1)
        across = -(-len(panels) // lines)
        figure = column(2.3 * lines, 2.2 * across + 0.6)
        table = figure.subplots(lines, across, squeeze=False)
        for k, panel in enumerate(panels):
            axes = table[k // across][k % across]
            axes.imshow(mosaic(panel, columns), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            if titles and k < across:
                axes.set_title(titles[k], fontsize=9)
            if rows and k % across == 0:
                axes.set_ylabel(rows[k // across], fontsize=9)
        if where:
            write_figure(figure, where, force=force)
        return figure


def plot_nfe(result: Mapping[str, Any], path: Path, *, force: bool = False) -> Path:
    """Draw the Frechet distance against NFE, a line a method, with the floor and the converged value.

    `result` is what `symsi.bench.nfe.quality_at_nfe` returns. Raises SymsiError if `path` exists.
    """
    check_picture(path, force=force)
    with style():
        figure = column(4.5)
        axes = figure.subplots()
        labels = []
        methods = list(dict.fromkeys(row["method"] for row in result["rows"]))
        for k, method in enumerate(methods):
            rows = sorted((row for row in result["rows"] if row["method"] == method), key=lambda row: row["nfe"])
            nfe, fd, spread = ([row[key] for row in rows] for key in ("nfe", "fd", "fd_spread"))
            color = list(COLORS.values())[k % len(COLORS)]
            dash = "--" if rows[0]["kind"] == "peer" else "-"
            axes.errorbar(nfe, fd, spread, ls=dash, marker="osv^D"[k // len(COLORS) % 5], ms=3, lw=1, color=color)
            labels.append((fd[-1], method, color))
        axes.axhline(result["floor"]["fd"], color="black", lw=0.8, ls=":")
        axes.axhline(result["converged"]["fd"], color="gray", lw=0.8, ls="-.")
        axes.set(
            xscale="log",
            yscale="log",
            ylabel="Fréchet distance",
            xlabel="network evaluations (dotted: real against real data; dash-dotted: converged samples)",
            title=f"{result['model']}, {result['samples']} samples, {result['repeats']} seeds",
        )
        ticks = sorted({row["nfe"] for row in result["rows"]})
        axes.set_xticks(ticks, [str(n) for n in ticks], minor=False)
        axes.minorticks_off()
        label_lines(axes, labels)
        return write_figure(figure, path, force=force)


def write_figure(figure: Figure, path: Path, *, force: bool) -> Path:
    """Write a figure atomically, in the format of the suffix. Raises SymsiError if `path` exists."""
    suffix = path.suffix[1:]
    return write_atomic(path, lambda temporary: figure.savefig(temporary, format=suffix), force=force)

"""Pictures of what was measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from torch import Tensor

from symsi.errors import SymsiError
from symsi.files import check_free, write_atomic

__all__ = ["check_picture", "plot_certificate", "plot_images", "plot_nfe"]

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
        if panel.ndim != 4 or panel.shape[1] not in (1, 3):
            raise SymsiError(f"only images (N, 1 or 3, H, W) can be drawn; got {tuple(panel.shape)}.")
    lines = max(len(rows), 1)
    across = -(-len(panels) // lines)
    figure = Figure(figsize=(2.2 * across + 0.6, 2.3 * lines), layout="constrained")
    table = figure.subplots(lines, across, squeeze=False)
    for k, panel in enumerate(panels):
        axes = table[k // across][k % across]
        axes.imshow(_mosaic(panel, columns), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axes.set(xticks=[], yticks=[])
        if titles and k < across:
            axes.set_title(titles[k], fontsize=9)
        if rows and k % across == 0:
            axes.set_ylabel(rows[k // across], fontsize=9)
    if where:
        suffix = where.suffix[1:]
        write_atomic(where, lambda temporary: figure.savefig(temporary, dpi=150, format=suffix), force=force)
    return figure


def plot_nfe(result: Mapping[str, Any], path: Path, *, force: bool = False) -> Path:
    """Draw the Frechet distance against NFE, a line a method, with the floor and the converged value.

    `result` is what `symsi.nfe.measure` returns. Raises SymsiError if `path` exists.
    """
    check_picture(path, force=force)
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    names = list(dict.fromkeys(row["method"] for row in result["rows"]))
    for k, name in enumerate(names):
        rows = [row for row in result["rows"] if row["method"] == name]
        style = "--" if rows[0]["kind"] == "peer" else "-"
        nfe, fd = [row["nfe"] for row in rows], [row["fd"] for row in rows]
        spread = [row["fd_spread"] for row in rows]
        color = f"C{k % 10}"
        axes.errorbar(nfe, fd, spread, ls=style, marker="osv^D"[k // 10], ms=4, lw=1, color=color, label=name)
    axes.axhline(result["floor"]["fd"], color="black", lw=0.8, ls=":", label="real data against real data")
    axes.axhline(result["converged"]["fd"], color="gray", lw=0.8, ls="-.", label="converged samples")
    axes.set(xscale="log", yscale="log", xlabel="network evaluations (NFE)", ylabel="Frechet distance",
             title=f"{result['model']}, {result['samples']} samples, {result['repeats']} seeds")  # fmt: skip
    ticks = sorted({row["nfe"] for row in result["rows"]})
    axes.set_xticks(ticks, [str(n) for n in ticks], minor=False)
    axes.minorticks_off()
    axes.legend(fontsize=6, ncols=2)
    suffix = path.suffix[1:]
    return write_atomic(path, lambda temporary: figure.savefig(temporary, dpi=150, format=suffix), force=force)


def _mosaic(images: Tensor, columns: int | None) -> Any:
    """Lay images out in lines of `columns`, (H, W) or (H, W, 3)."""
    across = columns or math.ceil(math.sqrt(len(images)))
    count = -(-len(images) // across) * across
    shown = images.detach().float().cpu().clamp(0, 1)
    padded = shown.new_ones((count, *shown.shape[1:]))
    padded[: len(shown)] = shown
    _, channels, height, width = padded.shape
    whole = padded.reshape(-1, across, channels, height, width).permute(0, 3, 1, 4, 2)
    return whole.reshape(-1, across * width, channels).squeeze(-1).numpy()

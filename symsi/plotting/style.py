"""How every picture looks: one size of text, colours that colour-blind readers tell apart, labels beside lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import matplotlib
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine

__all__ = ["COLORS", "PAGE", "Label", "column", "halves", "label_lines", "mark", "style"]

PAGE = 6.9  # inches, the width of a printed page's text
_POINTS = 7.5  # of text at that width

# Okabe and Ito's palette.
COLORS: Mapping[str, str] = {
    "black": "#000000",
    "gray": "#767676",
    "blue": "#0072B2",
    "vermilion": "#D55E00",
    "green": "#009E73",
    "purple": "#AA4E86",
    "orange": "#C98700",
    "sky": "#3D9FD3",
}

_STYLE: Mapping[str, Any] = {
    "font.size": _POINTS,
    "axes.titlesize": _POINTS + 0.5,
    "axes.titlelocation": "left",
    "axes.labelsize": _POINTS,
    "xtick.labelsize": _POINTS - 0.5,
    "ytick.labelsize": _POINTS - 0.5,
    "legend.fontsize": _POINTS - 0.5,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.4,
    "figure.dpi": 100,
    "savefig.dpi": 200,
    "pdf.fonttype": 42,
    "mathtext.fontset": "dejavusans",
    "axes.prop_cycle": cycler(color=list(COLORS.values())[2:]),
}

Label = tuple[float, str, str]  # where on the y axis, the text, its colour


@contextmanager
def style() -> Iterator[None]:
    """Draw with the shared style inside this context."""
    with matplotlib.rc_context(cast(Any, _STYLE)):
        yield


def column(height: float, width: float = PAGE) -> Figure:
    """Return an empty figure of the page's width, laid out so that nothing overlaps."""
    return Figure(figsize=(width, height), layout="constrained")


def halves(figure: Figure | SubFigure, left: float, right: float) -> tuple[SubFigure, SubFigure]:
    """Split a figure into two beside each other, of these relative widths."""
    found = cast(Any, figure.subfigures(1, 2, width_ratios=(left, right)))
    return found[0], found[1]


def label_lines(axes: Axes, labels: Sequence[Label], *, x: float = 1.02) -> None:
    """Write each line's name at the right edge of the axes, at height y of its data, moved apart where they collide.

    Call it when the limits are final. `x` is in units of the axes.
    """
    figure = axes.figure.figure  # the root, of a subfigure too
    figure.draw_without_rendering()
    height = axes.get_window_extent().height / figure.dpi * 72  # in points
    gap = 1.2 * _POINTS / height
    to_axes = axes.transData + axes.transAxes.inverted()
    left = axes.get_xlim()[0]
    wanted = sorted((float(to_axes.transform((left, y))[1]), text, color) for y, text, color in labels)
    heights = [min(max(y, 0.0), 1.0) for y, _, _ in wanted]
    for _ in range(200):
        for k in range(len(heights) - 1):
            overlap = gap - (heights[k + 1] - heights[k])
            if overlap > 1e-9:
                heights[k] -= overlap / 2
                heights[k + 1] += overlap / 2
    for (_, text, color), y in zip(wanted, heights, strict=True):
        axes.text(x, y, text, color=color, transform=axes.transAxes, va="center", ha="left", clip_on=False)


def mark(figure: Figure, text: str) -> None:
    """Write a remark along the right edge, in a strip of its own, such as that this is a quick version."""
    share = 1.8 * _POINTS / 72 / figure.get_size_inches()[0]
    cast(ConstrainedLayoutEngine, figure.get_layout_engine()).set(rect=(0, 0, 1 - share, 1))
    figure.text(0.998, 0.5, text, ha="right", va="center", rotation=90, color=COLORS["vermilion"], weight="bold")

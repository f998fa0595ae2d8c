"""The course of a steered run: rewards against evaluations, and which particles had offspring."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib.collections import LineCollection
from torch import Tensor

from symsi.plotting.mosaic import check_picture
from symsi.plotting.pictures import write_figure
from symsi.plotting.style import COLORS, column, style

__all__ = ["plot_steering"]


def plot_steering(
    entries: Sequence[Any], ancestry: Tensor, rewards: Tensor, path: str | Path | None = None, *, force: bool = False
) -> Any:
    """Return a figure of a level's best and mean reward against evaluations, beside the tree of `ancestry` (L, P).

    Lines of the tree lead from parents to children, dark where a particle of the last level descends from them.
    """
    if path is not None:
        check_picture(Path(path), force=force)
    first, second, *_ = COLORS.values()
    with style():
        figure = column(2.4)
        panels = figure.subplots(1, 2 if len(ancestry) else 1, squeeze=False)[0]
        spent = [entry.nfe for entry in entries]
        panels[0].plot(spent, [entry.best for entry in entries], "o-", ms=3, color=first, label="best of the level")
        panels[0].plot(spent, [entry.mean for entry in entries], "o-", ms=3, color=second, label="mean of the level")
        panels[0].axhline(float(rewards.max()), lw=0.8, color="0.5")
        panels[0].set(xlabel="evaluations of the model", ylabel="reward", title="the line: the best sample")
        panels[0].legend(frameon=False, fontsize=7)
        if len(ancestry):
            _tree(panels[1], ancestry, first)
    if path is not None:
        write_figure(figure, Path(path), force=force)
    return figure


def _tree(axes: Any, ancestry: Tensor, color: str) -> None:
    levels, count = ancestry.shape
    alive = torch.ones(count, dtype=torch.bool)
    for k in range(levels - 1, -1, -1):
        for lives, shade in ((False, "0.85"), (True, color)):
            chosen = (alive == lives).nonzero()[:, 0].tolist()
            lines = [((k, int(ancestry[k, child])), (k + 1, child)) for child in chosen]
            axes.add_collection(LineCollection(lines, colors=shade, linewidths=0.5, zorder=1 + lives))
        before = torch.zeros(count, dtype=torch.bool)
        before[ancestry[k][alive]] = True
        alive = before
    axes.autoscale_view()
    axes.set(xlabel="level", ylabel="particle", title="parents and children")

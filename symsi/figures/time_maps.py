"""Time map and scale between all ordered pairs of named schedules, as small multiples (T4)."""

from __future__ import annotations

import numpy as np

import symsi
from symsi.figures import Drawing, run_script
from symsi.plotting.style import COLORS, PAGE, column

POINTS = 61


def draw(quick: bool, seed: int) -> Drawing:
    """A row a base (of the network), a column a target (of the sampler): tau_t, and c_t over its largest value."""
    names = tuple(symsi.NAMED)
    figure = column(PAGE * 1.02)
    table = figure.subplots(len(names), len(names), sharex=True, sharey=True)
    data, worst = {}, 0.0
    for i, base in enumerate(names):
        for j, target in enumerate(names):
            conversion = symsi.convert(base, target)
            times = np.linspace(conversion.start_time, 1, POINTS)
            found = symsi.tabulate(conversion, times.tolist(), ("time", "scale"))
            back = symsi.tabulate(symsi.convert(target, base), found["time"].clamp(0, 1)[1:-1].tolist(), ("time",))
            worst = max(worst, float(np.abs(back["time"].numpy() - times[1:-1]).max()))
            tau, scale = found["time"].numpy(), found["scale"].numpy()
            data[f"{base} -> {target}"] = np.stack([tau, scale])
            axes = table[i][j]
            axes.plot(times, tau, color=COLORS["blue"], lw=1.2)
            axes.plot(times, scale / scale.max(), color=COLORS["vermilion"], lw=1, ls=(0, (3, 1)))
            axes.text(0.5, -0.12, f"c $\\leq$ {_short(scale.max())}", ha="center", va="center", fontsize=6.2,
                      color=COLORS["vermilion"])
            axes.set(xlim=(0, 1), ylim=(-0.26, 1.08), xticks=(), yticks=())
            if i == 0:
                axes.set_title(target, loc="center", fontsize=7)
            if j == 0:
                axes.set_ylabel(base, fontsize=7)
    figure.supylabel("schedule of the network (base)", fontsize=8)
    figure.suptitle("schedule of the sampler (target), t from 0 to 1 in each panel", fontsize=8)
    figure.supxlabel("solid blue: model time $\\tau_t$ from 0 to 1;  dashed red: scale $c_t$ over its largest value",
                     fontsize=8)
    return Drawing(figure, {"largest |t - back(tau_t)|": (worst, 1e-12)}, data)


def _short(value: float) -> str:
    return f"{value:.2g}" if value < 1000 else f"{value:.0f}"


if __name__ == "__main__":
    run_script(draw, __file__)

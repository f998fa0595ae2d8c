"""The ends of time: float32 errors of compiled coefficients and of textbook forms, near t = 0 and t = 1."""

from __future__ import annotations

import math

import numpy as np

import symsi
from symsi.figures import Drawing, run_script
from symsi.plotting.style import COLORS, column

# base, target, diffusion, coefficient, title
CASES = (
    ("linear", "trigonometric", "ode", "velocity_prediction", "linear to trigonometric:\nvelocity"),
    ("vp", "linear", "ode", "scale", "vp to linear:\nscale $c_t$"),
    ("cosine", "linear", "ode", "time", "cosine to linear:\ntime $\\tau_t$"),
    ("linear", "lazy(kappa=1)", "optimal", "drift_prediction", "linear to lazy(kappa=1):\noptimal drift"),
)
SIDES = (
    ("textbook", COLORS["vermilion"], "o", 2),
    ("textbook, t clamped to [1e-5, 1 - 1e-5]", COLORS["orange"], "s", 3),
    ("symsi", COLORS["blue"], "D", 1),
)
FLOOR, CEILING = 0.01, 3e12


def draw(quick: bool, seed: int) -> Drawing:
    """Errors in units in the last place, by distance from either end; a cross at the top is nan or inf."""
    step = 0.5 if quick else 0.2
    figure = column(4.2)
    table = figure.subplots(2, len(CASES), sharey=True)
    numbers, data = {}, {}
    for k, (base, target, diffusion, name, title) in enumerate(CASES):
        conversion = symsi.convert(base, target, diffusion=diffusion)
        table[0][k].set_title(title)
        label = f"{base} to {target}, {name}"
        for end, deepest in ((0, 40), (1, 23)):
            axes = table[end][k]
            distance = 2.0 ** -np.arange(1, deepest + step / 2, step)
            times = np.unique(np.float32(1 - distance if end else distance))
            found = np.array(symsi.kernel_errors(conversion, name, times.tolist()))
            away = 1 - found[:, 0] if end else found[:, 0]
            data[f"{name} {base} {target} {end}"] = np.minimum(found, 1e30)
            for what, color, marker, side in SIDES:
                error = found[:, side]
                shown = np.isfinite(error)
                axes.plot(away[shown], np.clip(error[shown], FLOOR, CEILING), marker, ms=1.8, color=color)
                axes.plot(away[~shown], np.full((~shown).sum(), CEILING), "x", ms=3.5, color=color)
                if what != "textbook, t clamped to [1e-5, 1 - 1e-5]":
                    worst = min(float(error.max()), 1e30) if side == 1 else math.log10(max(1.0, min(error.max(), 1e30)))
                    unit = "worst ulp" if side == 1 else "log10 of the worst ulp"
                    numbers[f"{label}, t near {end}: {what}, {unit}"] = (worst, 0.02 if side == 1 else 0.5)
            axes.set(xscale="log", yscale="log", xlabel="1 - t" if end else "t", ylim=(FLOOR / 2, CEILING * 6))
            axes.set_xticks([1, 1e-3, 1e-6] if end else [1, 1e-6, 1e-12])
            axes.axhline(0.5, color=COLORS["gray"], lw=0.6, ls=":")
    for line in table:
        line[0].set_ylabel("error (ulp of float32)")
    for y, (what, color, _, _) in zip((1e12, 1e9, 1e6), SIDES, strict=True):
        table[0][0].text(1e-12, y, what.replace(" to [", "\nto ["), color=color, va="center")
    table[1][1].text(1e-3, CEILING, "nan or inf", va="center")
    return Drawing(figure, numbers, data)


if __name__ == "__main__":
    run_script(draw, __file__)

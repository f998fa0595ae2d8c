"""Schedules: what alpha, beta and the signal-to-noise ratio do from noise to data, and where a point mass starts."""

from __future__ import annotations

import numpy as np

import symsi
from symsi.figures import Drawing, run_script
from symsi.plotting.style import COLORS, column, label_lines

# name, label, colour
SCHEDULES = (
    ("linear", "linear", COLORS["gray"]),
    ("trigonometric", "VP, angle", COLORS["purple"]),
    ("lazy(kappa=0)", r"lazy $\kappa=0$ (VP)", COLORS["blue"]),
    ("lazy(kappa=1/2)", r"lazy $\kappa=\frac{1}{2}$", COLORS["green"]),
    ("lazy(kappa=1)", r"lazy $\kappa=1$ (point mass)", COLORS["vermilion"]),
)


def draw(quick: bool, seed: int) -> Drawing:
    """alpha_t with beta_t, log-SNR = 2 log(beta/alpha), and the way through the plane (beta, alpha)."""
    figure = column(2.15)
    coefficient, ratio, plane = figure.subplots(1, 3)
    times = np.linspace(0, 1, 201)
    dots = slice(0, None, 20)
    data, ends = {}, []
    for name, label, color in SCHEDULES:
        table = symsi.tabulate(symsi.convert(name, name), times.tolist(), ("alpha", "beta"))
        alpha, beta = table["alpha"].numpy(), table["beta"].numpy()
        data[name] = np.stack([alpha, beta])
        coefficient.plot(times, alpha, color=color)
        inside = slice(1, -1)
        snr = 2 * np.log(beta[inside] / alpha[inside])
        ratio.plot(times[inside], snr, color=color)
        plane.plot(beta, alpha, color=color)
        plane.plot(beta[dots], alpha[dots], "o", ms=2.2, color=color)
        ends.append((label, color))
    coefficient.plot(times, times, color="black", lw=0.8, ls="--")
    coefficient.plot(times, data["trigonometric"][1], color=COLORS["purple"], lw=0.8, ls="--")
    coefficient.text(0.3, 0.2, r"$\beta_t=t$")
    coefficient.set(
        title=r"$\alpha_t$ of the noise ($\beta_t$ dashed)", xlabel="time t", xlim=(0, 1), ylim=(-0.02, 1.05)
    )
    ratio.set(title=r"log-SNR, $2\,\log(\beta_t/\alpha_t)$", xlabel="time t", xlim=(0, 1), ylim=(-9, 9))
    plane.set(title=r"from noise to data", xlabel=r"$\beta_t$", ylabel=r"$\alpha_t$", aspect="equal",
              xlim=(-0.05, 1.05), ylim=(-0.05, 1.15))
    plane.annotate("point mass:\nno noise, no data", (0, 0), (0.2, 0.13), va="center",
                   arrowprops={"arrowstyle": "->", "lw": 0.6})
    plane.text(-0.03, 1.05, "noise")
    plane.text(1.03, -0.02, "data", va="bottom")
    label_lines(plane, [(0.95 - 0.16 * k, *end) for k, end in enumerate(ends)], x=1.1)
    start = max(abs(float(data["lazy(kappa=1)"][k, 0])) for k in (0, 1))
    return Drawing(figure, {"size of the point mass at t = 0": (start, 0.0)}, data)


if __name__ == "__main__":
    run_script(draw, __file__)

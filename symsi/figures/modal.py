"""Modal lazy coordinates (T12): which modes are revealed when, and what is known of an image on the way to it."""

from __future__ import annotations

import numpy as np
import sympy
import torch

import symsi
from symsi.figures import Drawing, run_script
from symsi.plotting.style import COLORS, column, halves

SCHEDULE = "trigonometric"
MODES = (1, 4, 16, 32, 64, 128)
STEPS = 64
SHOWN = (2, 8, 16, 24, 32, 44, 62)  # steps of the path
ROWS = ("state $x_t$", "Gaussian\nposterior mean", "model's\ndenoiser")


def draw(quick: bool, seed: int) -> Drawing:
    """Left: w_i(t), principal components of digits28. Right: a path under epsilon*, E_G[X | x_t] and eta_X."""
    model = symsi.models.load("digits28")
    count = 200 if quick else 1000
    reference = symsi.reference_of_model(model, shape=count, kind="pca", steps=8, seed=seed, shrinkage=0.01,
                                         conditions=model.in_turn(count), batch=100, progress=False)
    variances = reference.modal_variances
    schedule = symsi.schedule(SCHEDULE)
    t, x, variance = sympy.symbols("t x lamda")
    posterior_mean = sympy.lambdify(
        (t, x, variance), symsi.gaussian_field(schedule.pair, "data", x, sympy.Integer(0), variance), "numpy"
    )
    revealed = sympy.lambdify((t, variance), symsi.revealed(schedule.pair, variance), "numpy")
    times = np.linspace(0, 1, 200)

    figure = column(2.5)
    left, right = halves(figure, 1, 1.75)
    axes = left.subplots()
    curves, half = {}, {}
    for k, mode in enumerate(MODES):
        value = float(variances[mode - 1])
        w = revealed(times, value)
        color = _shade(k / (len(MODES) - 1))
        axes.plot(times, w, color=color)
        curves[f"mode {mode}"] = w
        half[f"time at which mode {mode} is half revealed"] = (float(np.interp(0.5, w, times)), 0.01)
        at = float(np.interp(0.9 - 0.12 * k, w, times))
        axes.text(at, 0.9 - 0.12 * k, f"{mode}", color=color, ha="center", va="center",
                  bbox={"fc": "white", "ec": "none", "pad": 0.6})
    axes.set(xlabel="time t (VP, angle)", title="share $w_i$ of mode i revealed", xlim=(0, 1), ylim=(0, 1.02))

    images = right.subplots(len(ROWS), len(SHOWN))
    label = {"label": torch.tensor([3])}
    out = symsi.sample(model, shape=1, schedule=SCHEDULE, diffusion="optimal", reference=reference, steps=STEPS,
                       seed=seed, conditions=label, trajectory=True, progress=False)
    kernels = symsi.kernels(symsi.convert(model.schedule, SCHEDULE))
    shown = []
    for line, step in enumerate(SHOWN):
        time, x = out.plan.grid[step], out.path[step].double()
        beta = float(kernels.coefficient("beta", time))
        modes = reference.forward(x - beta * reference.mean[None])
        modes = torch.as_tensor(posterior_mean(time, modes.numpy(), variances.numpy()))
        posterior = reference.inverse(modes, tuple(x.shape[1:])) + reference.mean
        y, tau = kernels.model_input(x, time)
        with torch.no_grad():
            prediction = model(y.float(), tau.float().expand(1), **label)
        denoised = kernels.data(prediction.double(), x, time)
        for row, image in enumerate((x, posterior, denoised)):
            shown.append(image.flatten())
            images[row][line].imshow((image[0, 0] * model.gain + model.offset).numpy(), cmap="gray", vmin=0, vmax=1)
            images[row][line].set(xticks=(), yticks=())
            images[row][line].spines[:].set_visible(False)
        images[0][line].set_title(f"{time:.2f}", loc="center", fontsize=7)
    for row, name in enumerate(ROWS):
        images[row][0].set_ylabel(name, fontsize=7, rotation=0, ha="right", va="center")
    right.suptitle("one path under $\\epsilon^*$, at times t", fontsize=8)
    return Drawing(figure, half, curves | {"images": torch.stack(shown).numpy()})


def _shade(share: float) -> str:
    """From blue (largest variance) to vermilion (smallest)."""
    first, last = (np.array([int(COLORS[name][k : k + 2], 16) for k in (1, 3, 5)]) for name in ("blue", "vermilion"))
    return "#" + "".join(f"{round(v):02x}" for v in first + share * (last - first))


if __name__ == "__main__":
    run_script(draw, __file__)

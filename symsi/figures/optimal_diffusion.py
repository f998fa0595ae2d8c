"""The statistically optimal diffusion (T3): a wrong score costs least path KL at kappa = 1; what it does to samples."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import sympy
import torch
from torch import Tensor

import symsi
from symsi.figures import POINT_MASS, Drawing, run_script, start_noise
from symsi.plotting.style import COLORS, column, label_lines

RIGHT = symsi.models.mixture([0.4, 0.6], [[-1.2], [0.8]], [0.09, 0.09]).model(prediction="data")
KAPPAS = ("1/8", "1/4", "1/2", "1", "2", "4", "8")
# name, model time and size of the error, colour
ERRORS = (
    ("wrong early, at $\\tau=0.3$", 0.3, 0.4, COLORS["blue"]),
    ("wrong late, at $\\tau=0.7$", 0.7, 0.15, COLORS["vermilion"]),
)
WIDTH = 0.08
BATCHES = 5


def draw(quick: bool, seed: int) -> Drawing:
    """Left: KL of the paths by Girsanov's weights. Right: distance of the samples' law from that of the right score."""
    count, steps = (300, 80) if quick else (2000, 120)
    kappas = np.array([float(symsi.parse(kappa)) for kappa in KAPPAS])
    fine = np.geomspace(kappas[0], kappas[-1], 100)
    cost = sympy.latex(symsi.excess_cost(sympy.Symbol("kappa")), fold_short_frac=True)
    theory = np.array([float(symsi.excess_cost(symsi.parse(f"{kappa:.9f}"))) for kappa in fine])
    paths = [_paths(kappa, count, steps, seed) for kappa in KAPPAS]
    figure = column(2.5)
    left, right = figure.subplots(1, 2)
    numbers, data, names = {}, {}, []
    for label, centre, size, color in ERRORS:
        wrong = symsi.Model(partial(_shifted, RIGHT, centre, size), schedule="linear", prediction="data", shape=(1,))
        kl = np.array([_path_kl(path, plan, wrong) for path, plan in paths])
        apart = np.array([_distance(wrong, kappa, path, steps, seed)
                          for kappa, (path, _) in zip(KAPPAS, paths, strict=True)])
        left.plot(fine, kl[len(kappas) // 2, 0] * theory, color=color, lw=0.8)
        left.errorbar(kappas, kl[:, 0], 2 * kl[:, 1], fmt="o", ms=4, color=color)
        right.errorbar(kappas, apart[:, 0], 2 * apart[:, 1], fmt="o-", ms=4, lw=1, color=color)
        names.append((apart[-1, 0], label, color))
        for kappa, a, b in zip(KAPPAS, kl, apart, strict=True):
            numbers[f"path KL, kappa = {kappa}, {label}"] = (float(a[0]), float(a[1]))
            numbers[f"W2, kappa = {kappa}, {label}"] = (float(b[0]), float(b[1]))
        data[label] = np.concatenate([kl, apart])
    left.set(xscale="log", yscale="log", title=f"KL of the paths (line: $\\propto {cost}$)", ylabel="nats")
    right.set(xscale="log", ylim=(0, None), title="Wasserstein distance of the samples", ylabel=r"$W_2$")
    for axes in (left, right):
        axes.set_xticks(kappas, KAPPAS, minor=False)
        axes.minorticks_off()
        axes.axvline(1, color=COLORS["gray"], lw=0.6, ls=":")
        axes.set_xlabel(r"$\kappa$, with $\epsilon=\kappa\,\epsilon^*$ (bars: 2 standard errors)")
    label_lines(right, names)
    return Drawing(figure, numbers, data)


def _shifted(model: Callable[[Tensor, Tensor], Tensor], centre: float, size: float, x: Tensor, t: Tensor) -> Tensor:
    """The right data prediction plus a bump around one model time: no data have this denoiser."""
    return model(x, t) + size * torch.exp(-((t - centre) ** 2) / (2 * WIDTH**2))[:, None]


def _paths(kappa: str, count: int, steps: int, seed: int) -> tuple[symsi.Path, symsi.Plan]:
    """Sample with the right score."""
    options = {"shape": count, "seed": seed, "dtype": torch.float64}
    out = symsi.sample(RIGHT, schedule=POINT_MASS, diffusion=f"kappa={kappa}", steps=steps, last="step",
                       trajectory=True, progress=False, **options)
    return symsi.Path(POINT_MASS, out.plan.grid, out.path, start_noise(RIGHT, **options)), out.plan


def _path_kl(path: symsi.Path, plan: symsi.Plan, wrong: symsi.Model) -> tuple[float, float]:
    """Return the mean of log dP/dQ over paths of P, from the noises that P and Q need for them, and its spread."""
    own, other = (symsi.recover_noise(path, plan, model) for model in (RIGHT, wrong))
    weights = (other.square() - own.square()).sum((0, 2)) / 2
    return weights.mean().item(), (weights.std() / len(weights) ** 0.5).item()


def _distance(wrong: symsi.Model, kappa: str, path: symsi.Path, steps: int, seed: int) -> tuple[float, float]:
    """Return W2 between samples with the wrong score and with the right one by the same noise, and its spread."""
    right = path.states[-1]
    x = symsi.sample(wrong, shape=len(right), schedule=POINT_MASS, diffusion=f"kappa={kappa}", steps=steps, last="step",
                     seed=seed, dtype=torch.float64, progress=False).x
    apart = [symsi.metrics.sliced_wasserstein(a, b, directions=1)
             for a, b in zip(x.chunk(BATCHES), right.chunk(BATCHES), strict=True)]
    return symsi.metrics.sliced_wasserstein(x, right, directions=1), float(np.std(apart, ddof=1) / BATCHES**0.5)


if __name__ == "__main__":
    run_script(draw, __file__)

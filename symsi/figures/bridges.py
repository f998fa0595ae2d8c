"""Between two laws: paths of the ODE and of three SDEs, either way; the Schrodinger bridge as its noise falls."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

import symsi
from symsi.figures import Drawing, run_script
from symsi.plotting.style import COLORS, column

LEFT = symsi.models.mixture([0.3, 0.7], [[1.6], [-0.8]], [0.05, 0.15])
RIGHT = symsi.models.mixture([0.5, 0.2, 0.3], [[-1.8], [0.2], [1.5]], [0.04, 0.04, 0.12])
BRIDGE = "linear(gamma=brownian(a=0.5))"
DIFFUSIONS = ("ode", "gamma/4", "gamma", "4*gamma")
ENDS = (symsi.models.gaussian([-0.7], 0.1), symsi.models.gaussian([0.7], 0.8))
MOMENTS = tuple(moment for end in ENDS for moment in (end.mean, end.covariance.reshape(1, 1)))
SIGMAS = (2.0, 1.0, 0.5, 0.1)
HEIGHT, SHOWN, BATCHES = 3.2, 9, 4


def draw(quick: bool, seed: int) -> Drawing:
    """Rows: mixture to mixture, mixture from mixture, and the Schrodinger bridge between two Gaussians."""
    count, steps = (1000, 40) if quick else (2000, 100)
    figure = column(5.6)
    table = figure.subplots(3, 4, sharex=True, sharey="row")
    model = symsi.models.between(LEFT, RIGHT, BRIDGE)
    numbers: dict[str, tuple[float, float]] = {}
    data: dict[str, np.ndarray] = {}
    ends = {"forward": (LEFT, RIGHT), "backward": (RIGHT, LEFT)}
    for (row, (direction, (start, goal))), (k, diffusion) in product(enumerate(ends.items()), enumerate(DIFFUSIONS)):
        times, path = _paths(model, start, direction, diffusion, count, steps, seed)
        _density(table[row][k], model, (LEFT, RIGHT), seed)
        color = COLORS["blue" if direction == "forward" else "vermilion"]
        table[row][k].plot(times, path[:, :SHOWN, 0], color=color, lw=0.7)
        shown = "ODE" if diffusion == "ode" else rf"SDE, $\epsilon = {diffusion.replace('*gamma', 'gamma')}$"
        table[row][k].set_title(f"{direction}: {shown}".replace("gamma", r"\gamma"))
        data[f"{direction} {diffusion}"] = path[-1, :SHOWN, 0].numpy()
        numbers[f"{direction}, {diffusion}: energy distance to the law at the end"] = _distance(path[-1], goal, seed)
    numbers["energy distance of as many exact samples"] = _distance(RIGHT.sample(count, seed + 3), RIGHT, seed)
    for axes, sigma in zip(table[2], SIGMAS, strict=True):
        law = symsi.gaussian_bridge(*(end.covariance.item() for end in ENDS), sigma)
        bridge = symsi.models.between(*ENDS, law, ("velocity", "score"))
        times, path = _paths(bridge, ENDS[0], "forward", sigma**2 / 2, count, steps, seed)
        _density(axes, bridge, ENDS, seed)
        axes.plot(times, path[:, :SHOWN, 0], color=COLORS["green"], lw=0.7)
        axes.set(title=rf"Schrödinger, $\sigma = {sigma:g}$", xlabel="time t", xlim=(0, 1))
        pairs = torch.stack([path[0, :, 0], path[-1, :, 0]])
        exact = symsi.couplings.gaussian_coupling(*MOMENTS, sigma)[1][0, 1].item()
        parts = torch.tensor([torch.cov(part)[0, 1] for part in pairs.chunk(BATCHES, 1)])
        found = float(torch.cov(pairs)[0, 1]), float(parts.std()) / BATCHES**0.5
        numbers[f"Schrodinger, sigma = {sigma:g}: covariance of the ends"] = found
        numbers[f"Schrodinger, sigma = {sigma:g}: its exact value"] = (exact, 1e-9)
        data[f"Schrodinger {sigma:g}"] = path[-1, :SHOWN, 0].numpy()
        axes.text(0.03, 0.03, f"cov {found[0]:.3f}, exact {exact:.3f}", transform=axes.transAxes)
    for line in table:
        line[0].set_ylabel("state x")
    return Drawing(figure, numbers, data)


def _paths(
    model: symsi.BridgeModel, start: Any, direction: str, diffusion: object, count: int, steps: int, seed: int
) -> tuple[tuple[float, ...], Tensor]:
    """Times and states of paths; the noise of path i and step k is the same in every panel of a row."""
    found = symsi.sample_bridge(
        model, start.sample(count, seed + 1), direction=direction, diffusion=diffusion, steps=steps, grid="cosine",
        seed=seed, trajectory=True, progress=False,
    )
    return found.plan.grid, found.path


def _density(axes: Axes, model: symsi.BridgeModel, ends: tuple[Any, Any], seed: int) -> None:
    """Shade the density of I_t = alpha x0 + beta x1 + gamma z, drawn outright, over its largest value at each t."""
    count, times = 20_000, torch.linspace(0, 1, 60, dtype=torch.float64)
    kernels = symsi.interpolant_kernels(model.interpolant)
    x0, x1 = (end.sample(count, seed + k) for k, end in enumerate(ends))
    z = torch.randn(x0.shape, generator=torch.Generator().manual_seed(seed), dtype=x0.dtype)
    edges = np.linspace(-HEIGHT, HEIGHT, 81)
    found = np.stack([np.histogram(kernels.state(x0, x1, z, t), edges)[0] for t in times], 1)
    axes.imshow(found / found.max(0), extent=(0, 1, -HEIGHT, HEIGHT), origin="lower", aspect="auto", cmap="Greys",
                vmin=0, vmax=1.8, interpolation="bilinear")
    axes.set(ylim=(-HEIGHT, HEIGHT))


def _distance(x: Tensor, law: Any, seed: int) -> tuple[float, float]:
    """The energy distance of samples to as many exact ones, which is 0 on average for the right law, and its spread."""
    real = law.sample(len(x), seed + 2).to(x)
    apart = [symsi.metrics.energy_distance(a, b) for a, b in zip(x.chunk(BATCHES), real.chunk(BATCHES), strict=True)]
    return symsi.metrics.energy_distance(x, real), float(np.std(apart, ddof=1)) / BATCHES


if __name__ == "__main__":
    run_script(draw, __file__)

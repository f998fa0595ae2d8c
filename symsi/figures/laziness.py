"""Laziness: on Gaussian data the lazy drift is zero; how far from zero it is on a mixture and on real images."""

from __future__ import annotations

import torch

import symsi
from symsi.figures import POINT_MASS, Drawing, run_script, start_noise
from symsi.plotting.style import COLORS, column, label_lines

# What is drawn: name, schedule, diffusion, colour.
RUNS = (
    ("linear ODE", "linear", "ode", COLORS["gray"]),
    ("lazy VP, ODE", "trigonometric", "ode", COLORS["blue"]),
    ("point mass, SDE", POINT_MASS, "optimal", COLORS["vermilion"]),
)
ROUNDING = 1e-9


def draw(quick: bool, seed: int) -> Drawing:
    """Above, paths of one component; below, E|b_t|^2 a component along the paths, as a function of time."""
    data = (
        ("Gaussian data N(0, 1)", symsi.models.gaussian([0.0], 1.0).model(), 2000, 100),
        ("mixture of two", symsi.models.mixture([0.5, 0.5], [[-0.97], [0.97]], [0.06, 0.06]).model(), 2000, 100),
        ("digits28, a pixel", symsi.models.load("digits28"), 20 if quick else 64, 12 if quick else 32),
    )
    figure = column(3.9)
    table = figure.subplots(2, 3, sharex=True)
    numbers, drawn = {}, {}
    for k, (title, model, count, steps) in enumerate(data):
        labels = []
        for name, schedule, diffusion, color in RUNS:
            times, path, energy, spread = _run(model, schedule, diffusion, count, steps, seed)
            pixel = path.flatten(2)[:, :7, path[0, 0].numel() // 2 + 6 * (path[0, 0].numel() > 1)]
            if name != "linear ODE":
                table[0][k].plot(times, pixel, color=color, lw=0.8)
            table[1][k].plot(times[:-1], energy, color=color, lw=2.2 if name == "lazy VP, ODE" else 1.2)
            numbers[f"{title}, {name}: mean over time of E|b|^2 a component"] = (
                energy.mean().item(),
                max(spread, ROUNDING),
            )
            drawn[f"{title} {name}"] = energy.numpy()
            labels.append((energy[-1].item(), name, color))
        table[0][k].set(title=title, xlim=(0, 1))
        table[1][k].set(xlabel="time t")
        table[1][k].set_ylim(*((-0.3, 1.35) if k == 0 else (None, None)))
        if k == 0:
            table[1][k].set_yticks([0, 0.5, 1])
            table[1][k].text(0.5, -0.17, "both lazy drifts are 0", ha="center")
            table[1][k].text(0.5, 0.6, "linear ODE", ha="center", color=COLORS["gray"])
        if k == 2:
            label_lines(table[1][k], labels)
    table[0][0].set_ylabel("state x")
    table[1][0].set_ylabel(r"$E|b_t|^2$ a component")
    return Drawing(figure, numbers, drawn)


def _run(
    model: symsi.Model, schedule: symsi.Schedule | str, diffusion: str, count: int, steps: int, seed: int
) -> tuple[tuple[float, ...], torch.Tensor, torch.Tensor, float]:
    """Return times, the path, E|b|^2 a component at all times but the last, and the spread of its mean over time."""
    labels = model.in_turn(count)
    out = symsi.sample(
        model, shape=count, schedule=schedule, diffusion=diffusion, steps=steps, seed=seed, conditions=labels,
        trajectory=True, progress=False,
    )
    kernels = symsi.kernels(symsi.convert(model.schedule, schedule, diffusion=diffusion))
    squares = []
    for time, x in zip(out.plan.grid[:-1], out.path[:-1], strict=True):
        if time == 0:
            x = start_noise(model, shape=count, seed=seed, conditions=labels)
        y, tau = kernels.model_input(x, time)
        with torch.no_grad():
            prediction = model(y, tau.to(y).expand(count), **labels)
        squares.append(kernels.drift(prediction, x, time).double().square().flatten(1).mean(1))
    energy = torch.stack(squares)
    return out.plan.grid, out.path, energy.mean(1), (energy.mean(0).std() / count**0.5).item()


if __name__ == "__main__":
    run_script(draw, __file__)

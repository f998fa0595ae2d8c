"""Flow maps: digits in 1, 2 and 4 steps of one map, a learned map of a mixture on its exact one, error and bound."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor, nn

import symsi
from symsi.figures import Drawing, measured, run_script, start_noise
from symsi.plotting.style import COLORS, column, halves

MAP, DIGITS, STEPS = "digits28-map", (2, 4, 7, 8), (1, 2, 4)
DATA = symsi.models.mixture([0.4, 0.6], [[-1.4], [0.9]], [0.08, 0.15])
TIMES = (((0.0, 0.5), (0.0, 1.0)), ((0.5, 0.75), (0.5, 1.0)))  # s and t
WIDTH, BATCH, RATE, DIAGONAL = 64, 512, 4e-3, 0.25


def draw(quick: bool, seed: int) -> Drawing:
    """Left: one noise, 1, 2, 4 steps, converged. Middle: X_{s,t}, learned and exact. Right: figures/map.json."""
    result = measured("map.json", f"symsi bench map {MAP} --json", ("map", "certificate", "teacher"))
    figure = column(3.3)
    left, rest = halves(figure, 1, 2.15)
    middle, right = halves(rest, 1.15, 1)
    numbers: dict[str, tuple[float, float]] = {}
    data: dict[str, object] = {}

    flow, teacher = symsi.models.load_map(MAP), symsi.models.load(result["teacher"])
    told = {"label": torch.tensor(DIGITS)}
    run = {"shape": len(DIGITS), "seed": seed + 1, "conditions": told}
    truth = symsi.sample(teacher, schedule=flow.schedule, solver="heun", steps=32, progress=False, **run).x
    rows = {"noise": start_noise(flow, **run)}
    for steps in STEPS:
        name = f"{steps} step{'s' * (steps > 1)}"
        rows[name] = symsi.sample(flow, steps=steps, progress=False, **run).x
        error = symsi.metrics.rmse(rows[name], truth)
        numbers[f"{name}, rmse to the teacher's samples"] = (error, 0.02 * error)
    rows["teacher"] = truth
    panels = left.subplots(len(rows), 1)
    for axes, (name, images) in zip(panels, rows.items(), strict=True):
        shown = (images * flow.gain + flow.offset).clamp(0, 1)[:, 0]
        axes.imshow(torch.cat(list(shown), 1).numpy(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axes.set(xticks=(), yticks=())
        axes.spines[:].set_visible(False)
        axes.set_ylabel(name, rotation=0, ha="right", va="center")
        data[name] = images.numpy()
    panels[0].set_title(f"one noise, {flow.name}")

    exact, learned = symsi.models.exact_map(DATA), _learned(300 if quick else 3000, seed)
    for line, times in zip(middle.subplots(2, 2, sharex=True, sharey=True), TIMES, strict=True):
        for axes, (s, t) in zip(line, times, strict=True):
            error = _map(axes, exact, learned, s, t)
            numbers[f"mixture, s = {s:g}, t = {t:g}: rmse of the learned map"] = (error, 0.5 * error)
        line[0].set_ylabel("state at t")
    middle.axes[0].text(0.03, 0.97, "line: exact\ndots: learned", transform=middle.axes[0].transAxes, va="top")
    for axes in middle.axes[2:]:
        axes.set_xlabel("state at s")

    axes = right.subplots()
    found = result["certificate"]
    for key, name, color in (("bounds", "bound (T23)", "vermilion"), ("errors", "error", "blue")):
        values = np.sqrt(found[key])[:-1]
        axes.plot(found["times"][:-1], values, color=COLORS[color], marker="o", ms=2)
        middle_of = len(values) // 3
        axes.text(found["times"][middle_of] + 0.03, 1.15 * values[middle_of], name, color=COLORS[color])
        data[key] = values
        numbers[f"step from 0 to 1, {name}, rms"] = (float(values[0]), 0.2 * float(values[0]))
    axes.set(xlim=(0, 1), yscale="log", xlabel="s", title="one step from s to 1, rms")
    return Drawing(figure, numbers, data)


def _map(axes: Axes, exact: symsi.FlowMap, learned: symsi.FlowMap, s: float, t: float) -> float:
    """Draw X_{s,t} over what the state is at s; return how far the learned one is off, over the law of the state."""
    z = torch.special.ndtri(torch.linspace(0.0005, 0.9995, 1000, dtype=torch.float64))[:, None]
    x = exact(z, 0.0, s)
    wanted, found = exact(x, s, t), learned(x.float(), s, t).double()
    error: float = symsi.metrics.rmse(found, wanted)
    axes.plot(x, wanted, color=COLORS["gray"], lw=2.2)
    shown = torch.linspace(0, len(x) - 1, 40).long()
    axes.plot(x[shown], found[shown], color=COLORS["blue"], ls="", marker="o", ms=2)
    axes.set(title=f"s = {s:g}, t = {t:g}", ylim=(-2.8, 3.8))
    axes.text(0.97, 0.04, f"rmse {error:.2f}", transform=axes.transAxes, ha="right")
    return error


def _learned(steps: int, seed: int) -> symsi.FlowMap:
    """A small network that is trained by LMD against the mixture's velocity, a quarter of the times at s = t."""
    velocity = DATA.model().function
    kernels = symsi.kernels("linear")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        sizes = (3, WIDTH, WIDTH, WIDTH)
        layers = [layer for a, b in zip(sizes, sizes[1:], strict=False) for layer in (nn.Linear(a, b), nn.SiLU())]
        net = nn.Sequential(*layers, nn.Linear(WIDTH, 1))
        u = _average(net)
        descent = torch.optim.Adam(net.parameters())
        rate = torch.optim.lr_scheduler.OneCycleLR(descent, RATE, total_steps=steps, pct_start=0.1)
        known = DATA.sample(100_000, seed).float()
        for _ in range(steps):
            s, t = torch.rand(2, BATCH).sort(0).values
            s = torch.where(torch.rand(BATCH) < DIAGONAL, t, s)
            weights = kernels.functions["schedule"](s)
            noise, there = torch.randn(BATCH, 1), known[torch.randint(len(known), (BATCH,))]
            x = weights["alpha"][:, None].float() * noise + weights["beta"][:, None].float() * there
            loss = symsi.objectives.loss(symsi.objectives.lagrangian(u, velocity, x, s, t))
            descent.zero_grad()
            loss.backward()
            descent.step()
            rate.step()
    return symsi.FlowMap(torch.no_grad()(u), shape=(1,), name="learned")


def _average(net: nn.Module) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    return lambda x, s, t: net(torch.cat([x, s[:, None], t[:, None]], 1))


if __name__ == "__main__":
    run_script(draw, __file__)

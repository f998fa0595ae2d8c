"""Steering: clouds beside the exact tilt of a mixture at equal evaluations, and rewards of digits against budgets."""

from __future__ import annotations

import torch
from matplotlib.axes import Axes
from torch import Tensor

import symsi
from symsi.figures import Drawing, measured, run_script
from symsi.plotting.style import COLORS, column, halves, label_lines

BUDGET, STEPS = 500, 10
SLOPE = torch.tensor([2.3, 1.8], dtype=torch.float64)
DATA = symsi.models.mixture(
    [0.4, 0.3, 0.2, 0.1], [[-1.4, -0.85], [1.1, -1.0], [-0.85, 1.1], [1.25, 1.05]], [0.08] * 4
)
WAY = {"preset": "kim2025-linear-sde", "steps": STEPS, "dtype": torch.float64, "progress": False}
CLOUDS = {
    "SMC": {"method": "smc", "children": 1, **WAY},
    "SMC, fan-out 8": {"method": "smc", "children": 8, **WAY},
    "RBF": {"method": "rbf", **WAY},
    "best of 50": {"method": "bon", "steps": STEPS, "dtype": torch.float64, "progress": False},
}
LINES = {
    ("SMC, fan-out 8", "linear SDE"): "blue",
    ("SMC, fan-out 512, sharp", "linear SDE"): "purple",
    ("SMC", "linear SDE"): "sky",
    ("RBF", "linear SDE"): "vermilion",
    ("SVDD", "linear SDE"): "green",
    ("CoDe", "linear SDE"): "orange",
    ("BoN", "linear ODE"): "black",
}


def draw(quick: bool, seed: int) -> Drawing:
    """Left: the mixture (gray), its tilt (contours), what each method makes of 500 evaluations. Right: figures/*.json."""
    result = measured("steering.json", "symsi bench steering --on digits28 --json", ("digits", "mixture"))
    figure = column(3.0)
    left, right = halves(figure, 1.5, 1)
    numbers: dict[str, tuple[float, float]] = {}
    data: dict[str, object] = {}
    tilt, _ = symsi.models.tilted(DATA, linear=SLOPE)
    model = DATA.model(prediction="data")
    target = tilt.sample(1500, seed + 1)
    for axes, (name, options) in zip(left.subplots(2, 2, sharex=True, sharey=True).flat, CLOUDS.items(), strict=True):
        distances = []
        for k in range(3 if quick else 20):
            found = symsi.steer(model, _reward, budget=BUDGET, seed=seed + k, **options)
            distances.append(symsi.metrics.weighted_energy_distance(found.x, found.log_weights, target))
            if not k:
                _cloud(axes, found, name)
                data[name] = found.x.numpy()
        values = torch.tensor(distances)
        numbers[f"{name}, squared energy distance to the tilt"] = (float(values.mean()), float(values.std()))
        axes.text(0.98, 0.03, f"{float(values.mean()):.2f}", transform=axes.transAxes, ha="right")
    left.supxlabel("500 evaluations each; number: squared energy distance to the tilt, mean of runs", fontsize=7)
    axes = right.subplots()
    labels = []
    for (name, transition), color in LINES.items():
        rows = [r for r in result["digits"]["rows"] if (r["contender"], r["transition"]) == (name, transition)]
        nfe, reward, error = ([row[key] for row in rows] for key in ("nfe", "reward", "reward_error"))
        axes.errorbar(nfe, reward, error, color=COLORS[color], marker="o", ms=2.5, lw=1.2)
        labels.append((reward[-1], name, COLORS[color]))
        data[f"{name}, {transition}"] = reward
        numbers |= {f"digits, {name} at {n}": (r, max(e, 1e-3)) for n, r, e in zip(nfe, reward, error, strict=True)}
    axes.set(xscale="log", xlabel="evaluations", ylabel=f"reward, {result['digits']['reward']}", title="digits28")
    axes.set_xticks([50, 100, 200, 500], ["50", "100", "200", "500"])
    axes.minorticks_off()
    label_lines(axes, labels)
    return Drawing(figure, numbers, data)


def _reward(x: Tensor) -> Tensor:
    return x.double() @ SLOPE


def _cloud(axes: Axes, found: symsi.Steered, name: str) -> None:
    """Draw the law, its tilt and a weighted cloud; the area of a point is its weight."""
    for law, color in ((DATA, COLORS["gray"]), (symsi.models.tilted(DATA, linear=SLOPE)[0], COLORS["vermilion"])):
        for weight, mean, variance in zip(law.weights, law.means, law.eigenvalues.expand(4, -1)[:, 0], strict=True):
            angle = torch.linspace(0, 6.2832, 60)
            for radius in (1.0, 2.0):
                x, y = (float(m) + radius * float(variance) ** 0.5 * f(angle) for m, f in zip(mean, _CIRCLE, strict=True))
                axes.plot(x, y, color=color, lw=0.7, alpha=float(weight) ** 0.5)
    axes.scatter(found.x[:, 0], found.x[:, 1], s=(300 * found.weights).clamp(max=50).tolist(), color=COLORS["blue"], lw=0)
    axes.set(title=name, xlim=(-2.3, 2.6), ylim=(-2.0, 2.3), aspect="equal")


_CIRCLE = (torch.cos, torch.sin)

if __name__ == "__main__":
    run_script(draw, __file__)

"""Fewer steps: quality against network evaluations on digits28, and what the samples look like."""

from __future__ import annotations

import torch

import symsi
from symsi.figures import Drawing, measured, rows_of, run_script
from symsi.plotting.style import COLORS, Label, column, halves, label_lines

# method of the benchmark, label, colour, line style
LINES = (
    ("linear Euler", "linear Euler", COLORS["black"], "-"),
    ("DPM-Solver++(2M)", "DPM-Solver++, as shipped", COLORS["orange"], "--"),
    ("UniPC", "UniPC, as shipped", COLORS["green"], "--"),
    ("UniPC, shift 2", "UniPC, shift 2", COLORS["purple"], "--"),
    ("lazy VP AB2, shift 2", "lazy VP + AB2, shift 2", COLORS["sky"], "-"),
    ("fitted", "fitted to the model", COLORS["blue"], "-"),
)
SAMPLERS = (
    ("linear\nEuler", {"schedule": "linear", "solver": "euler"}),
    ("DPM++2M", {"schedule": "linear", "solver": "dpm++2m"}),
    ("lazy VP\n+ AB2,\nshift 2", {"schedule": "trigonometric", "solver": "ab2", "grid": "shifted(shift=2)"}),
)
EVALUATIONS = (3, 4, 6, 16)
DIGITS = (2, 3, 4, 5, 7, 8)


def draw(quick: bool, seed: int) -> Drawing:
    """Left: Frechet distance by NFE, from figures/nfe.json. Right: samples of three methods from the same noise."""
    result = measured("nfe.json", "symsi bench nfe --json", ("model", "rows", "converged"))
    figure = column(2.6)
    left, right = halves(figure, 1, 1.05)
    axes = left.subplots()
    ends: list[Label] = []
    data: dict[str, object] = {}
    numbers: dict[str, tuple[float, float]] = {}
    for method, label, color, dash in LINES:
        rows = rows_of(result, method)
        rows = [row for row in rows if 2 <= row["nfe"] <= 8 and row["fd"] < 10]
        if not rows:
            raise symsi.SymsiError(f"figures/nfe.json has no {method!r} at 2 to 8 evaluations; measure it again.")
        nfe, fd, spread = ([row[key] for row in rows] for key in ("nfe", "fd", "fd_spread"))
        axes.errorbar(nfe, fd, spread, ls=dash, color=color, marker="o", ms=3, lw=1.1 if dash == "--" else 2)
        ends.append((fd[-1], label, color))
        data[method] = fd
        numbers |= {f"{method}, FD at {n}": (f, s) for n, f, s in zip(nfe, fd, spread, strict=True)}
    end = result["converged"]
    low, high = end["fd"] - end["fd_spread"], end["fd"] + end["fd_spread"]
    axes.axhspan(low, high, color=COLORS["sky"], alpha=0.3, lw=0)
    axes.text(8.15, 2.25, "band: converged samples", ha="right", va="center", color=COLORS["gray"])
    axes.set(xscale="log", yscale="log", xlim=(1.9, 8.3), ylim=(2, 9), xlabel="network evaluations (NFE)",
             title=f"Fréchet distance, {result['model']}")
    axes.set_xticks([2, 3, 4, 6, 8], ["2", "3", "4", "6", "8"], minor=False)
    axes.set_yticks([2, 3, 4, 6, 8], ["2", "3", "4", "6", "8"], minor=False)
    axes.minorticks_off()
    label_lines(axes, ends)

    model = symsi.models.load("digits28")
    truth = _sample(model, seed, 32, {"schedule": "trigonometric", "solver": "heun"})
    images = right.subplots(len(SAMPLERS), len(EVALUATIONS))
    for row, (name, options) in enumerate(SAMPLERS):
        for line, steps in enumerate(EVALUATIONS):
            x = _sample(model, seed, steps, options)
            error = symsi.metrics.rmse(x, truth)
            numbers[f"{name.replace(chr(10), ' ')}, rmse to converged samples at {steps}"] = (error, 0.02 * error)
            data[f"{name} {steps}"] = x.numpy()
            panel = images[row][line]
            panel.imshow(_mosaic(x * model.gain + model.offset, 2).numpy(), cmap="gray", vmin=0, vmax=1)
            panel.set(xticks=(), yticks=())
            panel.spines[:].set_visible(False)
            if row == 0:
                panel.set_title(f"{steps} NFE", loc="center")
        images[row][0].set_ylabel(name, rotation=0, ha="right", va="center")
    return Drawing(figure, numbers, data)


def _sample(model: symsi.Model, seed: int, steps: int, options: dict[str, str]) -> torch.Tensor:
    """Draw DIGITS from the same noise."""
    labels = {"label": torch.tensor(DIGITS)}
    x: torch.Tensor = symsi.sample(
        model, shape=len(DIGITS), steps=steps, seed=seed + 1, progress=False, conditions=labels, **options
    ).x
    return x


def _mosaic(x: torch.Tensor, columns: int) -> torch.Tensor:
    """Lay images (N, 1, H, W) out in lines of `columns`."""
    lines = torch.split(x.clamp(0, 1), columns)
    return torch.cat([torch.cat(list(line[:, 0]), 1) for line in lines], 0)


if __name__ == "__main__":
    run_script(draw, __file__)

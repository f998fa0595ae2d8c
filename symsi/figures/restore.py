"""Degraded digits restored by the ODE and an SDE of a bridge, and by a regression: pictures, and what it measures."""

from __future__ import annotations

import torch
from torch import Tensor

import symsi
from symsi.figures import Drawing, measured, rows_of, run_script
from symsi.plotting.style import COLORS, Label, column, halves, label_lines

DIGITS = (2, 3, 4, 5, 7, 8, 0)
STEPS = 10
ODE = {"steps": STEPS, "last": "land"}
SDE = {**ODE, "diffusion": "gamma", "grid": "cosine"}
SHOWN = {
    "fd": "Fréchet distance, features (band: real digits)",
    "sw": "sliced Wasserstein distance, pixels (band: real digits)",
    "rmse": "rmse of a pixel",
}
LEAST = {"fd": 0, "sw": None, "rmse": 0}
LINES = (("ODE", COLORS["blue"]), ("SDE", COLORS["vermilion"]), ("regression", COLORS["gray"]))


def draw(quick: bool, seed: int) -> Drawing:
    """Left: digits that digits28 drew, degraded and restored. Right: figures/restore.json, on real held-out digits."""
    result = measured("restore.json", "symsi bench restore --json", ("model", "samples", "repeats", "rows"))
    figure = column(3.4)
    left, right = halves(figure, 1, 1.0)
    numbers: dict[str, tuple[float, float]] = {}
    data: dict[str, object] = {}
    model, regression = (symsi.models.load_bridge(name) for name in ("digits28-restore", "digits28-regression"))
    truth = symsi.sample(
        symsi.models.load("digits28"), shape=len(DIGITS), steps=8, seed=seed + 1, progress=False,
        conditions={"label": torch.tensor(DIGITS)},
    ).x
    start = symsi.models.degrade(truth, torch.randn(truth.shape, generator=torch.Generator().manual_seed(seed)))
    rows = {
        "degraded": start,
        "ODE": _restored(model, start, seed, ODE),
        **{f"SDE, {k + 1}": _restored(model, start, seed + k, SDE) for k in range(3)},
        "regression": _restored(regression, start, seed, {"solver": "euler", "steps": 1}),
        "digit": truth,
    }
    panels = left.subplots(len(rows), 1)
    for axes, (name, images) in zip(panels, rows.items(), strict=True):
        line = torch.cat(list((images * model.gain + model.offset).clamp(0, 1)[:, 0]), 1)
        axes.imshow(line.numpy(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axes.set(xticks=(), yticks=())
        axes.spines[:].set_visible(False)
        axes.set_ylabel(name, rotation=0, ha="right", va="center")
        data[name] = images.numpy()
        if name not in ("degraded", "digit"):
            error = model.gain * symsi.metrics.rmse(images, truth)
            numbers[f"{name}, rmse of the shown"] = (error, 0.02 * error)
    axes_of = right.subplots(len(SHOWN), 1, sharex=True)
    truth_row = rows_of(result, "truth")[0]
    for axes, (key, title) in zip(axes_of, SHOWN.items(), strict=True):
        low, high = (truth_row[key] + sign * truth_row[f"{key}_spread"] for sign in (-1, 1))
        axes.axhspan(low, high, color="0.88", lw=0)
        labels: list[Label] = []
        for method, color in LINES:
            found = rows_of(result, method)
            nfe, value, spread = ([row[name] for row in found] for name in ("nfe", key, f"{key}_spread"))
            axes.errorbar(nfe, value, spread, color=color, marker="o", ms=3, lw=1.4)
            if len(nfe) == 1:
                axes.axhline(value[0], color=color, lw=0.8, ls=":")
            labels.append((value[-1], method, color))
            data[f"{method} {key}"] = value
            numbers |= {f"{method}, {key} at {n}": (v, s) for n, v, s in zip(nfe, value, spread, strict=True)}
        axes.set(title=title, xscale="log", ylim=(LEAST[key], None))
        axes.set_xticks([1, 3, 5, 10, 20], ["1", "3", "5", "10", "20"], minor=False)
        axes.minorticks_off()
        label_lines(axes, labels)
    axes_of[-1].set_xlabel(f"network evaluations ({result['samples']} digits, {result['repeats']} seeds)")
    return Drawing(figure, numbers, data)


def _restored(model: symsi.BridgeModel, start: Tensor, seed: int, options: dict[str, object]) -> Tensor:
    found: Tensor = symsi.sample_bridge(
        model, start, conditions={"start": start}, seed=seed, progress=False, **options
    ).x
    return found


if __name__ == "__main__":
    run_script(draw, __file__)

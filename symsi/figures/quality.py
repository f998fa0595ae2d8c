"""Quality against network evaluations, every method that was measured on digits28, by family."""

from __future__ import annotations

from symsi.figures import Drawing, measured, rows_of, run_script
from symsi.plotting.style import COLORS, column, label_lines

FAMILIES = (
    ("solvers", ("linear Euler", "lazy VP Euler", "lazy VP AB2", "modal DCT AB2", "lazy VP AB2, optimised grid")),
    ("grids of lazy VP AB2", ("lazy VP AB2, point-mass grid", "lazy VP AB2", "lazy VP AB2, log-SNR grid",
                              "lazy VP AB2, linear grid", "lazy VP AB2, shift 2",
                              "lazy VP AB2, optimised grid")),
    ("diffusers' solvers", ("DPM-Solver++(2M)", "UniPC", "DPM-Solver++(2M), NSR grid", "UniPC, NSR grid",
                            "DPM-Solver++(2M), shift 2", "UniPC, shift 2", "lazy VP AB2, optimised grid")),
    ("SDEs, landing", ("linear SDE", "point mass", "lazy VP AB2, optimised grid")),
)
BEST = "lazy VP AB2, optimised grid"
OTHERS = ("black", "vermilion", "green", "purple", "orange", "gray")


def draw(quick: bool, seed: int) -> Drawing:
    """Frechet distance and its spread over seeds, from figures/nfe.json; the best of ours in each panel."""
    result = measured(
        "nfe.json", "symsi bench nfe --json", ("model", "samples", "repeats", "rows", "converged", "floor")
    )
    known = list(dict.fromkeys(row["method"] for row in result["rows"]))
    unnamed = [m for m in known if not any(m in methods for _, methods in FAMILIES)]
    figure = column(4.6)
    panels = figure.subplots(2, 2, sharex=True, sharey=True).flat
    end, floor = result["converged"], result["floor"]
    data: dict[str, list[float]] = {}
    numbers: dict[str, tuple[float, float]] = {}
    for axes, (title, methods) in zip(panels, FAMILIES, strict=True):
        axes.set(xscale="log", yscale="log", xlim=(1.9, 33), ylim=(2, 200), title=title)
        axes.axhspan(floor["fd"] - floor["spread"], floor["fd"] + floor["spread"], color="0.88", lw=0)
        axes.axhline(end["fd"], color=COLORS["gray"], lw=0.8, ls=":")
        labels = []
        shown = [m for m in (*methods, *(unnamed if title == "solvers" else ())) if m in known]
        for k, method in enumerate(shown):
            rows = rows_of(result, method)
            nfe, fd, spread = ([row[key] for row in rows] for key in ("nfe", "fd", "fd_spread"))
            color = COLORS["blue"] if method == BEST else COLORS[OTHERS[k % len(OTHERS)]]
            dashes = "-" if method == BEST or k < len(OTHERS) else "--"
            axes.errorbar(nfe, fd, spread, color=color, ls=dashes, marker="o", ms=2.5, lw=2 if method == BEST else 1)
            name = (
                method.removeprefix("lazy VP AB2").removeprefix(", ") or "uniform grid" if "grids" in title else method
            )
            labels.append((fd[-1], name, color))
            data[method] = fd
            numbers |= {f"{method}, FD at {n}": (f, s) for n, f, s in zip(nfe, fd, spread, strict=True)}
        axes.set_xticks([2, 3, 4, 6, 8, 32], ["2", "3", "4", "6", "8", "32"], minor=False)
        axes.set_yticks([3, 10, 30, 100], ["3", "10", "30", "100"], minor=False)
        axes.minorticks_off()
        label_lines(axes, labels)
    figure.supxlabel("network evaluations (NFE);  gray band: real data against real data, dotted: converged samples",
                     fontsize=7.5)
    about = f"{result['model']}, {result['samples']} samples, {result['repeats']} seeds"
    figure.supylabel(f"Fréchet distance ({about})", fontsize=7.5)
    return Drawing(figure, numbers, data)


if __name__ == "__main__":
    run_script(draw, __file__)

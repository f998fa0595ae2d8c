"""Which figure stands beside which theorem, and figures as part of the page."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path

from symsi.report.html import Html, element, join
from symsi.report.prose import prose

__all__ = ["FIGURES", "INTRODUCTION", "QUALITY", "Figure", "beside", "picture"]


@dataclass(frozen=True)
class Figure:
    """A figure by its name in the figures folder: the theorems that it illustrates, what it shows, what to see."""

    name: str
    theorems: tuple[str, ...]
    shows: str
    caption: str


INTRODUCTION = Figure(
    "fewer_steps",
    (),
    "Left: Frechet distance against network evaluations; lazy coordinates reach the converged band "
    "at 4, other methods later. Right: digits of three methods at 3, 4, 6 and 16 evaluations.",
    "Quality of digits28 samples against network evaluations (the band is that of converged samples), and samples from "
    "the same noise.",
)
QUALITY = Figure(
    "quality",
    (),
    "Frechet distance against network evaluations in four panels: solvers, grids, diffusers' solvers, stochastic ones.",
    "Every method that was measured; the gray band is real data against real data, the dotted line converged samples.",
)
FIGURES = (
    Figure(
        "optimal_diffusion",
        ("T3",),
        "Left: path KL divergence against kappa, a valley with its floor at "
        "kappa = 1. Right: distance of samples, falling with kappa for an early error, rising for a late one.",
        "What a wrong denoiser costs under epsilon = kappa epsilon*: the KL of the paths is least at kappa = 1; "
        "noise lets samples forget an early error and makes a late one worse.",
    ),
    Figure(
        "time_maps",
        ("T4",),
        "Small multiples of tau and c against t, a row and a column for each schedule.",
        "Time map tau and scale c for every ordered pair of named schedules.",
    ),
    Figure(
        "paths",
        ("T5", "T7"),
        "Sample paths on a one-dimensional mixture under several schedules, with converted "
        "paths on top of them, and under three diffusions.",
        "Paths of one SDE converted to another schedule lie on its paths (T5); one noise drives three diffusions (T7).",
    ),
    Figure(
        "laziness",
        ("T9",),
        "Paths and mean squared drift against t, zero on Gaussian data and not elsewhere.",
        "Mean squared drift along the way: zero on Gaussian data under the lazy condition; on digits no smaller "
        "than the linear one.",
    ),
    Figure(
        "schedules",
        ("T10",),
        "alpha against beta, and log signal-to-noise ratio against t, for five schedules.",
        "Linear, variance-preserving and lazy schedules for kappa = 0, 1/2 and 1; the last ones start in a point.",
    ),
    Figure(
        "endpoints",
        ("T11",),
        "Error in ulp against the distance from t = 0 and from t = 1, ours and textbook.",
        "Coefficients close to both ends: ours hold their limits, divided textbook forms lose all digits.",
    ),
    Figure(
        "modal",
        ("T12",),
        "Revealed fraction w against t, a curve for each mode, with images along the path.",
        "Which mode is revealed when, and the posterior mean of an image along the path.",
    ),
    Figure(
        "bridges",
        ("T13", "T16", "T17"),
        "Paths between two mixtures under the ODE and three SDEs, forward and backward, over the density; below, "
        "paths of Schrodinger bridges between two Gaussians, straighter as sigma falls.",
        "One family of marginal laws under the ODE and any epsilon, either way (T13), by the exact fields of mixtures "
        "(T16); the Schrodinger bridge between Gaussians tends to optimal transport as sigma falls (T17).",
    ),
    Figure(
        "flow_maps",
        ("T19", "T23"),
        "Left: digits from one noise in 1, 2 and 4 steps of a map, and the teacher's. Middle: X_{s,t} of a mixture for "
        "four pairs of times, learned points on exact lines. Right: error of one step from s, below its bound.",
        "One map in any number of steps; a small network trained by the Lagrangian residual (T19) against the exact "
        "map of a mixture; the certificate's bound on the error of one step from s (T23).",
    ),
    Figure(
        "steering",
        ("T25",),
        "Left: a mixture (gray), its tilt by a linear reward (red), and what SMC, SMC with fan-out, Rollover Budget "
        "Forcing and the best of 50 make of 500 evaluations. Right: rewards of digits against evaluations.",
        "Weighted samples stand for the tilt (T25); fan-out comes nearer at equal evaluations, and methods that search "
        "gather where the reward is high.",
    ),
    Figure(
        "restore",
        ("T14",),
        "Left: degraded digits, their restorations by the ODE, by three draws of an SDE and by a regression, and the "
        "digits. Right: Frechet distance and root mean square error against network evaluations.",
        "A bridge learned by the regressions of T14, from degraded digits to digits: it draws sharp digits that could "
        "have been, where a regression gives their mean, nearer and blurred.",
    ),
)


def beside(theorem: str, folder: Path) -> Html:
    """Return the figures of a theorem; one that stands beside an earlier theorem is linked instead of repeated."""
    found = []
    for figure in FIGURES:
        if theorem == figure.theorems[0]:
            found.append(picture(figure, folder))
        elif theorem in figure.theorems:
            link = element("a", "Figure “", figure.name, "”", href=f"#figure-{figure.name}")
            found.append(element("p", link, " illustrates this theorem too.", class_="note"))
    return join(found)


def picture(figure: Figure, folder: Path) -> Html:
    """Return a figure with its PNG inline; where there is none in `folder`, a note with the command that makes it."""
    try:
        data = (folder / f"{figure.name}.png").read_bytes()
    except OSError:
        command = element("code", f"symsi figures --only {figure.name} --out {folder}")
        note = element("p", f"The figure “{figure.name}” is not in the figures folder; make it with ", command, ".")
        return element("figure", note, class_="missing", id=f"figure-{figure.name}")
    image = element("img", src=f"data:image/png;base64,{b64encode(data).decode()}", alt=figure.shows)
    return element("figure", image, element("figcaption", prose(figure.caption)), id=f"figure-{figure.name}")

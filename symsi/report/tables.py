"""What was measured: the certificate of accuracy and sample quality at equal network evaluations, as HTML tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from symsi.errors import SymsiError
from symsi.files import read_data, trouble
from symsi.report.html import Html, element, join, number, table

__all__ = ["MEASUREMENTS", "certificate", "evaluations", "load"]

MEASUREMENTS = {
    "certificate": "symsi bench certificate --json > figures/certificate.json",
    "nfe": "symsi bench nfe --json > figures/nfe.json",
}

_COLUMNS = {
    "conversions": "Conversions",
    "table_ulp": "Tables",
    "kernel_ulp": "Kernels",
    "textbook_ulp": "Textbook",
    "textbook_nonfinite": "Textbook nan or inf",
    "clamped_ulp": "Clamped",
}


def load(name: str, folder: Path) -> Any | None:
    """Return the data of `folder`/`name`.json, or None where there is no such file.

    Raises SymsiError where the file cannot be read as JSON.
    """
    path = folder / f"{name}.json"
    if not path.is_file():
        return None
    try:
        return read_data(path)
    except (OSError, ValueError) as error:
        raise SymsiError(
            f"{path} cannot be read ({trouble(error)}); make it again with `{MEASUREMENTS[name]}`."
        ) from None


def certificate(folder: Path) -> Html:
    """Return the certificate: worst errors by coefficient, and what each number means."""
    data = load("certificate", folder)
    if data is None:
        return _missing("certificate")
    try:
        by_hand = data["handwritten"]
        rows = [
            (element("code", r["coefficient"]), *(number(r[column]) for column in _COLUMNS))
            for r in data["by_coefficient"]
        ]
        summary = element(
            "p",
            number(data["coefficients"]),
            " coefficients of conversions between named schedules, ",
            number(data["points"]),
            " values, each compared with 50-digit arithmetic at both ends, at distances 2",
            element("sup", "−k"),
            " from them and at random times. Not finite where a limit exists: ",
            number(data["nonfinite"]),
            " of ours, ",
            number(by_hand["nonfinite"]),
            " of the textbook forms.",
        )
    except (KeyError, TypeError, ValueError):
        return _missing("certificate", "has not the columns that this page shows")
    return join(
        summary,
        element(
            "p",
            "An ulp is the spacing of floating-point numbers at the true value: an error of 0.5 ulp is correct "
            "rounding. “Tables” are the float64 numbers that a sampler steps with, “kernels” the float32 functions "
            "of per-sample times, “textbook” the divided formulas in float32 as one writes them down, and “clamped” "
            "the same with t kept 10",
            element("sup", "−5"),
            " away from both ends.",
        ),
        table("Worst error in ulp, by coefficient", ("Coefficient", *_COLUMNS.values()), rows, numbers=True),
    )


def evaluations(folder: Path) -> Html:
    """Return Frechet distances by method and number of network evaluations, and what they mean."""
    data = load("nfe", folder)
    if data is None:
        return _missing("nfe")
    try:
        counts = sorted({r["nfe"] for r in data["rows"]})
        methods = list(dict.fromkeys(r["method"] for r in data["rows"]))
        cells = {(r["method"], r["nfe"]): (r["fd"], r["fd_spread"]) for r in data["rows"]}
        ends = [
            (data["floor"]["fd"], data["floor"]["spread"]),
            (data["converged"]["fd"], data["converged"]["fd_spread"]),
        ]
        about = data["model"], data["samples"], data["repeats"]
        good = ends[0][0] + ends[0][1]
        rows = [(m, *(_distance(cells.get((m, n)), good) for n in counts)) for m in methods]
        real, converged = (_distance(end) for end in ends)
    except (KeyError, TypeError, ValueError):
        return _missing("nfe", "has not the columns that this page shows")
    return join(
        element(
            "p",
            "Frechet distance of ",
            element("code", about[0]),
            f" samples to real digits, in the features of a "
            f"digit classifier; lower is better. Mean ± standard deviation over {about[2]} seeds of {about[1]} "
            "samples each; all methods start from the same noise. Real data against real data: ",
            real,
            "; converged samples: ",
            converged,
            ". Bold: no farther than real data "
            "from real data. A dash was not measured: a method that has settled is not run at more evaluations.",
        ),
        table("Frechet distance by network evaluations", ("Method", *map(str, counts)), rows, numbers=True),
    )


def _distance(value: tuple[float, float] | None, good: float = 0.0) -> Html:
    if value is None:
        return Html("–")
    mean, spread = value
    digits = 1 if mean < 100 else 0
    text = join(f"{mean:.{digits}f}", element("span", f" ± {spread:.{digits}f}", class_="spread"))
    return element("strong", text) if mean <= good else text


def _missing(name: str, why: str = "is not in the figures folder") -> Html:
    return element("p", f"{name}.json {why}; make it with ", element("code", MEASUREMENTS[name]), ".", class_="missing")

"""The part to play with: tau, c, alpha and beta of schedule pairs, from tables that symsi computed.

The picture and the numbers of one pair are written into the page; explore.js puts those of other pairs in their place.
It holds no formula: curves are polylines in the coordinates of the tables, and t and kappa move along their grids.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from math import pi, sin

from symsi.coefficients.tables import tabulate
from symsi.report.html import Html, element, join, table
from symsi.theory.conversion import convert

__all__ = ["BASES", "KAPPAS", "Tables", "explore", "pairs", "tabulate_pair"]

BASES = ("linear", "trigonometric", "vp", "cosine", "shifted(shift=3)")
KAPPAS = ("0", "1/4", "1/2", "3/4", "1", "2")
TIMES = tuple(
    round(sin(pi * k / 100) ** 2, 3) for k in range(51)
)  # closer together at the ends, where curves are steep
_CURVES = {
    "time": Html("τ"),
    "scale": Html("c"),
    "alpha": element("span", "α", class_="bar"),
    "beta": element("span", "β", class_="bar"),
}
_START = ("linear", "lazy(kappa=1)")
_HEIGHT = 1.5  # c = alpha + beta reaches sqrt(2) for the linear base
Tables = Mapping[tuple[str, str], Mapping[str, Sequence[float]]]


def pairs() -> list[tuple[str, str]]:
    """Return the pairs whose tables the page holds: each base to each base and to the lazy schedules."""
    return [(base, target) for base in BASES for target in (*BASES, *(f"lazy(kappa={k})" for k in KAPPAS))]


def tabulate_pair(base: str, target: str) -> dict[str, list[float]]:
    """Return time, scale, alpha and beta of one pair on the grid of t, to five digits."""
    found = tabulate(convert(base, target), TIMES, tuple(_CURVES))
    return {name: [float(f"{v:.5g}") for v in found[name].tolist()] for name in _CURVES}


def explore(tables: Tables) -> Html:
    """Return controls, picture, numbers and the static table; without JavaScript the controls stay hidden."""
    first = tables[_START]
    data = {
        "times": TIMES,
        "kappas": KAPPAS,
        "tables": {f"{base} > {target}": columns for (base, target), columns in tables.items()},
    }
    store = Html(json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"))
    middle = len(TIMES) // 2
    rows = ((f"{TIMES[k]:g}", *(f"{first[n][k]:.4f}" for n in _CURVES)) for k in range(0, len(TIMES), 10))
    return join(
        element("noscript", element("p", "The controls need JavaScript; here is one pair.", class_="note")),
        _controls(),
        element(
            "figure",
            _picture(first, middle),
            _readout(first, middle),
            element(
                "figcaption",
                "From ",
                element("span", _START[0], id="explore-base-name"),
                " to ",
                element("span", _START[1], id="explore-target-name"),
                ": time map τ, scale c, and the target’s coefficients, against t.",
            ),
        ),
        table(f"The numbers from {_START[0]} to {_START[1]}", ("t", *_CURVES.values()), rows, numbers=True),
        element("script", store, type="application/json", id="explore-data"),
        element("script", Html(files("symsi.report").joinpath("explore.js").read_text(encoding="utf-8"))),
    )


def _controls() -> Html:
    def field(label: str, name: str, control: Html, *after: Html) -> Html:
        return element("p", element("label", label, for_=f"explore-{name}"), control, *after)

    def select(name: str, options: Sequence[str], chosen: str) -> Html:
        items = (element("option", o, selected=o == chosen) for o in options)
        return element("select", items, id=f"explore-{name}")

    def slider(name: str, count: int, value: int) -> Html:
        return element("input", type="range", id=f"explore-{name}", min=0, max=count - 1, value=value)

    return element(
        "form",
        field("Trained with", "base", select("base", BASES, "linear")),
        field("Sample with", "target", select("target", ("lazy", *BASES), "lazy")),
        field(
            "κ of lazy",
            "kappa",
            slider("kappa", len(KAPPAS), KAPPAS.index("1")),
            element("output", "1", id="explore-kappa-value", for_="explore-kappa"),
        ),
        field(
            "t",
            "t",
            slider("t", len(TIMES), len(TIMES) // 2),
            element("output", "0.500", id="explore-t-value", for_="explore-t"),
        ),
        id="explore-controls",
        hidden=True,
    )


def _picture(columns: Mapping[str, Sequence[float]], k: int) -> Html:
    """Curves in data coordinates: t to the right, values upwards."""
    grid = [element("line", x1=0, x2=1, y1=v / 2, y2=v / 2, class_="grid") for v in range(int(2 * _HEIGHT) + 1)]
    curves = (element("polyline", points=_points(columns[n]), class_=f"curve {n}", data_name=n) for n in _CURVES)
    marker = element("line", x1=TIMES[k], x2=TIMES[k], y1=0, y2=_HEIGHT, class_="marker", id="explore-marker")
    ticks = [element("text", f"{v / 2:g}", x=22, y=10 + 300 * (1 - v / 2 / _HEIGHT) + 4, class_="y") for v in range(4)]
    ticks += [element("text", f"{v / 4:g}", x=30 + 560 * v / 4, y=330, class_="x") for v in range(5)]
    plane = element("g", grid, marker, curves, transform=f"translate(30 310) scale(560 {-300 / _HEIGHT:g})")
    label = "Curves of tau, c, alpha and beta of the pair against t from 0 to 1; the numbers are in the table below."
    return element("svg", plane, ticks, viewBox="0 0 600 340", role="img", aria_label=label)


def _points(column: Sequence[float]) -> str:
    return " ".join(f"{t:g},{v:g}" for t, v in zip(TIMES, column, strict=True))


def _readout(columns: Mapping[str, Sequence[float]], k: int) -> Html:
    def items() -> Iterator[Html]:
        for name, sign in _CURVES.items():
            value = element("dd", f"{columns[name][k]:.4f}", id=f"explore-{name}")
            yield element("div", element("dt", sign), value, class_=f"value {name}")

    return element("dl", items(), class_="readout", aria_live="polite")

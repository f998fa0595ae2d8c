"""HTML as values: text is escaped unless it is already Html."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

__all__ = ["Html", "element", "join", "number", "table"]

_VOID = frozenset({"img", "input", "line", "polyline"})
Child = str | Iterable[str]


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def element(tag: str, *children: Child, **attributes: str | float | bool | None) -> Html:
    """Return an element. Children are escaped unless they are Html; `class_` means class, `aria_label` aria-label.

    An attribute that is None or False is left out, and True stands for its bare name.
    """
    pairs = (
        (name.rstrip("_").replace("_", "-"), v) for name, v in attributes.items() if v is not None and v is not False
    )
    written = "".join(f" {n}" if v is True else f' {n}="{escape(str(v), quote=True)}"' for n, v in pairs)
    return Html(f"<{tag}{written}/>" if tag in _VOID else f"<{tag}{written}>{join(*children)}</{tag}>")


def join(*children: Child) -> Html:
    """Return children one after the other, escaped unless they are Html; an iterable stands for its items."""
    parts: list[str] = []
    for child in children:
        if isinstance(child, str):
            parts.append(child if isinstance(child, Html) else escape(child))
        else:
            parts.append(join(*child))
    return Html("".join(parts))


def number(value: float | None, digits: int = 2) -> Html:
    """Return a number with `digits` significant digits, powers of ten typeset; a dash for None."""
    if value is None or not math.isfinite(value):
        return Html("–")
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return Html(f"{value:,.0f}" if float(value).is_integer() else f"{value:.{digits}g}".replace("-", "−"))
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    return Html(f"{mantissa}&#8239;·&#8239;10<sup>{int(exponent)}</sup>".replace("-", "−"))


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: bool = False) -> Html:
    """Return a table in a box that scrolls by itself; the first cell of each row is its header."""
    columns = element("tr", (element("th", name, scope="col") for name in head))
    body = (element("tr", element("th", row[0], scope="row"), (element("td", c) for c in row[1:])) for row in rows)
    content = element("table", element("caption", caption), element("thead", columns), element("tbody", body))
    return element("div", content, class_="scroll numbers" if numbers else "scroll")

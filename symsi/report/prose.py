"""The mathematics inside sentences: "alpha^2 rho' > 0" as α² ρ′ > 0, "T5" as a link to that theorem."""

from __future__ import annotations

import re
from html import escape

from symsi.report.html import Html
from symsi.report.mathml import letter

__all__ = ["prose"]

_TOKEN = re.compile(
    r"\b(?P<theorem>T(?:1[0-2]|[1-9]))\b"
    r"|(?P<name>[A-Za-z]+)(?P<digits>\d+)?(?P<bar>_bar)?(?P<index>_\{[^}]*\}|_[A-Za-z0-9]+)?"
    r"(?P<prime>'+(?![A-Za-z]))?(?P<star>\*)?"
    r"|(?P<power>\^(?=[\w(]))"
    r"|(?P<sign>'s\b|>=|<=|->|\+-|(?<=\d) x (?=\d)| - |'|(?<![^\s(])-(?=[\w(]))"
)
_SIGNS = {"'s": "’s", ">=": "≥", "<=": "≤", "->": "→", "+-": "±", " x ": " × ", " - ": " − ", "'": "′", "-": "−"}
_WORDS = {"oo": "∞", "sqrt": "√"}
_ARTICLES = frozenset({"a", "A"})


def prose(text: str) -> Html:
    """Return a sentence as HTML: Greek names, indices, powers and primes typeset, theorem numbers linked."""
    done, at = "", 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            done, at = done + escape(text[at]), at + 1
            continue
        at = found.end()
        if found["theorem"]:
            done += f'<a href="#{found[0]}">{found[0]}</a>'
        elif found["name"]:
            done += _name(found)
        elif found["sign"]:
            done += _SIGNS[found["sign"]]
        else:
            end = _end_of_power(text, at)
            done += f"<sup>{prose(text[at:end].removeprefix('(').removesuffix(')'))}</sup>"
            at = end
    return Html(done)


def _name(found: re.Match[str]) -> str:
    """A letter of the theory in italics with its scripts; any other word as it is."""
    name, digits, index = found["name"], found["digits"] or "", found["index"]
    if name in _WORDS:
        return _WORDS[name]
    symbol = letter(name)
    is_letter = symbol != name or (len(name) == 1 and name not in _ARTICLES) or bool(found["bar"] or index)
    is_differential = len(name) == 2 and name[0] == "d" and name not in ("do",)
    if not (is_letter or is_differential) or (digits and len(name) > 1):
        return escape(found[0])
    differential, stem = ("d", name[1:]) if is_differential and symbol == name else ("", symbol)
    head = f'{differential}<i class="bar">{stem}' if found["bar"] else f"{differential}<i>{stem}"
    scripts = f"<sub>{digits}</sub>" if digits else ""
    if index:
        scripts += f"<sub><i>{','.join(letter(part) for part in index.strip('_{}').split(','))}</i></sub>"
    if found["star"]:
        scripts += "<sup>*</sup>"
    return f"{head}</i>{'′' * len(found['prime'] or '')}{scripts}"


def _end_of_power(text: str, start: int) -> int:
    """Where the exponent that starts here ends: a bracket closes, or a word does."""
    if text[start] != "(":
        found = re.compile(r"\w+").match(text, start)
        return found.end() if found else start
    depth = 0
    for at in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        if depth == 0:
            return at + 1
    return len(text)

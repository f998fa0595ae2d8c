"""Tables of the pages, as cells."""

from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def tables(page: str, below: str = "") -> list[list[list[str]]]:
    """The tables of a page, or of what is below a heading: the cells of the head and of each row, without bold."""
    text = (DOCS / page).read_text()
    assert not below or text.count(f"\n{below}\n") == 1
    blocks = [block.splitlines() for block in text[text.index(below) :].strip().split("\n\n")]
    found = [[_cells(lines[0]), *map(_cells, lines[2:])] for lines in blocks if lines[0].startswith("|")]
    assert all(len(row) == len(head) for head, *rows in found for row in rows)
    return found


def table(page: str, head: str) -> tuple[list[str], list[list[str]]]:
    """The head's cells and the rows' of the one table whose head begins with these words."""
    ((first, *rows),) = [found for found in tables(page) if f"{' '.join(found[0])} ".startswith(f"{head} ")]
    return first, rows


def _cells(line: str) -> list[str]:
    return [cell.strip().replace("**", "") for cell in line.removeprefix("|").removesuffix("|").split("|")]

"""README and docs: each code block runs and prints what the page says, each link leads somewhere."""

import contextlib
import io
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import symsi

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = (README, *sorted((ROOT / "docs").glob("*.md")))
NOT_RUN = "# not run here: "


class Block(NamedTuple):
    """A fenced block; `shown` is the ```text block right below it, if there is one."""

    page: Path
    language: str
    code: str
    shown: str

    @property
    def name(self) -> str:
        lines = (line for line in self.code.splitlines() if line and not line.startswith(("import", "from", "#")))
        return f"{self.page.stem}, {next(lines)[:40]}"


def blocks(language: str) -> list[Block]:
    fenced = re.compile(rf"^```{language}\n(.*?)^```$(?:\n\n```text\n(.*?)^```$)?", flags=re.DOTALL | re.MULTILINE)
    return [Block(page, language, code, shown) for page in PAGES for code, shown in fenced.findall(page.read_text())]


PYTHON, SHELL = blocks("python"), blocks("sh")
RUN = [block for block in SHELL if "symsi " in block.code and NOT_RUN not in block.code]
LONG = ("calibrate", "sample sevens", "sample digits.npz")  # commands that run a network for a while


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: block.name)
def test_a_python_block_prints_what_its_comments_say(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block.code, block.page, "exec"), {})
    expected = re.findall(r"^ *print\(.*\)\s+# (.+)$", block.code, flags=re.MULTILINE)
    lines = printed.getvalue().splitlines()
    assert len(expected) == len(lines) > 0
    for line, comment in zip(lines, expected, strict=True):
        assert line
        assert comment in (line, f"{line}: {comment.partition(': ')[2]}")


def shell_blocks() -> Iterator[Any]:
    for block in RUN:
        long = any(f"symsi {command}" in block.code for command in LONG)
        yield pytest.param(block, id=block.name, marks=pytest.mark.slow if long else ())


@pytest.mark.parametrize("block", list(shell_blocks()))
def test_a_shell_block_succeeds_and_prints_what_stands_below_it(block: Block, tmp_path: Path) -> None:
    printed = ""
    for line in (x for x in block.code.splitlines() if x.startswith("symsi ")):
        command = [sys.executable, "-m", *shlex.split(line, comments=True)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stdout
        printed += done.stdout
    if block.shown:
        pattern = ".*?".join(re.escape(part) for part in block.shown.split("...\n"))  # "..." stands for lines left out
        assert re.fullmatch(pattern, printed, flags=re.DOTALL)


def test_an_output_is_shown_and_few_blocks_are_not_run_for_a_reason() -> None:
    assert any(block.shown for block in RUN)
    left_out = [block for block in SHELL if NOT_RUN in block.code]
    assert len(left_out) <= 2
    for block in left_out:
        assert block.code.startswith(NOT_RUN)
        assert len(block.code.splitlines()[0]) > len(NOT_RUN) + 10


def test_every_shell_line_is_known_and_make_lines_name_targets() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    named = []
    for line in (x for block in SHELL for x in block.code.splitlines() if not x.startswith("#")):
        tool, what = line.split()[:2]
        assert tool in ("symsi", "make"), line
        if tool == "make":
            assert what in targets
            named.append(what)
    assert {"demo", "test"} <= set(named)


def test_every_extra_that_a_page_installs_is_there() -> None:
    known = re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text(), flags=re.MULTILINE)
    for page in PAGES:
        for extra in re.findall(r"pip install [^`]*\[(\w+)\]", page.read_text()):
            assert extra in known, (page.name, extra)


def anchors(page: Path) -> set[str]:
    """The names that GitHub gives the headings of a page."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_and_every_anchor_to_a_heading(page: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if not link.startswith("https://"):
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            linked = [page.parent / part for part in Path(path).parents if (page.parent / part).is_symlink()]
            assert target.exists(), link
            assert not linked, f"{link} goes through a link, which GitHub does not follow"
            assert not anchor or anchor in anchors(target), link


def test_every_page_is_reached_from_the_index_and_the_index_from_the_readme() -> None:
    index = ROOT / "docs" / "index.md"
    assert "(docs/index.md)" in README.read_text()
    for page in PAGES:
        assert page in (README, index) or f"({page.name})" in index.read_text(), page.name


def test_every_public_name_is_on_a_page() -> None:
    text = "".join(page.read_text() for page in PAGES)
    missing = [name for name in (*symsi.__all__, "symsi.diffusers") if f"`{name}`" not in text]
    assert not missing, f"docs/index.md lists no {missing}"


def test_the_readme_is_short_and_its_first_screen_shows_code_picture_and_numbers() -> None:
    lines = README.read_text().splitlines()
    assert len(lines) <= 200
    screen = "\n".join(lines[: lines.index("## Two commands")])
    for what in ("](symsi/figures/fewer_steps.png)", "```python", "\n| --- |"):
        assert screen.count(what) == 1


def test_numbers_that_the_readme_takes_from_a_table_of_a_page_are_the_same_there() -> None:
    rows = re.findall(
        r"^\| (?:\*\*symsi\*\* \()?([^|]+?)\)? \| (.* \+- .*) \|$", README.read_text(), flags=re.MULTILINE
    )
    measured = (ROOT / "docs" / "sampling.md").read_text()
    assert len(rows) == 5
    for _, cells in rows:
        numbers = [cell for cell in cells.replace("*", "").replace("|", " | ").split(" | ") if "+-" in cell]
        line = " \\| .*".join(re.escape(number.strip()) for number in numbers)
        assert re.search(rf"^\|.* {line} \|", measured.replace("*", ""), flags=re.MULTILINE), numbers

"""Each code block of the README runs, and prints what its comments say."""

import contextlib
import io
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize("block", blocks("python"))
def test_a_python_block_prints_what_its_comments_say(block: str) -> None:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block, "README", "exec"), {})
    expected = re.findall(r"^print\(.*\)\s+# (.+)$", block, flags=re.MULTILINE)
    lines = printed.getvalue().splitlines()
    assert len(expected) == len(lines) > 0
    for line, comment in zip(lines, expected, strict=True):
        assert line
        assert comment in (line, f"{line}: {comment.partition(': ')[2]}")


@pytest.mark.parametrize("line", [x for b in blocks("sh") for x in b.splitlines() if x.startswith("symsi ")])
def test_a_shell_line_succeeds(line: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", *shlex.split(line)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout


SHOWN = re.findall(r"```sh\n(symsi [^\n]*)\n```\n\n```text\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize(("line", "shown"), SHOWN)
def test_a_command_prints_what_stands_below_it(line: str, shown: str) -> None:
    printed = subprocess.run(
        [sys.executable, "-m", *shlex.split(line)], capture_output=True, text=True, check=True
    ).stdout
    pattern = ".*?".join(re.escape(part) for part in shown.split("...\n"))  # "..." stands for lines left out
    assert re.fullmatch(pattern, printed, flags=re.DOTALL)


def test_an_output_is_shown_and_every_link_leads_to_a_file() -> None:
    assert SHOWN
    root = Path(__file__).parents[2]
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert len(links) > 10
    for link in links:
        assert link.startswith("https://") or (root / link).exists(), link


def test_make_lines_name_targets_that_exist() -> None:
    makefile = (Path(__file__).parents[2] / "Makefile").read_text()
    targets = [x.split()[1] for b in blocks("sh") for x in b.splitlines() if x.startswith("make ")]
    assert targets == ["demo", "test"]
    for target in targets:
        assert f"\n{target}:" in makefile

"""One small report for the tests: five theorems, and the tables of one base."""

from pathlib import Path

import pytest
from filelock import FileLock

import symsi
from symsi.proofs import load
from symsi.report.explore import pairs, tabulate_pair
from symsi.report.page import page

THEOREMS = ("T3", "T5", "T9", "T10", "T11")
FIGURE = "schedules"  # the one figure in the folder
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360f8cfc0f01f00050001ff"
    "a0d2cf3d0000000049454e44ae426082"
)


def build(figures: Path) -> str:
    figures.mkdir(exist_ok=True)
    (figures / f"{FIGURE}.png").write_bytes(PIXEL)
    for name in ("certificate", "nfe"):
        (figures / f"{name}.json").write_text((Path(symsi.__file__).parent / "figures" / f"{name}.json").read_text())
    conversion = symsi.convert("linear", "lazy(kappa=1)", diffusion="optimal")
    tables = {pair: tabulate_pair(*pair) for pair in pairs() if pair[0] == "linear"}
    return page([load(name)() for name in THEOREMS], conversion, conversion.proof(), tables, figures)


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page as a file, built once for all workers."""
    root = tmp_path_factory.getbasetemp()
    root = root.parent if root.name.startswith("popen-") else root
    path = root / "report.html"
    with FileLock(f"{path}.lock"):
        if not path.exists():
            path.write_text(build(root / "figures"), encoding="utf-8")
    return path

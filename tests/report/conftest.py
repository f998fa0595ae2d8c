"""Small reports for the tests: five theorems and the tables of one base; and the pair with the longest formulas."""

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


def build(
    figures: Path, base: str = "linear", target: str = "lazy(kappa=1)", theorems: tuple[str, ...] = THEOREMS
) -> str:
    figures.mkdir(exist_ok=True)
    (figures / f"{FIGURE}.png").write_bytes(PIXEL)
    for name in ("certificate", "nfe"):
        (figures / f"{name}.json").write_text((Path(symsi.__file__).parent / "figures" / f"{name}.json").read_text())
    conversion = symsi.convert(base, target, diffusion="optimal")
    tables = {pair: tabulate_pair(*pair) for pair in pairs() if pair[0] == "linear"}
    return page([load(name)() for name in theorems], conversion, conversion.proof(), tables, figures)


def built_once(factory: pytest.TempPathFactory, name: str, **what: object) -> Path:
    """The page as a file, built once for all workers."""
    root = factory.getbasetemp()
    root = root.parent if root.name.startswith("popen-") else root
    path = root / f"{name}.html"
    with FileLock(f"{path}.lock"):
        if not path.exists():
            path.write_text(build(root / f"{name}_figures", **what), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built_once(tmp_path_factory, "report")


@pytest.fixture(scope="session")
def long_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built_once(tmp_path_factory, "long_report", base="ddpm", target="cosine", theorems=())

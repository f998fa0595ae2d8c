"""A layer is a permission: imports go one way only, and heavy libraries stay where they belong."""

import ast
from pathlib import Path

import pytest

import symsi

ROOT = Path(symsi.__file__).parent

_BASE = ("symsi.errors", "symsi.files")
_SYMBOLIC = ("symsi.algebra", "symsi.interpolants", "symsi.theory")
_NUMBERS = (*_BASE, *_SYMBOLIC, "symsi.coefficients")
_SAMPLING = (*_BASE, "symsi.models", "symsi.solvers", "symsi.sampling")
# A room, and the prefixes of symsi and of outside libraries that it may know; each line may know those above it.
ROOMS: dict[str, tuple[str, ...]] = {
    "errors": (),
    "files": ("symsi.errors",),
    "algebra": ("symsi.errors", "symsi.algebra", "sympy", "mpmath"),
    "interpolants": ("symsi.errors", "symsi.algebra", "symsi.interpolants", "sympy", "mpmath"),
    "theory": ("symsi.errors", *_SYMBOLIC, "sympy", "mpmath"),
    "proofs": (*_BASE, *_SYMBOLIC, "symsi.proofs", "sympy"),
    "coefficients": (*_NUMBERS, "torch", "numpy", "sympy", "mpmath"),
    "models": (*_NUMBERS, "symsi.models", "torch", "numpy", "safetensors"),
    "exports": (*_NUMBERS, "symsi.models", "symsi.exports", "torch", "numpy", "sympy", "mpmath"),
    "solvers": (*_NUMBERS, "symsi.models", "symsi.solvers", "torch", "sympy"),
    "metrics": ("symsi.errors", "torch"),
    "plotting": (*_BASE, "symsi.plotting", "matplotlib", "cycler", "PIL", "torch"),
    "sampling": (
        *_SAMPLING,
        *_SYMBOLIC,
        "symsi.coefficients",
        "symsi.plotting",
        "torch",
        "numpy",
        "numba",
        "safetensors",
        "tqdm",
    ),
    "steering": (
        *_SAMPLING,
        *_SYMBOLIC,
        "symsi.coefficients",
        "symsi.plotting",
        "symsi.steering",
        "torch",
        "numpy",
        "safetensors",
        "tqdm",
    ),
    "processes": ("symsi.errors", "symsi.models", "symsi.processes", "torch"),
    "shards": (*_SAMPLING, "symsi.processes", "symsi.shards", "torch", "safetensors", "tqdm"),
    "training": (*_SAMPLING, *_NUMBERS, "symsi.processes", "symsi.training", "torch", "safetensors", "sympy", "scipy"),
    "couplings": ("symsi.training",),
    "objectives": ("symsi.training",),
    "calibration": (
        *_SAMPLING,
        *_SYMBOLIC,
        "symsi.coefficients",
        "symsi.processes",
        "symsi.calibration",
        "torch",
        "tqdm",
    ),
    "adapters": (
        *_SAMPLING,
        *_SYMBOLIC,
        "symsi.coefficients",
        "symsi.steering",
        "symsi.adapters",
        "torch",
        "diffusers",
        "safetensors",
    ),
    "diffusers": ("symsi.adapters",),
    "figures": (*_BASE, "symsi.figures", "symsi.plotting", "click", "matplotlib", "numpy", "sympy", "torch"),
    "report": (*_NUMBERS, "symsi.exports", "symsi.report", "sympy"),
    "bench": (
        *_SAMPLING,
        *_SYMBOLIC,
        "symsi.coefficients",
        "symsi.calibration",
        "symsi.steering",
        "symsi.adapters",
        "symsi.training",
        "symsi.metrics",
        "symsi.processes",
        "symsi.shards",
        "symsi.bench",
        "torch",
    ),
    "cli": ("symsi", "sympy", "matplotlib", "torch", "numpy", "safetensors", "click", "tqdm"),
    "__init__": (),
    "__main__": ("symsi.cli",),
}
STANDARD = set(__import__("sys").stdlib_module_names)
FILES = sorted(ROOT.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
    return {name for name in found if name.partition(".")[0] not in STANDARD}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_imports_only_what_its_room_may_know(path: Path) -> None:
    allowed = ROOMS[room(path)]
    for name in imports(path) - ({"symsi"} if room(path) == "figures" else set()):  # its public names
        assert any(name == a or name.startswith(f"{a}.") for a in allowed), f"{path} imports {name}"


def test_rooms_know_none_that_knows_them() -> None:
    known = {name: {a.split(".")[1] for a in allowed if a.startswith("symsi.")} for name, allowed in ROOMS.items()}
    for name, below in known.items():
        assert name == "cli" or all(name not in known[other] for other in below - {name}), name


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_is_one_idea_long(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 450


def test_dir_shows_public_names_and_nothing_else() -> None:
    shown = [name for name in dir(symsi) if not name.startswith("__")]
    assert shown == sorted({*symsi.__all__, "diffusers"})


def test_every_public_name_is_there_and_listed_once() -> None:
    assert symsi.__all__ == sorted(set(symsi.__all__))
    for name in symsi.__all__:
        assert getattr(symsi, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = symsi.nonsense

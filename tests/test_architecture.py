"""A layer is a permission: imports go one way only, and heavy libraries stay where they belong."""

import ast
from pathlib import Path

import pytest

import symsi

ROOT = Path(symsi.__file__).parent

# The face joins formulas, tables, plans and models.
_FACE = (
    "symsi.errors",
    "symsi.files",
    "symsi.symbolic",
    "symsi.compile",
    "symsi.sampling",
    "symsi.models",
    "symsi.plotting",
    "symsi.time_grids",
    "torch",
    "sympy",
    "tqdm",
)
# Who may import what: a room, and the prefixes of symsi and of outside libraries that it may know.
ROOMS: dict[str, tuple[str, ...]] = {
    "errors": (),
    "files": ("symsi.errors",),
    "symbolic": ("symsi.errors", "symsi.symbolic", "sympy", "mpmath"),
    "derivations": ("symsi.errors", "symsi.files", "symsi.symbolic", "symsi.derivations", "sympy"),
    "compile": ("symsi.errors", "symsi.files", "symsi.symbolic", "symsi.compile", "torch", "numpy", "sympy", "mpmath"),
    "sampling": ("symsi.errors", "symsi.files", "symsi.sampling", "torch", "numpy", "safetensors"),
    "models": (
        "symsi.errors",
        "symsi.files",
        "symsi.symbolic",
        "symsi.compile",
        "symsi.models",
        "torch",
        "numpy",
        "safetensors",
    ),
    "metrics": ("symsi.errors", "torch"),
    "style": ("matplotlib", "cycler"),
    "plotting": ("symsi.errors", "symsi.files", "symsi.style", "matplotlib", "torch"),
    "time_grids": ("symsi.errors", "symsi.symbolic", "symsi.compile", "torch"),
    "samplers": _FACE,
    "calibration": (*_FACE, "symsi.samplers"),
    "paths": _FACE,
    "velocity": _FACE,
    "results": (*_FACE, "symsi.samplers", "numpy", "safetensors"),
    "overhead": (*_FACE, "symsi.samplers"),
    "nfe": (*_FACE, "symsi.samplers", "symsi.calibration", "symsi.metrics", "symsi.adapters"),
    "pipelines": (*_FACE, "symsi.nfe", "symsi.metrics", "symsi.adapters"),
    "adapters": (*_FACE, "symsi.samplers", "symsi.adapters", "diffusers", "safetensors"),
    "diffusers": ("symsi.adapters",),
    "figures": (
        "symsi.errors",
        "symsi.files",
        "symsi.figures",
        "symsi.style",
        "click",
        "matplotlib",
        "numpy",
        "sympy",
        "torch",
    ),
    "report": ("symsi.errors", "symsi.files", "symsi.symbolic", "symsi.compile", "symsi.report", "sympy"),
    "cli": ("symsi", "sympy", "matplotlib", "torch", "numpy", "safetensors", "click", "tqdm"),
    "__init__": (),
    "__main__": ("symsi.cli",),
}
STANDARD = set(__import__("sys").stdlib_module_names)
FILES = sorted({*ROOT.rglob("*.py"), *(ROOT / "figures").glob("*.py")})  # the latter is a link


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


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_is_one_idea_long(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 450


def test_every_public_name_is_there_and_listed_once() -> None:
    assert symsi.__all__ == sorted(set(symsi.__all__))
    for name in symsi.__all__:
        assert getattr(symsi, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = symsi.nonsense

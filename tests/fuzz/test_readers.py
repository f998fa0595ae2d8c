"""Whatever a reader is given, it refuses by a SymsiError or gives the right value; `python -m tests.fuzz` has more."""

import ast
import math
from pathlib import Path

import pytest

import symsi
from tests.fuzz.readers import READERS
from tests.fuzz.run import fuzz

ROOT = Path(symsi.__file__).parent


@pytest.mark.parametrize("name", READERS)
def test_a_reader_refuses_or_is_right(name: str) -> None:
    found = fuzz(name, 25, slowest=math.inf)  # what hangs is ended; a busy process may stop to collect its garbage
    assert found.faults == []
    assert found.cases >= 10
    assert found.refused


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_a_reader_refuses_or_is_right_in_many_cases(name: str) -> None:
    assert fuzz(name, 500, start=1).faults == []


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_nothing_reads_a_pickle_or_runs_a_string(path: Path) -> None:
    tree = ast.parse(path.read_text())
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    known = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    known |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not {name.partition(".")[0] for name in known} & {"pickle", "marshal", "shelve", "dill", "cloudpickle"}
    assert not called & {"torch.load", "np.load", "numpy.load", "eval", "yaml.load"}
    assert "exec" not in called or path.name == "compiled.py"  # the printer's own text
    opened = {"safe_open", "load_file", "safetensors.torch.load_file"}
    assert not called & opened or path.name in {"tensor_file.py", "digits8.py"}

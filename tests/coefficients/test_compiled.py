"""Generated functions live as long as they are held, and no longer."""

import gc
import linecache
import sys
import traceback

import pytest
import torch
from sympy import Rational, Symbol, sqrt

from symsi import Schedule, convert, kernels, schedule
from symsi.coefficients.compiled import compiled, evaluate_on
from symsi.coefficients.kernels import _kernels

POINTS = torch.linspace(0, 1, 7, dtype=torch.float64)


def held() -> int:
    """Generated texts that something still keeps."""
    gc.collect()
    return sum(name.startswith("symsi_") for name in [*linecache.cache, *sys.modules])


def test_kernels_that_nobody_holds_leave_nothing_behind() -> None:
    before = held()
    for k in range(200):
        compiled(f"def value(x):\n    return x + {k}.0\n", "value")
    assert held() == before


def test_a_live_kernel_works_after_many_others_and_under_compile() -> None:
    kept = kernels(convert("linear", "lazy(kappa=1)", "optimal"))
    before = kept.coefficients(POINTS)
    _kernels.cache_clear()
    assert kernels(kept.conversion) is not kept
    _kernels.cache_clear()
    gc.collect()
    x, inside = torch.ones(5, 2), POINTS[1:-1]
    whole = torch.compile(lambda p, x, t: kept.drift(p, x, t), fullgraph=True, backend="eager")
    assert torch.equal(whole(x, 2 * x, inside), kept.drift(x, 2 * x, inside))
    torch.testing.assert_close(kept.coefficients(POINTS), before, rtol=0, atol=0)


def test_an_implicit_time_map_compiles_after_its_cache_is_gone() -> None:
    kept = kernels(convert(Schedule("(1-t)*(1+t/3)", "t*exp(t-1)"), "linear"))
    _kernels.cache_clear()
    gc.collect()
    whole = torch.compile(lambda t: kept.coefficient("time", t), fullgraph=True, backend="eager")
    assert torch.equal(whole(POINTS), kept.coefficient("time", POINTS))


def test_a_text_in_use_is_compiled_once() -> None:
    text = "def value(x):\n    return x + 0.125\n"
    assert compiled(text, "value") is compiled(text, "value")


def test_a_traceback_shows_the_generated_line() -> None:
    broken = compiled("def value(x):\n    return x.no_such_thing\n", "value")
    with pytest.raises(AttributeError) as error:
        broken(1)
    assert "return x.no_such_thing" in "".join(traceback.format_exception(error.value))


def test_formulas_are_evaluated_on_tensors_that_broadcast() -> None:
    a, b = Symbol("a"), Symbol("b")
    point = {a: torch.tensor([[1.0], [4.0]], dtype=torch.float64), b: torch.tensor([2.0, 3.0], dtype=torch.float64)}
    found = evaluate_on({"sum": sqrt(a) + b / 2, "constant": Rational(1, 4)}, point)
    assert found["sum"].tolist() == [[2.0, 2.5], [3.0, 3.5]]
    assert found["constant"].tolist() == [[0.25, 0.25], [0.25, 0.25]]


def test_equal_schedules_keep_their_own_names_in_kernels() -> None:
    named, bare = schedule("linear"), schedule("polynomial(n=1)")
    assert named == bare
    assert [str(kernels(s).conversion.target) for s in (named, bare)] == ["linear", "polynomial(n=1)"]
    assert kernels(named).program is kernels(bare).program
    assert kernels(named) is kernels("linear")

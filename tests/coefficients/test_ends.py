"""Where a coefficient has no finite limit, kernels and the module exported from them say so, in the same words."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from symsi import EndpointError, SymsiError, convert, export, kernels
from symsi.theory.conversion import FIELDS

X = torch.ones(2, 3, dtype=torch.float64)
PAIRS = [
    ("linear", "vp", "optimal"),
    ("linear", "lazy(kappa=1)", "optimal"),
    ("lazy(kappa=1)", "linear", "ode"),
    ("edm", "linear", "ode"),
    ("ddpm", "cosine", "optimal"),
]


def exported(folder: Path, *pair: str) -> Mapping[str, Any]:
    space: dict[str, Any] = {"__name__": "exported"}
    exec(export(convert(*pair), folder / "m.py").read_text(), space)  # type: ignore[arg-type]
    return space


@pytest.mark.parametrize("pair", PAIRS, ids=" ".join)
def test_a_field_is_refused_at_an_end_exactly_where_its_value_is_not_finite(pair: tuple[str, str, str]) -> None:
    compiled = kernels(convert(*pair))
    for name in FIELDS:
        for time in (compiled.program.start, 1.0):
            call: Callable[..., torch.Tensor] = getattr(compiled, name)
            unlooked = call(X, 2 * X, torch.tensor(time, dtype=torch.float64))
            if unlooked.isfinite().all():
                assert torch.equal(call(X, 2 * X, time), unlooked)
            else:
                with pytest.raises(EndpointError, match=f"{name} has no value at t = "):
                    call(X, 2 * X, time)


def test_the_refusal_names_the_coefficient_and_how_it_diverges() -> None:
    compiled = kernels(convert("linear", "vp"))
    with pytest.raises(
        EndpointError, match=r"velocity has no value at t = 1\.0: velocity_state ~ -0\.707107 \(1 - t\)"
    ):
        compiled.velocity(X, X, 1.0)
    with pytest.raises(EndpointError, match=r"step has no value .*: drift_state ~ "):
        compiled.step(X, X, X, 1, 0.0)
    assert compiled.coefficient("velocity_state", 1.0).item() == -torch.inf
    assert compiled.velocity(X, X, 1 - 2.0**-50).isfinite().all()


def test_a_step_past_the_data_is_refused() -> None:
    compiled = kernels(convert("linear", "trigonometric"))
    for t, dt in ((0.5, 0.6), (torch.rand(2), 1.5)):
        with pytest.raises(SymsiError, match=r"leads past t = 1"):
            compiled.step(X, X, X, t, dt)
    time = 0.0
    for _ in range(1000):  # rounding adds up to 1e-14 or so
        compiled.step(X, X, X, time, 0.001) if time > 0.995 else None
        time = min(1.0, time + 0.001)
    assert compiled.step(X, X, X, 0.9, 0.1).shape == X.shape


def test_the_exported_module_says_the_same(tmp_path: Path) -> None:
    pair = ("linear", "vp", "optimal")
    module, compiled = exported(tmp_path, *pair), kernels(convert(*pair))
    for call in (
        lambda m: m("velocity")(X, X, 1.0),
        lambda m: m("drift")(X, X, 0.0),
        lambda m: m("step")(X, X, X, 1.0, 0.0),
        lambda m: m("step")(X, X, X, 0.5, 0.75),
        lambda m: m("step")(X, X, X, 0.5, -0.1),
        lambda m: m("velocity")(X, X, 1.5),
    ):
        with pytest.raises(ValueError) as theirs:  # noqa: PT011 - the texts are compared
            call(module.__getitem__)
        with pytest.raises(SymsiError) as ours:
            call(lambda name: getattr(compiled, name))
        assert str(theirs.value) == str(ours.value)
    assert torch.equal(module["velocity"](X, X, 0.5), compiled.velocity(X, X, 0.5))


def test_a_compiled_field_refuses_an_end_too() -> None:
    compiled = kernels(convert("linear", "vp"))
    field = torch.compile(lambda x: compiled.velocity(x, x, 0.5), fullgraph=True, backend="eager")
    assert torch.equal(field(X), compiled.velocity(X, X, 0.5))
    step = torch.compile(lambda x, t: compiled.step(x, x, x, t, 0.25), fullgraph=True, backend="eager")
    assert torch.equal(step(X, torch.tensor(0.5)), compiled.step(X, X, X, torch.tensor(0.5), 0.25))

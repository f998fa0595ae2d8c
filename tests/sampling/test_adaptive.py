"""Steps by an embedded error: how far they end from converged samples, how many they are, and what they refuse."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

import symsi
from symsi.sampling.noise import standard_normal

DOUBLE = torch.float64
QUIET: dict[str, Any] = {"progress": False, "dtype": DOUBLE}
TOLERANCES = (1e-1, 1e-2, 1e-3, 1e-4)


@pytest.fixture(scope="module")
def mixture() -> symsi.Model:
    law = symsi.models.mixture([0.5, 0.5], [[2.0, 0.5], [-1.0, 0.0]], [0.05, 0.2])
    return replace(law.model(), shape=(2,))


@pytest.fixture(scope="module")
def converged(mixture: symsi.Model) -> Tensor:
    return symsi.sample(mixture, shape=200, schedule="trigonometric", solver="heun", steps=2000, **QUIET).x


def size(x: Tensor) -> float:
    return float(x.square().mean().sqrt())


@pytest.mark.parametrize("tolerance", TOLERANCES)
def test_the_error_is_what_was_asked_for(mixture: symsi.Model, converged: Tensor, tolerance: float) -> None:
    found = symsi.sample(mixture, shape=200, tolerance=tolerance, **QUIET)
    error = size(found.x - converged) / size(converged)
    assert 0.3 * tolerance < error < 3 * tolerance
    assert found.nfe == found.plan.evaluations == len(found.plan.grid) - 1


def test_steps_are_as_long_as_the_rule_says() -> None:
    """Where v = 2 t, orders 1 and 2 differ by h^2: a step is sqrt(tolerance |x|), or three times the last one."""
    tolerance = 1e-3

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        return 2 * t[:, None].expand_as(x)

    found = symsi.sample(velocity, shape=(50, 2), schedule="linear", tolerance=tolerance, **QUIET)
    path = symsi.sample(velocity, shape=(50, 2), plan=found.plan, trajectory=True, **QUIET).path
    assert path is not None
    gaps = torch.tensor(found.plan.grid, dtype=DOUBLE).diff()
    assert float(gaps[0]) == pytest.approx(tolerance**0.5 / 4)
    for k in range(1, len(gaps) - 2):  # the last ones share what is left
        assert float(gaps[k]) == pytest.approx(
            min(3 * float(gaps[k - 1]), (tolerance * size(path[k])) ** 0.5), rel=1e-6
        )


def test_ten_times_less_error_takes_the_root_of_ten_times_the_steps(mixture: symsi.Model) -> None:
    counts = [symsi.sample(mixture, shape=200, tolerance=e, **QUIET).nfe for e in (1e-3, 1e-4, 1e-5)]
    for few, many in pairwise(counts):
        assert many / few == pytest.approx(10**0.5, rel=0.1)


def test_where_nothing_drifts_steps_grow_to_the_end() -> None:
    lazy = replace(symsi.models.gaussian([0.0, 0.0], 1.0).model(), shape=(2,))
    found = symsi.sample(lazy, shape=20, tolerance=1e-4, **QUIET)
    assert found.nfe < 10
    torch.testing.assert_close(
        found.x, symsi.sample(lazy, shape=20, steps=50, solver="heun", **QUIET).x, rtol=1e-3, atol=1e-3
    )


def test_the_steps_are_as_long_as_the_field_is_smooth() -> None:
    narrow = symsi.models.gaussian([1.0, 0.0], 1e-4).model()  # a sample is decided near the data
    # with longer steps than the width of where it is decided, 0.01, the last one may pass over that
    gaps = torch.tensor(symsi.sample(narrow, shape=(20, 2), tolerance=3e-4, **QUIET).plan.grid).diff()
    assert gaps[-3:].mean() < gaps.max() / 3


@pytest.mark.parametrize("tolerance", [1e-1, 1e-2, 3e-3, 1e-3])
def test_what_is_narrower_than_the_last_step_costs_four_times_the_tolerance_at_most(tolerance: float) -> None:
    """The flow of a Gaussian of mean m and deviation s ends at m + s n."""
    narrow = symsi.models.gaussian([1.0, 0.0], 1e-4).model()
    found = symsi.sample(narrow, shape=(100, 2), tolerance=tolerance, **QUIET).x
    exact = torch.tensor([1.0, 0.0]) + 0.01 * standard_normal(0, range(100), 0, (2,), dtype=DOUBLE)
    assert size(found - exact) < 4 * tolerance * size(exact)


def test_the_plan_gives_the_same_samples_again_and_the_later_batches_follow_it(mixture: symsi.Model) -> None:
    whole = symsi.sample(mixture, shape=200, tolerance=1e-2, **QUIET)
    again = symsi.sample(mixture, shape=200, plan=whole.plan, **QUIET)
    torch.testing.assert_close(again.x, whole.x, rtol=0, atol=1e-12)
    split = symsi.sample(mixture, shape=200, tolerance=1e-2, batch=80, **QUIET)
    torch.testing.assert_close(
        split.x, symsi.sample(mixture, shape=200, plan=split.plan, **QUIET).x, rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("base", ["ve", "edm"])
def test_a_state_that_starts_larger_than_one_ends_where_it_should(base: str) -> None:
    model = replace(symsi.models.gaussian([1.0, 0.0], 0.3).model(base), shape=(2,))
    found = symsi.sample(model, shape=50, tolerance=1e-3, **QUIET).x
    converged = symsi.sample(model, shape=50, schedule="trigonometric", solver="heun", steps=500, **QUIET).x
    assert size(found - converged) < 5e-3 * size(converged)


def test_guidance_counts_both_evaluations() -> None:
    def velocity(x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        return (0.0 if label is None else 1.0) - x

    model = symsi.Model(velocity, shape=(2,), unconditional={"label": None})
    told = {"label": torch.zeros(4)}
    found = symsi.sample(model, shape=4, tolerance=1e-2, guidance=2.0, conditions=told, **QUIET)
    assert found.nfe == 2 * found.plan.evaluations
    exact = symsi.sample(model, shape=4, steps=200, solver="heun", guidance=2.0, conditions=told, **QUIET)
    assert size(found.x - exact.x) < 0.03 * size(exact.x)


def test_in_float32_and_bfloat16_the_samples_have_that_dtype(mixture: symsi.Model) -> None:
    for dtype in (torch.float32, torch.bfloat16):
        found = symsi.sample(mixture, shape=20, tolerance=1e-2, dtype=dtype, progress=False)
        assert found.x.dtype == dtype
        assert torch.isfinite(found.x).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tolerance": 0}, "between 0 and 1"),
        ({"tolerance": -1e-3}, "between 0 and 1"),
        ({"tolerance": float("nan")}, "between 0 and 1"),
        ({"tolerance": "small"}, "between 0 and 1"),
        ({"tolerance": 1e-3, "steps": 4}, "leave steps out"),
        ({"tolerance": 1e-3, "diffusion": "optimal"}, "leave diffusion out"),
        ({"tolerance": 1e-3, "trajectory": True}, "leave trajectory out"),
        ({"tolerance": 1e-12}, "2000 steps"),
    ],
)
def test_what_no_steps_can_meet_is_refused(mixture: symsi.Model, options: dict[str, Any], message: str) -> None:
    with pytest.raises(symsi.SymsiError, match=message):
        symsi.sample(mixture, shape=4, **options, **QUIET)


def test_a_model_that_breaks_down_is_named() -> None:
    def broken(x: Tensor, t: Tensor) -> Tensor:
        return x * (float("nan") if float(t[0]) > 0.5 else 1.0)

    with pytest.raises(symsi.ModelError, match=r"nan or inf at step \d+, model time 0\.[5-9]"):
        symsi.sample(broken, shape=(2, 2), tolerance=1e-2, **QUIET)

    def narrow(x: Tensor, t: Tensor) -> Tensor:
        return x[:, :1] if float(t[0]) > 0.5 else x

    with pytest.raises(symsi.ModelError, match=r"at step \d+, model time 0\.[5-9]"):
        symsi.sample(narrow, shape=(2, 2), tolerance=1e-2, **QUIET)

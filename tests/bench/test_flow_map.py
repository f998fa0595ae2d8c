"""The certificate of flow maps where all is known in closed form, and the benchmark's rows."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import symsi
from symsi.bench.flow_map import certificate, map_quality

EPSILON = 0.3
STILL = symsi.Model(lambda x, t: torch.zeros_like(x), schedule="trigonometric", shape=(5,))


def off(u: Callable[[Tensor, Tensor], Tensor]) -> symsi.FlowMap:
    """A map that should stand still, with u(s, t) in each coordinate."""
    return symsi.FlowMap(lambda x, s, t: u(s, t)[:, None].expand_as(x), schedule="trigonometric", shape=(5,))


def test_the_bound_is_the_error_where_the_residual_is_constant() -> None:
    found = certificate(off(lambda s, t: EPSILON + 0 * s), STILL, count=3, knots=4)
    assert found["error"] == pytest.approx(EPSILON**2, rel=1e-5)
    assert found["bound"] == pytest.approx(EPSILON**2, rel=1e-5)
    assert found["quadrature"] == pytest.approx(0, abs=1e-6)
    assert found["residual"] == pytest.approx([EPSILON] * 4, rel=1e-5)
    assert found["semigroup"] == pytest.approx(0, abs=1e-12)
    assert found["lagrangian"] == pytest.approx(EPSILON**2, rel=1e-5)


def test_the_bound_grows_with_knots_to_the_integral_of_the_residual() -> None:
    """u = e s: X_{q,1} = x + e q (1 - q), r = e (1 - 2 q), whose square has the mean e^2/3 (1 - 1/n^2) at n knots."""
    bounds = []
    for knots in (2, 4, 16):
        found = certificate(off(lambda s, t: EPSILON * s), STILL, count=2, knots=knots)
        assert found["error"] == pytest.approx(0, abs=1e-12)
        assert found["bound"] == pytest.approx(EPSILON**2 / 3 * (1 - 1 / knots**2), rel=1e-4)
        bounds.append(found["bound"])
        assert found["quadrature"] == pytest.approx(EPSILON**2 / knots**2, rel=1e-3)
    assert bounds == sorted(bounds)


def test_errors_and_bounds_are_those_of_the_step_from_each_knot() -> None:
    found = certificate(off(lambda s, t: EPSILON + 0 * s), STILL, count=3, knots=4)
    wanted = [(EPSILON * (1 - s)) ** 2 for s in found["times"]]
    assert found["errors"] == pytest.approx(wanted, rel=1e-5)
    assert found["bounds"] == pytest.approx(wanted, rel=1e-5)
    found = certificate(off(lambda s, t: EPSILON * s), STILL, count=3, knots=8)
    assert all(error <= bound for error, bound in zip(found["errors"], found["bounds"], strict=True))
    assert (found["errors"][0], found["bounds"][0]) == (found["error"], found["bound"])


def test_a_map_that_is_exact_has_no_residual() -> None:
    found = certificate(off(lambda s, t: 0 * s), STILL, count=2, knots=2)
    assert [found[key] for key in ("error", "bound", "semigroup", "lagrangian")] == [0, 0, 0, 0]


def test_an_embedding_that_is_too_rough_is_measured() -> None:
    found = certificate(off(lambda s, t: torch.sin(3000 * s) + t), STILL, count=8, knots=4)
    assert found["roughness"]["s"] > 0.9
    assert found["roughness"]["t"] < 1e-3


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: certificate(off(lambda s, t: s), STILL, knots=3), "knots must be an even number from 2 on; got 3"),
        (lambda: map_quality("digits28-mop"), "unknown flow map"),
        (lambda: map_quality("x.safetensors", others=["UnPC"]), "Did you mean 'UniPC'"),
        (lambda: map_quality("x.safetensors", steps=[0]), "steps >= 1"),
        (lambda: map_quality("x.safetensors"), "cannot read weights from x.safetensors"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(call: Callable[[], object], words: str) -> None:
    with pytest.raises(symsi.SymsiError, match=words):
        call()

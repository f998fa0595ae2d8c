"""Rescaling a two-sided interpolant, and the one time map that two of them may have in common."""

import pytest
import sympy as sp
from sympy import Rational

from symsi.errors import InterpolantError
from symsi.interpolants.named_two_sided import interpolant
from symsi.interpolants.two_sided import Interpolant
from symsi.theory.rescaling import common_time_map, rescaled, rescaled_diffusion, rescaled_field, rescaled_interpolant

t = sp.Symbol("t")


def test_the_rescaled_triple_is_differentiated_as_the_rescaled_interpolant_is() -> None:
    base = interpolant("linear", "brownian", a=2)
    tau, c = t**2 * (3 - 2 * t), 1 + t * (1 - t)
    found = rescaled(base.triple.at(tau), c, sp.diff(c, t), sp.diff(tau, t))
    expected = rescaled_interpolant(base, tau, c).triple
    for name, value in vars(expected).items():
        gap = (getattr(found, name) - value).subs(t, Rational(2, 7))
        assert abs(sp.N(gap, 40)) < 1e-35, name


def test_a_rescaled_interpolant_gives_its_time_map_and_scale_back() -> None:
    base = interpolant("linear", "quadratic")
    tau, c = common_time_map(base, rescaled_interpolant(base, "t**2", "1+t-t**2"))
    assert sp.simplify(tau - t**2) == 0
    assert sp.simplify(c - (1 + t - t**2)) == 0


def test_two_gammas_over_the_same_ends_have_no_common_time_map() -> None:
    with pytest.raises(InterpolantError, match=r"asks for tau = t, and gamma differs there, at t≈.* two ratios"):
        common_time_map(interpolant("linear", "brownian"), interpolant("linear", "quadratic"))
    twisted = Interpolant("exp(-t)-t/E", "t", "t*(1-t)")  # type: ignore[arg-type]
    with pytest.raises(InterpolantError, match="no closed inverse"):
        common_time_map(twisted, interpolant("linear", "quadratic"))


def test_a_time_map_that_turns_back_or_moves_the_ends_is_refused() -> None:
    base = interpolant("linear", "quadratic")
    with pytest.raises(InterpolantError, match="must increase"):
        rescaled_interpolant(base, "t*(1-t)")
    with pytest.raises(InterpolantError, match="alpha must be 1 at t = 0"):
        rescaled_interpolant(base, "t", "2+t*(1-t)")


def test_fields_and_diffusion_convert_as_those_of_schedules() -> None:
    c, slope, rate, x, v = sp.symbols("c slope rate x v")
    assert rescaled_field("velocity", v, x, c, slope, rate) == slope / c * x + c * rate * v
    assert rescaled_field("backward", v, x, c, slope, rate) == slope / c * x + c * rate * v
    assert rescaled_field("score", v, x, c, slope, rate) == v / c
    assert rescaled_field("latent", v, x, c, slope, rate) == v
    assert rescaled_diffusion(v, c, rate) == c**2 * rate * v

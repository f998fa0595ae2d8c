"""The numbers of two-sided interpolants: right to float64, limits included, and differentiable."""

import pytest
import torch
from sympy import Rational

import symsi
from symsi import (
    EndpointError,
    SymsiError,
    UnknownNameError,
    bridge,
    bridge_kernels,
    interpolant,
    interpolant_kernels,
    tabulate,
)
from symsi.interpolants.named_two_sided import ENDS, GAMMAS
from symsi.theory.functions import as_formulas

NEAR = [2.0**-k for k in range(2, 61)] + [1 - 2.0**-k for k in range(2, 53)]


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("ends", ENDS)
def test_every_coefficient_is_right_to_float64_however_near_an_end(ends: str, gamma: str) -> None:
    bridge = interpolant(ends, gamma)
    found = interpolant_kernels(bridge).coefficients(torch.tensor(NEAR, dtype=torch.float64))
    exact = as_formulas(bridge)
    for k, time in enumerate(NEAR):
        truth = exact.evaluate_all(Rational(time), tuple(found), 40)
        for name, values in found.items():
            wanted = float(truth[name])
            assert abs(values[k].item() - wanted) <= 2e-14 * abs(wanted) + 1e-30, (name, time)


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("ends", ENDS)
def test_the_values_at_the_ends_are_the_exact_limits(ends: str, gamma: str) -> None:
    bridge = interpolant(ends, gamma)
    found = interpolant_kernels(bridge).coefficients(torch.tensor([0.0, 1.0]))
    for name, limits in bridge.limits.items():
        for end, limit in enumerate(limits):
            value = found[name][end].item()
            if limit.value is None:
                assert abs(value) == torch.inf
                assert name == "gamma_dot"
            else:
                assert value == pytest.approx(float(limit.value), rel=1e-15, abs=0)


def test_a_table_holds_the_same_numbers_and_leaves_out_what_is_infinite() -> None:
    bridge, grid = interpolant("linear", "brownian", a=2), [0.0, 0.25, 0.5, 1.0]
    table, found = tabulate(bridge, grid), interpolant_kernels(bridge).coefficients(torch.tensor(grid))
    assert set(found) - set(table) == {"gamma_dot"}
    for name, column in table.items():
        torch.testing.assert_close(column, found[name], rtol=1e-15, atol=1e-300)
    with pytest.raises(EndpointError, match=r"gamma_dot has no finite limit at t = 0: ~ sqrt\(2\)/\(2\*sqrt\(t\)\)"):
        tabulate(bridge, grid, ["gamma_dot"])
    with pytest.raises(EndpointError, match="score_latent has no finite limit at t = 0"):
        tabulate(symsi.bridge(bridge).functions, grid, ["score_latent"])
    assert tabulate(bridge, grid[1:3], ["gamma_dot"])["gamma_dot"][1] == 0


def test_a_symbolic_parameter_is_an_axis_of_a_table_and_refused_by_kernels() -> None:
    bridge = interpolant("linear", "brownian", a=None)
    column = tabulate(bridge, [0.0, 0.5], ["gamma_rate"], {"a": [1.0, 3.0]})["gamma_rate"]
    assert column.tolist() == [[0.5, 1.5], [0.0, 0.0]]
    with pytest.raises(SymsiError, match=r"keeps a symbolic; give parameters=\{'a': 1\.0\}"):
        tabulate(bridge, [0.0, 0.5])
    with pytest.raises(SymsiError, match="a is symbolic"):
        interpolant_kernels(bridge)


def test_one_number_is_a_time_as_a_tensor_is() -> None:
    path = interpolant("linear", "quadratic")
    b = bridge(path, "gamma")
    assert interpolant_kernels(path).interpolant == path
    for found in (interpolant_kernels(path).coefficients, bridge_kernels(b).coefficients):
        for t in (0.0, 0.25, 1.0):
            one, several = found(t), found(torch.tensor([t, 0.5], dtype=torch.float64))
            assert one["gamma"].item() == t * (1 - t)
            assert all(torch.equal(one[name], several[name][0]) for name in one)


def test_the_rate_is_the_derivative_of_the_state() -> None:
    kernels = interpolant_kernels("trigonometric(gamma=sigmoid)")
    x0, x1, z = torch.randn(3, 5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).unbind()
    t = torch.tensor([0.0, 2.0**-30, 0.3, 0.5, 1.0], dtype=torch.float64)
    _, slope = torch.func.jvp(lambda s: kernels.state(x0, x1, z, s), (t,), (torch.ones_like(t),))
    torch.testing.assert_close(slope, kernels.rate(x0, x1, z, t), rtol=1e-12, atol=1e-12)


def test_the_state_is_each_end_at_its_time_in_the_dtype_of_the_samples() -> None:
    kernels = interpolant_kernels("linear")
    x0, x1, z = torch.randn(3, 4, 3).unbind()
    assert torch.equal(kernels.state(x0, x1, z, 0.0), x0)
    assert torch.equal(kernels.state(x0, x1, z, torch.ones(4)), x1)
    assert kernels.state(x0.bfloat16(), x1, z, 0.5).dtype == torch.bfloat16
    assert kernels.rate(x0, x1, z, 0.5).dtype == torch.float32


def test_other_shapes_and_times_are_refused() -> None:
    kernels = interpolant_kernels("linear")
    x = torch.zeros(4, 2)
    with pytest.raises(SymsiError, match=r"one shape, samples first; got \(4, 2\), \(3, 2\), \(4, 2\)"):
        kernels.state(x, x[:3], x, 0.5)
    with pytest.raises(SymsiError, match=r"t of shape \(3,\) does not match"):
        kernels.state(x, x, x, torch.zeros(3))
    with pytest.raises(SymsiError, match="leaves the domain"):
        kernels.coefficients(1.5)
    assert kernels.coefficients(torch.tensor(1.5))["gamma"].isnan()


def test_coefficients_compile_whole_and_per_sample() -> None:
    kernels = interpolant_kernels("encoding-decoding(gamma=brownian)")
    t = torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0], dtype=torch.float64)
    compiled = torch.compile(lambda s: kernels.coefficients(s)["beta"], fullgraph=True, backend="eager")
    assert torch.equal(compiled(t), kernels.coefficients(t)["beta"])
    mapped = torch.func.vmap(lambda s: kernels.coefficients(s)["alpha_dot"])(t)
    assert torch.equal(mapped, kernels.coefficients(t)["alpha_dot"])


BRIDGES = [
    ("linear(gamma=brownian(a=2))", ("velocity", "latent")),
    ("linear(gamma=quadratic)", ("ends", "score")),
    ("encoding-decoding(gamma=sine)", ("velocity", "latent")),
]


@pytest.mark.parametrize(("name", "given"), BRIDGES)
def test_the_coefficients_of_fields_are_right_and_finite_where_their_limits_are(
    name: str, given: tuple[str, str]
) -> None:
    b = bridge(name, "gamma", given)
    times = [0.0, 1.0, *NEAR]
    found = bridge_kernels(b).coefficients(torch.tensor(times, dtype=torch.float64))
    for key, limits in b.limits.items():
        assert found[key][2:].isfinite().all()
        assert [bool(v) for v in found[key][:2].isfinite()] == [limit.value is not None for limit in limits]
    for k in range(2, len(times), 7):
        for key, truth in b.functions.evaluate_all(Rational(times[k]), tuple(found), 40).items():
            assert found[key][k].item() == pytest.approx(float(truth), rel=2e-13, abs=1e-30), (key, times[k])


def test_a_drift_is_the_velocity_less_epsilon_over_gamma_times_the_latent() -> None:
    kernels = bridge_kernels(bridge("linear(gamma=brownian(a=2))", "gamma/2"))
    x, v, latent = torch.randn(3, 4, 3).unbind()
    for t in (0.0, 0.3, torch.rand(4)):
        torch.testing.assert_close(kernels.field("forward", x, v, latent, t), v - latent / 2)
        torch.testing.assert_close(kernels.field("backward", x, v, latent, t), v + latent / 2)
    assert kernels.field("forward", x.bfloat16(), v, latent, 0.5).dtype == torch.bfloat16


def test_a_field_without_a_value_at_an_end_is_refused_there() -> None:
    kernels = bridge_kernels(bridge("linear", 1))
    x = torch.zeros(2, 3)
    for end in (0, 1):
        with pytest.raises(EndpointError, match=f"no value at t = {end}.*bears epsilon"):
            kernels.field("forward", x, x, x, float(end))
    with pytest.raises(UnknownNameError, match="field 'drift'"):
        kernels.field("drift", x, x, x, 0.5)
    with pytest.raises(SymsiError, match=r"one shape, samples first; got \(2, 3\), \(2, 2\), \(2, 3\)"):
        kernels.field("forward", x, x[:, :2], x, 0.5)


@pytest.mark.parametrize(
    ("what", "name"), [(symsi.bridge("linear"), "bridge_kernels"), (symsi.interpolant("linear"), "interpolant_kernels")]
)
def test_kernels_of_one_sided_conversions_name_those_of_two_sided_ones(what: object, name: str) -> None:
    with pytest.raises(symsi.SymsiError, match=f"symsi.{name}"):
        symsi.kernels(what)  # type: ignore[arg-type]

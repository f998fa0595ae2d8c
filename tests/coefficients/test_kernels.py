"""Tensor kernels: exact at every t, in every dtype, and transparent to torch's transforms."""

import math
import warnings

import mpmath
import pytest
import sympy as sp
import torch
from torch import Tensor

from symsi.algebra.symbols import t, tau
from symsi.coefficients.certificate import certify, kernel_errors
from symsi.coefficients.kernels import Kernels, kernels, load
from symsi.coefficients.program import formulas
from symsi.coefficients.source import coefficients_source
from symsi.coefficients.textbook import definitions
from symsi.errors import SymsiError, UnknownNameError
from symsi.interpolants.lazy import lazy_schedule
from symsi.interpolants.rows import Pair
from symsi.interpolants.schedule import Schedule
from symsi.theory.conversion import FIELDS, convert
from symsi.theory.gaussian import flow_map, gaussian_field

USER = Schedule("(1-t)*(1+t/3)", "t*exp(t-1)")
MEAN, VARIANCE = sp.Rational(2, 5), sp.Rational(9, 4)
ENDS_AND_INSIDE = [0.0, 2.0**-40, 1e-6, 1e-4, 0.1, 0.5, 0.9, 0.999, 0.9999, 1 - 2.0**-20, 1 - 2.0**-24, 1.0]


def gaussian_velocity(schedule: Schedule, time: sp.Expr, x: sp.Expr) -> sp.Expr:
    """v on N(2/5, 9/4) data, multiprecision; the limit where the schedule has one."""
    values = [e.subs(t, time).evalf(60) for e in (schedule.alpha, schedule.beta)]
    rates = [e.diff(t).subs(t, time).evalf(60) for e in (schedule.alpha, schedule.beta)]
    return gaussian_field(Pair(*values, *rates), "velocity", x, MEAN, VARIANCE)


PAIRS = [("linear", "trigonometric"), ("trigonometric", "linear"), ("vp", "linear"), ("linear", "shifted")]


@pytest.mark.parametrize(("base", "target"), PAIRS)
def test_a_converted_velocity_is_the_gaussian_one_up_to_both_ends_in_float32(base: str, target: str) -> None:
    conversion = convert(base, target)
    compiled = kernels(conversion)
    for time in ENDS_AND_INSIDE:
        exact = sp.Rational(float(torch.tensor(time, dtype=torch.float32)))
        x = torch.tensor([0.75], dtype=torch.float32)
        given = compiled.model_input(x, torch.tensor(time))
        if base == "vp" and exact == 1:
            continue  # the base's own velocity is infinite there, and no coefficient can undo it
        inside = exact if exact in (0, 1) else sp.Float(conversion.evaluate_time(exact, 60), 60)
        scale = (conversion.coefficients["scale"].subs({t: exact, tau: inside})).evalf(60)
        model = gaussian_velocity(conversion.base, inside, sp.Rational(3, 4) / scale)
        assert float(given[0]) == pytest.approx(float(sp.Rational(3, 4) / scale), rel=2e-7)
        got = compiled.velocity(torch.tensor([float(model)], dtype=torch.float32), x, torch.tensor(time))
        want = float(gaussian_velocity(conversion.target, exact, sp.Rational(3, 4)))
        parts = compiled.coefficients(torch.tensor(time))
        size = abs(float(parts["velocity_state"]) * 0.75) + abs(float(parts["velocity_prediction"]) * float(model))
        assert abs(float(got) - want) <= 3e-7 * max(size, abs(want)), (time, float(got), want)


@pytest.mark.parametrize(
    ("base", "target", "time"),
    [
        ("linear", "trigonometric", 0.9999),
        ("linear", "trigonometric", 1.0),
        ("vp", "linear", 0.0),
        ("vp", "linear", 0.9999),
        ("linear", "vp", 0.0),
        ("linear", "lazy(kappa=1)", 1 - 2.0**-22),
    ],
)
def test_where_the_textbook_form_fails_in_float32_ours_is_right(base: str, target: str, time: float) -> None:
    conversion = convert(base, target)
    at = torch.tensor([time], dtype=torch.float32)
    textbook = load(formulas(conversion, definitions(conversion)), dtype="torch.float32")(at)
    ours = kernels(conversion).coefficients(at)
    broken = 0
    for name, value in ours.items():
        if time in (0.0, 1.0):
            truth = conversion.end_value(name, int(time))
        else:
            truth = conversion.evaluate(name, sp.Rational(float(at)))
        if truth is None:
            continue
        assert float(value.float()) == pytest.approx(float(truth), rel=2e-7, abs=1e-30)
        found = float(textbook[name])
        broken += not abs(found - float(truth)) <= 1e-4 * max(abs(float(truth)), 1e-6)
    assert broken >= 1


def test_the_certificate_bounds_hold_for_a_sample_of_pairs() -> None:
    rows = [
        r for found, _ in certify([("linear", "lazy(kappa=1)"), ("cosine", "vp"), ("ve", "linear")], 60) for r in found
    ]
    assert max(r.ulp for r in rows) <= 4
    assert max(r.table_ulp for r in rows) <= 2
    assert sum(r.nonfinite for r in rows) == 0
    assert max(r.handwritten_ulp for r in rows) > 1000
    assert sum(r.handwritten_nonfinite for r in rows) > 0


@pytest.mark.parametrize(("base", "target"), [("linear", "lazy(kappa=1)"), (USER, "vp"), ("vp", USER)])
def test_float64_times_are_good_to_float32_at_least_and_implicit_maps_too(base: str, target: str) -> None:
    conversion = convert(base, target, "optimal")
    points = [2.0**-30, 1e-5, 0.01, 0.3, 0.77, 0.99, 1 - 1e-5, 1 - 2.0**-30]
    found = kernels(conversion).coefficients(torch.tensor(points, dtype=torch.float64))
    for name, values in found.items():
        for time, value in zip(points, values.tolist(), strict=True):
            truth = conversion.evaluate(name, sp.Rational(time))
            with mpmath.workdps(50):
                assert abs(value - truth) <= 1e-9 * abs(truth) + mpmath.mpf("1e-40"), (name, time)


def everywhere(name: str = "lazy(kappa=1)") -> tuple[Kernels, Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    x, prediction = torch.randn(2, 6, 3, 4)
    return kernels(convert("linear", name, "optimal")), prediction, x, torch.linspace(0.05, 0.95, 6)


@pytest.mark.parametrize("field", FIELDS)
def test_torch_compile_takes_the_whole_graph(field: str) -> None:
    compiled, prediction, x, times = everywhere()
    function = torch.compile(getattr(compiled, field), fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(function(prediction, x, times), getattr(compiled, field)(prediction, x, times))


def test_inductor_agrees_at_the_ends() -> None:
    compiled, prediction, x, _ = everywhere("trigonometric")
    times = torch.tensor([0.0, 2.0**-30, 0.3, 0.9, 0.99999, 1.0])
    function = torch.compile(compiled.velocity, fullgraph=True)
    torch.testing.assert_close(function(prediction, x, times), compiled.velocity(prediction, x, times))


def test_vmap_over_samples_is_the_batch() -> None:
    compiled, prediction, x, times = everywhere()
    one_by_one = torch.func.vmap(compiled.drift)(prediction, x, times)
    torch.testing.assert_close(one_by_one, compiled.drift(prediction, x, times))


@pytest.mark.parametrize("base", ["linear", USER])
def test_jvp_is_the_symbolic_derivative(base: str) -> None:
    conversion = convert(base, "lazy(kappa=1)", "optimal")
    compiled = kernels(conversion)
    times = torch.tensor([1e-6, 0.02, 0.4, 0.8, 0.999999], dtype=torch.float64)
    for name, expr in conversion.coefficients.items():
        _, slopes = torch.func.jvp(lambda s, n=name: compiled.coefficient(n, s), (times,), (torch.ones_like(times),))
        for time, slope in zip(times.tolist(), slopes.tolist(), strict=True):
            exact = sp.Rational(time)
            point = {t: exact, tau: sp.Float(conversion.evaluate_time(exact, 60), 60)}
            rate = sp.Float(conversion.evaluate("time_rate", exact, 60), 60)
            want = (expr.diff(t) + expr.diff(tau) * rate).subs(point).evalf(40)
            assert slope == pytest.approx(float(want), rel=1e-6, abs=1e-9), (name, time)


def test_gradients_are_finite_at_both_ends_where_the_limit_is_smooth() -> None:
    compiled = kernels(convert("linear", "trigonometric"))
    for name in ("time", "scale", "velocity_prediction", "data_state", "noise_prediction"):
        times = torch.tensor([0.0, 1.0], dtype=torch.float64, requires_grad=True)
        compiled.coefficient(name, times).sum().backward()
        assert times.grad is not None
        assert torch.isfinite(times.grad).all(), name


def test_torch_export_keeps_the_batch_dynamic() -> None:
    compiled, prediction, x, times = everywhere("vp")

    class Step(torch.nn.Module):
        def forward(self, prediction: Tensor, x: Tensor, t: Tensor) -> Tensor:
            return compiled.velocity(prediction, x, t)

    batch = torch.export.Dim("B", min=1)
    program = torch.export.export(Step(), (prediction, x, times), dynamic_shapes=({0: batch}, {0: batch}, {0: batch}))
    short = (prediction[:2], x[:2], times[:2])
    torch.testing.assert_close(program.module()(*short), compiled.velocity(*short))


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("time_dtype", [torch.float32, torch.float64, torch.bfloat16, None])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_x_keeps_its_dtype_and_device(dtype: torch.dtype, time_dtype: torch.dtype | None, device: str) -> None:
    compiled, prediction, x, times = everywhere()
    x, prediction = x.to(device, dtype), prediction.to(device)
    when = 0.5 if time_dtype is None else times.to(device, time_dtype)
    got = compiled.drift(prediction, x, when)
    assert (got.dtype, got.device.type, got.shape) == (dtype, device, x.shape)
    moved, _ = compiled.model_input(x, when)
    assert (moved.dtype, moved.device.type) == (dtype, device)


def test_autocast_changes_nothing() -> None:
    compiled, prediction, x, times = everywhere()
    outside = compiled.drift(prediction, x, times)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = compiled.drift(prediction, x, times)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, outside)


def test_grad_of_a_field_is_its_coefficient() -> None:
    compiled, prediction, x, times = everywhere()
    slope = torch.func.grad(lambda v: compiled.drift(prediction, v, times).sum())(x)
    want = compiled.coefficient("drift_state", times).float().reshape(6, 1, 1).expand_as(x)
    torch.testing.assert_close(slope, want)


@pytest.mark.parametrize("prediction", ["velocity", "data"])
def test_a_point_mass_starts_with_a_finite_drift(prediction: str) -> None:
    """b(0, 0) = E[X] for kappa = 1, beta = t (T11): for E[X] = 2 the exact predictions at (0, z) are 2 - z and 2."""
    compiled = kernels(convert("linear", "lazy(kappa=1)", "optimal", prediction))
    z = torch.randn(5, 3, dtype=torch.float64)
    given = 2 - z if prediction == "velocity" else torch.full_like(z, 2.0)
    y, tau_start = compiled.model_input(z, 0.0)
    assert torch.equal(y, z)
    assert float(tau_start) == 0
    torch.testing.assert_close(compiled.drift(given, z, 0.0), torch.full_like(z, 2.0))
    noise = torch.randn_like(z)
    torch.testing.assert_close(compiled.step(given, z, noise, 0.0, 0.01), 0.02 + 0.1 * noise)


@pytest.mark.parametrize("prediction", ["noise", "score"])
def test_at_a_point_mass_noise_and_score_say_nothing_of_the_drift(prediction: str) -> None:
    conversion = convert("linear", "lazy(kappa=1)", "optimal", prediction)
    assert conversion.limit("drift_prediction", 0).value is None
    assert conversion.limit("drift_input", 0).value is None


@pytest.mark.parametrize("target", ["lazy(kappa=1)", "lazy(kappa=1/2)", "lazy(kappa=2)"])
def test_without_a_limit_a_coefficient_is_infinite_with_the_right_sign(target: str) -> None:
    conversion = convert("linear", target, "optimal")
    found = kernels(conversion).coefficients(torch.tensor([0.0, 1.0]))
    seen = 0
    for name, values in found.items():
        for end, value in enumerate(values.tolist()):
            limit = conversion.limit(name, end)
            if limit.value is None:
                seen += 1
                assert value == float(sp.sign(limit.coefficient)) * float("inf"), (name, end)
    assert seen > 3


LOGARITHMIC = Schedule("1-t-t**2*log(t)/9", "t")


@pytest.mark.parametrize("case", ["diffusion", "schedule", "essential"])
def test_one_coefficient_without_a_series_spoils_no_other(case: str) -> None:
    conversion = {
        "diffusion": convert("cosine", "linear", "-t*log(t)"),
        "schedule": convert(LOGARITHMIC, "vp"),
        "essential": convert(Schedule("1-t", "exp(1-1/t)"), "vp"),
    }[case]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled = kernels(conversion)
    points = [1e-12, 1e-4, 0.5, 0.9999, 1 - 1e-6]
    found = compiled.coefficients(torch.tensor(points, dtype=torch.float64))
    checked = ("time", "data_state", "data_prediction") if case == "diffusion" else ("beta", "time")
    for name in checked:
        for time, value in zip(points, found[name].tolist(), strict=True):
            truth = float(conversion.evaluate(name, sp.Rational(time)))
            assert value == pytest.approx(truth, rel=1e-7), (name, time)
    assert all(torch.isfinite(v).all() for v in compiled.coefficients(torch.tensor([0.3, 0.7])).values())


def test_bfloat16_is_rounded_once() -> None:
    compiled, prediction, x, times = everywhere()
    exact = compiled.drift(prediction.bfloat16().double(), x.bfloat16().double(), times.double())
    got = compiled.drift(prediction.bfloat16(), x.bfloat16(), times)
    torch.testing.assert_close(got.double(), exact, rtol=2.0**-8, atol=1e-6)


def test_scalar_and_batched_times_agree() -> None:
    compiled, prediction, x, _ = everywhere()
    number = compiled.drift(prediction, x, 0.3)
    for shape in ((), (6,), (6, 1, 1), (1,)):
        same = torch.full(shape, 0.3, dtype=torch.float64)
        assert torch.equal(compiled.drift(prediction, x, same), number)


@pytest.mark.parametrize("end", ["0.7", "1"])
def test_the_gaussian_flow_is_the_flow_map(end: str) -> None:
    compiled = kernels("vp")
    got = compiled.gaussian_flow(torch.tensor([[0.7]], dtype=torch.float64), 0.2, float(end), mean=0.4, variance=2.25)
    pair = compiled.conversion.target.pair
    start, stop = (
        Pair(*(e.subs(t, s) for e in (pair.alpha, pair.beta)), sp.Integer(0), sp.Integer(0))
        for s in (sp.Rational(1, 5), sp.Rational(end))
    )
    want = flow_map(start, stop, sp.Rational(7, 10), MEAN, VARIANCE)
    assert float(got) == pytest.approx(float(want), rel=1e-14)


@pytest.mark.parametrize("field", FIELDS)
def test_each_field_of_gaussian_data_is_the_proved_one(field: str) -> None:
    conversion = convert("linear", "trigonometric", "optimal")
    compiled = kernels(conversion)
    time, at = sp.Rational(3, 8), sp.Rational(3, 10)
    x = torch.tensor([[float(at)]], dtype=torch.float64)
    given, inside = compiled.model_input(x, float(time))
    model = gaussian_velocity(conversion.base, sp.Float(float(inside), 60), sp.Float(float(given), 60))
    got = getattr(compiled, field)(torch.tensor([[float(model)]], dtype=torch.float64), x, float(time))
    pair = conversion.target.pair
    here = Pair(*(e.subs(t, time).evalf(60) for e in (pair.alpha, pair.beta, pair.alpha_dot, pair.beta_dot)))
    velocity, score = (gaussian_field(here, name, at, MEAN, VARIANCE) for name in ("velocity", "score"))
    drift = velocity + conversion.diffusion.of(pair).subs(t, time).evalf(60) * score
    want = drift if field == "drift" else gaussian_field(here, field, at, MEAN, VARIANCE)
    assert float(got) == pytest.approx(float(want), rel=1e-13)


def test_a_schedule_alone_turns_velocities_into_scores() -> None:
    compiled = kernels("linear")
    x = torch.tensor([[0.3]], dtype=torch.float64)
    velocity = gaussian_velocity(compiled.conversion.target, sp.Rational(1, 4), sp.Rational(3, 10))
    variance = sp.Rational(9, 16) + VARIANCE / 16
    want = -(sp.Rational(3, 10) - MEAN / 4) / variance
    assert float(compiled.score(torch.tensor([[float(velocity)]], dtype=torch.float64), x, 0.25)) == pytest.approx(
        float(want)
    )


def test_outside_the_domain_there_are_no_numbers() -> None:
    values = kernels(convert("edm", "linear")).coefficients(torch.tensor([-0.1, 0.0, 1.1]))
    assert all(torch.isnan(v).all() for v in values.values())


def test_the_start_of_a_truncated_base_survives_rounding_to_float32() -> None:
    conversion = convert("edm", "linear")
    start = torch.tensor(conversion.start_time, dtype=torch.float32)
    assert 0 <= float(kernels(conversion).coefficient("time", start)) < 1e-7


def test_bad_input_is_refused_by_name() -> None:
    compiled, prediction, x, times = everywhere()
    with pytest.raises(SymsiError, match="floating-point"):
        compiled.drift(prediction, x, torch.tensor([0, 1]))
    with pytest.raises(SymsiError, match="floating-point"):
        compiled.drift(prediction, x, times.to(torch.complex64))
    with pytest.raises(SymsiError, match="floating-point"):
        compiled.drift(prediction.int(), x.int(), 0.5)
    with pytest.raises(SymsiError, match=r"t of shape \(5,\).*\(6, 3, 4\)"):
        compiled.drift(prediction, x, torch.rand(5))
    with pytest.raises(SymsiError, match="must agree"):
        compiled.drift(prediction[:3], x, times)
    with pytest.raises(SymsiError, match="leaves the domain"):
        compiled.drift(prediction, x, 1.5)
    for wrong in ([0.1, 0.2], 1j, "0.5"):
        with pytest.raises(SymsiError, match="t must be a number or a torch tensor"):
            compiled.drift(prediction, x, wrong)  # type: ignore[arg-type]
    for kind in (torch.complex64, torch.int64):
        with pytest.raises(SymsiError, match="prediction must be"):
            compiled.drift(prediction.to(kind), x, times)
    with pytest.raises(SymsiError, match="dt must not be negative"):
        compiled.step(prediction, x, x, times, -0.1)
    with pytest.raises(SymsiError, match="noise has shape"):
        compiled.step(prediction, x, x[None], times, 0.1)
    with pytest.raises(UnknownNameError, match="'scale'"):
        compiled.coefficient("scael", 0.5)
    with pytest.raises(SymsiError, match="lamda is symbolic"):
        kernels(convert("linear", lazy_schedule(kappa=1, variance=None)))


def test_the_source_is_plain_torch() -> None:
    text = coefficients_source(kernels(convert("linear", "lazy(kappa=1)", "optimal")).program)
    space: dict[str, object] = {"torch": torch}
    exec(text, space)
    values = space["coefficients"](torch.tensor([0.0, 0.5, 1.0]))  # type: ignore[operator]
    assert values["time"].tolist() == [0.0, 0.5, 1.0]
    assert "sympy" not in text


def test_kernel_errors_are_small_where_textbook_errors_are_large() -> None:
    times = [1 - 2.0**-k for k in range(1, 24)]
    found = kernel_errors(convert("linear", "trigonometric"), "velocity_prediction", times)
    assert [row[0] for row in found] == times
    assert max(ours for _, ours, _, _ in found) <= 0.5001
    assert max(textbook for _, _, textbook, _ in found) > 1e5


@pytest.mark.parametrize(
    ("conversion", "name", "times", "message"),
    [
        ({}, "velocity_prediction", [0.0], "times must lie inside"),
        ({}, "velocity_prediction", [1.0], "times must lie inside"),
        ({}, "velocity", [0.5], "unknown coefficient"),
        ({"prediction": "noise"}, "velocity_prediction", [0.5], "velocity prediction"),
    ],
)
def test_kernel_errors_refuse_what_textbook_forms_do_not_define(
    conversion: dict[str, str], name: str, times: list[float], message: str
) -> None:
    with pytest.raises(SymsiError, match=message):
        kernel_errors(convert("linear", "trigonometric", **conversion), name, times)


def test_beyond_the_largest_float32_infinity_is_right() -> None:
    """eta_X under the point mass is -t^-4 x + ... at small t, seen from a polynomial schedule."""
    conversion = convert("lazy(kappa=1)", "polynomial")
    (_, ours, _, clamped), (_, small, _, _) = kernel_errors(conversion, "data_input", [2.0**-40, 2.0**-30])
    assert float(kernels(conversion).coefficient("data_input", 2.0**-40).float()) == -math.inf
    assert (ours, math.isinf(clamped)) == (0, True)
    assert small <= 0.5

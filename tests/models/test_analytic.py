"""Exact models: each number against multiprecision, an integral, or autograd, up to both ends of time."""

import math
from functools import cache
from typing import Any

import mpmath
import pytest
import sympy as sp
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import symsi
from symsi.algebra.symbols import t as clock
from symsi.errors import SymsiError, UnknownNameError
from symsi.interpolants.schedule import Kind, Schedule
from symsi.models import analytic
from symsi.models.analytic import Mixture, empirical, gaussian, mixture
from symsi.theory.fields import PREDICTIONS

EPS = torch.finfo(torch.float64).eps
TIMES = torch.tensor([0.0, 2.0**-30, 0.125, 0.5, 1 - 2.0**-10, 1 - 2.0**-30, 1.0], dtype=torch.float64)
NAMES = [*symsi.NAMED, "lazy(variance=2)"]
STATES = [(0.75, -1.5), (2.0, 0.25)]
FULL = [[[1.5, 0.5], [0.5, 0.75]], [[0.5, -0.25], [-0.25, 1.0]], [[0.25, 0.0], [0.0, 2.0]]]
WEIGHTS, MEANS = [1.0, 2.0, 1.0], [[1.0, -0.5], [-2.0, 0.25], [0.5, 3.0]]

# name: what symsi builds, and the same weights, means and covariances for the oracle
LAWS: dict[str, tuple[Mixture, list[float], list[list[float]], list[list[list[float]]]]] = {
    "gaussian, full": (gaussian(MEANS[0], FULL[0]), [1.0], MEANS[:1], FULL[:1]),
    "gaussian, one variance": (gaussian(MEANS[0], 0.5), [1.0], MEANS[:1], [[[0.5, 0.0], [0.0, 0.5]]]),
    "gaussian, variances": (gaussian(MEANS[0], [0.5, 2.0]), [1.0], MEANS[:1], [[[0.5, 0.0], [0.0, 2.0]]]),
    "mixture, full": (mixture(WEIGHTS, MEANS, FULL), WEIGHTS, MEANS, FULL),
    "mixture, variances": (
        mixture(WEIGHTS, MEANS, [[0.5, 2.0], [1.0, 1.0], [2.0, 0.25]]),
        WEIGHTS,
        MEANS,
        [[[0.5, 0.0], [0.0, 2.0]], [[1.0, 0.0], [0.0, 1.0]], [[2.0, 0.0], [0.0, 0.25]]],
    ),
    "mixture, one variance each": (
        mixture(WEIGHTS, MEANS, [0.5, 1.0, 2.0]),
        WEIGHTS,
        MEANS,
        [[[v, 0.0], [0.0, v]] for v in (0.5, 1.0, 2.0)],
    ),
    "mixture, one full": (mixture(WEIGHTS, MEANS, [FULL[0]] * 3), WEIGHTS, MEANS, [FULL[0]] * 3),
    "empirical": (empirical(MEANS, 0.3), [1.0] * 3, MEANS, [[[0.3**2, 0.0], [0.0, 0.3**2]]] * 3),
}
WAYS = ("gaussian, full", "mixture, full", "empirical")  # through the code: rotated, one by one, shared and diagonal


@cache
def path(name: str, time: float) -> tuple[mpmath.mpf, ...]:
    """(alpha, beta, alpha alpha', beta') to 50 digits, from the formulas of the schedule."""
    s = symsi.schedule(name)
    formulas = (s.alpha, s.beta, (s.alpha**2).diff(clock) / 2, s.beta.diff(clock))
    return tuple(mpmath.mpf(str(e.subs(clock, sp.Rational(time)).evalf(50))) for e in formulas)


def oracle(name: str, time: float, state: tuple[float, float], law: str) -> dict[str, list[float]]:
    """Condition (Z, X) on alpha Z + beta X = x, component by component, in 50 digits."""
    with mpmath.workdps(50):
        alpha, beta, rate, beta_dot = path(name, time)
        _, weights, means, covariances = LAWS[law]
        x, total, score, data = [mpmath.mpf(v) for v in state], mpmath.mpf(0), [mpmath.mpf(0)] * 2, [mpmath.mpf(0)] * 2
        for w, m, c in zip(weights, means, covariances, strict=True):
            s = [[alpha**2 * (i == j) + beta**2 * c[i][j] for j in (0, 1)] for i in (0, 1)]
            det = s[0][0] * s[1][1] - s[0][1] * s[1][0]
            gap = [x[i] - beta * m[i] for i in (0, 1)]
            residual = [(s[1 - i][1 - i] * gap[i] - s[i][1 - i] * gap[1 - i]) / det for i in (0, 1)]  # S^-1 gap
            density = w * mpmath.exp(-(residual[0] * gap[0] + residual[1] * gap[1]) / 2) / mpmath.sqrt(det)
            posterior = [m[i] + beta * (c[i][0] * residual[0] + c[i][1] * residual[1]) for i in (0, 1)]
            total += density
            score = [v - density * r for v, r in zip(score, residual, strict=True)]
            data = [v + density * d for v, d in zip(data, posterior, strict=True)]
        score, data = [v / total for v in score], [v / total for v in data]
        result = {
            "score": score,
            "data": data,
            "noise": [-alpha * v for v in score],
            "velocity": [beta_dot * d - rate * v for v, d in zip(score, data, strict=True)],
        }
        return {prediction: [float(v) for v in values] for prediction, values in result.items()}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("name", NAMES)
def test_every_prediction_is_gaussian_conditioning_up_to_both_ends(name: str, law: str) -> None:
    """alpha is good to 1e-12 where it is small beside S, else 1e-15; densities amplify that by (x - beta m)^2 / S."""
    cases = [(time, state) for time in TIMES.tolist() for state in STATES]
    times = torch.tensor([time for time, _ in cases], dtype=torch.float64)
    x = torch.tensor([state for _, state in cases], dtype=torch.float64)
    wanted = [oracle(name, *case, law) for case in cases]
    for prediction in PREDICTIONS:
        found = LAWS[law][0].model(name, prediction)(x, times)
        exact = torch.tensor([w[prediction] for w in wanted], dtype=torch.float64)
        torch.testing.assert_close(found, exact, rtol=2e-12, atol=2e-12)


@pytest.mark.parametrize("time", [0.1, 0.5, 0.8])
def test_noise_and_data_of_a_mixture_are_integrals_over_the_data(time: float) -> None:
    law = mixture([0.3, 0.7], [-1.0, 1.5], [0.25, 0.5])
    alpha, beta, state = 1 - time, time, 0.4

    def joint(x: mpmath.mpf) -> mpmath.mpf:
        prior = sum(w * mpmath.npdf(x, m, mpmath.sqrt(v)) for w, m, v in ((0.3, -1.0, 0.25), (0.7, 1.5, 0.5)))
        return prior * mpmath.npdf(state, beta * x, alpha)

    nodes = [-8, -4, -2, -1, 0, 1, 2, 4, 8]
    total = mpmath.quad(joint, nodes)
    data = mpmath.quad(lambda x: x * joint(x), nodes) / total
    noise = mpmath.quad(lambda x: (state - beta * x) / alpha * joint(x), nodes) / total
    x = torch.tensor([state], dtype=torch.float64)
    for prediction, wanted in (("data", data), ("noise", noise), ("score", -noise / alpha), ("velocity", data - noise)):
        found = law.model("linear", prediction)(x, torch.tensor(time, dtype=torch.float64))
        assert found.item() == pytest.approx(float(wanted), rel=1e-12)  # quad works in 15 digits


@pytest.mark.parametrize("law", LAWS)
def test_the_score_is_the_gradient_of_the_log_density(law: str) -> None:
    distribution, weights, means, covariances = LAWS[law]
    alpha, beta = 0.375, 0.625
    spread = alpha**2 * torch.eye(2, dtype=torch.float64) + beta**2 * torch.tensor(covariances, dtype=torch.float64)
    marginal = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(torch.tensor(weights, dtype=torch.float64)),
        torch.distributions.MultivariateNormal(beta * torch.tensor(means, dtype=torch.float64), spread),
    )
    x = torch.randn(20, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    (wanted,) = torch.autograd.grad(marginal.log_prob(x).sum(), x)
    found = distribution.model("linear", "score")(x.detach(), torch.tensor(beta, dtype=torch.float64))
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("law", WAYS)
@pytest.mark.parametrize("name", NAMES)
def test_noise_and_data_add_up_to_the_state(name: str, law: str) -> None:
    """T1, x = alpha eta_Z + beta eta_X; both terms are O(|x| + |m|), so they add up to some eps of that."""
    x = 3 * torch.randn(len(TIMES), 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    noise, data = (LAWS[law][0].model(name, p)(x, TIMES) for p in ("noise", "data"))
    found = symsi.kernels(symsi.schedule(name)).functions["schedule"](TIMES)
    total = found["alpha"][:, None] * noise + found["beta"][:, None] * data
    torch.testing.assert_close(total, x, rtol=0, atol=32 * EPS * (x.abs().max().item() + 4))


@pytest.mark.parametrize("law", WAYS)
@pytest.mark.parametrize("name", NAMES)
def test_at_the_start_the_data_is_its_mean_and_the_noise_the_state(name: str, law: str) -> None:
    distribution, schedule = LAWS[law][0], symsi.schedule(name)
    x = torch.tensor(STATES, dtype=torch.float64)
    zero = torch.tensor(0.0)
    fields = {p: distribution.model(schedule, p)(x, zero) for p in PREDICTIONS}
    assert all(field.isfinite().all() for field in fields.values())
    if schedule.kind is Kind.TRUNCATED:
        return
    scale = float(schedule.alpha.subs(clock, 0))
    mean = distribution.mean.expand(len(STATES), 2)
    torch.testing.assert_close(fields["data"], mean, rtol=0, atol=16 * EPS)
    torch.testing.assert_close(fields["noise"], x / scale, rtol=8 * EPS, atol=8 * EPS)
    torch.testing.assert_close(fields["score"], -x / scale**2, rtol=8 * EPS, atol=8 * EPS)
    if name == "linear":
        torch.testing.assert_close(fields["velocity"], mean - x, rtol=0, atol=32 * EPS)


@pytest.mark.parametrize("law", WAYS)
@pytest.mark.parametrize("name", NAMES)
def test_at_the_end_the_data_is_the_state_and_the_noise_zero(name: str, law: str) -> None:
    distribution = LAWS[law][0]
    x = torch.tensor(STATES, dtype=torch.float64)
    fields = {p: distribution.model(name, p)(x, torch.tensor(1.0)) for p in PREDICTIONS}
    assert all(field.isfinite().all() for field in fields.values())
    assert (fields["noise"] == 0).all()
    torch.testing.assert_close(fields["data"], x, rtol=8 * EPS, atol=8 * EPS)
    if distribution.eigenvectors is None and len(distribution.eigenvalues) == 1:
        assert torch.equal(fields["data"], x)
        if name == "linear":
            assert torch.equal(fields["velocity"], x)


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_narrow_state_gives_the_float64_result_rounded_once(dtype: torch.dtype, prediction: str) -> None:
    for law in WAYS:
        model = LAWS[law][0].model("vp", prediction)
        x = torch.randn(len(TIMES), 2, generator=torch.Generator().manual_seed(2)).to(dtype)
        times = TIMES.to(dtype)
        found = model(x, times)
        assert found.dtype == dtype
        assert found.isfinite().all()
        assert torch.equal(found, model(x.double(), times.double()).to(dtype))


def test_one_time_per_sample_is_a_loop_over_samples() -> None:
    generator = torch.Generator().manual_seed(3)
    law = empirical(torch.randn(30, 2, 3, generator=generator), 0.3)
    x, times = torch.randn(5, 2, 3, generator=generator, dtype=torch.float64), torch.rand(5, generator=generator)
    for prediction in PREDICTIONS:
        model = law.model("trigonometric", prediction)
        loop = torch.cat([model(one[None], time) for one, time in zip(x, times, strict=True)])
        torch.testing.assert_close(model(x, times), loop, rtol=1e-12, atol=1e-12)
        assert torch.equal(model(x, times[0]), model(x, times[:1].expand(5)))
    assert law.model()(x[:0], times[:0]).shape == (0, 2, 3)


@pytest.mark.parametrize("law", LAWS)
def test_chunks_of_the_batch_do_not_show(law: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = LAWS[law][0].model()
    x = torch.randn(7, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    whole = model(x, torch.tensor(0.7))
    monkeypatch.setattr(analytic, "_NUMBERS", 9)  # three rows of the empirical law at a time, one of a full mixture
    torch.testing.assert_close(model(x, torch.tensor(0.7)), whole, rtol=1e-13, atol=1e-13)


class Largest(TorchDispatchMode):
    """Remember the largest tensor that any operation returned."""

    numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if isinstance(found, Tensor):
            self.numbers = max(self.numbers, found.untyped_storage().nbytes() // found.element_size())
        return found


def test_memory_does_not_grow_with_batch_times_rows() -> None:
    model = empirical(torch.randn(1500, 16, generator=torch.Generator().manual_seed(5)), 0.2).model()
    x = torch.randn(2000, 16, generator=torch.Generator().manual_seed(6))
    with Largest() as seen:
        model(x, torch.tensor(0.5))
    assert seen.numbers <= analytic._NUMBERS < 2000 * 1500


def test_a_shared_covariance_takes_another_way_to_the_same_numbers() -> None:
    """The shared way expands squares: it loses |offset|^2 / S eps, at most 400 eps in the log density here."""
    generator = torch.Generator().manual_seed(7)
    shared = mixture(torch.rand(6, generator=generator) + 0.1, torch.randn(6, 2, generator=generator), [FULL[0]] * 6)
    assert len(shared.eigenvalues) == 1
    vectors = shared.eigenvectors
    assert vectors is not None
    each = Mixture(
        shared.weights, shared.means, shared.eigenvalues.expand(6, 2).clone(), vectors.expand(6, 2, 2).clone(), (2,)
    )
    x, times = torch.randn(len(TIMES), 2, generator=generator, dtype=torch.float64), TIMES
    for prediction in PREDICTIONS:
        torch.testing.assert_close(
            shared.model("vp", prediction)(x, times), each.model("vp", prediction)(x, times), rtol=1e-12, atol=1e-12
        )
    torch.testing.assert_close(shared.covariance, each.covariance)


def test_data_far_from_the_origin_costs_no_digits() -> None:
    """A shift of all data by a power of two, exact in floating point, shifts the denoiser at t = 1 - 2^-10 alike."""
    near = torch.tensor([[-1.0], [0.0], [2.0]], dtype=torch.float64)
    x, time, shift = torch.tensor([[0.5]], dtype=torch.float64), torch.tensor(1 - 2.0**-10), 2.0**10
    beta = time.item()
    wanted = empirical(near, 0.125).model("linear", "data")(x, time)
    found = empirical(near + shift, 0.125).model("linear", "data")(x + beta * shift, time)
    assert found.item() - shift == pytest.approx(wanted.item(), abs=64 * shift * EPS / 0.125**2)


@pytest.mark.parametrize("law", LAWS)
def test_samples_have_the_mean_and_the_covariance_that_the_law_states(law: str) -> None:
    """5 standard errors; of a covariance entry sqrt(E[y_i^2 y_j^2] / n), taken from the samples."""
    distribution, weights, means, covariances = LAWS[law]
    w = torch.tensor(weights, dtype=torch.float64) / sum(weights)
    m, c = torch.tensor(means, dtype=torch.float64), torch.tensor(covariances, dtype=torch.float64)
    mean = w @ m
    covariance = torch.einsum("k,kij->ij", w, c + m[:, :, None] * m[:, None, :]) - torch.outer(mean, mean)
    torch.testing.assert_close(distribution.mean, mean, rtol=0, atol=8 * EPS)
    torch.testing.assert_close(distribution.covariance, covariance, rtol=0, atol=64 * EPS)
    count = 40_000
    samples = distribution.sample(count, seed=8)
    centred = samples - mean
    products = centred[:, :, None] * centred[:, None, :]
    assert ((samples.mean(0) - mean).abs() <= 5 * (covariance.diag() / count).sqrt()).all()
    assert ((products.mean(0) - covariance).abs() <= 5 * products.std(0) / math.sqrt(count)).all()
    assert torch.equal(samples, distribution.sample(count, seed=8))
    assert not torch.equal(samples, distribution.sample(count, seed=9))


def test_samples_and_means_have_the_shape_of_the_data() -> None:
    law = empirical(torch.randn(10, 1, 4, 4, generator=torch.Generator().manual_seed(10)), 0.1)
    assert law.sample(3).shape == (3, 1, 4, 4)
    assert law.mean.shape == (1, 4, 4)
    assert law.covariance.shape == (16, 16)
    model = law.model("edm", "data")
    assert (model.shape, model.prediction, str(model.schedule), model.name) == ((1, 4, 4), "data", "edm", "empirical")
    assert model(law.sample(3), torch.tensor(0.5)).shape == (3, 1, 4, 4)


def test_two_point_masses_have_the_hyperbolic_tangent_for_a_denoiser() -> None:
    model = mixture([1, 1], [-1.0, 1.0], [0.0, 0.0]).model("linear", "data")
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)
    for time in (0.0, 0.25, 0.5, 0.75):
        wanted = torch.tanh(time * x / (1 - time) ** 2)
        torch.testing.assert_close(model(x, torch.tensor(time)), wanted, rtol=1e-14, atol=64 * EPS)
    at_end = model(x, torch.tensor(1.0))
    assert torch.equal(at_end[x != 0], x.sign()[x != 0])  # the nearest point; halfway between, their mean
    assert at_end[4] == 0


@pytest.mark.parametrize(
    "law",
    [
        gaussian([1.0, 2.0], [0.0, 1.0]),
        gaussian([1.0, 2.0], [[1.0, 1.0], [1.0, 1.0]]),
        mixture([1, 1], [[1.0, 2.0], [-1.0, 0.0]], [[0.0, 1.0], [1.0, 1.0]]),
    ],
)
def test_without_a_density_data_is_exact_at_the_end_and_the_others_are_not_finite(law: Mixture) -> None:
    on_support = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    end = torch.tensor(1.0)
    torch.testing.assert_close(law.model("linear", "data")(on_support, end), on_support, rtol=0, atol=8 * EPS)
    off = on_support + torch.tensor([[0.5, -0.25]])
    assert law.model("linear", "data")(off, end).isfinite().all()
    for prediction in ("velocity", "score", "noise"):
        model = law.model("linear", prediction)
        assert not model(on_support, end).isfinite().all()
        assert model(off, torch.tensor(0.999)).isfinite().all()


def test_a_point_mass_schedule_is_exact_after_its_start_and_refused_at_it() -> None:
    """kappa = 1, beta = t on N(0, 1): alpha^2 = t (1 - t), S = t, eta_X = x and v = S'/(2S) x = x / (2t)."""
    law = gaussian(0.0, 1.0)
    x = torch.tensor([0.5, -2.0], dtype=torch.float64)
    for time in (0.25, 0.75, 1.0):
        t = torch.tensor(time)
        torch.testing.assert_close(law.model("lazy(kappa=1)", "data")(x, t), x, rtol=8 * EPS, atol=0)
        torch.testing.assert_close(law.model("lazy(kappa=1)")(x, t), x / (2 * time), rtol=32 * EPS, atol=0)
    with pytest.raises(SymsiError, match="alpha = beta = 0 at t = 0"):
        law.model("lazy(kappa=1)")(x, torch.tensor([0.0, 0.5]))


def test_a_rate_that_is_infinite_is_infinite_and_one_that_vanishes_is_zero() -> None:
    x, law = torch.tensor([0.5, -2.0], dtype=torch.float64), gaussian(0.0, 1.0)
    cusp = Schedule("(1-t)**(1/3)", "t")  # alpha alpha' = -(1-t)^(-1/3) / 3
    assert torch.equal(law.model(cusp)(x, torch.tensor(1.0)), -x.sign() * math.inf)
    mild = Schedule("(1-t)**(3/4)", "t")  # alpha alpha' = -3 (1-t)^(1/2) / 4
    assert torch.equal(law.model(mild)(x, torch.tensor(1.0)), x)


def test_a_model_can_be_differentiated_after_a_call_in_inference_mode() -> None:
    model = empirical(MEANS, 0.3).model("linear", "data")  # a law that nothing has called yet
    x, times = torch.randn(4, 2, dtype=torch.float64), torch.rand(4, dtype=torch.float64)
    with torch.inference_mode():
        inferred = model(x, times)
    leaf = x.clone().requires_grad_()
    found = model(leaf, times)
    torch.testing.assert_close(found.detach(), inferred)
    (gradient,) = torch.autograd.grad(found.sum(), leaf)
    _, forward = torch.func.jvp(lambda v: model(v, times), (x,), (torch.ones_like(x),))
    jacobian = torch.func.vmap(torch.func.jacrev(lambda v, t: model(v[None], t)[0]))(x, times)
    torch.testing.assert_close(jacobian.sum(1), gradient, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(jacobian.sum(2), forward, rtol=1e-12, atol=1e-12)


def test_what_the_caller_does_to_its_arrays_later_changes_nothing() -> None:
    data = torch.randn(5, 2, dtype=torch.float64)
    law = empirical(data, 0.1)
    kept = law.sample(2)
    data.zero_()
    assert torch.equal(law.sample(2), kept)


BAD: dict[str, tuple[Any, str]] = {
    "asymmetric": (lambda: gaussian([0, 0], [[1, 0.5], [0, 1]]), r"differ by 0\.5"),
    "indefinite": (lambda: gaussian([0, 0], [[1, 2], [2, 1]]), r"smallest eigenvalue is -1"),
    "negative variance": (lambda: gaussian([0, 0], [1, -0.25]), r"smallest is -0\.25"),
    "covariance shape": (lambda: gaussian([0, 0], [1, 1, 1]), r"\(2,\) or \(2, 2\).*got shape \(3,\)"),
    "mean not finite": (lambda: gaussian([0, math.nan], 1), r"mean must be finite; 1 of 2"),
    "covariance not finite": (lambda: gaussian(0.0, math.inf), r"covariance must be finite"),
    "complex": (lambda: gaussian(torch.zeros(2, dtype=torch.complex64), 1), r"mean must be real"),
    "words": (lambda: gaussian("zero", 1), r"mean must be numbers; got str"),
    "nothing": (lambda: gaussian([], 1), r"got \(1,\) weights and \(1, 0\) means"),
    "zero weight": (lambda: mixture([1, 0], [0, 1], [1, 1]), r"weights must be positive; the smallest is 0"),
    "count of weights": (lambda: mixture([1], [0, 1], [1, 1]), r"got \(1,\) weights and \(2,\) means"),
    "covariances shape": (lambda: mixture([1, 1], [0, 1], 1), r"covariances must be \(2,\).*got shape \(\)"),
    "one indefinite": (
        lambda: mixture([1, 1], [[0, 0], [1, 1]], [[[1, 0], [0, 1]], [[0, 1], [1, 0]]]),
        r"smallest eigenvalue is -1",
    ),
    "no data": (lambda: empirical(torch.zeros(0, 3), 1), r"data must hold samples"),
    "data not finite": (lambda: empirical([[math.inf]], 1), r"data must be finite"),
    "zero bandwidth": (lambda: empirical([[0.0]], 0), r"bandwidth must be a positive number; got 0"),
    "bandwidths": (lambda: empirical([[0.0]], [1.0]), r"bandwidth must be a positive number"),
    "schedule": (lambda: gaussian(0, 1).model(3), r"schedule must be a Schedule or a name"),  # type: ignore[arg-type]
    "x shape": (lambda: gaussian([0, 0], 1).model()(torch.zeros(4, 3), torch.tensor(0.5)), r"got \(4, 3\)"),
    "x without batch": (lambda: gaussian([0, 0], 1).model()(torch.zeros(2), torch.tensor(0.5)), r"got \(2,\)"),
    "x integer": (
        lambda: gaussian([0, 0], 1).model()(torch.zeros(4, 2, dtype=torch.int64), torch.tensor(0.5)),
        r"x must be a floating-point tensor",
    ),
    "t shape": (lambda: gaussian([0, 0], 1).model()(torch.zeros(4, 2), torch.zeros(3)), r"one per sample \(4\)"),
    "t integer": (lambda: gaussian([0, 0], 1).model()(torch.zeros(4, 2), torch.tensor(1)), r"t must be a floating"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_with_what_was_given(case: str) -> None:
    build, message = BAD[case]
    with pytest.raises(SymsiError, match=message):
        build()


def test_an_unknown_name_comes_with_the_closest_one() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'velocity'"):
        gaussian(0, 1).model("linear", "velocities")
    with pytest.raises(UnknownNameError, match="Did you mean 'linear'"):
        gaussian(0, 1).model("liner")


def test_rounding_in_a_covariance_is_neither_asymmetry_nor_a_negative_eigenvalue() -> None:
    factor = torch.randn(20, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(11))
    law = gaussian(torch.zeros(20), factor @ factor.T)
    assert int((law.eigenvalues == 0).sum()) == 17
    torch.testing.assert_close(law.covariance, factor @ factor.T, rtol=0, atol=1e-12)

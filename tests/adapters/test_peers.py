"""diffusers' schedulers on our models: their conventions, what they cost, and where they end."""

import math
import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from symsi.adapters import peers
from symsi.adapters.peers import PEERS, sample_peer
from symsi.errors import SymsiError, UnknownNameError
from symsi.interpolants.schedule import Schedule
from symsi.models.protocol import Model

pytest.importorskip("diffusers")

QUANTILES = (torch.arange(200, dtype=torch.float64) + 0.5) / 200
Z = torch.special.ndtri(QUANTILES)[:, None]
FIRST_SIGMA = {"DPM-Solver++(2M)": 0.999, "UniPC": 1 - 1e-6, "DEIS": 0.999}  # the NSR grids' 20/21 and 1 elsewhere
LAST_NSR_SIGMA = 1 / 11
NSR = [name for name in PEERS if "NSR" in name]
SHIPPED = [name for name in PEERS if "NSR" not in name]


class Mixture:
    """sum_i w_i N(m_i, s_i^2) on the line: its exact velocity, and its exact flow, which carries quantiles along."""

    def __init__(self, weights: list[float], means: list[float], deviations: list[float]) -> None:
        self.w, self.m, self.s = (torch.tensor(v, dtype=torch.float64) for v in (weights, means, deviations))

    def velocity(self, x: Tensor, t: Tensor) -> Tensor:
        time, y = t.double()[:, None, None], x.double()[..., None]
        variance = (1 - time) ** 2 + (time * self.s) ** 2
        off = y - time * self.m
        share = torch.softmax(torch.log(self.w) - torch.log(variance) / 2 - off**2 / (2 * variance), -1)
        return (share * (self.m + (time * self.s**2 - (1 - time)) / variance * off)).sum(-1).to(x.dtype)

    def denoised(self, x: Tensor, sigma: float) -> Tensor:
        return x + sigma * self.velocity(x, torch.full((len(x),), 1 - sigma, dtype=torch.float64))

    def cdf(self, x: Tensor, sigma: float) -> Tensor:
        deviation = torch.sqrt(sigma**2 + (1 - sigma) ** 2 * self.s**2)
        return (self.w * torch.special.ndtr((x[..., None] - (1 - sigma) * self.m) / deviation)).sum(-1)

    def flow(self, x: Tensor, start: float, end: float) -> Tensor:
        level, low, high = self.cdf(x, start), torch.full_like(x, -20), torch.full_like(x, 20)
        for _ in range(60):
            middle = (low + high) / 2
            below = self.cdf(middle, end) < level
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return low


GAUSSIAN = Mixture([1.0], [0.0], [0.5])
TWO = Mixture([0.4, 0.6], [-1.0, 1.5], [0.3, 0.4])


def rms(x: Tensor) -> float:
    return float(x.double().square().mean().sqrt())


def possible(name: str, nfe: int) -> int:
    return nfe if PEERS[name].steps_for(nfe) else nfe - 1


def draw(name: str, mixture: Mixture, nfe: int) -> Tensor:
    return sample_peer(name, Model(mixture.velocity), Z, possible(name, nfe)).x


def nsr_limit(mixture: Mixture) -> Tensor:
    """Z taken for a state at sigma = 20/21, carried exactly to 1/11, and there replaced by its denoised value."""
    return mixture.denoised(mixture.flow(Z, 20 / 21, LAST_NSR_SIGMA), LAST_NSR_SIGMA)


def times(name: str, nfe: int) -> np.ndarray:
    """The times at which the peer calls the model, which it must do on all rows at once."""
    called: list[float] = []

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        assert t.shape == (len(x),)
        assert torch.all(t == t[0])
        called.append(float(t[0]))
        return -x

    assert sample_peer(name, Model(velocity), Z, nfe).nfe == nfe
    return np.array(called)


def test_euler_is_eulers_method_in_our_time() -> None:
    z = Z.float()
    sigmas = np.append(np.linspace(1, 0.001, 8), 0).astype(np.float32).tolist()
    x = z
    for here, there in pairwise(sigmas):
        x = x + (here - there) * TWO.velocity(x, torch.full((len(x),), 1 - here))
    found = sample_peer("FlowMatchEuler", Model(TWO.velocity), z, 8).x
    torch.testing.assert_close(found, x, rtol=0, atol=16 * torch.finfo(torch.float32).eps)  # a rounding or two a step


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_peer_approaches_the_exact_flow_of_a_mixture(name: str) -> None:
    errors = [rms(draw(name, TWO, nfe) - TWO.flow(Z, 1.0, 0.0)) for nfe in (8, 32, 128)]
    assert errors[0] > 2 * errors[1] > 2 * errors[2]
    start = rms(TWO.flow(Z, FIRST_SIGMA.get(name, 1.0), 0.0) - TWO.flow(Z, 1.0, 0.0))  # Z is no state of that sigma
    assert errors[2] < start + 1.5 / 128  # first order at worst


@pytest.mark.parametrize("name", NSR)
def test_on_the_nsr_grid_a_peer_approaches_the_flow_between_its_ends(name: str) -> None:
    errors = [rms(draw(name, TWO, nfe) - nsr_limit(TWO)) for nfe in (8, 32, 128)]
    assert errors[0] > 4 * errors[1] > 16 * errors[2]


@pytest.mark.parametrize(
    ("name", "order"),
    [
        ("FlowMatchEuler", 1),
        ("FlowMatchEuler, even grid", 1),
        ("FlowMatchHeun", 2),
        ("DPM-Solver++(2M), NSR grid", 2),
        ("UniPC, NSR grid", 3),  # a predictor of order 2 and the corrector
    ],
)
def test_a_peer_has_the_order_of_its_method_on_a_gaussian(name: str, order: int) -> None:
    exact = nsr_limit(GAUSSIAN) if name in NSR else 0.5 * Z  # sqrt(lambda) z
    errors = [rms(draw(name, GAUSSIAN, nfe) - exact) for nfe in (32, 128)]
    steps = [PEERS[name].steps_for(possible(name, nfe)) or 0 for nfe in (32, 128)]
    assert math.log(errors[0] / errors[1]) / math.log(steps[1] / steps[0]) == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("nfe", [1, 2, 3, 4, 9, 16])
def test_a_peer_costs_what_was_asked(name: str, nfe: int) -> None:
    nfe = possible(name, nfe)
    assert len(times(name, nfe)) == nfe


@pytest.mark.parametrize(
    ("name", "sigmas"),
    [
        ("FlowMatchEuler", np.linspace(1, 0.001, 9)),
        ("FlowMatchEuler, even grid", np.linspace(1, 0, 10)[:-1]),
        ("FlowMatchHeun", np.linspace(1, 0.001, 5)[[0, 1, 1, 2, 2, 3, 3, 4, 4]]),
        ("DPM-Solver++(2M)", np.linspace(0.999, 0, 10)[:-1]),
        ("DPM-Solver++(2M), NSR grid", 1 / (1 + 1 / np.geomspace(20, 0.1, 9))),
        ("UniPC", np.minimum(np.linspace(1, 0.001, 10)[:-1], 1 - 1e-6)),
        ("UniPC, NSR grid", 1 / (1 + 1 / np.geomspace(20, 0.1, 9))),
        ("DEIS", np.linspace(0.999, 0, 10)[:-1]),
    ],
)
def test_the_model_is_called_at_the_exact_sigma_and_not_at_its_rounded_timestep(name: str, sigmas: np.ndarray) -> None:
    np.testing.assert_allclose(times(name, 9), 1 - sigmas, rtol=0, atol=2.0**-24)


@pytest.mark.parametrize("name", PEERS)
def test_the_same_noise_gives_the_same_sample(name: str) -> None:
    assert torch.equal(draw(name, TWO, 5), draw(name, TWO, 5))


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_sample_keeps_the_dtype_and_the_shape_of_its_noise(name: str, dtype: torch.dtype) -> None:
    z = torch.randn(3, 1, 4, 4, generator=torch.Generator().manual_seed(0)).to(dtype)
    x = sample_peer(name, Model(lambda x, t: -x), z, 5).x
    assert (x.dtype, x.shape) == (dtype, z.shape)
    assert torch.isfinite(x).all()


def test_conditions_reach_the_model() -> None:
    def velocity(x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        return label.to(x.dtype)[:, None] - x

    label = torch.arange(len(Z)) % 3
    x = sample_peer("UniPC", Model(velocity), Z, 4, label=label).x
    for value in range(3):
        again = sample_peer("UniPC", Model(velocity), Z[label == value], 4, label=label[label == value]).x
        torch.testing.assert_close(x[label == value], again)


def test_heun_has_no_even_number_of_evaluations() -> None:
    assert [PEERS["FlowMatchHeun"].steps_for(n) for n in (0, 1, 2, 7, 8)] == [None, 1, None, 4, None]
    assert [PEERS["UniPC"].steps_for(n) for n in (-1, 0, 1, 8)] == [None, None, 1, 8]
    with pytest.raises(SymsiError, match=r"FlowMatchHeun cost 2N - 1 evaluations, never 8\. Ask for 7 or 9"):
        sample_peer("FlowMatchHeun", Model(GAUSSIAN.velocity), Z, 8)
    with pytest.raises(SymsiError, match=r"never 0\. Ask for 1"):
        sample_peer("UniPC", Model(GAUSSIAN.velocity), Z, 0)


def test_a_peer_that_costs_something_else_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = replace(PEERS["FlowMatchHeun"], per_step=1, saved=0)
    monkeypatch.setattr(peers, "PEERS", {"FlowMatchHeun": wrong})
    with pytest.raises(SymsiError, match="was to cost 4 evaluations a sample; this diffusers took 7"):
        sample_peer("FlowMatchHeun", Model(GAUSSIAN.velocity), Z, 4)


def test_an_unknown_peer_is_answered_with_the_closest() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown peer 'FlowMatchHuen'. Did you mean 'FlowMatchHeun'\?"):
        sample_peer("FlowMatchHuen", Model(GAUSSIAN.velocity), Z, 4)


@pytest.mark.parametrize("model", [{"schedule": "vp"}, {"prediction": "noise"}, {"schedule": Schedule("1-t**2", "t")}])
def test_another_schedule_or_prediction_is_refused(model: dict) -> None:
    with pytest.raises(SymsiError, match="velocity of the linear schedule alone; model 'mine' predicts"):
        sample_peer("UniPC", Model(GAUSSIAN.velocity, name="mine", **model), Z, 4)


def test_a_plain_function_and_a_spelled_out_linear_schedule_are_taken() -> None:
    expected = draw("UniPC", GAUSSIAN, 4)
    spelled = Model(GAUSSIAN.velocity, schedule=Schedule("1-t", "t"))
    assert torch.equal(sample_peer("UniPC", spelled, Z, 4).x, expected)
    assert torch.equal(sample_peer("UniPC", GAUSSIAN.velocity, Z, 4).x, expected)


@pytest.mark.parametrize("z", [Z[:, 0], Z[:0], torch.zeros(2, 1, dtype=torch.int64)], ids=["flat", "empty", "integer"])
def test_noise_of_another_kind_is_refused(z: Tensor) -> None:
    with pytest.raises(SymsiError, match=r"z is noise of shape \(B, \*shape\)"):
        sample_peer("UniPC", Model(GAUSSIAN.velocity), z, 4)


def test_without_diffusers_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(SymsiError, match=r'pip install "symsi\[bench\]"'):
        sample_peer("UniPC", Model(GAUSSIAN.velocity), Z, 4)

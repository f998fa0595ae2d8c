"""What fails in other libraries of interpolants: schedules that crash at an end, signs, divergences, a gamma of 0."""

from typing import Any

import pytest
import torch
from torch import Tensor

import symsi
from symsi.interpolants.named_two_sided import ENDS, GAMMAS
from symsi.models.analytic import mixture

DOUBLE = torch.float64
QUIET: dict[str, Any] = {"progress": False}
LEFT, RIGHT = symsi.models.gaussian([1.0, 0.0], 0.5), symsi.models.gaussian([-0.5, 2.0], 2.0)


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("ends", ENDS)
@pytest.mark.parametrize(("direction", "diffusion"), [("forward", "gamma"), ("backward", "ode")])
def test_every_named_interpolant_runs_from_end_to_end(ends: str, gamma: str, direction: str, diffusion: str) -> None:
    """interflow: a gamma whose derivative is infinite at both ends, and schedules that do not run."""
    model = symsi.models.between(LEFT, RIGHT, symsi.interpolant(ends, gamma))
    first, last = (LEFT, RIGHT) if direction == "forward" else (RIGHT, LEFT)
    start = first.sample(400, seed=0).float()
    x = symsi.sample_bridge(model, start, direction=direction, diffusion=diffusion, steps=40, grid="cosine", **QUIET).x
    assert x.isfinite().all()
    error = last.covariance.diagonal().sqrt() / 400**0.5 if last.covariance.dim() > 1 else last.covariance**0.5 / 20
    assert ((x.double().mean(0) - last.mean).abs() < 6 * error + 0.1).all()


@pytest.mark.parametrize("t", [0.2, 0.5, 0.9])
def test_the_signs_of_latent_score_and_drifts_agree(t: float) -> None:
    """interflow: signs that disagree between its parts. Here by the law of a Gaussian bridge in closed form."""
    bridge = symsi.bridge("linear(gamma=brownian(a=2))", diffusion="gamma")
    model = symsi.models.between(LEFT, RIGHT, bridge.interpolant)
    x = torch.tensor([[0.3, -1.0], [2.0, 0.5]], dtype=DOUBLE)
    time = torch.full((2,), t, dtype=DOUBLE)
    velocity, latent = model(x, time)
    mean, variance = (1 - t) * LEFT.mean + t * RIGHT.mean, (1 - t) ** 2 * 0.5 + t**2 * 2.0 + 2 * t * (1 - t)
    score, epsilon = (mean - x) / variance, (2 * t * (1 - t)) ** 0.5
    rate = -(1 - t) * 0.5 + t * 2.0 + 1 - 2 * t  # half the derivative of the variance
    flow = RIGHT.mean - LEFT.mean + rate * (x - mean) / variance
    torch.testing.assert_close(velocity, flow)
    compiled = symsi.bridge_kernels(bridge)
    for kind, wanted in {"score": score, "forward": flow + epsilon * score, "backward": flow - epsilon * score}.items():
        torch.testing.assert_close(compiled.field(kind, x, velocity, latent, time), wanted)


@pytest.mark.parametrize("size", [2, 50])
def test_a_probed_divergence_takes_one_backward_pass_a_probe(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """interflow: a backward pass for each dimension."""
    passes = []
    grad = torch.autograd.grad

    def counted(*given: Any, **options: Any) -> Any:
        passes.append(1)
        return grad(*given, **options)

    monkeypatch.setattr(torch.autograd, "grad", counted)
    law = mixture([0.5, 0.5], torch.eye(2, size).tolist(), [0.5, 0.8])
    options = {"steps": 4, "solver": "euler", "divergence": "hutchinson", "probes": 3, **QUIET}
    found = symsi.log_likelihood(law.model(), torch.zeros(2, size), **options)
    assert len(passes) <= 3 * found.nfe


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_without_noise_nothing_is_nan_at_the_ends(dtype: torch.dtype) -> None:
    """torchcfm: nan at t = 1 for its default sigma = 0."""
    with pytest.raises(symsi.InterpolantError, match=r"gamma must be .* positive .* Write one such as"):
        symsi.Interpolant("1-t", "t", "0")
    straight = symsi.interpolant("linear", "brownian", a=1e-24)
    x0, x1 = torch.randn(2, 8, 2, dtype=dtype, generator=torch.Generator().manual_seed(0))
    t = torch.tensor([0.0, 1.0] * 4, dtype=dtype)
    weight = torch.zeros((), dtype=dtype, requires_grad=True)

    def network(x: Tensor, t: Tensor) -> Tensor:
        return weight * x

    loss = symsi.objectives.velocity(network, straight, x0, x1, t)
    (slope,) = torch.autograd.grad(loss.sum(), weight)
    wanted = -2 * (torch.where(t[:, None] == 0, x0, x1) * (x1 - x0)).sum()  # d/dw of |w x|^2 - 2 w x.(x1 - x0) at w = 0
    torch.testing.assert_close(slope, wanted)

"""A model as the velocity of another schedule: what foreign solvers integrate."""

import pytest
import torch
from torch import Tensor, nn

import symsi
from symsi.models.analytic import gaussian, mixture
from symsi.sampling.noise import standard_normal

DATA = mixture([0.4, 0.6], [[-1.0, 0.5], [1.0, 1.0]], [0.3, 0.4])


def linear(x: Tensor, t: Tensor) -> Tensor:
    return DATA.model()(x, t.repeat(1))


def z() -> Tensor:
    return torch.randn(6, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("schedule", ["trigonometric", "linear", "vp", "lazy(kappa=0, variance=2)"])
def test_it_is_the_velocity_of_the_same_data_under_the_schedule(schedule: str) -> None:
    field = symsi.VelocityField(linear, schedule)
    for t in (0.1, 0.5, 0.9):
        exact = DATA.model(schedule)(z(), torch.full((6,), t, dtype=torch.float64))
        torch.testing.assert_close(field(z(), torch.tensor(t, dtype=torch.float64)), exact, rtol=0, atol=1e-9)


def test_it_is_called_as_foreign_solvers_call_it_and_gives_what_symsi_samples() -> None:
    """flow_matching passes x= and t= by name, t without a batch axis."""
    field, x, steps = symsi.VelocityField(linear), standard_normal(0, range(6), 0, (2,)), 8
    for k in range(steps):
        x = x + field(x=x, t=torch.tensor(k / steps)) / steps
    expected = symsi.sample(linear, shape=(6, 2), schedule="trigonometric", solver="euler", steps=steps).x
    torch.testing.assert_close(x, expected, rtol=0, atol=1e-5)


def test_each_sample_may_have_its_time() -> None:
    field, t = symsi.VelocityField(linear), torch.linspace(0.1, 0.9, 6, dtype=torch.float64)
    found = field(z(), t)
    for i in range(6):
        torch.testing.assert_close(found[i], field(z()[i : i + 1], t[i])[0])


def test_other_predictions_become_the_velocity() -> None:
    model = DATA.model("vp", prediction="noise")
    t = torch.full((6,), 0.4, dtype=torch.float64)
    found = symsi.VelocityField(model, "trigonometric")(z(), t)
    torch.testing.assert_close(found, DATA.model("trigonometric")(z(), t), rtol=0, atol=1e-9)


def test_a_network_keeps_its_parameters_and_its_conditions() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
            return self.scale * y[:, None] - x * t[:, None]

    field = symsi.VelocityField(Net())
    assert [name for name, _ in field.named_parameters()] == ["network.scale"]
    field(torch.zeros(3, 2), 0.5, y=torch.arange(3.0)).sum().backward()
    assert field.network.scale.grad is not None


def test_a_model_of_another_shape_is_refused() -> None:
    with pytest.raises(symsi.ModelError, match=r"must return a tensor like x, \(6, 2\); got \(6, 4\)"):
        symsi.VelocityField(lambda x, t: torch.cat([x, x], 1))(z(), 0.5)


def test_on_lazy_data_nothing_moves() -> None:
    law = gaussian([0.0, 0.0], 1.0).model()
    assert symsi.VelocityField(lambda x, t: law(x, t.repeat(1)))(z(), 0.3).abs().max() < 1e-12

"""Networks are called with multiples of 16 rows, which nobody sees but in bits that do not depend on the batch."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import symsi
from symsi.models.filled import filled
from symsi.models.mixer import load_mixer
from symsi.models.pretrained_map import load_any

DIGITS = torch.randn(33, 1, 28, 28, generator=torch.Generator().manual_seed(0))


class Seen:
    """What a call is filled up to."""

    @filled
    def forward(self, x: Tensor, t: Tensor, label: Tensor | None = None, scale: Any = 2.0) -> Tensor:
        self.x, self.t, self.label, self.scale = x, t, label, scale
        return 3 * x


@pytest.mark.parametrize(("count", "wide"), [(1, 16), (5, 16), (16, 16), (17, 32), (32, 32), (0, 0)])
def test_a_call_is_filled_up_with_its_last_row_and_cut_back(count: int, wide: int) -> None:
    net, x, t = Seen(), torch.arange(2.0 * count).reshape(count, 2), torch.linspace(0, 1, count)
    assert torch.equal(net.forward(x, t, label=torch.arange(count)), 3 * x)
    assert torch.equal(net.x[:count], x)
    assert torch.equal(net.t[:count], t)
    assert (len(net.x), len(net.t), len(net.label), net.scale) == (wide, wide, wide, 2.0)
    for told in (net.x, net.t, net.label):
        assert all(torch.equal(row, told[count - 1]) for row in told[count:])


def test_what_has_no_row_a_sample_is_passed_on_as_it_is() -> None:
    net = Seen()
    net.forward(torch.ones(3, 2), torch.ones(3), torch.ones(1), torch.ones(()))
    assert (tuple(net.x.shape), tuple(net.t.shape)) == ((16, 2), (16,))
    assert (tuple(net.label.shape), tuple(net.scale.shape)) == ((1,), ())


def test_gradients_go_through_rows_that_are_given_alone() -> None:
    x = torch.ones(3, 2, requires_grad=True)
    Seen().forward(x, torch.ones(3)).sum().backward()
    assert torch.equal(x.grad, torch.full((3, 2), 3.0))  # type: ignore[arg-type]


def test_what_is_exported_keeps_its_rows() -> None:
    class Net(torch.nn.Module):
        forward = filled(lambda net, x: 2 * x.flatten().cumsum(0).reshape(x.shape))

    batch = torch.export.Dim("batch", min=1, max=64)
    graph = torch.export.export(Net(), (torch.ones(3, 2),), dynamic_shapes=({0: batch},)).module()
    for count in (1, 3, 17):
        assert tuple(graph(torch.ones(count, 2)).shape) == (count, 2)


@pytest.mark.parametrize("name", ["digits28", "fashion28-noise", "digits28-map"])
def test_a_sample_of_a_network_is_the_same_bits_in_a_call_of_any_number_of_rows(name: str) -> None:
    model = load_any(name)
    function: Callable[..., Tensor] = model.function
    t, label = torch.linspace(0, 1, 33), torch.arange(33) % 11 - 1
    times = (t, t.sqrt()) if isinstance(model, symsi.FlowMap) else (t,)

    def called(size: int) -> Tensor:
        parts = zip(*(v.split(size) for v in (DIGITS, *times, label)), strict=True)
        return torch.cat([function(*part) for part in parts])

    whole = called(33)
    for size in (1, 7, 16):
        assert torch.equal(called(size), whole)


def test_a_reward_of_a_network_is_the_same_bits_in_a_call_of_any_number_of_rows() -> None:
    mixer, _ = load_mixer()
    whole = mixer(DIGITS)
    for size in (1, 2, 7):
        assert torch.equal(torch.cat([mixer(part) for part in DIGITS.split(size)]), whole)

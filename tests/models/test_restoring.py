"""Degraded pictures, and the network that restores them."""

import torch
from torch import nn

from symsi.models.restoring import BLOCK, SIGMA, Restorer, averages, degrade
from symsi.models.unet import Config, UNet


def test_a_degraded_picture_has_the_means_of_its_blocks_and_noise() -> None:
    x, noise = torch.randn(2, 3, 1, 8, 8, generator=torch.Generator().manual_seed(0)).unbind()
    means = averages(x)
    assert torch.allclose(means[:, :, :BLOCK, :BLOCK], x[:, :, :BLOCK, :BLOCK].mean((2, 3), keepdim=True))
    assert torch.allclose(averages(means), means, atol=1e-6)
    assert torch.equal(degrade(x, noise), means + SIGMA * noise)


def test_a_restorer_sees_no_more_of_its_start_than_the_means_of_blocks() -> None:
    torch.manual_seed(0)
    net = UNet(Config(width=8, channels=2, classes=0, heads=2))
    for weight in net.parameters():
        nn.init.normal_(weight, std=0.1)
    x, start, t = torch.randn(2, 1, 8, 8), torch.randn(2, 1, 8, 8), torch.rand(2)
    velocity, latent = Restorer(net)(x, t, start)
    assert velocity.shape == latent.shape == x.shape
    assert not torch.equal(velocity, latent)
    torch.testing.assert_close(Restorer(net, 1)(x, t, averages(start)), velocity)
    assert not torch.allclose(Restorer(net, 1)(x, t, 1 + start), velocity)

"""Exact models that samplers are held against."""

import gc
import os
from collections.abc import Iterator

os.environ.setdefault("SYMPY_CACHE_SIZE", "20000")  # as the command line does
os.environ["SYMSI_CACHE"] = "off"  # what tests judge is computed here and now

import pytest
import torch

from symsi.models.analytic import Mixture, gaussian, mixture


@pytest.fixture(autouse=True)
def _thawed() -> Iterator[None]:
    """The command line freezes what is there when it starts, which a process of many commands is not to keep."""
    yield
    gc.unfreeze()


@pytest.fixture(scope="session")
def three_modes() -> Mixture:
    """A mixture of three full Gaussians in three dimensions."""
    generator = torch.Generator().manual_seed(0)
    factor = torch.randn(3, 3, 3, dtype=torch.float64, generator=generator) * 0.3
    covariances = factor @ factor.mT + 0.1 * torch.eye(3, dtype=torch.float64)
    means = torch.tensor([[1.0, 0.5, -0.5], [-1.0, 0.0, 0.5], [0.3, -1.0, 0.0]], dtype=torch.float64)
    return mixture([0.5, 0.3, 0.2], means, (covariances + covariances.mT) / 2)


@pytest.fixture(scope="session")
def one_gaussian() -> Mixture:
    """A Gaussian with variances over two orders of magnitude, in a rotated basis, away from 0."""
    generator = torch.Generator().manual_seed(1)
    basis = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64, generator=generator)).Q
    covariance = basis @ torch.diag(torch.tensor([4.0, 2.0, 1.0, 0.5, 0.1, 0.04], dtype=torch.float64)) @ basis.mT
    return gaussian(torch.linspace(-1, 1, 6, dtype=torch.float64), (covariance + covariance.mT) / 2)

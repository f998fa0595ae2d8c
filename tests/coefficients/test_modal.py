"""What T8 says of a Gaussian by mode and point, against the same written out at 30 digits."""

import mpmath
import pytest
import torch

from symsi.coefficients.modal import flow_tables


def test_sizes_and_data_predictions_of_modes_are_the_proved_ones() -> None:
    alpha, beta = (1.0, 0.7, 0.25, 0.0), (0.0, 0.4, 0.75, 1.0)
    variances = torch.tensor([[0.01, 0.5], [1.0, 30.0]])
    found = flow_tables(alpha, beta, variances)
    with mpmath.workdps(30):
        for k, (a, b) in enumerate(zip(alpha, beta, strict=True)):
            for mode, variance in enumerate(variances.double().flatten().tolist()):
                spread = mpmath.mpf(a) ** 2 + mpmath.mpf(b) ** 2 * variance
                assert float(found["size"][k].flatten()[mode]) == pytest.approx(float(mpmath.sqrt(spread)), rel=1e-15)
                data = float(b * mpmath.mpf(variance) / spread)
                assert float(found["data"][k].flatten()[mode]) == pytest.approx(data, rel=1e-15)
    assert found["size"].shape == (4, 2, 2)
    assert found["size"].dtype == torch.float64

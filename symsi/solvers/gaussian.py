"""The best table of a number of steps for a Gaussian, in closed form (T24): a solver that needs no model.

On N(m, U diag(mu) U') a prediction is P = gain x + lift m in each mode, with eta_X = m + data (x - beta m) and P =
state x + prediction eta_X. A mode is two samples of the ODE, its noise and its mean; the sums of their products are the
moments of all samples, exactly. Each row aims at the exact state where its step ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from symsi.coefficients.modal import flow_tables
from symsi.models.spectrum import Spectrum
from symsi.solvers.regression import Gram, combine, solve
from symsi.solvers.triangle import Triangle

__all__ = ["gaussian_table"]


def gaussian_table(
    prior: Triangle,
    spectrum: Spectrum,
    alpha: Sequence[float],
    beta: Sequence[float],
    prediction: tuple[Sequence[float], Sequence[float]],
    ridge: float,
) -> Triangle:
    """Return the table with the times of `prior` whose rows are fitted one after the other, the solver itself running.

    `alpha`, `beta` are the model's schedule at the K + 1 points; `prediction` is what the model predicts at the first K
    as factors of x and of eta_X. The ridge is relative to the size of each column, as if each were known so badly: the
    network is not the Gaussian's. Rows that are not unique, as the first is from pure noise (T24 j), are those closest
    to the prior.
    """
    tables = flow_tables(alpha, beta, spectrum.variances)
    root = spectrum.shares.sqrt()
    sizes, data = tables["size"], tables["data"]
    exact = [torch.cat([root * size, b * spectrum.means]) for size, b in zip(sizes, beta, strict=True)]
    state, columns = exact[0], [exact[0]]
    rows = []
    for k, (of_state, of_data) in enumerate(zip(*prediction, strict=True)):
        gain = of_state + of_data * data[k]
        lift = of_data * (1 - beta[k] * data[k]) * spectrum.means
        columns.append(gain.repeat(2) * state + torch.cat([torch.zeros_like(lift), lift]))
        row = solve(Gram.of([(columns, exact[k + 1])]), prior.rows[k][:-1], ridge)
        state = combine(row, columns)
        rows.append(torch.cat([row, torch.zeros(1, dtype=row.dtype)]))
    return replace(prior, rows=tuple(rows))

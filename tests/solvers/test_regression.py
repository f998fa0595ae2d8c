"""Rows by least squares: against a solution of the wide problem, and against the formulas that T24 proves."""

import pytest
import torch
from sympy import Matrix

from symsi.solvers.regression import Gram, combine, solve
from symsi.theory.regression import least_error, ridge_row, squared_error

DOUBLE = torch.float64


def test_rows_are_the_solution_of_least_squares() -> None:
    generator = torch.Generator().manual_seed(0)
    columns = [torch.randn(40, 3, generator=generator).double() for _ in range(4)]
    target = torch.randn(40, 3, generator=generator).double()
    gram = Gram.of(([c[rows] for c in columns], target[rows]) for rows in (slice(0, 17), slice(17, 40)))
    wide = torch.stack([c.flatten() for c in columns], 1)
    expected = torch.linalg.lstsq(wide, target.flatten()[:, None]).solution[:, 0]
    prior = torch.tensor([1.0, 0.5, -0.5, 0.0]).double()
    torch.testing.assert_close(solve(gram, prior, 0.0), expected, rtol=1e-12, atol=1e-12)
    residual = target - combine(expected, columns)
    assert gram.error(expected) == pytest.approx(float(residual.square().mean().sqrt()), rel=1e-12)
    torch.testing.assert_close(solve(gram, prior, 1e12), prior, rtol=0, atol=1e-10)
    diagonal, ridge = gram.columns.diagonal(), 0.3
    explicit = torch.linalg.solve(
        gram.columns + ridge * diagonal.diag(), gram.target + ridge * diagonal * prior
    )  # the gradient of the penalised square is zero
    torch.testing.assert_close(solve(gram, prior, ridge), explicit, rtol=1e-12, atol=1e-12)


def test_sums_by_channel_are_those_of_each_alone() -> None:
    generator = torch.Generator().manual_seed(2)
    *columns, target = (torch.randn(20, 3, 2, 2, generator=generator).double() for _ in range(4))
    columns[1][:, 1] = 0.0
    prior = torch.tensor([1.0, 0.5, -0.5]).double()
    parts = (slice(0, 7), slice(7, 20))
    whole = Gram.of((([c[rows] for c in columns], target[rows]) for rows in parts), 3)
    rows = solve(whole, prior, 1e-3)
    assert rows.shape == (3, 3)
    for k in range(3):
        own = Gram.of([([c[:, k] for c in columns], target[:, k])])
        for sums, alone in zip(
            (whole.columns, whole.target, whole.square), (own.columns, own.target, own.square), strict=True
        ):
            torch.testing.assert_close(sums[k], alone, rtol=1e-12, atol=1e-12)
        assert whole.numbers == own.numbers
        torch.testing.assert_close(rows[k], solve(own, prior, 1e-3), rtol=1e-10, atol=1e-12)


def test_a_column_of_zeros_keeps_the_number_of_the_prior() -> None:
    columns = [torch.ones(3, 2), torch.zeros(3, 2)]
    gram = Gram.of([(columns, 2 * torch.ones(3, 2))])
    torch.testing.assert_close(solve(gram, torch.tensor([0.0, 0.7]).double(), 0.0), torch.tensor([2.0, 0.7]).double())


def test_rows_and_errors_are_those_that_are_proved() -> None:
    generator = torch.Generator().manual_seed(1)
    columns = [torch.randn(30, generator=generator, dtype=DOUBLE) * size for size in (1.0, 3.0)]
    aim = torch.randn(30, generator=generator, dtype=DOUBLE) + columns[0]
    gram = Gram.of([(columns, aim)])
    g, b, s = Matrix(gram.columns.tolist()), Matrix(gram.target.tolist()), float(gram.square)
    prior = torch.tensor([0.2, -0.4], dtype=DOUBLE)
    for ridge in (0.0, 0.5):
        row = solve(gram, prior, ridge)
        proved = ridge_row(g, b, Matrix(prior.tolist()), gram.columns.diagonal().tolist(), ridge)
        assert row.tolist() == pytest.approx([float(v) for v in proved], rel=1e-12)
        square = float(squared_error(Matrix(row.tolist()), g, b, s))
        assert gram.error(row) == pytest.approx((square / 30) ** 0.5, rel=1e-12)
    best = solve(gram, prior, 0.0)
    assert gram.error(best) ** 2 * 30 == pytest.approx(float(least_error(g, b, s)), rel=1e-12)


def test_an_error_that_rounds_below_zero_is_zero() -> None:
    ones = torch.ones(2, dtype=DOUBLE)
    gram = Gram(torch.ones(1, 1, dtype=DOUBLE) * 2, 2 * ones[:1], torch.tensor(2 - 1e-9, dtype=DOUBLE), 2)
    assert gram.error(ones[:1]) == 0


def test_a_ridge_knows_no_unit_of_a_column() -> None:
    generator = torch.Generator().manual_seed(2)
    columns = [torch.randn(9, generator=generator, dtype=DOUBLE) for _ in range(2)]
    aim = torch.randn(9, generator=generator, dtype=DOUBLE)
    prior, units = torch.tensor([0.3, 0.8], dtype=DOUBLE), torch.tensor([1e-3, 20.0], dtype=DOUBLE)
    row = solve(Gram.of([(columns, aim)]), prior, 0.2)
    small = solve(Gram.of([([c * u for c, u in zip(columns, units, strict=True)], aim)]), prior / units, 0.2)
    torch.testing.assert_close(small * units, row, rtol=1e-11, atol=0)

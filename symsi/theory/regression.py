"""T24: the row of a table that ends closest to where the ODE ends, by the normal equations.

A row r of numbers stands for the state sum_i r_i c_i of columns c: where a solver starts, and the predictions that it
has made. With the second moments G = E[c c'], b = E[c y] and s = E[y^2] of the columns and a target y, how far it ends
from the target is a quadratic function of the row. On a Gaussian all of these are sums over its modes.
"""

from __future__ import annotations

from collections.abc import Sequence

from sympy import Add, Expr, Matrix, diag

__all__ = ["best_row", "least_error", "moments_of_modes", "ridge_row", "squared_error"]


def squared_error(row: Matrix, gram: Matrix, target: Matrix, square: Expr) -> Expr:
    """E|y - sum_i r_i c_i|^2 = s - 2 r'b + r'G r."""
    return square - 2 * row.dot(target) + row.dot(gram * row)


def best_row(gram: Matrix, target: Matrix) -> Matrix:
    """r* = G^-1 b, by Cramer's rule."""
    return gram.adjugate() * target / gram.det()


def least_error(gram: Matrix, target: Matrix, square: Expr) -> Expr:
    """s - b'G^-1 b, the squared error of the best row."""
    return square - target.dot(best_row(gram, target))


def ridge_row(gram: Matrix, target: Matrix, prior: Matrix, weights: Sequence[Expr], ridge: Expr) -> Matrix:
    """The row of least squared error + ridge sum_i R_i (r_i - prior_i)^2: (G + ridge R)(r - prior) = b - G prior."""
    return prior + best_row(gram + ridge * diag(*weights), target - gram * prior)


def moments_of_modes(columns: Sequence[Sequence[Expr]], target: Sequence[Expr]) -> tuple[Matrix, Matrix, Expr]:
    """(G, b, s) of a Gaussian of independent sources of unit variance, each column a factor of every source.

    E[c_a c_b] is the sum over sources of the products of their factors.
    """
    held, aim = Matrix(columns), Matrix(target)
    return held * held.T, held * aim, Add(*(factor**2 for factor in target))

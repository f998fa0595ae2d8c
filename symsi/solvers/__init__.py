"""Solvers as tables: from a grid and the coefficients on it to a plan."""

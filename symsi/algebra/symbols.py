"""The letters of the theory. Plain symbols, without assumptions: SymPy's limits are wrong under `positive=True`."""

from __future__ import annotations

from sympy import Symbol

__all__ = ["PREDICTION_SYMBOLS", "lamda", "m", "t", "tau", "x"]

t = Symbol("t")  # time, 0 = noise, 1 = data
tau = Symbol("tau")  # time of the base schedule in a conversion
x = Symbol("x")  # the state
m = Symbol("m")  # mean of Gaussian data
lamda = Symbol("lamda")  # variance of Gaussian data

PREDICTION_SYMBOLS: dict[str, Symbol] = {
    "velocity": Symbol("v"),
    "score": Symbol("s"),
    "noise": Symbol("eta_Z"),
    "data": Symbol("eta_X"),
}

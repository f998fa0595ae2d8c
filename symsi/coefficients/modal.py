"""T8, T12 and T16 as numbers: what Gaussian and modal sampling need, from the proved expressions, by mode and point."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import lru_cache

import torch
from mpmath.libmp import NoConvergence
from sympy import Rational, Symbol
from torch import Tensor

from symsi.algebra.multiprecision import evaluate
from symsi.coefficients.compiled import evaluate_on
from symsi.errors import DiffusionError
from symsi.interpolants.rows import Pair, Triple
from symsi.theory.gaussian import flow_map, gaussian_field, hidden, revealed
from symsi.theory.modal import coordinate_scale, coordinate_variance, natural_residual, natural_variable
from symsi.theory.two_gaussians import GaussianEnds, bridge_coordinate, fields_at_ends

__all__ = ["BRIDGE_COEFFICIENTS", "bridge_tables", "flow_tables", "modal_tables"]

_LARGEST = 10**6  # kappa: powers of a larger one overflow
_ALPHA, _BETA, _LAMBDA, _W = (Symbol(name) for name in ("alpha", "beta", "lamda", "w"))
_ZERO, _ONE = Rational(0), Rational(1)
_TRIPLE = {f.name: Symbol(f.name) for f in fields(Triple)}
BRIDGE_COEFFICIENTS = tuple(name for name in _TRIPLE if name != "gamma_dot")  # which may be infinite at the ends
_ENDS = {name: Symbol(name) for name in ("mean_0", "variance_0", "mean_1", "variance_1")}


def modal_tables(
    kappa: Rational, alpha: Sequence[float], beta: Sequence[float], variances: Tensor
) -> Mapping[str, Tensor]:
    """Return the coefficients of T12 at the points (alpha_k, beta_k), each of shape (K, *variances.shape), in float64.

    "gaussian": of eta_X^G = (beta lambda/S) x; "coordinate": C; "natural": s; "residual": the factor of Delta, infinite
    where alpha = 0; "variance": of y. Raises DiffusionError for a kappa so large that s has no numbers.
    """
    if kappa > _LARGEST:
        raise _too_large(kappa)
    pair = Pair(_ALPHA, _BETA, _ZERO, _ZERO)
    w = revealed(pair, _LAMBDA)
    formulas = {
        "gaussian": gaussian_field(pair, "data", _ONE, _ZERO, _LAMBDA),
        "coordinate": coordinate_scale(pair, _LAMBDA, kappa),
        "residual": natural_residual(hidden(pair, _LAMBDA), kappa),
        "variance": coordinate_variance(w, _LAMBDA, kappa),
        "revealed": w,
    }
    found = evaluate_on(formulas, _point(alpha, beta, variances))
    found["natural"] = _natural(found.pop("revealed"), kappa)
    return found


def flow_tables(alpha: Sequence[float], beta: Sequence[float], variances: Tensor) -> Mapping[str, Tensor]:
    """Return what T8 says of a centred Gaussian at the points (alpha_k, beta_k), (K, *variances.shape) in float64.

    "size": of the state to which the ODE takes a unit of noise, sqrt(S); "data": of eta_X = (beta lambda/S) x.
    """
    pair, noise = Pair(_ALPHA, _BETA, _ZERO, _ZERO), Pair(_ONE, _ZERO, _ZERO, _ZERO)
    formulas = {
        "size": flow_map(noise, pair, _ONE, _ZERO, _LAMBDA),
        "data": gaussian_field(pair, "data", _ONE, _ZERO, _LAMBDA),
    }
    return evaluate_on(formulas, _point(alpha, beta, variances))


def bridge_tables(
    triple: Mapping[str, Tensor], variances: tuple[Tensor, Tensor], means: tuple[Tensor, Tensor]
) -> Mapping[str, Tensor]:
    """Return what T16 says of independent Gaussian ends at K times, (K, *modes) in float64.

    `triple` has the `BRIDGE_COEFFICIENTS` of an interpolant, (K,) each; `variances` and `means` are those of x0 and x1
    by mode. "scale": of y = scale (x - mu), 1/sqrt(S); "slope": of the velocity in x; "y", "velocity": both at x = 0.
    """
    p = Triple(**_TRIPLE)
    centred, ends = GaussianEnds(_ZERO, _ENDS["variance_0"], _ZERO, _ENDS["variance_1"]), GaussianEnds(**_ENDS)
    modes = max(v.ndim for v in (*variances, *means))
    point = {_TRIPLE[name]: triple[name].reshape(-1, *(1,) * modes) for name in BRIDGE_COEFFICIENTS}
    point |= {_ENDS[f"variance_{k}"]: v for k, v in enumerate(variances)}
    own = {"scale": bridge_coordinate(p, centred, _ONE), "slope": fields_at_ends(p, centred, _ONE)["velocity"]}
    at_zero = {"y": bridge_coordinate(p, ends, _ZERO), "velocity": fields_at_ends(p, ends, _ZERO)["velocity"]}
    located = point | {_ENDS[f"mean_{k}"]: m for k, m in enumerate(means)}
    return {**evaluate_on(own, point), **evaluate_on(at_zero, located)}


def _point(alpha: Sequence[float], beta: Sequence[float], variances: Tensor) -> dict[Symbol, Tensor]:
    axes = (-1,) + (1,) * variances.ndim
    return {
        _ALPHA: torch.tensor(alpha, dtype=torch.float64).reshape(axes),
        _BETA: torch.tensor(beta, dtype=torch.float64).reshape(axes),
        _LAMBDA: variances.to(torch.float64, copy=True).cpu(),
    }


def _natural(w: Tensor, kappa: Rational) -> Tensor:
    """s(w); by the incomplete beta function, value by value, where it is no elementary one."""
    formula = natural_variable(_W, kappa)
    if kappa in (0, 1):
        return evaluate_on({"natural": formula}, {_W: w})["natural"]
    values, where = torch.unique(w, return_inverse=True)
    return torch.tensor([_natural_at(v, kappa) for v in values.tolist()], dtype=torch.float64)[where]


@lru_cache(maxsize=1 << 16)
def _natural_at(w: float, kappa: Rational) -> float:
    try:
        found = float(evaluate(natural_variable(_W, kappa), {_W: w}, 20))
    except (NoConvergence, OverflowError):
        found = math.nan
    if math.isnan(found):
        raise _too_large(kappa)
    return found


def _too_large(kappa: Rational) -> DiffusionError:
    return DiffusionError(
        f"the exact steps of kappa = {float(kappa):g} cannot be computed: its incomplete beta function does not "
        "converge. Use a smaller kappa: 1 is the optimal one, and one above 10 costs many evaluations."
    )

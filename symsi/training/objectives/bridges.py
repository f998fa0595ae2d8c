"""T14: quadratic regressions for the fields of I_t = alpha x0 + beta x1 + gamma z (Albergo et al., arXiv:2303.08797).

The target of a field with the row (a, b, c) over the parts is G = a x0 + b x1 + c z, and its loss for a prediction f is
|f - G|^2 - |G|^2, summed over a sample: what is left out knows nothing of f, and is infinite where c is.

    plain       |f|^2 - 2 f.(a x0 + b x1 + c z)                                          f at I = m + gamma z
    antithetic  (|f+|^2 + |f-|^2)/2 - (f+ + f-).(a x0 + b x1) - gamma c z.(f+ - f-)/h     f+- at m +- h z

m = alpha x0 + beta x1, and h = gamma but for a field whose c is infinite at an end: there h = max(gamma, delta), with
delta = eps^(1/3) of the dtype, so that (f+ - f-)/2h is the slope of f in the limit, to delta^2. gamma c is gamma gamma'
for the velocity, gamma gamma' - epsilon for the drift, -1 for the score: finite. The expectation of a loss is
E|f - g|^2 - E|g|^2 with g = E[G | I_t]: the field g is its minimiser.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch
from sympy import Expr
from torch import Tensor

from symsi.algebra.simplify import simplify
from symsi.coefficients.kernels import Coefficients, load, run
from symsi.coefficients.program import program
from symsi.coefficients.runtime import as_time, beside, working
from symsi.errors import EndpointError, ModelError, SymsiError, unknown
from symsi.interpolants.named_two_sided import as_interpolant
from symsi.interpolants.two_sided import Interpolant
from symsi.theory.bridge import bridge
from symsi.theory.functions import Functions
from symsi.theory.three_parts import FIELDS, PREDICTIONS, drift_row, row

__all__ = ["bridge_losses", "drift", "latent", "score", "velocity"]

_PARTS = ("x0", "x1", "latent")
Network = Callable[..., Any]


def velocity(
    model: Network,
    interpolant: Interpolant | str,
    x0: Tensor,
    x1: Tensor,
    t: Tensor | float,
    z: Tensor | None = None,
    antithetic: bool = True,
    **conditions: Any,
) -> Tensor:
    """Return |f - dI/dt|^2 - |dI/dt|^2 per sample, (B,): the minimiser is the velocity v. As `bridge_losses`.

    Antithetic, it is finite at t = 0 and 1 for every gamma with a finite gamma gamma' there; plain, where gamma' is.
    """
    return bridge_losses(_single(model), interpolant, ("velocity",), x0, x1, t, z, antithetic, **conditions)["velocity"]


def latent(
    model: Network,
    interpolant: Interpolant | str,
    x0: Tensor,
    x1: Tensor,
    t: Tensor | float,
    z: Tensor | None = None,
    antithetic: bool = True,
    **conditions: Any,
) -> Tensor:
    """Return |f - z|^2 - |z|^2 per sample, (B,): the minimiser is eta_z = E[z | I_t]. As `bridge_losses`."""
    return bridge_losses(_single(model), interpolant, ("latent",), x0, x1, t, z, antithetic, **conditions)["latent"]


def score(
    model: Network,
    interpolant: Interpolant | str,
    x0: Tensor,
    x1: Tensor,
    t: Tensor | float,
    z: Tensor | None = None,
    antithetic: bool = True,
    **conditions: Any,
) -> Tensor:
    """Return |f + z/gamma|^2 - |z/gamma|^2 per sample, (B,): the minimiser is the score s. As `bridge_losses`.

    Antithetic, it tends to |f|^2 + 2 z.(z.grad) f at the ends, the implicit loss of the score there; plain, it has no
    value there, and `latent` has.
    """
    return bridge_losses(_single(model), interpolant, ("score",), x0, x1, t, z, antithetic, **conditions)["score"]


def drift(
    model: Network,
    interpolant: Interpolant | str,
    x0: Tensor,
    x1: Tensor,
    t: Tensor | float,
    z: Tensor | None = None,
    antithetic: bool = True,
    *,
    diffusion: str | float | Expr = "gamma",
    direction: str = "forward",
    **conditions: Any,
) -> Tensor:
    """Return |f - G|^2 - |G|^2 with G = dI/dt -+ (epsilon/gamma) z per sample, (B,), as `bridge_losses`.

    The minimiser is b_F = v + epsilon s for the direction "forward" and b_B = v - epsilon s for "backward"; `diffusion`
    is epsilon, as for `symsi.bridge`.
    """
    if direction not in ("forward", "backward"):
        raise unknown("direction", direction, ("forward", "backward"))
    given = (x0, x1, t, z, antithetic, diffusion)
    return bridge_losses(_single(model), interpolant, (direction,), *given, **conditions)[direction]


def bridge_losses(
    model: Network,
    interpolant: Interpolant | str,
    kinds: Sequence[str],
    x0: Tensor,
    x1: Tensor,
    t: Tensor | float,
    z: Tensor | None = None,
    antithetic: bool = True,
    diffusion: str | float | Expr = "ode",
    **conditions: Any,
) -> dict[str, Tensor]:
    """Return the loss of each field in `kinds`, (B,) each, of one network model(x, t, **conditions) of as many heads.

    The model gets x like x0 and t of shape (B,), and returns a tensor like x for each kind, in a tuple; it is called
    twice for antithetic pairs. x0, x1 and z are (B, *shape), z drawn from N(0, I) where None; t is a number or (B,).
    `kinds` are fields of `symsi.bridge`: velocity, score, latent, ends, x0, x1, forward, backward.

    Raises SymsiError for samples of different shapes or counts; EndpointError for a time where the loss has no value,
    naming an objective that has one; ModelError for a prediction of another shape; UnknownNameError for a kind.
    """
    found, names = as_interpolant(interpolant), tuple(kinds)
    if x0.shape != x1.shape or (z is not None and z.shape != x0.shape):
        shapes = ", ".join(str(tuple(part.shape)) for part in (x0, x1, *([] if z is None else [z])))
        raise SymsiError(f"x0, x1 and z must have one shape, row i of x0 with row i of x1; got {shapes}. Couple them.")
    z = torch.randn_like(x0) if z is None else z
    time, kind = as_time(t, 0.0, x0.device), working(x0)
    rows, function = _rows(found, names, diffusion, str(found))
    values = {name: beside(value, x0) for name, value in function(time).items()}
    endless = [name for name in names if any(rows.limit(f"{name}_latent", end).value is None for end in (0, 1))]
    least = torch.finfo(x0.dtype).eps ** (1 / 3) if endless and antithetic else 0.0
    gamma, h = values["gamma"], values["gamma"].clamp(min=least)
    shares = {
        name: torch.where(gamma >= least, values[f"{name}_latent"], values[f"{name}_slope"] / h) for name in names
    }
    for name in names:
        _check_finite(name, found, antithetic, time, shares[name], values)

    def mix(a: str, b: str) -> Tensor:
        return values[a].to(kind) * x0.to(kind) + values[b].to(kind) * x1.to(kind)

    middle, noise, at = mix("alpha", "beta"), z.to(kind), time.to(x0.dtype).expand(len(x0))
    signs = (1, -1) if antithetic else (1,)
    outputs = [
        _predictions(model, (middle + sign * h.to(kind) * noise).to(x0.dtype), at, names, conditions) for sign in signs
    ]
    losses = {}
    for k, name in enumerate(names):
        target, moved = mix(f"{name}_x0", f"{name}_x1"), shares[name].to(kind) * noise
        terms = [
            f.square() - 2 * f * (target + sign * moved)
            for sign, f in zip(signs, (output[k].to(kind) for output in outputs), strict=True)
        ]
        losses[name] = (sum(terms[1:], terms[0]) / len(terms)).flatten(1).sum(1)
    return losses


@lru_cache(maxsize=64)
def _rows(
    interpolant: Interpolant, kinds: tuple[str, ...], diffusion: str | float | Expr, name: str
) -> tuple[Functions, Coefficients]:
    """Return the rows of the targets over the parts, and gamma c, each with its limits and compiled."""
    p, epsilon = interpolant.triple, bridge(interpolant, diffusion).epsilon
    named = {key: interpolant.coefficients[key] for key in ("alpha", "beta", "gamma")}
    for kind in kinds:
        if kind not in FIELDS:
            raise unknown("field", kind, FIELDS)
        found = row(p, kind) if kind in PREDICTIONS else drift_row(p, epsilon if kind == "forward" else -epsilon)
        named |= {f"{kind}_{part}": simplify(found[part]) for part in _PARTS}
        named[f"{kind}_slope"] = simplify(p.gamma * found["latent"])
    functions = Functions(tuple(named.items()), name)
    return functions, load(program(functions, run))


def _check_finite(
    name: str, interpolant: Interpolant, antithetic: bool, time: Tensor, share: Tensor, values: Mapping[str, Tensor]
) -> None:
    """Raise EndpointError at the first time where a coefficient of a loss is not finite."""
    ends = share + values[f"{name}_x0"] + values[f"{name}_x1"]
    lost = ~ends.isfinite().flatten()
    if not bool(lost.any()):
        return
    where = time.flatten()[lost][0].item()
    if not 0 <= where <= 1:
        raise EndpointError(f"t must lie in [0, 1]; got {where}.")
    if antithetic:
        hint = "Draw times inside (0, 1)."
    elif name == "score":
        hint = "Take the objective latent = -gamma score, or antithetic=True."
    else:
        hint = "Take antithetic=True, or gamma='quadratic' with epsilon = O(gamma), or times inside (0, 1)."
    kind = "antithetic" if antithetic else "plain"
    raise EndpointError(f"the {kind} {name} loss has no value at t = {where:.6g} under {interpolant}. {hint}")


def _predictions(
    model: Network, x: Tensor, t: Tensor, kinds: Sequence[str], conditions: Mapping[str, Any]
) -> Sequence[Tensor]:
    """Call the model and check that it returns a tensor like x for each kind."""
    found = model(x, t, **conditions)
    if not isinstance(found, (tuple, list)) or len(found) != len(kinds):
        got = f"{len(found)} of them" if isinstance(found, (tuple, list)) else type(found).__name__
        raise ModelError(f"the model must return a tuple of {len(kinds)} tensors, {', '.join(kinds)}; got {got}.")
    for kind, f in zip(kinds, found, strict=True):
        if not isinstance(f, Tensor) or f.shape != x.shape:
            shape = str(tuple(f.shape)) if isinstance(f, Tensor) else type(f).__name__
            raise ModelError(f"the model's {kind} must be a tensor like x, {tuple(x.shape)}; got {shape}.")
    return found


def _single(model: Network) -> Network:
    """A network of one head as one of several."""
    return lambda x, t, **conditions: (model(x, t, **conditions),)

"""Solvers by name: what each is for, its order, and the function that turns a grid into rows; and which is the default.

A new solver is a file with such a function, and a line here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from symsi.errors import SymsiError, unknown
from symsi.solvers.dpm import dpm, log_ratio
from symsi.solvers.heun import heun
from symsi.solvers.multistep import multistep
from symsi.solvers.nodes import ModalNodes, Nodes
from symsi.solvers.stage import Coefficient, Span, Stage
from symsi.theory.diffusion import Diffusion

__all__ = ["LAST", "SOLVERS", "Solver", "check_last", "choose"]

LAST = ("step", "land")


@dataclass(frozen=True)
class Solver:
    """A line of the table: what it is for, its order, the function that makes its rows, and the clock it counts by."""

    stochastic: bool
    order: int
    rows: Callable[[Nodes, int], tuple[list[Stage], list[Span]]] = multistep
    clock: Callable[[Nodes], tuple[Coefficient, ...]] = lambda nodes: nodes.grid
    both_ends: bool = False  # whether the field is evaluated at the last point as well
    modal: bool = False  # whether it steps in the coordinates of a reference
    drift: bool = True  # whether it needs the drift's coefficients, or those of eta_X alone
    ridge: float | None = None  # of rows that are fitted to a Gaussian, towards those of `rows`


SOLVERS: Mapping[str, Solver] = {
    "euler": Solver(False, 1),
    "heun": Solver(False, 2, heun, both_ends=True),
    "ab2": Solver(False, 2),
    "ab3": Solver(False, 3),
    "dpm++2m": Solver(False, 2, dpm, clock=log_ratio, drift=False),
    "gaussian": Solver(False, 2, ridge=0.01),
    "euler-maruyama": Solver(True, 1),
    "ab2-maruyama": Solver(True, 2),
    "exact": Solver(True, 1, modal=True),
    "exact-ab2": Solver(True, 2, modal=True),
}


def choose(name: str | None, diffusion: Diffusion) -> tuple[str, Solver]:
    """Return the solver of that name; by default "ab2", or with noise "exact", "euler-maruyama" for an expression.

    "exact" steps exactly on a Gaussian and needs no drift at the ends, so that it serves every schedule. Raises
    UnknownNameError, and SymsiError where the solver does not fit the diffusion. "gaussian(ridge=R)" has a ridge of its
    own.
    """
    stochastic = not diffusion.deterministic
    if name is None:
        exact = diffusion.kappa is not None and diffusion.kappa.is_Rational
        name = "ab2" if not stochastic else "exact" if exact else "euler-maruyama"
    solver = _named(name)
    fitting = ", ".join(n for n, s in SOLVERS.items() if s.stochastic == stochastic)
    if stochastic and not solver.stochastic:
        raise SymsiError(
            f"solver {name!r} is deterministic but the diffusion is not 0; use {fitting}, or diffusion='ode'."
        )
    if solver.stochastic and not stochastic:
        raise SymsiError(
            f"solver {name!r} is stochastic but the diffusion is 0 (the ODE); use {fitting}, or diffusion='optimal'."
        )
    return name, solver


def _named(name: object) -> Solver:
    found = re.fullmatch(r"gaussian\(\s*ridge\s*=\s*([^()]*?)\s*\)", str(name))
    if not found:
        if not isinstance(name, str) or name not in SOLVERS:
            raise unknown("solver", str(name), SOLVERS)
        return SOLVERS[name]
    try:
        ridge = float(found[1])
    except ValueError:
        ridge = math.nan
    if not 0 <= ridge < math.inf:
        raise SymsiError(f"the ridge of solver 'gaussian' is a number of at least 0, such as 0.01; got {found[1]!r}.")
    return replace(SOLVERS["gaussian"], ridge=ridge)


def check_last(last: str, nodes: Nodes | ModalNodes) -> bool:
    """Return whether to land. Raises SymsiError where there is no such choice or the grid ends in noise."""
    if last not in LAST:
        raise unknown("last step", str(last), LAST)
    if last == "land" and nodes.alpha[-1] != 0:
        raise SymsiError("last='land' needs a grid that ends at t = 1, where no noise is left; use last='step'.")
    return last == "land"

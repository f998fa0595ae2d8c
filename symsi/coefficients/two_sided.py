"""The coefficients and fields of a two-sided interpolant as torch functions of t, exact at t = 0 and t = 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from torch import Tensor

from symsi.coefficients.kernels import Coefficients, load, run
from symsi.coefficients.program import Program, program
from symsi.coefficients.runtime import as_time, beside, working
from symsi.errors import SymsiError, unknown
from symsi.interpolants.named_two_sided import as_interpolant
from symsi.interpolants.two_sided import Interpolant
from symsi.theory.bridge import Bridge
from symsi.theory.functions import as_formulas

__all__ = ["BridgeKernels", "InterpolantKernels", "bridge_kernels", "interpolant_kernels"]


@dataclass(frozen=True)
class InterpolantKernels:
    """alpha, beta, gamma, their derivatives and gamma gamma' at any t, computed in float64 with their limits.

    t is a number in [0, 1], a 0-d tensor, or one time per sample; nan outside. gamma_dot is infinite at an end where
    gamma' has no finite limit; gamma_rate = gamma gamma' has one there. Pure and differentiable by t, and by samples.
    """

    interpolant: Interpolant
    program: Program
    function: Coefficients

    def coefficients(self, t: Tensor | float) -> dict[str, Tensor]:
        """Return alpha, beta, gamma, alpha_dot, beta_dot, gamma_dot, gamma_rate, with the shape of t, in float64."""
        return self.function(as_time(t, 0.0))

    def state(self, x0: Tensor, x1: Tensor, z: Tensor, t: Tensor | float) -> Tensor:
        """I_t = alpha x0 + beta x1 + gamma z, for samples first and any shape behind, in the dtype of x0."""
        return _mix(self.function(as_time(t, 0.0, x0.device)), ("alpha", "beta", "gamma"), (x0, x1, z))

    def rate(self, x0: Tensor, x1: Tensor, z: Tensor, t: Tensor | float) -> Tensor:
        """dI_t/dt = alpha' x0 + beta' x1 + gamma' z, whose mean given I_t = x is the velocity."""
        found = self.function(as_time(t, 0.0, x0.device))
        return _mix(found, ("alpha_dot", "beta_dot", "gamma_dot"), (x0, x1, z))


@dataclass(frozen=True)
class BridgeKernels:
    """The compiled form of a `Bridge`: each field F = F_state x + F_P P + F_Q Q from its two given predictions.

    As `Kernels`: coefficients in float64, rounded once; infinite where they have no limit at an end, where a number t
    raises EndpointError; pure, differentiable, whole under torch.compile.
    """

    bridge: Bridge
    program: Program
    functions: Mapping[str, Coefficients]

    def coefficients(self, t: Tensor | float) -> dict[str, Tensor]:
        """Return every coefficient of `Bridge.coefficients` by name, with the shape of t, in float64."""
        return self.functions[""](as_time(t, 0.0))

    def field(self, kind: str, x: Tensor, first: Tensor, second: Tensor, t: Tensor | float) -> Tensor:
        """Return a field at x from the predictions that `bridge.given` names, in this order, in the dtype of x.

        `kind` is velocity, score, latent, ends, x0, x1, forward (b_F) or backward (b_B).
        """
        if kind not in self.bridge.fields:
            raise unknown("field", kind, self.bridge.fields)
        if not isinstance(t, Tensor) and t in (0, 1):
            self.bridge.require(kind, int(t))
        found = self.functions[kind](as_time(t, 0.0, x.device))
        names = tuple(f"{kind}_{part}" for part in ("state", *self.bridge.given))
        return _mix(found, names, (x, first, second))


def bridge_kernels(bridge: Bridge, dialect: str = "torch") -> BridgeKernels:
    """Compile a bridge to torch; the dialect is that of `kernels`. SymsiError where it has symbolic parameters."""
    return _bridge_kernels(bridge, dialect, str(bridge.interpolant))


@lru_cache(maxsize=64)
def _bridge_kernels(bridge: Bridge, dialect: str, name: str) -> BridgeKernels:
    whole = program(bridge.functions, run)
    groups = {kind: [f"{kind}_{part}" for part in ("state", *bridge.given)] for kind in bridge.fields}
    functions = {kind: load(whole.only(names), dialect=dialect) for kind, names in groups.items()}
    return BridgeKernels(bridge, whole, {"": load(whole, dialect=dialect), **functions})


def interpolant_kernels(interpolant: Interpolant | str) -> InterpolantKernels:
    """Compile the coefficients of an interpolant, or of a named one, to torch.

    Raises SymsiError where the interpolant has symbolic parameters.
    """
    found = as_interpolant(interpolant)
    return _kernels(found, str(found))


@lru_cache(maxsize=64)
def _kernels(interpolant: Interpolant, name: str) -> InterpolantKernels:
    whole = program(as_formulas(interpolant), run)
    return InterpolantKernels(interpolant, whole, load(whole))


def _mix(found: Mapping[str, Tensor], names: Sequence[str], parts: Sequence[Tensor]) -> Tensor:
    """Return the sum of coefficients times tensors of one shape, in at least float32, in the dtype of the first."""
    first = parts[0]
    if any(part.shape != first.shape for part in parts):
        shapes = ", ".join(str(tuple(part.shape)) for part in parts)
        raise SymsiError(f"these three must have one shape, samples first; got {shapes}.")
    kind = working(first)
    a, b, c = (beside(found[name], first).to(kind) * part.to(kind) for name, part in zip(names, parts, strict=True))
    return (a + b + c).to(first.dtype)

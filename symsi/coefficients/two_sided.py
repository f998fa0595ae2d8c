"""The coefficients of a two-sided interpolant as torch functions of t, exact at t = 0 and t = 1, differentiable."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from torch import Tensor

from symsi.coefficients.kernels import Coefficients, load, run
from symsi.coefficients.program import Program, program
from symsi.coefficients.runtime import as_time, beside, working
from symsi.errors import SymsiError
from symsi.interpolants.named_two_sided import as_interpolant
from symsi.interpolants.two_sided import Interpolant
from symsi.theory.functions import as_formulas

__all__ = ["InterpolantKernels", "interpolant_kernels"]


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
        return self._mix(("alpha", "beta", "gamma"), x0, x1, z, t)

    def rate(self, x0: Tensor, x1: Tensor, z: Tensor, t: Tensor | float) -> Tensor:
        """dI_t/dt = alpha' x0 + beta' x1 + gamma' z, whose mean given I_t = x is the velocity."""
        return self._mix(("alpha_dot", "beta_dot", "gamma_dot"), x0, x1, z, t)

    def _mix(self, names: tuple[str, str, str], x0: Tensor, x1: Tensor, z: Tensor, t: Tensor | float) -> Tensor:
        if not x0.shape == x1.shape == z.shape:
            shapes = ", ".join(str(tuple(part.shape)) for part in (x0, x1, z))
            raise SymsiError(f"x0, x1 and z must have one shape, samples first; got {shapes}.")
        kind, found = working(x0), self.function(as_time(t, 0.0, x0.device))
        parts = zip(names, (x0, x1, z), strict=True)
        total: Tensor = sum(beside(found[name], x0).to(kind) * part.to(kind) for name, part in parts)  # type: ignore[assignment]
        return total.to(x0.dtype)


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

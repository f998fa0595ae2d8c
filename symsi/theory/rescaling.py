"""T18: scaling and time change of a two-sided interpolant, (alpha, beta, gamma) -> c (alpha, beta, gamma)(tau).

A schedule has one ratio, so any two are converted by one time map (T4). A triple has two, beta/alpha and gamma/alpha;
two triples are converted into each other only where one tau serves both, which `common_time_map` finds or refutes.
"""

from __future__ import annotations

from sympy import Expr, diff

from symsi.algebra.inverse import at_parts, invert
from symsi.algebra.multiprecision import sample_unit
from symsi.algebra.parse import as_expression
from symsi.algebra.simplify import simplify
from symsi.algebra.symbols import t
from symsi.errors import InterpolantError
from symsi.interpolants.rows import Triple
from symsi.interpolants.two_sided import Interpolant

__all__ = ["common_time_map", "rescaled", "rescaled_diffusion", "rescaled_field", "rescaled_interpolant"]

_TINY = 1e-30


def rescaled(p: Triple, scale: Expr, scale_rate: Expr, time_rate: Expr) -> Triple:
    """The triple c (alpha, beta, gamma) of `p` at tau, with the derivatives by t: (c a)' = c' a + c tau' a'."""

    def moved(value: Expr, slope: Expr) -> Expr:
        return scale_rate * value + scale * time_rate * slope

    return Triple(
        scale * p.alpha,
        scale * p.beta,
        scale * p.gamma,
        moved(p.alpha, p.alpha_dot),
        moved(p.beta, p.beta_dot),
        moved(p.gamma, p.gamma_dot),
        scale * scale_rate * p.gamma**2 + scale**2 * time_rate * p.gamma_rate,
    )


def rescaled_field(kind: str, field: Expr, x: Expr, scale: Expr, scale_rate: Expr, time_rate: Expr) -> Expr:
    """A field of the rescaled interpolant at (t, x) from that of the base at (tau, x/c).

    velocity and drifts (c'/c) x + c tau' f, score f/c, the means x0, x1 and latent as they are.
    """
    if kind in ("velocity", "forward", "backward"):
        return scale_rate / scale * x + scale * time_rate * field
    return field / scale if kind == "score" else field


def rescaled_diffusion(epsilon: Expr, scale: Expr, time_rate: Expr) -> Expr:
    """epsilon_bar = c^2 tau' epsilon(tau): the paths c X_tau solve the SDE of that diffusion."""
    return scale**2 * time_rate * epsilon


def rescaled_interpolant(base: Interpolant, time: str | Expr, scale: str | Expr = "1") -> Interpolant:
    """Return c_t (alpha, beta, gamma)(tau_t) for tau = `time` from 0 to 1 and c = `scale` with c_0 = c_1 = 1.

    Raises InterpolantError where tau does not increase, or the ends do not stay.
    """
    names = ("t", *(s.name for s in base.free_parameters))
    tau, c = (as_expression(e, names) for e in (time, scale))
    for value in (slope for _, slope in sample_unit(diff(tau, t))):
        if value is None or value <= 0:
            raise InterpolantError(f"the time map must increase on (0, 1); {tau} does not. Write one such as t**2.")
    alpha, beta, gamma = (c * e.subs(t, tau) for e in (base.alpha, base.beta, base.gamma))
    return Interpolant(alpha, beta, gamma, dict(base.parameters))


def common_time_map(base: Interpolant, target: Interpolant) -> tuple[Expr, Expr]:
    """Return (tau, c) with target = c base(tau), where there is one.

    tau must solve beta/alpha(tau) = beta_bar/alpha_bar(t), so that only one candidate is left for gamma. Raises
    InterpolantError where gamma needs another, or that equation has no closed solution.
    """
    inverse = invert(base.beta / base.alpha)
    if inverse is None:
        raise InterpolantError(f"beta/alpha of {base} has no closed inverse, so its time map has no formula.")
    tau = simplify(at_parts(inverse, target.alpha, target.beta))
    c = simplify(target.alpha / base.alpha.subs(t, tau))
    for time, gap in sample_unit(target.gamma / (c * base.gamma.subs(t, tau)) - 1):
        if gap is None or abs(gap) > _TINY:
            raise InterpolantError(
                f"{target} is no rescaling of {base}: beta/alpha asks for tau = {tau}, and gamma differs there, at "
                f"t≈{float(time):.3g}. Two triples have two ratios and one time map; train under the one you sample."
            )
    return tau, c

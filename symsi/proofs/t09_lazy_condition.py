"""T9: when the drift vanishes."""

from sympy import diff, solve

from symsi.algebra.proof import Derivation, Proof
from symsi.interpolants.lazy import lazy_diffusion
from symsi.interpolants.rows import Pair
from symsi.proofs import run_script
from symsi.theory.gaussian import gaussian_drift, marginal_variance


def prove() -> Proof:
    """Prove that b = 0 on centred Gaussian data iff epsilon is half the growth rate of the marginal variance."""
    d = Derivation(
        "T9",
        "The lazy condition",
        "For X ~ N(0, lambda I) the drift of the SDE vanishes identically if and only if "
        "epsilon = (1/2) d/dt (alpha^2 + lambda beta^2).",
        "Damsholt, Frellsen, Ditlevsen 2026",
    )
    t, x, lam = d.symbol("t", 0, 1), d.real("x"), d.symbol("lamda")
    e = d.symbol("epsilon")
    p = Pair.of(d.function("alpha", "positive decreasing")(t), d.function("beta", "positive increasing")(t), t)
    variance = marginal_variance(p, lam)
    lazy = lazy_diffusion(p, lam)
    d.equal("The lazy diffusion as coded is half the growth rate of S.", lazy, diff(variance, t) / 2, by="chain rule")
    drift = gaussian_drift(p, e, d_x := x, 0 * x, lam)
    d.equal(
        "The drift is proportional to its distance from epsilon.",
        drift,
        (lazy - e) / variance * d_x,
        by="T8 with m = 0",
    )
    d.say("S > 0, so the drift vanishes for every x exactly where epsilon equals the lazy diffusion.")
    (only,) = solve(drift.subs(x, 1), e)
    d.equal("Solving b = 0 for epsilon gives it back as the only root.", only, lazy, by="linear equation")
    m = d.real("m")
    d.equal(
        "With a mean, the drift of the centred state x - beta m is the same.",
        gaussian_drift(p, e, x + p.beta * m, m, lam) - p.beta_dot * m,
        drift,
        by="T8",
    )
    return d.proof()


if __name__ == "__main__":
    run_script(prove)

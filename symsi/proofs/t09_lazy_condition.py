"""T9: when the drift vanishes."""

from sympy import Integer, diff

from symsi.algebra.proof import Derivation, Proof
from symsi.interpolants.lazy import lazy_diffusion
from symsi.proofs import run_script
from symsi.proofs.setting import schedule
from symsi.theory.gaussian import gaussian_drift, marginal_variance


def prove() -> Proof:
    """Prove that b = 0 on centred Gaussian data iff epsilon is half the growth rate of the marginal variance."""
    d = Derivation(
        "T9",
        "The lazy condition",
        "Let X ~ N(0, lambda I) and S = alpha^2 + lambda beta^2.",
        "Damsholt, Frellsen, Ditlevsen 2026",
    )
    d.claim("a", "Under epsilon = S'/2 = alpha alpha' + lambda beta beta' the drift of the SDE vanishes at every x.")
    d.claim("b", "Under no other epsilon does it vanish at any x other than 0.")
    d.claim("c", "With a mean, the same holds of the drift of the centred state x - beta m.")
    t, p = schedule(d)
    x, lam, e, zero = d.real("x"), d.symbol("lamda"), d.real("epsilon"), Integer(0)
    variance, lazy = marginal_variance(p, lam), lazy_diffusion(p, lam)
    d.equal("The lazy diffusion as coded.", 2 * lazy, diff(variance, t), "chain rule", "a")
    d.equal("The drift as coded, under it.", gaussian_drift(p, lazy, x, zero, lam), 0, "T8 with m = 0", "a")
    d.positive(
        "S is positive, for every schedule and variance.", variance, p.alpha**2 + lam * p.beta**2, "squares", "b"
    )
    drift = gaussian_drift(p, e, x, zero, lam)
    d.equal("S b tells how far epsilon is from it.", variance * drift, (lazy - e) * x, "T8 with m = 0", "b")
    m = d.real("m")
    centred = gaussian_drift(p, e, x + p.beta * m, m, lam) - p.beta_dot * m
    d.equal("The drift of the centred state does not know m.", centred, drift, "T8", "c")
    return d.proof()


if __name__ == "__main__":
    run_script(prove)

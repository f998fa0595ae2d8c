"""T5: paths of one SDE become paths of another."""

from sympy import Expr, diff, sqrt

from symsi.algebra.proof import Derivation, Proof
from symsi.interpolants.rows import Pair, Row
from symsi.proofs import run_script
from symsi.theory.fields import drift_row
from symsi.theory.rules import diffusion_factor


def prove() -> Proof:
    """Prove that X_bar_t = c X_tau solves the target's SDE, with epsilon_bar = c^2 tau' epsilon(tau)."""
    d = Derivation(
        "T5",
        "Paths",
        "If X solves the SDE of (alpha, beta, epsilon), then X_bar_t = c X_tau solves that of (alpha_bar, beta_bar, "
        "epsilon_bar) with epsilon_bar = c^2 tau' epsilon(tau), driven by dW_bar = dW_tau/sqrt(tau'). For any wanted "
        "epsilon_bar there is exactly one base diffusion; the conversion is a bijection and composes.",
        "Damsholt, Frellsen, Ditlevsen 2026",
    )
    t, u = d.symbol("t", 0, 1), d.symbol("u", 0, 1)
    noise, data = d.real("eta_Z"), d.real("eta_X")
    tau, c = d.function("tau", "increasing")(t), d.function("c")(t)
    base = Pair.of(d.function("alpha", "positive decreasing")(u), d.function("beta", "positive increasing")(u), u).at(
        tau, u
    )
    target = Pair.of(c * base.alpha, c * base.beta, t)
    d.say(
        "By T4 every target is (c alpha(tau), c beta(tau)). E[Z | .] and E[X | .] are the same for X_tau and "
        "X_bar_t = c X_tau; call them eta_Z and eta_X."
    )

    def value(r: Row) -> Expr:
        return r(noise=noise, data=data)

    epsilon = d.function("epsilon")(t)
    rate = diff(tau, t)
    d.say("The base diffusion at tau, as a function of t, is epsilon. Ito's formula for c X_tau:")
    drift = diff(c, t) * value(base.state) + c * rate * value(drift_row(base, epsilon))
    epsilon_bar = c**2 * rate * epsilon
    d.equal(
        "The drift of c X_tau is the target's drift under epsilon_bar = c^2 tau' epsilon.",
        drift,
        value(drift_row(target, epsilon_bar)),
        by="Ito's formula, T2",
    )
    d.equal(
        "The quadratic variation of c X_tau is that of the target's noise.",
        c**2 * 2 * epsilon * rate,
        2 * epsilon_bar,
        by="d[W_tau] = tau' dt",
    )
    d.equal(
        "W_bar, with dW_bar = dW_tau/sqrt(tau'), has quadratic variation t: it is a Brownian motion (Levy).",
        (1 / sqrt(rate)) ** 2 * rate,
        1,
        by="d[W_tau] = tau' dt",
    )
    d.equal(
        "The noise terms agree: c sqrt(2 epsilon) dW_tau = sqrt(2 epsilon_bar) dW_bar.",
        (c * sqrt(2 * epsilon) * sqrt(rate)) ** 2,
        2 * epsilon_bar,
        by="square of both sides",
    )
    d.equal(
        "The factor c^2 tau' is the quotient of the determinants, as coded.",
        diffusion_factor(base, target),
        c**2 * rate,
        by="T1",
    )
    d.say("The factor is positive, so a wanted epsilon_bar fixes epsilon and the way back divides by it.")

    k, sigma = d.function("k")(t), d.function("sigma", "increasing")
    inner = Pair.of(c * base.alpha, c * base.beta, t)
    s = d.symbol("s", 0, 1)
    middle = inner.at(sigma(s), t)
    outer = Pair.of(k.subs(t, s) * middle.alpha, k.subs(t, s) * middle.beta, s)
    composed = base.at(sigma(s), t)
    d.equal(
        "Two conversions in a row multiply their factors: the conversion composes.",
        diffusion_factor(middle, outer) * diffusion_factor(composed, middle),
        diffusion_factor(composed, outer),
        by="quotients of determinants",
    )
    d.equal(
        "There and back is the identity.",
        diffusion_factor(base, target) * diffusion_factor(target, base),
        1,
        by="quotients of determinants",
    )
    return d.proof()


if __name__ == "__main__":
    run_script(prove)

"""T5: paths of one SDE become paths of another."""

from sympy import Expr, diff, solve, sqrt

from symsi.algebra.proof import Derivation, Proof
from symsi.interpolants.rows import Pair, Row
from symsi.proofs import run_script
from symsi.proofs.setting import conversion
from symsi.theory.fields import drift_row
from symsi.theory.rules import diffusion_factor, scale, time_rate


def prove() -> Proof:
    """Prove that X_bar_t = c X_tau solves the target's SDE, with epsilon_bar = c^2 tau' epsilon(tau)."""
    d = Derivation(
        "T5",
        "Paths",
        "Let X solve the SDE of (alpha, beta, epsilon), let tau and c be those of T4, and X_bar_t = c X_tau.",
        "Damsholt, Frellsen, Ditlevsen 2026",
    )
    d.claim(
        "a",
        "The drift of X_bar is that of (alpha_bar, beta_bar, epsilon_bar) with epsilon_bar = c^2 tau' epsilon(tau).",
    )
    d.claim("b", "Its noise is sqrt(2 epsilon_bar) dW_bar with dW_bar = dW_tau/sqrt(tau'), of quadratic variation t.")
    d.claim("c", "W_bar is a Brownian motion.")
    d.claim("d", "epsilon_bar/epsilon = c^2 tau' is the quotient of determinants, and positive.")
    d.claim("e", "So each wanted epsilon_bar has exactly one base diffusion, epsilon = epsilon_bar/(c^2 tau').")
    d.claim("f", "Conversions compose as pairs: (tau, c) and then (sigma, k) is (tau(sigma), k c(sigma)).")
    d.claim("g", "The inverse of (tau, c) is (the inverse function of tau, 1/c): a bijection.")
    t, tau, c, base, target = conversion(d)
    noise, data = d.real("eta_Z"), d.real("eta_X")
    rate, epsilon = diff(tau, t), d.function("epsilon")(t)
    d.say("E[Z | .] and E[X | .] are the same for X_tau and X_bar_t (T4); epsilon is the base's at tau. Ito's formula:")

    def value(r: Row) -> Expr:
        return r(noise=noise, data=data)

    epsilon_bar = diffusion_factor(base, target) * epsilon
    d.equal(
        "Drift of c X_tau.",
        diff(c, t) * value(base.state) + c * rate * value(drift_row(base, epsilon)),
        value(drift_row(target, epsilon_bar)),
        "Ito's formula, T2",
        "a",
    )
    dw = d.real("dW")
    d.say("dW_tau has the variance tau' dt, so it is sqrt(tau') dW_bar:")
    d.equal(
        "The noise terms.",
        c * sqrt(2 * epsilon) * sqrt(rate) * dw,
        sqrt(2 * epsilon_bar) * dw,
        "d[W_tau] = tau' dt",
        "b",
    )
    d.equal("Their quadratic variation.", 2 * epsilon * c**2 * rate, 2 * epsilon_bar, "T1", "b")
    d.cite(
        "c",
        "a continuous martingale of quadratic variation t is a Brownian motion",
        "Levy; Oeksendal 2003, Theorem 8.6.1",
    )
    d.positive("The factor, as coded.", diffusion_factor(base, target), c**2 * rate, "T1", "d")
    wanted, unknown, other = d.symbol("wanted"), d.symbol("unknown"), d.symbol("other")
    (only,) = solve(diffusion_factor(base, target) * unknown - wanted, unknown)
    d.equal("Solved for the base diffusion.", only, wanted / diffusion_factor(base, target), "linear equation", "e")
    d.equal(
        "Two base diffusions differ as their images do, by the positive factor: one to one.",
        unknown - other,
        (diffusion_factor(base, target) * unknown - diffusion_factor(base, target) * other) / (c**2 * rate),
        "linear equation",
        "e",
    )

    s, sigma, k = d.symbol("s", 0, 1), d.function("sigma", "increasing"), d.function("k")
    start, middle = base.at(sigma(s), t), target.at(sigma(s), t)
    outer = Pair.of(k(s) * middle.alpha, k(s) * middle.beta, s)
    d.say("A second conversion (sigma, k) follows, at s.", outer.alpha)
    d.equal("Scales multiply,", scale(start, outer), k(s) * c.subs(t, sigma(s)), "T4", "f")
    d.equal(
        "speeds are those of tau(sigma(s)),", time_rate(start, outer), diff(tau.subs(t, sigma(s)), s), "chain rule", "f"
    )
    d.equal(
        "and converting once by the pair is converting twice.",
        diffusion_factor(start, outer),
        k(s) ** 2 * diff(sigma(s), s) * diffusion_factor(base, target).subs(t, sigma(s)),
        "chain rule",
        "f",
    )
    d.say("The inverse goes from the target at t back to the base at tau.")
    back, speed = scale(target, base), time_rate(target, base)
    d.equal("It divides by c,", back, 1 / c, "T4", "g")
    d.equal("runs at 1/tau',", speed, 1 / rate, "inverse function", "g")
    d.equal("and gives the base's epsilon back.", back**2 / rate * epsilon_bar, epsilon, "T1", "g")
    return d.proof()


if __name__ == "__main__":
    run_script(prove)

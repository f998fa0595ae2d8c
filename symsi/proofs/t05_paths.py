"""T5: paths of one SDE become paths of another."""

from sympy import Symbol, diff, log, solve, sqrt

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
    d.claim("a", "The drift of X_bar is that of (alpha_bar, beta_bar, epsilon_bar) with epsilon_bar = c^2 tau' epsilon(tau).")
    d.claim("b", "Its noise is sqrt(2 epsilon_bar) dW_bar with dW_bar = dW_tau/sqrt(tau'), of quadratic variation t.")
    d.claim("c", "W_bar is a Brownian motion.")
    d.claim("d", "epsilon_bar/epsilon = c^2 tau' is the quotient of determinants, and positive.")
    d.claim("e", "So each wanted epsilon_bar has exactly one base diffusion, epsilon = epsilon_bar/(c^2 tau').")
    d.claim("f", "Conversions compose as pairs: (tau, c) and then (sigma, k) is (tau(sigma), k c(sigma)).")
    d.claim("g", "The inverse of (tau, c) is (the inverse function of tau, 1/c): a bijection.")
    t, base, target = conversion(d)
    noise, data = d.symbol("eta_Z", -2, 2), d.symbol("eta_X", -2, 2)
    c, rate, epsilon = scale(base, target), time_rate(base, target), d.function("epsilon")(t)
    growth = diff(target.alpha / base.alpha, t)
    d.say("E[Z | .] and E[X | .] are the same for X_tau and X_bar_t (T4); epsilon is the base's at tau. Ito's formula:")

    def value(r: Row) -> Symbol:
        return r(noise=noise, data=data)

    epsilon_bar = diffusion_factor(base, target) * epsilon
    d.equal(
        "Drift of c X_tau.",
        growth * value(base.state) + c * rate * value(drift_row(base, epsilon)),
        value(drift_row(target, epsilon_bar)),
        "Ito's formula, T2",
        "a",
    )
    dw = d.symbol("dW", -2, 2)
    d.say("dW_tau has the variance tau' dt, so it is sqrt(tau') dW_bar:")
    d.equal(
        "The noise terms.",
        c * sqrt(2 * epsilon) * sqrt(rate) * dw,
        sqrt(2 * epsilon_bar) * dw,
        "d[W_tau] = tau' dt",
        "b",
    )
    d.equal("Their quadratic variation.", 2 * epsilon * c**2 * rate, 2 * epsilon_bar, "T1", "b")
    d.cite("c", "a continuous martingale of quadratic variation t is a Brownian motion", "Levy; Oeksendal 2003, Theorem 8.6.1")
    tau = next(f for f in base.alpha.args)
    d.positive("The factor, as coded.", diffusion_factor(base, target), (target.alpha / base.alpha) ** 2 * diff(tau, t), "T1", "d")
    wanted, unknown, other = d.symbol("wanted"), d.symbol("unknown"), d.symbol("other")
    (only,) = solve(diffusion_factor(base, target) * unknown - wanted, unknown)
    d.equal("Solved for the base diffusion.", only, wanted / (c**2 * rate), "linear equation", "e")
    d.equal(
        "Two base diffusions differ as their images do, by the positive factor: one to one.",
        unknown - other,
        (diffusion_factor(base, target) * unknown - diffusion_factor(base, target) * other) / (c**2 * rate),
        "linear equation",
        "e",
    )

    s, sigma, k = d.symbol("s", 0.05, 0.95), d.function("sigma", "increasing"), d.function("k")
    start, middle = base.at(sigma(s), t), target.at(sigma(s), t)
    start = Pair(start.alpha, start.beta, start.alpha_dot, start.beta_dot)
    outer = Pair.of(k(s) * middle.alpha, k(s) * middle.beta, s)
    d.say("A second conversion (sigma, k) follows, at s.", outer.alpha)
    d.equal("Scales multiply,", scale(start, outer), k(s) * (target.alpha / base.alpha).subs(t, sigma(s)), "T4", "f")
    d.equal(
        "speeds are those of tau(sigma(s)),",
        time_rate(start, outer),
        diff(tau.subs(t, sigma(s)), s),
        "chain rule",
        "f",
    )
    d.equal(
        "and diffusions are converted once by the pair, or twice.",
        log(diffusion_factor(start, outer)),
        log(diffusion_factor(start, middle)) + log(diffusion_factor(middle, outer)),
        "quotients of determinants",
        "f",
    )
    d.say("The inverse goes from the target at t back to the base at tau.")
    d.equal("It divides by c,", scale(target, base), base.alpha / target.alpha, "T4", "g")
    d.equal("runs at 1/tau',", time_rate(target, base), 1 / diff(tau, t), "inverse function", "g")
    d.equal("and its paths get the base's epsilon back.", diffusion_factor(target, base) * epsilon_bar, epsilon, "T1", "g")
    return d.proof()


if __name__ == "__main__":
    run_script(prove)

"""T8: Gaussian data in closed form."""

from sympy import Expr, Integer, diff, exp, log, sqrt

from symsi.algebra.proof import Derivation, Proof
from symsi.interpolants.rows import Pair
from symsi.proofs import run_script
from symsi.proofs.setting import schedule
from symsi.theory.diffusion import optimal_diffusion
from symsi.theory.gaussian import flow_map, gaussian_drift, gaussian_field, marginal_variance, revealed, transition


def prove() -> Proof:
    """Prove the fields, the flow map and the SDE transitions for X ~ N(m, lambda I)."""
    d = Derivation(
        "T8",
        "Gaussian data",
        "Let X ~ N(m, lambda I), S = alpha^2 + beta^2 lambda and w = lambda beta^2/S, coordinate by coordinate.",
        "Damsholt, Frellsen, Ditlevsen 2026; the transition for kappa epsilon* in closed form is derived here",
    )
    d.claim("a", "eta_X = m + (beta lambda/S)(x - beta m) and eta_Z = (alpha/S)(x - beta m).")
    d.claim("b", "v = beta' m + (S'/2S)(x - beta m) and s = -(x - beta m)/S.")
    d.claim("c", "The flow map is X_{s,t}(x) = beta_t m + sqrt(S_t/S_s)(x - beta_s m): it solves the ODE and composes.")
    d.claim("d", "Under any epsilon the drift is beta' m + g (x - beta m) with g = (S'/2 - epsilon)/S.")
    d.claim("e", "So transitions are N(beta_t m + F (x - beta_s m), V) with F' = g F, V' = 2 g V + 2 epsilon.")
    d.claim("f", "For epsilon = kappa epsilon*: F = sqrt(S_t/S_s)(w_s/w_t)^(kappa/2), V = S_t (1 - (w_s/w_t)^kappa).")
    d.claim("g", "These compose (Chapman-Kolmogorov).")
    d.claim("h", "They keep the marginals; for any epsilon V = S_t - F^2 S_s.")
    d.claim("i", "kappa = 0 is the flow map: F = sqrt(S_t/S_s), V = 0.")
    t, p = schedule(d)
    x, m, lam, kappa = d.real("x"), d.real("m"), d.symbol("lamda"), d.symbol("kappa")
    variance, centred = marginal_variance(p, lam), x - p.beta * m
    noise, data = (gaussian_field(p, kind, x, m, lam) for kind in ("noise", "data"))

    def at(time: Expr) -> Pair:
        return p.at(time, t)

    guess = d.real("X")

    def log_joint(value: Expr) -> Expr:
        return -((x - p.beta * value) ** 2) / (2 * p.alpha**2) - (value - m) ** 2 / (2 * lam)

    d.equal(
        "The law of X given x is Gaussian about eta_X, as coded.",
        log_joint(guess) - log_joint(data),
        -variance / (2 * p.alpha**2 * lam) * (guess - data) ** 2,
        "complete the square",
        "a",
    )
    d.equal("eta_Z, as coded, is what is left of x.", noise, (x - p.beta * data) / p.alpha, "T1", "a")
    v = gaussian_field(p, "velocity", x, m, lam)
    d.equal("Velocity.", v, p.beta_dot * m + diff(variance, t) / (2 * variance) * centred, "T1", "b")
    d.equal("Score.", gaussian_field(p, "score", x, m, lam), -centred / variance, "T1", "b")

    s, r = d.symbol("s", 0, 1), d.symbol("r", 0, 1)
    start, middle = at(s), at(r)
    path = flow_map(start, p, x, m, lam)
    d.equal("The flow map solves the ODE,", diff(path, t), v.subs(x, path), "differentiation", "c")
    d.equal("from the identity;", flow_map(start, start, x, m, lam), x, "substitution", "c")
    d.equal("it composes.", flow_map(middle, p, flow_map(start, middle, x, m, lam), m, lam), path, "semigroup", "c")

    e = d.function("epsilon", "any")(t)
    rate = (diff(variance, t) / 2 - e) / variance
    d.equal("The coded drift.", gaussian_drift(p, e, x, m, lam), p.beta_dot * m + rate * centred, "T2", "d")
    mean, spread, g, f = (
        d.function("M", "any")(t),
        d.function("V")(t),
        d.function("g", "any")(t),
        d.function("f", "any")(t),
    )
    law = exp(-((x - mean) ** 2) / (2 * spread)) / sqrt(spread)
    moving = {diff(mean, t): f + g * mean, diff(spread, t): 2 * g * spread + 2 * e}
    d.say("Any linear drift f + g x: a Gaussian N(M, V) with M' = f + g M and V' = 2 g V + 2 epsilon.", law)
    d.equal(
        "It solves the Fokker-Planck equation.",
        diff(law, t).subs(moving),
        -diff((f + g * x) * law, x) + e * diff(law, x, 2),
        "differentiation",
        "e",
    )
    factor = d.function("F")(t)
    d.equal(
        "beta_t m + F (x - beta_s m) is such a mean where F' = g F.",
        diff(p.beta * m + factor * (x - start.beta * m), t).subs(diff(factor, t), rate * factor),
        gaussian_drift(p, e, p.beta * m + factor * (x - start.beta * m), m, lam),
        "linear equation",
        "e",
    )
    star, w = optimal_diffusion(p), revealed(p, lam)
    d.equal("2 epsilon*/S is the growth rate of log w.", 2 * star / variance, diff(log(w), t), "T3", "f")
    own, known = rate.subs(e, kappa * star), transition(start, p, lam, kappa)
    d.equal(
        "The coded F grows at the rate g = S'/2S - kappa w'/2w,", diff(log(known.factor), t), own, "log derivative", "f"
    )
    d.equal("from 1;", transition(start, start, lam, kappa).factor, 1, "substitution", "f")
    grown = 2 * own * known.variance + 2 * kappa * star
    d.equal("the coded V solves its equation,", diff(known.variance, t), grown, "differentiation", "f")
    d.equal("from 0.", transition(start, start, lam, kappa).variance, 0, "substitution", "f")
    first, second = transition(start, middle, lam, kappa), transition(middle, p, lam, kappa)
    d.equal("Factors multiply,", first.factor * second.factor, known.factor, "product of roots", "g")
    both = second.factor**2 * first.variance + second.variance
    d.equal("and variances add after the second factor.", both, known.variance, "sum of independent Gaussians", "g")
    before = marginal_variance(start, lam)
    d.equal("Marginals are kept.", known.factor**2 * before + known.variance, variance, "independent Gaussians", "h")
    general = variance - factor**2 * before
    d.equal(
        "For any epsilon, S_t - F^2 S_s solves the equation of V.",
        diff(general, t).subs(diff(factor, t), rate * factor),
        2 * rate * general + 2 * e,
        "F' = g F",
        "h",
    )
    still = transition(start, p, lam, Integer(0))
    moved = p.beta * m + still.factor * (x - start.beta * m)
    d.equal("Without noise the mean solves the ODE of (b),", diff(moved, t), v.subs(x, moved), "kappa = 0", "i")
    d.equal("it is the flow map,", moved, path, "kappa = 0", "i")
    d.equal("and nothing is added.", still.variance, 0, "kappa = 0", "i")
    return d.proof()


if __name__ == "__main__":
    run_script(prove)

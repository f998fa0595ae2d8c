"""T8: Gaussian data in closed form."""

from sympy import diff, log

from symsi.algebra.proof import Derivation, Proof
from symsi.interpolants.rows import Pair
from symsi.proofs import run_script
from symsi.theory.diffusion import optimal_diffusion
from symsi.theory.gaussian import flow_map, gaussian_drift, gaussian_field, marginal_variance, revealed, transition


def prove() -> Proof:
    """Prove the fields, the flow map and the SDE transitions for X ~ N(m, lambda I)."""
    d = Derivation(
        "T8",
        "Gaussian data",
        "For X ~ N(m, lambda I) and S = alpha^2 + beta^2 lambda: v = beta' m + (S'/2S)(x - beta m), the flow map is "
        "X_{s,t}(x) = beta_t m + sqrt(S_t/S_s)(x - beta_s m), and under epsilon = kappa epsilon* the transition has "
        "the mean factor sqrt(S_t/S_s)(w_s/w_t)^(kappa/2) and the variance S_t (1 - (w_s/w_t)^kappa).",
        "Damsholt, Frellsen, Ditlevsen 2026; the transition for kappa epsilon* in closed form is derived here",
    )
    s, t = d.symbol("s", 0, 1), d.symbol("t", 0, 1)
    x, m, lam, kappa = d.real("x"), d.real("m"), d.symbol("lamda"), d.symbol("kappa")
    alpha, beta = d.function("alpha", "positive decreasing"), d.function("beta", "positive increasing")
    p = Pair.of(alpha(t), beta(t), t)
    variance = marginal_variance(p, lam)
    noise, data = (gaussian_field(p, k, x, m, lam) for k in ("noise", "data"))

    d.equal(
        "The posterior mean of X given x weighs prior and observation by their precisions.",
        (m / lam + p.beta * x / p.alpha**2) / (1 / lam + p.beta**2 / p.alpha**2),
        data,
        by="product of Gaussians",
    )
    d.equal("The two predictions recombine to the state.", p.alpha * noise + p.beta * data, x, by="T1")
    centred = x - p.beta * m
    d.equal(
        "Velocity.",
        gaussian_field(p, "velocity", x, m, lam),
        p.beta_dot * m + diff(variance, t) / (2 * variance) * centred,
        by="T1",
    )
    d.equal("Score.", gaussian_field(p, "score", x, m, lam), -centred / variance, by="T1")

    start = Pair(alpha(s), beta(s), diff(alpha(s), s), diff(beta(s), s))
    path = flow_map(start, p, x, m, lam)
    d.equal("The flow map starts at the identity.", path.subs(t, s), x, by="substitution")
    d.equal(
        "It solves the probability-flow ODE.",
        diff(path, t),
        gaussian_field(p, "velocity", path, m, lam),
        by="differentiation",
    )
    r = d.symbol("r", 0, 1)
    middle = Pair(alpha(r), beta(r), diff(alpha(r), r), diff(beta(r), r))
    d.equal("It composes.", flow_map(middle, p, flow_map(start, middle, x, m, lam), m, lam), path, by="semigroup")

    w = revealed(p, lam)
    star = optimal_diffusion(p)
    d.equal(
        "The key: 2 epsilon*/S is the growth rate of the revealed fraction w = lambda beta^2/S.",
        2 * star / variance,
        diff(log(w), t),
        by="logarithmic derivative",
    )
    drift = gaussian_drift(p, kappa * star, x, m, lam)
    d.equal(
        "So the drift is linear in x - beta m with a rate that is itself a logarithmic derivative.",
        drift,
        p.beta_dot * m + (diff(log(variance), t) / 2 - kappa * diff(log(w), t) / 2) * centred,
        by="T2, T3",
    )
    law = transition(start, p, lam, kappa)
    d.equal(
        "The mean factor grows at that rate,",
        diff(log(law.factor), t),
        diff(log(variance), t) / 2 - kappa * diff(log(w), t) / 2,
        by="differentiation",
    )
    d.equal("from 1.", law.factor.subs(t, s), 1, by="substitution")
    rate = diff(log(variance), t) - kappa * diff(log(w), t)
    d.equal(
        "The variance solves V' = 2 rate V + 2 epsilon,",
        diff(law.variance, t),
        rate * law.variance + 2 * kappa * star,
        by="differentiation",
    )
    d.equal("from 0.", law.variance.subs(t, s), 0, by="substitution")
    d.equal(
        "Marginals are preserved.",
        law.factor**2 * marginal_variance(start, lam) + law.variance,
        variance,
        by="sum of independent Gaussians",
    )
    first, second = transition(start, middle, lam, kappa), transition(middle, p, lam, kappa)
    d.equal("Transitions compose: factors multiply,", first.factor * second.factor, law.factor, by="Chapman-Kolmogorov")
    d.equal(
        "and variances add after the second factor.",
        second.factor**2 * first.variance + second.variance,
        law.variance,
        by="Chapman-Kolmogorov",
    )

    f, e = d.function("F")(t), d.function("epsilon")(t)
    general = variance - f**2 * marginal_variance(start, lam)
    growth = (diff(variance, t) / 2 - e) / variance
    d.equal(
        "For any epsilon, with a mean factor F' = F (S'/2 - epsilon)/S, the variance is S_t - F^2 S_s.",
        diff(general, t).subs(diff(f, t), f * growth),
        2 * growth * general + 2 * e,
        by="variance ODE",
    )
    return d.proof()


if __name__ == "__main__":
    run_script(prove)

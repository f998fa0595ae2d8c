"""T11: point-mass schedules and their limits."""

from sympy import Integer, Symbol, diff, sqrt

from symsi.algebra.proof import Derivation, Proof
from symsi.interpolants.lazy import lazy_alpha_squared
from symsi.interpolants.rows import Pair, combine
from symsi.proofs import run_script
from symsi.theory.diffusion import optimal_diffusion
from symsi.theory.fields import drift_row, row
from symsi.theory.gaussian import marginal_variance, revealed
from symsi.theory.rules import scale


def prove() -> Proof:
    """Prove the start and the end of point-mass schedules: what vanishes, what stays finite, what diverges."""
    d = Derivation(
        "T11",
        "Point-mass limits",
        "A point-mass schedule starts at I_0 = 0: tau -> 0, c -> 0 and X_bar/c -> N(0, I). On the lazy family the "
        "drift under its own kappa epsilon* is finite at the start in beta-time, and under another multiple it is "
        "not. For kappa = 1, beta = t and any data, b = (eta_X - x)/(1 - t): b(0, 0) = E[X], and a step with frozen "
        "eta_X ends on eta_X.",
        "Damsholt, Frellsen, Ditlevsen 2026; Foellmer 1985 for the drift at the start",
    )
    t, x, eta = d.symbol("t", 0, 1), d.real("x"), d.real("eta_X")
    lam, kappa, other = d.symbol("lamda"), d.symbol("kappa"), d.symbol("kappa_other")
    w = d.symbol("w", 0, 1)

    d.say(
        "The scale c = (alpha_bar + beta_bar)/(alpha + beta) is continuous where alpha + beta > 0; tau -> 0 since rho "
        "increases from 0 and rho_bar -> 0."
    )
    zero, one = Integer(0), Integer(1)
    unused = Symbol("unused")
    gaussian, point = Pair(one, zero, unused, unused), Pair(zero, zero, unused, unused)
    d.equal(
        "At the start of a gaussian base and a point-mass target the scale is 0.",
        scale(gaussian, point),
        0,
        by="continuity",
    )
    d.equal(
        "X_bar/c = X_tau (T4) has the variance alpha^2 + beta^2 lambda, which is 1 at tau = 0 for any data.",
        marginal_variance(gaussian, lam),
        1,
        by="continuity",
    )

    d.say("The lazy family in the revealed fraction w: beta = w^((1 + kappa)/2).")
    beta = w ** ((1 + kappa) / 2)
    p = Pair.of(sqrt(lazy_alpha_squared(kappa, lam, beta)), beta, w)
    d.equal("alpha^2 vanishes with w for every kappa > 0.", p.alpha**2, lam * w**kappa * (1 - w), by="T10")
    d.equal("rho^2 does not depend on kappa, and runs over (0, oo).", p.ratio**2, w / (lam * (1 - w)), by="division")
    d.equal("w is the revealed fraction indeed.", revealed(p, lam), w, by="T8")
    own = drift_row(p, kappa * optimal_diffusion(p))
    d.equal(
        "Drift per unit of beta under kappa epsilon*: the coefficient of eta_X,", own["data"] / p.beta_dot, 1, by="T2"
    )
    d.equal(
        "and that of eta_Z, 0 at the start: the drift starts from eta_X, for every kappa > 0.",
        own["noise"] / p.beta_dot,
        -sqrt(lam * w / (1 - w)),
        by="T2, T3",
    )
    foreign = drift_row(p, other * optimal_diffusion(p))
    d.equal(
        "Under another multiple a term in w^(-1/2) is left: b is infinite at the start unless the multiples agree.",
        (foreign["noise"] - own["noise"]) / p.beta_dot,
        (kappa - other) * sqrt(lam) / ((1 + kappa) * sqrt(w * (1 - w))),
        by="T2, T3",
    )
    d.tends("The own coefficient does vanish.", -sqrt(lam * w / (1 - w)), w, Integer(0))

    d.say("kappa = 1, any increasing beta(t), any data:")
    b = d.function("beta", "unit increasing")(t)
    q = Pair.of(sqrt(lazy_alpha_squared(one, lam, b)), b, t)
    formula = combine(q.state, row(q, "data"), drift_row(q, optimal_diffusion(q)))
    d.equal("The drift by the denoiser.", formula(x, eta), diff(b, t) * (eta - x) / (1 - b), by="T1, T2")
    drift = (eta - x) / (1 - t)
    d.equal("With beta = t it is the Foellmer drift.", formula(x, eta).subs(b, t).doit(), drift, by="substitution")
    d.equal(
        "At (0, 0) it is eta_X, which there is E[X] since I_0 = 0 tells nothing.",
        drift.subs({t: 0, x: 0}),
        eta,
        by="substitution",
    )
    s, x0 = d.symbol("s", 0, 1), d.real("x0")
    frozen = eta + (x0 - eta) * (1 - t) / (1 - s)
    d.equal(
        "With eta_X frozen at s the path is a straight line,",
        diff(frozen, t),
        drift.subs(x, frozen),
        by="differentiation",
    )
    d.equal("from x0,", frozen.subs(t, s), x0, by="substitution")
    d.equal("and lands on eta_X.", frozen.subs(t, 1), eta, by="substitution")
    return d.proof()


if __name__ == "__main__":
    run_script(prove)

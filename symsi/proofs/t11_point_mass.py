"""T11: point-mass schedules and their limits."""

from sympy import Integer, diff, exp, sqrt

from symsi.algebra.proof import Derivation, Proof
from symsi.interpolants.lazy import lazy_alpha_squared
from symsi.interpolants.rows import Pair, combine
from symsi.proofs import run_script
from symsi.proofs.setting import increasing_ratio
from symsi.theory.diffusion import optimal_diffusion
from symsi.theory.fields import drift_row, row
from symsi.theory.gaussian import revealed
from symsi.theory.rules import scale


def prove() -> Proof:
    """Prove the start and the end of point-mass schedules: what vanishes, what stays finite, what diverges."""
    d = Derivation(
        "T11",
        "Point-mass limits",
        "Let the target start at a point mass, alpha_bar, beta_bar, rho_bar -> 0 with t, and the base at noise, "
        "alpha -> 1, beta -> 0.",
        "Damsholt, Frellsen, Ditlevsen 2026; Foellmer 1985 for the drift at the start",
    )
    d.claim("a", "tau -> 0.")
    d.claim("b", "I_bar -> 0 and c -> 0.")
    d.claim("c", "X_bar/c -> N(0, I).")
    d.claim("d", "On the lazy family of kappa, under kappa epsilon*, the drift by beta has the limit eta_X.")
    d.claim("e", "Under another multiple of epsilon* it diverges as w^(-1/2), as the velocity does.")
    d.claim("f", "By w, kappa epsilon* is half the growth of lambda w^kappa; for kappa = 1 it is lambda/2 by beta.")
    d.claim("g", "At t -> 1 the coefficient of eta_Z diverges as (1 - w)^(-1/2), of eta_X it is 1.")
    d.claim("h", "kappa = 1, any data: b = beta' (eta_X - x)/(1 - beta), for beta = t the Foellmer drift.")
    d.claim("i", "At the start eta_X -> E[X], so b(0, 0) = E[X].")
    d.claim("j", "A step with eta_X frozen ends on eta_X.")
    t, x, z, data = d.symbol("t", 0, 1), d.real("x"), d.real("Z"), d.real("X")
    lam, kappa, other, w = d.symbol("lamda"), d.symbol("kappa"), d.real("excess"), d.symbol("w", 0, 1)
    zero, one = Integer(0), Integer(1)

    u, h, part, time = (d.symbol("u", 0, 1), d.symbol("h"), d.symbol("sigma", 0, 1), d.symbol("tau"))
    ratio = increasing_ratio(d, u).ratio
    d.say("Let delta = tau + h be later than tau; sigma runs from 0 to 1.")
    d.positive(
        "rho(tau) < rho(delta): so tau < delta as soon as rho_bar < rho(delta), for each delta > 0.",
        diff(ratio.subs(u, time + part * h), part),
        h * diff(ratio, u).subs(u, time + part * h),
        "T4",
        "a",
    )
    r = d.symbol("r", 0, 1)
    d.tends("For the linear base tau is an explicit function of the ratio r.", r / (1 + r), r, zero, proves="a")
    a, b, g = d.symbol("a", 0, 1), d.symbol("b", 0, 1), d.symbol("g", -1, 1)
    d.say(
        "At each t let r be the largest of alpha_bar, of the ratio rho_bar = rho and of |alpha - 1|: they are r a, r b "
        "and r |g| with a, b, |g| at most 1, and r -> 0."
    )
    target, base = Pair.of(r * a, r * b * r * a, r), Pair.of(1 + r * g, r * b * (1 + r * g), r)
    d.tends("The interpolant.", target.state(noise=z, data=data), r, zero, proves="b")
    d.tends("The scale, as coded.", scale(base, target), r, zero, proves="b")
    over = target.state(noise=z, data=data) / scale(base, target)
    d.equal("X_bar/c is X_tau,", over, base.state(noise=z, data=data), "T4", "c")
    d.tends("which tends to Z ~ N(0, I), whatever X is.", over, r, z, proves="c")

    d.say("The lazy family in the revealed fraction w: beta = w^((1 + kappa)/2).")
    beta = w ** ((1 + kappa) / 2)
    p = Pair.of(sqrt(lazy_alpha_squared(kappa, lam, beta)), beta, w)
    d.equal("w is the revealed fraction indeed.", revealed(p, lam), w, "T8", ("d", "e"))
    own, foreign = drift_row(p, kappa * optimal_diffusion(p)), drift_row(p, (kappa + other) * optimal_diffusion(p))
    by_noise = -sqrt(lam * w / (1 - w))
    d.equal("Drift by beta: the coefficient of eta_X,", own["data"] / p.beta_dot, 1, "T2", ("d", "g"))
    d.equal("and that of eta_Z,", own["noise"] / p.beta_dot, by_noise, "T2, T3", ("d", "g"))
    d.tends("which vanishes at the start,", by_noise, w, zero, proves="d")
    d.tends("and diverges at the end.", by_noise * sqrt(1 - w), w, -sqrt(lam), side=-1, end=1, proves="g")
    extra = -other * sqrt(lam) / ((1 + kappa) * sqrt(w * (1 - w)))
    d.equal(
        "Another multiple, kappa + excess, adds", (foreign["noise"] - own["noise"]) / p.beta_dot, extra, "T2, T3", "e"
    )
    d.tends("which diverges;", extra * sqrt(w), w, -other * sqrt(lam) / (1 + kappa), proves="e")
    d.equal(
        "the velocity is the multiple 0.",
        row(p, "velocity")["noise"] / p.beta_dot,
        by_noise + extra.subs(other, -kappa),
        "T3",
        "e",
    )
    by_beta = lam * kappa / (1 + kappa) * w ** ((kappa - 1) / 2)
    d.equal("The diffusion by beta.", kappa * optimal_diffusion(p) / p.beta_dot, by_beta, "T3", "f")
    d.equal(
        "By w it is half the growth of lambda w^kappa.",
        kappa * optimal_diffusion(p),
        diff(lam * w**kappa, w) / 2,
        "T3",
        "f",
    )

    clock = d.function("beta", "unit increasing")(t)
    q = Pair.of(sqrt(lazy_alpha_squared(one, lam, clock)), clock, t)
    d.equal("For kappa = 1, at any t.", optimal_diffusion(q) / q.beta_dot, lam / 2, "T3", "f")
    eta, formula = d.real("eta_X"), combine(q.state, row(q, "data"), drift_row(q, optimal_diffusion(q)))
    d.equal("The drift by the denoiser.", formula(x, eta), diff(clock, t) * (eta - x) / (1 - clock), "T1, T2", "h")
    plain = Pair.of(sqrt(lazy_alpha_squared(one, lam, t)), t, t)
    foellmer = combine(plain.state, row(plain, "data"), drift_row(plain, optimal_diffusion(plain)))
    d.equal("With beta = t.", foellmer(x, eta), (eta - x) / (1 - t), "T1, T2", "h")
    weights, y = (d.symbol("q_1"), d.symbol("q_2")), d.real("y")
    places = (d.real("X_1"), d.real("X_2"))
    likely = [n * exp(-((y - r * b) ** 2) / 2) for n, b in zip(weights, places, strict=True)]
    mean = sum(k * b for k, b in zip(likely, places, strict=True)) / sum(likely)
    d.say("On two points of weights q_1, q_2, at x = alpha y and ratio r, eta_X is by Bayes' rule", mean)
    expected = sum(n * b for n, b in zip(weights, places, strict=True)) / sum(weights)
    d.positive("It is continuous, its denominator being positive,", sum(likely), sum(likely), "sum", "i")
    d.equal("and at r = 0 it forgets y.", mean.subs(r, 0), expected, "substitution", "i")
    d.tends("The drift there, per Foellmer's formula.", foellmer(t * y, eta), t, eta, proves="i")
    s, x0 = d.symbol("s", 0, 1), d.real("x0")
    frozen = eta + (x0 - eta) * (1 - t) / (1 - s)
    d.equal(
        "With eta_X frozen at s the path is a straight line,",
        diff(frozen, t),
        foellmer(frozen, eta),
        "differentiation",
        "j",
    )
    d.equal("from x0,", frozen.subs(t, s), x0, "substitution", "j")
    d.tends("which ends on eta_X.", frozen, t, eta, side=-1, end=1, proves="j")
    return d.proof()


if __name__ == "__main__":
    run_script(prove)

"""T11: point-mass schedules and their limits."""

from sympy import Integer, Rational, diff, exp, expand, sqrt

from symsi.algebra.proof import Derivation, Proof
from symsi.interpolants.lazy import lazy_alpha_squared
from symsi.interpolants.rows import Pair, combine
from symsi.proofs import run_script
from symsi.proofs.setting import increasing_ratio
from symsi.theory.diffusion import optimal_diffusion
from symsi.theory.fields import drift_row, row
from symsi.theory.gaussian import revealed
from symsi.theory.rules import scale

HALF = Rational(1, 2)


def prove() -> Proof:
    """Prove the start and the end of point-mass schedules: what vanishes, what stays finite, what diverges."""
    d = Derivation(
        "T11",
        "Point-mass limits",
        "Let the target start at a point mass, alpha_bar, beta_bar, rho_bar -> 0 with t, and the base at noise, "
        "alpha -> 1, beta -> 0.",
        "Damsholt, Frellsen, Ditlevsen 2026; Foellmer 1985 for the drift at the start",
    )
    d.claim("a", "tau -> 0: for each delta in (0, 1), tau < delta as soon as rho_bar < rho(delta).")
    d.claim("b", "I_bar -> 0 and c -> 0.")
    d.claim("c", "X_bar/c -> N(0, I).")
    d.claim(
        "d",
        "On the lazy family of kappa, under kappa epsilon*, the drift by beta has the limit eta_X: the coefficient of "
        "eta_Z vanishes.",
    )
    d.claim("e", "Under another multiple of epsilon* it diverges as w^(-1/2), as the velocity does.")
    d.claim("f", "By w, kappa epsilon* is half the growth of lambda w^kappa; for kappa = 1 it is lambda/2 by beta.")
    d.claim("g", "At t -> 1 the coefficient of eta_Z diverges as (1 - w)^(-1/2), of eta_X it is 1.")
    d.claim("h", "kappa = 1, any data: b = beta' (eta_X - x)/(1 - beta), for beta = t the Foellmer drift.")
    d.claim(
        "i",
        "At x = alpha y, eta_X = E[X k]/E[k] with k = exp(-(y - rho X)^2/2): k <= 1, and where rho -> 0 it forgets X.",
    )
    d.claim("j", "So eta_X -> E[X] at the start, for any X of finite mean.")
    d.claim(
        "k", "Then b(0, 0) = E[X]: (b - E[X])^2 <= 12 ((eta_X - E[X])^2 + x^2 + t^2 E[X]^2) for t < 1/2 and beta = t."
    )
    d.claim("l", "A step with eta_X frozen ends on eta_X.")
    t, x, z, data = d.symbol("t", 0, 1), d.real("x"), d.real("Z"), d.real("X")
    lam, kappa, other, w = d.symbol("lamda"), d.symbol("kappa"), d.real("excess"), d.symbol("w", 0, 1)
    zero, one = Integer(0), Integer(1)

    u, h, part, delta = (d.symbol("u", 0, 1), d.symbol("h"), d.symbol("sigma", 0, 1), d.symbol("delta", 0, 1))
    ratio = increasing_ratio(d, u).ratio
    d.say(
        "Suppose tau = delta + h, later than delta; sigma runs from 0 to 1. rho(delta) > 0, so rho_bar falls below it."
    )
    d.positive(
        "rho increases from delta to tau, so that rho_bar = rho(tau) > rho(delta).",
        diff(ratio.subs(u, delta + part * h), part),
        h * diff(ratio, u).subs(u, delta + part * h),
        "T4",
        "a",
    )
    bound, size = d.symbol("B"), d.symbol("q")
    d.tends("What is at most B q vanishes with q.", bound * size, size, zero, proves=("b", "c", "k"))
    alpha, alpha_bar, rho = (d.function(name)(t) for name in ("alpha", "alpha_bar", "rho_bar"))
    base, target = Pair.of(alpha, rho * alpha, t), Pair.of(alpha_bar, rho * alpha_bar, t)
    d.say("Now take all as functions of t, the base's at tau. In each coordinate, with q = alpha_bar^2 + beta_bar^2:")
    d.equal(
        "I_bar^2 <= q (Z^2 + X^2), for every Z and X.",
        target.state(noise=z, data=data) ** 2,
        (target.alpha**2 + target.beta**2) * (z**2 + data**2) - (target.alpha * data - target.beta * z) ** 2,
        "Lagrange's identity",
        "b",
    )
    margin = d.symbol("margin")
    near = Pair.of(HALF + margin - base.beta, base.beta, t)
    d.positive(
        "As soon as alpha + beta = 1/2 + margin > 1/2, c < 2 q with q = alpha_bar + beta_bar.",
        2 * (target.alpha + target.beta) - scale(near, target),
        4 * margin * (target.alpha + target.beta) / (1 + 2 * margin),
        "c as coded",
        "b",
    )
    found, wanted = target.state(noise=z, data=data) / scale(base, target), base.state(noise=z, data=data)
    d.equal("X_bar/c is X_tau,", found, wanted, "T4", "c")
    d.equal(
        "and (X_tau - Z)^2 <= q (Z^2 + X^2) with q = (alpha - 1)^2 + beta^2: it tends to Z ~ N(0, I) path by path.",
        (wanted - z) ** 2,
        ((alpha - 1) ** 2 + base.beta**2) * (z**2 + data**2) - ((alpha - 1) * data - base.beta * z) ** 2,
        "Lagrange's identity",
        "c",
    )

    d.say("The lazy family in the revealed fraction w: beta = w^((1 + kappa)/2).")
    beta = w ** ((1 + kappa) / 2)
    p = Pair.of(sqrt(lazy_alpha_squared(kappa, lam, beta)), beta, w)
    d.equal("w is the revealed fraction indeed.", revealed(p, lam), w, "T8", ("d", "e"))
    own, foreign = drift_row(p, kappa * optimal_diffusion(p)), drift_row(p, (kappa + other) * optimal_diffusion(p))
    by_noise = -sqrt(lam * w) / sqrt(1 - w)
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
    n, y, r = d.symbol("n"), d.real("y"), d.symbol("r", 0, 1)
    at, k = alpha * y, exp(-((y - r * data) ** 2) / 2)
    d.equal(
        "The density of x given X, T2's, is k but for a factor without X:",
        exp(-(((at - base.beta * data) / alpha) ** 2) / 2),
        k.subs(r, rho),
        "Bayes' rule",
        "i",
    )
    away = base.state(noise=n, data=data)
    d.positive(
        "it falls with the distance n of y from rho X, from 1 at n = 0,",
        -diff(exp(-(((away - base.beta * data) / alpha) ** 2) / 2), n),
        n * exp(-(n**2) / 2),
        "differentiation",
        "i",
    )
    d.tends(
        "and where rho -> 0 it tends to a number without X.",
        exp(expand(-((y - r * data) ** 2) / 2)),
        r,
        exp(-(y**2) / 2),
        proves="i",
    )
    d.cite("j", "dominated convergence, by |X| for E[X k] and by 1 for E[k]", "Billingsley 1995, Theorem 16.4")
    eta_t, x_t, mean, early = (
        d.function("eta_t", "any")(t),
        d.function("x_t", "any")(t),
        d.real("m"),
        d.symbol("e", 0, HALF),
    )
    d.say("Let eta_X and x be any functions of t on the way, m = E[X], and q = (eta_X - m)^2 + x^2 + t^2 m^2.")
    d.equal(
        "(b - m)^2 <= 3 q/(1 - t)^2,",
        (foellmer(x_t, eta_t) - mean) ** 2 * (1 - t) ** 2,
        3 * ((eta_t - mean) ** 2 + x_t**2 + (t * mean) ** 2)
        - (eta_t - mean + x_t) ** 2
        - (x_t + t * mean) ** 2
        - (eta_t - mean - t * mean) ** 2,
        "three squares, (h)",
        "k",
    )
    d.positive(
        "which is below 12 q for t = e < 1/2.",
        12 * size - 3 * size / (1 - early) ** 2,
        3 * size * (1 - 2 * early) * (3 - 2 * early) / (1 - early) ** 2,
        "factors",
        "k",
    )
    s, x0 = d.symbol("s", 0, 1), d.real("x0")
    frozen = eta + (x0 - eta) * (1 - t) / (1 - s)
    d.equal(
        "With eta_X frozen at s the path is a straight line,",
        diff(frozen, t),
        foellmer(frozen, eta),
        "differentiation",
        "l",
    )
    d.equal("from x0,", frozen.subs(t, s), x0, "substitution", "l")
    d.tends("which ends on eta_X.", frozen, t, eta, side=-1, end=1, proves="l")
    return d.proof()


if __name__ == "__main__":
    run_script(prove)

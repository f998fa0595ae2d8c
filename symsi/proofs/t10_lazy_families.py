"""T10: the schedules whose drift vanishes on Gaussian data."""

from sympy import Eq, Function, Integer, Symbol, diff, dsolve, solve, sqrt

from symsi.algebra.proof import Derivation, Proof
from symsi.interpolants.lazy import lazy_alpha_squared, lazy_diffusion
from symsi.interpolants.rows import Pair
from symsi.proofs import run_script
from symsi.theory.diffusion import optimal_diffusion
from symsi.theory.gaussian import gaussian_drift


def prove() -> Proof:
    """Solve the lazy condition for the schedule, and prove that the drift vanishes on the solutions and only there."""
    d = Derivation(
        "T10",
        "The lazy families",
        "Let epsilon = kappa epsilon* with kappa >= 0, and let beta increase from 0 to 1.",
        "Damsholt, Frellsen, Ditlevsen 2026 for kappa = 0 and 1",
    )
    d.claim("a", "With beta as the clock and A = alpha^2 the lazy condition (T9) is a linear equation for A.")
    d.claim("b", "Its solutions are A = C beta^(2 kappa/(1 + kappa)) - lambda beta^2, and no others.")
    d.claim("c", "alpha = 0 at beta = 1 leaves alpha^2 = lambda (beta^(2 kappa/(1 + kappa)) - beta^2).")
    d.claim("d", "It is a schedule: alpha^2 > 0 and rho' > 0 for 0 < beta < 1, for kappa > 0 and for kappa = 0.")
    d.claim("e", "Its drift vanishes on N(0, lambda I) at every x and t, for any increasing beta(t).")
    d.claim("f", "kappa = 0 preserves the variance lambda, and starts from sqrt(lambda) Z.")
    d.claim("g", "kappa > 0 is a point mass at the start: alpha_0 = beta_0 = 0.")
    d.claim(
        "h", "kappa = 1 is alpha^2 = lambda beta (1 - beta), with epsilon* = lambda beta'/2: constant for beta = t."
    )
    t, x = d.symbol("t", 0, 1), d.real("x")
    lam, kappa, clock = d.symbol("lamda"), d.symbol("kappa"), d.symbol("beta", 0, 1)

    square = d.function("A")(clock)
    p = Pair.of(sqrt(square), clock, clock)
    slope = 2 * (kappa * square / clock - lam * clock) / (1 + kappa)
    d.equal(
        "kappa epsilon* less the lazy diffusion, both as coded, is 0 where A' is this slope.",
        kappa * optimal_diffusion(p) - lazy_diffusion(p, lam),
        (1 + kappa) / 2 * (slope - diff(square, clock)),
        "chain rule, T3, T9",
        "a",
    )
    k, l, b = (Symbol(n, positive=True) for n in ("kappa", "lamda", "beta"))
    unknown = Function("A")(b)
    solution = dsolve(Eq(k * unknown / b - l * b - (1 + k) / 2 * diff(unknown, b), 0), unknown, simplify=False).rhs
    general, constant = solution.subs({k: kappa, l: lam, b: clock}), d.symbol("C1")
    power = 2 * kappa / (1 + kappa)
    d.equal("What dsolve finds has this slope;", diff(general, clock), slope.subs(square, general), "dsolve", "b")
    d.equal(
        "and every solution is of its form: (A + lambda beta^2)/beta^(2 kappa/(1 + kappa)) cannot change.",
        diff((square + lam * clock**2) / clock**power, clock).subs(diff(square, clock), slope),
        0,
        "quotient rule",
        "b",
    )
    family = lazy_alpha_squared(kappa, lam, clock)
    (at_one,) = solve(general.subs(clock, 1), constant)
    d.equal(
        "The constant that makes A vanish at beta = 1 gives the family as coded,",
        general.subs(constant, at_one),
        family,
        "A(1) = 0",
        "c",
    )
    d.equal("whose slope it has.", diff(family, clock), slope.subs(square, family), "differentiation", "c")

    w = d.symbol("w", 0, 1)
    q = Pair.of(sqrt(lazy_alpha_squared(kappa, lam, w ** ((1 + kappa) / 2))), w ** ((1 + kappa) / 2), w)
    d.say("Write beta = w^((1 + kappa)/2), 0 < w < 1: w grows with beta.")
    d.positive("kappa > 0: alpha^2.", q.alpha**2, lam * w**kappa * (1 - w), "powers", ("d", "g"))
    d.positive("The slope of beta.", q.beta_dot, (1 + kappa) / 2 * w ** ((kappa - 1) / 2), "powers", "d")
    d.positive("The slope of rho^2.", diff(q.ratio**2, w), 1 / (lam * (1 - w) ** 2), "quotient rule", "d")

    beta = d.function("beta_t", "unit increasing")(t)
    lazy = Pair.of(sqrt(lazy_alpha_squared(kappa, lam, beta)), beta, t)
    drift = gaussian_drift(lazy, kappa * optimal_diffusion(lazy), x, Integer(0), lam)
    d.equal("The coded drift under kappa epsilon*.", drift, 0, "T8", "e")
    still = Pair.of(sqrt(lazy_alpha_squared(Integer(0), lam, beta)), beta, t)
    mean = d.real("m")
    ode = gaussian_drift(still, Integer(0), x, mean, lam)
    d.equal("kappa = 0, with a mean: only the mean moves.", ode, still.beta_dot * mean, "T8", "e")
    d.positive("Its alpha^2.", still.alpha**2, lam * (1 - beta) * (1 + beta), "factors", "d")
    growth = 2 * beta * diff(beta, t) / (lam * ((1 - beta) * (1 + beta)) ** 2)
    d.positive("Its slope of rho^2.", diff(still.ratio**2, t), growth, "quotient rule", "d")
    d.equal("kappa = 0.", lazy_alpha_squared(Integer(0), lam, beta) + lam * beta**2, lam, "expansion", "f")
    kept = sqrt(lazy_alpha_squared(Integer(0), lam, w))
    d.tends("alpha at beta = w -> 0.", kept, w, sqrt(lam), proves="f")
    d.positive(
        "kappa > 0: alpha^2 < lambda w^kappa,", lam * w**kappa - q.alpha**2, lam * w ** (kappa + 1), "powers", "g"
    )
    d.positive("beta^2 < w^kappa,", w**kappa - q.beta**2, w**kappa * (1 - w), "powers", "g")
    delta = d.symbol("delta")
    d.equal(
        "and w^kappa is delta at w = delta^(1/kappa): it goes to 0 with w.",
        (w**kappa).subs(w, delta ** (1 / kappa)),
        delta,
        "powers",
        "g",
    )
    d.tends("So both vanish at the start.", lam * delta, delta, Integer(0), proves="g")
    point = Pair.of(sqrt(lazy_alpha_squared(Integer(1), lam, beta)), beta, t)
    d.equal("kappa = 1.", point.alpha**2, lam * beta * (1 - beta), "expansion", "h")
    d.equal("Its optimal diffusion, as coded.", optimal_diffusion(point), lam * diff(beta, t) / 2, "T3", "h")
    return d.proof()


if __name__ == "__main__":
    run_script(prove)

"""T10: all lazy schedules under epsilon = kappa epsilon*."""

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
        "With epsilon = kappa epsilon*, kappa >= 0, the schedules whose drift vanishes on N(0, lambda I) are exactly "
        "alpha^2 = lambda (beta^(2 kappa/(1 + kappa)) - beta^2), beta any increasing function onto [0, 1].",
        "Damsholt, Frellsen, Ditlevsen 2026 for kappa = 0 and 1",
    )
    t, x = d.symbol("t", 0, 1), d.real("x")
    lam, kappa, clock, constant = d.symbol("lamda"), d.symbol("kappa"), d.symbol("beta", 0, 1), d.symbol("C1")

    d.say("beta increases, so it can serve as the clock: write alpha^2 = A(beta).")
    square = d.function("A")(clock)
    p = Pair.of(sqrt(square), clock, clock)
    gap = kappa * optimal_diffusion(p) - lazy_diffusion(p, lam)
    d.equal(
        "The lazy condition (T9) is a linear equation for A.",
        gap,
        kappa * square / clock - lam * clock - (1 + kappa) / 2 * diff(square, clock),
        by="chain rule",
    )
    k, l, b = (Symbol(n, positive=True) for n in ("kappa", "lamda", "beta"))
    unknown = Function("A")(b)
    solution = dsolve(Eq(k * unknown / b - l * b - (1 + k) / 2 * diff(unknown, b), 0), unknown).rhs
    general = solution.subs({k: kappa, l: lam, b: clock})
    d.equal(
        "SymPy's dsolve gives its general solution; a first-order linear equation has no other.",
        general,
        constant * clock ** (2 * kappa / (1 + kappa)) - lam * clock**2,
        by="dsolve",
    )
    (at_one,) = solve(general.subs(clock, 1), constant)
    d.equal("alpha = 0 at beta = 1 fixes the constant.", at_one, lam, by="A(1) = 0")
    d.equal(
        "The family as coded.", general.subs(constant, lam), lazy_alpha_squared(kappa, lam, clock), by="substitution"
    )

    beta = d.function("beta_t", "unit increasing")(t)
    d.say("For any increasing beta(t) the drift is then identically zero, for every kappa >= 0 and lambda > 0:")
    family = Pair.of(sqrt(lazy_alpha_squared(kappa, lam, beta)), beta, t)
    d.equal(
        "Gaussian drift under kappa epsilon*.",
        gaussian_drift(family, kappa * optimal_diffusion(family), x, Integer(0), lam),
        0,
        by="T8",
    )
    d.equal(
        "kappa = 0: the variance is preserved.",
        lazy_alpha_squared(Integer(0), lam, beta) + lam * beta**2,
        lam,
        by="substitution",
    )
    point = Pair.of(sqrt(lazy_alpha_squared(Integer(1), lam, beta)), beta, t)
    d.equal("kappa = 1: alpha^2 = lambda beta (1 - beta).", point.alpha**2, lam * beta * (1 - beta), by="substitution")
    d.equal(
        "kappa = 1: the optimal diffusion is lambda beta'/2, constant for beta = t: X_t = sqrt(lambda) W_t.",
        optimal_diffusion(point),
        lam * diff(beta, t) / 2,
        by="T3",
    )
    return d.proof()


if __name__ == "__main__":
    run_script(prove)

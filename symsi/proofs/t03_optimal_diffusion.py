"""T3: the statistically optimal diffusion."""

from sympy import Rational, Symbol, diff, exp, integrate, log, oo, pi, sqrt

from symsi.algebra.proof import Derivation, Proof
from symsi.interpolants.rows import Pair
from symsi.proofs import run_script
from symsi.theory.diffusion import excess_cost, optimal_diffusion


def prove() -> Proof:
    """Prove that epsilon* minimises the path-measure KL of a score error, and what another scale costs."""
    d = Derivation(
        "T3",
        "The statistically optimal diffusion",
        "epsilon* = alpha^2 beta'/beta - alpha alpha' = alpha^2 rho'/rho. With a score error ds the path-measure KL "
        "rate is (epsilon* + epsilon)^2 |ds|^2/(4 epsilon), minimal exactly at epsilon = epsilon*, where it is "
        "epsilon* |ds|^2; at epsilon = kappa epsilon* it is (1 + kappa)^2/(4 kappa) times that.",
        "Damsholt, Frellsen, Ditlevsen 2026; Albergo, Boffi, Vanden-Eijnden 2023",
    )
    t = d.symbol("t", 0, 1)
    p = Pair.of(d.function("alpha", "positive decreasing")(t), d.function("beta", "positive increasing")(t), t)
    star = optimal_diffusion(p)
    d.equal("Two forms of epsilon*.", star, p.alpha**2 * p.beta_dot / p.beta - p.alpha * p.alpha_dot, by="algebra")
    d.equal(
        "It is the growth rate of log rho, in units of alpha^2, hence positive.",
        star,
        p.alpha**2 * diff(log(p.ratio), t),
        by="logarithmic derivative",
    )

    error, e, h = d.real("db"), d.symbol("epsilon"), d.symbol("h")
    d.say(
        "Girsanov, from one Euler step of length h: two Gaussians of variance 2 epsilon h whose means differ by db h."
    )
    z, var, gap = Symbol("z", real=True), Symbol("V", positive=True), Symbol("g", real=True)
    divergence = integrate(
        exp(-(z**2) / (2 * var)) / sqrt(2 * pi * var) * ((z - gap) ** 2 - z**2) / (2 * var), (z, -oo, oo)
    )
    d.equal(
        "KL of the step, divided by h, is |db|^2/(4 epsilon).",
        divergence.subs({var: 2 * e * h, gap: error * h}) / h,
        error**2 / (4 * e),
        by="Gaussian integral",
    )

    ds, best, x = d.real("ds"), d.symbol("epsilon_star"), d.real("x")
    score = d.real("s")
    growth = d.real("g")

    def drift(s: Symbol) -> Symbol:
        return growth * x + best * s + e * s  # T1: v = (beta'/beta) x + epsilon* s, then b = v + epsilon s

    d.equal(
        "A score error enters the drift twice: through the velocity, by T1, and through epsilon s.",
        drift(score + ds) - drift(score),
        (best + e) * ds,
        by="T1 and T2",
    )
    rate = ((best + e) * ds) ** 2 / (4 * e)
    d.equal(
        "The excess over epsilon = epsilon* is a square over a positive number, and zero only there.",
        rate - rate.subs(e, best),
        (e - best) ** 2 * ds**2 / (4 * e),
        by="complete the square",
    )
    d.equal("The minimum.", rate.subs(e, best), best * ds**2, by="substitution")
    kappa = d.symbol("kappa")
    d.equal(
        "The relative cost of epsilon = kappa epsilon*.",
        rate.subs(e, kappa * best) / rate.subs(e, best),
        excess_cost(kappa),
        by="substitution",
    )
    d.equal(
        "It is 1 at kappa = 1 and exceeds 1 elsewhere.",
        excess_cost(kappa) - 1,
        (1 - kappa) ** 2 * Rational(1, 4) / kappa,
        by="complete the square",
    )
    return d.proof()


if __name__ == "__main__":
    run_script(prove)

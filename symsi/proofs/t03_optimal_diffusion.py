"""T3: the statistically optimal diffusion."""

from sympy import Expr, Integer, Symbol, diff, exp, integrate, log, oo, pi, sqrt

from symsi.algebra.proof import Derivation, Proof
from symsi.proofs import run_script
from symsi.proofs.setting import increasing_ratio, schedule
from symsi.theory.diffusion import excess_cost, optimal_diffusion
from symsi.theory.fields import drift_row, predict


def prove() -> Proof:
    """Prove that epsilon* minimises the path-measure KL of a score error, and what another scale costs."""
    d = Derivation(
        "T3",
        "The statistically optimal diffusion",
        "Let a network's score be wrong by ds, and let drift and velocity follow from it by T1 and T2.",
        "Damsholt, Frellsen, Ditlevsen 2026; Albergo, Boffi, Vanden-Eijnden 2023",
    )
    d.claim("a", "epsilon* = alpha^2 beta'/beta - alpha alpha' = alpha^2 rho'/rho > 0.")
    d.claim("b", "The drift is wrong by db = (epsilon* + epsilon) ds, in each coordinate.")
    d.claim(
        "c", "Two diffusions of one epsilon whose drifts differ by db have the path-measure KL rate |db|^2/(4 epsilon)."
    )
    d.claim("d", "So the rate is (epsilon* + epsilon)^2 |ds|^2/(4 epsilon).")
    d.claim("e", "It is minimal exactly at epsilon = epsilon*, where it is epsilon* |ds|^2.")
    d.claim(
        "f", "At epsilon = kappa epsilon* it is (1 + kappa)^2/(4 kappa) times that, which exceeds 1 unless kappa = 1."
    )
    t, p = schedule(d)
    star = optimal_diffusion(p)
    d.equal("Two forms.", star, p.alpha**2 * p.beta_dot / p.beta - p.alpha * p.alpha_dot, "algebra", "a")
    d.equal(
        "The growth of log rho, in units of alpha^2.", star, p.alpha**2 * diff(log(p.ratio), t), "quotient rule", "a"
    )
    q = increasing_ratio(d, t)
    growth = q.alpha**2 * diff(q.ratio, t) / q.ratio
    d.positive("It is positive where rho increases.", optimal_diffusion(q), growth, "beta = rho alpha", "a")

    e, x = d.symbol("epsilon"), d.real("x")
    score = [d.real(f"s{i}") for i in range(3)]
    error = [d.real(f"ds{i}") for i in range(3)]

    def drift(s: Expr) -> Expr:
        return drift_row(p, e)(**{kind: predict(p, "score", kind)(x, s) for kind in ("noise", "data")})

    d.say("The drift as symsi codes it: both predictions from the score, then the drift's row.", drift(score[0]))
    db = [drift(s + ds) - drift(s) for s, ds in zip(score, error, strict=True)]
    for wrong, ds in zip(db, error, strict=True):
        d.equal(f"Error of the drift from {ds}.", wrong, (star + e) * ds, "T1, T2", "b")

    d.say("Girsanov, seen on a step of length h: Gaussians of variance 2 epsilon h whose means differ by db h.")
    z, var, gap, h = (Symbol("z", real=True), Symbol("V", positive=True), Symbol("g", real=True), d.symbol("h"))
    law = exp(-(z**2) / (2 * var)) / sqrt(2 * pi * var)
    divergence = integrate(law * ((z - gap) ** 2 - z**2) / (2 * var), (z, -oo, oo))
    size = d.real("db")
    d.equal(
        "KL of the step, divided by h; coordinates are independent and add.",
        divergence.subs({var: 2 * e * h, gap: size * h}) / h,
        size**2 / (4 * e),
        "Gaussian integral",
        "c",
    )
    d.cite("c", "Girsanov's theorem and the KL of path measures", "Girsanov 1960; Oeksendal 2003, Theorem 8.6.4")
    squared = sum((ds**2 for ds in error), Integer(0))
    rate = (star + e) ** 2 * squared / (4 * e)
    summed = sum((wrong**2 for wrong in db), Integer(0)) / (4 * e)
    d.equal("The rate of all coordinates.", summed, rate, "(b) in (c)", "d")
    d.equal(
        "The excess over epsilon = epsilon* is a square over a positive number, and zero only there.",
        rate - rate.subs(e, star),
        (e - star) ** 2 * squared / (4 * e),
        "complete the square",
        "e",
    )
    d.equal("The minimum.", rate.subs(e, star), star * squared, "substitution", "e")
    kappa = d.symbol("kappa")
    d.equal("The relative cost.", rate.subs(e, kappa * star), excess_cost(kappa) * star * squared, "substitution", "f")
    d.equal("Its excess over 1.", excess_cost(kappa) - 1, (1 - kappa) ** 2 / (4 * kappa), "complete the square", "f")
    return d.proof()


if __name__ == "__main__":
    run_script(prove)

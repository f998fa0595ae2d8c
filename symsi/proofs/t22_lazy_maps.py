"""T22: flow maps of Gaussian data in lazy coordinates."""

from sympy import Expr, Integer, Symbol, cos, diff, sin, sqrt

from symsi.algebra.proof import Derivation, Proof
from symsi.interpolants.rows import Pair
from symsi.proofs import run_script
from symsi.proofs.setting import schedule
from symsi.theory.flow_map import slope
from symsi.theory.gaussian import flow_map, gaussian_field, marginal_variance


def prove() -> Proof:
    """Prove that the exact map of Gaussian data is the identity in (modal) lazy coordinates."""
    d = Derivation(
        "T22",
        "Lazy maps",
        "Let X ~ N(0, lambda) in a mode, S = alpha^2 + beta^2 lambda, and X_{s,t} the map of T8.",
        "derived for symsi",
    )
    d.claim("schedule", "Under a schedule with alpha^2 = lambda (1 - beta^2) (T10, kappa = 0) X_{s,t} is the identity.")
    d.claim("average", "So u = 0, and a map network has only what is not Gaussian to learn.")
    d.claim("modal", "In y = sqrt(lambda/S) x (T12, kappa = 0) it is the identity in every mode, under any schedule.")
    d.claim(
        "floor",
        "The floor of the velocity's regression, (alpha' beta - alpha beta')^2 lambda/S, is lambda in the angle.",
    )
    t, p = schedule(d)
    s, x, lam = d.symbol("s", 0, 1), d.real("x"), d.symbol("lamda")
    beta = d.function("w", "unit")(t)
    lazy = Pair.of(sqrt(lam) * sqrt(1 - beta**2), beta, t)
    moved = flow_map(lazy.at(s, t), lazy, x, Integer(0), lam)
    d.equal("The map as coded, with S = lambda at any time.", moved, x, "T8, T10", "schedule")
    d.equal("Its mean velocity.", slope(moved, x, s, t), 0, "substitution", "average")
    start = p.at(s, t)
    inner, outer = (sqrt(marginal_variance(pair, lam) / lam) for pair in (start, p))
    d.equal("From y to y.", flow_map(start, p, inner * x, Integer(0), lam) / outer, x, "T8, T12", "modal")
    angle = d.symbol("theta", 0, 1)
    from_angle = _by_angle(lam, angle)
    floor = (
        (from_angle.alpha_dot * from_angle.beta - from_angle.alpha * from_angle.beta_dot) ** 2
        * lam
        / marginal_variance(from_angle, lam)
    )
    d.equal("At alpha = sqrt(lambda) cos theta, beta = sin theta.", floor, lam, "cos^2 + sin^2 = 1", "floor")
    v = gaussian_field(p, "velocity", x, Integer(0), lam)
    noise, data = d.real("z"), d.real("X_1")
    at = (p.alpha_dot * noise + p.beta_dot * data) - v.subs(x, p.alpha * noise + p.beta * data)
    off = diff(at, noise), diff(at, data)
    d.equal(
        "The floor is E|I' - v|^2 of independent parts of variance 1 and lambda.",
        off[0] ** 2 + lam * off[1] ** 2,
        (p.alpha_dot * p.beta - p.alpha * p.beta_dot) ** 2 * lam / marginal_variance(p, lam),
        "T8",
        "floor",
    )
    return d.proof()


def _by_angle(lam: Expr, angle: Symbol) -> Pair:
    return Pair.of(sqrt(lam) * cos(angle), sin(angle), angle)


if __name__ == "__main__":
    run_script(prove)

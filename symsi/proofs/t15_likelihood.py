"""T15: the likelihood along the ODE, and what errors of a drift cost in it."""

from sympy import Expr, diff, log

from symsi.algebra.proof import Derivation, Proof
from symsi.proofs import run_script
from symsi.theory.rescaling import rescaled_field


def prove() -> Proof:
    """Prove d log p = -div v dt along the ODE, and the rate at which two laws part under two drifts."""
    d = Derivation(
        "T15",
        "Likelihood",
        "Let p be carried by v, dp/dt = -div(v p), and dX = v dt; let q be another density.",
        "Albergo, Boffi, Vanden-Eijnden 2023 (arXiv:2303.08797); Chen et al. 2018",
    )
    d.claim("a", "d log p_t(X_t) = -div v(X_t) dt.")
    d.claim(
        "b",
        "If p and q solve Fokker-Planck equations of drifts b and c and one epsilon, then up to a divergence "
        "d(p log(p/q))/dt = p (b - c) g - epsilon p g^2, where g = grad log(p/q).",
    )
    d.claim("c", "For epsilon > 0 this is at most p (b - c)^2/(4 epsilon), with equality at g = (b - c)/(2 epsilon).")
    d.claim("d", "So KL(p_1 | q_1) <= KL(p_0 | q_0) + (1/4 epsilon) int E|b - c|^2 dt for the SDE.")
    d.claim("e", "For the ODE it is p (b - c) g: a small error of v bounds nothing without the score of the model.")
    d.claim("f", "The density of c X_tau is p(tau, x/c)/c^d: its logarithm is shifted by d log c, and it is carried.")
    t, x, y = d.symbol("t", 0, 1), d.real("x"), d.real("y")
    p = d.function("p")(t, x, y)
    v = [d.function(name, "any")(t, x, y) for name in ("v", "w")]
    carried = -sum(diff(f * p, a) for f, a in zip(v, (x, y), strict=True))
    d.say("In two dimensions, along dX = v dt:")
    along = diff(log(p), t).subs(diff(p, t), carried) + sum(f * diff(log(p), a) for f, a in zip(v, (x, y), strict=True))
    d.equal("The total derivative of log p.", along, -diff(v[0], x) - diff(v[1], y), "continuity equation", "a")
    _parting(d, t, x)
    _rescaled(d, x)
    return d.proof()


def _parting(d: Derivation, t: Expr, x: Expr) -> None:
    """d/dt of p log(p/q), coordinate by coordinate, with the flux whose divergence integrates to 0."""
    here, there = d.function("p_t")(t), d.function("q_t")(t)
    chained = (log(here / there) + 1) * diff(here, t) - here / there * diff(there, t)
    d.equal("At one place, the chain rule.", diff(here * log(here / there), t), chained, "differentiation", ("b", "e"))
    p, q = d.function("P")(x), d.function("Q")(x)
    b, c, epsilon = d.function("b", "any")(x), d.function("c_drift", "any")(x), d.symbol("epsilon")
    g = diff(log(p), x) - diff(log(q), x)

    def moved(density: Expr, drift: Expr, size: Expr) -> Expr:
        return -diff(drift * density, x) + size * diff(density, x, 2)

    for size, keys in ((epsilon, "b"), (0 * epsilon, "e")):
        rate = (log(p / q) + 1) * moved(p, b, size) - p / q * moved(q, c, size)
        flux = (size * diff(p, x) - b * p) * (log(p / q) + 1) + c * p - size * p * diff(q, x) / q
        d.equal(
            "At one time, in one coordinate: a divergence, and "
            + ("the error times g." if keys == "e" else "two terms."),
            rate,
            diff(flux, x) + p * (b - c) * g - size * p * g**2,
            "Fokker-Planck",
            keys,
        )
    slope, error = d.real("g"), d.real("e")
    level = d.symbol("E")
    d.equal(
        "Complete the square: what the bound leaves is a square.",
        error**2 / (4 * level) - (error * slope - level * slope**2),
        level * (slope - error / (2 * level)) ** 2,
        "expansion",
        "c",
    )
    d.cite(
        "d",
        "the flux vanishes at infinity, so that the divergence integrates to 0; for the paths, Girsanov's theorem",
        "Albergo, Boffi, Vanden-Eijnden 2023; Oeksendal 2003, section 8.6",
    )


def _rescaled(d: Derivation, x: Expr) -> None:
    """At one time, c, c' and tau' any numbers; l is the log-density of the base, f its velocity, both at (tau, x/c)."""
    c, speed, rate = d.symbol("c"), d.symbol("tau'"), d.real("c'")
    base, slope, flow = (d.function(name, "any")(x / c) for name in ("l", "l_dot", "f"))
    density = d.function("rho")(x / c)
    d.equal("Log of the density.", log(density / c), log(density) - log(c), "change of variables", "f")
    d.say("Its time slope, where l has the slope l_dot and x/c moves by -(c'/c^2) x:")
    moved = speed * slope - rate / c * x * diff(base, x) - rate / c
    velocity = rescaled_field("velocity", flow, x, c, rate, speed)
    d.equal(
        "What the rescaled velocity leaves of d log p + div v = 0 is a multiple of what the base's does.",
        moved + velocity * diff(base - log(c), x) + diff(velocity, x),
        speed * (slope + flow * c * diff(base, x) + c * diff(flow, x)),
        "(a), chain rule",
        "f",
    )


if __name__ == "__main__":
    run_script(prove)

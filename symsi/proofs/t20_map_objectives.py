"""T20: where the objectives of flow maps vanish, and how far off they are elsewhere."""

from sympy import Expr, Symbol, diff

from symsi.algebra.proof import Derivation, Proof
from symsi.proofs import run_script
from symsi.proofs.setting import schedule
from symsi.theory.flow_map import displacement, eulerian, lagrangian, semigroup, slope
from symsi.theory.gaussian import gaussian_field, marginal_variance


def prove() -> Proof:
    """Prove what each objective is at the exact map of Gaussian data and at one whose mean velocity is off by e."""
    d = Derivation(
        "T20",
        "Objectives of flow maps",
        "Let X ~ N(0, lambda) in a mode, g the square root of S = alpha^2 + beta^2 lambda, k = g'/g, and let a map "
        "have the mean velocity u + e, where u is that of X_{s,t}(x) = (g_t/g_s) x and e = 0 is exact. The velocity v "
        "is that of the teacher, and exact.",
        "derived for symsi; the objectives are those of Boffi, Albergo, Vanden-Eijnden 2024 and 2025",
    )
    d.claim("lmd", "The Lagrangian residual is e (1 - (t - s) k_t), against the map's own velocity -e (t - s) k_t.")
    d.claim("emd", "The Eulerian residual is -e, against the map's own velocity e (g_t/g_s - 1).")
    d.claim("psd", "The mean velocity less that of two steps is -e (q - s)/(t - s) (g_t/g_q - 1).")
    d.claim("inverse", "X_{s,t}(X_{t,s}(x)) - x is e (t - s)(1 - g_t/g_s).")
    d.claim("fmm", "d/dt X_{s,t} at X_{t,s}(x), less v, is e (1 - (t - s) k_t g_t/g_s).")
    d.claim("meanflow", "With I' for v the Eulerian residual of the exact map is (g_t/g_s)(I' - v), which has no e.")
    d.claim("floor", "E|u_{t,t} - I'|^2 = E|u_{t,t} - v|^2 + E|v - I'|^2, as E[I' | I] = v.")
    d.claim("slip", "With d/dt X_{s,t} at X_{s,t}(x) the Lagrangian residual there is k_t (g_t/g_s - 1) (g_t/g_s) x.")
    t, p = schedule(d)
    s, q, x, e, lam = d.symbol("s", 0, 1), d.symbol("q", 0, 1), d.real("x"), d.real("e"), d.symbol("lamda")
    size = d.function("g")
    v = gaussian_field(p, "velocity", x, 0 * x, lam)
    big = marginal_variance(p, lam)
    d.equal("The velocity is that of the growth of g.", v, diff(big, t) / (2 * big) * x, "T8", ("lmd", "emd"))
    d.say("So v = k x with k = S'/2S = g'/g.")

    def rate(time: Expr) -> Expr:
        r = Symbol("r_")
        return diff(size(r), r).subs(r, time).doit() / size(time)

    def map_of(start: Expr, stop: Expr, state: Expr, off: Expr) -> Expr:
        exact = slope(size(stop) / size(start) * state, state, start, stop)
        return displacement(state, start, stop, exact + off)

    moved, k = map_of(s, t, x, e), rate(t)
    d.equal("Lagrangian, as coded,", lagrangian(moved, k * moved, t), e * (1 - (t - s) * k), "differentiation", "lmd")
    d.equal("of its own velocity.", lagrangian(moved, k * moved + e, t), -e * (t - s) * k, "differentiation", "lmd")
    here = rate(s) * x
    d.equal("Eulerian, as coded,", eulerian(moved, here, x, s), -e, "differentiation", "emd")
    d.equal(
        "of its own velocity.", eulerian(moved, here + e, x, s), e * (size(t) / size(s) - 1), "differentiation", "emd"
    )
    two = map_of(q, t, map_of(s, q, x, e), e)
    d.equal(
        "Semigroup, as coded, over t - s.",
        semigroup(moved, two) / (t - s),
        -e * (q - s) / (t - s) * (size(t) / size(q) - 1),
        "substitution",
        "psd",
    )
    back = map_of(t, s, x, e)
    d.equal(
        "There and back.", map_of(s, t, back, e) - x, e * (t - s) * (1 - size(t) / size(s)), "substitution", "inverse"
    )
    y = d.real("y")
    d.equal(
        "Map matching.",
        diff(map_of(s, t, y, e), t).subs(y, back) - k * x,
        e * (1 - (t - s) * k * size(t) / size(s)),
        "differentiation",
        "fmm",
    )
    speed = d.real("w")
    d.equal(
        "MeanFlow's residual at the exact map, with w for I'.",
        eulerian(map_of(s, t, x, 0 * e), speed, x, s),
        size(t) / size(s) * (speed - here),
        "differentiation",
        "meanflow",
    )
    guess, mean, spread = d.real("a"), d.real("b"), d.real("c")
    mixed = ((guess - mean - spread) ** 2 + (guess - mean + spread) ** 2) / 2
    d.equal(
        "For I' = b +- c, in equal parts.", mixed, (guess - mean) ** 2 + spread**2, "the cross term has mean 0", "floor"
    )
    exact = size(t) / size(s) * x
    d.equal(
        "The slip, as coded but for its place.",
        diff(map_of(s, t, y, 0 * e), t).subs(y, exact) - k * exact,
        k * (size(t) / size(s) - 1) * size(t) / size(s) * x,
        "differentiation",
        "slip",
    )
    return d.proof()


if __name__ == "__main__":
    run_script(prove)

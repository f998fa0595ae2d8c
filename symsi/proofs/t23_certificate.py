"""T23: the error of a flow map, from its Eulerian residual along the teacher's paths."""

from sympy import diff, integrate

from symsi.algebra.proof import Derivation, Proof
from symsi.proofs import run_script
from symsi.theory.flow_map import displacement, eulerian


def prove() -> Proof:
    """Prove the identity, and the bound that follows."""
    d = Derivation(
        "T23",
        "The certificate of a flow map",
        "Let x_q solve dx/dq = v_q(x) from x_s to x_t, X_{q,t}(x) = x + (t - q) u any map, exact or not, and "
        "r_q = d/dq X_{q,t} + grad X_{q,t} v_q its Eulerian residual at x_q.",
        "derived for symsi; the bound without the identity is in Boffi, Albergo, Vanden-Eijnden 2024",
    )
    d.claim("slope", "d/dq X_{q,t}(x_q) = r_q.")
    d.claim("identity", "So X_{s,t}(x_s) - x_t = -int_s^t r_q dq, as X_{t,t}(x_t) = x_t.")
    d.claim("bound", "So E|X_{s,t}(x_s) - x_t|^2 <= (t - s) int_s^t E|r_q|^2 dq.")
    d.claim(
        "knots",
        "So too with differences d_k of X_{q,t}(x_q) between any knots for r: E|X_{s,t}(x_s) - x_t|^2 <= "
        "(t - s) sum_k E|d_k|^2/(q_{k+1} - q_k). A knot more can only raise it, and it is at most the integral's.",
    )
    d.cite("identity", "a function is the integral of its slope", "fundamental theorem of calculus")
    d.cite("bound", "(int r dq)^2 <= (t - s) int r^2 dq", "Cauchy, Schwarz")
    q, s, t = (d.symbol(n, 0, 1) for n in ("q", "s", "t"))
    x, v, h, u = d.real("x"), d.real("v"), d.real("h"), d.function("u", "any")
    d.say("Along a path x_{q+h} = x + h v + o(h), with v = v_q(x).")
    ahead = displacement(x + h * v, q + h, t, u(q + h, t, x + h * v))
    d.equal(
        "The slope of X_{q,t}(x_q) is the residual, as coded.",
        eulerian(displacement(x, q, t, u(q, t, x)), v, x, q),
        diff(ahead, h).subs(h, 0).doit().expand(),
        "chain rule",
        "slope",
    )
    a, b, k = d.real("a"), d.real("b"), d.symbol("k")
    wide = d.symbol("l")
    d.equal(
        "What a knot more adds, between changes a and b over times k and l: a square. Without any, it is the error.",
        a**2 / k + b**2 / wide - (a + b) ** 2 / (k + wide),
        (a * wide - b * k) ** 2 / (k * wide * (k + wide)),
        "common denominator",
        "knots",
    )
    level, tilt = d.real("r_0"), d.real("r_1")
    r = level + tilt * (q - (s + t) / 2)
    d.equal(
        "What the bound gives away, for a residual that is linear in q: a square, 0 for a constant one.",
        (t - s) * integrate(r**2, (q, s, t)) - integrate(r, (q, s, t)) ** 2,
        tilt**2 * (t - s) ** 4 / 12,
        "integration",
        "bound",
    )
    return d.proof()


if __name__ == "__main__":
    run_script(prove)

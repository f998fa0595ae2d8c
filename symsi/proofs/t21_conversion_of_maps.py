"""T21: the flow map of the target from that of the base."""

from sympy import Integer, diff

from symsi.algebra.proof import Derivation, Proof
from symsi.proofs import run_script
from symsi.proofs.setting import conversion
from symsi.theory.flow_map import converted, covariance, displacement, eulerian, lagrangian, semigroup, slope
from symsi.theory.rules import field_in


def prove() -> Proof:
    """Prove the conversion of maps, its diagonal, and how the residuals of any map convert."""
    d = Derivation(
        "T21",
        "Conversion of flow maps",
        "Let tau and c be those of T4, u and X = x + (t - s) u a map of the base, exact or not, and "
        "X_bar_{s,t}(x) = c_t X_{tau_s, tau_t}(x/c_s).",
        "derived for symsi",
    )
    d.claim("map", "u_bar_{s,t}(x) = [(c_t/c_s - 1) x + c_t (tau_t - tau_s) u_{tau_s, tau_t}(x/c_s)]/(t - s).")
    d.claim("diagonal", "Where t = s it is the velocity of T6.")
    d.claim("exact", "If X takes F(tau_s, y) to F(tau_t, y), X_bar takes the target's path c F(tau, y) along itself.")
    d.claim("lagrangian", "The Lagrangian residual of X_bar is c_t tau_t' times that of X.")
    d.claim("eulerian", "The Eulerian residual of X_bar is c_t tau_s' times that of X.")
    d.claim("semigroup", "The semigroup residual of X_bar is c_t times that of X.")
    d.claim(
        "compose", "Conversions compose: from bar to a third schedule, scales multiply and times follow each other."
    )
    t, tau, c, base, target = conversion(d)
    s, q, x, y = d.symbol("s", 0, 1), d.symbol("q", 0, 1), d.real("x"), d.real("y")
    (tau_s, c_s), (tau_q, c_q) = [[f.subs(t, other) for f in (tau, c)] for other in (s, q)]
    mean, moved = d.function("u", "any"), d.function("X", "any")
    given = mean(tau_s, tau, x / c_s)
    d.equal(
        "The coded coefficients give c_t X(x/c_s).",
        displacement(x, s, t, converted(s, t, (tau_s, tau), (c_s, c))(x, given)),
        c * displacement(x / c_s, tau_s, tau, given),
        "substitution",
        "map",
    )
    v = d.real("v")
    whole = c * displacement(x / c_s, tau_s, tau, given)
    d.say("As X_bar is x at t = s, u_bar there is the slope of X_bar in t; let v be u_{tau, tau}(x/c).")
    d.equal(
        "The slope of c_t X_{tau_s, tau_t}(x/c_s) at t = s is the coded field of T6.",
        diff(whole, t).subs(s, t).subs(mean(tau, tau, x / c), v),
        field_in(base, target, "velocity", "velocity", Integer(0))(x, v),
        "T6",
        "diagonal",
    )
    path = d.function("F", "any")
    exact = slope(path(tau, y), path(tau_s, y), tau_s, tau)
    d.equal(
        "From one state of the target's path to the other, as coded.",
        displacement(c_s * path(tau_s, y), s, t, converted(s, t, (tau_s, tau), (c_s, c))(c_s * path(tau_s, y), exact)),
        c * path(tau, y),
        "T4: paths",
        "exact",
    )
    velocity, a, b = d.function("v_base", "any"), d.symbol("a", 0, 1), d.symbol("b", 0, 1)
    here, there = x / c_s, moved(tau_s, tau, x / c_s)
    factors = covariance(c, diff(tau_s, s), diff(tau, t))
    of_base = lagrangian(moved(a, b, y), velocity(b, moved(a, b, y)), b)
    d.equal(
        "The Lagrangian residual, with v_bar = (c'/c) x + c tau' v(tau, x/c).",
        lagrangian(c * there, diff(c, t) * there + c * diff(tau, t) * velocity(tau, there), t),
        factors["lagrangian"] * of_base.subs({a: tau_s, b: tau, y: here}, simultaneous=True),
        "chain rule, T6",
        "lagrangian",
    )
    own = diff(c_s, s) / c_s * x + c_s * diff(tau_s, s) * velocity(tau_s, here)
    at_start = eulerian(moved(a, b, y), velocity(a, y), y, a)
    d.equal(
        "The Eulerian residual.",
        eulerian(c * there, own, x, s),
        factors["eulerian"] * at_start.subs({a: tau_s, b: tau, y: here}, simultaneous=True),
        "chain rule, T6",
        "eulerian",
    )
    middle = c_q * moved(tau_s, tau_q, here)
    d.equal(
        "The semigroup's.",
        semigroup(c * there, c * moved(tau_q, tau, middle / c_q)),
        factors["semigroup"] * semigroup(there, moved(tau_q, tau, moved(tau_s, tau_q, here))),
        "substitution",
        "semigroup",
    )
    k_s, k_t, r_s, r_t = (d.symbol(n) for n in ("k_s", "k_t", "r_s", "r_t"))
    p_s, p_t, e_s, e_t, u = (d.real(n) for n in ("p_s", "p_t", "e_s", "e_t", "U"))
    first = converted(e_s, e_t, (p_s, p_t), (k_s, k_t))
    twice = converted(s, t, (e_s, e_t), (r_s, r_t))(x, first(x / r_s, u))
    d.equal(
        "One after the other is one conversion.",
        twice,
        converted(s, t, (p_s, p_t), (r_s * k_s, r_t * k_t))(x, u),
        "substitution",
        "compose",
    )
    return d.proof()


if __name__ == "__main__":
    run_script(prove)

"""T4: two schedules differ by a change of time and a scale."""

from sympy import diff, log

from symsi.algebra.proof import Derivation, Proof
from symsi.interpolants.rows import Pair
from symsi.proofs import run_script
from symsi.theory.rules import scale, time_rate


def prove() -> Proof:
    """Prove that the target's interpolant is c times the base's at tau, in law and path by path."""
    d = Derivation(
        "T4",
        "Time and scale",
        "Let tau solve rho(tau) = rho_bar(t) and c = alpha_bar/alpha(tau). Then c = beta_bar/beta(tau) as well, and "
        "I_bar_t = c I_tau for every Z and X: in law and path by path.",
        "Damsholt, Frellsen, Ditlevsen 2026",
    )
    t, z, data = d.symbol("t", 0, 1), d.real("Z"), d.real("X")
    u = d.symbol("u", 0, 1)
    tau = d.function("tau", "increasing")(t)
    alpha_bar = d.function("alpha_bar", "positive decreasing")(t)
    base = Pair.of(d.function("alpha", "positive decreasing")(u), d.function("beta", "positive increasing")(u), u).at(
        tau, u
    )

    d.say("Given tau, the condition rho(tau) = rho_bar(t) says what beta_bar is; nothing else is assumed of it.")
    beta_bar = alpha_bar * base.beta / base.alpha
    target = Pair.of(alpha_bar, beta_bar, t)
    c = scale(base, target)
    d.equal("The condition.", target.ratio, base.ratio, by="definition of tau")
    d.equal(
        "The scale as symsi codes it, without 0/0 at either end, is alpha_bar/alpha.",
        c,
        alpha_bar / base.alpha,
        by="rho(tau) = rho_bar(t)",
    )
    d.equal("And it is beta_bar/beta.", c, beta_bar / base.beta, by="rho(tau) = rho_bar(t)")
    d.equal(
        "The interpolants agree path by path.",
        alpha_bar * z + beta_bar * data,
        c * (base.alpha * z + base.beta * data),
        by="the two forms of c",
    )
    rho = Pair.of(d.function("alpha", "positive decreasing")(u), d.function("beta", "positive increasing")(u), u).ratio
    d.equal(
        "Implicit differentiation of the condition gives the speed of tau.",
        diff(target.ratio, t) / diff(rho, u).subs(u, tau),
        diff(tau, t),
        by="chain rule",
    )
    d.equal(
        "It is the quotient of the determinants over c^2, as coded.", time_rate(base, target), diff(tau, t), by="T1"
    )

    density = d.function("p")
    y, k = d.real("y"), d.symbol("k")
    d.say("The law of c I_tau has the density p(y/c)/c in each coordinate: log-densities shift by log c a coordinate.")
    d.equal(
        "Log-density of the scaled variable.",
        log(density(y / k) / k),
        log(density(y / k)) - log(k),
        by="change of variables",
    )
    a, b = d.symbol("alpha_0"), d.symbol("beta_0")
    linear = Pair(1 - u, u, -1 + 0 * u, 1 + 0 * u)
    wanted = Pair(a, b, a, b)
    d.equal(
        "For the linear base, tau = beta_bar/(alpha_bar + beta_bar) solves the condition,",
        linear.at(b / (a + b), u).ratio,
        wanted.ratio,
        by="substitution",
    )
    d.equal(
        "and the scale is alpha_bar + beta_bar.", scale(linear.at(b / (a + b), u), wanted), a + b, by="substitution"
    )
    return d.proof()


if __name__ == "__main__":
    run_script(prove)

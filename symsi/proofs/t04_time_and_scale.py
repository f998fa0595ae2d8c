"""T4: two schedules differ by a change of time and a scale."""

from sympy import Integer, diff, log

from symsi.algebra.proof import Derivation, Proof
from symsi.interpolants.rows import Pair, determinant
from symsi.proofs import run_script
from symsi.proofs.setting import increasing_ratio
from symsi.theory.rules import scale, time_rate


def prove() -> Proof:
    """Prove that the target's interpolant is c times the base's at tau, in law and path by path."""
    d = Derivation(
        "T4",
        "Time and scale",
        "Let rho = beta/alpha increase, with rho -> 0 at t = 0 and alpha -> 0 at t = 1; a bar marks the target.",
        "Damsholt, Frellsen, Ditlevsen 2026",
    )
    d.claim("a", "rho(tau) = rho_bar(t) has at most one root tau.")
    d.claim("b", "rho runs from 0 to oo.")
    d.claim("c", "So there is a root for each t.")
    d.claim("d", "tau increases: tau' = rho_bar'/rho'(tau) > 0.")
    d.claim("e", "c = alpha_bar/alpha(tau) is beta_bar/beta(tau) as well, and (alpha_bar + beta_bar)/(alpha + beta).")
    d.claim("f", "I_bar_t = c I_tau for every Z and X: in law and path by path.")
    d.claim("g", "Log-densities shift by -log c in each dimension.")
    d.claim("h", "For the linear base tau = beta_bar/(alpha_bar + beta_bar) and c = alpha_bar + beta_bar.")
    t, u = d.symbol("t", 0, 1), d.symbol("u", 0, 1)
    low, h, part = d.symbol("a"), d.symbol("h"), d.symbol("sigma", 0, 1)

    general = increasing_ratio(d, u)
    inside = general.at(low + part * h, u)
    d.say("Between a and a + h, h > 0, go in a straight line: sigma from 0 to 1.")
    d.positive(
        "rho increases along it, so that rho(a + h) > rho(a): two times have two ratios.",
        diff(general.ratio.subs(u, low + part * h), part),
        h * diff(general.ratio, u).subs(u, low + part * h),
        "chain rule",
        "a",
    )
    d.equal(
        "Its slope is the determinant of T1 over alpha^2.",
        diff(general.ratio.subs(u, low + part * h), part),
        h * determinant(inside) / inside.alpha**2,
        "T1",
        "a",
    )
    size, alpha, beta = d.symbol("delta"), d.symbol("alpha_0"), d.symbol("beta_1")
    d.say("From noise, beta -> 0 beside any alpha_0; a point mass has rho -> 0 by definition. At the end, alpha -> 0.")
    d.tends("rho at the start.", Pair.of(alpha, size, t).ratio, size, Integer(0), proves="b")
    d.tends("1/rho at the end.", 1 / Pair.of(size, beta, t).ratio, size, Integer(0), proves="b")
    d.cite("c", "the intermediate value theorem", "Bolzano 1817")

    tau = d.function("tau", "any")(t)
    base = Pair.of(d.function("alpha")(u), d.function("beta")(u), u)
    at_tau = base.at(tau, u)
    alpha_bar = d.function("alpha_bar")(t)
    d.say("Given tau, rho(tau) = rho_bar(t) says what beta_bar is; nothing else is assumed of it.")
    target = Pair.of(alpha_bar, alpha_bar * at_tau.beta / at_tau.alpha, t)
    c = scale(at_tau, target)
    rate = diff(tau, t)
    d.equal(
        "Differentiating the condition gives the speed of tau.",
        diff(target.ratio, t) / diff(base.ratio, u).subs(u, tau),
        rate,
        "chain rule",
        "d",
    )
    d.equal("It is the quotient of determinants over c^2, as coded.", time_rate(at_tau, target), rate, "T1", "d")
    rho_bar = d.function("rho_bar", "positive increasing")(t)
    q, q_bar = increasing_ratio(d, u), Pair.of(alpha_bar, alpha_bar * rho_bar, t)
    d.positive(
        "It is positive where both ratios increase.",
        time_rate(q, q_bar),
        alpha_bar**2 * diff(q_bar.ratio, t) / (q.alpha**2 * diff(q.ratio, u)) / scale(q, q_bar) ** 2,
        "T1",
        "d",
    )
    d.equal("The scale as coded, by alpha.", c, alpha_bar / at_tau.alpha, "rho(tau) = rho_bar(t)", "e")
    d.equal("And by beta.", c, target.beta / at_tau.beta, "rho(tau) = rho_bar(t)", "e")
    z, data = d.real("Z"), d.real("X")
    d.equal(
        "The interpolants agree path by path.",
        target.state(noise=z, data=data),
        c * at_tau.state(noise=z, data=data),
        "the two forms of c",
        "f",
    )
    k, y = d.symbol("k"), [d.real(f"y{i}") for i in range(3)]
    d.say("The law of c I_tau has the density p(y/c)/c^3 in three dimensions: c^d in d.")
    density = d.function("p")(*(a / k for a in y))
    d.equal("Its logarithm.", log(density / k ** len(y)), log(density) - len(y) * log(k), "change of variables", "g")
    linear = Pair.of(1 - u, u, u).at(beta / (alpha + beta), u)
    wanted = Pair(alpha, beta, alpha, beta)
    d.equal("For the linear base this tau solves the condition,", linear.ratio, wanted.ratio, "substitution", "h")
    d.equal("and this is c, as coded.", alpha / linear.alpha, scale(linear, wanted), "substitution", "h")
    return d.proof()


if __name__ == "__main__":
    run_script(prove)

"""T18: scaling and time change convert a two-sided interpolant, its fields and its paths."""

from sympy import Expr, Integer, diff, sqrt

from symsi.algebra.proof import Derivation, Proof
from symsi.interpolants.rows import Triple, determinant
from symsi.proofs import run_script
from symsi.proofs.setting import at_one_time
from symsi.theory.rescaling import rescaled, rescaled_diffusion, rescaled_field
from symsi.theory.three_parts import PREDICTIONS, drift_row, row


def prove() -> Proof:
    """Prove the fields, drifts and diffusion of c (alpha, beta, gamma)(tau), and that a common tau is rare."""
    d = Derivation(
        "T18",
        "Conversion of two-sided interpolants",
        "Let tau increase, c > 0, and I_bar_t = c I_tau: the triple c (alpha, beta, gamma)(tau) with the same parts.",
        "as T4 to T6; Albergo, Boffi, Vanden-Eijnden 2023",
    )
    d.claim("a", "Its derivatives by t are as coded, gamma gamma' among them.")
    d.claim(
        "b", "v_bar = (c'/c) x + c tau' v(tau, x/c), s_bar = s(tau, x/c)/c, and the means of the parts are the same."
    )
    d.claim("c", "Both drifts convert like the velocity, with epsilon_bar = c^2 tau' epsilon(tau).")
    d.claim("d", "So c X_tau solves the SDE of epsilon_bar: drift by Ito's formula, noise of the same variation.")
    d.claim("e", "Any epsilon_bar has one base diffusion, and by T13 every epsilon has the same marginals.")
    d.claim("f", "Conversions compose: (tau, c) and then (sigma, k).")
    d.claim("g", "Two ratios, one tau: with linear ends, brownian and quadratic gamma have no common time map.")
    t, u = d.symbol("t", 0, 1), d.symbol("u", 0, 1)
    tau, c = d.function("tau", "increasing")(t), d.function("c")(t)
    speed, rate = diff(tau, t), diff(c, t)
    alpha, beta = (d.function(name, "any")(u) for name in ("alpha", "beta"))
    triple = Triple.of(alpha, beta, d.function("gamma")(u), u)
    base = triple.at(tau, u)
    target = rescaled(base, c, rate, speed)
    d.equal("gamma gamma'.", target.gamma_rate, diff(target.gamma, t) * target.gamma, "chain rule", "a")
    ratio = diff(target.alpha / target.gamma, t) * target.gamma**2
    slopes = target.alpha_dot * target.gamma - target.alpha * target.gamma_dot
    d.equal("alpha' and gamma', by their ratio.", slopes, ratio, "quotient rule", "a")
    _fields(d)
    _composed(d, t, triple, u)
    own = [Triple.of(1 - t, t, gamma, t) for gamma in (sqrt(t * (1 - t)), t * (1 - t))]
    ratios = [p.beta / p.alpha for p in own]
    d.say("beta/alpha is t/(1 - t) for both, which increases, so tau = t and c = 1. But then gamma differs:")
    d.positive("The ratio increases.", diff(ratios[0], t), 1 / (1 - t) ** 2, "quotient rule", "g")
    gap = own[0].gamma ** 2 - own[1].gamma ** 2
    d.positive("The squares of gamma, brownian less quadratic.", gap, t * (1 - t) * (t**2 + (1 - t)), "factors", "g")
    return d.proof()


def _fields(d: Derivation) -> None:
    """At one time, where c, c' and tau' are numbers, c and tau' positive."""
    base, c, speed, rate = at_one_time(d), d.symbol("scale"), d.symbol("tau'"), d.real("scale'")
    target = rescaled(base, c, rate, speed)
    d.equal("Their determinant.", determinant(target), c**2 * speed * determinant(base), "cofactors", "a")
    means = {"x0": d.real("eta_0"), "x1": d.real("eta_1"), "latent": d.real("eta_z")}
    epsilon = d.real("epsilon")
    x = target.state(**means)
    d.say("I_bar_t = x and I_tau = x/c are one event, so the means of the parts are the same. epsilon is at tau.", x)
    d.equal("x/c is the base's state.", x / c, base.state(**means), "division", "b")
    for kind in PREDICTIONS:
        if kind != "ends":
            moved = rescaled_field(kind, row(base, kind)(**means), x, c, rate, speed)
            d.equal(f"The {kind}.", row(target, kind)(**means), moved, "T13", "b")
    wanted = rescaled_diffusion(epsilon, c, speed)
    for name, sign in (("forward", 1), ("backward", -1)):
        moved = rescaled_field(name, drift_row(base, sign * epsilon)(**means), x, c, rate, speed)
        d.equal(
            f"The {name} drift.", drift_row(target, sign * wanted)(**means), moved, "Ito's formula, T13", ("c", "d")
        )
    level, dw = d.symbol("level"), d.real("dW")
    noise = c * sqrt(2 * level) * sqrt(speed) * dw
    d.equal("The noise, dW_tau = sqrt(tau') dW.", noise, sqrt(2 * rescaled_diffusion(level, c, speed)) * dw, "T5", "d")
    factor = rescaled_diffusion(Integer(1), c, speed)
    d.positive("The factor of epsilon is positive, so that it divides.", factor, c**2 * speed, "T5", "e")
    d.equal(
        "The base diffusion of a wanted one.", rescaled_diffusion(wanted / factor, c, speed), wanted, "division", "e"
    )


def _composed(d: Derivation, t: Expr, triple: Triple, u: Expr) -> None:
    """First (tau, c), then (sigma, k), at s: as the pair (tau(sigma), k c(sigma))."""
    s = d.symbol("s", 0, 1)
    sigma, k = d.function("sigma", "increasing")(s), d.function("k")(s)
    tau, c = d.function("tau", "increasing"), d.function("c")
    inner = rescaled(triple.at(tau(t), u), c(t), diff(c(t), t), diff(tau(t), t)).at(sigma, t)
    outer = rescaled(inner, k, diff(k, s), diff(sigma, s))
    whole = k * c(sigma)
    once = rescaled(triple.at(tau(sigma), u), whole, diff(whole, s), diff(tau(sigma), s))
    d.equal("gamma gamma' of the pair.", outer.gamma_rate.doit(), once.gamma_rate.doit(), "chain rule", "f")


if __name__ == "__main__":
    run_script(prove)

"""T12: modal lazy coordinates."""

from sympy import Integer, Symbol, asin, cos, diff, log, sin, sqrt

from symsi.algebra.proof import Derivation, Proof
from symsi.interpolants.lazy import lazy_alpha_squared
from symsi.interpolants.rows import Pair
from symsi.proofs import run_script
from symsi.proofs.rotation import rotation
from symsi.proofs.setting import schedule
from symsi.theory.diffusion import optimal_diffusion
from symsi.theory.fields import drift_row
from symsi.theory.gaussian import (
    flow_map,
    gaussian_drift,
    gaussian_field,
    hidden,
    marginal_variance,
    revealed,
    transition,
)
from symsi.theory.modal import (
    coordinate_scale,
    coordinate_variance,
    natural_rate,
    natural_residual,
    natural_variable,
    residual_rate,
)

ZERO, ONE = Integer(0), Integer(1)


def prove() -> Proof:
    """Prove that y = C x has no drift on its Gaussian, and what drift and noise it has on any other data."""
    d = Derivation(
        "T12",
        "Modal lazy coordinates",
        "Let C = lambda^((1+kappa)/2) beta^kappa/S^((1+kappa)/2), y = C (x - beta m) and epsilon = kappa epsilon*, in "
        "each mode of variance lambda; Delta = eta_X - eta_X^G is what the data has beyond the Gaussian N(m, lambda).",
        "derived for symsi",
    )
    d.claim(
        "a",
        "Two modes do not mix: in the eigenbasis of their covariance each is a Gaussian of its own, with own noise.",
    )
    d.claim("b", "On the Gaussian y has no drift and the variance lambda w^kappa.")
    d.claim("c", "For any data dy = (1 + kappa) w^((1+kappa)/2) Delta d log rho + noise of variance lambda d(w^kappa).")
    d.claim(
        "d", "A Gaussian step is exact: C_s/C_t is T8's factor, and lambda (w_t^kappa - w_s^kappa)/C_t^2 its variance."
    )
    d.claim("e", "kappa = 0: y is where the Gaussian flow ends, and dy = Delta d theta/cos(theta), sin^2(theta) = w.")
    d.claim("f", "This is (-sqrt(lambda) sin(theta) eta_Z + cos(theta) eta_X) d theta: no 1/cos is left.")
    d.claim("g", "kappa = 1: y = E_G[X | x], a martingale on Gaussian data.")
    d.claim("h", "Then dy = (eta_X - y) dw/(1 - w) + noise: a step with frozen eta_X to w = 1 lands on it.")
    d.claim(
        "i", "s(w) = (1 + kappa)/2 B(w; (1+kappa)/2, (1+kappa)/2) has the rate (1+kappa)/2 (w (1-w))^((kappa-1)/2)."
    )
    d.claim("j", "In s the drift is Delta/(1 - w)^((1+kappa)/2): a step in s is exact where that is frozen.")
    d.claim("k", "One variance for all modes gives back T10: y is the lazy interpolant.")
    d.claim("l", "No number of modes mixes: in the eigenbasis of the covariance (a) holds of each pair.")
    t, p = schedule(d)
    lam, kappa = d.symbol("lamda"), d.symbol("kappa")
    rotation(d, p, "a")
    d.cite(
        "l",
        "the spectral theorem; parts of a Gaussian that have no covariance by pairs are independent",
        "Axler 2015, 7.29; Billingsley 1995, section 29",
    )
    _motion(d, t, p, lam, kappa)
    _special(d, t, p, lam)
    _natural(d, t, p, lam, kappa)
    c = coordinate_scale(p, lam, kappa)
    d.equal(
        "y as coded.", (c * p.alpha) ** 2, lazy_alpha_squared(kappa, lam, c * p.beta), "T10, beta_bar = C beta", "k"
    )
    return d.proof()


def _motion(d: Derivation, t: Symbol, p: Pair, lam: Symbol, kappa: Symbol) -> None:
    """Drift and noise of y, on its Gaussian and on any data, and the exact step."""
    x, m, delta = d.real("x"), d.real("m"), d.real("Delta")
    epsilon, c, w = kappa * optimal_diffusion(p), coordinate_scale(p, lam, kappa), revealed(p, lam)
    variance = marginal_variance(p, lam)
    moving = c * (gaussian_drift(p, epsilon, x + p.beta * m, m, lam) - p.beta_dot * m)
    d.equal("The scale undoes the drift of the centred state.", diff(c, t) * x, -moving, "T8", "b")
    spread = coordinate_variance(w, lam, kappa)
    d.equal("Variance of y on the Gaussian.", c**2 * variance, spread, "definition of w", "b")
    d.say("Other data: x is fixed, so eta_X = eta_X^G + Delta forces eta_Z = eta_Z^G - (beta/alpha) Delta.")
    excess = drift_row(p, epsilon)(noise=-p.beta / p.alpha * delta, data=delta)
    rate = residual_rate(w, kappa) * delta * diff(log(p.ratio), t)
    d.equal("The excess drift, as coded, depends on the mode through w alone.", c * excess, rate, "T1, T2", "c")
    d.equal("The noise.", c**2 * 2 * epsilon, diff(spread, t), "T3, T8: 2 epsilon*/S = (log w)'", "c")
    s = d.symbol("s", 0, 1)
    start = p.at(s, t)
    law, before = transition(start, p, lam, kappa), coordinate_scale(start, lam, kappa)
    d.equal("The factor of the transition.", c * law.factor, before, "T8", ("d", "g"))
    then = coordinate_variance(revealed(start, lam), lam, kappa)
    kept = before**2 * marginal_variance(start, lam)
    d.equal("Its variance, with the variances of y by (b):", c**2 * law.variance, c**2 * variance - kept, "T8", "d")
    d.equal("that is what y's gains.", c**2 * variance - kept, spread - then, "(b)", "d")


def _special(d: Derivation, t: Symbol, p: Pair, lam: Symbol) -> None:
    """kappa = 0 in the angle theta, kappa = 1 in w."""
    x, delta = d.real("x"), d.real("Delta")
    w, growth = revealed(p, lam), diff(log(p.ratio), t)
    theta = asin(sqrt(w))
    noise, data = (gaussian_field(p, kind, x, ZERO, lam) for kind in ("noise", "data"))
    eta_z, eta_x = noise - p.beta / p.alpha * delta, data + delta
    end = flow_map(p, Pair(ZERO, ONE, ZERO, ZERO), x, ZERO, lam)
    d.equal("kappa = 0: y is the flow map to alpha = 0, beta = 1.", coordinate_scale(p, lam, ZERO) * x, end, "T8", "e")
    drift = residual_rate(w, ZERO) * delta * growth
    d.equal("Its drift.", drift, delta * diff(theta, t) / cos(theta), "d theta = sin cos d log rho", "e")
    two = -sqrt(lam) * sin(theta) * eta_z + cos(theta) * eta_x
    d.equal("By both predictions.", delta / cos(theta), two, "T1", "f")
    y = coordinate_scale(p, lam, ONE) * x
    d.equal("kappa = 1: y is the posterior mean, as coded,", y, data, "T8", "g")
    d.equal("which is what the Gaussian's noise leaves of x.", p.beta * y, x - p.alpha * noise, "T1", "g")
    d.equal(
        "Its drift on the Gaussian.",
        diff(coordinate_scale(p, lam, ONE), t) * x,
        -coordinate_scale(p, lam, ONE) * gaussian_drift(p, optimal_diffusion(p), x, ZERO, lam),
        "T8",
        "g",
    )
    pull = (eta_x - y) * diff(w, t) / (1 - w)
    d.equal("On any data.", residual_rate(w, ONE) * delta * growth, pull, "dw = 2 w (1 - w) d log rho", "h")
    u, v, start, eta = (d.symbol("u", 0, 1), d.symbol("v", 0, 1), d.real("y_s"), d.real("eta_X"))
    line = start + (eta - start) * (v - u) / (1 - u)
    d.equal("From y_s at w = u, with eta_X frozen.", diff(line, v), (eta - line) / (1 - v), "differentiation", "h")
    d.tends("The end of that line.", line, v, eta, side=-1, end=1, proves="h")


def _natural(d: Derivation, t: Symbol, p: Pair, lam: Symbol, kappa: Symbol) -> None:
    """The natural variable s of any kappa."""
    delta, frozen, rho = d.real("Delta"), d.real("r"), d.function("rho")(t)
    q = Pair.of(ONE, rho, t)
    w = revealed(q, lam)
    d.equal(
        "w knows the schedule by rho alone: take alpha = 1.", revealed(p, lam), w.subs(rho, p.ratio), "division", "j"
    )
    for k in (kappa, ZERO, ONE):
        speed = natural_rate(w, k) * diff(w, t)
        d.equal(f"The rate of the coded s, kappa = {k}.", diff(natural_variable(w, k), t), speed, "d B, d asin", "i")
    d.equal("What is still hidden, as coded.", hidden(p, lam), 1 - revealed(p, lam), "definition of w", "j")
    d.equal(
        "The drift of (c) in s.",
        residual_rate(w, kappa) * diff(log(q.ratio), t) * delta,
        natural_residual(hidden(q, lam), kappa) * delta * natural_rate(w, kappa) * diff(w, t),
        "dw = 2 w (1 - w) d log rho",
        "j",
    )
    d.equal(
        "r (s(w_t) - s(w_s)) has this drift where r = Delta/(1 - w)^((1+kappa)/2) is frozen.",
        diff(frozen * natural_variable(w, kappa), t),
        (frozen / natural_residual(hidden(q, lam), kappa)) * residual_rate(w, kappa) * diff(log(q.ratio), t),
        "chain rule",
        "j",
    )


if __name__ == "__main__":
    run_script(prove)

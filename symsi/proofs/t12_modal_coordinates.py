"""T12: modal lazy coordinates."""

from sympy import Integer, Rational, asin, cos, diff, log, sin, sqrt

from symsi.algebra.proof import Derivation, Proof
from symsi.interpolants.lazy import lazy_alpha_squared
from symsi.interpolants.rows import Pair
from symsi.proofs import run_script
from symsi.theory.diffusion import optimal_diffusion
from symsi.theory.fields import drift_row
from symsi.theory.gaussian import gaussian_drift, gaussian_field, hidden, marginal_variance, revealed
from symsi.theory.modal import (
    coordinate_scale,
    coordinate_variance,
    natural_rate,
    natural_residual,
    natural_variable,
    residual_rate,
)


def prove() -> Proof:
    """Prove that y = C x has no drift on its Gaussian, and what drift and noise it has on any other data."""
    d = Derivation(
        "T12",
        "Modal lazy coordinates",
        "In a mode of variance lambda, y = C (x - beta m) with C = lambda^((1+kappa)/2) beta^kappa/S^((1+kappa)/2) has "
        "zero drift on N(m, lambda) under epsilon = kappa epsilon*. For any data, with Delta = eta_X - eta_X^G, "
        "dy = (1 + kappa) w^((1+kappa)/2) Delta d log rho + noise of variance lambda d(w^kappa); "
        "Var y = lambda w^kappa.",
        "derived for symsi",
    )
    t, x, m = d.symbol("t", 0, 1), d.real("x"), d.real("m")
    lam, kappa, delta = d.symbol("lamda"), d.symbol("kappa"), d.real("Delta")
    p = Pair.of(d.function("alpha", "positive decreasing")(t), d.function("beta", "positive increasing")(t), t)
    epsilon = kappa * optimal_diffusion(p)
    c, w = coordinate_scale(p, lam, kappa), revealed(p, lam)
    variance = marginal_variance(p, lam)

    d.say("Modes do not mix: covariance and identity share the eigenbasis, so every statement is one mode's.")
    centred = gaussian_drift(p, epsilon, x + p.beta * m, m, lam) - p.beta_dot * m
    d.equal(
        "Zero drift on the Gaussian: C' x + C b = 0 for the centred state x.",
        diff(log(c), t) * x,
        -centred,
        by="T8, logarithmic derivative of C",
    )
    d.equal("Variance of y on the Gaussian.", c**2 * variance, coordinate_variance(w, lam, kappa), by="definition of w")

    d.say("Other data: the state is fixed, so eta_X = eta_X^G + Delta forces eta_Z = eta_Z^G - (beta/alpha) Delta.")
    forward = drift_row(p, epsilon)
    excess = (forward["data"] - forward["noise"] * p.beta / p.alpha) * delta
    d.equal(
        "The drift of y is C times the excess, and depends on the mode through w alone.",
        c * excess,
        residual_rate(w, kappa) * delta * diff(log(p.ratio), t),
        by="T1, T2",
    )
    d.equal(
        "The noise of y has the variance lambda d(w^kappa).",
        c**2 * 2 * epsilon,
        diff(coordinate_variance(w, lam, kappa), t),
        by="T3: 2 epsilon*/S = (log w)'",
    )

    theta = asin(sqrt(w))
    zero, one = Integer(0), Integer(1)
    d.say("kappa = 0: y = sqrt(lambda/S) x is where the Gaussian flow would end. With sin^2(theta) = w,")
    noise_g, data_g = (gaussian_field(p, k, x, zero, lam) for k in ("noise", "data"))
    eta_z, eta_x = noise_g - p.beta / p.alpha * delta, data_g + delta
    d.equal(
        "the drift is Delta d theta/cos(theta),",
        residual_rate(w, zero) * delta * diff(log(p.ratio), t),
        delta * diff(theta, t) / cos(theta),
        by="d theta = sin cos d log rho",
    )
    d.equal(
        "which has no 1/cos left when it is written by the two predictions.",
        delta / cos(theta),
        -sqrt(lam) * sin(theta) * eta_z + cos(theta) * eta_x,
        by="T1",
    )
    d.say("kappa = 1: y is the Gaussian posterior mean of X, a martingale on Gaussian data.")
    y = coordinate_scale(p, lam, one) * x
    d.equal("y is E_G[X | x].", y, data_g, by="T8")
    d.equal(
        "Its drift is (eta_X - y) dw/(1 - w): a step with frozen eta_X to w = 1 lands on eta_X.",
        residual_rate(w, one) * delta * diff(log(p.ratio), t),
        (eta_x - y) * diff(w, t) / (1 - w),
        by="dw = 2 w (1 - w) d log rho",
    )
    d.say("Any kappa: in the natural variable s, Euler's step is exact for a frozen Delta/(1 - w)^((1+kappa)/2).")
    d.equal("What is still hidden is 1 - w.", hidden(p, lam), 1 - w, by="definition of w")
    d.equal(
        "The drift in s.",
        residual_rate(w, kappa) * diff(log(p.ratio), t),
        natural_residual(1 - w, kappa) * natural_rate(w, kappa) * diff(w, t),
        by="dw = 2 w (1 - w) d log rho",
    )
    fraction = d.symbol("w", 0, 1)
    for k in (zero, Rational(1, 2), one):
        d.equal(
            f"s is the integral of its rate, kappa = {k}.",
            diff(natural_variable(fraction, k), fraction),
            natural_rate(fraction, k),
            by="derivative of asin, of B(w; a, a), of w",
        )
    d.say("One variance for all modes gives back the lazy family (T10), with beta_bar = C beta:")
    d.equal("y is the lazy interpolant.", (c * p.alpha) ** 2, lazy_alpha_squared(kappa, lam, c * p.beta), by="T10")
    return d.proof()


if __name__ == "__main__":
    run_script(prove)

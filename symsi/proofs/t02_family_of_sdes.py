"""T2: a family of SDEs with the same marginals."""

from sympy import diff, exp, pi, sqrt

from symsi.algebra.proof import Derivation, Proof
from symsi.interpolants.rows import Pair
from symsi.proofs import run_script
from symsi.theory.fields import drift_row, row


def prove() -> Proof:
    """Prove that dX = (v + eps s) dt + sqrt(2 eps) dW has the marginals of I_t for every eps >= 0."""
    d = Derivation(
        "T2",
        "A family of SDEs with one marginal law",
        "For every epsilon_t >= 0, dX = b dt + sqrt(2 epsilon) dW with b = v + epsilon s has the marginals of I_t; the "
        "reverse-time SDE has the drift v - epsilon s.",
        "Albergo, Boffi, Vanden-Eijnden 2023; Anderson 1982 for the reverse",
    )
    t, x, data = d.symbol("t", 0, 1), d.real("x"), d.real("X")
    p = Pair.of(d.function("alpha", "positive decreasing")(t), d.function("beta", "positive increasing")(t), t)
    epsilon = d.function("epsilon")(t)

    d.say("The argument runs coordinate by coordinate: the Gaussian kernel factorises and divergences are sums.")
    z = (x - p.beta * data) / p.alpha
    kernel = exp(-(z**2) / 2) / (p.alpha * sqrt(2 * pi))
    d.say("Given X, the law of I_t is N(beta X, alpha^2); on the event I_t = x the noise is Z = z.", kernel)
    velocity = row(p, "velocity")(noise=z, data=data)
    score = row(p, "score")(noise=z, data=data)
    d.equal(
        "The kernel is carried by the velocity of its own noise and data.",
        diff(kernel, t),
        -diff(velocity * kernel, x),
        by="continuity equation, given X",
    )
    d.equal("Its score is -Z/alpha.", diff(kernel, x) / kernel, score, by="Tweedie, given X")
    d.say(
        "Averaging both lines over X ~ data turns kernels into the density p of I_t and (velocity, score) into their "
        "conditional means: dp/dt = -(v p)' and s p = p', for any data."
    )

    density, v = d.function("p")(t, x), d.function("v", "any")(t, x)
    s = diff(density, x) / density
    transport = -diff(v * density, x)
    b, back = v + epsilon * s, v - epsilon * s
    d.equal(
        "Fokker-Planck of the SDE: the epsilon terms cancel and the continuity equation remains.",
        -diff(b * density, x) + epsilon * diff(density, x, 2),
        transport,
        by="Fokker-Planck",
    )
    d.equal(
        "Backward in time the Laplacian changes sign, and so does the score term.",
        -diff(back * density, x) - epsilon * diff(density, x, 2),
        transport,
        by="Fokker-Planck",
    )
    noise, eta = d.real("eta_Z"), d.real("eta_X")
    forward = drift_row(p, epsilon)
    d.equal(
        "The drift as symsi codes it is v + epsilon s.",
        forward(noise=noise, data=eta),
        p.alpha_dot * noise + p.beta_dot * eta + epsilon * (-noise / p.alpha),
        by="T1",
    )
    return d.proof()


if __name__ == "__main__":
    run_script(prove)

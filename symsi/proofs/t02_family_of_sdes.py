"""T2: a family of SDEs with the same marginals."""

from sympy import Expr, Integer, diff, exp, log, pi, prod, sqrt

from symsi.algebra.proof import Derivation, Proof
from symsi.proofs import run_script
from symsi.proofs.setting import schedule
from symsi.theory.fields import drift_row, row


def prove() -> Proof:
    """Prove that dX = (v + eps s) dt + sqrt(2 eps) dW has the marginals of I_t for every eps >= 0."""
    d = Derivation(
        "T2",
        "A family of SDEs with one marginal law",
        "Let p be the density of I_t = alpha Z + beta X, for any law of X in any dimension, and epsilon_t >= 0.",
        "Albergo, Boffi, Vanden-Eijnden 2023; Anderson 1982 for the reverse",
    )
    d.claim("a", "Given X, the density of I_t is carried by the velocity, and its score is -Z/alpha.")
    d.claim(
        "b",
        "If dp/dt = -div(v p) and s = grad log p, with v and s of T1, for two laws of X, then for their mixture: so "
        "for every law of finitely many points.",
    )
    d.claim("c", "So for any law of X.")
    d.claim(
        "d", "b = v + epsilon s, as coded, makes p solve the Fokker-Planck equation of dX = b dt + sqrt(2 epsilon) dW."
    )
    d.claim("e", "So this SDE, started from I_0, has the marginals of I_t for every epsilon.")
    d.claim("f", "Run backward, the SDE of drift v - epsilon s has the same equation: it is the reverse-time SDE.")
    t, p = schedule(d)
    size = 3
    x = [d.real(f"x{i}") for i in range(size)]
    data = [d.real(f"X{i}") for i in range(size)]

    z = [(a - p.beta * b) / p.alpha for a, b in zip(x, data, strict=True)]
    kernels = [exp(-(n**2) / 2) / (p.alpha * sqrt(2 * pi)) for n in z]
    joint = d.function("q")(*data) * prod(kernels)
    d.say(
        "In three dimensions, with the data's density q: the joint density of X and I_t, where Z = (x - beta X)/alpha.",
        joint,
    )
    carried = [row(p, "velocity")(noise=n, data=b) * joint for n, b in zip(z, data, strict=True)]
    d.equal(
        "It is carried by the velocity of its own noise and data.",
        diff(joint, t),
        -sum(diff(flow, a) for flow, a in zip(carried, x, strict=True)),
        "continuity equation, given X",
        ("a", "b"),
    )
    for a, n, b in zip(x, z, data, strict=True):
        d.equal(f"Score in {a}.", diff(log(joint), a), row(p, "score")(noise=n, data=b), "Tweedie, given X", ("a", "b"))

    d.say("So it is for X at one point. Now mix two laws: p_k, each times its weight, has predictions of its own.")
    parts = [d.function(f"p_{k}")(t, *x) for k in (1, 2)]
    density, first = sum(parts), x[0]
    noises, places = ([d.function(f"{name}_{k}", "any")(t, *x) for k in (1, 2)] for name in ("eta_Z", "eta_X"))
    own = [{"noise": n, "data": b} for n, b in zip(noises, places, strict=True)]
    mean = {kind: sum(k * e[kind] for k, e in zip(parts, own, strict=True)) / density for kind in ("noise", "data")}
    d.equal(
        "E[. | I_t = x] is their average in these weights (Bayes): v carries what both carry, in each coordinate,",
        diff(row(p, "velocity")(**mean) * density, first),
        sum(diff(row(p, "velocity")(**e) * k, first) for k, e in zip(parts, own, strict=True)),
        "linearity",
        "b",
    )
    scores = {n: -p.alpha * diff(k, first) / k for k, n in zip(parts, noises, strict=True)}
    d.equal(
        "and where each has the score -eta_Z/alpha, so has the sum.",
        diff(log(density), first),
        row(p, "score")(**mean).subs(scores),
        "linearity",
        "b",
    )
    d.cite(
        "c",
        "the average over X is an integral, which is linear, and commutes with the derivatives by t and x by dominated "
        "convergence: those of a Gaussian kernel are bounded",
        "Billingsley 1995, Theorems 16.1 and 16.8",
    )

    whole = d.function("p")(t, *x)
    epsilon = d.function("epsilon", "any")(t)
    grad = [diff(whole, a) / whole for a in x]
    eta = [{"noise": -p.alpha * s, "data": d.function(f"eta_{i}", "any")(t, *x)} for i, s in enumerate(grad)]

    def divergence(field: list[Expr]) -> Expr:
        return sum(diff(f * whole, a) for f, a in zip(field, x, strict=True))

    v = [row(p, "velocity")(**e) for e in eta]
    forward, backward = ([drift_row(p, sign * epsilon)(**e) for e in eta] for sign in (Integer(1), Integer(-1)))
    laplacian = epsilon * sum(diff(whole, a, 2) for a in x)
    d.say("Any density p of t and x, any data prediction; the noise prediction is -alpha grad log p by (c).")
    for a, b, w, s in zip(x, forward, v, grad, strict=True):
        d.equal(f"The coded drift in {a} is v + epsilon s.", b, w + epsilon * s, "T1", "d")
    d.equal(
        "One coordinate's terms in epsilon cancel by themselves, which is why the dimension does not matter.",
        epsilon * diff(whole, x[0], 2),
        diff((forward[0] - v[0]) * whole, x[0]),
        "s p = dp/dx",
        "d",
    )
    d.equal(
        "Fokker-Planck: the continuity equation remains.",
        -divergence(forward) + laplacian,
        -divergence(v),
        "divergence and Laplacian",
        "d",
    )
    d.cite("e", "uniqueness for the Fokker-Planck equation of an SDE", "Figalli 2008; Stroock, Varadhan 1979")
    d.equal(
        "Backward in time the Laplacian changes sign, and so does the score term.",
        -divergence(backward) - laplacian,
        -divergence(v),
        "divergence and Laplacian",
        "f",
    )
    return d.proof()


if __name__ == "__main__":
    run_script(prove)

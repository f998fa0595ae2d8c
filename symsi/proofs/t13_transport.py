"""T13: transport between two laws, by an ODE or by SDEs of any diffusion, forward and backward."""

from sympy import Expr, Integer, Matrix, Rational, diff, exp, log, pi, prod, sqrt

from symsi.algebra.proof import Derivation, Proof
from symsi.interpolants.rows import Pair, Triple, determinant
from symsi.proofs import run_script
from symsi.proofs.setting import at_one_time, two_sided
from symsi.theory import fields
from symsi.theory.three_parts import FIELDS, PREDICTIONS, drift_row, predict, row, written


def prove() -> Proof:
    """Prove that velocity and score carry the law of I_t, and that two fields and the state give the others."""
    d = Derivation(
        "T13",
        "Transport between two laws",
        "Let I_t = alpha x0 + beta x1 + gamma z with z ~ N(0, I) independent of (x0, x1), of any joint law in any "
        "dimension, p its density where gamma > 0, v = alpha' eta_0 + beta' eta_1 + gamma' eta_z, s = -eta_z/gamma.",
        "Albergo, Boffi, Vanden-Eijnden 2023 (arXiv:2303.08797)",
    )
    d.claim("a", "Given (x0, x1), the density of I_t is carried by the velocity, and its score is -z/gamma.")
    d.claim("b", "If dp/dt = -div(v p) and s = grad log p for two joint laws, then for their mixture.")
    d.claim("c", "So for any joint law of (x0, x1).")
    d.claim("d", "b_F = v + epsilon s, as coded, makes p solve the Fokker-Planck equation of dX = b_F dt + noise.")
    d.claim("e", "So this SDE, started from x0, has the law of I_t at every t, that of x1 at last.")
    d.claim("f", "Backward in time b_B = v - epsilon s does: the SDE from x1 to x0.")
    d.claim("g", "Each field is x, v and eta_z in the coded coefficients; gamma' enters as gamma gamma' / gamma.")
    d.claim("h", "Two fields and the state determine all others, by one 3 x 3 solve, where its determinant is not 0.")
    d.claim(
        "i",
        "v = ends - gamma gamma' s: gamma gamma' has the limits a/2 and -a/2 for gamma^2 = a t (1 - t), gamma' none.",
    )
    d.claim("j", "A schedule is the case without x0: noise the latent, data x1, and T1's fields these.")
    d.claim(
        "k",
        "By eta_z the drift holds -(epsilon/gamma) eta_z: -k where epsilon = k gamma, without limit at the ends where "
        "epsilon is constant. They bear epsilon = O(gamma).",
    )
    t, p = two_sided(d)
    size = 2
    x, start, stop = ([d.real(f"{name}{i}") for i in range(size)] for name in ("x", "a", "b"))
    z = [(y - p.alpha * a - p.beta * b) / p.gamma for y, a, b in zip(x, start, stop, strict=True)]
    joint = d.function("q")(*start, *stop) * prod(exp(-(n**2) / 2) / (p.gamma * sqrt(2 * pi)) for n in z)
    parts = [{"x0": a, "x1": b, "latent": n} for a, b, n in zip(start, stop, z, strict=True)]
    d.say("In two dimensions, q the density of (x0, x1) at (a, b): the joint one with I_t, z = (x - I)/gamma.", joint)
    flows = [row(p, "velocity")(**part) * joint for part in parts]
    carried = -sum(diff(flow, y) for flow, y in zip(flows, x, strict=True))
    d.equal("It is carried by the velocity of its parts.", diff(joint, t), carried, "continuity equation", ("a", "b"))
    for y, part in zip(x, parts, strict=True):
        own = row(p, "score")(**part)
        d.equal(f"Score in {y}.", diff(log(joint), y), own, "Tweedie, given x0 and x1", ("a", "b"))
    now = at_one_time(d)
    _mixture(d, now, x[:1])
    d.cite(
        "c",
        "the average over (x0, x1) is an integral, which is linear, and commutes with the derivatives by t and x by "
        "dominated convergence: those of a Gaussian kernel are bounded where gamma > 0",
        "Billingsley 1995, Theorems 16.1 and 16.8",
    )
    _fokker_planck(d, now, x[:1])
    _solves(d, now)
    _brownian(d)
    return d.proof()


def _solves(d: Derivation, p: Triple) -> None:
    """The fields at one time, the means of the parts any numbers."""

    means = {"x0": d.real("eta_0"), "x1": d.real("eta_1"), "latent": d.real("eta_z")}
    epsilon = d.real("eps")
    values = {kind: row(p, kind)(**means) for kind in PREDICTIONS}
    values |= {"forward": drift_row(p, epsilon)(**means), "backward": drift_row(p, -epsilon)(**means)}
    state = p.state(**means)
    d.say("Now at one time, for each coordinate, the means of the three parts given I_t = x: any numbers.", state)
    for kind in FIELDS:
        coded = written(p, kind, epsilon)(state=state, velocity=values["velocity"], latent=means["latent"])
        keys = ("g", "i") if kind == "ends" else "g"
        d.equal(f"The coded form of {kind}.", coded, values[kind], "elimination", keys)
    d.equal(
        "Velocity by ends and score, as coded.",
        predict(p, ("ends", "score"), "velocity")(state, values["ends"], values["score"]),
        values["ends"] - p.gamma * p.gamma_dot * values["score"],
        "Cramer's rule",
        ("h", "i"),
    )
    _determinants(d, p)
    for given, wanted in (
        (("velocity", "score"), "latent"),
        (("velocity", "latent"), "x0"),
        (("velocity", "score"), "forward"),
        (("forward", "backward"), "score"),
        (("forward", "backward"), "velocity"),
        (("x1", "latent"), "forward"),
        (("x0", "x1"), "velocity"),
    ):
        found = predict(p, given, wanted, epsilon)(state, *(values[kind] for kind in given))
        d.equal(f"From {given[0]} and {given[1]} to {wanted}.", found, values[wanted], "Cramer's rule", "h")

    pair = Pair(*(d.symbol(name) for name in ("noise", "data")), *(d.real(name) for name in ("noise'", "data'")))
    one = Triple.one_sided(pair)
    own = {"noise": means["latent"], "data": means["x1"]}
    for kind, ours in (("velocity", "velocity"), ("score", "score")):
        theirs = fields.row(pair, kind)(**own)
        d.equal(f"The {kind} of a schedule.", row(one, ours)(**means), theirs, "alpha = 0", "j")
    back = fields.predict(pair, "velocity", "noise")(one.state(**means), row(one, "velocity")(**means))
    d.equal("T1 finds the latent from state and velocity.", back, means["latent"], "T1", "j")


def _mixture(d: Derivation, p: Triple, x: list[Expr]) -> None:
    """Two laws, each times its weight, and the means of both: E[. | I_t = x] is their average in these weights."""
    parts, names = [d.function(f"p_{k}")(*x) for k in (1, 2)], ("x0", "x1", "latent")
    own = [{n: d.function(f"{n}_{k}", "any")(*x) for n in names} for k in (1, 2)]
    density, first = sum(parts), x[0]
    mean = {n: sum(k * e[n] for k, e in zip(parts, own, strict=True)) / density for n in names}
    d.equal(
        "Mixed, by Bayes: v p is what both carry, and so is its divergence.",
        row(p, "velocity")(**mean) * density,
        sum(row(p, "velocity")(**e) * k for k, e in zip(parts, own, strict=True)),
        "linearity",
        "b",
    )
    scores = {e["latent"]: -p.gamma * diff(k, first) / k for k, e in zip(parts, own, strict=True)}
    mixed = row(p, "score")(**mean).subs(scores)
    d.equal(
        "and where each has the score -eta_z/gamma, so has the sum.", diff(log(density), first), mixed, "linearity", "b"
    )


def _fokker_planck(d: Derivation, p: Triple, x: list[Expr]) -> None:
    """Any density, any means of the ends; the latent's is -gamma grad log p by (c)."""
    whole, epsilon = d.function("p")(*x), d.real("eps")
    grad = [diff(whole, y) / whole for y in x]
    means = [
        {"latent": -p.gamma * s, **{n: d.function(f"{n}_{i}", "any")(*x) for n in ("x0", "x1")}}
        for i, s in enumerate(grad)
    ]

    def divergence(field: list[Expr]) -> Expr:
        return sum(diff(f * whole, y) for f, y in zip(field, x, strict=True))

    v = [row(p, "velocity")(**e) for e in means]
    forward, backward = ([drift_row(p, sign * epsilon)(**e) for e in means] for sign in (Integer(1), Integer(-1)))
    laplacian = epsilon * sum(diff(whole, y, 2) for y in x)
    d.say("A divergence is a sum over coordinates: one of them, any p and means of the ends; eta_z by (c).")
    d.equal("The coded drift is v + epsilon s.", forward[0], v[0] + epsilon * grad[0], "definition of s", "d")
    d.equal(
        "Fokker-Planck: the continuity equation remains.",
        -divergence(forward) + laplacian,
        -divergence(v),
        "divergence and Laplacian",
        "d",
    )
    d.cite("e", "uniqueness for the Fokker-Planck equation of an SDE", "Figalli 2008; Stroock, Varadhan 1979")
    d.equal("The coded backward drift is v - epsilon s.", backward[0], v[0] - epsilon * grad[0], "definition of s", "f")
    d.equal(
        "Backward in time the Laplacian changes sign.",
        -divergence(backward) - laplacian,
        -divergence(v),
        "divergence and Laplacian",
        "f",
    )


def _brownian(d: Derivation) -> None:
    """gamma^2 = a t (1 - t) at its ends, u = t or 1 - t."""
    a, u = d.symbol("a"), d.symbol("u", 0, 1)
    for side, start, end in ((1, 0, Rational(1, 2)), (-1, 1, -Rational(1, 2))):
        p = Triple.of(1 - u, u, sqrt(a * u * (1 - u)), u)
        d.tends(f"gamma gamma' at t = {start},", p.gamma_rate, u, a * end, side=side, end=start, proves="i")
        d.tends("and 1/gamma' there.", 1 / p.gamma_dot, u, Integer(0), side=side, end=start, proves="i")
        own, level = (written(p, "forward", epsilon)["latent"] for epsilon in (a * p.gamma, a))
        d.tends("The latent's coefficient for epsilon = k gamma, k = a;", own, u, -a, side=side, end=start, proves="k")
        d.tends("1/that for a constant epsilon.", 1 / level, u, Integer(0), side=side, end=start, proves="k")


def _determinants(d: Derivation, p: Triple) -> None:
    """Those of every pair of fields with the state, in the coordinates of x, v and eta_z; v + k s is any drift."""
    k, other = d.real("k"), d.real("l")

    def minor(*rows: tuple[str, Expr]) -> Expr:
        lines = [[written(p, kind, e)[name] for name in ("velocity", "latent")] for kind, e in rows]
        return Matrix(lines).det()

    whole, none = determinant(p), Integer(0)
    turned = p.beta * (p.gamma_rate - k) - p.beta_dot * p.gamma**2
    mirrored = p.alpha_dot * p.gamma**2 - p.alpha * (p.gamma_rate - k)
    d.say("v is v + k s for k = 0, the ends for k = gamma gamma', the drifts for k = epsilon and -epsilon.")
    for claim, rows, value in (
        ("Of v + k s and v + l s.", (("forward", k), ("forward", other)), (k - other) / p.gamma),
        ("Of v + k s and score.", (("forward", k), ("score", none)), -1 / p.gamma),
        ("Of v + k s and x0.", (("forward", k), ("x0", none)), turned / (p.gamma * whole)),
        ("Of v + k s and x1.", (("forward", k), ("x1", none)), mirrored / (p.gamma * whole)),
        ("Of x0 and latent.", (("x0", none), ("latent", none)), -p.beta / whole),
        ("Of x1 and latent.", (("x1", none), ("latent", none)), p.alpha / whole),
        ("Of x0 and x1.", (("x0", none), ("x1", none)), p.gamma / whole),
    ):
        d.equal(claim, minor(*rows), value, "cofactors", "h")


if __name__ == "__main__":
    run_script(prove)

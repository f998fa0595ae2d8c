"""T16: Gaussian ends and mixtures of them, in closed form."""

from sympy import Expr, Matrix, S, Symbol, diag, diff, exp, eye, log, sqrt

from symsi.algebra.proof import Derivation, Proof
from symsi.interpolants.rows import Triple
from symsi.proofs import run_script
from symsi.proofs.setting import at_one_time, two_sided
from symsi.theory.three_parts import PREDICTIONS, row
from symsi.theory.two_gaussians import (
    GaussianEnds,
    bridge_coordinate,
    bridge_field,
    bridge_flow_map,
    bridge_mean,
    bridge_variance,
    conditional_means,
    gaussian_bridge_drift,
)


def prove() -> Proof:
    """Prove the means of the parts, the fields and the law of I_t between Gaussians and between mixtures."""
    d = Derivation(
        "T16",
        "Gaussian and mixture ends",
        "Let (x0, x1) be jointly Gaussian: means m, n, variances C, D, covariance K; mu = alpha m + beta n, S = "
        "alpha^2 C + beta^2 D + 2 alpha beta K + gamma^2 and e = x - mu.",
        "Albergo, Boffi, Vanden-Eijnden 2023 (arXiv:2303.08797)",
    )
    d.claim(
        "a", "The coded means of the parts leave the least variance of all linear ones, and nothing correlated to I."
    )
    d.claim("b", "They are the conditional means: the law of (x0, x1) given I_t = x is Gaussian about eta_0, eta_1.")
    d.claim("c", "They give x back, v = mu' + (S'/2S) e, s = -e/S, and b_F = mu' + (S'/2 - epsilon) e/S.")
    d.claim("d", "N(mu, S) is carried by this v, and has this score; in any dimension v = mu' + S' S^-1 e/2.")
    d.claim("e", "S'/2 = alpha alpha' C + beta beta' D + gamma gamma' + (alpha beta)' K: gamma enters by gamma gamma'.")
    d.claim(
        "f", "For mixtures of independent pairs, each mean is the average of the pairs', weighted by their densities."
    )
    d.claim("g", "Independent ends: the ODE's flow is X_{s,t}(x) = mu_t + sqrt(S_t/S_s) (x - mu_s), either way.")
    d.claim("h", "Along it y = (x - mu)/sqrt(S) rests, and for any data dy/dt = (v - v_G)/sqrt(S), v_G that of (c).")
    d.claim("i", "Independent ends of two covariances with one eigenbasis: in it two modes move apart, each as in (g).")
    t, moving = two_sided(d)
    x = d.real("x")
    ends = GaussianEnds(d.real("m"), d.symbol("C"), d.real("n"), d.symbol("D"), d.real("K"))
    d.equal("Half the slope of S.", diff(bridge_variance(moving, ends), t) / 2, _slope(moving, ends), "calculus", "e")
    p = at_one_time(d)
    spread, centred = bridge_variance(p, ends), x - bridge_mean(p, ends)
    means = conditional_means(p, ends, x)
    k = d.real("k")
    state = (p.alpha, p.beta, p.gamma)

    def variance(a: Expr, b: Expr, c: Expr) -> Expr:
        own = a**2 * ends.variance_0 + b**2 * ends.variance_1
        return own + 2 * a * b * ends.covariance + c**2

    d.say("At one time: Var(a x0 + b x1 + c z), as z has variance 1 and is independent.", variance(*state))
    for place, part in enumerate(("x0", "x1", "latent")):
        coded = diff(means[part], x)

        def left(share: Expr, own: int = place) -> Expr:
            return variance(*(int(i == own) - share * a for i, a in enumerate(state)))

        d.equal(
            f"Var({part} - k I_t) is least at the coded slope.",
            left(k),
            left(coded) + spread * (k - coded) ** 2,
            "complete the square",
            "a",
        )
    _conditioned(d, p, ends, x)
    epsilon, slope = d.real("epsilon"), _slope(p, ends)
    moved = p.alpha_dot * ends.mean_0 + p.beta_dot * ends.mean_1
    d.equal("The state.", p.state(**means), x, "substitution", "c")
    v, s = (bridge_field(p, ends, kind, x) for kind in ("velocity", "score"))
    d.equal("The coded velocity.", v, moved + slope / spread * centred, "T13", "c")
    d.equal("The coded score.", s, -centred / spread, "T13", "c")
    coded = gaussian_bridge_drift(p, ends, epsilon, x)
    d.equal("The coded drift.", coded, moved + (slope - epsilon) / spread * centred, "T13", "c")
    _carried(d, t, x)
    _flow(d, t, moving, x)
    _modes(d, p)
    _mixture(d, p, x)
    return d.proof()


def _conditioned(d: Derivation, p: Triple, ends: GaussianEnds, x: Expr) -> None:
    """The joint density of x0, x1 and I_t, a Gaussian: its mean given I_t = x is where it is largest."""
    first, second = d.real("X"), d.real("Y")
    a, b = first - ends.mean_0, second - ends.mean_1
    form = a**2 * ends.variance_1 - 2 * a * b * ends.covariance + b**2 * ends.variance_0
    left = x - p.alpha * first - p.beta * second
    log_joint = -form / (2 * (ends.variance_0 * ends.variance_1 - ends.covariance**2)) - left**2 / (2 * p.gamma**2)
    means = conditional_means(p, ends, x)
    there = {first: means["x0"], second: means["x1"]}
    d.say("The logarithm of the density of (x0, x1) = (X, Y) and I_t = x, up to a constant.", log_joint)
    for name, place in (("x0", first), ("x1", second)):
        slope = diff(log_joint, place).subs(there, simultaneous=True)
        d.equal(f"Its slope in {name} at the coded means.", slope, 0, "a Gaussian is largest at its mean", "b")
    d.equal(
        "What is left of x is the latent's.", left.subs(there, simultaneous=True) / p.gamma, means["latent"], "z", "b"
    )


def _slope(p: Triple, ends: GaussianEnds) -> Expr:
    own = p.alpha * p.alpha_dot * ends.variance_0 + p.beta * p.beta_dot * ends.variance_1 + p.gamma_rate
    return own + (p.alpha_dot * p.beta + p.alpha * p.beta_dot) * ends.covariance


def _carried(d: Derivation, t: Expr, x: Expr) -> None:
    """Any mean and covariance that move: in one dimension, and in two with matrices that need not commute."""
    mean, spread = d.function("mu", "any")(t), d.function("S")(t)
    law = exp(-((x - mean) ** 2) / (2 * spread)) / sqrt(spread)
    v = diff(mean, t) + diff(spread, t) / (2 * spread) * (x - mean)
    d.equal("Any N(mu, S) is carried.", diff(law, t), -diff(v * law, x), "continuity equation", "d")
    d.equal("Its score.", diff(log(law), x), -(x - mean) / spread, "differentiation", "d")
    y = d.real("y")
    a, b, c = d.function("S11")(t), d.function("S12", "any")(t), d.function("S22")(t)
    centred = Matrix([x, y])
    matrix = Matrix([[a, b], [b, c]])
    inverse = matrix.adjugate() / matrix.det()
    flow = diff(matrix, t) * inverse * centred / 2
    exponent = -(centred.T * inverse * centred)[0] / 2 - log(a * c - b**2) / 2
    left = diff(exponent, t) + flow[0] * diff(exponent, x) + flow[1] * diff(exponent, y)
    d.equal(
        "In two dimensions, about the mean, as log p: its change along the flow.",
        left,
        -diff(flow[0], x) - diff(flow[1], y),
        "T15",
        "d",
    )


def _flow(d: Derivation, t: Symbol, moving: Triple, x: Expr) -> None:
    """From a time s to t, and the coordinate that this leaves in place."""
    ends = GaussianEnds(d.real("m"), d.symbol("C"), d.real("n"), d.symbol("D"))
    start = moving.at(d.symbol("s", 0, 1), t)
    reached = bridge_flow_map(start, moving, ends, x)
    moved = bridge_field(moving, ends, "velocity", reached)
    d.equal("The coded map moves by the coded velocity where it is,", diff(reached, t), moved, "(c)", "g")
    d.equal("starts at x,", bridge_flow_map(start, start, ends, x), x, "substitution", "g")
    d.equal("and backward returns.", bridge_flow_map(moving, start, ends, reached), x, "composition", "g")
    rests = bridge_coordinate(start, ends, x)
    d.equal("The coded y at its end is that at its start.", bridge_coordinate(moving, ends, reached), rests, "(g)", "h")
    place = d.function("X", "any")(t)
    excess = diff(place, t) - bridge_field(moving, ends, "velocity", place)
    slope = diff(bridge_coordinate(moving, ends, place), t)
    d.equal("Along any path X of velocity v.", slope, excess / sqrt(bridge_variance(moving, ends)), "chain rule", "h")


def _modes(d: Derivation, p: Triple) -> None:
    """Two modes, in the basis R of any rotation by its half angle's tangent q: no inverse is formed."""
    q = d.real("q")
    turn = Matrix([[1 - q**2, -2 * q], [2 * q, 1 - q**2]]) / (1 + q**2)
    pairs = [GaussianEnds(S.Zero, d.symbol(f"C{k}"), S.Zero, d.symbol(f"D{k}")) for k in range(2)]
    first, last = (turn * diag(*(getattr(e, name) for e in pairs)) * turn.T for name in ("variance_0", "variance_1"))
    spread = p.alpha**2 * first + p.beta**2 * last + p.gamma**2 * eye(2)
    slope = p.alpha * p.alpha_dot * first + p.beta * p.beta_dot * last + p.gamma_rate * eye(2)
    d.say("C = R diag(C0, C1) R' and D = R diag(D0, D1) R', by the rotation", turn)
    state = [d.real("y0"), d.real("y1")]
    share = turn * Matrix([y / bridge_variance(p, pair) for y, pair in zip(state, pairs, strict=True)])
    own = turn * Matrix([bridge_field(p, pair, "velocity", y) for y, pair in zip(state, pairs, strict=True)])
    centred = turn * Matrix(state)
    for k, axis in enumerate(("first", "second")):
        d.equal(
            f"S^-1 e is R (y0/S0, y1/S1), as S of it is e = R y: {axis} row.",
            (spread * share)[k],
            centred[k],
            "R'R = 1",
            "i",
        )
        d.equal(
            f"S'/2 of it, the velocity by (d), is R times the modes': {axis} row.",
            (slope * share)[k],
            own[k],
            "(d)",
            "i",
        )


def _mixture(d: Derivation, p: Triple, x: Expr) -> None:
    """Two pairs of components, of weights u and w: Bayes' rule weights them by their densities at x."""
    weights = [d.symbol(name) for name in ("u", "w")]
    pairs = [
        GaussianEnds(d.real(f"m{k}"), d.symbol(f"C{k}"), d.real(f"n{k}"), d.symbol(f"D{k}"), 0 * x) for k in range(2)
    ]
    means, spreads = zip(*((bridge_mean(p, e), bridge_variance(p, e)) for e in pairs), strict=True)
    laws = [
        weight * exp(-((x - m) ** 2) / (2 * s)) / sqrt(s) for weight, m, s in zip(weights, means, spreads, strict=True)
    ]
    whole = sum(laws)
    average = {
        part: sum(law * conditional_means(p, e, x)[part] for law, e in zip(laws, pairs, strict=True)) / whole
        for part in ("x0", "x1", "latent")
    }
    d.say("A mixture of two pairs, its density up to a constant factor.", whole)
    d.equal("The score of the averaged means.", row(p, "score")(**average), diff(log(whole), x), "T13 (b)", "f")
    k = [d.symbol(f"pi{i}") for i in range(2)]
    parts = [{n: d.real(f"{n}_{i}") for n in ("x0", "x1", "latent")} for i in range(2)]
    total = {n: sum(a * e[n] for a, e in zip(k, parts, strict=True)) / sum(k) for n in parts[0]}
    for kind in PREDICTIONS:
        r = row(p, kind)
        one = sum(a * r(**e) for a, e in zip(k, parts, strict=True)) / sum(k)
        d.equal(f"The average {kind} is that of the averages.", one, r(**total), "linearity", "f")


if __name__ == "__main__":
    run_script(prove)

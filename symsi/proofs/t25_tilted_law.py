"""T25: sampling a tilted law."""

from collections.abc import Sequence
from itertools import product

from sympy import Add, Expr, Integer, Matrix, diag, exp, eye, pi, sqrt

from symsi.algebra.proof import Derivation, Proof
from symsi.proofs import run_script
from symsi.proofs.setting import schedule
from symsi.theory.gaussian import gaussian_field, revealed, transition
from symsi.theory.modal import coordinate_scale, coordinate_variance
from symsi.theory.tilting import (
    POTENTIALS,
    candidate,
    correction,
    increments,
    linear_shift,
    linear_tilt,
    mean_weight,
    offspring,
    posterior_gain,
    quadratic_tilt,
    tilted_weights,
    twist,
)

ZERO, ONE = Integer(0), Integer(1)


def prove() -> Proof:
    """Prove what weights must sum to, that candidates keep it, and the tilted laws in closed form."""
    d = Derivation(
        "T25",
        "Sampling a tilted law",
        "Let p(x) e^{r(x)/lambda}/Z be the law p of x_1 tilted by a reward r at the temperature lambda. P particles "
        "move by a chain whose last state is x_1, are weighted by e^{U_k - U_{k-1}}, U_0 = 0, and resampled with "
        "unbiased numbers of offspring, E[N_i] = P w_i/sum_j w_j; the product of the mean weights estimates Z.",
        "derived for symsi; particles after Del Moral 2004, candidates after Pitt, Shephard 1999",
    )
    d.claim("sum", "For differences, running maxima or running sums of rewards the U_k - U_{k-1} sum to r(x_1)/lambda,")
    d.claim("last", "iff the last takes r of the sample itself: with a prediction r^ there they tilt by e^{r^/lambda}.")
    d.claim(
        "offspring", "Resampling keeps the mean of w f: it is E of the mean weight times the mean of f of offspring."
    )
    d.claim("systematic", "Systematic resampling is unbiased: of points u + j, 0 < u < 1, a length c has c on average.")
    d.claim(
        "candidates",
        "With candidates each parent draws M noises, P of the P M next states are kept by w e^{(r^' - r)/lambda} of "
        "any prediction r^', and weigh e^{(r' - r^')/lambda} later: this keeps the mean of w e^{(r' - r)/lambda} f,",
    )
    d.claim("draws", "and M noises have the mean of one.")
    d.claim("unbiased", "So in both the estimate of Z has no bias, however few the particles, for the Z of the chain.")
    d.claim("twist", "Noise from N(s, I) for N(0, I) weighs e^{|n - s|^2/2 - |n|^2/2}.")
    d.claim(
        "shift", "For r^' = a (eta + G L n) the shift s = L G a/lambda leaves no variance of the weights, it alone."
    )
    d.claim("linear", "N(m, S) tilted by r = a x is N(m + S a/lambda, S), log Z = a m/lambda + S a^2/(2 lambda^2).")
    d.claim(
        "quadratic",
        "Tilted by r = -A (x - c)^2/2 it is N(m', S') with 1/S' = 1/S + A/lambda, m' = S'(m/S + A c/lambda), and "
        "Z = (1 + S A/lambda)^(-1/2) exp(-(m - c)^2/(2 (S + lambda/A))).",
    )
    d.claim("mixture", "A mixture is tilted component by component, to weights w_k Z_k/Z with Z = sum_k w_k Z_k.")
    d.claim(
        "matrices",
        "With matrices m' = m + S a/lambda, log Z = a.m/lambda + a.S a/(2 lambda^2); S' = (1 + S A/lambda)^-1 S, "
        "m' = m - S K (m - c), Z = |1 + S A/lambda|^(-1/2) exp(-(m - c).K (m - c)/2) with K = (lambda + A S)^-1 A.",
    )
    d.claim("gain", "On N(m, Lambda) noise e in the next state moves its eta_X by G e, G = beta Lambda/S of its time.")
    d.claim(
        "martingale",
        "In y = C (x - beta m), C that of T12 for kappa = 1, eta_X = m + y: the gain is 1, and under epsilon* y is a "
        "martingale whose noise has the variance Lambda (w' - w).",
    )
    _potentials(d)
    _resampling(d)
    _candidates(d)
    _twisting(d)
    _gaussians(d)
    _matrices(d)
    _gain(d)
    return d.proof()


def _potentials(d: Derivation) -> None:
    """Increments of three steps and of one more; what a prediction at the end would tilt by."""
    lam, rewards, guess = d.symbol("lamda"), [d.real(f"r_{k}") for k in (1, 2, 3)], d.real("r_hat")
    own = rewards[-1] / lam
    for kind in POTENTIALS:
        steps = increments(kind, rewards, lam)
        d.equal(f"Three steps, {kind}.", Add(*steps), own, "sum", "sum")
        foretold = increments(kind, [*rewards[:-1], guess], lam)
        d.equal(
            f"With a prediction at the end, {kind}: 1 iff it is r.",
            exp(Add(*foretold)) / exp(own),
            exp((guess - rewards[-1]) / lam),
            "sum",
            "last",
        )
    total, here = d.real("s_k"), d.real("r")
    d.say("Any number of steps: let those before the last add up to s/lambda, whatever they are.")
    d.equal("Then the last makes it r/lambda.", total / lam + (here - total) / lam, here / lam, "induction", "sum")
    before = d.real("r_k")
    d.equal(
        "The sum of differences up to k is r_k/lambda: one more.",
        before / lam + increments("difference", [before, here, here], lam)[1],
        here / lam,
        "induction",
        "sum",
    )


def _resampling(d: Derivation) -> None:
    """The mean over numbers of offspring, for three particles, and for one beside all others."""
    weights, values = [d.symbol(f"w_{i}") for i in (1, 2, 3)], [d.real(f"f_{i}") for i in (1, 2, 3)]
    d.equal(
        "Three particles.",
        _resampled(weights, values, Integer(3)),
        _mean(weights, values),
        "E is linear",
        ("offspring", "unbiased"),
    )
    count, rest, others = d.symbol("P"), d.symbol("W"), d.real("F")
    own, kept = weights[0], values[0]
    share = offspring([own, rest], count)
    d.equal(
        "One of P, beside others of weights that sum to W and weighted values that sum to F.",
        (own + rest) / count * (share[0] * kept + share[1] * others / rest) / count,
        (own * kept + others) / count,
        "E is linear",
        ("offspring", "unbiased"),
    )
    whole, part = d.real("k"), d.symbol("q", 0, 1)
    d.say("A particle has c = P w_i/sum_j w_j = k + q, k whole: k + 1 points for a share q of all u, k for the others.")
    d.equal("Its mean.", part * (whole + 1) + (1 - part) * whole, whole + part, "expansion", "systematic")
    chance, later = d.symbol("q", 0, 1), [d.symbol(f"g_{i}") for i in (1, 2)]
    chances = (chance, 1 - chance)
    d.say(
        "Two particles start in states 1 or 2, of chances q and 1 - q; g_i is the mean weight of a step from state i."
    )
    starts = [
        chances[i] * chances[j] * _resampled([weights[i], weights[j]], [later[i], later[j]], count)
        for i, j in product((0, 1), repeat=2)
    ]
    d.equal(
        "E of the product of both mean weights is Z.",
        Add(*starts),
        chance * weights[0] * later[0] + (1 - chance) * weights[1] * later[1],
        "E is linear",
        "unbiased",
    )
    d.cite(
        "unbiased",
        "by induction over the steps, each mean being taken given the particles before",
        "Del Moral 2004, section 7.4; with candidates Pitt, Shephard 1999",
    )


def _candidates(d: Derivation) -> None:
    """Candidates of two parents, for any rewards, predictions and values of f; and the mean over their noises."""
    lam, count = d.symbol("lamda"), d.symbol("P")
    own, rewards = ([d.real(f"{name}_{i}") for i in (1, 2)] for name in ("l", "r"))
    reached, guess, value = ([d.real(f"{name}_{i}") for i in range(3)] for name in ("R", "R_hat", "f"))
    parents = (0, 0, 1)
    d.say("Two candidates of a parent of log-weight l_1 and reward r_1, and one of another; all numbers undetermined.")
    drawn = [exp(candidate(own[i], g, rewards[i], lam)) for i, g in zip(parents, guess, strict=True)]
    after = [exp(correction(r, g, lam)) * f for r, g, f in zip(reached, guess, value, strict=True)]
    exact = [exp(own[i] + (r - rewards[i]) / lam) for i, r in zip(parents, reached, strict=True)]
    d.equal(
        "Resampled to P, and corrected.",
        _resampled(drawn, after, count),
        _mean(exact, value),
        "(offspring)",
        "candidates",
    )
    d.say("At the last step r(x_1) itself is the prediction, and nothing is left to correct.")
    mean, scale = d.real("m"), d.real("L")
    noises, chance = [d.real("n_1"), d.real("n_2")], d.symbol("q", 0, 1)
    chances, kept = (chance, 1 - chance), d.function("h", "any")
    d.say("Noise of two values n_1, n_2 in x' = m + L n, of chances q and 1 - q; h(x') stands for a weight times f.")
    found = [kept(mean + scale * n) for n in noises]
    draws = [chances[i] * chances[j] * (found[i] + found[j]) / 2 for i, j in product((0, 1), repeat=2)]
    d.equal(
        "The mean over M = 2 draws.", Add(*draws), chance * found[0] + (1 - chance) * found[1], "E is linear", "draws"
    )
    size, single = d.symbol("M"), d.real("E_1")
    d.equal(
        "A noise more of the same mean keeps it.", (size * single + single) / (size + 1), single, "induction", "draws"
    )


def _twisting(d: Derivation) -> None:
    """Noise about s, and which s a linear reward asks for."""
    lam, n, s, value = d.symbol("lamda"), d.real("n"), d.real("s"), d.function("f", "any")
    d.equal(
        "The integrand of E over N(s, 1) of the weighted f, and that of E over N(0, 1) of f.",
        _density(n, s, ONE) * exp(twist(n, s)) * value(n),
        _density(n, ZERO, ONE) * value(n),
        "expansion",
        "twist",
    )
    gain, scale, slope, eta = d.real("G"), d.real("L"), d.real("a"), d.real("eta")
    best = linear_shift(scale, gain, slope, lam)
    d.say("With h for L G a/lambda, candidates of r = a eta weigh:", best)
    weight = candidate(ZERO, slope * (eta + gain * scale * n), slope * eta, lam)
    d.equal("Under s = h: no noise is left.", weight + twist(n, best), best**2 / 2, "expansion", "shift")
    d.equal(
        "The square of the weight under any s: a density, and a factor least at s = h alone.",
        _density(n, s, ONE) * exp(2 * (weight + twist(n, s))),
        _density(n, 2 * best - s, ONE) * exp(best**2 + (s - best) ** 2),
        "complete the square",
        "shift",
    )


def _gaussians(d: Derivation) -> None:
    """One mode under either reward, and a mixture."""
    lam, x, m, big = d.symbol("lamda"), d.real("x"), d.real("m"), d.symbol("S")
    a, curve, c = d.real("a"), d.symbol("A"), d.real("c")
    found = linear_tilt(m, big, a, lam)
    d.equal(
        "Linear: the tilted density, as coded.",
        _density(x, m, big) * exp(a * x / lam),
        found.normalizer * _density(x, found.mean, found.variance),
        "complete the square",
        "linear",
    )
    d.equal(
        "Its log Z.",
        found.log_normalizer,
        (2 * lam * a * m + big * a**2) / (2 * lam**2),
        "common denominator",
        "linear",
    )
    found = quadratic_tilt(m, big, curve, c, lam)
    d.equal(
        "Quadratic: the log density, as coded, up to what does not depend on x;",
        -((x - m) ** 2) / (2 * big) - curve * (x - c) ** 2 / (2 * lam),
        -((x - found.mean) ** 2) / (2 * found.variance) + found.exponent,
        "complete the square",
        "quadratic",
    )
    d.equal(
        "that is in Z: it makes up for the narrower density.",
        found.normalizer / sqrt(found.variance),
        exp(found.exponent) / sqrt(big),
        "product of roots",
        "quadratic",
    )
    d.equal("Its precision.", 1 / found.variance, 1 / big + curve / lam, "division", "quadratic")
    d.equal("Its mean.", found.mean / found.variance, m / big + curve * c / lam, "division", "quadratic")
    d.equal(
        "Its Z: the exponent,", found.exponent, -((m - c) ** 2) / (2 * (big + lam / curve)), "division", "quadratic"
    )
    d.equal("and the root.", found.narrowing, (lam + big * curve) / lam, "division", "quadratic")
    weights, factors = ([d.symbol(f"{name}_{k}") for k in (1, 2)] for name in ("w", "Z"))
    parts = [d.function(f"p_{k}")(x) for k in (1, 2)]
    total = weights[0] * factors[0] + weights[1] * factors[1]
    d.say("Two components, e^{r/lambda} times each being Z_k p_k:")
    d.equal(
        "The mixture, tilted.",
        Add(*(w * z * p for w, z, p in zip(weights, factors, parts, strict=True))),
        total * Add(*(w * p for w, p in zip(tilted_weights(weights, factors), parts, strict=True))),
        "division",
        "mixture",
    )


def _matrices(d: Derivation) -> None:
    """Two modes in a basis T: S = T diag(s) T' and A = T'^-1 diag(a) T^-1, which any S > 0 and A > 0 have."""
    lam, base = d.symbol("lamda"), Matrix([[1, d.real("k")], [0, 1]])
    spread, curve, mean, centre = (
        [declare(f"{name}_{i}") for i in (1, 2)]
        for name, declare in {"s": d.symbol, "a": d.symbol, "mu": d.real, "c": d.real}.items()
    )
    inverse = base.adjugate() / base.det()
    big, hess = base * diag(*spread) * base.T, inverse.T * diag(*curve) * inverse
    d.say(
        "Two modes y = T^-1 x of variances s and curvatures a. Any T is this one, but for turning x and scaling y:",
        base,
    )
    found = [quadratic_tilt(*values, lam) for values in zip(mean, spread, curve, centre, strict=True)]
    left = (eye(2) + big * hess / lam) * base * diag(*(f.variance for f in found)) * base.T
    one, other = (Matrix([d.real(f"{name}_{i}") for i in (1, 2)]) for name in ("u", "v"))
    d.say("For any vectors u and v:")
    d.equal("(1 + S A/lambda) S' = S.", one.dot(left * other), one.dot(big * other), "T cancels", "matrices")
    away = base * (Matrix(mean) - Matrix(centre))
    known = inverse.T * Matrix(
        [a * (m - c) / (lam + a * v) for a, m, c, v in zip(curve, mean, centre, spread, strict=True)]
    )
    d.equal(
        "K (m - c) by the modes: (lambda + A S) times it is A (m - c).",
        one.dot((lam * eye(2) + hess * big) * known),
        one.dot(hess * away),
        "T cancels",
        "matrices",
    )
    moved = base * Matrix([f.mean - m for f, m in zip(found, mean, strict=True)])
    d.equal("m' - m = -S K (m - c).", one.dot(moved), -one.dot(big * known), "T cancels", "matrices")
    d.equal("The exponent.", Add(*(f.exponent for f in found)), -away.dot(known) / 2, "T cancels", "matrices")
    d.equal(
        "The determinant.",
        (eye(2) + big * hess / lam).det(),
        found[0].narrowing * found[1].narrowing,
        "T cancels",
        "matrices",
    )
    slope = Matrix([d.real(f"b_{i}") for i in (1, 2)])
    own = base.T * slope
    line = [linear_tilt(*values, lam) for values in zip(mean, spread, own, strict=True)]
    shifted, centre_x = base * Matrix([f.mean for f in line]), base * Matrix(mean)
    d.equal(
        "Linear: m' = m + S a/lambda.",
        one.dot(shifted),
        one.dot(centre_x + big * slope / lam),
        "a.x = (T'a).y",
        "matrices",
    )
    d.equal(
        "Linear, log Z.",
        Add(*(f.log_normalizer for f in line)),
        slope.dot(centre_x) / lam + slope.dot(big * slope) / (2 * lam**2),
        "a.x = (T'a).y",
        "matrices",
    )


def _gain(d: Derivation) -> None:
    """How far noise in the next state moves the posterior mean, and where that is by itself."""
    t, p = schedule(d)
    s, x, m, noise, size = d.symbol("q", 0, 1), d.real("x"), d.real("m"), d.real("e"), d.symbol("Lambda")
    start = p.at(s, t)

    def posterior(state: Expr) -> Expr:
        return gaussian_field(p, "data", state, m, size)

    d.equal(
        "eta_X of a state with noise, T8.",
        posterior(x + noise),
        posterior(x) + posterior_gain(p, size) * noise,
        "linear",
        "gain",
    )
    d.equal(
        "e more of y is e/C more of the state, and e more of eta_X.",
        posterior(x + noise / coordinate_scale(p, size, ONE)),
        posterior(x) + noise,
        "T12",
        "martingale",
    )
    step = transition(start, p, size, ONE)
    before = gaussian_field(start, "data", x, m, size)
    d.equal(
        "The mean of the next one under epsilon* is the one before,",
        posterior(p.beta * m + step.factor * (x - start.beta * m)),
        before,
        "T8, kappa = 1",
        "martingale",
    )
    d.equal(
        "and its variance that of y, T12.",
        posterior_gain(p, size) ** 2 * step.variance,
        coordinate_variance(revealed(p, size), size, ONE) - coordinate_variance(revealed(start, size), size, ONE),
        "T8, kappa = 1",
        "martingale",
    )


def _density(x: Expr, mean: Expr, variance: Expr) -> Expr:
    """The density of N(mean, variance)."""
    return exp(-((x - mean) ** 2) / (2 * variance)) / sqrt(2 * pi * variance)


def _mean(weights: Sequence[Expr], values: Sequence[Expr]) -> Expr:
    """The mean over particles of w f."""
    return Add(*(w * f for w, f in zip(weights, values, strict=True))) / len(weights)


def _resampled(weights: Sequence[Expr], values: Sequence[Expr], count: Expr) -> Expr:
    """The mean weight times E of the mean of f over `count` particles that are kept."""
    kept = Add(*(number * f for number, f in zip(offspring(weights, count), values, strict=True)))
    return mean_weight(weights) * kept / count


if __name__ == "__main__":
    run_script(prove)

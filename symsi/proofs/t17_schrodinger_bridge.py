"""T17: the Schroedinger bridge between Gaussians, by independent ends and the right gamma."""

from sympy import Expr, diff, exp, log, sqrt

from symsi.algebra.proof import Derivation, Proof
from symsi.interpolants.rows import Triple
from symsi.proofs import run_script
from symsi.theory.three_parts import brownian_diffusion, drift_row
from symsi.theory.two_gaussians import (
    GaussianEnds,
    bridge_covariance,
    bridge_field,
    bridge_gamma_squared,
    bridge_mean,
    bridge_variance,
    gaussian_bridge_drift,
)


def prove() -> Proof:
    """Prove that the SDE of the coded gamma under epsilon = sigma^2/2 is the bridge of the reference sigma W."""
    d = Derivation(
        "T17",
        "Schroedinger bridge of Gaussians",
        "Let x0 ~ N(m, C) and x1 ~ N(n, D) be independent, alpha = 1 - t, beta = t, gamma^2 = t (1 - t) k with k = "
        "sqrt(4 C D + sigma^4), S = (1 - t)^2 C + t^2 D + gamma^2, and epsilon = sigma^2/2.",
        "Albergo, Boffi, Vanden-Eijnden 2023; Bunne et al. 2023; Leonard 2014; the gamma is derived here",
    )
    d.claim("a", "S S''/2 - S'^2/4 = -sigma^4/4: the discriminant that makes the bridge.")
    d.claim("b", "The drift b = v + epsilon s solves db/dt + b b' + epsilon b'' = 0, where ' is d/dx.")
    d.claim(
        "c", "So does sigma^2 grad log h of any h > 0 with dh/dt + sigma^2/2 h'' = 0, and b is one: a Doob transform."
    )
    d.claim("d", "So the SDE from N(m, C) is the bridge: it ends in N(n, D) and is an h-transform of sigma W.")
    d.claim("e", "Backward b_B = v - epsilon s solves the mirrored equation, of h forward in time.")
    d.claim(
        "f", "The coupling of covariance K = (k - sigma^2)/2 with gamma^2 = sigma^2 t (1 - t) has the same S and drift."
    )
    d.claim("g", "Cov(X_0, X_t) = C (1 - t) + K t, of the growth rate A = (S'/2 - epsilon)/S: K couples the ends.")
    d.claim("h", "As sigma -> 0, S -> ((1 - t) sqrt(C) + t sqrt(D))^2 and K -> sqrt(C D): optimal transport.")
    d.claim(
        "i",
        "Of given ends and gamma^2 = k alpha beta, v + epsilon s under epsilon = k (alpha beta' - alpha' beta)/2 is "
        "the drift of a Brownian bridge of variance k, with time beta/c and scaled by c = alpha + beta.",
    )
    t, x = d.symbol("t", 0, 1), d.real("x")
    size, goal, sigma = d.symbol("C"), d.symbol("D"), d.symbol("sigma")
    ends = GaussianEnds(d.real("m"), size, d.real("n"), goal)
    epsilon = sigma**2 / 2
    p = Triple.of(1 - t, t, sqrt(bridge_gamma_squared(size, goal, sigma, t)), t)
    spread = bridge_variance(p, ends)
    d.say("The variance of I_t:", spread)
    discriminant = spread * diff(spread, t, 2) / 2 - diff(spread, t) ** 2 / 4
    d.equal("Of S, a quadratic polynomial in t.", discriminant, -(sigma**4) / 4, "expansion", "a")
    mean = bridge_mean(p, ends)

    def drift(level: Expr) -> tuple[Expr, Expr]:
        """A and B of A x + B = mu' + (S'/2 - epsilon)(x - mu)/S."""
        slope = (diff(spread, t) / 2 - level) / spread
        return slope, diff(mean, t) - slope * mean

    b, (slope, start) = gaussian_bridge_drift(p, ends, epsilon, x), drift(epsilon)
    d.equal("The coded drift is linear, b = A x + B.", b, slope * x + start, "T16", "b")
    d.equal("Its slope: A' + A^2 = 0.", diff(slope, t), -(slope**2), "(a)", "b")
    rate, place = d.function("a", "any")(t), d.function("mu", "any")(t)
    rest = diff(place, t) - rate * place
    d.equal(
        "So is B' + A B = 0, as mu'' = 0: for any slope and mean",
        diff(rest, t) + rate * rest,
        diff(place, t, 2) - (diff(rate, t) + rate**2) * place,
        "expansion",
        ("b", "e"),
    )
    _doob(d, t, x)
    d.equal("At t = 0 the law is that of x0,", spread.subs(t, 0), size + 0 * t, "substitution", "d")
    d.equal("at t = 1 that of x1; between by T13.", spread.subs(t, 1), goal, "substitution", "d")
    d.cite(
        "d",
        "the h-transform of the reference with the wanted ends is the one path measure of least relative entropy",
        "Leonard 2014, A survey of the Schroedinger problem",
    )
    back = gaussian_bridge_drift(p, ends, -epsilon, x)
    falling, rest = drift(-epsilon)
    d.equal("The coded backward drift.", back, falling * x + rest, "T16", "e")
    d.equal("A' + A^2 = 0 again.", diff(falling, t), -(falling**2), "(a)", "e")

    cross = bridge_covariance(size, goal, sigma)
    coupled = GaussianEnds(ends.mean_0, size, ends.mean_1, goal, cross)
    q = Triple.of(1 - t, t, sigma * sqrt(t * (1 - t)), t)
    d.equal("The variance of the coupled interpolant.", bridge_variance(q, coupled), spread, "expansion", "f")
    d.equal("Its drift.", gaussian_bridge_drift(q, coupled, epsilon, x), b, "T16", "f")
    carried = size * (1 - t) + cross * t
    d.equal("C (1 - t) + K t grows at the rate A, from C to K.", diff(log(carried), t), slope, "(b)", "g")
    straight = ((1 - t) * sqrt(size) + t * sqrt(goal)) ** 2
    d.tends("S", spread, sigma, straight, proves="h")
    d.tends("K", cross, sigma, sqrt(size) * sqrt(goal), proves="h")
    v = bridge_field(p, ends, "velocity", x)
    moved = (
        ends.mean_1
        - ends.mean_0
        + diff(sqrt(straight), t) / sqrt(straight) * (x - (1 - t) * ends.mean_0 - t * ends.mean_1)
    )
    d.tends("The velocity, that of straight paths of optimal transport.", v, sigma, moved, proves="h")
    _brownian(d, t)
    return d.proof()


def _doob(d: Derivation, t: Expr, x: Expr) -> None:
    """Cole and Hopf: what b = sigma^2 grad log h leaves of Burgers' equation, and h of a linear drift."""
    sigma = d.symbol("sigma")
    h = d.function("h")(t, x)
    b = sigma**2 * diff(log(h), x)
    left = diff(b, t) + b * diff(b, x) + sigma**2 / 2 * diff(b, x, 2)
    heat = (diff(h, t) + sigma**2 / 2 * diff(h, x, 2)) / h
    d.equal(
        "Of h > 0: the equation of b is the gradient of that of h.", left, sigma**2 * diff(heat, x), "Cole-Hopf", "c"
    )
    a, f, g = (d.function(name, "any")(t) for name in ("A", "B", "G"))
    made = exp((a * x**2 / 2 + f * x + g) / sigma**2)
    moved = {diff(a, t): -(a**2), diff(f, t): -a * f, diff(g, t): -(f**2 + sigma**2 * a) / 2}
    d.equal(
        "A linear drift A x + B is sigma^2 grad log of this h,",
        sigma**2 * diff(log(made), x),
        a * x + f,
        "integral",
        "c",
    )
    d.equal("which solves the equation.", diff(made, t).subs(moved), -(sigma**2) / 2 * diff(made, x, 2), "(b)", "c")


def _brownian(d: Derivation, t: Expr) -> None:
    """A Brownian bridge dY = (x1 - Y)/(1 - r) dr + sqrt(k) dW at the time r = beta/c, times c."""
    alpha, beta, level = d.function("alpha")(t), d.function("beta")(t), d.symbol("k")
    p = Triple.of(alpha, beta, sqrt(level * alpha * beta), t)
    epsilon, c = brownian_diffusion(p, level), alpha + beta
    ends = {"x0": d.real("x0"), "x1": d.real("x1"), "latent": d.real("z")}
    place, time = p.state(**ends) / c, beta / c
    pull = (ends["x1"] - place) / (1 - time) * diff(time, t)
    d.equal("The drift.", drift_row(p, epsilon)(**ends), diff(c, t) * place + c * pull, "definition of Y", "i")
    d.equal("And the diffusion.", 2 * epsilon, c**2 * level * diff(time, t), "quotient rule", "i")


if __name__ == "__main__":
    run_script(prove)

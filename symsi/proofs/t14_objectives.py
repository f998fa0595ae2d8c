"""T14: each field is the minimiser of a quadratic regression, and pairs +z, -z keep that of the velocity finite."""

from sympy import Expr, Integer, Rational, diff, exp, integrate, oo, pi, sqrt

from symsi.algebra.proof import Derivation, Proof
from symsi.interpolants.rows import Triple
from symsi.proofs import run_script
from symsi.proofs.setting import at_one_time
from symsi.theory.three_parts import PREDICTIONS, drift_row, row


def prove() -> Proof:
    """Prove that regressions on the parts' own fields find the fields, by bias and variance, in symbols."""
    d = Derivation(
        "T14",
        "Objectives",
        "Let G be a row over the parts (x0, x1, z) of an interpolant, as T13's fields are over their means, and g(x) = "
        "E[G | I_t = x].",
        "Albergo, Boffi, Vanden-Eijnden 2023 (arXiv:2303.08797)",
    )
    d.claim("a", "The target dI/dt has the mean v, -z/gamma s, z eta_z, dI/dt - (epsilon/gamma) z b_F, and so on.")
    d.claim("b", "E|f - G|^2 = E|G - g|^2 + E|f - g|^2, so g alone minimises it and the excess is E|f - g|^2.")
    d.claim("c", "So for any law of (x0, x1), time drawn from any law that is positive where it is asked for.")
    d.claim("d", "A velocity error e and a latent error r are the drift error e - (epsilon/gamma) r, of either sign.")
    d.claim("e", "The velocity's target has the variance gamma'^2 given the ends: infinite where gamma' is.")
    d.claim("f", "Averaged over z and -z, gamma' z f(I) is gamma gamma' z^2 times a slope of f, finite at the ends.")
    p, epsilon = at_one_time(d), d.real("epsilon")
    names, size = ("x0", "x1", "latent"), 3
    weights = [d.symbol(f"w{k}") for k in range(size)]
    parts = [{n: d.real(f"{n}_{k}") for n in names} for k in range(size)]
    whole, guess = sum(weights), d.real("f")

    def mean(values: list[Expr]) -> Expr:
        return sum(w * value for w, value in zip(weights, values, strict=True)) / whole

    d.say("Given I_t = x, three possible values of the parts, of any weights: E is the average over them.")
    means = {n: mean([part[n] for part in parts]) for n in names}
    rows = {kind: row(p, kind) for kind in PREDICTIONS}
    rows |= {"forward": drift_row(p, epsilon), "backward": drift_row(p, -epsilon)}
    for kind, r in rows.items():
        found = mean([_target(p, kind, epsilon, *(part[n] for n in names)) for part in parts])
        d.equal(f"The mean of the target of {kind}.", found, r(**means), "linearity", "a")
    targets = [d.real(f"G{k}") for k in range(size)]
    g = mean(targets)
    d.equal(
        "Bias and variance, coordinate by coordinate.",
        mean([(guess - target) ** 2 for target in targets]),
        mean([(target - g) ** 2 for target in targets]) + (guess - g) ** 2,
        "expansion",
        "b",
    )
    d.equal(
        "The excess is convex,", diff(mean([(guess - k) ** 2 for k in targets]), guess, 2), 2, "differentiation", "b"
    )
    slope = diff(mean([(guess - k) ** 2 for k in targets]), guess)
    d.equal("and stationary at g alone.", slope, 2 * (guess - g), "differentiation", "b")
    d.cite(
        "c",
        "E[. | I_t = x] is the orthogonal projection in L^2, of which the identity is Pythagoras' theorem",
        "Billingsley 1995, section 34",
    )
    error, other = d.real("e"), d.real("r")
    v, latent = d.real("v"), d.real("eta_z")
    for name, sign in (("forward", 1), ("backward", -1)):
        r = drift_row(p, sign * epsilon)
        wrong = (v + error) + (r["latent"] - p.gamma_dot) * (latent + other)
        right = v + (r["latent"] - p.gamma_dot) * latent
        d.equal(f"The error {name}.", wrong - right, error - sign * epsilon / p.gamma * other, "T13", "d")
    _antithetic(d, p)
    return d.proof()


def _target(p: Triple, kind: str, epsilon: Expr, x0: Expr, x1: Expr, z: Expr) -> Expr:
    """What a network of this kind is fitted to, for one draw of the parts."""
    moved = p.alpha_dot * x0 + p.beta_dot * x1
    return {
        "velocity": moved + p.gamma_dot * z,
        "score": -z / p.gamma,
        "latent": z,
        "ends": moved,
        "x0": x0,
        "x1": x1,
        "forward": moved + p.gamma_dot * z - epsilon * z / p.gamma,
        "backward": moved + p.gamma_dot * z + epsilon * z / p.gamma,
    }[kind]


def _antithetic(d: Derivation, p: Triple) -> None:
    z, m, size = d.real("z"), d.real("m"), d.symbol("a")
    law = exp(-(z**2) / 2) / sqrt(2 * pi)
    second = integrate(z**2 * law, (z, -oo, oo))
    d.equal(
        "Var(dI/dt) given the ends, as E z^2 = 1.", p.gamma_dot**2 * second, p.gamma_dot**2, "Gaussian integral", "e"
    )
    u = d.symbol("u", 0, 1)
    brownian = Triple.of(1 - u, u, sqrt(size * u * (1 - u)), u)
    for end, side in ((0, 1), (1, -1)):
        d.tends(
            f"1/gamma'^2 for a Brownian gamma at {end}.",
            1 / brownian.gamma_dot**2,
            u,
            Integer(0),
            side=side,
            end=end,
            proves="e",
        )
    f = d.function("h", "any")
    here, there = f(m + p.gamma * z), f(m - p.gamma * z)
    d.say("f at the two states m + gamma z and m - gamma z, m = alpha x0 + beta x1; h(u) is f there.")
    d.equal(
        "The mean of both terms.",
        (p.gamma_dot * z * here + p.gamma_dot * (-z) * there) / 2,
        p.gamma_rate * z**2 * (here - there) / (2 * p.gamma * z),
        "gamma' = gamma gamma'/gamma",
        "f",
    )
    for end, side in ((0, 1), (1, -1)):
        limit = size * (Rational(1, 2) - end)
        d.tends(
            f"gamma gamma' for a Brownian gamma at {end}.",
            brownian.gamma_rate,
            u,
            limit,
            side=side,
            end=end,
            proves="f",
        )


if __name__ == "__main__":
    run_script(prove)

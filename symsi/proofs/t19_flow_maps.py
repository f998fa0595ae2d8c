"""T19: what characterises the map of a flow."""

from sympy import Expr, Integer, diff, exp

from symsi.algebra.proof import Derivation, Proof
from symsi.interpolants.rows import Pair
from symsi.proofs import run_script
from symsi.theory.flow_map import displacement, eulerian, reached, renoised, semigroup, slope


def prove() -> Proof:
    """Prove the Lagrangian, Eulerian, semigroup and tangent identities, and that they leave no other map."""
    d = Derivation(
        "T19",
        "Flow maps",
        "Let F(t, y) be the state at time t of the path with label y, increasing in y, and v_t(F(t, y)) = dF/dt its "
        "velocity. The flow map is X_{s,t}(F(s, y)) = F(t, y). Coordinates are written for one dimension; in more, "
        "slopes in y are Jacobians and stand in this order.",
        "Boffi, Albergo, Vanden-Eijnden 2024, arXiv 2406.07507",
    )
    d.claim("lagrangian", "d/dt X_{s,t}(x) = v_t(X_{s,t}(x)).")
    d.claim("eulerian", "d/ds X_{s,t}(x) + grad X_{s,t}(x) v_s(x) = 0.")
    d.claim("semigroup", "X_{q,t}(X_{s,q}(x)) = X_{s,t}(x).")
    d.claim("tangent", "With X_{s,t}(x) = x + (t - s) u_{s,t}(x) it is d/dt X_{s,t} at t = s that is u_{s,s} = v_s.")
    d.claim("one", "A map that starts as x and has no Lagrangian residual is this one.")
    d.claim("two", "A map that ends as x at s = t and has no Eulerian residual is this one.")
    d.claim("three", "A semigroup with tangent v has no Lagrangian residual.")
    d.claim("four", "The semigroup alone says nothing of v: that of any other velocity has it, the identity too.")
    d.claim(
        "noise",
        "A jump to u and noise back to t, x_t = (beta_t/beta_u) x_u + sqrt(alpha_t^2 - (beta_t/beta_u)^2 alpha_u^2) z, "
        "keep the law of alpha Z + beta X; where rho_u = rho_t/sqrt(1 - share), `share` of the noise is new.",
    )
    s, q, t = (d.symbol(n, 0, 1) for n in ("s", "q", "t"))
    y, h = d.real("y"), d.real("h")
    path = d.function("F", "any")

    def speed(time: Expr, label: Expr) -> Expr:
        return diff(path(t, y), t).subs({t: time, y: label}, simultaneous=True)

    there, label = path(t, y), d.function("G", "any")
    x, v, r = d.real("x"), d.real("v"), d.real("r")
    known = label(s, x)
    d.say("Let G(s, x) be the label of the path through x at s, G(s, F(s, y)) = y: then X_{s,t}(x) = F(t, G(s, x)).")
    d.equal(
        "Where x moves with v + r, its label moves with r alone, once that of a path (r = 0) does not.",
        diff(label(s + h, x + h * (v + r)), h).subs(h, 0).doit(),
        eulerian(known, v, x, s) + r * diff(known, x),
        "chain rule",
        "one",
    )
    d.say("So no label moves iff r = 0, as G_x > 0: then X stays on the path of x.")
    d.equal(
        "The Eulerian residual, as coded, is that of labels, which is 0 as paths keep theirs.",
        eulerian(path(t, known), v, x, s),
        eulerian(known, v, x, s) * diff(path(t, y), y).subs(y, known),
        "chain rule",
        "eulerian",
    )
    u = d.function("u", "any")
    d.equal(
        "Any map along a path x + h v: its slope is the Eulerian residual, as coded.",
        eulerian(displacement(x, q, t, u(q, t, x)), v, x, q),
        diff(displacement(x + h * v, q + h, t, u(q + h, t, x + h * v)), h).subs(h, 0).doit().expand(),
        "chain rule",
        "two",
    )
    d.say("So where it vanishes the map of x_s to t is that of x_t to t, which is x_t.")
    share = (t - q) / (t - s)
    d.equal(
        "The mean velocity of a path is the mean of those of its parts, so that X_{q,t}(X_{s,q}(x)) = X_{s,t}(x).",
        slope(there, path(s, y), s, t),
        (1 - share) * slope(path(q, y), path(s, y), s, q) + share * slope(there, path(q, y), q, t),
        "telescoping",
        "semigroup",
    )
    mean = slope(there, path(s, y), s, t)
    d.equal(
        "The slope in t of X = x + (t - s) u is v_t there; at t = s it is u_{s,s} = v_s.",
        mean + (t - s) * diff(mean, t),
        speed(t, y),
        "F_t",
        ("lagrangian", "tangent"),
    )
    own = displacement(x, s, t, u(s, t, x))
    ahead = displacement(x, s, t + h, u(s, t + h, x))
    on = displacement(own, t, t + h, u(t, t + h, own))
    d.equal(
        "The slope in h of the semigroup's residual from t to t + h, as coded, is the Lagrangian one.",
        diff(semigroup(ahead, on), h).subs(h, 0).doit(),
        u(s, t, x) - u(t, t, own) - (s - t) * diff(u(s, t, x), t),
        "u_{t,t} = v_t",
        "three",
    )
    d.equal(
        "Scaling by e^(h(t - s)) has the semigroup.",
        _scaled(_scaled(x, h, s, q), h, q, t),
        _scaled(x, h, s, t),
        "powers",
        "four",
    )
    d.equal("Its velocity is h x, of any h.", diff(_scaled(x, h, s, t), t).subs(t, s), h * x, "derivative", "four")
    _renoised(d)
    return d.proof()


def _renoised(d: Derivation) -> None:
    """Back to t from u: given X the state is Gaussian, and its mean and variance are those of alpha Z + beta X."""
    alpha, beta, kept = d.symbol("alpha_t"), d.symbol("beta_t"), d.symbol("kept", 0, 1)
    beta_u, data, zero = d.symbol("beta_u"), d.real("X"), Integer(0)
    share = 1 - kept**2
    alpha_u = kept * beta_u * alpha / beta
    d.say("Let rho_u = rho_t/kept, kept = sqrt(1 - share): alpha_u is kept beta_u alpha_t/beta_t.", alpha_u)
    back = renoised(Pair(alpha_u, beta_u, zero, zero), Pair(alpha, beta, zero, zero), share)
    d.equal("Given X, the mean, as coded.", back.factor * beta_u * data, beta * data, "the row of the state", "noise")
    d.equal("The noise's variance.", back.factor**2 * alpha_u**2 + back.variance, alpha**2, "independence", "noise")
    d.equal("It is the published one.", back.variance, alpha**2 - (beta / beta_u) ** 2 * alpha_u**2, "rho_u", "noise")
    time = reached(Pair(alpha, beta, zero, zero), share)
    d.equal("u, as coded.", time / (1 - time), beta_u / alpha_u, "rho of the linear schedule", "noise")


def _scaled(x: Expr, h: Expr, s: Expr, t: Expr) -> Expr:
    return x * exp(h * (t - s))


if __name__ == "__main__":
    run_script(prove)

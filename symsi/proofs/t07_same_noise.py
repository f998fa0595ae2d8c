"""T7: the same noise under another diffusion."""

from sympy import diff, sqrt

from symsi.algebra.proof import Derivation, Proof
from symsi.proofs import run_script
from symsi.proofs.setting import conversion
from symsi.theory.diffusion import noise_increment
from symsi.theory.fields import drift_row, row
from symsi.theory.rules import diffusion_factor, time_rate


def prove() -> Proof:
    """Prove that a path with epsilon > 0 determines its driving noise, also after conversion and on a grid."""
    d = Derivation(
        "T7",
        "Same noise, another diffusion",
        "Let X solve dX = b dt + sqrt(2 epsilon) dW with epsilon_t > 0.",
        "Damsholt, Frellsen, Ditlevsen 2026",
    )
    d.claim(
        "a", "The path gives the driving noise back: W is the integral of (dX - b dt)/sqrt(2 epsilon), path by path."
    )
    d.claim("b", "With this W the equation returns the path.")
    d.claim("c", "W drives one strong solution under any other epsilon_bar.")
    d.claim("d", "Recovery and conversion (T5) commute: the converted path's noise is W_bar.")
    d.claim("e", "On a grid, with the coefficients at its points, the noise of a step is recovered exactly.")
    t = d.symbol("t", 0, 1)
    e, w, start = d.function("epsilon")(t), d.function("W", "any")(t), d.real("x_0")
    travelled, weight = d.function("B", "any")(t), d.function("V", "any")(t)
    sigma = sqrt(2 * e)
    d.say(
        "epsilon depends on t alone, so the integral of sqrt(2 epsilon) dW is sqrt(2 epsilon) W - V, where "
        "V' = W d sqrt(2 epsilon)/dt: it needs no derivative of W. B is the integral of b. The SDE says that X is",
        start + travelled + sigma * w - weight,
    )
    x = start + travelled + sigma * w - weight
    martingale = noise_increment(x - start, travelled / t, e, t)
    d.say(
        "By parts again, the integral of (dX - b dt)/sqrt(2 epsilon) is the coded quotient M plus that of R:",
        martingale,
    )
    rest = martingale * diff(sigma, t) / sigma
    d.equal("What M lacks to W", w - martingale, weight / sigma, "the SDE", "a")
    d.equal(
        "grows as R: so M and the integral of R are W, at every t and for every continuous W.",
        diff(weight / sigma, t).subs(diff(weight, t), w * diff(sigma, t)),
        rest,
        "V' = W d sqrt(2 epsilon)/dt",
        "a",
    )
    n = d.function("N", "any")(t)
    recovered = martingale + n
    d.say("Put in again: what was recovered is M + N with N' = R, and in the SDE it has a V of its own:", recovered)
    d.equal(
        "that is sqrt(2 epsilon) N, for this grows as a V has to;",
        diff(sigma * n, t).subs(diff(n, t), rest),
        recovered * diff(sigma, t),
        "N' = R",
        "b",
    )
    d.equal("so the path is X.", start + travelled + sigma * recovered - sigma * n, x, "the SDE", "b")
    d.cite(
        "c", "existence and uniqueness of strong solutions, drift Lipschitz in x", "Ito; Oeksendal 2003, Theorem 5.2.1"
    )

    d.say("Conversion: over dt, with dW_tau = sqrt(tau') dW_bar.")
    _, _, c, base, target = conversion(d)
    noise, data = d.real("eta_Z"), d.real("eta_X")
    dt, dw = d.symbol("dt"), d.real("dW")
    rate = time_rate(base, target)
    e_bar = diffusion_factor(base, target) * e
    step = drift_row(base, e)(noise=noise, data=data) * rate * dt + sqrt(2 * e) * sqrt(rate) * dw
    moved = diff(c, t) * base.state(noise=noise, data=data) * dt + c * step
    d.equal(
        "The noise recovered from the converted path.",
        noise_increment(moved, drift_row(target, e_bar)(noise=noise, data=data), e_bar, dt),
        dw,
        "T5 and T6",
        "d",
    )
    before, e_any = d.real("x_k"), d.symbol("epsilon_bar")
    d.say("Grid: a step from x_k with v and s frozen there, driven by dW; then the same noise under epsilon_bar.")
    for name, scale in {"epsilon": e, "another epsilon_bar": e_any}.items():
        v, s = (row(base, kind)(noise=noise, data=data) for kind in ("velocity", "score"))
        point = before + (v + scale * s) * dt + sqrt(2 * scale) * dw
        drift = drift_row(base, scale)(noise=noise, data=data)
        d.equal(
            f"What a step under {name} gives back.", noise_increment(point - before, drift, scale, dt), dw, "T2", "e"
        )
    return d.proof()


if __name__ == "__main__":
    run_script(prove)

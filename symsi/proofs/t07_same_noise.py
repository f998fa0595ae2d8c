"""T7: the same noise under another diffusion."""

from sympy import diff, sqrt

from symsi.algebra.proof import Derivation, Proof
from symsi.interpolants.rows import Pair
from symsi.proofs import run_script
from symsi.theory.diffusion import noise_increment
from symsi.theory.fields import drift_row


def prove() -> Proof:
    """Prove that a path with epsilon > 0 determines its driving noise, also after conversion and on a grid."""
    d = Derivation(
        "T7",
        "Same noise, another diffusion",
        "From a path and epsilon > 0 the driving noise is dW = (dX - b dt)/sqrt(2 epsilon); it drives the strong "
        "solution under any other epsilon_bar. Discretised, it is exact on the grid of the base path.",
        "Damsholt, Frellsen, Ditlevsen 2026",
    )
    x, b, h, dw = d.real("x"), d.real("b"), d.symbol("h"), d.real("dW")
    e, e_bar, b_bar = d.symbol("epsilon"), d.symbol("epsilon_bar"), d.real("b_bar")
    after = x + b * h + sqrt(2 * e) * dw
    recovered = noise_increment(after - x, b, e, h)
    d.equal("A step of the base path returns its noise, whatever b and epsilon were.", recovered, dw, by="solve for dW")
    d.equal(
        "Driven by it again, the same SDE retraces the path exactly.",
        x + b * h + sqrt(2 * e) * recovered,
        after,
        by="substitution",
    )
    other = x + b_bar * h + sqrt(2 * e_bar) * recovered
    d.equal(
        "A path under another diffusion carries the same noise, so the change can be undone.",
        noise_increment(other - x, b_bar, e_bar, h),
        dw,
        by="solve for dW",
    )

    t, u = d.symbol("t", 0, 1), d.symbol("u", 0, 1)
    noise, data = d.real("eta_Z"), d.real("eta_X")
    tau, c, epsilon = d.function("tau", "increasing")(t), d.function("c")(t), d.function("epsilon")(t)
    base = Pair.of(d.function("alpha", "positive decreasing")(u), d.function("beta", "positive increasing")(u), u).at(
        tau, u
    )
    target = Pair.of(c * base.alpha, c * base.beta, t)
    rate = diff(tau, t)
    epsilon_bar = c**2 * rate * epsilon
    forward, converted = drift_row(base, epsilon), drift_row(target, epsilon_bar)
    state = base.state(noise=noise, data=data)
    base_step = forward(noise=noise, data=data) * rate * h + sqrt(2 * epsilon) * sqrt(rate) * dw
    d.say("Conversion (T5) and recovery commute: over dt = h, with dW_tau = sqrt(tau') dW_bar,")
    d.equal(
        "the noise recovered from the converted path is W_bar's.",
        noise_increment(diff(c, t) * state * h + c * base_step, converted(noise=noise, data=data), epsilon_bar, h),
        dw,
        by="T5 and T6",
    )
    return d.proof()


if __name__ == "__main__":
    run_script(prove)

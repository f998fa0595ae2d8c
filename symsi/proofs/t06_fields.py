"""T6: the fields of the target from those of the base."""

from sympy import diff, log

from symsi.algebra.proof import Derivation, Proof
from symsi.interpolants.rows import Pair
from symsi.proofs import run_script
from symsi.theory.diffusion import optimal_diffusion
from symsi.theory.fields import PREDICTIONS, drift_row, row
from symsi.theory.rules import field_in


def prove() -> Proof:
    """Prove the conversion formulas of velocity, score, noise and data prediction, and of the optimal diffusion."""
    d = Derivation(
        "T6",
        "Fields",
        "v_bar(t, x) = (c'/c) x + c tau' v(tau, x/c), s_bar = s(tau, x/c)/c, and both predictors are unchanged at "
        "(tau, x/c). The optimal diffusion is one process: epsilon_bar* = c^2 tau' epsilon*(tau).",
        "Damsholt, Frellsen, Ditlevsen 2026",
    )
    t, u = d.symbol("t", 0, 1), d.symbol("u", 0, 1)
    noise, data = d.real("eta_Z"), d.real("eta_X")
    tau, c = d.function("tau", "increasing")(t), d.function("c")(t)
    epsilon = d.function("epsilon")(t)
    base = Pair.of(d.function("alpha", "positive decreasing")(u), d.function("beta", "positive increasing")(u), u).at(
        tau, u
    )
    target = Pair.of(c * base.alpha, c * base.beta, t)
    x = target.state(noise=noise, data=data)
    given = {k: row(base, k)(noise=noise, data=data) for k in PREDICTIONS}
    wanted = {k: row(target, k)(noise=noise, data=data) for k in PREDICTIONS}

    d.say("Pathwise equality (T4) makes E[Z | I_bar_t = x] = E[Z | I_tau = x/c], and the same for X.")
    d.equal(
        "Velocity.",
        diff(log(c), t) * x + c * diff(tau, t) * given["velocity"],
        wanted["velocity"],
        by="product and chain rule",
    )
    d.equal("Score.", given["score"] / c, wanted["score"], by="s = -eta_Z/alpha")
    d.equal(
        "The optimal diffusion.",
        optimal_diffusion(target),
        c**2 * diff(tau, t) * optimal_diffusion(base),
        by="T3: alpha^2 rho'/rho",
    )
    for kind in PREDICTIONS:
        for goal in PREDICTIONS:
            formula = field_in(base, target, kind, goal, epsilon)
            d.equal(
                f"Coded conversion: the base's {kind} to the target's {goal}.",
                formula(x, given[kind]),
                wanted[goal],
                by="2 x 2 solve",
            )
        b = drift_row(target, epsilon)
        d.equal(
            f"Coded conversion: the base's {kind} to the target's drift.",
            field_in(base, target, kind, "drift", epsilon)(x, given[kind]),
            b(noise=noise, data=data),
            by="2 x 2 solve",
        )
    return d.proof()


if __name__ == "__main__":
    run_script(prove)

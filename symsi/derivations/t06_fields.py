"""T6: the fields of the target from those of the base."""

from sympy import diff, log

from symsi.derivations import run_script
from symsi.symbolic.rules import field_in
from symsi.symbolic.diffusion import optimal_diffusion
from symsi.symbolic.fields import PREDICTIONS, Pair, drift_row, row
from symsi.symbolic.proof import Derivation, Proof


def prove() -> Proof:
    """Prove the conversion formulas of velocity, score, noise and data prediction, and of the optimal diffusion."""
    d = Derivation(
        "T6",
        "Fields",
        "v_bar(t, x) = (c'/c) x + c tau' v(tau, x/c), s_bar = s(tau, x/c)/c, and both predictors are unchanged at "
        "(tau, x/c). The optimal diffusion is one process: epsilon_bar* = c^2 tau' epsilon*(tau).",
        "Damsholt, Frellsen, Ditlevsen 2026",
    )
    t, u = d.symbol("t", 0.05, 0.95), d.symbol("u", 0.05, 0.95)
    noise, data = d.symbol("eta_Z", -2, 2), d.symbol("eta_X", -2, 2)
    tau, c = d.function("tau", "increasing")(t), d.function("c")(t)
    epsilon = d.function("epsilon")(t)
    base = Pair.of(d.function("alpha", "decreasing")(u), d.function("beta", "increasing")(u), u).at(tau, u)
    target = Pair.of(c * base.alpha, c * base.beta, t)
    x = target.state.noise * noise + target.state.data * data
    given = {k: row(base, k).noise * noise + row(base, k).data * data for k in PREDICTIONS}
    wanted = {k: row(target, k).noise * noise + row(target, k).data * data for k in PREDICTIONS}

    d.say("Pathwise equality (T4) makes E[Z | I_bar_t = x] = E[Z | I_tau = x/c], and the same for X.")
    d.equal("Velocity.", diff(log(c), t) * x + c * diff(tau, t) * given["velocity"], wanted["velocity"],
            by="product and chain rule")  # fmt: skip
    d.equal("Score.", given["score"] / c, wanted["score"], by="s = -eta_Z/alpha")
    d.equal("The optimal diffusion.", optimal_diffusion(target), c**2 * diff(tau, t) * optimal_diffusion(base),
            by="T3: alpha^2 rho'/rho")  # fmt: skip
    for kind in PREDICTIONS:
        for goal in PREDICTIONS:
            formula = field_in(base, target, kind, goal, epsilon)
            d.equal(f"Coded conversion: the base's {kind} to the target's {goal}.", formula(x, given[kind]),
                    wanted[goal], by="2 x 2 solve")  # fmt: skip
        b = drift_row(target, epsilon)
        d.equal(f"Coded conversion: the base's {kind} to the target's drift.",
                field_in(base, target, kind, "drift", epsilon)(x, given[kind]), b.noise * noise + b.data * data,
                by="2 x 2 solve")  # fmt: skip
    return d.proof()


if __name__ == "__main__":
    run_script(prove)

"""T6: the fields of the target from those of the base."""

from sympy import diff

from symsi.algebra.proof import Derivation, Proof
from symsi.proofs import run_script
from symsi.proofs.setting import conversion
from symsi.theory.diffusion import optimal_diffusion
from symsi.theory.fields import PREDICTIONS, predict
from symsi.theory.rules import field_in


def prove() -> Proof:
    """Prove the conversion formulas of velocity, score, noise and data prediction, and of the optimal diffusion."""
    d = Derivation(
        "T6",
        "Fields",
        "Let tau and c be those of T4 and let a network predict v, s, eta_Z or eta_X of the base, at (tau, x/c).",
        "Damsholt, Frellsen, Ditlevsen 2026",
    )
    d.claim("velocity", "v_bar(t, x) = (c'/c) x + c tau' v(tau, x/c).")
    d.claim("score", "s_bar(t, x) = s(tau, x/c)/c.")
    d.claim("noise", "The noise prediction is eta_Z(tau, x/c).")
    d.claim("data", "The data prediction is eta_X(tau, x/c).")
    d.claim("drift", "The drift under epsilon_bar is v_bar + epsilon_bar s_bar.")
    d.claim("optimal", "The optimal diffusion is one process: epsilon_bar* = c^2 tau' epsilon*(tau).")
    t, tau, c, base, target = conversion(d)
    rate = diff(tau, t)
    epsilon = d.function("epsilon")(t)
    x, given = d.real("x"), d.real("P")

    d.say("Pathwise equality (T4): I_bar_t = x and I_tau = x/c are one event. P is what the network says there.")
    for kind in PREDICTIONS:
        own = {name: predict(base, kind, name)(x / c, given) for name in PREDICTIONS}
        expected = {
            "velocity": diff(c, t) / c * x + c * rate * own["velocity"],
            "score": own["score"] / c,
            "noise": own["noise"],
            "data": own["data"],
        }
        expected["drift"] = expected["velocity"] + epsilon * expected["score"]
        for name, formula in expected.items():
            d.equal(
                f"The target's {name} from the base's {kind}, as coded.",
                field_in(base, target, kind, name, epsilon)(x, given),
                formula,
                "2 x 2 solve, T1",
                name,
            )
    d.equal(
        "Both optimal diffusions, as coded: the paths of one become those of the other (T5).",
        optimal_diffusion(target),
        c**2 * rate * optimal_diffusion(base),
        "T3: alpha^2 rho'/rho",
        "optimal",
    )
    return d.proof()


if __name__ == "__main__":
    run_script(prove)

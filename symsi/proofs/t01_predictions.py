"""T1: one network, four predictions."""

from sympy import Matrix, diff, log

from symsi.algebra.proof import Derivation, Proof
from symsi.interpolants.rows import Pair, determinant
from symsi.proofs import run_script
from symsi.theory.diffusion import optimal_diffusion
from symsi.theory.fields import PREDICTIONS, predict, row


def prove() -> Proof:
    """Prove that any of velocity, score, noise and data prediction determines the others."""
    d = Derivation(
        "T1",
        "One network, four predictions",
        "With I_t = alpha Z + beta X, any of v, s, eta_Z, eta_X determines the other three through the state x by a "
        "2 x 2 solve, with the determinant alpha beta' - alpha' beta = alpha^2 rho' > 0.",
        "Damsholt, Frellsen, Ditlevsen 2026; Albergo, Boffi, Vanden-Eijnden 2023",
    )
    t, noise, data = d.symbol("t", 0, 1), d.real("eta_Z"), d.real("eta_X")
    p = Pair.of(d.function("alpha", "positive decreasing")(t), d.function("beta", "positive increasing")(t), t)
    x = p.state(noise=noise, data=data)
    fields = {kind: row(p, kind)(noise=noise, data=data) for kind in PREDICTIONS}

    d.say("Taking E[. | I_t = x] of I_t and of its time derivative gives the state and the velocity.", x)
    d.equal(
        "The determinant of (state, velocity) is alpha^2 rho', positive since rho increases.",
        Matrix([[p.alpha, p.beta], [p.alpha_dot, p.beta_dot]]).det(),
        p.alpha**2 * diff(p.ratio, t),
        by="quotient rule",
    )
    d.equal(
        "It is the determinant that every conversion divides by.",
        determinant(p),
        p.alpha**2 * diff(p.ratio, t),
        by="definition",
    )
    for given in PREDICTIONS:
        for wanted in PREDICTIONS:
            if given != wanted:
                d.equal(
                    f"From {given} to {wanted}.",
                    predict(p, given, wanted)(x, fields[given]),
                    fields[wanted],
                    by="Cramer's rule",
                )
    d.equal(
        "In particular v = (beta'/beta) x + epsilon* s, with epsilon* of T3.",
        diff(log(p.beta), t) * x + optimal_diffusion(p) * fields["score"],
        fields["velocity"],
        by="eliminate eta_X",
    )
    return d.proof()


if __name__ == "__main__":
    run_script(prove)

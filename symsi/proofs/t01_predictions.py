"""T1: one network, four predictions."""

from sympy import Expr, Matrix, diff, log

from symsi.algebra.proof import Derivation, Proof
from symsi.interpolants.rows import determinant
from symsi.proofs import run_script
from symsi.proofs.setting import increasing_ratio, schedule
from symsi.theory.diffusion import optimal_diffusion
from symsi.theory.fields import PREDICTIONS, predict, row


def prove() -> Proof:
    """Prove that any of velocity, score, noise and data prediction determines the others."""
    d = Derivation(
        "T1",
        "One network, four predictions",
        "Let I_t = alpha Z + beta X with rho = beta/alpha increasing, and let eta_Z, eta_X be the means of Z and X "
        "given I_t = x, so that x = alpha eta_Z + beta eta_X, v = alpha' eta_Z + beta' eta_X, s = -eta_Z/alpha.",
        "Damsholt, Frellsen, Ditlevsen 2026; Albergo, Boffi, Vanden-Eijnden 2023",
    )
    d.claim("a", "The determinant of state and velocity, alpha beta' - alpha' beta, is alpha^2 rho' > 0.")
    d.claim("b", "With the state, each of v, s, eta_Z, eta_X is a 2 x 2 system of nonzero determinant.")
    d.claim("c", "So each determines the other three, by Cramer's rule.")
    d.claim("d", "In particular v = (beta'/beta) x + epsilon* s, with epsilon* of T3.")
    t, p = schedule(d)
    noise, data = d.real("eta_Z"), d.real("eta_X")
    x = p.state(noise=noise, data=data)
    fields = {kind: row(p, kind)(noise=noise, data=data) for kind in PREDICTIONS}

    def det(kind: str) -> Expr:
        return Matrix([[r["noise"], r["data"]] for r in (p.state, row(p, kind))]).det()

    d.say("Taking E[. | I_t = x] of I_t and of its time derivative gives the state and the velocity.", x)
    d.equal("The determinant is alpha^2 rho'.", det("velocity"), p.alpha**2 * diff(p.ratio, t), "quotient rule", "a")
    d.equal(
        "It is the one that every conversion divides by.",
        determinant(p),
        p.alpha**2 * diff(p.ratio, t),
        "quotient rule",
        "a",
    )
    q = increasing_ratio(d, t)
    rate = diff(q.ratio, t)
    d.positive("It is positive where rho increases.", determinant(q), q.alpha**2 * rate, "beta = rho alpha", ("a", "b"))
    d.positive("The determinant of state and score.", det("score"), p.ratio, "cofactors", "b")
    d.positive("That of state and noise, negated.", -det("noise"), p.beta, "cofactors", "b")
    d.positive("That of state and data.", det("data"), p.alpha, "cofactors", "b")
    for given in PREDICTIONS:
        for wanted in PREDICTIONS:
            if given != wanted:
                found = predict(p, given, wanted)(x, fields[given])
                d.equal(f"From {given} to {wanted}.", found, fields[wanted], "Cramer's rule", "c")
    d.equal(
        "The velocity by state and score.",
        diff(log(p.beta), t) * x + optimal_diffusion(p) * fields["score"],
        fields["velocity"],
        "eliminate eta_X",
        "d",
    )
    return d.proof()


if __name__ == "__main__":
    run_script(prove)

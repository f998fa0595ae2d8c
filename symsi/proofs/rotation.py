"""Two modes of a Gaussian with a full covariance R diag(lambda) R': in the basis R each is by itself."""

from __future__ import annotations

from sympy import Matrix, eye

from symsi.algebra.proof import Derivation
from symsi.interpolants.rows import Pair
from symsi.theory.gaussian import gaussian_field

__all__ = ["rotation"]


def rotation(d: Derivation, p: Pair, claim: str) -> None:
    """State, as steps for `claim`, that eta_X and the noise are those of the modes, whatever the rotation R."""
    q = d.real("q")
    turn = Matrix([[1 - q**2, -2 * q], [2 * q, 1 - q**2]]) / (1 + q**2)
    lam, mean, state = (
        [declare(f"{name}_{i}") for i in (1, 2)]
        for name, declare in {"lamda": d.symbol, "m": d.real, "y": d.real}.items()
    )
    modes = [gaussian_field(p, "data", y, m, v) for y, m, v in zip(state, mean, lam, strict=True)]
    precision = turn * Matrix([[1 / lam[0], 0], [0, 1 / lam[1]]]) * turn.T
    data, x, centre = turn * Matrix(modes), turn * Matrix(state), turn * Matrix(mean)
    d.say("Any rotation by its half angle's tangent q, and the covariance R diag(lambda_1, lambda_2) R':", turn)
    prior, seen = precision * (data - centre), p.beta / p.alpha**2 * (x - p.beta * data)
    for i, axis in enumerate(("first", "second")):
        d.equal(
            f"R times the modes' own eta_X is where the joint density of X and I_t is greatest: {axis} derivative.",
            prior[i],
            seen[i],
            "T8: Gaussian, so the mean",
            claim,
        )
    covariance = turn.T * eye(2) * turn
    d.equal("The noise of the modes has the variance 1", covariance[0, 0], 1, "R'R = 1", claim)
    d.equal("and no covariance.", covariance[0, 1], 0, "R'R = 1", claim)

"""The independent witness: the coefficients as a textbook writes them, divided forms and all.

Nothing here knows the rows and the n x n solve from which the formulas that run are derived.
"""

from __future__ import annotations

from sympy import Expr

from symsi.algebra.symbols import t, tau
from symsi.theory.conversion import Conversion

__all__ = ["definitions"]


def definitions(conversion: Conversion) -> dict[str, Expr]:
    """Return the coefficients as a textbook writes them, for a velocity prediction (T4 to T6).

    c = alpha_bar/alpha, tau' = rho_bar'/rho', v_bar = (c'/c) x + c tau' v, s = (v - (beta'/beta) y)/epsilon* at
    y = x/c, s_bar = s/c, eta_Z = -alpha s, eta_X = (x - alpha_bar eta_Z)/beta_bar, b = v_bar + epsilon s_bar.
    """
    same = conversion.base == conversion.target
    time = t if same else tau
    a, b = (e.subs(t, time) for e in (conversion.base.alpha, conversion.base.beta))
    a1, b1 = conversion.target.alpha, conversion.target.beta
    ratio, ratio1 = b / a, b1 / a1
    c = a1 / a
    rate = ratio1.diff(t) / ratio.diff(time)
    growth = a1.diff(t) / a1 - a.diff(time) * rate / a
    optimal = a**2 * b.diff(time) / b - a * a.diff(time)
    slope = b.diff(time) / b
    epsilon = conversion.diffusion.of(conversion.target.pair)
    score = (-slope / (optimal * c**2), 1 / (optimal * c))
    noise = (-a1 * score[0], -a1 * score[1])
    data = ((1 - a1 * noise[0]) / b1, -a1 * noise[1] / b1)
    velocity = (growth, c * rate)
    drift = (velocity[0] + epsilon * score[0], velocity[1] + epsilon * score[1])
    fields = {"velocity": velocity, "score": score, "noise": noise, "data": data, "drift": drift}
    return {
        "alpha": a1,
        "beta": b1,
        "time": time,
        "time_rate": rate,
        "scale": c,
        "diffusion": epsilon,
        "base_diffusion": epsilon / (c**2 * rate),
        **{f"{f}_{part}": pair[k] for f, pair in fields.items() for k, part in enumerate(("state", "prediction"))},
        **{f"{f}_input": pair[0] * c for f, pair in fields.items()},
    }

"""The independent witness: the coefficients as a textbook writes them, divided forms and all.

Nothing here knows the rows and the n x n solve from which the formulas that run are derived.
"""

from __future__ import annotations

from sympy import Dummy, Expr, diff

from symsi.algebra.symbols import t, tau
from symsi.errors import SymsiError
from symsi.theory.bridge import Bridge
from symsi.theory.conversion import Conversion

__all__ = ["bridge_definitions", "definitions"]


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


def bridge_definitions(bridge: Bridge) -> dict[str, Expr]:
    """Return the coefficients of a bridge that is given velocity or ends, with latent or score (T13).

    v = u + gamma' eta_z, s = -eta_z/gamma; with r = x - gamma eta_z and u = alpha' eta_0 + beta' eta_1,
    eta_0 = (beta' r - beta u)/D and eta_1 = (alpha u - alpha' r)/D, D = alpha beta' - alpha' beta; b_F = v + epsilon s,
    b_B = v - epsilon s. Raises SymsiError for other predictions.
    """
    i, state = bridge.interpolant, Dummy("x")
    known = {kind: Dummy(kind) for kind in bridge.given}
    if len({"velocity", "ends"} & set(known)) != 1 or len({"latent", "score"} & set(known)) != 1:
        raise SymsiError(
            f"textbook forms are those of velocity or ends with latent or score; this bridge has "
            f"{' and '.join(bridge.given)}."
        )
    a, b, c = i.alpha, i.beta, i.gamma
    a1, b1, c1 = (diff(e, t) for e in (a, b, c))
    latent = known["latent"] if "latent" in known else -c * known["score"]
    ends = known["ends"] if "ends" in known else known["velocity"] - c1 * latent
    velocity, score, rest = ends + c1 * latent, -latent / c, state - c * latent
    determinant = a * b1 - a1 * b
    fields = {
        "velocity": velocity,
        "score": score,
        "latent": latent,
        "ends": ends,
        "x0": (b1 * rest - b * ends) / determinant,
        "x1": (a * ends - a1 * rest) / determinant,
        "forward": velocity + bridge.epsilon * score,
        "backward": velocity - bridge.epsilon * score,
    }
    symbols = {"state": state, **known}
    return {
        "alpha": a,
        "beta": b,
        "gamma": c,
        "alpha_dot": a1,
        "beta_dot": b1,
        "gamma_dot": c1,
        "gamma_rate": c * c1,
        "diffusion": bridge.epsilon,
        **{f"{kind}_{part}": diff(fields[kind], symbols[part]) for kind in bridge.fields for part in symbols},
    }

"""The proof of one conversion: its time map, and every coefficient against the definitions.

The values of the base at tau are letters a, b, a', b' and those of the target are c a, c b by the time map; what
remains holds for all such values.
"""

from __future__ import annotations

from sympy import Eq

from symsi.algebra.inverse import R
from symsi.algebra.proof import Derivation, Proof
from symsi.algebra.symbols import t
from symsi.interpolants.rows import Pair
from symsi.interpolants.schedule import Schedule
from symsi.theory.fields import row
from symsi.theory.rules import diffusion_factor, field_in, scale, time_rate

__all__ = ["prove"]


def prove(start: Schedule, goal: Schedule, prediction: str, diffusion: str, time_equation: Eq) -> Proof:
    """Prove the conversion from `start` to `goal` for a network that predicts `prediction`."""
    d = Derivation("conversion", f"{start} to {goal}", f"The formulas for epsilon = {diffusion} hold.")
    if start == goal:
        d.say("Both schedules are the same: tau = t.")
    elif start.inverse_ratio is None:
        d.say("tau is the root of rho(tau) = rho_bar(t); rho increases, so there is one.", time_equation)
    else:
        r = d.symbol(R.name, start.start_ratio)
        for parameter in start.free_parameters:
            d.symbol(parameter.name)
        d.equal("The inverse of rho.", start.ratio.subs(t, start.inverse_ratio), r, by="substitution")
    a, b, c = d.symbol("a"), d.symbol("b"), d.symbol("c")
    a_dot, b_dot = d.real("a_dot"), d.real("b_dot")
    rate, c_dot, e = d.symbol("tau_dot"), d.real("c_dot"), d.symbol("epsilon_bar")
    noise, data = d.real("eta_Z"), d.real("eta_X")
    base = Pair(a, b, a_dot, b_dot)
    target = Pair(c * a, c * b, c_dot * a + c * rate * a_dot, c_dot * b + c * rate * b_dot)
    d.equal("Scale.", scale(base, target), c, by="T4")
    d.equal("Speed of tau.", time_rate(base, target), rate, by="T4")
    d.equal("Diffusion.", diffusion_factor(base, target), c**2 * rate, by="T5")
    x_bar = c * (a * noise + b * data)
    velocity = c_dot / c * x_bar + c * rate * (a_dot * noise + b_dot * data)
    given = row(base, prediction)(noise=noise, data=data)
    fields = {
        "velocity": velocity,
        "score": -noise / (c * a),
        "noise": noise,
        "data": data,
        "drift": velocity - e * noise / (c * a),
    }
    for name, expected in fields.items():
        formula = field_in(base, target, prediction, name, e)
        d.equal(f"{name.capitalize()}.", formula(x_bar, given), expected, by="T6")
    return d.proof()

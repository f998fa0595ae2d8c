"""The proof of one conversion: the rules that give its coefficients, and then the very coefficients that ship.

The rules are proved for letters: the base at tau has the values a, b, a', b', the target c a, c b by the time map; what
remains holds for all such values. Each coefficient, as it is printed and as it is tabulated, is then compared with its
textbook definition (`definitions`) at random times, and traced to its rule exactly where algebra closes. Where it does
not, the step is *confirmed*: by numbers alone, and marked so. So are the limits, by values close to the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sympy import Expr, Integer, Limit, Tuple

from symsi.algebra.declared import Declared
from symsi.algebra.inverse import R
from symsi.algebra.proof import Derivation, Proof
from symsi.algebra.rewriting import reduce_to_zero
from symsi.algebra.simplify import count
from symsi.algebra.symbols import t, tau
from symsi.errors import ScheduleError
from symsi.interpolants.rows import Pair
from symsi.theory.conversion_witness import Witness
from symsi.theory.definitions import definitions
from symsi.theory.fields import PREDICTIONS, row
from symsi.theory.rules import diffusion_factor, field_in, scale, time_rate

if TYPE_CHECKING:
    from symsi.theory.conversion import Conversion

__all__ = ["prove"]

_ALGEBRA_LIMIT = 250  # a longer residual is left to numbers


def prove(c: Conversion) -> Proof:
    """Prove the conversion: its time map, the rules, every coefficient in each of its forms, and their limits."""
    d = Derivation("conversion", f"{c.base} to {c.target}", f"The formulas for epsilon = {c.diffusion} hold.")
    rules(d, c.prediction)
    witness = Witness(c)
    _time_map(d, c, witness)
    _coefficients(d, c, witness)
    try:
        _limits(d, c, witness)
    except ScheduleError as error:
        d.say(f"No limits: {error}")
    return d.proof()


def rules(d: Derivation, prediction: str) -> None:
    """Prove the rules of T4 to T6 for letters, for a network that predicts `prediction`."""
    a, b, c = d.symbol("a"), d.symbol("b"), d.symbol("c")
    a_dot, b_dot = d.real("a_dot"), d.real("b_dot")
    rate, c_dot, e = d.symbol("tau_dot"), d.real("c_dot"), d.symbol("epsilon_bar")
    noise, data = d.real("eta_Z"), d.real("eta_X")
    base = Pair(a, b, a_dot, b_dot)
    target = Pair(c * a, c * b, c_dot * a + c * rate * a_dot, c_dot * b + c * rate * b_dot)
    d.say("The base at tau has the values a, b; by the time map the target has c a, c b.")
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


def _time_map(d: Derivation, c: Conversion, witness: Witness) -> None:
    if c.base == c.target:
        d.say("Both schedules are the same: tau = t.")
    else:
        d.say("tau is the root of rho(tau) = rho_bar(t); rho increases, so there is one.", c.time_equation)
    claims = [
        ("The equation: the base's side.", c.time_equation.lhs, c.base.ratio.subs(t, tau)),
        ("The equation: the target's side.", c.time_equation.rhs, c.target.ratio),
    ]
    for claim, left, right in claims:
        _compare(d, claim, "definition of rho", left, right, witness, _algebra(left - right))
    inverse = c.base.inverse_ratio
    if inverse is not None and c.base != c.target:
        back = c.base.ratio.subs(t, inverse)
        found = witness.check(back.subs(R, c.target.ratio), c.target.ratio, _algebra(back - R))
        d.state("The inverse of rho.", "substitution", back, R, found)
    for claim, closed in {"tau in closed form.": c.time, "tau as numbers are computed from it.": c._time}.items():
        if closed is not None and (closed != c.time or claim.startswith("tau in")):
            exact = _root(c, closed)
            _compare(d, claim, "the root in (0, 1) is the only one", closed, tau, witness, exact)


def _root(c: Conversion, closed: Expr) -> str:
    """How it is known exactly that `closed` solves rho(tau) = rho_bar(t)."""
    if c.base == c.target:
        return "the same schedule" if closed == t else ""
    if c.base.inverse_ratio is not None and closed == c.base.inverse_ratio.subs(R, c.target.ratio):
        return "the inverse of rho, above"
    return _algebra(c.base.ratio.subs(t, closed) - c.target.ratio)


def _coefficients(d: Derivation, c: Conversion, witness: Witness) -> None:
    d.say("Every coefficient as it ships, against its definition from alpha and beta; tau solves the equation.")
    textbook, ruled = definitions(c.base, c.target, c.diffusion, c.prediction), _ruled(c)
    for name, definition in textbook.items():
        tabulated, printed = c.coefficients.get(name), c.formulas.get(name)
        forms = {"as printed": printed, "as tabulated": tabulated if tabulated != printed else None}
        traced = "" if tabulated is None else _traced(tabulated, ruled[name])
        for how, form in forms.items():
            if form is not None:
                exact = traced if form == tabulated else traced and _rewritten(form, tabulated, c)
                _compare(d, f"{name}, {how}.", "T4 to T6", form, definition, witness, exact)


def _ruled(c: Conversion) -> Mapping[str, Expr]:
    """The rules, proved above for letters, at the values of this base and target."""
    target = c.target.pair
    base = target if c.base == c.target else c.base.pair.at(tau)
    epsilon = c.diffusion.of(target)
    found = {
        "alpha": target.alpha,
        "beta": target.beta,
        "time": t if c.base == c.target else tau,
        "time_rate": time_rate(base, target),
        "scale": scale(base, target),
        "diffusion": epsilon,
        "base_diffusion": epsilon / diffusion_factor(base, target),
    }
    for name in (*PREDICTIONS, "drift"):
        combination = field_in(base, target, c.prediction, name, epsilon)
        found[f"{name}_state"] = combination.state
        found[f"{name}_input"] = combination.state * found["scale"]
        found[f"{name}_prediction"] = combination.prediction
    return found


def _traced(form: Expr, rule: Expr) -> str:
    if form == rule:
        return "the rule for letters, at these alpha and beta"
    return _algebra(form - rule)


def _rewritten(form: Expr, tabulated: Expr, c: Conversion) -> str:
    """How it is known exactly that a printed form is the tabulated one, with tau as it is or written out."""
    for other in (tabulated, None if c._time is None else tabulated.subs(tau, c._time)):
        if other is not None:
            method = "the same expression" if form == other else _algebra(form - other)
            if method:
                return method
    return ""


def _algebra(residual: Expr) -> str:
    """Reduce a residual in t, tau and parameters to 0, if it is short; "" where that does not close."""
    if residual == 0:
        return "the same expression"
    if count(residual) > _ALGEBRA_LIMIT:
        return ""
    declared = Declared()
    for s in residual.free_symbols:
        declared.symbol(s.name, 0, 1 if s in (t, tau) else "oo")
    return reduce_to_zero(residual, declared, quick=True)


def _compare(d: Derivation, claim: str, rule: str, left: Expr, right: Expr, witness: Witness, exact: str) -> None:
    d.state(claim, rule, left, right, witness.check(left, right, exact))


def _limits(d: Derivation, c: Conversion, witness: Witness) -> None:
    d.say("The behaviour at the ends, against values of the definitions close to them.")
    textbook = definitions(c.base, c.target, c.diffusion, c.prediction)
    for end in (0, 1):
        near = witness.near(end, Tuple(*textbook.values()))
        variable, place, sign = t, c.start if end == 0 else Integer(1), "+" if end == 0 else "-"
        for k, name in enumerate(textbook):
            found = c.limits[name][end]
            if found.exponent is None:
                d.say(f"{name} has no power law at t = {place} that could be established: {found.reason}.")
                continue
            left = (
                Limit(textbook[name] / found.leading, variable, place, sign)
                if found.coefficient != 0
                else textbook[name]
            )
            right = Integer(1) if found.coefficient != 0 else Integer(0)
            d.state(
                f"{name} at {place}: {found}.",
                "power series",
                left,
                right,
                witness.check_limit(found, [n[k] for n in near]),
            )

"""The proof of one conversion: the rules that give its coefficients, and then the very coefficients that ship.

The rules are proved for letters: the base at tau has the values a, b, a', b', the target c a, c b by the time map; what
remains holds for all such values. Each coefficient, as it is printed and as it is tabulated, is then compared with its
textbook definition (`definitions`) at random times, and traced to its rule exactly where algebra closes. Where it does
not, the step is *confirmed*: by numbers alone, and marked so. So are the limits, by values close to the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from sympy import Dummy, Expr, Integer, Limit, Mul, Pow, Tuple, cos, exp, log, sin

from symsi.algebra.declared import Declared
from symsi.algebra.inverse import PARTS, at_parts
from symsi.algebra.proof import Derivation, Proof
from symsi.algebra.rewriting import reduce_to_zero
from symsi.algebra.simplify import count
from symsi.algebra.symbols import t, tau
from symsi.errors import ScheduleError
from symsi.interpolants.rows import Pair
from symsi.theory.conversion_witness import Witness
from symsi.theory.definitions import definitions
from symsi.theory.fields import row
from symsi.theory.rules import coefficients, diffusion_factor, field_in, scale, time_rate

if TYPE_CHECKING:
    from symsi.theory.conversion import Conversion

__all__ = ["prove"]

_ALGEBRA_LIMIT = 250  # a longer residual is left to numbers
_BY_LETTERS = "the formula proved for letters, with these alpha and beta put in"
_TRANSCENDENTAL_LIMIT = 100  # and so is one of exponentials, logarithms, sines


def prove(c: Conversion) -> Proof:
    """Prove the conversion: its time map, the rules, every coefficient in each of its forms, and their limits."""
    d = Derivation("conversion", f"{c.base} to {c.target}", f"The formulas for epsilon = {c.diffusion} hold.")
    d.include(rules(c.prediction))
    textbook = definitions(c.base, c.target, c.diffusion, c.prediction)
    inverse = c.base.inverse
    back = None if inverse is None or c.base == c.target else c.base.ratio.subs(t, inverse)
    claims = _time_claims(c, back)
    compared = [e for _, _, left, right, _ in claims for e in (left, right)]
    witness = Witness(c, [*compared, *textbook.values(), *c.formulas.values(), *c.coefficients.values()])
    if c.base == c.target:
        d.say("Both schedules are the same: tau = t.")
    else:
        d.say("tau is the root of rho(tau) = rho_bar(t); rho increases, so there is one.", c.time_equation)
    for claim, rule, left, right, exact in claims:
        d.state(claim, rule, left, right, witness.check(left, right, exact))
    _coefficients(d, c, textbook, witness)
    try:
        _limits(d, c, textbook, witness)
    except ScheduleError as error:
        d.say(f"No limits: {error}")
    return d.proof()


@lru_cache
def rules(prediction: str) -> Derivation:
    """Prove the rules of T4 to T6 for letters, for a network that predicts `prediction`."""
    d = Derivation("rules", "T4 to T6 for letters", "The rules hold.")
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
    return d


def _time_claims(c: Conversion, back: Expr | None) -> list[tuple[str, str, Expr, Expr, Callable[[], str]]]:
    """What is claimed of the time map: claim, rule, left, right, and how it is known exactly; `back` is rho(rho^-1)."""
    sides = ((c.time_equation.lhs, c.base.ratio.subs(t, tau)), (c.time_equation.rhs, c.target.ratio))
    found: list[tuple[str, str, Expr, Expr, Callable[[], str]]] = []
    for side, (left, right) in zip(("base", "target"), sides, strict=True):
        claim = f"The equation: the {side}'s side."
        found.append((claim, "definition of rho", left, right, partial(_algebra, left - right)))
    if back is not None:
        put_in = at_parts(back, c.target.alpha, c.target.beta)
        exact = partial(_algebra, back - PARTS[1] / PARTS[0], long=True)
        found.append(("The inverse of rho.", "substitution", put_in, c.target.ratio, exact))
    for claim, closed in (("tau in closed form.", c.time), ("tau as numbers come from it.", c._time)):
        if closed is not None and not (found[-1][0] == "tau in closed form." and closed == c.time):
            found.append((claim, "the root in (0, 1) is the only one", closed, tau, partial(_root, c, closed)))
    return found


def _root(c: Conversion, closed: Expr) -> str:
    """How it is known exactly that `closed` solves rho(tau) = rho_bar(t)."""
    if c.base == c.target:
        return "the same schedule" if closed == t else ""
    if closed == c.base.time_of(c.target.alpha, c.target.beta):
        return "the inverse of rho, above"
    return _algebra(c.base.ratio.subs(t, closed) - c.target.ratio)


def _coefficients(d: Derivation, c: Conversion, textbook: Mapping[str, Expr], witness: Witness) -> None:
    d.say("Every coefficient as it ships, against its definition from alpha and beta; tau solves the equation.")
    ruled = _ruled(c)
    for name, definition in textbook.items():
        tabulated, printed = c.coefficients.get(name), c.formulas.get(name)
        forms = {"as printed": printed, "as tabulated": tabulated if tabulated != printed else None}
        for how, form in forms.items():
            if form is not None:
                found = witness.check(form, definition, partial(_shipped, form, tabulated, ruled[name], c))
                d.state(f"{name}, {how}.", "T4 to T6", form, definition, found)


def _shipped(form: Expr, tabulated: Expr | None, rule: Expr, c: Conversion) -> str:
    """How it is known exactly that a form is what the rule gives: through the tabulated one, if it is not that."""
    traced = "" if tabulated is None else _traced(tabulated, rule)
    return traced if form == tabulated else traced and _rewritten(form, tabulated, c)


def _ruled(c: Conversion) -> Mapping[str, Expr]:
    """The coefficients for letters alone, and the values of this base and target put in for the letters.

    `rules` proves them for letters: those of the target there are c a, c b, as the time map makes them.
    """
    letters = {name: Pair(*(Dummy(f"{name}{k}") for k in range(4))) for name in ("base", "target")}
    epsilon, time = Dummy("epsilon"), Dummy("tau")
    target = c.target.pair
    base = target if c.base == c.target else c.base.pair.at(tau)
    values = {epsilon: c.diffusion.of(target), time: t if c.base == c.target else tau}
    for letter, pair in ((letters["base"], base), (letters["target"], target)):
        values |= {
            letter.alpha: pair.alpha,
            letter.beta: pair.beta,
            letter.alpha_dot: pair.alpha_dot,
            letter.beta_dot: pair.beta_dot,
        }
    found = coefficients(letters["base"], letters["target"], c.prediction, epsilon, time)
    return {name: expr.xreplace(values) for name, expr in found.items()}


def _traced(form: Expr, rule: Expr) -> str:
    if form == rule:
        return _BY_LETTERS
    return _algebra(form - rule) and f"{_BY_LETTERS}, up to algebra"


def _rewritten(form: Expr, tabulated: Expr, c: Conversion) -> str:
    """How it is known exactly that a printed form is the tabulated one, with tau as it is or written out."""
    for other in (tabulated, None if c._time is None else tabulated.subs(tau, c._time)):
        if other is not None:
            method = "the same expression" if form == other else _algebra(form - other)
            if method:
                return method
    return ""


def _algebra(residual: Expr, long: bool = False) -> str:
    """Reduce a residual in t, tau and parameters to 0, if it is short or `long`; "" where that does not close."""
    if residual == 0:
        return "the same expression"
    transcendental = residual.has(exp, log, sin, cos)
    if not long and count(residual) > (_TRANSCENDENTAL_LIMIT if transcendental else _ALGEBRA_LIMIT):
        return ""
    declared = Declared()
    for s in residual.free_symbols:
        declared.symbol(s.name, 0, 1 if s in (t, tau) else "oo")
    return reduce_to_zero(residual, declared, quick=True)


def _limits(d: Derivation, c: Conversion, textbook: Mapping[str, Expr], witness: Witness) -> None:
    d.say("The behaviour at the ends, against values of the definitions close to them.")
    for end in (0, 1):
        near = witness.near(end, Tuple(*textbook.values()))
        place, sign = c.start if end == 0 else Integer(1), "+" if end == 0 else "-"
        for k, name in enumerate(textbook):
            found = c.limits[name][end]
            if found.exponent is None:
                d.say(f"{name} has no power law at t = {place} that could be established: {found.reason}.")
                continue
            vanishes = found.coefficient == 0
            law = Integer(1) if vanishes else found.leading
            left = Limit(Mul(textbook[name], Pow(law, -1, evaluate=False), evaluate=False), t, place, sign)
            right = Integer(0 if vanishes else 1)
            claim = f"{name} at t -> {place}" + (" is 0." if vanishes else ", relative to its leading term.")
            d.state(claim, "power series", left, right, witness.check_limit(found, [n[k] for n in near]))

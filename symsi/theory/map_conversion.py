"""T21 as a value: the flow map of one schedule from that of another, as formulas of two times, limits and proof."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import mpmath
from sympy import Eq, Expr, Integer, Symbol, latex, sstr

from symsi.algebra.checks import Check, settle
from symsi.algebra.limits import Limit
from symsi.algebra.multiprecision import evaluate
from symsi.algebra.proof import Derivation, Proof
from symsi.algebra.simplify import count, simplify
from symsi.algebra.symbols import t, tau, x
from symsi.errors import ScheduleError
from symsi.interpolants.named import as_schedule
from symsi.interpolants.rows import Combination
from symsi.interpolants.schedule import Kind, Schedule
from symsi.theory.conversion import Conversion, convert
from symsi.theory.conversion_witness import Witness
from symsi.theory.flow_map import converted, covariance, displacement

__all__ = ["FORMAT", "MapConversion", "convert_map", "map_record"]

FORMAT = "symsi-map-conversion/1"
_S, _TAU_S, _TAU_T, _U = Symbol("s"), Symbol("tau_s"), Symbol("tau_t"), Symbol("u")
_C_S, _C_T, _RATE_S, _RATE_T = (Symbol(n) for n in ("c_s", "c_t", "rate_s", "rate_t"))
_LETTERS = (_S, _TAU_S, _TAU_T, _C_S, _C_T, _RATE_S, _RATE_T, _U)
_BY_NUMBERS = "numbers at random times, tau and c from their definitions"
_READABLE = 80  # a formula longer than this keeps its letters
_OF_TIME = ("time", "time_rate", "scale")  # of t alone: what has limits


@dataclass(frozen=True)
class MapConversion:
    """X_bar_{s,t}(x) = c_t X_{tau_s, tau_t}(x/c_s), of `conversion` = base -> target; u of X = x + (t - s) u.

    tau, c and tau' are `conversion.time`, or `time_equation`, `scale` and `formulas["time_rate"]`.
    """

    conversion: Conversion

    @cached_property
    def formulas(self) -> Mapping[str, Expr]:
        """u_bar = state x + prediction u, diagonal_state x + diagonal_prediction u at s = t, and residuals' factors.

        tau, c and tau' are written out where that stays short; else they are letters, such as tau_s, c_s, rate_s at s.
        """
        c = self.conversion
        diagonal = {f"diagonal_{part}": c.formulas[f"velocity_{part}"] for part in ("state", "prediction")}
        if c.base == c.target:
            return {"state": Integer(0), "prediction": Integer(1), **covariance(*[Integer(1)] * 3), **diagonal}
        return {**{name: self._written(e) for name, e in _raw().items()}, **diagonal}

    def _written(self, formula: Expr) -> Expr:
        """A formula in letters with what they stand for put in, where that is short."""
        c = self.conversion
        if c.time is None:
            return formula
        known = {_TAU_S: c.time, _C_S: c.scale.subs(tau, c.time), _RATE_S: c.formulas["time_rate"].subs(tau, c.time)}
        later = dict(zip((_TAU_T, _C_T, _RATE_T), known.values(), strict=True))
        whole = formula.subs({**{k: e.subs(t, _S) for k, e in known.items()}, **later}, simultaneous=True)
        short = count(whole) <= 2 * _READABLE
        found = simplify(whole) if short else whole
        return found if count(found) <= _READABLE else formula

    @property
    def average(self) -> Expr:
        """u_bar_{s,t}(x), with u at (tau_s, tau_t, x/c_s)."""
        return Combination(self.formulas["state"], (self.formulas["prediction"],))(x, _U)

    @property
    def diagonal(self) -> Expr:
        """u_bar_{t,t}(x), the velocity (T6), with u at (tau_t, tau_t, x/c_t)."""
        return Combination(self.formulas["diagonal_state"], (self.formulas["diagonal_prediction"],))(x, _U)

    @cached_property
    def limits(self) -> Mapping[str, tuple[Limit, Limit]]:
        """The behaviour of tau, tau' and c at the start and at t = 1."""
        return {name: self.conversion.limits[name] for name in _OF_TIME}

    @property
    def time(self) -> Eq:
        """tau in closed form, or the equation that it solves."""
        c = self.conversion
        return c.time_equation if c.time is None else Eq(tau, c.time, evaluate=False)

    def latex(self) -> str:
        """Return the conversion as a LaTeX `aligned` block."""
        c, f = self.conversion, self.formulas
        lines = [
            rf"\alpha_t &= {latex(c.base.alpha)}, & \beta_t &= {latex(c.base.beta)}",
            rf"\bar\alpha_t &= {latex(c.target.alpha)}, & \bar\beta_t &= {latex(c.target.beta)}",
            f"{latex(self.time.lhs)} &= {latex(self.time.rhs)}",
            f"c &= {latex(c.scale)}",
            rf"\dot\tau &= {latex(c.formulas['time_rate'])}",
            r"\bar X_{s,t}(x) &= c_t X_{\tau_s,\tau_t}(x/c_s) = x + (t - s)\,\bar u",
            rf"\bar u_{{s,t}} &= {latex(self.average)}",
            rf"\bar u_{{t,t}} &= {latex(self.diagonal)}",
            *(rf"\bar R_{{\text{{{name}}}}} &= {latex(f[name])}\, R" for name in covariance(x, x, x)),
            r"\text{with } u = u_{\tau_s,\tau_t}(x/c_s)",
        ]
        return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"

    def proof(self) -> Proof:
        """Prove T21 for letters, and compare the formulas, as they are printed, with it at random times."""
        return _prove(self)


def convert_map(base: Schedule | str, target: Schedule | str) -> MapConversion:
    """Return how a flow map of `base` becomes one of `target` (T21).

    Raises ScheduleError for a point-mass target, whose states at 0 all coincide, and for a parameter that is called as
    a letter here.
    """
    start, goal = as_schedule(base), as_schedule(target)
    if goal.kind is Kind.POINT_MASS:
        raise ScheduleError(f"a map into {goal} would start from one point; convert to a schedule with noise at 0.")
    found = convert(start, goal)
    for letter in found.free_parameters & set(_LETTERS):
        raise ScheduleError(f"{letter} is a letter of flow maps; call the schedule's parameter something else.")
    return MapConversion(found)


def map_record(m: MapConversion) -> dict[str, Any]:
    """Return a conversion of maps as JSON data; formulas parse back with SymPy."""
    c = m.conversion
    sides = {"schedule": c.base, "target": c.target}
    return {
        "format": FORMAT,
        **{key: {"name": s.name, "alpha": sstr(s.alpha), "beta": sstr(s.beta)} for key, s in sides.items()},
        "parameters": sorted(s.name for s in c.free_parameters),
        "implicit": c.implicit,
        "time": sstr(m.time),
        "scale": sstr(c.scale),
        "time_rate": sstr(c.formulas["time_rate"]),
        "average": sstr(m.average),
        "diagonal": sstr(m.diagonal),
        "coefficients": {name: sstr(e) for name, e in m.formulas.items()},
        "limits": {n: {"start": str(a), "1": str(b)} for n, (a, b) in m.limits.items()},
        "latex": m.latex(),
    }


def _prove(m: MapConversion) -> Proof:
    c = m.conversion
    d = Derivation(
        "Map",
        f"Flow maps of {c.base} to {c.target}",
        f"Let tau solve {sstr(c.time_equation.lhs)} = {sstr(c.time_equation.rhs)}, and c = alpha_bar/alpha(tau). Then "
        "x + (t - s) u_bar is c_t X_{tau_s, tau_t}(x/c_s), and the formulas are those of T21 with these put in.",
        "T21",
    )
    s, end, tau_s, tau_t = (d.symbol(n, 0, 1) for n in ("s", "t", "tau_s", "tau_t"))
    c_s, c_t, place, u = d.symbol("c_s"), d.symbol("c_t"), d.real("x"), d.real("u")
    d.equal(
        "In letters.",
        displacement(place, s, end, converted(s, end, (tau_s, tau_t), (c_s, c_t))(place, u)),
        c_t * displacement(place / c_s, tau_s, tau_t, u),
        "T21",
    )
    seen = _seen(m)
    for name, formula in _raw().items():
        d.state(f"{name.capitalize()}.", "T21", m.formulas[name], formula, seen(name, formula))
    return d.proof()


def _raw() -> dict[str, Expr]:
    """T21 in letters."""
    row = converted(_S, t, (_TAU_S, _TAU_T), (_C_S, _C_T))
    return {"state": row.state, "prediction": row.predictions[0], **covariance(_C_T, _RATE_S, _RATE_T)}


def _seen(m: MapConversion) -> Callable[[str, Expr], Check]:
    """What compares a printed formula with T21 in letters, at random times: tau and c from their definitions."""
    c, witness = m.conversion, Witness(m.conversion, ())
    points = list(zip(witness.points[::2], witness.points[1::2], strict=True))

    def values(k: int, digits: int) -> dict[Symbol, Any]:
        given = {symbol: v for symbol, v in points[k][0].items() if symbol != t}
        times = sorted(c.start + (1 - c.start) * point[t] for point in points[k])
        found: dict[Symbol, Any] = {**given, _S: times[0], t: times[1]}
        for time, letter, scale, rate in ((times[0], _TAU_S, _C_S, _RATE_S), (times[1], _TAU_T, _C_T, _RATE_T)):
            found[letter] = witness.time(time, digits, given)
            above = evaluate(c.target.alpha, {**given, t: time}, digits)
            with mpmath.workdps(digits):
                found[scale] = above / evaluate(c.base.alpha, {**given, t: found[letter]}, digits)
            found[rate] = c.evaluate("time_rate", time, digits, given)
        return found

    def check(name: str, formula: Expr) -> Check:
        worst, where, number = mpmath.mpf(0), "", 0
        for k in range(len(points)):

            def sides(digits: int, k: int = k) -> tuple[Any, Any, Any]:
                at = values(k, digits)
                left, right = (evaluate(e, at, digits) for e in (m.formulas[name], formula))
                with mpmath.workdps(digits):
                    return left, right, left - right

            found = settle(sides)
            if found is not None:
                number, worst = number + 1, max(worst, found[0])
                where = where or (f"s={float(values(k, 15)[_S]):.6g}" if found[1] else "")
        return Check("" if where else _BY_NUMBERS, number, float(worst), where, by_numbers=True)

    return check

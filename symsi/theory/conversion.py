"""T4 to T7: from one schedule and diffusion to another, in closed form.

With rho(tau) = rho_bar(t) and c = alpha_bar / alpha(tau) the target's interpolant is c times the base's at tau, in law
and path by path. A bar marks the target at t; bare letters are the base at tau. Coefficients are expressions in t and
tau; they are written without differences that cancel, and without 0/0 where another form has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from sympy import Eq, Expr, Float, Integer, Symbol, latex, preorder_traversal

from symsi.algebra.limits import Limit
from symsi.algebra.multiprecision import DIGITS, evaluate
from symsi.algebra.parse import reread
from symsi.algebra.proof import Proof
from symsi.algebra.series import Series
from symsi.algebra.simplify import count, simplify
from symsi.algebra.symbols import PREDICTION_SYMBOLS, t, tau, x
from symsi.errors import DiffusionError, ParseError, ScheduleError, SymsiError, unknown
from symsi.interpolants.named import as_schedule
from symsi.interpolants.rows import Combination, Pair
from symsi.interpolants.schedule import Kind, Schedule
from symsi.theory.conversion_numbers import (
    EXACT_DIGITS,
    Parameters,
    coefficients_at,
    solve_ratio,
    time_at,
    vanishing,
    zero_between,
)
from symsi.theory.conversion_proof import prove
from symsi.theory.conversion_series import end_value, limit_of, series_at, series_of
from symsi.theory.diffusion import Diffusion, as_diffusion, noise_increment, ode
from symsi.theory.fields import PREDICTIONS
from symsi.theory.rules import FIELDS, coefficients, diffusion_factor

__all__ = ["FIELDS", "Conversion", "as_conversion", "convert"]

_READABLE = 60  # a formula longer than this keeps tau as a letter


@dataclass(frozen=True)
class Conversion:
    """Everything about `base` -> `target` under `diffusion` (chosen for the target), as formulas.

    `prediction` says what the base's network predicts: velocity, score, noise or data.
    """

    base: Schedule
    target: Schedule
    diffusion: Diffusion = field(default_factory=ode)
    prediction: str = "velocity"

    def __post_init__(self) -> None:
        """Check the prediction and the diffusion."""
        if self.prediction not in PREDICTIONS:
            raise unknown("prediction", self.prediction, PREDICTIONS)
        self.diffusion.check(self.target.pair)

    def __str__(self) -> str:
        return f"{self.base} to {self.target}"

    @cached_property
    def time(self) -> Expr | None:
        """tau(t) in closed form; None where it is defined by `time_equation` alone."""
        return t if self.base == self.target else None if self._time is None else _settled(simplify(self._time))

    @cached_property
    def _time(self) -> Expr | None:
        """tau(t) as substitution leaves it, which is enough for numbers."""
        if self.base == self.target:
            return t
        return self.base.time_of(self.target.alpha, self.target.beta)

    @property
    def implicit(self) -> bool:
        """Whether tau is given by rho(tau) = rho_bar(t) only."""
        return self._time is None

    @cached_property
    def time_equation(self) -> Eq:
        """rho(tau) = rho_bar(t)."""
        return Eq(
            _settled(simplify(self.base.ratio).subs(t, tau)), _settled(simplify(self.target.ratio)), evaluate=False
        )

    @cached_property
    def start(self) -> Expr:
        """First target time whose tau lies in [0, 1]: later than 0 only for a base that is truncated more."""
        return simplify(self._start)

    @cached_property
    def _start(self) -> Expr:
        """The same as substitution leaves it, which is enough for numbers."""
        if self.base.kind is not Kind.TRUNCATED or self.base == self.target:
            return Integer(0)
        wanted = self.base.start_ratio
        symbolic = sorted(str(s) for s in wanted.free_symbols | self.target.start_ratio.free_symbols)
        if symbolic:
            raise ScheduleError(
                f"{self.base} to {self.target} starts at a time that depends on {symbolic[0]}; give it a value."
            )
        if evaluate(self.target.start_ratio - wanted, {}, 60) >= 0:
            return Integer(0)
        found = self.target.time_of(*self.base.start)
        if found is not None:
            return found
        return Float(solve_ratio(self.target, evaluate(wanted, {}, EXACT_DIGITS), EXACT_DIGITS), EXACT_DIGITS)

    @cached_property
    def start_time(self) -> float:
        """`start` rounded to float64."""
        return float(evaluate(self._start, {}))

    @property
    def free_parameters(self) -> frozenset[Symbol]:
        """Parameters of either schedule that are still symbols."""
        return self.base.free_parameters | self.target.free_parameters

    @cached_property
    def coefficients(self) -> Mapping[str, Expr]:
        """Every coefficient by name, in t and tau.

        alpha, beta (the target's); time, time_rate, scale; diffusion (the target's epsilon) and base_diffusion (the
        base's, whose paths become the target's); and for each field F in `FIELDS` the coefficients of
        F = F_state x + F_prediction P = F_input y + F_prediction P, where P is the base's prediction at (tau, y),
        y = x/scale. F_input has a limit at a point mass, where F_state has none.
        """
        time = t if self.base == self.target else tau
        epsilon = self.diffusion.of(self.target.pair)
        found = coefficients(self._base_pair, self.target.pair, self.prediction, epsilon, time)
        of_fields = [f"{name}_{part}" for name in FIELDS for part in ("state", "input", "prediction")]
        zeros = vanishing(self, (found[name] for name in of_fields))
        return {n: Integer(0) if n in of_fields and expr in zeros else expr for n, expr in found.items()}

    @cached_property
    def formulas(self) -> Mapping[str, Expr]:
        """The coefficients as a reader wants them: tidied, tau written out where that stays short; each when asked."""
        return _Formulas(self)

    def field(self, name: str) -> Expr:
        """Return velocity, score, noise, data or drift of the target as an expression in t, x and the prediction."""
        if name not in FIELDS:
            raise unknown("field", name, FIELDS)
        pair = Combination(self.formulas[f"{name}_state"], (self.formulas[f"{name}_prediction"],))
        return _settled(pair(x, PREDICTION_SYMBOLS[self.prediction]))

    @property
    def drift(self) -> Expr:
        """b = v_bar + epsilon_bar s_bar in t, x and the base's prediction at (tau, x/c)."""
        return self.field("drift")

    @property
    def scale(self) -> Expr:
        """c as a formula."""
        return self.formulas["scale"]

    @property
    def noise(self) -> Expr:
        """T7: the noise that drives a path, dW = (dx - b dt)/sqrt(2 epsilon); raises DiffusionError for the ODE."""
        if self.diffusion.deterministic:
            raise DiffusionError("a path of the ODE has no noise to recover; choose diffusion='optimal', for example.")
        return noise_increment(Symbol("dx"), self.drift, self.formulas["diffusion"], Symbol("dt"))

    def latex(self) -> str:
        """Return the conversion as a LaTeX `aligned` block: time, scale, diffusion, fields and drift."""
        pred = PREDICTION_SYMBOLS[self.prediction]
        time = self.time_equation if self.implicit else Eq(tau, self.time, evaluate=False)
        lines = [
            rf"\alpha_t &= {latex(self.base.alpha)}, & \beta_t &= {latex(self.base.beta)}",
            rf"\bar\alpha_t &= {latex(self.target.alpha)}, & \bar\beta_t &= {latex(self.target.beta)}",
            f"{latex(time.lhs)} &= {latex(time.rhs)}",
            f"c &= {latex(self.formulas['scale'])}",
            rf"\bar\varepsilon_t &= {latex(self.formulas['diffusion'])}",
            rf"\varepsilon_\tau &= {latex(self.formulas['base_diffusion'])}",
            *(rf"\bar{{{latex(PREDICTION_SYMBOLS[f])}}} &= {latex(self.field(f))}" for f in PREDICTIONS),
            f"b &= {latex(self.drift)}",
        ]
        note = rf"\text{{with }} {latex(pred)} = {latex(pred)}(\tau, x/c)"
        return "\\begin{aligned}\n" + " \\\\\n".join([*lines, note]) + "\n\\end{aligned}"

    def proof(self) -> Proof:
        """Prove this conversion: its time map, and every coefficient against the definitions."""
        return prove(self)

    @cached_property
    def limits(self) -> Mapping[str, tuple[Limit, Limit]]:
        """The behaviour of each coefficient at the start and at t = 1."""
        return {name: (self.limit(name, 0), self.limit(name, 1)) for name in self.coefficients}

    def limit(self, name: str, end: int) -> Limit:
        """Return the behaviour of one coefficient at the start (`end` 0) or at t = 1 (`end` 1).

        Raises UnknownNameError for a name that is none of `coefficients`, and SymsiError for another `end`.
        """
        if name not in self.coefficients:
            raise unknown("coefficient", name, self.coefficients)
        if end not in (0, 1):
            raise SymsiError(f"limits are those at the ends, 0 and 1; got {end}.")
        return limit_of(self, name, end)

    def series(self, end: int, size: int = 8) -> Mapping[str, Series]:
        """Power series in the distance from an end, as in `limit`; coefficients that have none are left out."""
        found = {name: self.series_of(name, end, size) for name in self.coefficients}
        return {name: series for name, series in found.items() if series is not None}

    def series_of(self, name: str, end: int, size: int = 8) -> Series | None:
        """Power series of one coefficient, as in `series`; None where it has none."""
        return series_of(self, name, end, size)

    def series_at(self, name: str, point: Expr, size: int = 8) -> Series:
        """Taylor series of a coefficient about a time inside the domain."""
        return series_at(self, name, point, size)

    def zero(self, name: str, low: Any, high: Any, parameters: Parameters = None) -> Float | None:
        """Return the time between `low` and `high` at which a coefficient crosses or touches 0, if there is one."""
        return zero_between(self, name, low, high, parameters)

    def end_value(self, name: str, end: int) -> Any | None:
        """Return the finite limit of a coefficient as a number, or None; without building the exact expression."""
        return end_value(self, name, end)

    def inverse(self) -> Conversion:
        """Return the conversion back, with the diffusion that turns the target's paths into the base's.

        Raises DiffusionError where that diffusion has no closed form in the base's time.
        """
        back = Conversion(self.target, self.base)
        epsilon = self.diffusion.of(self.target.pair)
        if back.time is None:
            raise DiffusionError(
                f"epsilon on the way back has no closed form: {self.target} has no closed inverse of beta/alpha. "
                "Use convert(target, base) with a diffusion of its own, and base_diffusion of this conversion."
            )
        factor = diffusion_factor(self.base.pair, self.target.pair.at(back.time))
        return Conversion(self.target, self.base, Diffusion(expression=simplify(epsilon.subs(t, back.time) / factor)))

    def evaluate(self, name: str, time: Any, digits: int = DIGITS, parameters: Parameters = None) -> Any:
        """Evaluate one coefficient at one time inside the domain, with `digits` digits; see `evaluate_all`."""
        return coefficients_at(self, time, (name,), digits, parameters)[name]

    def evaluate_all(
        self, time: Any, names: Iterable[str], digits: int = DIGITS, parameters: Parameters = None
    ) -> dict[str, Any]:
        """Evaluate several coefficients at one time inside the domain; faster than one by one.

        `parameters` gives a value to every parameter that is still a symbol, by name or Symbol; SymsiError names one
        that has none.
        """
        return coefficients_at(self, time, names, digits, parameters)

    def evaluate_time(self, time: Any, digits: int = DIGITS, parameters: Parameters = None) -> Any:
        """Evaluate tau(t) with `digits` digits, by the closed form or by solving rho(tau) = rho_bar(t)."""
        return time_at(self, time, digits, parameters)

    @cached_property
    def _base_pair(self) -> Pair:
        return self.target.pair if self.base == self.target else self.base.pair.at(tau)

    def _readable(self, expr: Expr) -> Expr:
        """Write tau out where that stays short."""
        if self.time is not None and _written_length(expr, self.time) <= 8 * _READABLE:
            written_out = expr.subs(tau, self.time)
            if count(written_out) <= 2 * _READABLE or not expr.has(tau):
                written_out = simplify(written_out)
            if count(written_out) <= _READABLE:
                return written_out
        return simplify(expr)


class _Formulas(Mapping[str, Expr]):
    """The formulas of a conversion, each written when it is first asked for."""

    def __init__(self, conversion: Conversion) -> None:
        self._conversion, self._written = conversion, dict[str, Expr]()

    def __getitem__(self, name: str) -> Expr:
        if name not in self._written:
            self._written[name] = _settled(self._conversion._readable(self._conversion.coefficients[name]))
        return self._written[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._conversion.coefficients)

    def __len__(self) -> int:
        return len(self._conversion.coefficients)


def convert(
    base: Schedule | str,
    target: Schedule | str,
    diffusion: Diffusion | str | Expr = "ode",
    prediction: str = "velocity",
) -> Conversion:
    """Return the conversion from `base` to `target` under a diffusion chosen for the target (T4 to T7).

    Schedules may be given by name, the diffusion as 'ode', 'optimal', 'kappa=0.5' or an expression in t, alpha, beta
    and optimal. Raises UnknownNameError, ScheduleError, DiffusionError or ParseError.
    """
    start, goal = (as_schedule(s) for s in (base, target))
    return _conversion(start, goal, as_diffusion(diffusion), prediction, (str(start), str(goal)))


def as_conversion(what: Conversion | Schedule | str) -> Conversion:
    """Return a conversion as it is; a schedule or its name stands for itself, with velocity predictions."""
    return what if isinstance(what, Conversion) else convert(what, what)


@lru_cache(maxsize=256)
def _conversion(
    base: Schedule, target: Schedule, diffusion: Diffusion, prediction: str, names: tuple[str, str]
) -> Conversion:
    """The same object for the same question, so that nothing is derived twice; equal schedules may differ in name."""
    return Conversion(base, target, diffusion, prediction)


def _written_length(expr: Expr, time: Expr) -> int:
    """How long a formula is, at most, with tau written out."""
    return count(expr) + count(time) * sum(1 for part in preorder_traversal(expr) if part == tau)


def _settled(expr: Expr) -> Expr:
    """Return the form that printing and parsing leave as it is, so that a formula survives a file."""
    for _ in range(3):
        try:
            again = reread(expr)
        except ParseError:  # longer than a user's formula may be
            break
        if again == expr:
            break
        expr = again
    return expr

"""T13 as a value: an interpolant, two given predictions and a diffusion, and every field that follows, with limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from sympy import Expr, Integer, Symbol, latex, sstr

from symsi.algebra.limits import Limit
from symsi.algebra.multiprecision import sample_unit
from symsi.algebra.parse import as_expression
from symsi.algebra.proof import Derivation, Proof
from symsi.algebra.simplify import simplify
from symsi.algebra.symbols import t, x
from symsi.errors import DiffusionError, EndpointError, InterpolantError, unknown
from symsi.interpolants.named_two_sided import as_interpolant
from symsi.interpolants.rows import Combination, Triple, determinant
from symsi.interpolants.two_sided import Interpolant
from symsi.theory.functions import Functions
from symsi.theory.three_parts import FIELDS, PREDICTIONS, brownian_diffusion, drift_row, predict, row, written

__all__ = ["SYMBOLS", "Bridge", "bridge"]

SYMBOLS: Mapping[str, Symbol] = {
    "velocity": Symbol("v"),
    "score": Symbol("s"),
    "latent": Symbol("eta_z"),
    "ends": Symbol("u"),
    "x0": Symbol("eta_0"),
    "x1": Symbol("eta_1"),
    "forward": Symbol("b_F"),
    "backward": Symbol("b_B"),
}


@dataclass(frozen=True)
class Bridge:
    """The fields of `interpolant` from the two predictions `given`, and the drifts b_F, b_B under epsilon."""

    interpolant: Interpolant
    epsilon: Expr
    given: tuple[str, str] = ("velocity", "latent")

    def __post_init__(self) -> None:
        """Check the diffusion, and that the two predictions and the state determine something."""
        for kind in self.given:
            if kind not in PREDICTIONS:
                raise unknown("prediction", kind, PREDICTIONS)
            if kind in ("x0", "x1") and self._degenerate:
                raise InterpolantError(f"{self.interpolant} does not determine {kind}: alpha beta' = alpha' beta.")
        lines = [written(self.interpolant.triple, kind) for kind in self.given]
        if _vanishes(lines[0]["velocity"] * lines[1]["latent"] - lines[1]["velocity"] * lines[0]["latent"]):
            raise InterpolantError(
                f"{self.given[0]} and {self.given[1]} say the same; one of them must hold the velocity. "
                "Give two such as ('velocity', 'latent') or ('ends', 'score')."
            )
        for time, value in sample_unit(self.epsilon):
            if value is None or value < 0:
                what = "not real and finite" if value is None else f"{float(value):.3g}"
                where = f"{self.epsilon} is {what} at t≈{float(time):.3g}"
                raise DiffusionError(
                    f"epsilon must be real and not negative on (0, 1); {where}. Write one such as 'gamma' or 'gamma/2'."
                )

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that are determined: all of `FIELDS`, without x0 and x1 where alpha beta' = alpha' beta."""
        return tuple(kind for kind in FIELDS if not (self._degenerate and kind in ("x0", "x1")))

    @cached_property
    def coefficients(self) -> Mapping[str, Expr]:
        """The interpolant's coefficients, diffusion, and of each field F = F_state x + F_P P + F_Q Q, P and Q given."""
        found = {**self.interpolant.coefficients, "diffusion": self.epsilon}
        for kind in self.fields:
            combination = predict(self.interpolant.triple, self.given, kind, self.epsilon)
            for part, value in zip(("state", *self.given), (combination.state, *combination.predictions), strict=True):
                found[f"{kind}_{part}"] = Integer(0) if _vanishes(value) else simplify(value)
        return found

    @cached_property
    def functions(self) -> Functions:
        """The coefficients with their limits, series and values, for `tabulate` and for kernels."""
        return Functions(tuple(self.coefficients.items()), str(self.interpolant))

    @cached_property
    def limits(self) -> Mapping[str, tuple[Limit, Limit]]:
        """The behaviour of each coefficient at t = 0 and at t = 1."""
        return {name: (self.functions.limit(name, 0), self.functions.limit(name, 1)) for name in self.coefficients}

    def field(self, kind: str) -> Expr:
        """Return a field as an expression in t, x and the symbols of the given predictions. Raises UnknownNameError."""
        if kind not in self.fields:
            raise unknown("field", kind, self.fields)
        values = tuple(self.coefficients[f"{kind}_{part}"] for part in ("state", *self.given))
        found: Expr = Combination(values[0], values[1:])(x, *(SYMBOLS[kind] for kind in self.given))
        return found

    def require(self, kind: str, end: int) -> None:
        """Raise EndpointError where a field has no value at an end, saying which diffusion the end can bear."""
        for part in ("state", *self.given):
            found = self.functions.limit(f"{kind}_{part}", end)
            if found.value is None:
                bears = self.interpolant.limit("gamma", end)
                hint = f" The end bears epsilon = O(gamma), gamma {bears}, such as 'gamma'." if self.epsilon else ""
                raise EndpointError(f"{kind} has no value at t = {end}: {kind}_{part} {found}.{hint}")

    def latex(self) -> str:
        """Return the interpolant, epsilon and every field as a LaTeX `aligned` block."""
        i = self.interpolant
        lines = [
            *(rf"\{name} &= {latex(getattr(i, name))}" for name in ("alpha", "beta", "gamma")),
            rf"\gamma\dot\gamma &= {latex(self.coefficients['gamma_rate'])}",
            rf"\varepsilon &= {latex(self.epsilon)}",
            *(f"{latex(SYMBOLS[kind])} &= {latex(self.field(kind))}" for kind in self.fields),
        ]
        return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"

    def proof(self) -> Proof:
        """Prove every coefficient: each field, so written, is the row over the means of the parts that T13 says."""
        return _prove(self)

    @cached_property
    def _degenerate(self) -> bool:
        return _vanishes(determinant(self.interpolant.triple))


def bridge(
    interpolant: Interpolant | str,
    diffusion: str | float | Expr = "ode",
    given: tuple[str, str] = ("velocity", "latent"),
) -> Bridge:
    """Return every field of an interpolant, or of a named one, from the two predictions that are given.

    `diffusion` is "ode", or epsilon as an expression in t, alpha, beta, gamma: "gamma", "gamma/2"; or "brownian",
    that of the Brownian bridges which I is, x0 and x1 given, for gamma^2 = k alpha beta with k a constant: k/2 where
    alpha = 1 - t and beta = t (T17), the Schroedinger bridge's where its coupling joins the ends. `given` are two of
    velocity, score, latent, ends, x0, x1. Raises UnknownNameError, InterpolantError, DiffusionError or ParseError.
    """
    found = as_interpolant(interpolant)
    names = ("t", "alpha", "beta", "gamma", *(s.name for s in found.free_parameters))
    if diffusion == "brownian":
        epsilon = _of_brownian_bridges(found)
    else:
        epsilon = Integer(0) if diffusion == "ode" else as_expression(diffusion, names)
    parts = {Symbol(name): getattr(found, name) for name in ("alpha", "beta", "gamma")}
    foreign = sorted(s.name for s in epsilon.free_symbols - {Symbol(name) for name in names})
    if foreign:
        raise DiffusionError(f"epsilon may use {', '.join(names)}; {epsilon} also has {foreign[0]}.")
    first, second = given
    return Bridge(found, simplify(epsilon.subs(parts)), (first, second))


def _of_brownian_bridges(i: Interpolant) -> Expr:
    if _vanishes(i.alpha * i.beta):
        raise DiffusionError(
            f"diffusion 'brownian' is that of Brownian bridges, gamma^2 = k alpha beta with a constant k; of {i} alpha "
            "beta is 0, as x0 and x1 are never both in I. Take 'linear' for alpha and beta, or an epsilon such as "
            "'gamma'."
        )
    level = simplify(i.gamma**2 / (i.alpha * i.beta))
    if level.has(t):
        raise DiffusionError(
            f"diffusion 'brownian' is that of Brownian bridges, gamma^2 = k alpha beta with a constant k; of {i} "
            f"gamma^2/(alpha beta) is {level}. Take gamma 'brownian', or an epsilon such as 'gamma'."
        )
    return brownian_diffusion(i.triple, level)


def _prove(b: Bridge) -> Proof:
    i = b.interpolant
    d = Derivation(
        "Bridge",
        f"Fields of {i} from {b.given[0]} and {b.given[1]}",
        f"Let alpha = {sstr(i.alpha)}, beta = {sstr(i.beta)}, gamma = {sstr(i.gamma)}, epsilon = {sstr(b.epsilon)}.",
        "T13",
    )
    d.claim("fields", "Each field, so written, is its row over the means of the parts.")
    time = d.symbol("t", 0, 1)
    for symbol in sorted(i.free_parameters, key=str):
        d.symbol(symbol.name)
    p = Triple.of(i.alpha, i.beta, i.gamma, time)
    means = {name: d.real(symbol) for name, symbol in (("x0", "eta_0"), ("x1", "eta_1"), ("latent", "eta_z"))}
    values = {kind: row(p, kind)(**means) for kind in PREDICTIONS}
    values |= {"forward": drift_row(p, b.epsilon)(**means), "backward": drift_row(p, -b.epsilon)(**means)}
    for kind in b.fields:
        first, *rest = (b.coefficients[f"{kind}_{part}"] for part in ("state", *b.given))
        found = Combination(first, tuple(rest))(p.state(**means), *(values[name] for name in b.given))
        d.equal(f"The {kind}, by the means of the parts.", found, values[kind], "T13", "fields")
    return d.proof()


def _vanishes(expr: Expr) -> bool:
    """Whether an expression in t is 0 throughout (0, 1), on a grid that is fine near both ends."""
    return expr == 0 or all(value is not None and abs(value) < 1e-40 for _, value in sample_unit(expr))

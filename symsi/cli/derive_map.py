"""`symsi derive --flow-map`: a flow map of one schedule from that of another."""

from __future__ import annotations

from sympy import sstr

from symsi.cli.options import Pair
from symsi.errors import SymsiError
from symsi.interpolants.schedule import Schedule
from symsi.theory.map_conversion import MapConversion, convert_map

__all__ = ["map_conversion", "text"]


def map_conversion(pair: Pair) -> MapConversion:
    """Return the conversion of maps that the options name. Raises SymsiError for what is not of the ODE's maps."""
    if pair.diffusion != "ode":
        raise SymsiError("a flow map is one of the ODE; leave --diffusion out.")
    if pair.prediction != "velocity":
        raise SymsiError("a flow map is given by its mean velocity u; leave --prediction out.")
    found = pair.conversion()
    return convert_map(found.base, found.target)


def text(m: MapConversion) -> str:
    """Return the conversion of maps as aligned plain text."""
    c, f = m.conversion, m.formulas
    time = f"{sstr(m.time.lhs)} = {sstr(m.time.rhs)}  (implicit)" if c.implicit else sstr(c.time)
    lines = [f"{name:<9} {s.name}: alpha = {sstr(s.alpha)}, beta = {sstr(s.beta)}" for name, s in _sides(m)]
    rows = [("tau", time), ("c", sstr(c.scale)), ("rate", f"{sstr(c.formulas['time_rate'])}  (of tau)")]
    rows += [("map", "X_{s,t}(x) = c_t X_{tau_s,tau_t}(x/c_s) = x + (t - s) u_{s,t}"), ("u_{s,t}", sstr(m.average))]
    rows += [("u_{t,t}", sstr(m.diagonal))]
    lines += ["", "with u = the base's mean velocity at (tau_s, tau_t, x/c_s):", *(f"  {n:<9} {v}" for n, v in rows)]
    factors = ("lagrangian", "eulerian", "semigroup")
    lines += ["", "residuals of any map of the base become, times:", *(f"  {n:<11} {sstr(f[n])}" for n in factors)]
    lines += ["", f"limits    {'t -> ' + sstr(c.start):<34} t -> 1"]
    lines += [f"  {name:<20} {a.short:<30} {b.short}" for name, (a, b) in m.limits.items()]
    return "\n".join(lines)


def _sides(m: MapConversion) -> list[tuple[str, Schedule]]:
    return [("base", m.conversion.base), ("target", m.conversion.target)]

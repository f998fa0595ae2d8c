"""T19 as numbers: from which times noise leads back to those of a grid, and by which coefficients."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import sqrt
from typing import NamedTuple

from sympy import Integer, lambdify, symbols

from symsi.coefficients.tables import tabulate
from symsi.interpolants.named import schedule as named
from symsi.interpolants.rows import Pair
from symsi.interpolants.schedule import Schedule
from symsi.theory.conversion import Conversion, convert
from symsi.theory.flow_map import reached, renoised

__all__ = ["Renoising", "renoising"]


class Renoising(NamedTuple):
    """x_t = factor x_u + noise z, from u = `jumped` at or after t."""

    jumped: float
    factor: float
    noise: float


@lru_cache(maxsize=64)
def renoising(schedule: Schedule, stops: tuple[float, ...], share: float) -> tuple[Renoising, ...]:
    """Return for each of the times `stops` how `share`, from 0 to 1, of its noise's variance is drawn anew.

    At t = 1, where no noise is left, u = 1 and x_t = x_u; with share = 1 it is u = 1 everywhere.
    """
    own = convert(schedule, schedule)
    alpha, beta = (_values(own, name, stops) for name in ("alpha", "beta"))
    ahead = [_REACHED(a, b, share) for a, b in zip(alpha, beta, strict=True)]
    jumped = _values(convert(schedule, named("linear")), "time", ahead)
    parts = zip(alpha, beta, _values(own, "beta", jumped), strict=True)
    back = [_RENOISED(a, b, beta_u, share) for a, b, beta_u in parts]
    return tuple(Renoising(u, factor, sqrt(variance)) for u, (factor, variance) in zip(jumped, back, strict=True))


def _values(conversion: Conversion, name: str, times: Sequence[float]) -> list[float]:
    """A coefficient at times in any order."""
    points = sorted(set(times))
    known = dict(zip(points, tabulate(conversion, points, (name,))[name].tolist(), strict=True))
    return [known[time] for time in times]


_ALPHA, _BETA, _BETA_U, _SHARE = symbols("alpha beta beta_u share")
_ZERO = Integer(0)
_STOP = Pair(_ALPHA, _BETA, _ZERO, _ZERO)
_BACK = renoised(Pair(_ZERO, _BETA_U, _ZERO, _ZERO), _STOP, _SHARE)
_REACHED = lambdify((_ALPHA, _BETA, _SHARE), reached(_STOP, _SHARE), "math")
_RENOISED = lambdify((_ALPHA, _BETA, _BETA_U, _SHARE), (_BACK.factor, _BACK.variance), "math")

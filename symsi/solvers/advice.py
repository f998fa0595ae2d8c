"""What a model is sampled with where nobody says: a schedule and a grid for what it predicts, from measurements.

A network that predicts noise (or the score, which is -noise/alpha) under a schedule that preserves the variance and
starts with a trace of data beta_0, as "ddpm" does (beta_0 = 0.0066), is divided by beta where another schedule asks
for its data prediction: X = (x - alpha Z)/beta makes the error of the first evaluation 150 times as large. In the
schedule's own time the velocity is beta'/beta (x - Z/alpha), and beta'/beta <= 10: such a network is sampled in its own
schedule, on a grid with a few more points at data, "eased". `symsi bench advice` measures it beside DDIM.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from sympy import Rational

from symsi.algebra.multiprecision import evaluate
from symsi.algebra.symbols import t
from symsi.interpolants.named import as_schedule
from symsi.interpolants.schedule import Kind, Schedule
from symsi.models.protocol import Model

__all__ = ["Advice", "advice", "default_grid"]

_TIMES = (Rational(1, 4), Rational(2, 3))


@dataclass(frozen=True)
class Advice:
    """The schedule and the grid of the fewest evaluations."""

    schedule: Schedule
    grid: str


def advice(model: Model) -> Advice:
    """Return what takes the fewest evaluations: lazy coordinates with shift 2, or a noise network's own schedule."""
    if _keeps_its_own(as_schedule(model.schedule), model.prediction):
        return Advice(as_schedule(model.schedule), "eased")
    return Advice(as_schedule("trigonometric"), "shifted(shift=2)")


def default_grid(model: Model, target: Schedule, *, deterministic: bool) -> str:
    """Return the grid where a schedule is given and no grid: "eased" for a noise network's own ODE, else "uniform"."""
    base = as_schedule(model.schedule)
    return "eased" if deterministic and target == base and _keeps_its_own(base, model.prediction) else "uniform"


@lru_cache(maxsize=256)
def _keeps_its_own(base: Schedule, prediction: str) -> bool:
    if prediction not in ("noise", "score") or base.kind is not Kind.TRUNCATED or base.free_parameters:
        return False
    return all(abs(evaluate(base.alpha**2 + base.beta**2 - 1, {t: time}, 30)) < 1e-12 for time in _TIMES)

"""DDIM (Song et al. 2021): Euler's method, exact in noise and data, at the timesteps that diffusers spaces evenly.

x' = beta' X + alpha' Z with X and Z as predicted at x. A network of 1000 timesteps i = 0 (data) to 999 is called at the
time 1 - (i + 1)/1000; the state starts as unit noise at the first of them, and the last step lands on the data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from symsi.coefficients.tables import tabulate
from symsi.errors import SymsiError
from symsi.interpolants.named import as_schedule
from symsi.models.protocol import Model
from symsi.solvers.plan import Plan
from symsi.solvers.planning import origin_of
from symsi.solvers.stage import Stage
from symsi.theory.conversion import convert

__all__ = ["SPACINGS", "ddim"]

_TIMESTEPS = 1000
# The timesteps of N steps, from noise to data, as diffusers' `timestep_spacing` names them.
SPACINGS: Mapping[str, Callable[[int], list[int]]] = {
    "leading": lambda n: [(n - 1 - k) * (_TIMESTEPS // n) for k in range(n)],
    "trailing": lambda n: [round(_TIMESTEPS * (1 - k / n)) - 1 for k in range(n)],
    "linspace": lambda n: [round((_TIMESTEPS - 1) * (1 - k / max(n - 1, 1))) for k in range(n)],
}


def ddim(model: Model, steps: int, spacing: str = "leading") -> Plan:
    """Return the plan of DDIM for a network that predicts noise. Raises SymsiError for another prediction."""
    if model.prediction != "noise":
        raise SymsiError(f"DDIM is written for noise predictions; {model.name} predicts {model.prediction}.")
    base = as_schedule(model.schedule)
    times = [*(1 - (i + 1) / _TIMESTEPS for i in SPACINGS[spacing](steps)), 1.0]
    table = tabulate(convert(base, base), times, ("alpha", "beta"))
    alpha, beta = table["alpha"].tolist(), table["beta"].tolist()
    stages = []
    for k in range(steps):
        keep = beta[k + 1] / beta[k]
        stages.append(Stage(k + 1, times[k], [alpha[k + 1] - keep * alpha[k]], keep=keep))
    return Plan(stages, grid=times, spans=(), origin={**origin_of(model), "solver": f"DDIM, {spacing}"})

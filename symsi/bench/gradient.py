"""A peer of fitted solvers: the same table, every number and time of it by backpropagation through the network.

In the manner of GS (Generalized Solvers, 2510.17699): a x + sum_j b_j P_j with free times, from DDIM in linear
coordinates (Euler's steps), by Adam on the end of converged samples. Its loss is the squared error; the LPIPS of the
paper looks at colour photographs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from symsi.calibration.descent import Descent
from symsi.calibration.student import Student, fitted_rows
from symsi.calibration.teacher import teach, teacher_of
from symsi.models.protocol import Model
from symsi.solvers.plan import Plan
from symsi.solvers.planning import plan
from symsi.solvers.triangle import triangle_of

__all__ = ["gradient_plan"]


def gradient_plan(
    model: Model,
    steps: int,
    *,
    samples: int = 32,
    rates: tuple[float, ...] = (1e-2, 3e-2),
    rounds: int = 150,
    seed: int = 1,
    batch: int = 32,
) -> Plan:
    """Return the plan of the best table that Adam finds on the teacher, samples and noise that `fit_solver` takes.

    A quarter of the samples is held out, to choose among learning rates and rounds. `Plan.origin` has the error there
    (a root mean square) and what it all cost, a backward pass counted as two evaluations.
    """
    told, used = model.in_turn(samples), 0

    def tick(rows: int) -> None:
        nonlocal used
        used += rows

    assert model.shape is not None
    options: dict[str, Any] = {"count": samples, "form": model.shape, "conditions": told, "guidance": 1.0}
    taught = teach(model, teacher_of(model), **options, seed=seed, batch=batch, tick=tick)
    student = Student(model, taught.states[0], told, 1.0, batch, tick)
    fitted = fitted_rows(samples)
    descent = Descent(student, taught.states[-1], fitted, rates=rates, rounds=rounds)
    table, error = descent.refine(triangle_of(plan(model, schedule="linear", solver="euler", steps=steps)))
    origin = {"solver": "gradient", "error": f"{error:.4g} on {samples - fitted} samples held out"}
    return replace(table, origin={**origin, "calibration": f"{used} evaluations of a sample"}).plan()

"""Steps as the model needs them: Adams-Bashforth 2 whose every step is as long as an embedded error allows.

With h the next step and q the last, orders 1 and 2 differ by h^2/(2 q) (g_k - g_{k-1}) (`symsi.solvers.multistep`):
what a step will miss is known before it is taken, so that none is taken twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import sqrt

import torch
from torch import Tensor

from symsi.errors import SymsiError
from symsi.interpolants.schedule import Schedule
from symsi.models.protocol import Model
from symsi.sampling.predictions import check_form, not_finite
from symsi.solvers.plan import Plan
from symsi.solvers.planning import plan
from symsi.solvers.stage import Stage

__all__ = ["adaptive_run", "check_tolerance"]

_FIRST = 0.25  # of the root of the tolerance: a first step, of Euler
_GROWTH = 3.0  # of a step to the next, at most
_MOST = 2000  # steps


def check_tolerance(tolerance: float, beside: Sequence[str]) -> None:
    """Raise SymsiError for a tolerance that is none, or for what it cannot stand beside."""
    for name in beside:
        if name != "schedule":
            raise SymsiError(
                f"tolerance= chooses the steps of ab2 by itself; leave {name} out. The plan of what it returns "
                "can be sampled with all else."
            )
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not 0 < tolerance < 1:
        raise SymsiError(f"tolerance is a share of the samples' size between 0 and 1, such as 1e-3; got {tolerance!r}.")


def adaptive_run(
    model: Model,
    predict: Callable[[str, Tensor, Tensor], Tensor],
    z: Tensor,
    *,
    schedule: Schedule | str,
    tolerance: float,
    dtype: torch.dtype,
    tick: Callable[[], object] = lambda: None,
) -> tuple[Plan, Tensor]:
    """Return the plan of the steps that the samples needed, and where they took unit noise z (B, *shape).

    The state is in model coordinates, as `symsi.sampling.loop.run` returns it. A step is so long that the root mean
    square difference of both orders, over all samples, is `tolerance` times that of the state in the schedule's
    coordinates. Raises ModelError as `run` does, and SymsiError where more than 2000 steps are needed.
    """

    def stages(*grid: float) -> tuple[Sequence[Stage], float]:
        made = plan(model, schedule=schedule, solver="ab2", grid=grid if grid[-1] == 1 else (*grid, 1.0))
        return made.stages, made.scales[len(grid) - 2]

    begin = plan(model, schedule=schedule, steps=1)
    times, step, before = [begin.grid[0]], _FIRST * sqrt(tolerance), None
    z = z * begin.start
    while times[-1] < 1:
        t, rest = times[-1], 1 - times[-1]
        (*_, stage), scale = stages(t, 1.0)
        prediction = predict(
            "prediction", z.to(dtype), torch.full((len(z),), float(stage.time), dtype=z.dtype, device=z.device)
        )
        check_form(prediction, tuple(z.shape), z.device, stage.time, len(times))
        field = stage.state * z + stage.gain * prediction.to(z)
        if not torch.isfinite(field).all():
            raise not_finite(stage.time, len(times), finite=bool(torch.isfinite(prediction).all()))
        if before is not None:
            last = t - times[-2]
            change, size = _size(field - before), scale * _size(z)
            step = last * min(_GROWTH, sqrt(2 * tolerance * size / (last * change)) if change else _GROWTH)
        times.append(1.0 if step >= rest else t + min(step, rest / 2))
        held, _ = stages(*times[-3:])
        move = held[min(len(times) - 2, 1)]
        fields = (field,) if before is None else (field, before)
        z = move.keep * z + sum(w * g for w, g in zip(move.weights, fields, strict=True))
        before = field
        tick()
        if len(times) > _MOST:
            raise SymsiError(f"{_MOST} steps do not reach a tolerance of {tolerance:g}; ask for a larger one.")
    return plan(model, schedule=schedule, solver="ab2", grid=times), z


def _size(x: Tensor) -> float:
    return float(x.square().mean(dtype=torch.float64).sqrt())

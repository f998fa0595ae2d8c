"""Which schedule, grid and solver is best for a model: how far each ends from converged samples of the same noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import torch
from torch import Tensor

from symsi.bench.ddim import SPACINGS, ddim
from symsi.calibration.solver import fit_solver
from symsi.errors import SymsiError, unknown
from symsi.models.analytic import mixture
from symsi.models.pretrained import SHIPPED, load
from symsi.models.protocol import Model
from symsi.sampling.sample import sample
from symsi.solvers.advice import advice
from symsi.solvers.plan import Plan
from symsi.solvers.planning import plan

__all__ = ["METHODS", "MODELS", "distances"]

_CONVERGED = 256  # steps of AB2 in the schedule that `advice` names


def _eight() -> Model:
    angles = torch.arange(8) * math.pi / 4
    law = mixture(torch.ones(8), 2 * torch.stack([angles.cos(), angles.sin()], 1), torch.full((8,), 0.01))
    return law.model("ddpm", "noise")


def _mixture() -> Model:
    return mixture([0.5, 0.3, 0.2], [[2.0, 0.5], [-1.0, 0.0], [0.0, -2.0]], [0.05, 0.2, 0.1]).model()


MODELS: Mapping[str, Callable[[], Model]] = {
    **{name: partial(load, name) for name in SHIPPED},
    "8gaussians": _eight,
    "mixture": _mixture,
}


def _planned(model: Model, steps: int, **options: Any) -> Plan:
    return plan(model, steps=steps, **options)


_lazy = partial(_planned, schedule="trigonometric")
METHODS: Mapping[str, Callable[[Model, int], Plan]] = {
    "defaults": _planned,
    "lazy AB2": _lazy,
    "lazy AB2, shift 2": partial(_lazy, grid="shifted(shift=2)"),
    "lazy AB2, linear grid": partial(_lazy, grid="linear"),
    "lazy AB2, log-SNR grid": partial(_lazy, grid="log-snr"),
    "lazy DPM-Solver++(2M), shift 2": partial(_lazy, grid="shifted(shift=2)", solver="dpm++2m"),
    "linear AB2": partial(_planned, schedule="linear"),
    "linear Euler": partial(_planned, schedule="linear", solver="euler"),
    **{f"DDIM, {spacing}": partial(ddim, spacing=spacing) for spacing in SPACINGS},
}


def distances(
    name: str,
    nfe: Sequence[int],
    *,
    samples: int = 32,
    seed: int = 0,
    fitted: bool = False,
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Return {"model", "samples", "doubt", "rows"}: root mean squares to converged samples, by method and NFE.

    Each row is {"method", "nfe", "rms"}; all start from the noise of `seed`. Converged are 256 steps of AB2, and
    "doubt" is how far half as many end from them. A method that the model does not allow has no rows. `fitted` adds
    `fit_solver`, calibrated with 32 samples of another seed. Raises UnknownNameError for a model, and SymsiError for
    NFE or samples below 1.
    """
    if name not in MODELS:
        raise unknown("benchmark model", name, MODELS)
    if samples < 1 or min(nfe, default=0) < 1:
        raise SymsiError("the benchmark needs samples >= 1 and NFE >= 1.")
    model, rows = MODELS[name](), list[dict[str, Any]]()
    total = 2 + len(METHODS) + fitted

    def drawn(made: Plan) -> Tensor:
        found = sample(model, shape=samples, plan=made, conditions=model.in_turn(samples), seed=seed, progress=False)
        return found.x.double()

    def far(one: Tensor, other: Tensor) -> float:
        return float((one - other).square().mean().sqrt())

    best = advice(model)
    fine, half = (plan(model, schedule=best.schedule, grid=best.grid, steps=n) for n in (_CONVERGED, _CONVERGED // 2))
    converged = drawn(fine)
    tick(1, total)
    doubt = far(drawn(half), converged)
    tick(2, total)
    for k, (method, made) in enumerate(METHODS.items()):
        for n in nfe:
            with suppress(SymsiError):  # DDIM for a velocity, the linear schedule for noise
                rows.append({"method": method, "nfe": n, "rms": far(drawn(made(model, n)), converged)})
        tick(3 + k, total)
    if fitted:
        plans = fit_solver(model, list(nfe), progress=False)
        assert isinstance(plans, dict)
        rows += [{"method": "fitted", "nfe": n, "rms": far(drawn(plans[n]), converged)} for n in nfe]
        tick(total, total)
    return {"model": name, "samples": samples, "doubt": doubt, "rows": rows}

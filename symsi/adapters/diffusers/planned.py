"""A scheduler's method where its plan is given: by a solver fitted to the model, say."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from symsi.adapters.diffusers.method import Method, for_network
from symsi.coefficients.tables import tabulate
from symsi.errors import SchedulerError
from symsi.interpolants.named import schedule
from symsi.interpolants.schedule import Schedule
from symsi.solvers.grids import Grid, carry
from symsi.solvers.plan import Plan, load_plan, read_plan
from symsi.solvers.planning import base_of, base_words
from symsi.theory.conversion import convert
from symsi.theory.diffusion import as_diffusion

__all__ = ["SAID", "Planned", "as_setting", "planned", "without_said"]

SAID = ("schedule", "diffusion", "solver", "last", "grid", "reference")  # settings that a plan has in it
_CLOSE = 1e-6


@dataclass(frozen=True)
class Planned(Method):
    """A method with one plan: its evaluations are at `points`, times of `base`, and its start is pure noise."""

    given: Plan
    points: tuple[float, ...]

    @property
    def stages(self) -> int:
        """One: a pipeline counts evaluations, of which the plan says what they do."""
        return 1

    @property
    def one_step(self) -> bool:
        """Whether no evaluation is remembered."""
        return all(len(stage.weights) == 1 for stage in self.given.stages)

    @property
    def stochastic(self) -> bool:
        """Whether steps add noise."""
        return self.given.stochastic

    def taus(self, grid: Grid, steps: int) -> tuple[float, ...]:
        """Return the model's times at the evaluations, and 1. Raises SchedulerError for another number of them."""
        if steps != len(self.points):
            raise SchedulerError(
                f"num_inference_steps is {steps}, the plan has {len(self.points)} evaluations: call the pipeline with "
                f"num_inference_steps={len(self.points)}, or fit a plan of {steps} (`symsi calibrate solver`)."
            )
        return (*self.points, 1.0)

    def plan(self, taus: Sequence[float], shape: tuple[int, ...] | None = None) -> Plan:
        """Return the plan, for the network's own predictions. Raises SchedulerError where it would start later."""
        if len(taus) <= len(self.points):
            raise SchedulerError(
                f"a plan starts in pure noise, and this run would start at its evaluation "
                f"{len(self.points) + 1 - len(taus)}: image to image at strength < 1 and begin indices above 0 need a "
                "scheduler without plan."
            )
        return self._whole

    @cached_property
    def _whole(self) -> Plan:
        return for_network(self.given, self.factor)


def planned(
    given: Any,
    prediction: str,
    settings: Mapping[str, Any],
    defaults: Mapping[str, Any],
    *,
    base: str = "linear",
    factor: float = 1.0,
) -> Planned:
    """Read the plan of a scheduler's config: a file, what `as_setting` makes of a Plan, or a Plan.

    `settings` are those of the config that a plan has in it, at their `defaults` unless somebody gave them. Raises
    PlanError for what is no plan, and SchedulerError for settings beside it, for the plan of a model of another
    prediction or schedule, and for one that no pipeline can follow.
    """
    for name, value in settings.items():
        if value != defaults[name]:
            raise SchedulerError(f"plan says how to sample; leave {name} = {value!r} out, or set plan=None.")
    plan = _read(given)
    for k, stage in enumerate(plan.stages):
        if tuple(stage.asks) != ("prediction",) or stage.until is not None:
            raise SchedulerError(
                f"row {k} of the plan asks for {', '.join(stage.asks)}{' at two times' if stage.until else ''}; a "
                "pipeline hands over one prediction, guided already. Fit the plan with "
                "symsi.fit_solver(..., guidance=G, unconditional='together')."
            )
    told = plan.origin.get("prediction", prediction)
    if told != prediction:
        raise SchedulerError(f"the plan was made for a model that predicts {told}; this one predicts {prediction}.")
    end, start = (plan.times[-1], plan.scales[-1]), torch.as_tensor(plan.start, dtype=torch.float64)
    if max(abs(float(v) - 1) for v in end) > _CLOSE:
        raise SchedulerError(f"the plan ends at model time {float(end[0]):.6g} and scale {float(end[1]):.6g}, not 1.")
    if float((start - 1).abs().max()) > _CLOSE:
        raise SchedulerError("the plan starts from noise that is not N(0, I), which is what pipelines draw.")
    own = schedule(base)
    return Planned(
        base=own,
        schedule=own,
        diffusion=as_diffusion("ode"),
        solver=plan.origin.get("solver", "by hand"),
        last=None,
        prediction=prediction,
        factor=factor,
        reference=None,
        given=plan,
        points=_points(plan, own, prediction),
    )


def without_said(config: Mapping[str, Any], keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config that keywords are added to: without the settings that a plan among them takes the place of."""
    replaced = SAID if keywords.get("plan") is not None else ()
    return {name: value for name, value in config.items() if name not in replaced}


def as_setting(given: Any) -> Any:
    """Return a plan as a config can hold it: a file's name as text, a Plan as JSON data."""
    if isinstance(given, Plan):
        return json.loads(given.text())
    return str(given) if isinstance(given, Path) else given


def _read(given: Any) -> Plan:
    if isinstance(given, Plan):
        return given
    if isinstance(given, Mapping):
        return read_plan(dict(given), "plan")
    if not isinstance(given, (str, Path)):
        raise SchedulerError(f"plan must be the name of a file or a symsi.Plan; got {type(given).__name__}.")
    return load_plan(given)


def _points(plan: Plan, own: Schedule, prediction: str) -> tuple[float, ...]:
    """The times of the schedule `own` at a plan's evaluations.

    Between variance-preserving schedules of noise and data predictions these are those of equal signal-to-noise ratios.
    """
    times = tuple(float(stage.time) for stage in plan.stages)
    theirs, words = base_of(plan.origin), base_words(own)
    if theirs is None or plan.origin["base"] == words:
        return times
    preserve = [
        torch.stack([found[name] for name in ("alpha", "beta")]).square().sum(0)
        for found in (tabulate(convert(s, s), times, ("alpha", "beta")) for s in (theirs, own))
    ]
    if prediction == "velocity" or any(float((total - 1).abs().max()) > _CLOSE for total in preserve):
        raise SchedulerError(
            f"the plan was made for a model with {plan.origin['base']}; this scheduler's has {words}. "
            "Fit a plan to the pipeline's own network."
        )
    return tuple(carry(theirs, own, times))

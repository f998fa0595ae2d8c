"""How a scheduler samples, and the plan that it makes of noise levels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from symsi.coefficients.tables import tabulate
from symsi.errors import SchedulerError, SymsiError, unknown
from symsi.interpolants.named import as_schedule, schedule
from symsi.interpolants.schedule import Schedule
from symsi.models.protocol import Model
from symsi.models.reference import Reference, isotropic, load
from symsi.solvers.grids import Grid, carry, time_grid
from symsi.solvers.plan import Plan
from symsi.solvers.planning import plan
from symsi.solvers.table import LAST, Solver, choose
from symsi.theory.conversion import convert
from symsi.theory.diffusion import Diffusion, as_diffusion

__all__ = ["Method", "for_network", "make_method"]


@dataclass(frozen=True)
class Method:
    """A schedule and a diffusion to sample a model with, and the solver, its last step, and a reference.

    The model was trained with the schedule `base` and predicts `prediction`; what the network gives is 1/factor of it.
    Everything is in model coordinates: times tau are those of `base`, from 0 (noise) to 1 (data), states alpha_tau Z +
    beta_tau X.
    """

    base: Schedule
    schedule: Schedule
    diffusion: Diffusion
    solver: str
    last: str | None
    prediction: str
    factor: float
    reference: Reference | None

    @property
    def stages(self) -> int:
        """Evaluations a step."""
        return 2 if self._solver.both_ends else 1

    @property
    def one_step(self) -> bool:
        """Whether a step needs its own evaluation alone: Euler, Euler-Maruyama, exact."""
        return self._solver.order == 1 and self.stages == 1

    @property
    def stochastic(self) -> bool:
        """Whether steps add noise."""
        return self._solver.stochastic

    def taus(self, grid: Grid, steps: int) -> tuple[float, ...]:
        """Return the model's times at the points of a grid of the schedule's time. Raises SymsiError as `time_grid`."""
        conversion = convert(self.base, self.schedule)
        times = time_grid(self.schedule, grid, steps, start=conversion.start_time)
        return tuple(tabulate(conversion, times, ("time",))["time"].tolist())

    def plan(self, taus: Sequence[float], shape: tuple[int, ...] | None = None) -> Plan:
        """Return the plan whose states are at `taus`, which increase, and whose predictions are the network's own.

        `shape` of a sample is needed with a reference. Raises SymsiError where the schedule has no such noise level or
        the solver does not fit.
        """
        known = Model(_unused, schedule=self.base, prediction=self.prediction)
        made = plan(
            known,
            schedule=self.schedule,
            diffusion=self.diffusion,
            solver=self.solver,
            grid=self._times(taus),
            last=self.last,
            reference=self.reference,
            shape=shape,
        )
        return for_network(made, self.factor)

    @property
    def _solver(self) -> Solver:
        return choose(self.solver, self.diffusion)[1]

    def _times(self, taus: Sequence[float]) -> list[float]:
        """The schedule's times at which its signal-to-noise ratio is that of the base at `taus`."""
        noisiest = convert(self.schedule, self.base).start_time
        if taus[0] < noisiest:
            raise SchedulerError(
                f"schedule {self.schedule} starts at the model's time {noisiest:.6g} (sigma = {1 - noisiest:.6g} of a "
                f"flow); the grid starts at {taus[0]:.6g}. Start there, or use a schedule that starts in pure noise."
            )
        inner = [tau for tau in taus if noisiest < tau < 1]
        times = carry(self.base, self.schedule, inner)
        start = [convert(self.base, self.schedule).start_time] if taus[0] == noisiest else []
        return [*start, *times, *([1.0] if taus[-1] == 1 else [])]


def for_network(plan: Plan, factor: float) -> Plan:
    """Return a plan for a network that gives 1/factor of what the plan asks for."""
    return replace(plan, stages=[replace(s, gains=[factor * gain for gain in s.gains]) for s in plan.stages])


def make_method(
    name: object,
    diffusion: object,
    solver: str | None,
    last: str | None,
    prediction: str,
    reference: str | float | None,
    *,
    base: str = "linear",
    factor: float = 1.0,
) -> Method:
    """Read a scheduler's config.

    Raises UnknownNameError with the closest name, SchedulerError for values of another kind, and SymsiError for a
    solver that does not fit the diffusion or a reference that cannot be read.
    """
    for key, value in (("schedule", name), ("diffusion", diffusion)):
        if not isinstance(value, str):
            raise SchedulerError(f"{key} must be text, as the config is saved as JSON; got {type(value).__name__}.")
    if last is not None and last not in LAST:
        raise unknown("last step", str(last), LAST)
    scale = as_diffusion(str(diffusion))
    chosen, found = choose(solver, scale)
    if found.both_ends and last == "land":
        raise SchedulerError(f"solver {chosen!r} evaluates at the end of its last step; leave last='land' out.")
    return Method(
        base=schedule(base),
        schedule=as_schedule(str(name)),
        diffusion=scale,
        solver=chosen,
        last=last,
        prediction=prediction,
        factor=factor,
        reference=_reference(reference),
    )


def _reference(given: str | float | None) -> Reference | None:
    """A variance stands for N(0, variance I), text for a file."""
    if isinstance(given, (int, float)):
        return isotropic(given)
    if not isinstance(given, str | Path | None):
        raise SchedulerError(f"reference must be a variance or the name of a file; got {type(given).__name__}.")
    return None if given is None else load(given)


def _unused(x: Tensor, t: Tensor) -> Tensor:
    raise SymsiError("the pipeline evaluates the network, not the plan.")

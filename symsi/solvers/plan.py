"""A plan is what a sampler does, as numbers: one stage an evaluation of the model. Every solver is such a table.

    >>> heun = Plan([Stage(1, time=0.0, weights=[1.0]), Stage(1, time=1.0, weights=[0.5, -0.5])], grid=[0.0, 1.0])

is Heun's method in one step, for the velocity of the linear schedule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from symsi.errors import PlanError
from symsi.files import write_text
from symsi.models.reference import Reference
from symsi.solvers import consistency, plan_file
from symsi.solvers.stage import Coefficient, Span, Stage, exact, listed

__all__ = ["Plan", "load_plan", "read_plan"]


@dataclass(frozen=True, eq=False)
class Plan:
    """The stages, and at the K + 1 points of the grid (in the schedule's time t) the model's time, scale c and beta.

    A bridge's plan may go backward, from t = 1: its grid and times fall, and its steps have negative lengths.

    The state in the schedule's coordinates is x = scale (U z + beta m), or scale z without a reference; z starts as
    `start` n. By default the schedule is the model's own: times are the grid, scales are 1.

    A plan checks itself when it is made: numbers are finite, times lie in [0, 1], weights look back at evaluations
    that were made, at most the last stage of a step adds noise, and each step does what its `Span` says, by default
    that a constant field is integrated exactly over the step of the grid; spans=() says nothing, as fitted plans do.
    `clock` is the variable in which orders are meant, by default the grid. Numbers are kept in float64, tensors as
    copies unless they carry a gradient. `origin` says in words where the plan comes from. Raises PlanError with the
    row (stage) and the condition.
    """

    stages: Sequence[Stage]
    grid: Sequence[float]
    times: Sequence[float] = ()
    scales: Sequence[float] = ()
    beta: Sequence[float] = ()
    start: Coefficient = 1.0
    reference: Reference | None = None
    spans: Sequence[Span] | None = None
    clock: Sequence[Coefficient] = ()
    origin: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Fill what is left to its default, freeze it, and check."""
        grid = listed(self.grid)
        points = len(grid) if isinstance(grid, tuple) else 0
        defaults = {"times": grid, "scales": (1.0,) * points, "beta": (0.0,) * points, "clock": grid}
        for name in ("grid", "times", "scales", "beta", "clock"):
            given = listed(getattr(self, name))
            object.__setattr__(self, name, defaults[name] if given == () and name in defaults else given)
        object.__setattr__(self, "stages", tuple(self.stages) if isinstance(self.stages, (list, tuple)) else ())
        object.__setattr__(self, "start", exact(self.start))
        consistency.check_form(
            self.stages,
            start=self.start,
            grid=self.grid,
            times=self.times,
            scales=self.scales,
            beta=self.beta,
            clock=self.clock,
        )
        if not isinstance(self.reference, Reference | None):
            raise PlanError(f"reference must be a symsi.Reference; got {type(self.reference).__name__}.")
        if not isinstance(self.origin, Mapping) or not all(
            isinstance(w, str) for pair in self.origin.items() for w in pair
        ):
            raise PlanError(f"origin must map words to words; got {self.origin!r:.60}.")
        object.__setattr__(self, "origin", MappingProxyType(dict(self.origin)))
        spans = self._own_spans() if self.spans is None else self.spans
        object.__setattr__(self, "spans", tuple(spans) if isinstance(spans, (list, tuple)) else (spans,))
        consistency.check_spans(self.stages, self.spans or (), self.times, self.clock)

    def _own_spans(self) -> tuple[Span, ...]:
        """A constant drift in the schedule's coordinates, over each step of the grid."""
        t, c = self.grid, self.scales
        return tuple(Span(c[k] / c[k + 1], (t[k + 1] - t[k]) / c[k + 1]) for k in range(len(t) - 1))

    @property
    def evaluations(self) -> int:
        """Evaluations of the model a trajectory."""
        return len(self.stages)

    @property
    def modal(self) -> bool:
        """Whether z are modes of a reference."""
        return self.reference is not None

    @property
    def stochastic(self) -> bool:
        """Whether any stage adds noise."""
        return any(stage.noisy for stage in self.stages)

    @property
    def hash(self) -> str:
        """SHA-256 of all numbers and words, the same for equal plans."""
        return plan_file.digest(self._record())

    def save(self, path: str | Path, *, force: bool = False) -> Path:
        """Write the plan as JSON, float64 numbers exactly, atomically. Raises SymsiError if `path` exists."""
        return write_text(Path(path), self.text(), force=force)

    def text(self) -> str:
        """Return what `save` writes. Raises PlanError for a plan that would be too large to be read."""
        return plan_file.document(self._record())

    def __eq__(self, other: object) -> bool:
        """Whether all numbers and words are the same."""
        return isinstance(other, Plan) and (self is other or self.hash == other.hash)

    __hash__ = object.__hash__  # by identity: what is kept for a plan goes with it

    def _record(self) -> dict[str, Any]:
        return plan_file.record(self, ("stages", "spans"))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "origin": dict(self.origin)}  # a read-only view cannot be pickled

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({**state, "origin": MappingProxyType(state["origin"])})

    def __repr__(self) -> str:
        what = ", ".join(self.origin[k] for k in ("schedule", "solver") if k in self.origin)
        steps = len(self.grid) - 1
        return f"<Plan: {self.evaluations} evaluations in {steps} steps{f', {what}' if what else ''}>"

    def __str__(self) -> str:
        """A table: a line a stage, mode by mode ranges as low..high."""
        words = ", ".join(f"{name} {value}" for name, value in self.origin.items())
        head = [repr(self), *([words] if words else [])]
        columns = ("step", "t", "model time", "keep", "state", "gains", "noise", "weights")
        lines: list[tuple[str, ...]] = [columns]
        for stage in self.stages:
            t = self.grid[stage.step - 1] if stage.node is None else stage.node
            numbers = map(plan_file.shown, (t, stage.time, stage.keep, stage.state))
            last = (_several(stage.gains), plan_file.shown(stage.noise), _several(stage.weights))
            lines.append((str(stage.step), *numbers, *last))
        widths = [max(len(line[k]) for line in lines) for k in range(len(columns))]
        rows = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
        return "\n".join([*head, *(row.rstrip() for row in rows)])


def load_plan(path: str | Path) -> Plan:
    """Read a plan that `Plan.save` wrote, exactly.

    Raises PlanError where the file is missing, too large, no plan, of another version, or was changed.
    """
    return read_plan(plan_file.opened(Path(path)), str(path))


def read_plan(document: Any, name: str) -> Plan:
    """Return the plan that the JSON data of a file called `name` holds. Raises PlanError as `load_plan`."""
    data = plan_file.read(document, name)
    try:
        stages = [Stage(**stage) for stage in data.pop("stages")]
        spans = [Span(**claim) for claim in data.pop("spans")]
        return Plan(stages=stages, spans=spans, **data)
    except (TypeError, KeyError, ValueError, AttributeError, OverflowError) as error:
        reason = str(error) if isinstance(error, PlanError) else "it has not the fields of one"
        raise PlanError(f"{name} is no plan: {reason}") from None


def _several(values: Sequence[Coefficient]) -> str:
    return ", ".join(map(plan_file.shown, values))

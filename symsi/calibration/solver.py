"""The best solver of few evaluations for a model: a table fitted to converged samples, from forward passes alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from symsi.calibration.descent import Descent
from symsi.calibration.doubts import check_features, check_finite, warn_if_blind, warn_if_few
from symsi.calibration.fitting import Clock, Fitter
from symsi.calibration.student import Student, fitted_rows
from symsi.calibration.teacher import Trajectories, check_teacher, clock_of, teach, teacher_of
from symsi.errors import SymsiError, unknown
from symsi.models.protocol import Model, as_model, fingerprint
from symsi.models.reference import Reference
from symsi.processes.ranks import ALONE, Ranks
from symsi.sampling.inputs import check_inputs, read_shape, whole_number
from symsi.sampling.noise import check_seed, standard_normal
from symsi.solvers.advice import advice
from symsi.solvers.plan import Plan
from symsi.solvers.planning import origin_of, plan
from symsi.solvers.triangle import Triangle, triangle_of

__all__ = ["expected", "fit_solver"]

_STARTS = ("angle", "linear", "shifted(shift=2)", "shifted(shift=4)", "point-mass")
_THEORIES = ("ab2", "euler")
_REFINEMENTS = ("joint", "gradient")
_NEGLIGIBLE = 1e-3  # of the samples' root mean square: a doubt that nobody sees
_RIDGES = (1e-8, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)


def fit_solver(
    model: Model | Callable[..., Tensor],
    steps: int | Sequence[int],
    *,
    samples: int = 32,
    shape: tuple[int, ...] | None = None,
    conditions: Mapping[str, Any] | None = None,
    guidance: float = 1.0,
    unconditional: str | Sequence[int] = "all",
    teacher: Plan | None = None,
    reference: Reference | None = None,
    constant: bool = False,
    by_channel: bool = False,
    refine: str | None = None,
    features: Callable[[Tensor], Tensor] | None = None,
    seed: int = 1,
    batch: int | None = None,
    progress: bool | None = None,
    ranks: Ranks = ALONE,
) -> Plan | dict[int, Plan]:
    """Return the plan of so many steps that takes noise closest to where the model's ODE takes it.

    model       as `sample` takes it
    steps       N, or several for a dict of plans from one run of the teacher
    samples     of the calibration, from the noise of `seed`; a quarter of them is held out, to choose the ridge and to
                compare with the theory. What is chosen is then fitted to all of them
    shape       of a sample, where the model does not know it
    conditions  as `sample` takes them, rows for each of the samples; default: the model's classes in turn
    guidance    of the teacher. Where it is not 1 the conditional and the unconditional prediction are evaluations of
                their own, the latter in `unconditional` steps: "all", "first", or numbers of steps from 0. "together"
                makes one of the two, the guided prediction, as pipelines hand it over: 2 evaluations a step
    teacher     the plan of converged samples without noise, schedule "trigonometric" (of a noise network under ddpm its
                own); default: Heun, 64 steps, or AB2, 128, where Heun has to land
    reference   a Gaussian like the data (`symsi calibrate reference`): its table, solver "gaussian", competes, too
    constant    fit a constant a step, too, for data whose mean is far from 0
    by_channel  fit a number a channel, not one for all: for samples (C,), (C, H, W) or (C, F, H, W) whose channels
                differ, as latents' do. Times, ridge and whether the theory is beaten are judged on all channels
                together. Raises SymsiError for one channel, for samples of two dimensions, of which nobody says which
                are the channels, and with "joint", which moves one number at a time
    refine      all times and rows together after they were fitted one by one, a lower error for many evaluations:
                "joint" by forward passes alone, "gradient" by backpropagation through the network (of the two it alone
                goes with by_channel)
    features    with a refinement: what it compares, features(samples) (B, F), in place of the samples themselves, such
                as the activations of a network that sees what people look for: a function of float32 samples on the
                CPU, of which "joint" asks for no gradient. Errors in `Plan.origin` are of samples all the same
    seed        of the noise; batch: rows a call at most, of each of the ranks
    progress    show a bar, up to the evaluations that such a fit usually takes; by default on a terminal
    ranks       processes that fit together, as `symsi.Ranks.join()` gives them: they share the rows of each evaluation,
                and all get the same plan, that of one process up to rounding

    Each row of x_{k+1} = a_k z + sum_e b_ke P_e is the least-squares fit to the teacher's states where the step ends,
    with the solver itself running (T24), drawn by a ridge to the theory's table, lazy AB2 or Euler on the same times.
    The times are searched, the first one, too: at 0 a prediction says no more than the mean, and noise that is told to
    have a little signal says more. Where a fitted plan does not
    beat the theory on the samples held out, the theory's plan is returned: `Plan.origin` says so, and holds errors
    (root mean squares), model, samples, teacher, versions and what the calibration cost, teacher included. Raises
    SymsiError for what does not fit, and where half the teacher's steps end further from it than the fit does (and than
    a thousandth of the samples' size). Warns where the model's output does not depend on x, and where the samples are
    too few for the numbers of a row.
    """
    known = as_model(model)
    several = isinstance(steps, Sequence) and not isinstance(steps, str)
    counts = sorted({whole_number("steps", n, 1) for n in (steps if several else [steps])})  # type: ignore[union-attr]
    if not counts:
        raise SymsiError("steps is empty; give a number of steps, or several.")
    if refine not in (None, *_REFINEMENTS):
        raise unknown("refinement", refine, _REFINEMENTS)
    if features is not None and refine is None:
        raise SymsiError("features are compared by refinements alone; add refine='joint', or 'gradient'.")
    number = whole_number("samples", samples, 2)
    if not isinstance(shape, Sequence | None) or isinstance(shape, str):
        raise SymsiError(f"shape is that of one sample, such as (1, 28, 28); got {shape!r}.")
    form = known.shape if shape is None else tuple(shape)
    count, form = read_shape(number if form is None else (number, *form), known)
    told = known.in_turn(count) if conditions is None else conditions
    given = dict(told) if isinstance(told, Mapping) else {}
    device, kind = known.device or torch.device("cpu"), known.dtype or torch.float32
    check_inputs(known, device, kind, guidance, given, conditions, count)
    size = count if batch is None else min(count, whole_number("batch", batch, 1) * ranks.world)
    if features is not None:
        check_features(features, standard_normal(check_seed(seed), range(2), 0, form).float())
    fine = teacher_of(known) if teacher is None else teacher
    check_teacher(fine, counts[-1], clock_of(known))
    asks = {n: _asks(n, guidance, unconditional) for n in counts}
    numbers = 1 + max(sum(map(len, steps)) for steps in asks.values()) + constant
    channels = _channels(form, refine) if by_channel else 1
    equations = fitted_rows(count) * prod(form) // channels
    warn_if_few(numbers, equations)
    total = count * expected(counts, fine.evaluations, guidance=guidance, refine=refine)
    hidden = True if ranks.rank else None if progress is None else not progress
    shared = ranks.shared(known)
    settings = f"{guidance} {constant} {channels} {refine} {features is not None} {seed}"
    ranks.agree(f"{fingerprint(known)} {fine.hash} {asks} {form} {count} {size} {settings}")
    with tqdm(desc=f"teach {known.name}", total=total, unit="row", disable=hidden) as bar:
        spent = 0

        def tick(rows: int) -> None:
            nonlocal spent
            spent += rows
            bar.update(rows)

        taught = teach(
            shared,
            fine,
            count=count,
            form=form,
            conditions=given,
            guidance=guidance,
            seed=check_seed(seed),
            batch=size,
            tick=tick,
        )
        if features is not None:
            check_finite(features, taught.states[-1], size)
        student = Student(shared, taught.states[0], given, guidance, size, tick)
        third = len(taught.states) // 3
        warn_if_blind(student, [(taught.states[k], fine.times[k]) for k in (third, 2 * third)])
        found, before = {}, spent
        for n in counts:
            bar.set_description(f"fit {n} steps")
            own = _Fit(student, taught, asks[n], constant, channels, reference, refine, features).plan()
            cost, spent = spent, before
            found[n] = replace(own, origin={**own.origin, "calibration": f"{cost} evaluations of a sample"})
        bar.total = bar.n  # the search ends where it ends
        bar.refresh()
    origin = {
        **origin_of(known),
        "model": known.name,
        "parameters": fingerprint(known),
        "guidance": repr(float(guidance)),
        "shape": str(form),
        "samples": f"{count} of seed {seed}, {equations} numbers to fit a row{' of each channel' * by_channel} to",
        "teacher": f"{fine.origin['solver']}, {len(fine.grid) - 1} steps; half of them end {taught.doubt:.3g} away",
        "torch": torch.__version__,
    }
    plans = {n: replace(p, origin={**p.origin, **origin}) for n, p in found.items()}
    return plans if several else plans[counts[0]]


def expected(counts: Sequence[int], teacher: int = 128, *, guidance: float = 1.0, refine: str | None = None) -> int:
    """Return how many evaluations a sample the fits of these numbers of steps usually take, with the teacher's.

    The teacher runs twice, the second time with half its steps. A fit of N steps tries some 6 (N + 1) + 10 tables of N
    evaluations; a joint one 24 N more, and then ten times as many as there are numbers in a table, N (N + 5)/2, and
    some; one by gradient some 500, a way back through the network counted as two evaluations.
    """
    joint, gradient = refine == "joint", refine == "gradient"
    tables = (6 * (n + 1) + 10 + joint * (24 * n + 10 * (n * (n + 5) // 2 + 3)) + gradient * 500 for n in counts)
    calls = 1 if guidance == 1 else 2
    return calls * (teacher + teacher // 2 + sum(n * m for n, m in zip(counts, tables, strict=True)))


@dataclass
class _Fit:
    """The fit of one number of steps: `asks` of each."""

    student: Student
    taught: Trajectories
    asks: tuple[tuple[str, ...], ...]
    constant: bool
    channels: int
    reference: Reference | None
    refine: str | None = None
    features: Callable[[Tensor], Tensor] | None = None

    def plan(self) -> Plan:
        """Return the fitted plan, or the theory's where it is not beaten."""
        steps, count = len(self.asks), len(self.student.start)
        fitted = fitted_rows(count)
        grids = list(self._grids(steps))
        names = _THEORIES if self.reference is None else (*_THEORIES, "gaussian")
        theories = [(name, grid) for name in names for grid in grids]
        _, (name, grid) = min((self._missed(self._theory(*t), 0), t) for t in theories)  # of few the luckiest wins
        own = self._theory(name, grid)
        theory = self._missed(own, fitted)
        fitter = self._fitter(fitted, name)
        clock, chosen = fitter.search(grids), []
        for ridge in _RIDGES:
            other = replace(fitter, ridge=ridge)
            table, _ = other.rows(clock)
            chosen.append((self._missed(table, fitted), other, table))
        error, fitter, table = min(chosen, key=lambda c: c[0])
        unrefined, together = error, False
        if self.refine == "joint":
            there, moved = fitter.together(clock)
            missed = self._missed(moved, fitted)
            before, after = (error, missed) if self.features is None else map(self._seen, (table, moved))
            if together := after < before:
                error, clock = missed, there
        if self.refine == "gradient":
            end = self.taught.states[-1]
            descent = Descent(self.student, end, fitted, constant=self.constant, features=self.features)
            table, _ = descent.refine(table)
            error = self._missed(table, fitted)
        origin = {"solver": "fitted", "error": f"{error:.4g} on {count - fitted} samples held out"}
        origin["theory"] = f"{theory:.4g}, {name}"
        by_features = self.features is not None and (together or self.refine == "gradient")
        if by_features:
            origin["compared"] = "features of samples"
        beats = min(error, unrefined) if by_features else error  # by features samples may end further apart
        if not beats < theory:
            return replace(own, origin={**origin, "solver": f"{name}, which the fit does not beat"}).plan()
        size = float(self.taught.states[-1].double().square().mean().sqrt())
        if self.taught.doubt > max(error, _NEGLIGIBLE * size):
            raise SymsiError(
                f"the teacher has not converged: half its steps end {self.taught.doubt:.3g} away (root mean square), "
                f"more than the {error:.3g} that {steps} steps miss. Give a teacher of more steps: "
                f"teacher=symsi.plan(model, schedule={str(clock_of(self.student.model))!r}, solver='heun', steps=...)."
            )
        if self.refine != "gradient":
            whole = replace(self._fitter(count, name), ridge=fitter.ridge)
            table = whole.together(clock)[1] if together else whole.rows(clock)[0]
        return replace(table, origin=origin).plan()

    def _fitter(self, count: int, solver: str) -> Fitter:
        return Fitter(
            self.student,
            count,
            target=lambda t: self.taught.at(t)[:count],
            prior=lambda clock: self._theory(solver, clock),
            constant=self.constant,
            channels=self.channels,
            features=self.features,
            earliest=float(self.taught.clock[0]),
        )

    def _missed(self, table: Triangle, begin: int) -> float:
        """How far a table ends from the teacher's samples, from the one numbered `begin` on."""
        return self.student.error(table, self.taught.states[-1], begin, len(self.student.start))

    def _seen(self, table: Triangle) -> float:
        """How far a table's ends are from those samples that are held out, in features."""
        count = len(self.student.start)
        return self.student.error(table, self.taught.states[-1], fitted_rows(count), count, self.features)

    def _grids(self, steps: int) -> Iterator[Clock]:
        model, clock = self.student.model, clock_of(self.student.model)
        for name in dict.fromkeys((*_STARTS, advice(model).grid)):
            with suppress(SymsiError):  # a grid with points before a truncated start
                yield tuple(plan(model, schedule=clock, solver="euler", steps=steps, grid=name).grid[:-1])

    def _theory(self, solver: str, clock: Clock) -> Triangle:
        """A solver's table in the clock's schedule; of guided predictions P = u + guidance (c - u) that of parts."""
        model, law, grid = self.student.model, self.reference if solver == "gaussian" else None, (*clock, 1.0)
        table = triangle_of(plan(model, schedule=clock_of(model), solver=solver, grid=grid, reference=law))
        size = self.taught.size
        rows = tuple(torch.cat([table.start / size * row[:1], row[1:]]) for row in table.rows)
        table = replace(table, rows=rows, start=size)
        g = self.student.guidance
        if g == 1 or self.asks == _together(len(self.asks)):
            return table
        parts = []
        for row in table.rows:
            numbers = [float(row[0])]
            for asks, b in zip(self.asks, row[1:-1].tolist(), strict=False):
                numbers += [g * b, (1 - g) * b] if len(asks) == 2 else [b]
            parts.append(torch.tensor([*numbers, float(row[-1])], dtype=torch.float64))
        return replace(table, rows=tuple(parts), asks=self.asks)


def _channels(form: tuple[int, ...], refine: str | None) -> int:
    """How many channels samples have, the first of their dimensions. Raises SymsiError where numbers of each are none.

    Two dimensions are (C, length) of a sound, or (length, C) of tokens: nobody says which.
    """
    if len(form) not in (1, 3, 4) or form[0] == 1:
        found = "one channel" if form[:1] == (1,) else "no dimension that is known to be the channels'"
        raise SymsiError(
            f"by_channel takes samples (C,), (C, H, W) or (C, F, H, W) of several channels; those of shape {form} have "
            f"{found}. Leave by_channel out."
        )
    if refine == "joint":
        raise SymsiError(
            f"refine='joint' moves one number at a time, of which by_channel makes {form[0]} times as many; take "
            "refine='gradient', or leave one of the two out."
        )
    return form[0]


def _asks(steps: int, guidance: float, unconditional: str | Sequence[int]) -> tuple[tuple[str, ...], ...]:
    """What each step asks the model for."""
    if guidance == 1 or (isinstance(unconditional, str) and unconditional == "together"):
        return _together(steps)
    named: dict[str, Sequence[int]] = {"all": range(steps), "first": (0,)}
    chosen = named.get(unconditional) if isinstance(unconditional, str) else unconditional
    if chosen is None or not all(isinstance(k, int) and 0 <= k < steps for k in chosen):
        raise SymsiError(
            f"unconditional must be 'all', 'first', 'together' or steps from 0 to {steps - 1}; got {unconditional!r}."
        )
    return tuple(("conditional", "unconditional") if k in chosen else ("conditional",) for k in range(steps))


def _together(steps: int) -> tuple[tuple[str, ...], ...]:
    return (("prediction",),) * steps

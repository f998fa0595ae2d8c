"""How good samples are at a given number of network evaluations (NFE): ours and diffusers' solvers in one run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import mean, stdev
from typing import Any

import torch
from torch import Tensor

from symsi.adapters.peers import PEERS, sample_peer
from symsi.bench.gradient import gradient_plan
from symsi.calibration.grid import optimal_grid
from symsi.calibration.reference import reference_of_model
from symsi.calibration.solver import fit_solver
from symsi.errors import SymsiError, unknown
from symsi.metrics import accuracy, energy_distance, frechet_distance, recall, rmse, sampling_floor
from symsi.models.digits8 import digits
from symsi.models.features import load_features
from symsi.models.pretrained import WEIGHTS, load
from symsi.models.protocol import Model
from symsi.sampling.noise import standard_normal
from symsi.sampling.sample import sample

__all__ = [
    "CALIBRATION",
    "CONTENDERS",
    "CONVERGED",
    "NFE",
    "PEERS",
    "TASKS",
    "Contender",
    "Judge",
    "Task",
    "quality_at_nfe",
    "task",
]

NFE = (2, 3, 4, 6, 8, 12, 16, 32)
_ENERGY_ROWS = 2000  # of the real data, against which energy distances are taken
CALIBRATION: Mapping[str, Any] = {"seed": 1 << 32, "progress": False}  # of no noise that is judged
CONVERGED: Mapping[str, Any] = {"schedule": "trigonometric", "solver": "heun", "steps": 32}


@dataclass(frozen=True)
class Contender:
    """A row of the table: options of `symsi.sample`, evaluations a step, and what must be calibrated first.

    `fit` are options of `fit_solver`, whose plan then takes the place of the others; with `gradient` they are those of
    `gradient_plan`, a peer. With `seen` the fit compares what the task's second classifier sees in samples.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    per_step: int = 1
    reference: str | None = None
    optimal: bool = False
    fit: Mapping[str, Any] | None = None
    gradient: bool = False
    seen: bool = False


_VP = {"schedule": "trigonometric"}
_GAUSSIAN = {**_VP, "solver": "gaussian"}
_LINEAR_SDE = {"schedule": "linear", "diffusion": "alpha", "solver": "euler-maruyama", "last": "land"}
_POINT_MASS = {"schedule": "lazy(kappa=1)", "diffusion": "optimal", "last": "land"}
CONTENDERS: Mapping[str, Contender] = {
    m.name: m
    for m in (
        Contender("linear Euler", {"schedule": "linear", "solver": "euler"}),
        Contender("linear AB2", {"schedule": "linear", "solver": "ab2"}),
        Contender("lazy VP Euler", {**_VP, "solver": "euler"}),
        Contender("lazy VP Heun", {**_VP, "solver": "heun"}, per_step=2),
        Contender("lazy VP AB2", {**_VP, "solver": "ab2"}),
        Contender("lazy VP AB3", {**_VP, "solver": "ab3"}),
        Contender("lazy VP AB2, linear grid", {**_VP, "solver": "ab2", "grid": "linear"}),
        Contender("lazy VP AB2, log-SNR grid", {**_VP, "solver": "ab2", "grid": "log-snr"}),
        Contender("lazy VP AB2, point-mass grid", {**_VP, "solver": "ab2", "grid": "point-mass"}),
        Contender("lazy VP AB2, shift 2", {**_VP, "solver": "ab2", "grid": "shifted(shift=2)"}),
        Contender("lazy VP AB2, optimised grid", {**_VP, "solver": "ab2"}, optimal=True),
        Contender("modal DCT Euler", {**_VP, "solver": "euler"}, reference="dct"),
        Contender("modal DCT AB2", {**_VP, "solver": "ab2"}, reference="dct"),
        Contender("modal PCA Euler", {**_VP, "solver": "euler"}, reference="pca"),
        Contender("modal PCA AB2", {**_VP, "solver": "ab2"}, reference="pca"),
        Contender("Gaussian table, shift 2", {**_GAUSSIAN, "grid": "shifted(shift=2)"}, reference="pca"),
        Contender("Gaussian table, shift 4", {**_GAUSSIAN, "grid": "shifted(shift=4)"}, reference="pca"),
        Contender("DPM-Solver++(2M), angle grid", {**_VP, "solver": "dpm++2m"}),
        Contender(
            "linear SDE", {"schedule": "linear", "diffusion": "alpha", "solver": "euler-maruyama", "last": "land"}
        ),
        Contender("point mass", {**_POINT_MASS, "solver": "euler-maruyama"}),
        Contender("point mass AB2", {**_POINT_MASS, "solver": "ab2-maruyama"}),
        Contender("fitted", fit={"samples": 32}),
        Contender("fitted, 8 samples", fit={"samples": 8}),
        Contender("fitted, 256 samples", fit={"samples": 256}),
        Contender("fitted, joint", fit={"samples": 32, "refine": "joint"}),
        Contender("fitted, features", fit={"samples": 128, "refine": "joint"}, seen=True),
        Contender("fitted, gradient", fit={"samples": 32, "refine": "gradient"}),
        Contender("by gradient (as GS)", fit={"samples": 32}, gradient=True),
        Contender("modal PCA kappa=1", {**_VP, "diffusion": "optimal", "solver": "exact-ab2"}, reference="pca"),
    )
}


@dataclass(frozen=True)
class Task:
    """A model and how its samples are judged: features of samples and of real data, and their classifier if any.

    `seen` are activations of a second classifier, which does not judge, for fits that compare them.
    """

    model: Model
    features: Callable[[Tensor], Tensor]
    real: Tensor
    classify: Callable[[Tensor], Tensor] | None = None
    seen: Callable[[Tensor], Tensor] | None = None


def _images(name: str, second: str | None = None) -> Task:
    judge = load_features(WEIGHTS / f"{name}-features.safetensors")
    seen = None if second is None else load_features(WEIGHTS / f"{second}.safetensors").classifier.activations
    return Task(load(name), judge, judge.reference.double(), judge.classifier, seen)


def _digits8() -> Task:
    return Task(load("digits8"), partial(torch.flatten, start_dim=1), digits()[0].flatten(1))


TASKS: Mapping[str, Callable[[], Task]] = {
    "digits28": partial(_images, "digits28"),
    "fashion28": partial(_images, "fashion28", "fashion28-perceptual"),
    "digits8": _digits8,
}


def task(name: str) -> Task:
    """Return a task by the name of its model. Raises UnknownNameError with the closest match."""
    if name not in TASKS:
        raise unknown("benchmark model", name, TASKS)
    return TASKS[name]()


def quality_at_nfe(
    name: str,
    nfe: Sequence[int] = NFE,
    *,
    samples: int = 500,
    repeats: int = 3,
    methods: Sequence[str] = (),
    batch: int = 125,
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Return {"model", "samples", "repeats", "floor", "converged", "rows"}, each row a method at an NFE.

    "fd" is the Frechet distance of `samples` samples to all real data, "energy" the energy distance, both in the task's
    features; means over `repeats` seeds with "fd_spread" and "energy_spread" their standard deviations. "recall" is the
    share of real data that samples cover (`symsi.metrics.recall`), "accuracy" how often the task's classifier sees the
    class that was asked for, "class_shift" the total variation between classes seen and asked for. "rmse_converged"
    compares with lazy VP Heun at 64 evaluations from the same noise, for deterministic methods; "calibration" is what a
    fitted plan cost, in evaluations of a sample. Repeat r uses seed r for every method, so rows share start noise.

    A method that cannot spend exactly that NFE (Heun at even ones) has no row, and a method whose FD was that of
    converged samples (or less, to within the larger spread) at two NFE in a row is not run at more. Plans, references
    and optimised grids are calibrated first, under another seed. `methods` are names, or names with NFE of their own:
    "UniPC@6,8"; of all, those that ask a second classifier are left out where the task has none. `tick(done, total)`
    follows methods. Raises SymsiError for unknown methods, one asked for that needs a second classifier where there is
    none, or fewer than 2 repeats.
    """
    known = {**CONTENDERS, **PEERS}
    given = task(name)
    blind = {n for n, method in CONTENDERS.items() if method.seen and given.seen is None}
    wanted = [_cell(text, nfe) for text in methods or (n for n in known if n not in blind)]
    for name_of, _ in wanted:
        if name_of not in known:
            raise unknown("method", name_of, known)
        if name_of in blind:
            raise SymsiError(f"{name_of!r} asks a second classifier, and {name} has none; of our models fashion28 has.")
    if repeats < 2 or samples < 2 or min(nfe, default=0) < 1:
        raise SymsiError("the benchmark needs repeats >= 2, samples >= 2 and NFE >= 1.")
    judge = Judge(given, samples, repeats, batch)
    rows: list[dict[str, Any]] = []
    for k, (name_of, counts) in enumerate(wanted):
        method, settled = known[name_of], 0
        for n in sorted(set(counts)):
            if settled < 2 and judge.fits(method, n):
                rows.append(judge.row(method, n))
                settled = settled + 1 if judge.settled(rows[-1]) else 0
        tick(k + 1, len(wanted))
    return {
        "model": name,
        "samples": samples,
        "repeats": repeats,
        "floor": judge.floor(),
        "converged": judge.converged_row,
        "rows": rows,
    }


def _cell(text: str, nfe: Sequence[int]) -> tuple[str, Sequence[int]]:
    """Read "NAME" or "NAME@N,N"."""
    name, at, counts = text.partition("@")
    if not at:
        return name, nfe
    try:
        found = [int(n) for n in counts.split(",")]
    except ValueError:
        found = [0]
    if min(found) < 1:
        raise SymsiError(f"a method is a name, or a name with NFE such as 'UniPC@6,8'; got {text!r}.")
    return name, found


def _shift(found: Tensor, wanted: Tensor) -> float:
    """The total variation between the shares of classes that were found and wanted, from 0 to 1."""
    counts = [torch.bincount(x, minlength=int(max(found.max(), wanted.max())) + 1) for x in (found, wanted)]
    return float((counts[0] / len(found) - counts[1] / len(wanted)).abs().sum() / 2)


def _cost(options: Mapping[str, Any]) -> int | None:
    """The evaluations of a sample that the calibration of a plan took."""
    made = options.get("plan")
    return None if made is None else int(made.origin["calibration"].split()[0])


class Judge:
    """A task with its converged samples by seed, and what was calibrated for it."""

    def __init__(self, given: Task, samples: int, repeats: int, batch: int) -> None:
        self.task, self.samples, self.repeats, self.batch = given, samples, repeats, batch
        self.converged = [self._ours(CONVERGED, seed) for seed in range(repeats)]
        self.converged_row = self._score(self.converged)
        self._references: dict[str, Any] = {}

    def fits(self, method: Any, nfe: int) -> bool:
        """Whether the method can spend exactly that many evaluations."""
        return method.steps_for(nfe) is not None if not isinstance(method, Contender) else nfe % method.per_step == 0

    def settled(self, row: Mapping[str, Any]) -> bool:
        """Whether a row's FD is that of converged samples, to within the larger spread."""
        end = self.converged_row
        return bool(row["fd"] <= end["fd"] + max(row["fd_spread"], end["fd_spread"]))

    def floor(self) -> dict[str, float]:
        """Real data against real data, with as many samples."""
        found = sampling_floor(frechet_distance, self.task.real, min(self.samples, len(self.task.real) // 2))
        return {"fd": found.mean, "spread": found.spread}

    def row(self, method: Any, nfe: int) -> dict[str, Any]:
        """Run one method at one NFE for every seed and judge the samples."""
        ours = isinstance(method, Contender)
        options = self._options(method, nfe) if ours else {}
        draw: Callable[..., Tensor] = partial(self._ours, options) if ours else partial(self._peer, method.name, nfe)
        deterministic = not ours or "diffusion" not in method.options
        kind = "peer" if not ours or method.gradient else "ours"
        found = self.measured(draw, deterministic=deterministic, method=method.name, kind=kind, nfe=nfe)
        return found | {"calibration": _cost(options)}

    def measured(self, draw: Callable[..., Tensor], *, deterministic: bool = True, **about: Any) -> dict[str, Any]:
        """Judge the samples draw(seed) of every seed; the row begins with `about`."""
        draw(0, 2)  # tables, imports
        started = time.perf_counter()
        results = [draw(seed) for seed in range(self.repeats)]
        elapsed = time.perf_counter() - started
        return {
            **about,
            **self._score(results),
            "rmse_converged": mean(map(rmse, results, self.converged)) if deterministic else None,
            "us_per_sample": elapsed / (self.samples * self.repeats) * 1e6,
        }

    def _score(self, results: Sequence[Tensor]) -> dict[str, Any]:
        real = self.task.real
        some = real[torch.randperm(len(real), generator=torch.Generator().manual_seed(0))[:_ENERGY_ROWS]]
        features = [self.task.features(x).double() for x in results]
        fds = [frechet_distance(f, real) for f in features]
        energies = [energy_distance(f, some) for f in features]
        right = shares = None
        if self.task.classify is not None:
            labels = self.task.model.in_turn(self.samples)["label"]
            with torch.no_grad():
                logits = [self.task.classify(x) for x in results]
            right = mean(accuracy(found, labels) for found in logits)
            shares = mean(_shift(found.argmax(1), labels) for found in logits)
        return {
            "fd": mean(fds),
            "fd_spread": stdev(fds),
            "energy": mean(energies),
            "energy_spread": stdev(energies),
            "recall": mean(recall(f, some) for f in features),
            "accuracy": right,
            "class_shift": shares,
        }

    def _ours(self, options: Mapping[str, Any], seed: int, count: int | None = None) -> Tensor:
        count = count or self.samples
        found = sample(
            self.task.model,
            shape=count,
            seed=seed,
            batch=self.batch,
            progress=False,
            conditions=self.task.model.in_turn(count),
            **options,
        )
        return found.x

    def _peer(self, name: str, nfe: int, seed: int, count: int | None = None) -> Tensor:
        count = count or self.samples
        model = self.task.model
        assert model.shape is not None
        pieces = []
        conditions = self.task.model.in_turn(count)
        for rows in torch.split(torch.arange(count), self.batch):
            z = standard_normal(seed, rows.tolist(), 0, model.shape)
            with torch.no_grad():
                pieces.append(sample_peer(name, model, z, nfe, **{k: v[rows] for k, v in conditions.items()}).x)
        return torch.cat(pieces)

    def _options(self, method: Contender, nfe: int) -> dict[str, Any]:
        if method.fit is not None and method.gradient:
            return {
                "plan": gradient_plan(self.task.model, nfe, batch=self.batch, seed=CALIBRATION["seed"], **method.fit)
            }
        if method.fit is not None:
            fit = {**method.fit, "features": self.task.seen if method.seen else None}
            return {"plan": fit_solver(self.task.model, nfe, batch=self.batch, **fit, **CALIBRATION)}
        options = dict(method.options) | {"steps": nfe // method.per_step}
        if method.reference:
            if method.reference not in self._references:
                count = 512
                self._references[method.reference] = reference_of_model(
                    self.task.model,
                    shape=count,
                    kind=method.reference,
                    rank=None,
                    batch=self.batch,
                    conditions=self.task.model.in_turn(count),
                    shrinkage=0.05,
                    **CALIBRATION,
                )
            options["reference"] = self._references[method.reference]
        if method.optimal and nfe > 1:
            del options["steps"]
            options["grid"] = optimal_grid(
                self.task.model,
                nfe,
                shape=32,
                schedule=options["schedule"],
                solver=options["solver"],
                conditions=self.task.model.in_turn(32),
                **CALIBRATION,
            )
        return options

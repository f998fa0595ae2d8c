"""What a scheduler changes in diffusers' pipelines: quality at few steps, marginals under noise, time of a step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from statistics import mean, median, stdev
from typing import Any

import torch
from torch import Tensor

from symsi.adapters.diffusers import LazyFlowMatchScheduler
from symsi.adapters.diffusers.flow_pipeline import FlowPipeline
from symsi.bench.nfe import task
from symsi.calibration.solver import fit_solver
from symsi.errors import MissingPackageError
from symsi.metrics import accuracy, frechet_distance
from symsi.models.analytic import gaussian
from symsi.sampling.noise import compile_noise, standard_normal
from symsi.solvers.plan import Plan

__all__ = ["MARGINALS", "QUALITY", "STEPS", "TIMED", "Entry", "marginals", "quality_in_pipelines", "step_times"]

STEPS = (4, 8, 16)
_CALIBRATED = 1000  # seed of the noise that solvers are fitted to; those of the samples count from 0
_OURS = "LazyFlowMatchScheduler"
_FLOW = {"use_flow_sigmas": True, "prediction_type": "flow_prediction"}


@dataclass(frozen=True)
class Entry:
    """A scheduler by class name and config, and the numbers of steps it is run with.

    With `sigmas` the pipeline passes its own, evenly spaced, as FLUX's does; with `fitted` the scheduler follows a
    solver fitted to the model.
    """

    name: str
    scheduler: str
    config: Mapping[str, Any] = field(default_factory=dict)
    steps: Sequence[int] = STEPS
    generator: bool = False  # whether a step is given one, in `step_times`
    sigmas: bool = False
    fitted: bool = False

    def make(self, plan: Plan | None = None) -> Any:
        """Return the scheduler, which follows a plan if one is given."""
        if self.scheduler == _OURS:
            return LazyFlowMatchScheduler(**self.config, plan=plan)
        return getattr(import_module("diffusers"), self.scheduler)(**self.config)


_EULER, _DPM, _UNIPC = "FlowMatchEulerDiscreteScheduler", "DPMSolverMultistepScheduler", "UniPCMultistepScheduler"
QUALITY = (
    Entry("symsi, fitted", _OURS, steps=(2, 3, 4), fitted=True),
    Entry("symsi, default", _OURS, steps=(3, 4, 8)),
    Entry("symsi, default, sigmas of the call", _OURS, steps=(4,), sigmas=True),
    Entry("symsi, sigmas of the config", _OURS, {"grid": "sigmas"}, (4, 8)),
    Entry("symsi, sigmas of the config, shift 2", _OURS, {"grid": "sigmas", "shift": 2.0}, (3, 4, 8)),
    Entry("symsi, optimal SDE", _OURS, {"shift": 2.0, "diffusion": "optimal"}),
    Entry("FlowMatchEuler", _EULER),
    Entry("FlowMatchEuler, shift 2", _EULER, {"shift": 2.0}),
    Entry("FlowMatchEuler, stochastic_sampling", _EULER, {"shift": 2.0, "stochastic_sampling": True}),
    Entry("DPM-Solver++(2M)", _DPM, _FLOW),
    Entry("DPM-Solver++(2M), shift 2", _DPM, {**_FLOW, "flow_shift": 2.0}),
    Entry("UniPC", _UNIPC, _FLOW),
    Entry("UniPC, sigmas of the call", _UNIPC, _FLOW, (4,), sigmas=True),
    Entry("UniPC, shift 2", _UNIPC, {**_FLOW, "flow_shift": 2.0}),
)
_VARIANCE = 0.25
TIMED = (
    Entry("FlowMatchEuler", _EULER),
    Entry("symsi, linear euler", _OURS, {"schedule": "linear", "solver": "euler"}),
    Entry("symsi, euler", _OURS, {"solver": "euler"}),
    Entry("symsi, ab2", _OURS),
    Entry("symsi, ab3", _OURS, {"solver": "ab3"}),
    Entry("DPM-Solver++(2M)", _DPM, _FLOW),
    Entry("UniPC", _UNIPC, _FLOW),
    Entry("FlowMatchEuler, stochastic_sampling", _EULER, {"stochastic_sampling": True}),
    Entry("symsi, optimal SDE", _OURS, {"diffusion": "optimal", "seed": 0}),
    Entry("symsi, optimal SDE, generator", _OURS, {"diffusion": "optimal"}, generator=True),
)
MARGINALS = (
    Entry("symsi, exact, reference 0.25", _OURS, {"diffusion": "optimal", "reference": _VARIANCE, "last": "step"}),
    Entry("symsi, exact, reference 0.25, landing", _OURS, {"diffusion": "optimal", "reference": _VARIANCE}),
    Entry("symsi, exact, no reference", _OURS, {"diffusion": "optimal", "last": "step"}),
    Entry(
        "symsi, point mass of variance 0.25",
        _OURS,
        {
            "schedule": "lazy(kappa=1, variance=0.25)",
            "diffusion": "optimal",
            "solver": "euler-maruyama",
            "last": "step",
        },
    ),
    Entry("diffusers, stochastic_sampling", _EULER, {"stochastic_sampling": True}),
)


def quality_in_pipelines(
    model: str = "digits28",
    *,
    samples: int = 500,
    repeats: int = 3,
    batch: int = 125,
    calibration: int = 32,
    entries: Sequence[Entry] = QUALITY,
    tick: Callable[[], None] = lambda: None,
) -> Iterator[dict[str, Any]]:
    """Yield a row per scheduler and number of steps: Frechet distance to real data and class accuracy.

    As `symsi bench nfe` measures them, but through a pipeline: the network is told the scheduler's timesteps. Repeat r
    starts from the noise of seed r for every scheduler; "fd_spread" is the standard deviation over repeats. Solvers are
    fitted to `calibration` samples from the noise of another seed.
    """
    given = task(model)
    assert given.model.shape is not None
    labels = given.model.in_turn(samples).get("label")
    wanted = sorted({n for entry in entries if entry.fitted for n in entry.steps})
    plans = fit_solver(given.model, wanted, samples=calibration, seed=_CALIBRATED, progress=False) if wanted else {}
    assert isinstance(plans, dict)
    for entry in entries:
        for steps in entry.steps:
            made = entry.make(plans[steps]) if entry.fitted else entry.make()
            sigmas = torch.linspace(1, 1 / steps, steps, dtype=torch.float64).numpy() if entry.sigmas else None
            pipe, found = FlowPipeline.of(given.model, made), []
            for seed in range(repeats):
                torch.manual_seed(seed)  # diffusers' stochastic_sampling draws from torch
                pieces = []
                for rows in torch.split(torch.arange(samples), batch):
                    z = standard_normal(seed, rows.tolist(), 0, given.model.shape)
                    pieces.append(pipe(z, steps, sigmas, **({} if labels is None else {"label": labels[rows]})))
                found.append(torch.cat(pieces))
            fds = [frechet_distance(given.features(x).double(), given.real) for x in found]
            right = None
            if given.classify is not None and labels is not None:
                with torch.no_grad():
                    right = mean(accuracy(given.classify(x), labels) for x in found)
            yield {"scheduler": entry.name, "steps": steps, "fd": mean(fds), "fd_spread": stdev(fds), "accuracy": right}
            tick()


def marginals(steps: Sequence[int] = (4, 10, 50), count: int = 20_000) -> Iterator[dict[str, Any]]:
    """Yield a row per scheduler and number of steps: mean and covariance of what X ~ N(m, I/4) comes back as.

    m = (0, 0) and two dimensions, the exact velocity as the network. "mean" is the largest |mean|, "variance" the mean
    of the variances over 1/4, "covariance" the largest error of the covariance over 1/4; "noise" their Monte-Carlo
    standard deviation, sqrt(2/count).
    """
    law = gaussian([0.0, 0.0], _VARIANCE).model()
    for entry in MARGINALS:
        for number in steps:
            scheduler = entry.make()
            scheduler.set_timesteps(number)
            torch.manual_seed(1)
            x = standard_normal(0, range(count), 0, (2,))
            generator = torch.Generator().manual_seed(2)
            for t in scheduler.timesteps:
                velocity = law(x, (1 - t / 1000).repeat(count))
                x = scheduler.step(-velocity, t, x, generator=generator, return_dict=False)[0]
            covariance = torch.cov(x.double().T) / _VARIANCE
            yield {
                "scheduler": entry.name,
                "steps": number,
                "mean": float(x.mean(0).abs().max()),
                "variance": float(covariance.diagonal().mean()),
                "covariance": float((covariance - torch.eye(2)).abs().max()),
                "noise": (2 / count) ** 0.5,
            }


def step_times(
    shape: tuple[int, ...] = (1, 16, 128, 128), steps: int = 50, rounds: int = 15
) -> Iterator[dict[str, Any]]:
    """Yield a row per dtype and config: microseconds a call of `step`, and its ratio to FlowMatchEuler's.

    ab2, DPM-Solver++(2M) and UniPC are of order 2 and remember an evaluation, the Euler ones none. All take turns in
    every round; the ratio is the median over rounds. Noise is compiled first (`symsi.compile_noise`), if
    Numba is installed.
    """
    with suppress(MissingPackageError):
        compile_noise()
    for dtype in (torch.float32, torch.bfloat16):
        x, v = (torch.randn(shape, generator=torch.Generator().manual_seed(k)).to(dtype) for k in (0, 1))
        made = [(entry, entry.make()) for entry in TIMED]
        times: dict[str, list[float]] = {entry.name: [] for entry in TIMED}
        for _ in range(rounds):
            for entry, scheduler in made:
                options = {"generator": torch.Generator().manual_seed(0)} if entry.generator else {}
                times[entry.name].append(_loop(scheduler, steps, v, x, **options))
        theirs = times["FlowMatchEuler"]
        for name, found in times.items():
            yield {
                "config": name,
                "dtype": str(dtype).removeprefix("torch."),
                "us": median(found) * 1e6,
                "ratio": median(a / b for a, b in zip(found, theirs, strict=True)),
            }


@torch.no_grad()
def _loop(scheduler: Any, steps: int, v: Tensor, x: Tensor, **options: Any) -> float:
    """Seconds a step, of a whole loop."""
    scheduler.set_timesteps(steps)
    scheduler.set_begin_index(0)
    timesteps = list(scheduler.timesteps)
    started = time.perf_counter()
    for t in timesteps:
        x = scheduler.step(v, t, x, return_dict=False, **options)[0]
    return (time.perf_counter() - started) / steps

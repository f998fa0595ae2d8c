"""What a scheduler does between `set_timesteps` and the last step: counts, draws noise, and steps by its plan."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

import torch
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from symsi.adapters.diffusers.levels import index_of
from symsi.adapters.diffusers.method import Method
from symsi.adapters.diffusers.planned import SAID, Planned, as_setting, planned
from symsi.adapters.diffusers.run import Run
from symsi.adapters.diffusers.table import StepTable, make_table, step_density
from symsi.coefficients.runtime import working
from symsi.errors import SchedulerError
from symsi.sampling.moves import moves
from symsi.sampling.noise import check_seed, standard_normal
from symsi.solvers.plan import Plan

__all__ = ["Driven", "Driver", "Generators"]

Generators: TypeAlias = "torch.Generator | list[torch.Generator] | None"


class Driver:
    """A method on a grid: `taus` are the model's times at its points, `times` the network's at each evaluation.

    `step_index` is the evaluation to come, None until the first step of a run; `begin_index` where runs begin, if it
    was said. Raises SymsiError for a seed that is none.
    """

    step_index: int | None
    begin_index: int | None
    _first: int  # evaluation that the run began at
    _run: Run | None
    _plan: tuple[Any, Plan] | None  # with what it was made for
    _table: tuple[Any, StepTable] | None
    _run_seed: int | None

    def __init__(self, method: Method, seed: int | None) -> None:
        self.method = method
        self.taus: Sequence[float] = ()
        self.times: Sequence[float] = ()
        self.seed = None if seed is None else check_seed(seed)
        self._forget()

    def reset(self, taus: Sequence[float], times: Sequence[float]) -> None:
        """Take a grid, and tabulate its plan. Raises SymsiError as `Method.plan` does."""
        made = self.method.plan(taus) if self.method.reference is None else None  # else the shape of a sample is needed
        self.taus, self.times = taus, times
        self._forget()
        if made is not None:
            moves(made, torch.empty(0))  # so that the first step finds them
            self._plan = (0, None), made

    def begin(self, index: int) -> None:
        """Say where runs begin. Raises SchedulerError for an evaluation where no step begins."""
        try:
            first = operator.index(index)
        except TypeError:
            raise SchedulerError(f"begin_index must be an integer; got {index!r}.") from None
        if self.taus and self.method.reference is None:
            self._plan_from(first)
        elif self.taus:
            self._check_begin(first)
        self.begin_index = first

    def rewind(self, index: int | None) -> None:
        """Be at evaluation `index`, or before the first. Raises SchedulerError where the solver remembers others."""
        if index is not None:
            if self.step_index not in (None, index) and not self.method.one_step:
                raise SchedulerError(
                    f"solver {self.method.solver!r} remembers evaluations and cannot go to step {index}."
                )
            if self.step_index is None or index < self._first:
                self._check_begin(index)
                self._first, self._run = index, None
        self.step_index = index

    def start(self, timestep: float | Tensor) -> int:
        """Find the evaluation to come; the first of a run is looked up by its timestep if nobody said where it is."""
        if self.step_index is None:
            self._first = index_of(timestep, self.times) if self.begin_index is None else self.begin_index
            self.step_index, self._run = self._first, None
        if self.step_index >= len(self.times):
            raise SchedulerError(f"all {len(self.times)} steps are done; call set_timesteps to start anew.")
        return self.step_index

    def step(self, model_output: Tensor, timestep: float | Tensor, sample: Tensor, generator: Generators) -> Tensor:
        """Return the state after the next evaluation, in the dtype of `model_output`.

        Raises SchedulerError, and at the first step of a run PlanError where the plan's numbers are of other modes than
        the sample's, and SymsiError where its reference is of samples of another shape.
        """
        self.check_like(sample, model_output=model_output)
        k = self.start(timestep)
        if self._run is None:
            plan = self._plan_from(self._first, sample.shape[1:])
            self._run = Run(plan, self._first, sample)
        if sample.shape != self._run.shape:
            raise SchedulerError(
                f"sample changed its shape from {tuple(self._run.shape)} to {tuple(sample.shape)} after "
                f"{k - self._first} steps; call set_timesteps to start anew."
            )
        x = self._run.step(k, model_output, sample, partial(self._noise, generator, sample))
        self.step_index = k + 1
        return x if x.dtype == model_output.dtype else x.to(model_output.dtype)

    def log_prob(
        self, model_output: Tensor, timestep: float | Tensor, sample: Tensor, prev_sample: Tensor, timesteps: Tensor
    ) -> Tensor:
        """Return log p(prev_sample | sample), (B,); `timesteps` are the scheduler's, on its device."""
        if not (self.method.stochastic and self.method.one_step):
            raise SchedulerError(
                f"log_prob needs steps that are Gaussians by themselves; solver {self.method.solver!r} has none. "
                "Use solver='exact' or 'euler-maruyama' with diffusion='optimal' or 'kappa=K'."
            )
        self.check_like(sample, model_output=model_output, prev_sample=prev_sample)
        table, wanted = self.table(sample), torch.as_tensor(timestep).flatten()
        if len(wanted) not in (1, len(sample)):
            raise SchedulerError(f"timestep must be one, or one for each of {len(sample)} samples; got {len(wanted)}.")
        if wanted.device.type == "cpu":
            known = [index_of(t, self.times) for t in wanted]
            if any(table.silent[k] for k in known):
                raise SchedulerError(
                    "log_prob: the last step lands on the predicted data without noise and has no density; leave it "
                    "out of the sum, or set last='step'."
                )
            at, found = torch.tensor(known, device=sample.device), torch.ones(1, dtype=torch.bool, device=sample.device)
        else:
            same = timesteps.to(wanted.device).to(wanted.dtype) == wanted[:, None]
            at, found = same.to(torch.uint8).argmax(-1), same.sum(-1) == 1
        value = step_density(table, at.expand(len(sample)), model_output, sample, prev_sample)
        return torch.where(found, value, torch.nan)

    def table(self, sample: Tensor) -> StepTable:
        """Return the table of all steps of a one-step solver, beside `sample`; the one made last is kept."""
        key = (sample.shape[1:], working(sample), sample.device)
        if self._table is None or self._table[0] != key:
            plan = self.method.plan(self.taus, sample.shape[1:])
            self._table = key, make_table(plan, sample)
        return self._table[1]

    def check_like(self, sample: Tensor, **others: Tensor) -> None:
        """Raise SchedulerError before there is a grid, and for what is no tensor of the sample's shape."""
        if not self.taus:
            raise SchedulerError("this needs a grid; call scheduler.set_timesteps(steps) first.")
        for name, tensor in (("sample", sample), *others.items()):
            if not isinstance(tensor, Tensor):
                raise SchedulerError(f"{name} must be a tensor; got {type(tensor).__name__}.")
            if tensor.shape != sample.shape:
                raise SchedulerError(
                    f"{name} must have the shape of sample, {tuple(sample.shape)}; got {tuple(tensor.shape)}."
                )

    def _plan_from(self, first: int, shape: tuple[int, ...] | None = None) -> Plan:
        """The plan of the grid from evaluation `first` on; the one made last is kept."""
        self._check_begin(first)
        stages = self.method.stages
        key = (first, shape if self.method.reference else None)
        if self._plan is None or self._plan[0] != key:
            self._plan = key, self.method.plan(self.taus[first // stages :], shape)
        return self._plan[1]

    def _check_begin(self, first: int) -> None:
        stages = self.method.stages
        if not 0 <= first < len(self.times) or first % stages:
            kind = f"a multiple of {stages} " if stages > 1 else ""
            raise SchedulerError(f"begin_index must be {kind}in 0..{len(self.times) - 1}; got {first}.")

    def _noise(self, generator: Generators, like: Tensor, step: int, dtype: torch.dtype) -> Tensor:
        """Noise of the run's step `step`, from the generator or by the number of the step in the whole grid."""
        if isinstance(generator, list) and len(generator) not in (1, len(like)):
            raise SchedulerError(
                f"generator must be one, or one for each of {len(like)} samples; got {len(generator)}."
            )
        if generator is not None:
            drawn: Tensor = randn_tensor(like.shape, generator=generator, device=like.device, dtype=dtype)
            return drawn
        if self._run_seed is None:  # drawn at the first noise of a run, for others leave torch's generator alone
            self._run_seed = int(torch.randint(1 << 62, (), device="cpu"))
        number = self._first // self.method.stages + step
        return standard_normal(self._run_seed, range(len(like)), number, like.shape[1:], like.device, dtype)

    def _forget(self) -> None:
        """Be at no step."""
        self.step_index = self.begin_index = None
        self._first = 0
        self._run = self._plan = self._table = None
        self._run_seed = self.seed


class Driven:
    """What every scheduler with a driver answers in the same way."""

    _driver: Driver
    timesteps: Tensor
    register_to_config: Callable[..., None]  # of ConfigMixin

    def _drive(self, method: Method, seed: int | None, plan: Any = None) -> None:
        self._driver = Driver(method, seed)
        self.register_to_config(seed=self._driver.seed, plan=as_setting(plan))

    @classmethod
    def _planned(cls, plan: Any, prediction: str, **settings: Any) -> Planned:
        """Read the config's plan; `settings` are those of the config that it replaces, and what `planned` takes."""
        known = inspect.signature(cls).parameters
        said = {name: settings.pop(name) for name in SAID}
        return planned(plan, prediction, said, {name: known[name].default for name in SAID}, **settings)

    @property
    def step_index(self) -> int | None:
        """The evaluation to come; None until the first step of a run."""
        return self._driver.step_index

    @property
    def _step_index(self) -> int | None:
        """What pipelines of diffusers that step back and forth read and set; None begins a run anew."""
        return self._driver.step_index

    @_step_index.setter
    def _step_index(self, index: int | None) -> None:
        if "_driver" in vars(self):  # diffusers' own __init__ sets it first
            self._driver.rewind(index)

    @property
    def begin_index(self) -> int | None:
        """The evaluation that runs begin at; None until it is set."""
        return self._driver.begin_index

    def set_begin_index(self, begin_index: int = 0) -> None:
        """Start at evaluation `begin_index`, with the plan of the grid from there on: multistep solvers start anew."""
        self._driver.begin(begin_index)

    def index_for_timestep(self, timestep: float | Tensor, schedule_timesteps: Tensor | None = None) -> int | Tensor:
        """Return the index of a timestep of the grid, or of several in a tensor. Raises SchedulerError without one."""
        known = self._driver.times if schedule_timesteps is None else schedule_timesteps.tolist()
        if isinstance(timestep, Tensor) and timestep.numel() > 1:
            return torch.tensor([index_of(t, known) for t in timestep.flatten()], device=timestep.device)
        return index_of(timestep, known)

    def log_prob(self, model_output: Tensor, timestep: float | Tensor, sample: Tensor, prev_sample: Tensor) -> Tensor:
        """Return log p(prev_sample | sample) of the step at `timestep`, summed over each sample's components: (B,).

        The step is the Gaussian that `step` draws from; its mean moves with `model_output`, so gradients flow.
        `timestep` is a number or tensor, one or one for each sample. In float32, or float64 for float64 states; take
        `prev_sample` before it is rounded to a 16-bit dtype. Raises SchedulerError for a deterministic config, for
        solvers that use more than one evaluation, for a timestep that is not in the grid or, by a coarse dtype, stands
        for several, and for a step without noise (the last, where it lands). With timesteps on a GPU, for which nothing
        waits, the last three give nan instead.
        """
        return self._driver.log_prob(model_output, timestep, sample, prev_sample, self.timesteps)

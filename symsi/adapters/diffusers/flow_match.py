"""The scheduler of flow models: FlowMatchEulerDiscreteScheduler's interface, symsi's plans."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from diffusers.configuration_utils import register_to_config
from diffusers.schedulers.scheduling_utils import SchedulerOutput
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from symsi.adapters.diffusers.config import as_flow_config
from symsi.adapters.diffusers.levels import check_falling, check_timestep, count_steps, index_of, numbers
from symsi.adapters.diffusers.method import make_method
from symsi.adapters.diffusers.run import Run, working
from symsi.adapters.diffusers.table import StepTable, log_density, make_table, step_tokens
from symsi.errors import SchedulerError
from symsi.sampling.noise import check_seed, standard_normal
from symsi.sampling.plan import Plan

__all__ = ["LazyFlowMatchScheduler"]


class LazyFlowMatchScheduler(FlowMatchEulerDiscreteScheduler):
    """Sample a flow model under another schedule and diffusion; it takes the place of its pipeline's scheduler.

    `pipe.scheduler = LazyFlowMatchScheduler.from_config(pipe.scheduler.config)`. The state stays what pipelines hold,
    x = sigma Z + (1 - sigma) X, so latents may be made, edited and blended as before; a step is
    x <- keep x + sum_j weights[j] g_j + noise n with g = state x + prediction P (`symsi.Plan`), its numbers tabulated
    in float64 from the derived formulas at the sigmas that FlowMatchEulerDiscreteScheduler would take.

    schedule    of the sampled process: "trigonometric" (lazy, variance preserving), "lazy(kappa=1)", "linear", ...
    diffusion   "ode", "optimal", "kappa=0.5", or an expression
    solver      euler, heun, ab2 (default), ab3, dpm++2m; with noise exact (default), exact-ab2, euler-maruyama
                (default for an expression), ab2-maruyama
    last        "step", or "land" on the predicted data without noise (default with noise)
    grid        "sigmas": those of the flow config, or of the call, shifted as it says; or a grid of symsi ("angle",
                "shifted(shift=2)", ...) or the schedule's times themselves, whatever the sigmas of a call: then only
                their number counts, for pipelines always pass some
    reference   Gaussian that the data resembles, whose steps are then exact (T12): its variance, or the file of one
                (`symsi calibrate`)
    prediction  "flow" (noise - data, what diffusers' models give), or velocity (data - noise), data, noise, score
    seed        of the noise of step k + 1 of sample i in a batch, by (seed, i, k + 1), where `step` gets no generator;
                None draws one from torch's default generator at each `set_timesteps`
    use_flow_sigmas  read by pipelines: true makes some of them leave sigmas to the scheduler

    The other arguments are FlowMatchEulerDiscreteScheduler's. `invert_sigmas` says that sigma runs from 0 (noise) to 1.
    Raises SchedulerError, UnknownNameError or SymsiError for what does not fit.
    """

    _compatibles = ["FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler"]  # noqa: RUF012 - diffusers' way
    _step_index: int | None  # evaluation to come; None until the first step of a run
    _begin_index: int | None
    _first: int  # evaluation that the run began at
    _run: Run | None
    _plan: tuple[Any, Plan] | None  # with what it was made for
    _table: tuple[Any, StepTable] | None

    @register_to_config
    def __init__(
        self,
        num_train_timesteps: int = 1000,
        shift: float = 1.0,
        use_dynamic_shifting: bool = False,
        base_shift: float | None = 0.5,
        max_shift: float | None = 1.15,
        base_image_seq_len: int = 256,
        max_image_seq_len: int = 4096,
        invert_sigmas: bool = False,
        shift_terminal: float | None = None,
        use_karras_sigmas: bool = False,
        use_exponential_sigmas: bool = False,
        use_beta_sigmas: bool = False,
        time_shift_type: str = "exponential",
        stochastic_sampling: bool = False,
        schedule: str = "trigonometric",
        diffusion: str = "ode",
        solver: str | None = None,
        last: str | None = None,
        grid: str | Sequence[float] = "sigmas",
        reference: str | float | None = None,
        prediction: str = "flow",
        seed: int | None = 0,
        use_flow_sigmas: bool = False,
    ) -> None:
        if stochastic_sampling:
            raise SchedulerError(
                "stochastic_sampling=True re-noises the predicted data, as distilled models want; it does not keep the "
                "marginals of a flow. Set stochastic_sampling=False, and diffusion='optimal' for an SDE that does."
            )
        super().__init__(
            num_train_timesteps=num_train_timesteps,
            shift=shift,
            use_dynamic_shifting=use_dynamic_shifting,
            base_shift=base_shift,
            max_shift=max_shift,
            base_image_seq_len=base_image_seq_len,
            max_image_seq_len=max_image_seq_len,
            invert_sigmas=invert_sigmas,
            shift_terminal=shift_terminal,
            use_karras_sigmas=use_karras_sigmas,
            use_exponential_sigmas=use_exponential_sigmas,
            use_beta_sigmas=use_beta_sigmas,
            time_shift_type=time_shift_type,
            stochastic_sampling=stochastic_sampling,
        )
        self._method = make_method(schedule, diffusion, solver, last, prediction, reference, rising=invert_sigmas)
        self._seed = None if seed is None else check_seed(seed)
        self._levels: list[float] = self.sigmas.tolist()  # sigma at each evaluation, then the last one's end
        self._times: list[float] = self.timesteps.tolist()
        self._taus: list[float] = []  # the model's times at the points of the grid; none before set_timesteps
        self._forget()

    @classmethod
    def from_config(cls, config: Any = None, return_unused_kwargs: bool = False, **kwargs: Any) -> Any:
        """Make a scheduler from the config of a flow scheduler; keywords take precedence.

        Raises SchedulerError for the config of another kind of model.
        """
        given = as_flow_config(config) if isinstance(config, Mapping) else config
        return super().from_config(given, return_unused_kwargs=return_unused_kwargs, **kwargs)

    @property
    def order(self) -> int:
        """Evaluations a step, by which pipelines count progress."""
        return self._method.stages

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: str | torch.device | None = None,
        sigmas: Sequence[float] | Tensor | None = None,
        mu: float | None = None,
        timesteps: Sequence[float] | Tensor | None = None,
    ) -> None:
        """Set the noise levels, and tabulate the steps between them.

        `sigmas` are shifted as the config says (with `mu` where it shifts dynamically); `timesteps` are taken as they
        are and fix the sigmas, or with `sigmas` what the network is told. Raises SchedulerError for steps < 1,
        arguments that disagree, levels that do not fall inside (0, 1], or a missing `mu`.
        """
        given = None if sigmas is None else numbers("sigmas", sigmas)
        told = None if timesteps is None else numbers("timesteps", timesteps)
        count = count_steps(num_inference_steps, given, told)
        whole = self.config.num_train_timesteps
        if told is not None:
            rising = self.config.invert_sigmas
            check_falling("timesteps", [whole - t for t in told] if rising else told, whole)
        if given is not None:
            check_falling("sigmas", given, 1.0)
        if told is not None and given is None:
            levels = torch.tensor(told, dtype=torch.float64).div(whole).float()
            self._set(levels.tolist(), told, device)
        elif self.config.grid != "sigmas":
            taus = torch.tensor(self._method.taus(self.config.grid, count)[:-1], dtype=torch.float64)
            levels = (taus if self.config.invert_sigmas else 1 - taus).float()
            self._set(levels.tolist(), (levels * whole).tolist() if told is None else told, device)
        else:
            if self.config.use_dynamic_shifting and mu is None:
                raise SchedulerError(
                    "mu must be given: the config has use_dynamic_shifting=True, which shifts by the image's size. "
                    "Pass mu, or use_dynamic_shifting=False with a fixed shift."
                )
            super().set_timesteps(count, None, given, mu, told)
            self._set(self.sigmas[:-1].tolist(), self.timesteps.tolist(), device)

    def set_begin_index(self, begin_index: int = 0) -> None:
        """Start at evaluation `begin_index`, with the plan of the grid from there on: multistep solvers start anew."""
        if self._taus and self._method.reference is None:
            self._plan_from(begin_index)
        self._begin_index = begin_index

    def index_for_timestep(self, timestep: float | Tensor, schedule_timesteps: Tensor | None = None) -> int:
        """Return the index of a timestep of the grid. Raises SchedulerError if it is not there."""
        return index_of(timestep, self._times if schedule_timesteps is None else schedule_timesteps.tolist())

    def scale_noise(self, sample: Tensor, timestep: float | Tensor, noise: Tensor | None = None) -> Tensor:
        """Return sigma noise + (1 - sigma) sample, in the dtype of `sample`.

        sigma is that of the next evaluation where it is known (after a step, or once the begin index is set), as
        inpainting wants; else that of `timestep`, one number or one for each sample. Raises SchedulerError for a
        timestep that is not in the grid, or without noise of the shape of `sample`.
        """
        if noise is None or noise.shape != sample.shape:
            got = "None" if noise is None else tuple(noise.shape)
            raise SchedulerError(f"noise must have the shape of sample, {tuple(sample.shape)}; got {got}.")
        if self._begin_index is not None:
            at = [self._begin_index if self._step_index is None else self._step_index]
        else:
            at = [self.index_for_timestep(t) for t in torch.as_tensor(timestep).flatten()]
        levels = [1 - self._levels[k] if self.config.invert_sigmas else self._levels[k] for k in at]
        kind = working(sample)
        if len(set(levels)) == 1:
            scaled = noise.to(kind) * levels[0] + sample.to(kind) * (1 - levels[0])
        else:
            sigma = torch.tensor(levels, device=sample.device, dtype=kind).reshape(-1, *(1,) * (sample.ndim - 1))
            scaled = sigma * noise + (1 - sigma) * sample
        return scaled.to(sample.dtype)

    def step(
        self,
        model_output: Tensor,
        timestep: float | Tensor,
        sample: Tensor,
        s_churn: float = 0.0,
        s_tmin: float = 0.0,
        s_tmax: float = math.inf,
        s_noise: float = 1.0,
        generator: torch.Generator | list[torch.Generator] | None = None,
        per_token_timesteps: Tensor | None = None,
        return_dict: bool = True,
    ) -> SchedulerOutput | tuple[Tensor]:
        """Return the state after the next step, in the dtype of `model_output`; float32 (or float64) inside.

        `timestep` is looked at in the first step only, if no begin index was set: later ones are counted, on the host.
        Where the step adds noise it comes from `generator`, or else from the seed. Raises SchedulerError before
        `set_timesteps`, after the last step, for an integer or unknown timestep, for sizes that differ or change, and
        for settings (`s_churn`, `s_noise`) that the config's `diffusion` replaces.
        """
        check_timestep(timestep)
        if s_churn != 0 or s_noise != 1:
            raise SchedulerError("s_churn and s_noise do nothing here; set diffusion, e.g. 'kappa=0.5', in the config.")
        self._check_like(sample, model_output=model_output)
        k = self._init_step_index(timestep) if self._step_index is None else self._step_index
        if k >= len(self._times):
            raise SchedulerError(f"all {len(self._times)} steps are done; call set_timesteps to start anew.")
        if per_token_timesteps is not None:
            x = self._step_tokens(model_output, sample, per_token_timesteps)
        else:
            x = self._run_on(sample, k).step(k, model_output, sample, partial(self._noise, generator))
        self._step_index = k + 1
        x = x.to(model_output.dtype)
        return SchedulerOutput(prev_sample=x) if return_dict else (x,)

    def log_prob(self, model_output: Tensor, timestep: float | Tensor, sample: Tensor, prev_sample: Tensor) -> Tensor:
        """Return log p(prev_sample | sample) of the step at `timestep`, summed over each sample's components: (B,).

        The step is the Gaussian that `step` draws from; its mean moves with `model_output`, so gradients flow.
        `timestep` is a number or tensor, one or one for each sample. In float32, or float64 for float64 states; take
        `prev_sample` before it is rounded to a 16-bit dtype. A timestep that is not in the grid and a step without
        noise (the last, where it lands) raise SchedulerError; with timesteps on a GPU, for which nothing waits, the
        result is nan instead. Raises SchedulerError for a deterministic config, and for solvers that use more than one
        evaluation.
        """
        method = self._method
        if not (method.stochastic and method.one_step):
            raise SchedulerError(
                f"log_prob needs steps that are Gaussians by themselves; solver {method.solver!r} has none. "
                "Use solver='exact' or 'euler-maruyama' with diffusion='optimal' or 'kappa=K'."
            )
        check_timestep(timestep)
        self._check_like(sample, model_output=model_output, prev_sample=prev_sample)
        table, times = self._table_for(sample), torch.as_tensor(timestep).flatten()
        if times.device.type == "cpu":
            known = torch.tensor([self.index_for_timestep(t) for t in times])
            if bool((table.noise.cpu().flatten(1)[known] == 0).any()):
                raise SchedulerError(
                    "log_prob: the last step lands on the predicted data without noise and has no density; leave it "
                    "out of the sum, or set last='step'."
                )
            at, found = known.to(sample.device), torch.ones(1, dtype=torch.bool, device=sample.device)
        else:
            same = self.timesteps.to(times.device).to(times.dtype) == times[:, None]
            at, found = same.to(torch.uint8).argmax(-1), same.any(-1)
        value = log_density(table, at.expand(len(sample)), model_output, sample, prev_sample)
        return torch.where(found, value, torch.nan)

    def _init_step_index(self, timestep: float | Tensor) -> int:
        """Find the first evaluation of a run."""
        first = self.index_for_timestep(timestep) if self._begin_index is None else self._begin_index
        self._step_index, self._first, self._run = first, first, None
        return first

    def _run_on(self, sample: Tensor, k: int) -> Run:
        """The run in progress; the first call of one begins it."""
        if self._run is None:
            plan = self._plan_from(self._first, sample.shape[1:])
            self._run = Run(plan, self._first, sample, self._method.reference)
        if sample.shape != self._run.shape:
            raise SchedulerError(
                f"sample changed its shape from {tuple(self._run.shape)} to {tuple(sample.shape)} after "
                f"{k - self._first} steps; call set_timesteps to start anew."
            )
        return self._run

    def _plan_from(self, first: int, shape: tuple[int, ...] | None = None) -> Plan:
        """The plan of the grid from evaluation `first` on; the one made last is kept."""
        stages = self._method.stages
        if not 0 <= first < len(self._times) or first % stages:
            kind = f"a multiple of {stages} " if stages > 1 else ""
            raise SchedulerError(f"begin_index must be {kind}in 0..{len(self._times) - 1}; got {first}.")
        key = (first, shape if self._method.reference else None)
        if self._plan is None or self._plan[0] != key:
            self._plan = key, self._method.plan(self._taus[first // stages :], shape)
        return self._plan[1]

    def _table_for(self, sample: Tensor) -> StepTable:
        """The table of all steps of a one-step solver, beside `sample`."""
        key = (sample.shape[1:], working(sample), sample.device)
        if self._table is None or self._table[0] != key:
            method = self._method
            self._table = key, make_table(method.plan(self._taus, sample.shape[1:]), method.reference, sample)
        return self._table[1]

    def _step_tokens(self, model_output: Tensor, sample: Tensor, timesteps: Tensor) -> Tensor:
        """Each token's own step. As in diffusers, the model's output comes with its sign turned around."""
        method = self._method
        if method.solver != "euler" or method.reference or method.prediction != "velocity" or self.config.invert_sigmas:
            raise SchedulerError(
                "per_token_timesteps needs a config with solver='euler', diffusion='ode', no reference, a flow or "
                f"velocity prediction and invert_sigmas=False; this one has solver={method.solver!r}, "
                f"diffusion={str(method.diffusion)!r}."
            )
        if sample.ndim != 3 or timesteps.shape != sample.shape[:2]:
            raise SchedulerError(
                f"per_token_timesteps must be (B, T) for states (B, T, C); got {tuple(timesteps.shape)} and "
                f"{tuple(sample.shape)}."
            )
        sigma = timesteps.to(working(sample)) / self.config.num_train_timesteps
        return step_tokens(self._table_for(sample), self.sigmas.to(sigma), sigma, -model_output, sample, method.sign)

    def _noise(self, generator: torch.Generator | list[torch.Generator] | None, step: int, like: Tensor) -> Tensor:
        """Noise of the run's step `step`, from the generator or by the number of the step in the whole grid."""
        if generator is not None:
            drawn: Tensor = randn_tensor(like.shape, generator=generator, device=like.device, dtype=like.dtype)
            return drawn
        number = self._first // self._method.stages + step
        return standard_normal(self._run_seed, range(len(like)), number, like.shape[1:], like.device, like.dtype)

    def _check_like(self, sample: Tensor, **others: Tensor) -> None:
        """Refuse calls before set_timesteps, and tensors of another shape than the sample's."""
        if not self._taus:
            raise SchedulerError("this needs a grid; call scheduler.set_timesteps(steps) first.")
        for name, tensor in others.items():
            if tensor.shape != sample.shape:
                raise SchedulerError(
                    f"{name} must have the shape of sample, {tuple(sample.shape)}; got {tuple(tensor.shape)}."
                )

    def _set(self, sigmas: list[float], timesteps: list[float], device: str | torch.device | None) -> None:
        """Take the levels of the steps; the end of the last is data."""
        rising, stages, count = self.config.invert_sigmas, self._method.stages, len(sigmas)
        levels = [*sigmas, 1.0 if rising else 0.0]
        taus = levels if rising else [1 - s for s in levels]
        for k in range(count):
            if not 0 <= taus[k] < taus[k + 1]:
                raise SchedulerError(
                    f"sigmas must {'rise' if rising else 'fall'} inside [0, 1] after the config's shifts; "
                    f"sigmas[{k}] = {levels[k]:.6g}, then {levels[k + 1]:.6g}. Check shift, shift_terminal and mu."
                )
        at = [k + stage for k in range(count) for stage in range(stages)]
        told = [*timesteps, levels[-1] * self.config.num_train_timesteps]
        self._taus, self._levels = taus, [levels[k] for k in [*at, count]]
        found = torch.tensor([told[k] for k in at], dtype=torch.float32)
        self._times, self.timesteps = found.tolist(), found.to(device)
        self.sigmas = torch.tensor(self._levels, dtype=torch.float32).to(device)
        self.num_inference_steps = count
        self._forget()
        if self._method.reference is None:  # else the shape of a sample is needed
            self._plan_from(0)

    def _forget(self) -> None:
        """Be at no step."""
        self._step_index = self._begin_index = None
        self._first = 0
        self._plan = self._table = self._run = None
        self._run_seed = int(torch.randint(1 << 62, ())) if self._seed is None else self._seed


LazyFlowMatchScheduler.__module__ = "symsi.diffusers"  # where saved pipelines look for it

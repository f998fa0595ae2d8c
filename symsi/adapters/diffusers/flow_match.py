"""The scheduler of flow models: FlowMatchEulerDiscreteScheduler's interface, symsi's plans."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from diffusers.configuration_utils import register_to_config
from diffusers.schedulers.scheduling_utils import SchedulerOutput
from torch import Tensor

from symsi.adapters.diffusers.config import as_flow_config, check_settings, check_timesteps, fast_grid
from symsi.adapters.diffusers.driver import Driven, Generators
from symsi.adapters.diffusers.levels import (
    check_falling,
    check_grid,
    check_timestep,
    count_steps,
    evenly,
    index_of,
    numbers,
)
from symsi.adapters.diffusers.method import Method, make_method
from symsi.adapters.diffusers.planned import Planned, without_said
from symsi.adapters.diffusers.saving import Saved
from symsi.adapters.diffusers.table import step_tokens
from symsi.coefficients.runtime import working
from symsi.errors import SchedulerError, unknown
from symsi.solvers.plan import Plan
from symsi.theory.fields import PREDICTIONS

__all__ = ["LazyFlowMatchScheduler"]

_FLOW = "flow"


class LazyFlowMatchScheduler(Driven, Saved, FlowMatchEulerDiscreteScheduler):
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
    grid        a grid of symsi ("angle", "shifted(shift=2)", ...) or the schedule's times themselves, whatever the
                sigmas of a call: then only their number counts, for pipelines always pass some; or "sigmas": those of
                the call, or of the flow config, as FlowMatchEulerDiscreteScheduler takes them. None (default) is the
                fast one, "shifted" by the shift of the config or of `mu`, or by 2 if that is less; but "sigmas" with
                noise, whose last step should be small, for sigmas that are not evenly spaced, for spacings of the
                config that are more than a shift, and with schedule="linear", solver="euler"
    reference   Gaussian that the data resembles, whose steps are then exact (T12): its variance, or the file of one
                (`symsi calibrate`)
    prediction  "flow" (noise - data, what diffusers' models give), or velocity (data - noise), data, noise, score
    seed        of the noise of step k + 1 of sample i in a batch, by (seed, i, k + 1), where `step` gets no generator:
                the same in every run; None (default) draws one from torch's generator in each run that adds noise
    use_flow_sigmas  read by pipelines: true makes some of them leave sigmas to the scheduler
    plan        a solver fitted to the network (`symsi calibrate solver`, `symsi.fit_solver`), or any `symsi.Plan`, or
                the file of one, in place of the first five and reference: its evaluations are the steps that a pipeline
                must be asked for, from pure noise, whatever the sigmas of the call

    The other arguments are FlowMatchEulerDiscreteScheduler's. `invert_sigmas` says that sigma runs from 0 (noise) to 1.
    Raises SchedulerError, UnknownNameError or SymsiError for what does not fit.
    """

    sigmas: Tensor
    timesteps: Tensor
    num_inference_steps: int | None

    _compatibles = ["FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler"]  # noqa: RUF012 - diffusers' way

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
        grid: str | Sequence[float] | None = None,
        reference: str | float | None = None,
        prediction: str = "flow",
        seed: int | None = None,
        use_flow_sigmas: bool = False,
        plan: str | Path | Mapping[str, Any] | Plan | None = None,
    ) -> None:
        check_timesteps(num_train_timesteps)
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
        if prediction not in (_FLOW, *PREDICTIONS):
            raise unknown("prediction", prediction, (_FLOW, *PREDICTIONS))
        kind = "velocity" if prediction == _FLOW else prediction
        falling = prediction == _FLOW and not invert_sigmas  # there d/dsigma is minus the velocity
        factor = -1.0 if falling else 1.0
        method: Method
        if plan is None:
            check_grid(grid)
            method = make_method(schedule, diffusion, solver, last, kind, reference, factor=factor)
        else:
            said = {"schedule": schedule, "diffusion": diffusion, "solver": solver, "last": last, "grid": grid}
            method = self._planned(plan, kind, **said, reference=reference, factor=factor)
        self.num_inference_steps = None
        self._drive(method, seed, plan)
        self._driver.times = self.timesteps.tolist()
        self._levels: list[float] = self.sigmas.tolist()  # share of noise at each evaluation, then at the end

    @classmethod
    def from_config(cls, config: Any = None, return_unused_kwargs: bool = False, **kwargs: Any) -> Any:
        """Make a scheduler from the config of a flow scheduler; keywords take precedence.

        Raises SchedulerError for the config of another kind of model, and UnknownNameError for a keyword that is no
        setting, unless those are asked back.
        """
        if "flow_shift" in kwargs:  # the name of it in UniPC's and DPM-Solver's configs
            kwargs["shift"] = kwargs.pop("flow_shift")
        if not return_unused_kwargs:
            check_settings(cls, kwargs)
        given = without_said(as_flow_config(config, kwargs.get("shift")), kwargs)
        return super().from_config(given, return_unused_kwargs=return_unused_kwargs, **kwargs)

    @property
    def order(self) -> int:
        """Evaluations a step, by which pipelines count progress."""
        return self._driver.method.stages

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
        are and fix the sigmas, or with `sigmas` what the network is told; where the config names another grid, or
        none and they are evenly spaced, sigmas count by their number only. Nothing changes where it is refused. Raises
        SchedulerError for steps < 1, arguments that disagree, levels that do not fall inside (0, 1], or a missing `mu`.
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
        planned = isinstance(self._driver.method, Planned)
        if told is not None and given is None and not planned:
            levels = torch.tensor(told, dtype=torch.float64).div(whole).float()
            self._set(levels.tolist(), told, device)
        elif planned or (grid := self._grid(given, told, mu)) != "sigmas":
            self._check_whole(given, told)
            taus = torch.tensor(self._driver.method.taus("" if planned else grid, count)[:-1], dtype=torch.float64)
            levels = (taus if self.config.invert_sigmas else 1 - taus).float()
            self._set(levels.tolist(), (levels * whole).tolist(), device, taus.tolist())
        else:
            if self.config.use_dynamic_shifting and mu is None:
                raise SchedulerError(
                    "mu must be given: the config has use_dynamic_shifting=True, which shifts by the image's size. "
                    "Pass mu, or use_dynamic_shifting=False with a fixed shift."
                )
            before = self.sigmas, self.timesteps, self.num_inference_steps, self._step_index
            super().set_timesteps(count, None, given, mu, told)
            found = self.sigmas[:-1].tolist(), self.timesteps.tolist()
            self.sigmas, self.timesteps, self.num_inference_steps, self._driver.step_index = before
            self._set(*found, device)

    def _grid(
        self, sigmas: Sequence[float] | None, timesteps: Sequence[float] | None, mu: float | None
    ) -> str | Sequence[float]:
        """The config's grid; by default a fast one, unless somebody asks for others or for diffusers' own steps."""
        config, method = self.config, self._driver.method
        if config.grid is not None:
            own: str | Sequence[float] = config.grid
            return own
        theirs = method.solver == "euler" and config.schedule == "linear"
        if theirs or method.stochastic or timesteps is not None or not (sigmas is None or evenly(sigmas)):
            return "sigmas"
        if not config.use_dynamic_shifting:
            return fast_grid(config, self.shift)
        if mu is None:
            return "sigmas"  # which says that mu is needed
        return fast_grid(config, mu if config.time_shift_type == "linear" else math.exp(mu))

    def _check_whole(self, sigmas: Sequence[float] | None, timesteps: Sequence[float] | None) -> None:
        """Refuse what a plan or a grid of the config's would overrule: a start that is not at noise, timesteps."""
        planned = isinstance(self._driver.method, Planned)
        what = "the config's plan" if planned else f"the config's grid = {self.config.grid!r}"
        instead = "set plan=None" if planned else "set grid='sigmas'"
        if sigmas is not None and sigmas[0] != 1:
            raise SchedulerError(
                f"sigmas start at {sigmas[0]:.6g}, but {what} starts in pure noise; {instead} to have them."
            )
        if timesteps is not None:
            beside = " beside sigmas" if sigmas is not None else ""
            raise SchedulerError(f"timesteps{beside} do not go with {what}; {instead} to have them.")

    def scale_noise(self, sample: Tensor, timestep: float | Tensor, noise: Tensor | None = None) -> Tensor:
        """Return sigma noise + (1 - sigma) sample, in the dtype of `sample`, sigma being the share of noise.

        It is that of the next evaluation where the begin index was set, as inpainting wants; else that of `timestep`,
        one number or one for each sample. Raises SchedulerError for a timestep that is not in the grid, or without
        noise of the shape of `sample`, or one that broadcasts to it.
        """
        try:
            noise = torch.broadcast_to(noise, sample.shape)  # type: ignore[arg-type]
        except (TypeError, RuntimeError):
            got = tuple(noise.shape) if isinstance(noise, Tensor) else type(noise).__name__
            raise SchedulerError(f"noise must have the shape of sample, {tuple(sample.shape)}; got {got}.") from None
        if self.begin_index is not None:
            at = [self.begin_index if self.step_index is None else self.step_index]
        else:
            at = [index_of(t, self._driver.times) for t in torch.as_tensor(timestep).flatten()]
        levels = [self._levels[k] for k in at]
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
        generator: Generators = None,
        per_token_timesteps: Tensor | None = None,
        return_dict: bool = True,
    ) -> SchedulerOutput | tuple[Tensor]:
        """Return the state after the next step, in the dtype of `model_output`; float32 (or float64) inside.

        With `per_token_timesteps`, (B, T) or what broadcasts to it, it stays float32, as in diffusers. `timestep` is
        looked at in the first step only, if no begin index was set: later ones are counted, on the host. Where the step
        adds noise it comes from `generator`, or else from the seed. Raises SchedulerError before `set_timesteps`, after
        the last step, for an integer or unknown timestep, for sizes that differ or change, and for settings (`s_churn`,
        `s_noise`) that the config's `diffusion` replaces.
        """
        check_timestep(timestep)
        if s_churn != 0 or s_noise != 1:
            raise SchedulerError("s_churn and s_noise do nothing here; set diffusion, e.g. 'kappa=0.5', in the config.")
        if per_token_timesteps is None:
            x = self._driver.step(model_output, timestep, sample, generator)
        else:
            x = self._step_tokens(model_output, timestep, sample, per_token_timesteps)
        return SchedulerOutput(prev_sample=x) if return_dict else (x,)

    def log_prob(self, model_output: Tensor, timestep: float | Tensor, sample: Tensor, prev_sample: Tensor) -> Tensor:
        """As `Driven.log_prob`; an integer timestep, which is an index, is refused."""
        check_timestep(timestep)
        return super().log_prob(model_output, timestep, sample, prev_sample)

    def _step_tokens(self, model_output: Tensor, timestep: float | Tensor, sample: Tensor, tokens: Tensor) -> Tensor:
        """Each token's own step. As in diffusers, the model's output comes with its sign turned around."""
        driver, method = self._driver, self._driver.method
        driver.check_like(sample, model_output=model_output)
        if method.solver != "euler" or method.reference or method.prediction != "velocity" or self.config.invert_sigmas:
            raise SchedulerError(
                "per_token_timesteps needs a config with solver='euler', diffusion='ode', no reference, a flow or "
                f"velocity prediction and invert_sigmas=False; this one has solver={method.solver!r}, "
                f"diffusion={str(method.diffusion)!r}."
            )
        if (
            sample.ndim != 3
            or tokens.ndim != 2
            or any(n not in (1, m) for n, m in zip(tokens.shape, sample.shape, strict=False))
        ):
            raise SchedulerError(
                f"per_token_timesteps must be (B, T) for states (B, T, C); got {tuple(tokens.shape)} and "
                f"{tuple(sample.shape)}."
            )
        tokens = tokens.expand(sample.shape[:2])
        k = driver.start(timestep)
        sigma = tokens.to(working(sample)) / self.config.num_train_timesteps
        x = step_tokens(driver.table(sample), self.sigmas.to(sigma), sigma, -model_output, sample, method.factor)
        driver.step_index = k + 1
        return x

    def _set(
        self,
        sigmas: list[float],
        timesteps: list[float],
        device: str | torch.device | None,
        exact: list[float] | None = None,
    ) -> None:
        """Take the levels of the steps; the end of the last is data. `exact` are their model times, before rounding."""
        rising, stages, count = self.config.invert_sigmas, self._driver.method.stages, len(sigmas)
        levels = [*sigmas, 1.0 if rising else 0.0]
        taus = [*exact, 1.0] if exact else levels if rising else [1 - s for s in levels]
        again = isinstance(self._driver.method, Planned)  # two evaluations of a plan may be at one time
        for k in range(count):
            if not (0 <= taus[k] < taus[k + 1] or (again and taus[k] == taus[k + 1])):
                raise SchedulerError(
                    f"sigmas must {'rise' if rising else 'fall'} inside [0, 1] after the config's shifts; "
                    f"sigmas[{k}] = {levels[k]:.6g}, then {levels[k + 1]:.6g}. Check shift, shift_terminal and mu."
                )
        at = [k + stage for k in range(count) for stage in range(stages)]
        told = [*timesteps, levels[-1] * self.config.num_train_timesteps]
        found = torch.tensor([told[k] for k in at], dtype=torch.float32)
        self._driver.reset(taus, found.tolist())
        reached = [levels[k] for k in [*at, count]]
        self._levels = [1 - s if rising else s for s in reached]
        if isinstance(self._driver.method, Planned):
            self._levels[0] = 1.0  # a plan starts from noise, whatever its network is told
        self.timesteps = found.to(device)
        self.sigmas = torch.tensor(reached, dtype=torch.float32).to(device)
        self.num_inference_steps = count


LazyFlowMatchScheduler.__module__ = "symsi.diffusers"  # where saved pipelines look for it

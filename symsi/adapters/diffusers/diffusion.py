"""The scheduler of variance-preserving diffusion models: DDIMScheduler's interface, symsi's plans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import DDIMScheduler
from diffusers.configuration_utils import register_to_config
from diffusers.schedulers.scheduling_utils import SchedulerOutput
from torch import Tensor

from symsi.adapters.diffusers.config import as_diffusion_config, check_settings, check_timesteps
from symsi.adapters.diffusers.driver import Driven, Generators
from symsi.adapters.diffusers.levels import check_grid, count_steps, numbers
from symsi.adapters.diffusers.method import Method, make_method
from symsi.adapters.diffusers.planned import Planned, without_said
from symsi.adapters.diffusers.saving import Saved
from symsi.algebra.symbols import t
from symsi.errors import SchedulerError, unknown
from symsi.interpolants.named import schedule as named
from symsi.solvers.grids import carry
from symsi.solvers.plan import Plan

__all__ = ["LazyDiffusionScheduler"]

_BASE = "trigonometric"
_PREDICTIONS = {"epsilon": "noise", "sample": "data", "v_prediction": "velocity"}  # of that schedule, but for a factor


class LazyDiffusionScheduler(Driven, Saved, DDIMScheduler):
    """Sample a diffusion model (SD 1.5, SDXL, ...) under another schedule and diffusion, by T1 and T4.

    `pipe.scheduler = LazyDiffusionScheduler.from_config(pipe.scheduler.config)`. Whatever its betas, a
    variance-preserving model is the trigonometric schedule where its beta is sqrt(alphas_cumprod), so that the state
    x = sqrt(1 - alphas_cumprod) Z + sqrt(alphas_cumprod) X stays what pipelines hold. The last step ends at data,
    alphas_cumprod = 1.

    grid        "timesteps": spaced as timestep_spacing says, where with few steps "trailing" is right ("leading" starts
                at timesteps that still show data); or a grid of symsi ("angle", "log-snr", ...) or the schedule's times
                themselves, at whose points the nearest timesteps are taken
    plan        as LazyFlowMatchScheduler's; its evaluations are at the nearest timesteps

    schedule, diffusion, solver, last, reference and seed are LazyFlowMatchScheduler's (heun, which evaluates at data,
    aside); the other arguments DDIMScheduler's. Raises SchedulerError, UnknownNameError or SymsiError for what does not
    fit.
    """

    timesteps: Tensor
    num_inference_steps: int | None

    _compatibles = [name for name in DDIMScheduler._compatibles if name != "EDMEulerScheduler"]  # noqa: RUF012

    @register_to_config
    def __init__(
        self,
        num_train_timesteps: int = 1000,
        beta_start: float = 0.0001,
        beta_end: float = 0.02,
        beta_schedule: str = "linear",
        trained_betas: Sequence[float] | None = None,
        steps_offset: int = 0,
        prediction_type: str = "epsilon",
        timestep_spacing: str = "leading",
        rescale_betas_zero_snr: bool = False,
        schedule: str = "trigonometric",
        diffusion: str = "ode",
        solver: str | None = None,
        last: str | None = None,
        grid: str | Sequence[float] = "timesteps",
        reference: str | float | None = None,
        seed: int | None = None,
        plan: str | Path | Mapping[str, Any] | Plan | None = None,
    ) -> None:
        check_timesteps(num_train_timesteps)
        if prediction_type not in _PREDICTIONS:
            raise unknown("prediction_type", prediction_type, _PREDICTIONS)
        make = DDIMScheduler.__init__.__wrapped__  # DDIM's own settings stay unsaid
        make(
            self,
            num_train_timesteps=num_train_timesteps,
            beta_start=beta_start,
            beta_end=beta_end,
            beta_schedule=beta_schedule,
            trained_betas=trained_betas,
            clip_sample=False,
            steps_offset=steps_offset,
            prediction_type=prediction_type,
            timestep_spacing=timestep_spacing,
            rescale_betas_zero_snr=rescale_betas_zero_snr,
        )
        kind, factor = _PREDICTIONS[prediction_type], _velocity_over_v() if prediction_type == "v_prediction" else 1.0
        method: Method
        if plan is None:
            check_grid(grid)
            method = make_method(schedule, diffusion, solver, last, kind, reference, base=_BASE, factor=factor)
            if method.stages > 1:
                raise SchedulerError(f"solver {solver!r} evaluates at pure data, where no timestep is; use ab2.")
        else:
            said = {"schedule": schedule, "diffusion": diffusion, "solver": solver, "last": last, "grid": grid}
            method = self._planned(plan, kind, **said, reference=reference, base=_BASE, factor=factor)
        self._drive(method, seed, plan)

    @classmethod
    def from_config(cls, config: Any = None, return_unused_kwargs: bool = False, **kwargs: Any) -> Any:
        """Make a scheduler from the config of a diffusion model's scheduler; keywords take precedence.

        Raises SchedulerError for the config of another kind of model, and UnknownNameError for a keyword that is no
        setting, unless those are asked back.
        """
        if not return_unused_kwargs:
            check_settings(cls, kwargs)
        given = without_said(as_diffusion_config(config), kwargs)
        return super().from_config(given, return_unused_kwargs=return_unused_kwargs, **kwargs)

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: str | torch.device | None = None,
        timesteps: Sequence[int] | Tensor | None = None,
    ) -> None:
        """Set the timesteps, placed as the config says or as they are given, and tabulate the steps between them.

        Raises SchedulerError for steps < 1, timesteps that do not fall inside [0, num_train_timesteps), and a grid that
        is finer than the model's timesteps.
        """
        told = None if timesteps is None else numbers("timesteps", timesteps)
        count = count_steps(num_inference_steps, None, told)
        planned = isinstance(self._driver.method, Planned)
        if told is not None and planned:
            raise SchedulerError("timesteps do not go with the config's plan; set plan=None to have them.")
        if told is None:
            spaced = self.config.grid == "timesteps" and not planned
            told = self._spaced(count) if spaced else self._nearest(count)
        for k, value in enumerate(told):
            if value != value // 1 or not 0 <= value < self.config.num_train_timesteps:
                raise SchedulerError(
                    f"timesteps must be integers from 0 to {self.config.num_train_timesteps - 1}; "
                    f"timesteps[{k}] = {value:g}."
                )
            if k and value >= told[k - 1]:
                raise SchedulerError(f"timesteps must fall; timesteps[{k}] = {value:g} follows {told[k - 1]:g}.")
        taus = self._taus([int(t) for t in told])
        if taus[0] == 0 and self.config.prediction_type == "epsilon":
            raise SchedulerError(
                f"timestep {told[0]:g} is pure noise (alphas_cumprod = 0), where epsilon says nothing about the data: "
                "set prediction_type='v_prediction' if it is one, or rescale_betas_zero_snr=False."
            )
        self._driver.reset([*taus, 1.0], told)
        self.timesteps = torch.tensor([int(t) for t in told], device=device)
        self.num_inference_steps = count

    def step(
        self,
        model_output: Tensor,
        timestep: int | Tensor,
        sample: Tensor,
        eta: float = 0.0,
        use_clipped_model_output: bool = False,
        generator: Generators = None,
        variance_noise: Tensor | None = None,
        return_dict: bool = True,
    ) -> SchedulerOutput | tuple[Tensor]:
        """Return the state after the next step, in the dtype of `model_output`; float32 (or float64) inside.

        As `LazyFlowMatchScheduler.step`. Raises SchedulerError for DDIM's settings that the config's `diffusion`
        replaces (`eta`, `variance_noise`), and for `use_clipped_model_output`, which this step has none of.
        """
        if eta != 0 or use_clipped_model_output or variance_noise is not None:
            raise SchedulerError(
                "eta, use_clipped_model_output and variance_noise do nothing here; set diffusion, e.g. 'optimal', in "
                "the config, and pass generator."
            )
        x = self._driver.step(model_output, timestep, sample, generator)
        return SchedulerOutput(prev_sample=x) if return_dict else (x,)

    def add_noise(self, original_samples: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """Return sqrt(1 - alphas_cumprod) noise + sqrt(alphas_cumprod) original_samples at `timesteps`.

        At the first timestep of a plan that was set it is the noise: a plan starts from there, whatever its network is
        told.
        """
        mixed: Tensor = super().add_noise(original_samples, noise, timesteps)
        if self.num_inference_steps is None or not isinstance(self._driver.method, Planned):
            return mixed
        first = timesteps.to(mixed.device).reshape(-1, *(1,) * (mixed.ndim - 1)) == self.timesteps[0].item()
        return torch.where(first, noise.to(mixed), mixed)

    def _taus(self, timesteps: Sequence[int]) -> list[float]:
        """The model's times, those of the trigonometric schedule, at falling timesteps."""
        signal = self.alphas_cumprod.cpu().double()[list(timesteps)].sqrt()
        return carry(named("vp"), self._driver.method.base, signal.tolist())

    def _spaced(self, count: int) -> list[float]:
        """The timesteps that DDIMScheduler takes, by the config's timestep_spacing."""
        before = self.timesteps, self.num_inference_steps
        super().set_timesteps(count)
        told = numbers("timesteps", self.timesteps)
        self.timesteps, self.num_inference_steps = before
        return told

    def _nearest(self, count: int) -> list[float]:
        """The timesteps nearest to the points of the config's grid, the last of which is data."""
        method = self._driver.method
        grid = self.config.grid
        points = torch.tensor(method.taus(grid, count)[:-1], dtype=torch.float64)
        falling = list(range(self.config.num_train_timesteps))[::-1]
        known = torch.tensor(self._taus(falling), dtype=torch.float64)
        found = [float(falling[int((known - point).abs().argmin())]) for point in points]
        for k in range(1, count):
            if found[k] >= found[k - 1]:
                what = "the plan" if isinstance(method, Planned) else f"grid {grid!r}"
                raise SchedulerError(
                    f"{what} with {count} steps is finer than the model's timesteps: two of its points are "
                    f"nearest to timestep {found[k]:g}. Take fewer steps, or another grid."
                )
        return found


def _velocity_over_v() -> float:
    """alpha'/beta: the velocity alpha' Z + beta' X over diffusers' v = beta Z - alpha X, where alpha^2 + beta^2 = 1."""
    base = named(_BASE)
    return float(base.alpha.diff(t) / base.beta)


LazyDiffusionScheduler.__module__ = "symsi.diffusers"  # where saved pipelines look for it

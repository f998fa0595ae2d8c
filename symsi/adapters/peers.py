"""diffusers' own schedulers on a symsi model of the linear schedule, for comparisons at equal evaluations.

diffusers writes x_sigma = (1 - sigma) X + sigma Z and asks for the flow Z - X: its sigma is our 1 - t, its flow is -v.
A row of `PEERS` is a scheduler with its settings. Where it names no grid the scheduler's own is kept, and that one need
not start at sigma = 1; the state starts from pure noise all the same, as it does in diffusers' pipelines for flow
models. Two consequences of "as shipped": FlowMatchEuler and FlowMatchHeun spend their last evaluation at sigma = 0.001;
DEIS has no step to 0 and stops at its last sigma, 0.999 / N. The NSR grid starts at sigma = 20/21 and its last step is
a jump from 1/11 to the predicted data: more steps do not remove what these two cost.

All of it is deterministic. The schedulers hold sigma in float32, and most of them step in float32 too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from symsi.errors import SymsiError, unknown
from symsi.interpolants.named import as_schedule, schedule
from symsi.models.protocol import Model, as_model

__all__ = ["PEERS", "Peer", "PeerResult", "sample_peer"]

_NSR_START, _NSR_END = 20.0, 0.1  # sigma / (1 - sigma) at the first and the last evaluation of the NSR grid
_TRAIN_STEPS = 1000  # diffusers' timestep of sigma = 1


@dataclass(frozen=True)
class Peer:
    """A scheduler of diffusers by class name, its settings, what N steps cost, and the grid put in place of its own.

    N steps cost per_step N - saved evaluations. `grid(N)` lists sigma at the N evaluations, falling; 0 follows.
    """

    name: str
    scheduler: str
    config: Mapping[str, Any] = field(default_factory=dict)
    per_step: int = 1
    saved: int = 0
    grid: Callable[[int], list[float]] | None = None

    def steps_for(self, nfe: int) -> int | None:
        """Return the number of steps that cost `nfe` evaluations, None where no number does."""
        steps, rest = divmod(nfe + self.saved, self.per_step)
        return steps if steps > 0 and rest == 0 else None


@dataclass(frozen=True)
class PeerResult:
    """Samples, and the evaluations that each of them cost, as counted at the model."""

    x: Tensor
    nfe: int


def _even_grid(steps: int) -> list[float]:
    """Sigma at 1, 1 - 1/N, ..., 1/N: equal steps down to 0, the grid that the Flux pipeline passes."""
    return [1 - k / steps for k in range(steps)]


def _nsr_grid(steps: int) -> list[float]:
    """Sigma at noise-to-signal ratios r = sigma / (1 - sigma) in geometric progression from 20 to 0.1."""
    ratios = [_NSR_START * (_NSR_END / _NSR_START) ** (k / max(steps - 1, 1)) for k in range(steps)]
    return [r / (1 + r) for r in ratios]


_FLOW = {"use_flow_sigmas": True, "prediction_type": "flow_prediction", "flow_shift": 1.0}
_DPM = {**_FLOW, "algorithm_type": "dpmsolver++", "solver_order": 2}

PEERS: Mapping[str, Peer] = {
    peer.name: peer
    for peer in (
        Peer("FlowMatchEuler", "FlowMatchEulerDiscreteScheduler", {"shift": 1.0}),
        Peer("FlowMatchEuler, even grid", "FlowMatchEulerDiscreteScheduler", {"shift": 1.0}, grid=_even_grid),
        Peer("FlowMatchHeun", "FlowMatchHeunDiscreteScheduler", {"shift": 1.0}, per_step=2, saved=1),
        Peer("DPM-Solver++(2M)", "DPMSolverMultistepScheduler", _DPM),
        Peer("DPM-Solver++(2M), NSR grid", "DPMSolverMultistepScheduler", _DPM, grid=_nsr_grid),
        Peer("DPM-Solver++(2M), shift 2", "DPMSolverMultistepScheduler", {**_DPM, "flow_shift": 2.0}),
        Peer("DPM-Solver++(2M), shift 4", "DPMSolverMultistepScheduler", {**_DPM, "flow_shift": 4.0}),
        Peer("UniPC", "UniPCMultistepScheduler", _FLOW),
        Peer("UniPC, shift 2", "UniPCMultistepScheduler", {**_FLOW, "flow_shift": 2.0}),
        Peer("UniPC, shift 4", "UniPCMultistepScheduler", {**_FLOW, "flow_shift": 4.0}),
        Peer("UniPC, NSR grid", "UniPCMultistepScheduler", _FLOW, grid=_nsr_grid),
        Peer("DEIS", "DEISMultistepScheduler", _FLOW),
    )
}


@torch.no_grad()
def sample_peer(name: str, model: Model | Callable[..., Tensor], z: Tensor, nfe: int, **conditions: Any) -> PeerResult:
    """Return what the scheduler `name` makes of the noise z of shape (B, *shape) in `nfe` evaluations of the model.

    The model is called at t = 1 - sigma of the scheduler's exact sigma, never at its rounded timestep. Raises
    UnknownNameError for a name that is not in `PEERS`, SymsiError for another schedule or prediction than the linear
    velocity, for evaluations that the scheduler cannot meet, and where diffusers is missing.
    """
    if name not in PEERS:
        raise unknown("peer", name, PEERS)
    peer, model = PEERS[name], _linear_velocity(as_model(model))
    steps = _steps(peer, nfe)
    _check_noise(z)
    scheduler = _scheduler(peer, steps)
    rows, x = 0, z
    time_dtype = torch.promote_types(z.dtype, torch.float32)
    for sigma, timestep in zip(scheduler.sigmas[:-1].tolist(), scheduler.timesteps, strict=True):
        t = torch.full(z.shape[:1], 1 - sigma, dtype=time_dtype, device=z.device)
        velocity = model(x, t, **conditions)
        rows += len(t)
        x = scheduler.step(-velocity, timestep, x, return_dict=False)[0]
    if rows != nfe * len(z):
        raise SymsiError(f"{name} was to cost {nfe} evaluations a sample; this diffusers took {rows / len(z):g}.")
    return PeerResult(x, rows // len(z))


def _scheduler(peer: Peer, steps: int) -> Any:
    """Return a fresh scheduler at the start of `steps` steps; sigmas[k] is where its k-th evaluation belongs."""
    scheduler = getattr(_diffusers(), peer.scheduler)(**peer.config)
    scheduler.set_timesteps(steps)
    if peer.grid is not None:
        scheduler.sigmas = torch.tensor([*peer.grid(steps), 0.0])
        scheduler.timesteps = _TRAIN_STEPS * scheduler.sigmas[:-1]
    scheduler.set_begin_index(0)  # steps are counted from here on, so rounded timesteps cannot be confused
    return scheduler


def _diffusers() -> Any:
    try:
        return import_module("diffusers")
    except ImportError as error:
        raise SymsiError('the peers are schedulers of diffusers; pip install "symsi[bench]".') from error


def _linear_velocity(model: Model) -> Model:
    given = as_schedule(model.schedule)
    if given != schedule("linear") or model.prediction != "velocity":
        raise SymsiError(
            f"diffusers' flow schedulers know the velocity of the linear schedule alone; model {model.name!r} predicts "
            f"{model.prediction} on {given}. Use a model with schedule='linear', prediction='velocity'."
        )
    return model


def _steps(peer: Peer, nfe: int) -> int:
    steps = peer.steps_for(nfe)
    if steps is None:
        near = [n for n in (nfe - 1, nfe + 1) if peer.steps_for(n)]
        cost = "N" if peer.per_step == 1 else f"{peer.per_step}N - {peer.saved}"
        hint = f" Ask for {' or '.join(map(str, near))}." if near else " Ask for at least 1."
        raise SymsiError(f"N steps of {peer.name} cost {cost} evaluations, never {nfe}.{hint}")
    return steps


def _check_noise(z: Tensor) -> None:
    if z.dim() < 2 or len(z) == 0 or not z.is_floating_point():
        raise SymsiError(f"z is noise of shape (B, *shape), floating point; got {z.dtype} of shape {tuple(z.shape)}.")

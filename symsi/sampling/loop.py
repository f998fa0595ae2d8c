"""The one loop: evaluate the model, take the plan's next step in place."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence
from contextlib import closing

import torch
from torch import Tensor

from symsi.errors import ModelError
from symsi.sampling.drawing import Noise
from symsi.sampling.moves import Memory, advance, check_modes, moves
from symsi.sampling.predictions import check_form, not_finite, where
from symsi.solvers.plan import Plan
from symsi.solvers.stage import Stage

__all__ = ["run"]

Predict = Callable[..., Sequence[Tensor]]


@torch.no_grad()
def run(
    plan: Plan,
    predict: Predict,
    z: Tensor,
    noise: Noise,
    *,
    dtype: torch.dtype,
    record: Callable[[int, Tensor], None] | None = None,
    tick: Callable[[], object] | None = None,
) -> Tensor:
    """Carry unit noise z, of shape (B, *shape), through the plan; return the last state in model coordinates.

    z itself is overwritten; `noise` is that of the plan, of which step 0 may have been taken, and is closed.

    `predict(asks, x, t)` returns a tensor for each name that the stage asks for. It gets x in `dtype`, whose memory is
    used again after the call, and t of shape (B,) in the dtype of z, which is float32 or float64; for a stage of a
    flow map its second time follows. `record(k, x)` is called at the start and after each step with x in model
    coordinates, `tick()` after each evaluation. Raises ModelError for a prediction of another shape or device, that is
    not floating point or not finite, for finite predictions that a state cannot hold, and for a model that writes into
    its input (through `.data` or numpy, which torch does not see: in the first evaluation); on a GPU nan and inf are
    found after the loop, which never waits for the device.
    """
    shape = tuple(z.shape[1:])
    check_modes(plan, shape)
    todo = moves(plan, z)
    times, count = [float(stage.time) for stage in plan.stages], len(z)
    watch = _Watch(z.device, noise.samples)
    reference = todo[0].reference
    ahead: tuple[Tensor | None, ...] = ()
    beta = plan.beta

    def whole(mean: float | Tensor) -> Tensor:
        return z if reference is None else reference.inverse(z, shape) + mean * reference.mean

    if reference is not None:
        z = reference.forward(z)
    z.mul_(plan.start.to(z) if isinstance(plan.start, Tensor) else plan.start)
    if record:
        record(0, whole(beta[0]))
    with closing(noise):
        for k, (stage, move) in enumerate(zip(plan.stages, todo, strict=True)):
            ends = k + 1 == len(todo) or plan.stages[k + 1].step > stage.step
            if stage.noisy:
                noise.begin()
            ours = [z, *(held for held in ahead if held is not None)]  # an earlier x may be one of them by now
            x = whole(stage.mean).to(dtype)
            seen = _Seen(ours, bits=k == 0 and x is z)
            told = () if stage.until is None else (z.new_full((count,), float(stage.until)),)
            said = predict(tuple(stage.asks), x, z.new_full((count,), times[k]), *told)
            if seen.changed():
                raise ModelError(
                    f"the model wrote into its input x {where(stage.time, stage.step)}; it must leave it as it is."
                )
            for answer in said:
                check_form(answer, (count, *shape), z.device, stage.time, stage.step)
            said = [_apart(answer, ours) for answer in said]
            given = said if reference is None else [reference.forward(answer.to(z.dtype)) for answer in said]
            z, ahead = advance(move, z, given, ahead, noise.take() if stage.noisy else None, Memory.ALL)
            watch.look(stage, z, said)
            if ends and record:
                record(stage.step, whole(beta[stage.step]))
            if tick:
                tick()
    watch.report()
    return whole(beta[-1])


def _apart(answer: Tensor, ours: Sequence[Tensor]) -> Tensor:
    """An answer in memory that is none of ours, which the step may write into."""
    place = answer.untyped_storage().data_ptr()
    return answer.clone() if any(held.untyped_storage().data_ptr() == place for held in ours) else answer


class _Seen:
    """What the model must not change: versions of tensors; with `bits` a checksum of the first, whoever writes."""

    def __init__(self, tensors: Sequence[Tensor], *, bits: bool) -> None:
        self.tensors, self.bits = tensors, bits and tensors[0].device.type == "cpu"
        self.found = self._look()

    def changed(self) -> bool:
        """Whether anything was written; writes through `.data` or numpy leave versions alone and change bits."""
        return self._look() != self.found

    def _look(self) -> tuple[list[int], int]:
        versions = [v._version for v in self.tensors]
        return versions, zlib.crc32(self.tensors[0].numpy().ravel("K").data) if self.bits else 0


class _Watch:
    """Finds states that are not finite: on a CPU at each step, elsewhere at the end, without waiting before."""

    def __init__(self, device: torch.device, samples: Sequence[int]) -> None:
        self.waits, self.samples = device.type != "cpu", samples
        self.flags: list[tuple[Stage, Tensor, Tensor]] = []

    def look(self, stage: Stage, z: Tensor, predictions: Sequence[Tensor]) -> None:
        """Look at the state after a stage, which a prediction that is not finite has reached. Raises ModelError."""
        if self.waits:
            finite = torch.stack([torch.isfinite(p).all() for p in predictions]).all()
            self.flags.append((stage, finite, _finite_rows(z)))
        elif not math.isfinite(z.sum(dtype=torch.float32)) and not torch.isfinite(z).all():
            # one reduction where all is well; a sum that overflows is looked at number by number
            finite = torch.stack([torch.isfinite(p).all() for p in predictions]).all()
            raise self._error(stage, finite, _finite_rows(z))

    def report(self) -> None:
        """Raise ModelError for the first stage whose state was not finite."""
        for stage, prediction, state in self.flags:
            if not prediction or not state.all():
                raise self._error(stage, prediction, state)

    def _error(self, stage: Stage, finite: Tensor, rows: Tensor) -> ModelError:
        wrong = [self.samples[k] for k in (~rows).nonzero().flatten().tolist()]
        return not_finite(stage.time, stage.step, finite=bool(finite), samples=wrong)


def _finite_rows(z: Tensor) -> Tensor:
    """Whether each sample is finite, (B,)."""
    return torch.isfinite(z).flatten(1).all(1)

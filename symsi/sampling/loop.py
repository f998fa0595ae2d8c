"""The one loop: evaluate the model, advance the state by the plan's next row, in place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from symsi.errors import ModelError
from symsi.models.reference import Reference
from symsi.sampling.moves import add, advance, moves
from symsi.sampling.noise import standard_normal
from symsi.solvers.plan import Plan, Row

__all__ = ["run"]

Predict = Callable[[Tensor, Tensor], Tensor]


@torch.no_grad()
def run(
    plan: Plan,
    predict: Predict,
    z: Tensor,
    *,
    seed: int,
    samples: Sequence[int],
    dtype: torch.dtype,
    reference: Reference | None = None,
    noise: Tensor | None = None,
    record: Callable[[int, Tensor], None] | None = None,
    tick: Callable[[], None] | None = None,
) -> Tensor:
    """Carry unit noise z, of shape (B, *shape), through the plan; return the last state in model coordinates.

    z itself is overwritten.

    `predict(x, t)` gets x in `dtype`, whose memory is used again after the call, and t of shape (B,) in the dtype of z,
    which is float32 or float64. The noise of step k is `noise[k - 1]`, (B, *shape), where given, else the stream of
    (seed, sample, k). `record(k, x)` is called at the start and after each step with x in model coordinates, `tick()`
    after each evaluation. Raises ModelError for a prediction of another shape or device, that is not floating point or
    not finite, and for a model that writes into its input; on a GPU nan and inf are found after the loop, which never
    waits for the device.
    """
    shape = tuple(z.shape[1:])
    todo = moves(plan, z)
    times = torch.tensor([row.time for row in plan.rows], dtype=torch.float64).to(z)
    finite: list[Tensor] = []
    reference = None if reference is None else reference.beside(z)
    stream = torch.cuda.current_stream(z.device) if z.device.type == "cuda" else None
    ahead: list[Tensor | None] = []

    def whole(beta: float) -> Tensor:
        return z if reference is None else reference.inverse(z, shape) + beta * reference.mean

    def draw(step: int) -> Tensor:
        if noise is not None:
            return noise[step - 1].to(z)
        with torch.cuda.stream(stream):
            return standard_normal(seed, samples, step, shape, z.device, z.dtype)

    if reference is not None:
        z = reference.forward(z)
    z.mul_(plan.start.to(z) if isinstance(plan.start, Tensor) else plan.start)
    if record:
        record(0, whole(plan.beta[0]))
    with ThreadPoolExecutor(1) as drawer:  # noise is drawn while the model is busy
        for k, move in enumerate(todo):
            row = move.row
            ends = k + 1 == len(todo) or todo[k + 1].row.step > row.step
            drawn = drawer.submit(draw, row.step) if row.noisy else None
            ours = [z, *(held for held in ahead if held is not None)]  # an earlier x may be one of them by now
            versions = [held._version for held in ours]
            prediction = predict(whole(row.mean).to(dtype), times[k].repeat(len(z)))
            if [held._version for held in ours] != versions:
                raise ModelError(f"the model wrote into its input x {_where(row)}; it must leave it as it is.")
            _check_form(prediction, (len(z), *shape), z.device, row)
            if z.device.type == "cpu":
                _check_finite(prediction, row)
            else:
                finite.append(torch.isfinite(prediction).all())
            if any(prediction.untyped_storage().data_ptr() == held.untyped_storage().data_ptr() for held in ours):
                prediction = prediction.clone()
            if reference is not None:
                prediction = reference.forward(prediction.to(z.dtype))
            z = advance(move.terms, z, prediction, ahead)
            if drawn is not None:
                n = drawn.result()
                add(z, n if reference is None else reference.forward(n), move.noise)
            if ends and record:
                record(row.step, whole(plan.beta[row.step]))
            if tick:
                tick()
    for flag, row in zip(finite, plan.rows, strict=False):
        if not flag:
            raise _not_finite(row)
    return whole(plan.beta[-1])


def _where(row: Row) -> str:
    return f"at step {row.step}, model time {row.time:.6g}"


def _check_form(prediction: object, shape: tuple[int, ...], device: torch.device, row: Row) -> None:
    if not isinstance(prediction, Tensor):
        raise ModelError(
            f"the model returned a {type(prediction).__name__} {_where(row)}; it must return a tensor. "
            "Wrap it: lambda x, t, **c: model(x, t, **c).sample, for example."
        )
    if tuple(prediction.shape) != shape:
        raise ModelError(
            f"the model returned shape {tuple(prediction.shape)} {_where(row)}; it got x of shape {shape}."
        )
    if prediction.device != device:
        raise ModelError(f"the model returned a tensor on {prediction.device} {_where(row)}; x is on {device}.")
    if not prediction.is_floating_point():
        raise ModelError(f"the model returned {prediction.dtype} {_where(row)}; it must return floating point.")


def _check_finite(prediction: Tensor, row: Row) -> None:
    """One reduction where all is well; a sum that overflows is looked at number by number."""
    if not torch.isfinite(prediction.sum(dtype=torch.float32)) and not torch.isfinite(prediction).all():
        raise _not_finite(row)


def _not_finite(row: Row) -> ModelError:
    return ModelError(
        f"the model returned nan or inf {_where(row)}. "
        "Check its weights and dtype (float16 overflows at 65504; bfloat16 does not)."
    )

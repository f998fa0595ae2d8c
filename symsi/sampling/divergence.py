"""Weighted traces of a model's Jacobian J = dP/dx: exact, a direction at a time, or by random signs (Hutchinson 1990).

For Q = U diag(q) U^T, tr(Q J) = sum_i (Q e_i)^T J e_i over the axes e_i, and E[(Q n)^T J n] for n with independent
signs (Rademacher), whose variance holds off-diagonal entries of Q J alone. Each term is one product from the left,
(Q n)^T J, by reverse mode through one evaluation of the model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from symsi.errors import ModelError
from symsi.sampling.noise import rademacher
from symsi.sampling.predictions import where
from symsi.solvers.stage import Coefficient

__all__ = ["exact_trace", "probed_traces"]

_NUMBERS = 2**18  # of all products that one call may hold
Weigh = Callable[[Tensor], Tensor]


def exact_trace(prediction: Tensor, x: Tensor, weigh: Weigh, time: Coefficient) -> Tensor:
    """Return tr(Q J) of each sample, (B, 1) in float64, from `prediction` P(x) with its graph; `weigh` is n -> Q n.

    D products, as many at once as hold 2^18 numbers. Raises ModelError where P cannot be differentiated.
    """
    size = x[0].numel()
    total = torch.zeros(len(x), dtype=torch.float64, device=x.device)
    chunk = max(1, _NUMBERS // x.numel())
    for begin in range(0, size, chunk):
        axes = torch.arange(begin, min(begin + chunk, size), device=x.device)
        unit = torch.nn.functional.one_hot(axes, size).to(x).reshape(-1, 1, *x.shape[1:])
        weighed = torch.stack([weigh(e).expand_as(x) for e in unit])
        found = _products(prediction, x, weighed, time, last=begin + chunk >= size)
        total += (found * unit).flatten(2).sum(2, dtype=torch.float64).sum(0)
    return total[:, None]


def probed_traces(
    prediction: Tensor,
    x: Tensor,
    weigh: Weigh,
    time: Coefficient,
    *,
    seed: int,
    samples: Sequence[int],
    probes: int,
    evaluation: int,
) -> Tensor:
    """Return (Q n)^T J n for `probes` independent n of each sample, (B, probes) in float64.

    n depends on (seed, sample, probe, evaluation) alone. Raises ModelError where P cannot be differentiated.
    """
    columns = []
    for probe in range(probes):
        n = rademacher(seed, samples, probe, evaluation, x.shape[1:], x.device, x.dtype)
        (found,) = _products(prediction, x, weigh(n)[None], time, last=probe + 1 == probes)
        columns.append((found * n).flatten(1).sum(1, dtype=torch.float64))
    return torch.stack(columns, 1)


def _products(prediction: Tensor, x: Tensor, weights: Tensor, time: Coefficient, *, last: bool) -> Tensor:
    """w^T J for each w (K, B, *shape); the graph is kept unless these are the last."""
    if not prediction.requires_grad:
        raise ModelError(
            f"the model's prediction {where(time)} carries no gradient, and a likelihood needs the divergence of its "
            "field: leave out torch.no_grad, .detach() and numpy inside the model. If it does not depend on x, add "
            "0 * x to it."
        )
    kind = prediction.dtype
    try:
        if len(weights) == 1:
            found = torch.autograd.grad(prediction, x, weights[0].to(kind), retain_graph=not last, allow_unused=True)
        else:
            found = torch.autograd.grad(
                prediction, x, weights.to(kind), retain_graph=not last, allow_unused=True, is_grads_batched=True
            )
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise ModelError(f"the model cannot be differentiated {where(time)}: {error}") from error
    if found[0] is None:
        raise ModelError(
            f"the model's prediction {where(time)} has a gradient, but none to x: it was detached from it inside."
        )
    return found[0].reshape(weights.shape)

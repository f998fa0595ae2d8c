"""From log-weights to ancestors: four schemes whose offspring numbers have the expectations P W_i."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

__all__ = ["SCHEMES", "effective", "log_mean", "resample", "uniforms"]


def uniforms(seed: int, level: int, count: int) -> Tensor:
    """Return numbers in [0, 1) of (seed, level), which no noise shares: Philox of counter (0, 1, 0, level)."""
    stream = np.random.Philox(key=np.array([seed, 0], np.uint64), counter=np.array([0, 1, 0, level], np.uint64))
    return torch.from_numpy(np.random.Generator(stream).random(count))


def log_mean(log_weights: Tensor) -> float:
    """log((1/P) sum_i exp(log w_i))."""
    return float(log_weights.flatten().logsumexp(0)) - float(np.log(log_weights.numel()))


def effective(log_weights: Tensor) -> float:
    """The effective sample size (sum w)^2 / sum w^2, from 1 to P."""
    return float((2 * log_weights.logsumexp(0) - (2 * log_weights).logsumexp(0)).exp())


def resample(scheme: str, log_weights: Tensor, count: int, seed: int, level: int) -> Tensor:
    """Return `count` indices, index i in expectation count W_i times, W = softmax(log_weights), in increasing order."""
    weights = torch.softmax(log_weights.double().cpu(), 0)
    found: Tensor = SCHEMES[scheme](weights, count, lambda n: uniforms(seed, level, n)).sort().values
    return found


Draw = Callable[[int], Tensor]
_SETTLED = 1e-12  # from 0 or 1


def _inverse(weights: Tensor, points: Tensor) -> Tensor:
    """The indices in which points in [0, 1) fall, none of weight 0."""
    edges = weights.cumsum(0)
    last = int(weights.nonzero()[-1])
    return torch.searchsorted(edges / edges[-1], points, right=True).clamp_(max=last)


def _systematic(weights: Tensor, count: int, draw: Draw) -> Tensor:
    return _inverse(weights, (torch.arange(count) + draw(1)) / count)


def _stratified(weights: Tensor, count: int, draw: Draw) -> Tensor:
    return _inverse(weights, (torch.arange(count) + draw(count)) / count)


def _multinomial(weights: Tensor, count: int, draw: Draw) -> Tensor:
    return _inverse(weights, draw(count))


def _ssp(weights: Tensor, count: int, draw: Draw) -> Tensor:
    """Srinivasan sampling: fractions of P W_i are paired off until each is 0 or 1 (Gerber, Chopin, Whiteley 2019)."""
    expected = weights * count
    whole = expected.floor()
    fraction = (expected - whole).tolist()
    chances = draw(len(fraction)).tolist()
    i = 0
    for j in range(1, len(fraction)):
        # i rises by `up` and j falls as much, or j rises by `down` and i falls: each keeps its mean, one is settled
        up, down = min(1 - fraction[i], fraction[j]), min(fraction[i], 1 - fraction[j])
        change = up if (up + down) * chances[j] < down else -down
        fraction[i], fraction[j] = fraction[i] + change, fraction[j] - change
        if min(fraction[i], 1 - fraction[i]) < _SETTLED:
            i = j
    offspring = (whole + torch.tensor(fraction, dtype=torch.float64)).round().long()
    return torch.arange(len(weights)).repeat_interleave(offspring)


SCHEMES: Mapping[str, Callable[[Tensor, int, Draw], Tensor]] = {
    "systematic": _systematic,
    "stratified": _stratified,
    "ssp": _ssp,
    "multinomial": _multinomial,
}

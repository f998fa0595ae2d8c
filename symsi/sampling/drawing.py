"""The noise of a run: all of it at once where it is little, else ahead, in a thread while the model is busy."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import nullcontext
from itertools import islice
from math import prod

import torch
from torch import Tensor

from symsi.sampling.noise import standard_normals
from symsi.solvers.plan import Plan

__all__ = ["Noise"]

_AT_ONCE = 1 << 18  # numbers that are drawn in one go, if a step needs fewer
_LITTLE = 1 << 14  # numbers that are drawn in less time than a thread takes to begin and end


class Noise:
    """The noise of (seed, sample, step) for samples of a shape and the noisy stages of a plan, (B, *shape) each.

    With `given`, (K, B, *shape), that of step k is given[k - 1]. A stage's noise is to `begin` before the model is
    called, and to `take` after.
    """

    def __init__(
        self,
        plan: Plan,
        seed: int,
        samples: Sequence[int],
        shape: tuple[int, ...],
        device: torch.device,
        dtype: torch.dtype,
        given: Tensor | None = None,
    ) -> None:
        self.seed, self.samples, self.shape, self.device, self.dtype = seed, samples, shape, device, dtype
        self.given = given
        self.stream = torch.cuda.stream(torch.cuda.current_stream(device)) if device.type == "cuda" else nullcontext()
        steps, size = [stage.step for stage in plan.stages if stage.noisy], len(samples) * prod(shape)
        self.left, self.many = iter(steps), max(1, _AT_ONCE // max(1, size))
        self.little = given is None and len(steps) * size <= _LITTLE
        self.coming: deque[tuple[Callable[[], Sequence[Tensor]], int]] = deque()
        self.pool: Executor | None = None

    def start(self) -> Tensor:
        """Return the noise of step 0, which is the caller's to write into."""
        first, *rest = self._draw([0, *(self.left if self.little else ())])
        self._expect(lambda: rest, len(rest))
        return first.clone() if rest else first

    def begin(self) -> None:
        """See to it that the next step's noise is on its way."""
        if self.coming:
            return
        steps = list(islice(self.left, self.many))
        if self.little or self.given is not None:
            drawn = self._draw(steps)
            self._expect(lambda: drawn, len(steps))
        else:
            self.pool = self.pool or ThreadPoolExecutor(1)
            self._expect(self.pool.submit(self._draw, steps).result, len(steps))

    def take(self) -> Tensor:
        """Return the next step's noise."""
        drawn, i = self.coming.popleft()
        return drawn()[i]

    def close(self) -> None:
        """End the thread."""
        if self.pool:
            self.pool.shutdown()

    def _expect(self, drawn: Callable[[], Sequence[Tensor]], count: int) -> None:
        self.coming.extend((drawn, i) for i in range(count))

    def _draw(self, steps: Sequence[int]) -> Sequence[Tensor]:
        if self.given is not None and steps[0]:
            return [self.given[step - 1].to(self.device, self.dtype) for step in steps]
        with self.stream:
            return standard_normals(self.seed, self.samples, steps, self.shape, self.device, self.dtype).unbind()

"""What the sampler costs beyond the network: time as a share of the network's, memory in states."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from symsi.bench.small_map import SmallMap
from symsi.errors import MissingPackageError
from symsi.models.pretrained import load
from symsi.models.protocol import Model
from symsi.sampling.noise import compile_noise
from symsi.sampling.sample import sample

__all__ = ["CASES", "overhead"]

_STEPS = 8
_LEAST = 0.5  # seconds of calls that a median is taken of, at least
_LATENT, _NETWORK_SECONDS = (1, 16, 250, 250), 0.05
_SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "euler": {"solver": "euler"},
    "ab2": {"solver": "ab2"},
    "ab3": {"solver": "ab3"},
    "point mass": {"schedule": "lazy(kappa=1)", "diffusion": "optimal"},
}


def _digits() -> tuple[Model, tuple[int, ...]]:
    model = load("digits28")
    return model, (64, *(model.shape or ()))


def _latent() -> tuple[Model, tuple[int, ...]]:
    """A network that multiplies matrices for 50 ms, on 10^6 numbers: all cores are as busy as a network keeps them."""
    answer, weight = torch.zeros(_LATENT), torch.randn(512, 512)
    product = torch.empty_like(weight)

    def work(x: Tensor, t: Tensor) -> Tensor:
        end = time.perf_counter() + _NETWORK_SECONDS
        while time.perf_counter() < end:
            torch.mm(weight, weight, out=product)
        return answer

    return Model(work, name="50 ms, 10^6 numbers"), _LATENT


def _vectors(count: int, size: int) -> tuple[Model, tuple[int, ...]]:
    """Five layers of 128 units, which for few vectors take no longer than the calls around them."""
    net = SmallMap(size, width=128, depth=4, waves=())
    return Model(lambda x, t: net(x, t, t), shape=(size,)), (count, size)


CASES: Mapping[str, Callable[[], tuple[Model, tuple[int, ...]]]] = {
    "digits28": _digits,
    "latent": _latent,
    "20000 x 2": partial(_vectors, 20_000, 2),
    "20000 x 16": partial(_vectors, 20_000, 16),
    "64 x 16": partial(_vectors, 64, 16),
}


def overhead(cases: Sequence[str] = tuple(CASES), rounds: int = 5) -> Iterator[dict[str, Any]]:
    """Yield a row per case and solver: {"case", "solver", "network_ms", "overhead", "buffers"}.

    "overhead" is (time of `symsi.sample` - time inside the network) / time inside the network, the median of `rounds`,
    or of as many as half a second takes, tables included but warm; "buffers" the most memory that sampling held at once
    beyond the network's own, in states. Noise is compiled first (`symsi.compile_noise`), if Numba is installed.
    """
    with suppress(MissingPackageError):
        compile_noise()
    for case in cases:
        model, shape = CASES[case]()
        for name, options in _SETTINGS.items():
            given = {"schedule": "trigonometric", "steps": _STEPS, "progress": False, **options}
            inside: list[float] = []
            shares: list[float] = []
            until = time.perf_counter() + _LEAST
            while len(shares) <= rounds or time.perf_counter() < until:
                watch = _Watch(model)
                started = time.perf_counter()
                sample(watch.model, shape=shape, **given)
                total = time.perf_counter() - started
                inside.append(watch.seconds)
                shares.append(total / watch.seconds - 1)
            zeros = torch.zeros(shape)
            peak = _peak(partial(sample, _Watch(model, zeros=zeros).model, shape=shape, **given), zeros)
            yield {
                "case": case,
                "solver": name,
                "network_ms": median(inside[1:]) / _STEPS * 1e3,
                "overhead": median(shares[1:]),
                "buffers": peak / (4 * torch.Size(shape).numel()),
            }


class _Watch:
    """A model that adds up the time spent inside; with `zeros`, one that answers them at once."""

    def __init__(self, model: Model, zeros: Tensor | None = None) -> None:
        self.seconds = 0.0

        def call(x: Tensor, t: Tensor) -> Tensor:
            if zeros is not None:
                return zeros
            started = time.perf_counter()
            found = model(x, t)
            self.seconds += time.perf_counter() - started
            return found

        self.model = Model(call, model.schedule, model.prediction, model.shape, model.name)


class _Live(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the storages alive among those made inside, or in a thread from where they are used inside.

    That of `outside` is left out.
    """

    def __init__(self, outside: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self.known = {outside.untyped_storage()._cdata}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for tensor in (*args, *(found if isinstance(found, (tuple, list)) else (found,))):
            if isinstance(tensor, Tensor):
                self._count(tensor.untyped_storage())
        return found

    def _count(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self.known:
            return
        self.known.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._free, key, size)

    def _free(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.now -= size


def _peak(run: Callable[[], Any], outside: Tensor) -> int:
    """The most bytes held at once by the tensors that `run` makes."""
    with _Live(outside) as live:
        run()
    return int(live.peak)

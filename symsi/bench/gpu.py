"""Whether a GPU does what symsi promises, and how fast it is, a check a function; a CPU runs what needs no GPU."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from symsi.bench.kernels import interleaved
from symsi.coefficients.fused import fused_step
from symsi.errors import SymsiError
from symsi.models.pretrained import load
from symsi.models.protocol import Model
from symsi.sampling.noise import standard_normal, standard_normals
from symsi.sampling.sample import sample

__all__ = ["CHECKS", "FAILED", "Check", "between_evaluations", "device_checks"]

PASSED, FAILED, MEASURED, ABSENT = "passed", "failed", "measured", "not here"
_STEPS, _SEED = 6, 11
_SIZE = 10_000_000  # numbers of a step, 40 MB in float32
_JUDGED = 8  # samples that are compared with float64
# Root mean square difference to float64 that passes, as a share of the samples' own: some 16 roundings of 2^-9 and
# 2^-12; float32 is convolved by GPUs in TF32 as they come, which rounds as float16 does, and by CPUs as it is.
_APART = {torch.float32: 1e-5, torch.float16: 4e-3, torch.bfloat16: 32e-3}


@dataclass(frozen=True)
class Check:
    """What a check found: `verdict` is passed, failed, measured (a time, which nothing is held against) or not here."""

    name: str
    verdict: str
    numbers: Mapping[str, float]
    words: str


def device_checks(name: str, device: str, batch: int, only: Sequence[str] = ()) -> Iterator[Check]:
    """Yield the checks of `CHECKS`, or those of them in `only`, for a model that ships on cpu or cuda.

    Raises SymsiError for a check that is none, UnknownNameError for such a model.
    """
    for wanted in only:
        if wanted not in CHECKS:
            raise SymsiError(f"checks are {', '.join(CHECKS)}; got {wanted!r}.")
    for check in only or CHECKS:
        yield CHECKS[check](name, device, batch)


def between_evaluations(model: Model, count: int, begin: Callable[[], None], end: Callable[[], None]) -> Model:
    """Return a model that calls `begin()` in its first of `count` evaluations, and `end()` at once in its last."""
    calls = 0

    def function(x: Tensor, t: Tensor, **conditions: Any) -> Tensor:
        nonlocal calls
        calls += 1
        if calls == count:
            end()
        found: Tensor = model(x, t, **conditions)
        if calls == 1:
            begin()
        return found

    return replace(model, function=function)


def _noise(name: str, device: str, batch: int) -> Check:
    """The bits of the host, in rows of any number, and rounded once to half precision."""
    shape, steps = load(name).shape or (), range(4)
    host = standard_normals(_SEED, range(batch), steps, shape)
    there = standard_normals(_SEED, range(batch), steps, shape, device)
    alone = standard_normal(_SEED, [batch - 1], steps[-1], shape, device)
    half = standard_normals(_SEED, range(batch), steps, shape, device, torch.bfloat16)
    apart = _bits(there, host) + _bits(alone, host[-1, -1:]) + int((half.cpu() != host.to(torch.bfloat16)).sum())
    return Check("noise", FAILED if apart else PASSED, {"numbers": host.numel(), "apart": apart}, "bits of the host")


def _syncs(name: str, device: str, batch: int) -> Check:
    """Between the first evaluation and the last the host never waits for the GPU: torch raises where it does."""
    if device == "cpu":
        return Check("syncs", ABSENT, {}, "needs a GPU: a CPU is not waited for")
    model, before = load(name, device=device), torch.cuda.get_sync_debug_mode()
    given = {"steps": _STEPS, "schedule": "linear", "diffusion": "optimal"}  # with noise, which is drawn on the host
    evaluations = _samples(model, device, batch, torch.float32, **given)().nfe  # which warms up, too

    def mode(wanted: int | str) -> None:
        torch.cuda.set_sync_debug_mode(wanted)

    watched = between_evaluations(model, evaluations, lambda: mode("error"), lambda: mode(before))
    try:
        _samples(watched, device, batch, torch.float32, **given)()
    except RuntimeError as error:
        return Check("syncs", FAILED, {"evaluations": evaluations}, str(error).strip().partition("\n")[0][:200])
    finally:
        mode(before)
    return Check("syncs", PASSED, {"evaluations": evaluations}, "none between the first evaluation and the last")


def _step(name: str, device: str, batch: int) -> Check:
    """The step x <- a x + b p beside a copy that moves as many bytes: it reads 2 n numbers and writes n."""
    x, p = (torch.randn(_SIZE, device=device) for _ in range(2))
    held = torch.randn(3 * _SIZE // 2, device=device)
    out = torch.empty_like(held)
    found = interleaved({"step": lambda: fused_step(x, p, 0.97, 0.21), "copy": lambda: out.copy_(held)}, device)
    speed = 3 * x.nbytes / found["step"] / 1e3  # bytes a microsecond are MB/s
    numbers = {"step_us": found["step"], "copy_us": found["copy"], "ratio": found["step"] / found["copy"]}
    return Check("step", MEASURED, {**numbers, "gb_per_s": speed}, "ratio 1 is the memory's speed")


def _throughput(name: str, device: str, batch: int) -> Check:
    """Samples a second at 4 steps, by dtype."""
    runs = {}
    for dtype in _APART:
        runs[_word(dtype)] = _samples(load(name, device=device, dtype=dtype), device, batch, dtype, steps=4)
    found = interleaved(runs, device)
    return Check("throughput", MEASURED, {k: batch / us * 1e6 for k, us in found.items()}, "samples a second, 4 steps")


def _agreement(name: str, device: str, batch: int) -> Check:
    """Samples of one noise by dtype beside those of float64 on the host."""
    count = min(batch, _JUDGED)
    exact = _samples(load(name, dtype=torch.float64), "cpu", count, torch.float64, steps=4)().x
    found = {}
    for dtype in _APART:
        x = _samples(load(name, device=device, dtype=dtype), device, count, dtype, steps=4)().x
        found[dtype] = _size(x.cpu().to(exact) - exact) / _size(exact)
    holds = all(share < _most(dtype, device) for dtype, share in found.items())  # nan does not
    numbers = {_word(dtype): share for dtype, share in found.items()}
    return Check("agreement", PASSED if holds else FAILED, numbers, "difference to float64 on the host")


def _compile(name: str, device: str, batch: int) -> Check:
    """One evaluation by torch.compile beside the network as it is; the answers agree as dtypes do."""
    model = load(name, device=device)
    x = standard_normal(_SEED, range(batch), 0, model.shape or (), device)
    t, told = torch.full((batch,), 0.5, device=device), {k: v.to(device) for k, v in model.in_turn(batch).items()}
    compiled = torch.compile(model.function)
    begin = time.perf_counter()
    with torch.no_grad():
        try:
            answer = compiled(x, t, **told)
        except Exception as error:  # a machine without a compiler, in the words of torch
            words = str(error).strip().partition("\n")[0][:200]
            return Check("compile", ABSENT, {}, f"torch.compile fails: {type(error).__name__}: {words}")
        expected = model(x, t, **told)
        apart = _size(answer - expected) / _size(expected)  # which waits for a GPU
        seconds = time.perf_counter() - begin
        found = interleaved({"eager": lambda: model(x, t, **told), "compiled": lambda: compiled(x, t, **told)}, device)
    gain = found["eager"] / found["compiled"]
    numbers = {"eager_us": found["eager"], "compiled_us": found["compiled"], "gain": gain}
    return Check(
        "compile",
        PASSED if apart < _most(torch.float32, device) else FAILED,
        {**numbers, "apart": apart, "compiling_s": seconds},
        "one evaluation; gain above 1 is faster",
    )


CHECKS: Mapping[str, Callable[[str, str, int], Check]] = {
    "noise": _noise,
    "syncs": _syncs,
    "step": _step,
    "throughput": _throughput,
    "agreement": _agreement,
    "compile": _compile,
}


def _samples(model: Model, device: str, batch: int, dtype: torch.dtype, **given: Any) -> Callable[[], Any]:
    def run() -> Any:
        return sample(
            model,
            shape=(batch, *(model.shape or ())),
            conditions=model.in_turn(batch),
            seed=_SEED,
            dtype=dtype,
            device=device,
            progress=False,
            **given,
        )

    return run


def _most(dtype: torch.dtype, device: str) -> float:
    return _APART[torch.float16 if dtype == torch.float32 and device != "cpu" else dtype]


def _bits(there: Tensor, host: Tensor) -> int:
    """How many numbers differ in a bit."""
    return int((there.cpu().contiguous().view(torch.int32) != host.contiguous().view(torch.int32)).sum())


def _size(x: Tensor) -> float:
    return float(x.double().square().mean().sqrt())


def _word(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")

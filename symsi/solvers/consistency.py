"""What a plan must satisfy: finite numbers, times in one order, causality, and what its steps say of themselves.

A step over the stages e has the total keep and the total weights W_e of their fields. It is consistent if
keep = span.keep and sum_e W_e = span.length, so that a constant field is integrated exactly, and of order p if
sum_e W_e r_e^q = span.length/(q + 1) for q < p, where r is the clock at the evaluation, 0 at the step's start and 1 at
its end (Butcher's quadrature conditions; Adams' for fields of earlier steps). A stage that is not the first of its step
must be evaluated at a state that is itself consistent: at the end of the step, or at the share r of it where keep = 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from symsi.errors import PlanError
from symsi.solvers.stage import Coefficient, Span, Stage

__all__ = ["check_form", "check_spans"]

_SPREAD = 1 << 22  # numbers that products of all a plan's tensors may have, where none of them is as large
_TOLERANCE = 2.0**-36  # of the sum of absolute values: room for cancellation in float64


def check_form(
    stages: Sequence[Stage],
    *,
    start: Coefficient,
    grid: Sequence[float],
    times: Sequence[float],
    scales: Sequence[float],
    beta: Sequence[float],
    clock: Sequence[Coefficient],
) -> None:
    """Raise PlanError for numbers that are not finite, times out of order, and weights of what is not there."""
    points = len(grid) if isinstance(grid, tuple) else 0
    if points < 2 or not stages or not all(isinstance(stage, Stage) for stage in stages):
        raise PlanError("a plan needs a grid of at least two points, and a symsi.Stage for each step between them.")
    for name, values in (("times", times), ("scales", scales), ("beta", beta), ("clock", clock)):
        given = len(values) if isinstance(values, tuple) else 0
        if given != points:
            raise PlanError(f"{name} must have {points} entries, one a point of the grid; it has {given}.")
    falling = _falls(grid)
    _check_order("grid", grid, strictly=True, falling=falling)
    _check_order("times", times, strictly=False, falling=falling)
    for name, value in [("start", start), *_named("scales", scales), *_named("beta", beta)]:
        if not _finite(value) or (name != "start" and isinstance(value, Tensor)):
            raise PlanError(f"{name} is not finite, or not a number: {_number(value)}.")
    if any(scale <= 0 for scale in scales[1:]):
        raise PlanError(f"scales must be positive after the start; they are {', '.join(map(_number, scales))}.")
    for name, value in _named("clock", clock):
        if not _finite(value) and value not in (math.inf, -math.inf):
            raise PlanError(f"{name} is no number: {_number(value)}.")
    steps = [stage.step for stage in stages]
    whole = all(isinstance(step, int) for step in steps)
    if not whole or sorted(set(steps)) != list(range(1, points)) or steps != sorted(steps):
        raise PlanError(
            f"the stages must belong to steps 1 to {points - 1}, in order and one or more each; got {steps}."
        )
    for k, stage in enumerate(stages):
        _check_stage(k, stage)
        if stage.noisy and k + 1 < len(stages) and steps[k + 1] == stage.step:
            raise PlanError(f"row {k} (step {stage.step}): only the last row of a step may add noise, one n a step.")
    _check_modes(stages, [("start", start), *_named("clock", clock)])


def _falls(grid: Sequence[float]) -> bool:
    """Whether a grid is that of a plan from t = 1 towards t = 0."""
    ends = (grid[0], grid[-1])
    return all(isinstance(time, float) for time in ends) and ends[1] < ends[0]


def _check_order(name: str, values: Sequence[float], *, strictly: bool, falling: bool) -> None:
    for k, value in enumerate(values):
        before = values[k - 1] if k else math.inf if falling else -math.inf
        number = isinstance(value, float) and math.isfinite(value)
        wrong = number and (value > before if falling else value < before)
        if not number or not 0 <= value <= 1 or wrong or (strictly and value == before):
            order = "fall" if falling else "increase"
            raise PlanError(f"{name} must {order} inside [0, 1]; {name}[{k}] is {_number(value)}.")


def _check_stage(k: int, stage: Stage) -> None:
    row = f"row {k} (step {stage.step})"
    for name, time in (("time", stage.time), ("until", stage.until)):
        single = _finite(time) and (not isinstance(time, Tensor) or time.numel() == 1)
        if time is not None and not (single and 0 <= _single(time) <= 1):
            raise PlanError(f"{row}: {name} must lie in [0, 1]; it is {_number(time)}.")
    if not isinstance(stage.weights, tuple) or not isinstance(stage.gains, tuple):
        raise PlanError(f"{row}: weights and gains are lists of numbers.")
    if not isinstance(stage.asks, tuple) or not stage.asks or not all(isinstance(name, str) for name in stage.asks):
        raise PlanError(f"{row}: asks must be a list of names; got {stage.asks!r:.60}.")
    if len(stage.asks) != len(stage.gains):
        raise PlanError(f"{row}: {len(stage.asks)} predictions are asked for and {len(stage.gains)} gains are given.")
    if not stage.weights or len(stage.weights) > k + 1:
        raise PlanError(
            f"{row}: {len(stage.weights)} weights, but {k + 1} fields are known by then; give one for this row's own, "
            "and one for each earlier row that counts."
        )
    names = ("keep", "state", "offset", "noise", "mean", *(() if stage.node is None else ("node",)))
    values = [*((name, getattr(stage, name)) for name in names), *_named("gains", stage.gains)]
    for name, value in (*values, *_named("weights", stage.weights)):
        if not _finite(value) or (name == "mean" and isinstance(value, Tensor) and value.numel() > 1):
            raise PlanError(f"{row}: {name} is not finite, or not a number: {_number(value)}.")
    if stage.noise < 0 if isinstance(stage.noise, float) else bool(_plain(stage.noise).lt(0).any()):
        raise PlanError(f"{row}: noise is a standard deviation and must not be negative; it is {_number(stage.noise)}.")


def _check_modes(stages: Sequence[Stage], others: Sequence[tuple[str, Any]]) -> None:
    """Raise PlanError unless tensors broadcast to one shape, no larger than they are: else products have any size."""
    rows = [(f"row {k} (step {s.step})", v) for k, s in enumerate(stages) for v in (*s.coefficients, s.node)]
    tensors = [(where, value) for where, value in (*rows, *others) if isinstance(value, Tensor)]
    most = max((value.numel() for _, value in tensors), default=1)
    most = max(most, _SPREAD // max(len(tensors), 1))
    whole = torch.empty(())  # a view, without memory; torch.broadcast_shapes imports for half a second
    for where, value in tensors:
        shape, modes = tuple(value.shape), tuple(whole.shape)
        try:
            whole = torch.broadcast_tensors(whole, value)[0]  # type: ignore[no-untyped-call]
        except RuntimeError:
            raise PlanError(
                f"{where}: a coefficient of shape {shape} does not broadcast with others of the plan, {modes}; a "
                "tensor is one number, or broadcasts to the modes."
            ) from None
        if whole.numel() > most:
            raise PlanError(
                f"{where}: a coefficient of shape {shape} makes {whole.numel()} numbers with others of the plan, which "
                f"may make {most}; give one of them that shape by .expand{tuple(whole.shape)}."
            )


def check_spans(
    stages: Sequence[Stage], spans: Sequence[Span], times: Sequence[float], clock: Sequence[Coefficient]
) -> None:
    """Raise PlanError, with the row and the condition, where a step does not do what its span says."""
    if not spans:
        return
    if len(spans) != len(times) - 1:
        raise PlanError(f"{len(spans)} spans for {len(times) - 1} steps; give one a step, or none at all.")
    claims = [(f"the span of step {k}", s) for k, s in enumerate(spans, 1) if isinstance(s, Span)]
    lengths = [(where, value) for where, s in claims for value in (s.keep, s.length)]
    _check_modes(stages, [*_named("clock", clock), *lengths])
    nodes = [_node(stage, times, clock) for stage in stages]
    rows: dict[int, list[int]] = {}
    for k, stage in enumerate(stages):
        rows.setdefault(stage.step, []).append(k)
    for step, span in enumerate(spans, 1):
        _check_span(f"the span of step {step}", span, sum(len(stages[k].weights) for k in rows[step]))
        keep: Any = 1.0
        weights: dict[int, Any] = {}
        for k in rows[step]:
            stage = stages[k]
            if k != rows[step][0]:
                share = 1.0 if _same(nodes[k], clock[step]) else _share(nodes[k], clock[step - 1], clock[step])
                if _same(share, 1.0) or _same(span.keep, 1.0):
                    what = "the state that it is evaluated at"
                    _hold(k, step, what, keep, weights, span.keep, share * _plain(span.length))
            keep = keep * _plain(stage.keep)
            weights = {e: w * _plain(stage.keep) for e, w in weights.items()}
            for j, weight in enumerate(stage.weights):
                weights[k - j] = weights.get(k - j, 0.0) + _plain(weight)
        _hold(k, step, "the state after it", keep, weights, span.keep, span.length)
        if span.order > 1:
            places = {e: _share(nodes[e], clock[step - 1], clock[step]) for e in weights}
            _hold_order(k, step, weights, places, span)


def _check_span(name: str, span: Span, most: int) -> None:
    if not isinstance(span, Span) or not _finite(span.keep) or not _finite(span.length):
        raise PlanError(f"{name} must be a symsi.Span of finite numbers; got {span!r:.80}.")
    if isinstance(span.order, bool) or not isinstance(span.order, int) or not 1 <= span.order <= most:
        raise PlanError(f"{name} has order {span.order!r}; with {most} weights it may be an integer from 1 to {most}.")


def _hold(k: int, step: int, what: str, keep: Any, weights: dict[int, Any], wanted: Any, length: Any) -> None:
    if not _close(keep, wanted, [wanted]):
        raise PlanError(
            f"row {k} (step {step}): {what} keeps {_number(keep)} z, where {_number(wanted)} is right for a field of 0."
        )
    total = sum(weights.values())
    if not _close(total, length, [*weights.values(), length]):
        raise PlanError(
            f"row {k} (step {step}): the weights in {what} sum to {_number(total)}; a constant field needs "
            f"{_number(length)}, the length of the step (consistency)."
        )


def _hold_order(k: int, step: int, weights: dict[int, Any], places: dict[int, Any], span: Span) -> None:
    for power in range(1, span.order):
        found = sum(w * places[e] ** power for e, w in weights.items())
        wanted = _plain(span.length) / (power + 1)
        sizes = [abs(w) * (1 + abs(places[e]) ** power) for e, w in weights.items()]
        if not _close(found, wanted, sizes):
            raise PlanError(
                f"row {k} (step {step}): order {span.order} is claimed, but a field r^{power} of the clock, r from 0 "
                f"to 1 over the step, gets {_number(found)}; {_number(wanted)} is right."
            )


def _node(stage: Stage, times: Sequence[float], clock: Sequence[Coefficient]) -> Coefficient:
    """The clock at an evaluation: told, or that of the end of the step that has its model time, or of its start."""
    if stage.node is not None:
        return stage.node
    ends = times[stage.step - 1] != _single(stage.time) == times[stage.step]
    return clock[stage.step if ends else stage.step - 1]


def _share(node: Coefficient, start: Coefficient, end: Coefficient) -> Any:
    """Where a node lies, from 0 at the start of a step to 1 at its end."""
    return (_plain(node) - _plain(start)) / (_plain(end) - _plain(start))


def _same(a: Coefficient, b: Coefficient) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return a == b
    return torch.equal(*(torch.as_tensor(_plain(v), dtype=torch.float64) for v in (a, b)))


def _close(a: Any, b: Any, sizes: Sequence[Any]) -> bool:
    if all(isinstance(value, float) for value in (a, b, *sizes)):  # the same sums, without a tensor for each
        return bool(abs(a - b) <= _TOLERANCE * sum(map(abs, sizes)))
    a, b = torch.as_tensor(_plain(a), dtype=torch.float64), torch.as_tensor(_plain(b), dtype=torch.float64)
    size: Any = sum(abs(torch.as_tensor(_plain(v), dtype=torch.float64)) for v in sizes)
    return bool(((a - b).abs() <= _TOLERANCE * size).all())


def _finite(value: Any) -> bool:
    """Whether a value is a finite number, or a tensor of them."""
    if isinstance(value, Tensor):
        return value.is_floating_point() and value.numel() > 0 and bool(torch.isfinite(value).all())
    return isinstance(value, float) and math.isfinite(value)


def _single(value: Any) -> float:
    """One number as a float."""
    return float(value.detach()) if isinstance(value, Tensor) else float(value)


def _plain(value: Any) -> Any:
    return value.detach().double().cpu() if isinstance(value, Tensor) else value


def _named(name: str, values: Sequence[Any]) -> list[tuple[str, Any]]:
    return [(f"{name}[{j}]", value) for j, value in enumerate(values)]


def _number(value: Any) -> str:
    """A number, or the range of several, or what it is instead."""
    if isinstance(value, Tensor):
        if value.is_complex() or not value.numel():
            return f"a tensor of {value.dtype} of shape {tuple(value.shape)}"
        low, high = f"{float(value.detach().min()):.6g}", f"{float(value.detach().max()):.6g}"
        return low if low == high else f"{low}..{high}"
    return f"{value:.6g}" if isinstance(value, (int, float)) else repr(value)[:40]

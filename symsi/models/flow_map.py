"""Flow maps: functions of two times that take a state to where the ODE would take it, in one evaluation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from symsi.coefficients.flow_map import map_coefficients
from symsi.coefficients.runtime import mix
from symsi.errors import SymsiError
from symsi.interpolants.named import as_schedule
from symsi.interpolants.schedule import Kind, Schedule
from symsi.models.protocol import Model

__all__ = ["FlowMap"]


@dataclass(frozen=True)
class FlowMap:
    """X_{s,t}(x) = x + (t - s) u_{s,t}(x), u = `function(x, s, t, **conditions)`; u_{t,t} is the velocity (T19).

        >>> shifts = symsi.FlowMap(lambda x, s, t: torch.ones_like(x))  # v = 1 everywhere
        >>> x = shifts(x, 0.25, 1.0)  # x + 0.75

    x is (B, *shape) in the coordinates of `schedule`, s and t numbers or (B,), from 0 (noise) to 1 (data). `forwards`
    says that it is meant for s <= t alone, `grid` where its steps go unless one says otherwise (as for `symsi.sample`).
    The other fields are those of a `symsi.Model`. Raises SymsiError for a function that cannot be called, for times
    outside [0, 1], and for s > t where the map goes forwards.
    """

    function: Callable[..., Tensor]
    schedule: Any = "linear"
    shape: tuple[int, ...] | None = None
    name: str = "map"
    unconditional: Mapping[str, Any] = field(default_factory=dict)
    classes: int = 0
    offset: float = 0.0
    gain: float = 1.0
    forwards: bool = True
    grid: str = "uniform"

    def __post_init__(self) -> None:
        """Check the fields as a Model does."""
        if not callable(self.function):
            raise SymsiError(f"a flow map is a callable u(x, s, t, **conditions); got {type(self.function).__name__}.")
        self.model()

    def __call__(self, x: Tensor, s: Tensor | float, t: Tensor | float, **conditions: Any) -> Tensor:
        """Return X_{s,t}(x) = x + (t - s) u_{s,t}(x); x itself, bit for bit, where s = t."""
        return self.at(x, *self._times(x, s, t), **conditions)

    def at(self, x: Tensor, s: Tensor, t: Tensor, **conditions: Any) -> Tensor:
        """Return X_{s,t}(x) for times (B,) that are not looked at, as torch.export and torch.compile need it."""
        return mix(torch.ones_like(s), x, t - s, self.function(x, s, t, **conditions))

    def average(self, x: Tensor, s: Tensor | float, t: Tensor | float, **conditions: Any) -> Tensor:
        """Return u_{s,t}(x), the mean velocity of the path from x at s to time t."""
        return self.function(x, *self._times(x, s, t), **conditions)

    def velocity(self, x: Tensor, t: Tensor | float, **conditions: Any) -> Tensor:
        """Return v_t(x) = u_{t,t}(x)."""
        return self.average(x, t, t, **conditions)

    def composed(self, x: Tensor, *times: float, **conditions: Any) -> Tensor:
        """Return x taken through `times` one after the other: X_{q,t}(X_{s,q}(x)) for s, q, t."""
        for s, t in pairwise(times):
            x = self(x, s, t, **conditions)
        return x

    def convert(self, schedule: Schedule | str) -> FlowMap:
        """Return the same map under another schedule: X_bar_{s,t}(x) = c_t X_{tau_s, tau_t}(x/c_s) (T21).

        Raises SymsiError for a point-mass schedule, whose states at 0 all coincide.
        """
        base, target = as_schedule(self.schedule), as_schedule(schedule)
        if base == target:
            return self
        if target.kind is Kind.POINT_MASS:
            raise SymsiError(f"a map into {target} would start from one point; convert to a schedule with noise at 0.")
        coefficients = map_coefficients(base, target)
        own = self.function

        def function(x: Tensor, s: Tensor, t: Tensor, **conditions: Any) -> Tensor:
            found = coefficients(s, t)
            y = mix(1 / found.scale, x, torch.zeros_like(found.scale), x)
            kind = torch.promote_types(x.dtype, torch.float32)
            u = own(y, found.start.to(kind), found.stop.to(kind), **conditions)
            return mix(found.state, x, found.prediction, u)

        kept = _Kept(own, function) if isinstance(own, nn.Module) else function
        return replace(self, function=kept, schedule=target)

    def check_identity(self, x: Tensor, t: float = 0.5, **conditions: Any) -> None:
        """Raise SymsiError where u is not finite at s = t: there X_{t,t} is not x."""
        u = self.velocity(x, t, **conditions)
        if u.shape != x.shape:
            raise SymsiError(f"u_{{s,t}}(x) has shape {tuple(u.shape)}; x has {tuple(x.shape)}.")
        off = float((self(x, t, t, **conditions) - x).abs().max())
        if off != 0:
            raise SymsiError(f"X_{{s,s}}(x) differs from x by {off:.3g} at s = {t}; u must be finite there.")

    def model(self) -> Model:
        """Return the velocity u_{t,t} as a Model; with the condition `until` it is u_{t,until}."""
        return Model(
            _Kept(self.function, self._until) if isinstance(self.function, nn.Module) else self._until,
            schedule=self.schedule,
            shape=self.shape,
            name=self.name,
            unconditional=self.unconditional,
            classes=self.classes,
            offset=self.offset,
            gain=self.gain,
        )

    def _until(self, x: Tensor, t: Tensor, until: Tensor | None = None, **conditions: Any) -> Tensor:
        return self.function(x, t, t if until is None else until, **conditions)

    def _times(self, x: Tensor, s: Tensor | float, t: Tensor | float) -> tuple[Tensor, Tensor]:
        kind = torch.promote_types(x.dtype, torch.float32)
        start, stop = (torch.as_tensor(v, dtype=kind, device=x.device).expand(len(x)) for v in (s, t))
        for name, v in (("s", start), ("t", stop)):
            if not bool(((v >= 0) & (v <= 1)).all()):
                raise SymsiError(
                    f"times of a flow map lie in [0, 1]; {name} is {float(v[~((v >= 0) & (v <= 1))][0]):.6g}."
                )
        if self.forwards and bool((start > stop).any()):
            k = int((start > stop).nonzero()[0])
            raise SymsiError(
                f"{self.name} goes forwards only, from s to t >= s; got s = {float(start[k]):.6g}, "
                f"t = {float(stop[k]):.6g}. A map that was trained both ways says forwards=False."
            )
        return start, stop


class _Kept(nn.Module):
    """A function of a module, with that module's parameters."""

    def __init__(self, module: nn.Module, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.module = module
        self._function = function

    def forward(self, x: Tensor, s: Tensor, *rest: Any, **conditions: Any) -> Tensor:
        found: Tensor = self._function(x, s, *rest, **conditions)
        return found

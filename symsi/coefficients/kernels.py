"""Tensor kernels: the coefficients and fields of a conversion as pure torch functions, exact at t = 0 and t = 1.

t may be a number, a 0-d tensor or one time per sample; x has the samples first and any shape behind. Coefficients are
computed in float64 and rounded once, to float32 (float64 for float64 x); the result has the dtype of x.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from symsi.coefficients.compiled import compiled
from symsi.coefficients.program import Program, program
from symsi.coefficients.runtime import (
    as_time,
    at_point_mass,
    beside,
    check_duration,
    check_end,
    euler_maruyama,
    mix,
    model_coordinates,
    working,
)
from symsi.coefficients.source import coefficients_source
from symsi.errors import SymsiError, unknown
from symsi.interpolants.schedule import Schedule
from symsi.interpolants.two_sided import Interpolant
from symsi.theory.bridge import Bridge
from symsi.theory.conversion import FIELDS, Conversion, as_conversion

__all__ = ["Coefficients", "Kernels", "kernels", "load", "run"]

_POOR = 1e-7  # of float32
Coefficients = Callable[[Tensor], dict[str, Tensor]]


@dataclass(frozen=True)
class Kernels:
    """The compiled form of a conversion. P is the base network's prediction at `model_input(x, t)`.

    Each field is F_state(t) x + F_prediction(t) P. At a point mass (c = 0) the state is 0 and says nothing: there x
    stands for z ~ N(0, I), in fields, in `step` and in `model_input`. Where a coefficient has no finite limit at an
    end, it is infinite there (nan without a power law); `conversion.limit` says which and how, and a field or `step`
    asked for at a number t there raises EndpointError. Tensors of times are not looked into: there values are infinite
    or nan, and outside the domain nan. All methods are pure and work under torch.compile(fullgraph=True), torch.func
    transforms, torch.export and autocast.
    """

    conversion: Conversion
    program: Program
    functions: Mapping[str, Coefficients]
    endless: Mapping[str, tuple[str, str]]  # as `Program.endless`

    def coefficient(self, name: str, t: Tensor | float) -> Tensor:
        """Return one coefficient, e.g. "time" or "drift_state", with the shape of t, in float64."""
        if name not in self.program.results:
            raise unknown("coefficient", name, self.program.results)
        return self.functions[name](self._time(t))[name]

    def coefficients(self, t: Tensor | float) -> dict[str, Tensor]:
        """Return every coefficient by name, with the shape of t, in float64."""
        return self.functions[""](self._time(t))

    def model_input(self, x: Tensor, t: Tensor | float) -> tuple[Tensor, Tensor]:
        """Return (x / c, tau), where the base network is to be called; x itself at a point mass."""
        time = self._time(t, x)
        found = self.functions["model_input"](time)
        return model_coordinates(x, found["scale"], found["time"])

    def velocity(self, prediction: Tensor, x: Tensor, t: Tensor | float) -> Tensor:
        """v = (c'/c) x + c tau' v(tau, x/c) for a velocity prediction (T6), and its like for the others."""
        return self._field("velocity", prediction, x, t)

    def score(self, prediction: Tensor, x: Tensor, t: Tensor | float) -> Tensor:
        """s = -eta_Z / alpha (T1, T6)."""
        return self._field("score", prediction, x, t)

    def noise(self, prediction: Tensor, x: Tensor, t: Tensor | float) -> Tensor:
        """eta_Z, the same function for every schedule (T6)."""
        return self._field("noise", prediction, x, t)

    def data(self, prediction: Tensor, x: Tensor, t: Tensor | float) -> Tensor:
        """eta_X, the denoiser (T6)."""
        return self._field("data", prediction, x, t)

    def drift(self, prediction: Tensor, x: Tensor, t: Tensor | float) -> Tensor:
        """b = v + epsilon s (T2), for the conversion's diffusion."""
        return self._field("drift", prediction, x, t)

    def gaussian_flow(
        self,
        x: Tensor,
        s: Tensor | float,
        t: Tensor | float,
        mean: Tensor | float = 0.0,
        variance: Tensor | float = 1.0,
    ) -> Tensor:
        """T8, data N(m, V), S_s > 0: X(x) = beta_t m + sqrt(S_t/S_s) (x - beta_s m), S = alpha^2 + V beta^2."""
        start, stop = (self.functions["schedule"](self._time(time, x)) for time in (s, t))
        (a0, b0), (a1, b1) = ((beside(f["alpha"], x), beside(f["beta"], x)) for f in (start, stop))
        spread = torch.as_tensor(variance, dtype=torch.float64, device=x.device).sqrt()
        growth = (torch.hypot(a1, b1 * spread) / torch.hypot(a0, b0 * spread)).to(working(x))
        return (b1.to(working(x)) * mean + growth * (x - b0.to(working(x)) * mean)).to(x.dtype)

    def step(self, prediction: Tensor, x: Tensor, noise: Tensor, t: Tensor | float, dt: Tensor | float) -> Tensor:
        """x + b dt + sqrt(2 epsilon dt) n (Euler-Maruyama), with noise n ~ N(0, I) and t + dt <= 1."""
        found = self.functions["step"](self._time(t, x))
        check_end(t, self.program.start, "step", self.endless)
        check_duration(t, dt, self.program.start)
        return euler_maruyama(self.drift(prediction, x, t), x, noise, found["scale"], found["diffusion"], dt)

    def _field(self, name: str, prediction: Tensor, x: Tensor, t: Tensor | float) -> Tensor:
        found = self.functions[name](self._time(t, x))
        check_end(t, self.program.start, name, self.endless)
        state = at_point_mass(found["scale"], found[f"{name}_state"], found[f"{name}_input"])
        return mix(state, x, found[f"{name}_prediction"], prediction)

    def _time(self, t: Tensor | float, x: Tensor | None = None) -> Tensor:
        return as_time(t, self.program.start, None if x is None else x.device)


def kernels(conversion: Conversion | Schedule | str, dialect: str = "torch") -> Kernels:
    """Compile a conversion to torch; a schedule (or its name) stands for itself, with velocity predictions.

    The dialect "onnx" is for export: it keeps to the functions that onnxruntime has in float64.

    Raises SymsiError where the conversion has symbolic parameters, and for a two-sided interpolant or a bridge.
    """
    if isinstance(conversion, Bridge | Interpolant):
        name = "bridge_kernels" if isinstance(conversion, Bridge) else "interpolant_kernels"
        raise SymsiError(f"kernels are of one-sided conversions; symsi.{name} compiles a {type(conversion).__name__}.")
    found = as_conversion(conversion)
    return _kernels(found, dialect, (str(found.base), str(found.target)))


@lru_cache(maxsize=64)
def _kernels(conversion: Conversion, dialect: str, names: tuple[str, str]) -> Kernels:
    """The same object for the same question; equal schedules may differ in name."""
    whole = program(conversion, run)
    if whole.accuracy > _POOR:
        warnings.warn(
            f"kernels of {conversion.base} to {conversion.target} are good to {whole.accuracy:.0e} only: "
            "some coefficient has no power series at an end. Tables are exact.",
            stacklevel=3,
        )
    groups = {
        "": tuple(whole.results),
        "model_input": ("time", "scale"),
        "schedule": ("alpha", "beta"),
        "step": ("scale", "diffusion"),
        **{f: ("scale", f"{f}_state", f"{f}_input", f"{f}_prediction") for f in FIELDS},
        **{name: (name,) for name in whole.results},
    }
    functions = {key: load(whole.only(wanted), dialect=dialect) for key, wanted in groups.items()}
    return Kernels(conversion, whole, functions, whole.endless())


def load(program: Program, dtype: str = "torch.float64", dialect: str = "torch") -> Coefficients:
    """Turn a program into the function that its source text defines."""
    function: Coefficients = compiled(coefficients_source(program, dialect, dtype=dtype), "coefficients")
    return function


def run(program: Program) -> Callable[[Sequence[float]], Mapping[str, Sequence[float]]]:
    """Evaluate a program at float64 times."""
    function = load(program)
    return lambda times: {k: v.tolist() for k, v in function(torch.tensor(times, dtype=torch.float64)).items()}

"""symsi: derive, prove and compile the formulas of stochastic interpolants.

Everything public is listed here and imported on first use, so `import symsi` loads neither SymPy nor torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "Conversion": "symsi.symbolic.conversion",
    "Derivation": "symsi.symbolic.proof",
    "Diffusion": "symsi.symbolic.diffusion",
    "DiffusionError": "symsi.errors",
    "EndpointError": "symsi.errors",
    "Kernels": "symsi.compile.kernel",
    "Kind": "symsi.symbolic.schedule",
    "Limit": "symsi.symbolic.endpoints",
    "MetricError": "symsi.errors",
    "MissingPackageError": "symsi.errors",
    "Model": "symsi.models.protocol",
    "ModelError": "symsi.errors",
    "NAMED": "symsi.symbolic.named",
    "ParseError": "symsi.errors",
    "Path": "symsi.paths",
    "Plan": "symsi.sampling.plan",
    "Proof": "symsi.symbolic.proof",
    "Reference": "symsi.sampling.reference",
    "SampleResult": "symsi.samplers",
    "Schedule": "symsi.symbolic.schedule",
    "ScheduleError": "symsi.errors",
    "SchedulerError": "symsi.errors",
    "SymsiError": "symsi.errors",
    "Table": "symsi.compile.coefficients",
    "UnknownNameError": "symsi.errors",
    "VelocityField": "symsi.velocity",
    "convert": "symsi.symbolic.conversion",
    "convert_path": "symsi.paths",
    "diffusion": "symsi.symbolic.diffusion",
    "excess_cost": "symsi.symbolic.diffusion",
    "export": "symsi.compile.export",
    "fused_step": "symsi.compile.steps",
    "gaussian_field": "symsi.symbolic.gaussian",
    "kernel_errors": "symsi.compile.certificate",
    "kernels": "symsi.compile.kernel",
    "lazy_schedule": "symsi.symbolic.lazy",
    "marginal_variance": "symsi.symbolic.gaussian",
    "ode": "symsi.symbolic.diffusion",
    "optimal": "symsi.symbolic.diffusion",
    "optimal_grid": "symsi.calibration",
    "parse": "symsi.symbolic.parse",
    "plan": "symsi.samplers",
    "read_json": "symsi.compile.export.document",
    "recover_noise": "symsi.paths",
    "reference_of_model": "symsi.calibration",
    "revealed": "symsi.symbolic.gaussian",
    "sample": "symsi.samplers",
    "schedule": "symsi.symbolic.named",
    "tabulate": "symsi.compile.coefficients",
    "time_grid": "symsi.time_grids",
}
_MODULES = ("metrics", "models")
_OPTIONAL = ("diffusers",)  # modules that need an extra
__all__ = sorted([*_PUBLIC, *_MODULES])


def __getattr__(name: str) -> Any:
    if name in _MODULES or name in _OPTIONAL:
        return import_module(f"symsi.{name}")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'symsi' has no attribute {name!r}")
    value = getattr(import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_OPTIONAL})

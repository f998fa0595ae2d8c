"""symsi: derive, prove and compile the formulas of stochastic interpolants.

Everything public is listed here and imported on first use, so `import symsi` loads neither SymPy nor torch.
"""

from __future__ import annotations

import time
from importlib import import_module
from typing import Any

__version__ = "0.1.0"
__loaded__ = time.time()  # source that changed since is not what runs

_PUBLIC = {
    "Bridge": "symsi.theory.bridge",
    "BridgeKernels": "symsi.coefficients.two_sided",
    "BridgeModel": "symsi.models.two_sided",
    "Budget": "symsi.steering.budget",
    "BudgetError": "symsi.errors",
    "Span": "symsi.solvers.stage",
    "Conversion": "symsi.theory.conversion",
    "Derivation": "symsi.algebra.proof",
    "Diffusion": "symsi.theory.diffusion",
    "DiffusionError": "symsi.errors",
    "EndpointError": "symsi.errors",
    "FlowMap": "symsi.models.flow_map",
    "Interpolant": "symsi.interpolants.two_sided",
    "InterpolantError": "symsi.errors",
    "InterpolantKernels": "symsi.coefficients.two_sided",
    "Kernels": "symsi.coefficients.kernels",
    "Kind": "symsi.interpolants.schedule",
    "Likelihood": "symsi.sampling.likelihood",
    "Limit": "symsi.algebra.limits",
    "MetricError": "symsi.errors",
    "MissingPackageError": "symsi.errors",
    "Model": "symsi.models.protocol",
    "ModelError": "symsi.errors",
    "NAMED": "symsi.interpolants.named",
    "ParseError": "symsi.errors",
    "Path": "symsi.sampling.paths",
    "Plan": "symsi.solvers.plan",
    "PlanError": "symsi.errors",
    "Proof": "symsi.algebra.proof",
    "Ranks": "symsi.processes.ranks",
    "Reference": "symsi.models.reference",
    "SampleResult": "symsi.sampling.sample",
    "Schedule": "symsi.interpolants.schedule",
    "ScheduleError": "symsi.errors",
    "SchedulerError": "symsi.errors",
    "Stage": "symsi.solvers.stage",
    "State": "symsi.sampling.state",
    "Steered": "symsi.steering.result",
    "SymsiError": "symsi.errors",
    "Table": "symsi.coefficients.tables",
    "UnknownNameError": "symsi.errors",
    "VelocityField": "symsi.models.velocity_field",
    "bridge": "symsi.theory.bridge",
    "bridge_kernels": "symsi.coefficients.two_sided",
    "bridge_plan": "symsi.solvers.bridge_planning",
    "check_shards": "symsi.shards.check",
    "compile_noise": "symsi.sampling.noise",
    "convert": "symsi.theory.conversion",
    "convert_path": "symsi.sampling.paths",
    "density": "symsi.sampling.state",
    "diffusion": "symsi.theory.diffusion",
    "distill": "symsi.training.distill",
    "excess_cost": "symsi.theory.diffusion",
    "export": "symsi.exports.by_suffix",
    "fit_solver": "symsi.calibration.solver",
    "fused_step": "symsi.coefficients.fused",
    "gaussian_bridge": "symsi.theory.two_gaussians",
    "gaussian_field": "symsi.theory.gaussian",
    "init": "symsi.sampling.state",
    "interpolant": "symsi.interpolants.named_two_sided",
    "interpolant_kernels": "symsi.coefficients.two_sided",
    "kernel_errors": "symsi.coefficients.certificate",
    "kernels": "symsi.coefficients.kernels",
    "lazy_schedule": "symsi.interpolants.lazy",
    "load_plan": "symsi.solvers.plan",
    "log_likelihood": "symsi.sampling.likelihood",
    "marginal_variance": "symsi.theory.gaussian",
    "model_input": "symsi.sampling.state",
    "observe": "symsi.sampling.state",
    "ode": "symsi.theory.diffusion",
    "optimal": "symsi.theory.diffusion",
    "optimal_grid": "symsi.calibration.grid",
    "parse": "symsi.algebra.parse",
    "plan": "symsi.solvers.planning",
    "read_json": "symsi.exports.document",
    "read_samples": "symsi.shards.reading",
    "recover_noise": "symsi.sampling.paths",
    "reference_of_model": "symsi.calibration.reference",
    "revealed": "symsi.theory.gaussian",
    "sample": "symsi.sampling.sample",
    "sample_bridge": "symsi.sampling.bridges",
    "sample_shards": "symsi.shards.draw",
    "schedule": "symsi.interpolants.named",
    "steer": "symsi.steering.steer",
    "step": "symsi.sampling.state",
    "tabulate": "symsi.coefficients.tables",
    "time_grid": "symsi.solvers.grids",
}
_MODULES = ("couplings", "metrics", "models", "objectives")
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
    return sorted({*__all__, *_OPTIONAL, *(name for name in globals() if name.startswith("__"))})

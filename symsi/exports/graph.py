"""Captured graphs: torch.export programs, AOTInductor packages and ONNX, with dynamic batch and shape."""

from __future__ import annotations

import io
import logging
import os
import shutil
import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from symsi.coefficients.kernels import Kernels, kernels
from symsi.coefficients.two_sided import BridgeKernels, bridge_kernels
from symsi.errors import SymsiError, unknown
from symsi.files import write_atomic
from symsi.theory.bridge import Bridge
from symsi.theory.conversion import FIELDS, Conversion

__all__ = [
    "BATCH",
    "DTYPES",
    "WHAT",
    "check_onnx",
    "load_aot",
    "module",
    "save_onnx",
    "save_pt2",
    "write_aot",
    "write_onnx",
    "write_pt2",
]

WHAT = (*FIELDS, "step", "coefficients")
DTYPES: Mapping[str, torch.dtype] = {
    "float32": torch.float32,
    "float64": torch.float64,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
BATCH, _EXTENT = 3, 2  # of the example; a batch of 1 would be taken for a constant


class _Field(nn.Module):
    """F(prediction, x, t)."""

    def __init__(self, compiled: Kernels, name: str) -> None:
        super().__init__()
        self.field = getattr(compiled, name)

    def forward(self, prediction: Tensor, x: Tensor, t: Tensor) -> Tensor:
        found: Tensor = self.field(prediction, x, t)
        return found


class _BridgeField(nn.Module):
    """F(first, second, x, t), of the two predictions that a bridge is given."""

    def __init__(self, compiled: BridgeKernels, name: str) -> None:
        super().__init__()
        self.compiled, self.name = compiled, name

    def forward(self, first: Tensor, second: Tensor, x: Tensor, t: Tensor) -> Tensor:
        return self.compiled.field(self.name, x, first, second, t)


class _Step(nn.Module):
    """x + b dt + sqrt(2 epsilon dt) n."""

    def __init__(self, compiled: Kernels) -> None:
        super().__init__()
        self.compiled = compiled

    def forward(self, prediction: Tensor, x: Tensor, noise: Tensor, t: Tensor, dt: Tensor) -> Tensor:
        return self.compiled.step(prediction, x, noise, t, dt)


class _Coefficients(nn.Module):
    """Every coefficient, in the dtype of t."""

    def __init__(self, compiled: Kernels | BridgeKernels) -> None:
        super().__init__()
        self.compiled = compiled

    def forward(self, t: Tensor) -> dict[str, Tensor]:
        return {name: value.to(t.dtype) for name, value in self.compiled.coefficients(t).items()}


def module(compiled: Kernels | BridgeKernels, what: str) -> nn.Module:
    """Return the function to export as a module without parameters."""
    if what == "coefficients":
        return _Coefficients(compiled)
    if isinstance(compiled, BridgeKernels):
        return _BridgeField(compiled, what)
    return _Step(compiled) if what == "step" else _Field(compiled, what)


def write_pt2(given: Conversion | Bridge, path: Path, what: str, dtype: str, rank: int, force: bool) -> None:
    """Save a torch.export program."""
    save_pt2(_capture(given, what, dtype, rank, "torch")[0], path, force)


def save_pt2(captured: ExportedProgram, path: Path, force: bool) -> None:
    """Write a captured program, atomically."""
    held = io.BytesIO()  # torch's own writer ends the process where the disk is full
    torch.export.save(captured, held)
    write_atomic(path, lambda temporary: _fill(temporary, held), force=force)


def write_aot(given: Conversion | Bridge, path: Path, what: str, dtype: str, rank: int, force: bool) -> None:
    """Compile for this machine's processor with AOTInductor; needs a C++ compiler. `load_aot` checks its inputs."""
    if shutil.which(os.environ.get("CXX", "g++")) is None:
        raise SymsiError("an AOTInductor package needs a C++ compiler: install g++, or set CXX.")
    captured, names = _capture(given, what, dtype, rank, "torch")
    metadata = {"symsi": what, "inputs": ",".join(names), "dtype": dtype, "rank": str(rank)}

    held = io.BytesIO()  # as above
    torch._inductor.aoti_compile_and_package(
        captured, package_path=held, inductor_configs={"aot_inductor.metadata": metadata}
    )
    write_atomic(path, lambda temporary: _fill(temporary, held), force=force)


def write_onnx(given: Conversion | Bridge, path: Path, what: str, dtype: str, rank: int, force: bool) -> None:
    """Save an ONNX model that onnxruntime runs."""
    check_onnx()
    save_onnx(*_capture(given, what, dtype, rank, "onnx"), path, force)


def check_onnx() -> None:
    """Raise SymsiError where a package that writes ONNX is missing."""
    missing = [name for name in ("onnx", "onnxscript") if find_spec(name) is None]
    if missing:
        raise SymsiError(f"ONNX export needs {' and '.join(missing)}: pip install symsi[export]")


def save_onnx(captured: ExportedProgram, names: list[str], path: Path, force: bool) -> None:
    """Write a captured program as an ONNX model of inputs with these names, atomically."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(captured, dynamo=True, verbose=False, input_names=names)
    if program is None:
        raise SymsiError("torch.onnx returned no model.")
    onnx = import_module("onnx")
    write_atomic(path, lambda temporary: onnx.save(program.model_proto, str(temporary)), force=force)


def load_aot(path: str | Path) -> Callable[..., Any]:
    """Load an AOTInductor package; the function returned refuses inputs for which it would compute nonsense.

    Raises SymsiError for a package that symsi did not write; the function raises it for a wrong dtype, rank or device.
    """
    package = torch._inductor.aoti_load_package(str(path))
    about = package.loader.get_metadata()
    if "symsi" not in about:
        raise SymsiError(f"{path} is not an AOTInductor package written by symsi.")
    names, kind, rank = about["inputs"].split(","), DTYPES[about["dtype"]], int(about["rank"])
    device = about.get("AOTI_DEVICE_KEY", "cpu")

    def call(*inputs: Tensor) -> Any:
        if len(inputs) != len(names):
            raise SymsiError(f"this package takes {len(names)} inputs, {', '.join(names)}; got {len(inputs)}.")
        for name, value in zip(names, inputs, strict=True):
            dims = 1 if name in ("t", "dt") else rank
            dtype = torch.float32 if name in ("t", "dt") and kind != torch.float64 else kind
            if value.dtype != dtype or value.ndim != dims or value.device.type != device:
                raise SymsiError(
                    f"{name} must be {dtype} with {dims} dimensions on {device}; "
                    f"got {value.dtype} with {value.ndim} on {value.device.type}."
                )
            if value.shape[0] != inputs[0].shape[0] or (dims == rank > 1 and value.shape != inputs[0].shape):
                raise SymsiError(f"{name} has shape {tuple(value.shape)}, {names[0]} {tuple(inputs[0].shape)}.")
        return package(*inputs)

    return call


def _fill(path: Path, held: io.BytesIO) -> None:
    path.write_bytes(held.getvalue())


def _capture(
    given: Conversion | Bridge, what: str, dtype: str, rank: int, dialect: str
) -> tuple[ExportedProgram, list[str]]:
    if dtype not in DTYPES:
        raise unknown("dtype", dtype, DTYPES)
    if not 1 <= rank <= 8:
        raise SymsiError(f"rank is the number of dimensions of x, batch included, 1 to 8; got {rank}.")
    kind = DTYPES[dtype]
    x = torch.zeros(BATCH, *[_EXTENT] * (rank - 1), dtype=kind)
    time = torch.linspace(0.3, 0.7, BATCH, dtype=torch.float64 if kind == torch.float64 else torch.float32)
    batch = Dim("batch", min=1)
    whole = {0: batch, **{k: Dim(f"size{k}", min=1) for k in range(1, rank)}}
    predictions = ("first", "second") if isinstance(given, Bridge) else ("prediction",)
    inputs: dict[str, tuple[Tensor, dict[int, Any]]] = dict.fromkeys((*predictions, "x"), (x, whole))
    if what == "step":
        inputs["noise"] = (x, whole)
    inputs["t"] = (time, {0: batch})
    if what == "step":
        inputs["dt"] = (time, {0: batch})
    if what == "coefficients":
        inputs = {"t": inputs["t"]}
    function = module(bridge_kernels(given, dialect) if isinstance(given, Bridge) else kernels(given, dialect), what)
    example = tuple(v.clone() for v, _ in inputs.values())
    captured = torch.export.export(function, example, dynamic_shapes={name: d for name, (_, d) in inputs.items()})
    return captured, list(inputs)

"""A flow map as a graph: its network with the formulas around it, one function X_{s,t}(x) of x, s, t and label."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from symsi.errors import SymsiError
from symsi.exports.check import Checked, run_alone
from symsi.exports.graph import BATCH, check_onnx, save_onnx, save_pt2
from symsi.models.flow_map import FlowMap
from symsi.models.map_net import MapNet

__all__ = ["MAP_SUFFIXES", "check_map", "write_map"]

MAP_SUFFIXES = (".pt2", ".onnx")
_ALLOWED = 2.0**10  # ulp of a sample's largest number: sums in another order; a wrong formula is further off
_TIMES = ((0.0, 1.0), (0.0, 0.5), (0.25, 1.0), (0.5, 0.5), (0.9, 0.95), (1.0, 1.0))


class _Map(nn.Module):
    """X_{s,t}(x)."""

    def __init__(self, flow: FlowMap, dialect: str) -> None:
        super().__init__()
        function = flow.function.in_dialect(dialect) if isinstance(flow.function, MapNet) else flow.function
        self.function = function
        self._flow = replace(flow, function=function)

    def forward(self, x: Tensor, s: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        return self._flow.at(x, s, t, **({} if label is None else {"label": label}))


def write_map(flow: FlowMap, path: Path, force: bool) -> None:
    """Write X_{s,t}(x) as .pt2 or .onnx, for any batch: x (B, *shape), s and t (B,) in float32, `label` (B,) in int64.

    A map without classes takes no label. Times are not looked at. Raises SymsiError for another suffix, for a map that
    does not say its shape, or has weights that are not float32 on the CPU, and where its function cannot be captured.
    """
    if path.suffix not in MAP_SUFFIXES:
        raise SymsiError(f"cannot export a flow map to {path.name!r}: the suffix must be {' or '.join(MAP_SUFFIXES)}.")
    if flow.shape is None:
        raise SymsiError(f"{flow.name} does not say the shape of a sample: FlowMap(..., shape=(1, 28, 28)).")
    weights = list(flow.function.parameters()) if isinstance(flow.function, nn.Module) else []
    if any(w.dtype != torch.float32 or w.device.type != "cpu" for w in weights):
        raise SymsiError(
            f"{flow.name} has weights in {weights[0].dtype} on {weights[0].device}; export it in float32 from the CPU."
        )
    if path.suffix == ".pt2":
        save_pt2(_captured(flow, "torch")[0], path, force)
    else:
        check_onnx()
        save_onnx(*_captured(flow, "onnx"), path, force)


def check_map(flow: FlowMap, path: Path) -> Checked:
    """Run the file where symsi cannot be imported, and compare with the map at both ends, between, and at s = t.

    The unit is the spacing of float32 at the largest number of a sample. Raises SymsiError where it cannot be run.
    """
    inputs = _example(flow, len(_TIMES))
    inputs["s"], inputs["t"] = torch.tensor(_TIMES).unbind(1)
    with torch.no_grad():
        wanted = _Map(flow, "torch")(*inputs.values()).double().flatten(1)
    job = {
        "kind": path.suffix[1:],
        "path": str(path),
        "what": "map",
        "names": list(inputs),
        "inputs": [v.tolist() for v in inputs.values()],
        "dtypes": [str(v.dtype).removeprefix("torch.") for v in inputs.values()],
        "outputs": ["map"],
    }
    found = torch.tensor(run_alone([job])[0]["map"], dtype=torch.float64).reshape(wanted.shape)
    whole = wanted.isfinite().all(1)  # u of some schedules has no limit at s = 1, from where no map needs to start
    unit = torch.finfo(torch.float32).eps * 2 ** wanted.abs().amax(1).clamp(min=1e-30).log2().floor()
    errors = ((found - wanted).abs().amax(1) / unit).nan_to_num(torch.inf).where(whole, 0.0)
    k = int(errors.argmax())
    where = " of float32 at s = {:g}, t = {:g}".format(*_TIMES[k])
    return Checked(path, float(errors[k]), where, wanted[whole].numel(), _ALLOWED)


def _example(flow: FlowMap, batch: int) -> dict[str, Tensor]:
    """Inputs by name: noise, times, and classes in turn, the first of them none."""
    x = torch.randn(batch, *(flow.shape or ()), generator=torch.Generator().manual_seed(0))
    times = torch.linspace(0.2, 0.8, batch)
    label = {"label": torch.arange(batch) % (flow.classes + 1) - 1} if flow.classes else {}
    return {"x": x, "s": times / 2, "t": times, **label}


def _captured(flow: FlowMap, dialect: str) -> tuple[ExportedProgram, list[str]]:
    example, batch = _example(flow, BATCH), Dim("batch", min=1)
    shapes = {name: {0: batch} for name in example}
    try:
        found = torch.export.export(_Map(flow, dialect), tuple(example.values()), dynamic_shapes=shapes)
    except (RuntimeError, TypeError, ValueError, torch._dynamo.exc.TorchDynamoException) as error:
        words = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise SymsiError(f"torch.export cannot capture {flow.name}: {words}") from None
    return found, list(example)

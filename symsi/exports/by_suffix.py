"""Compiled formulas as files that run without symsi: the format is chosen by the suffix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from symsi.errors import SymsiError, unknown
from symsi.exports.bridge import write_bridge
from symsi.exports.document import write_json
from symsi.exports.flow_map import write_map
from symsi.exports.graph import WHAT, write_aot, write_onnx, write_pt2
from symsi.exports.latex import write_tex
from symsi.exports.module import write_py
from symsi.files import check_free
from symsi.interpolants.schedule import Schedule
from symsi.models.flow_map import FlowMap
from symsi.theory.bridge import Bridge
from symsi.theory.conversion import Conversion, as_conversion

__all__ = ["SUFFIXES", "WHAT", "export"]

SUFFIXES = (".py", ".pt2", ".onnx", ".tex", ".json")
_WHOLE: Mapping[str, Callable[..., None]] = {".py": write_py, ".tex": write_tex, ".json": write_json}
_GRAPHS: Mapping[str, Callable[..., None]] = {".pt2": write_pt2, ".onnx": write_onnx}


def export(
    conversion: Conversion | Schedule | Bridge | FlowMap | str,
    path: str | Path,
    what: str | None = None,
    *,
    aot: bool = False,
    dtype: str = "float32",
    rank: int = 4,
    force: bool = False,
) -> Path:
    """Write a conversion (a schedule stands for itself), a bridge or a flow map to `path`, atomically, by its suffix.

    .py (a module that needs only torch), .tex and .json hold all of it. .pt2 (torch.export; with `aot` an AOTInductor
    package, compiled for this machine) and .onnx hold one function, `what`, of x with `rank` dimensions in `dtype`:
    a field, F(prediction, x, t), by default "drift", "step", F(prediction, x, noise, t, dt), or "coefficients", F(t);
    of a bridge a field of its two predictions, F(first, second, x, t), by default "forward". Batch and shape stay
    dynamic. Of a flow map .pt2 and .onnx hold X_{s,t}(x), F(x, s, t, label): its network with its formulas, in float32
    for any batch. Raises SymsiError for an unknown suffix, a path that exists (unless `force`) or cannot be written, a
    symbolic parameter, or a missing package.
    """
    target = Path(path)
    if target.suffix not in SUFFIXES:
        raise SymsiError(f"cannot export to {target.name!r}: the suffix must be one of {', '.join(SUFFIXES)}.")
    if aot and target.suffix != ".pt2":
        raise SymsiError(f"an AOTInductor package has the suffix .pt2; got {target.name!r}.")
    if isinstance(conversion, FlowMap):
        if what is not None or aot or dtype != "float32":
            raise SymsiError("a flow map is exported as X_{s,t}(x) in float32 alone; leave what, dtype and aot out.")
        check_free(target, force=force)
        write_map(conversion, target, force)
        return target
    known = (*conversion.fields, "coefficients") if isinstance(conversion, Bridge) else WHAT
    what = what or ("forward" if isinstance(conversion, Bridge) else "drift")
    if what not in known:
        raise unknown("function to export", what, known)
    check_free(target, force=force)
    if isinstance(conversion, Bridge):
        if target.suffix in _WHOLE:
            write_bridge(conversion, target, force)
            return target
    else:
        conversion = as_conversion(conversion)
    if target.suffix in _WHOLE:
        _WHOLE[target.suffix](conversion, target, force)
    else:
        write = write_aot if aot else _GRAPHS[target.suffix]
        write(conversion, target, what, dtype, rank, force)
    return target

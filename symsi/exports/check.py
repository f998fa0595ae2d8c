"""Trust, but re-load: an exported file is run in a fresh process and held against multiprecision values.

For .py, .pt2 and .onnx that process cannot import symsi at all.
"""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import mpmath
import torch
from sympy import Rational

from symsi.errors import SymsiError
from symsi.exports.graph import DTYPES
from symsi.exports.module import reference
from symsi.theory.conversion import FIELDS, Conversion

__all__ = ["Checked", "check", "run_alone"]

_ALLOWED = 4.0  # ulp
_ALLOWED_FLOAT64 = 2.0**22  # 1e-9: coefficients are computed in float64, so nothing is left over to round

_ALONE = """
import json, sys
sys.modules["symsi"] = None  # importing it is an error from here on
import torch
job = json.load(sys.stdin)
dtypes = [getattr(torch, d) for d in job["dtypes"]]
inputs = [torch.tensor(v, dtype=d) for v, d in zip(job["inputs"], dtypes)]
path = job["path"]
if job["kind"] == "py":
    import importlib.util
    spec = importlib.util.spec_from_file_location("exported", path)
    exported = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(exported)
    function = getattr(exported, job["what"])
elif job["kind"] == "aot":
    function = torch._inductor.aoti_load_package(path)
elif job["kind"] == "pt2":
    function = torch.export.load(path).module()
else:
    import onnxruntime
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [i.name for i in session.get_inputs()]
    def function(*tensors):
        found = session.run(None, {n: v.numpy() for n, v in zip(names, tensors)})
        found = dict(zip(job["outputs"], map(torch.from_numpy, found)))
        return found if job["what"] == "coefficients" else found[job["outputs"][0]]
found = function(*inputs)
if not isinstance(found, dict):
    found = {job["outputs"][0]: found}
print(json.dumps({k: v.double().flatten().tolist() for k, v in found.items()}))
"""
_JSON = """
import json, sys
from symsi.exports.document import read_json
job = json.load(sys.stdin)
from symsi.exports.module import reference
print(json.dumps(reference(read_json(job["path"]))[1]))
"""
_TEX = """
import json, re, sys
from matplotlib.mathtext import MathTextParser
text = open(json.load(sys.stdin)["path"], encoding="utf-8").read()
body = re.search(r"begin{aligned}(.*?)end{aligned}", text, re.S).group(1).rstrip(chr(92))
lines = [piece for line in body.split(chr(92) * 2) for piece in line.split("&") if piece.strip()]
lines += re.findall(r"[$]([^$]+)[$]", text[text.index("end{aligned}"):].partition("subsection")[2])
count = 0
for line in lines:
    MathTextParser("agg").parse("$" + line.strip().replace(chr(92) + "text{with }", "") + "$")
    count += 1
print(json.dumps(count))
"""


@dataclass(frozen=True)
class Checked:
    """What the fresh process found: the worst error in ulp of `dtype`, or, for LaTeX, how many formulas it read."""

    file: Path
    worst_ulp: float
    where: str
    values: int
    allowed: float = _ALLOWED

    @property
    def good(self) -> bool:
        """Whether the worst error is allowed."""
        return self.worst_ulp <= self.allowed

    def __str__(self) -> str:
        if self.file.suffix == ".tex":
            return f"{self.file}: {self.values} formulas, all typeset by matplotlib"
        return f"{self.file}: {self.values} values, worst error {self.worst_ulp:.2f} ulp{self.where}"


def check(
    conversion: Conversion, path: Path, what: str = "drift", *, aot: bool = False, dtype: str = "float32", rank: int = 4
) -> Checked:
    """Run the file and compare with multiprecision values. Raises SymsiError where it cannot be run."""
    if path.suffix == ".tex":
        return Checked(path, 0.0, "", int(_run(_TEX, {"path": str(path)})))
    if path.suffix == ".json":
        _, truth = reference(conversion)
        found = _run(_JSON, {"path": str(path)})
        return _compare(path, found, {n: [(v, v) for v in column] for n, column in truth.items()}, torch.float64)
    if path.suffix == ".onnx" and dtype == "bfloat16":
        raise SymsiError("onnxruntime takes numpy arrays, which have no bfloat16; pass --no-check.")
    if path.suffix == ".py":
        parts = [_evaluate(conversion, path, w, "py", "float32", 2) for w in ("coefficients", *FIELDS, "step")]
        worst = max(parts, key=lambda c: c.worst_ulp)
        return Checked(path, worst.worst_ulp, worst.where, sum(c.values for c in parts))
    return _evaluate(conversion, path, what, "aot" if aot else path.suffix[1:], dtype, rank)


def _evaluate(conversion: Conversion, path: Path, what: str, kind: str, dtype: str, rank: int) -> Checked:
    x_type, t_type = DTYPES[dtype], torch.float64 if dtype == "float64" else torch.float32
    raw, _ = reference(conversion)
    times = _rounded([s for s in raw if s >= conversion.start_time], t_type)
    times = [s for s in times if conversion.start_time <= s <= 1]
    draw = random.Random(0)  # noqa: S311 - test data
    values = {n: _rounded([draw.gauss(0, 1) for _ in times], x_type) for n in ("prediction", "x", "noise")}
    steps = _rounded([draw.random() for _ in times], t_type)
    nested = {n: [_deep(v, rank - 1) for v in column] for n, column in values.items()}
    inputs: list[Any] = [nested["prediction"], nested["x"], times]
    kinds = [dtype, dtype, str(t_type).removeprefix("torch.")]
    if what == "coefficients":
        inputs, kinds = [times], kinds[2:]
    elif what == "step":
        inputs, kinds = [*inputs[:2], nested["noise"], times, steps], [dtype, dtype, dtype, kinds[2], kinds[2]]
    rows = [_exact(conversion, time) for time in times]
    truth: dict[str, list[tuple[Any, Any] | tuple[None, None]]]
    if what == "coefficients":
        truth = {n: [(r[n], r[n]) for r in rows] for n in conversion.coefficients}
    else:
        data = zip(rows, values["prediction"], values["x"], values["noise"], steps, strict=True)
        truth = {what: [_field(what, r, p, x, n, h) for r, p, x, n, h in data]}
    job = {"kind": kind, "path": str(path), "what": what, "inputs": inputs, "dtypes": kinds, "outputs": list(truth)}
    return _compare(path, run_alone(job), truth, t_type if what == "coefficients" else x_type, times)


def _exact(conversion: Conversion, time: float) -> Mapping[str, Any]:
    names = tuple(conversion.coefficients)
    end = 0 if time == conversion.start_time else 1 if time == 1 else None
    if end is None:
        return conversion.evaluate_all(Rational(time), names)
    return {n: conversion.end_value(n, end) for n in names}


def _field(
    what: str, row: Mapping[str, Any], p: float, x: float, n: float, h: float
) -> tuple[Any, Any] | tuple[None, None]:
    """The exact value and the size of its largest term, whose spacing is the unit of error."""
    name = "drift" if what == "step" else what
    point_mass = row["scale"] == 0
    a = row[f"{name}_input" if point_mass else f"{name}_state"]
    b, epsilon = row[f"{name}_prediction"], row["diffusion"]
    if a is None or b is None or (what == "step" and epsilon is None):
        return None, None
    with mpmath.workdps(50):
        terms = [a * mpmath.mpf(x), b * mpmath.mpf(p)]
        if what == "step":
            terms = [
                mpmath.mpf(0 if point_mass else x),
                *(mpmath.mpf(h) * v for v in terms),
                mpmath.sqrt(2 * epsilon * h) * n,
            ]
        return sum(terms), max(map(abs, terms))


def _compare(
    path: Path,
    found: Mapping[str, Sequence[float]],
    truth: Mapping[str, Sequence[tuple[Any, Any]]],
    dtype: torch.dtype,
    times: Sequence[float] = (),
) -> Checked:
    info = torch.finfo(dtype)
    worst, where, count = 0.0, "", 0
    for name, column in truth.items():
        for k, (value, size) in enumerate(column):
            if value is None or abs(value) > info.max:  # no limit, or no such number in this dtype
                continue
            count += 1
            got = found[name][k]
            unit = float(info.eps) * 2.0 ** math.floor(
                math.log2(max(float(abs(size)), float(info.tiny)) if size else 1.0)
            )
            with mpmath.workdps(50):
                error = float(abs(mpmath.mpf(got) - value)) / unit if math.isfinite(got) else math.inf
            if error > worst:
                worst, where = error, f" of {str(dtype)[6:]}, {name}" + (f" at t = {times[k]:.6g}" if times else "")
    return Checked(path, worst, where, count, _ALLOWED_FLOAT64 if dtype == torch.float64 else _ALLOWED)


def run_alone(job: Mapping[str, Any]) -> Mapping[str, Sequence[float]]:
    """Run an exported file where symsi cannot be imported, and return its outputs by name, as `_ALONE` reads the job.

    Raises SymsiError where it does not run, or onnxruntime is missing.
    """
    if job["kind"] == "onnx" and find_spec("onnxruntime") is None:
        raise SymsiError("checking ONNX needs onnxruntime: pip install symsi[export], or pass --no-check.")
    found: Mapping[str, Sequence[float]] = _run(_ALONE, job)
    return found


def _run(script: str, job: Mapping[str, Any]) -> Any:
    done = subprocess.run(  # noqa: S603 - our own interpreter and script
        [sys.executable, "-c", script], input=json.dumps(job), capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise SymsiError(f"{job['path']} does not run in a fresh process: {last}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def _rounded(values: Sequence[float], dtype: torch.dtype) -> list[float]:
    found: list[float] = torch.tensor(values, dtype=torch.float64).to(dtype).double().tolist()
    return found


def _deep(value: float, depth: int) -> Any:
    return value if depth == 0 else [_deep(value, depth - 1)]

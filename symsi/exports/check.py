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
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import mpmath
import torch
from sympy import Rational

from symsi.errors import SymsiError
from symsi.exports.graph import DTYPES
from symsi.exports.module import ZERO, reference
from symsi.theory.bridge import Bridge
from symsi.theory.conversion import FIELDS, Conversion
from symsi.theory.functions import Formulas

__all__ = ["Checked", "check", "run_alone"]

_ALLOWED = 4.0  # ulp
_FLAT = ("t", "dt")  # one a sample, whatever the shape of x
_ALLOWED_FLOAT64 = 2.0**22  # 1e-9: coefficients are computed in float64, so nothing is left over to round

_ALONE = """
import json, sys
sys.modules["symsi"] = None  # importing it is an error from here on
import torch

def load(job):
    path = job["path"]
    if job["kind"] == "py":
        import importlib.util
        spec = importlib.util.spec_from_file_location("exported", path)
        exported = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(exported)
        return getattr(exported, job["what"])
    if job["kind"] == "aot":
        return torch._inductor.aoti_load_package(path)
    if job["kind"] == "pt2":
        return torch.export.load(path).module()
    import onnxruntime
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    taken = {i.name for i in session.get_inputs()}  # without those that the function does not use
    def function(*tensors):
        found = session.run(None, {n: v.numpy() for n, v in zip(job["names"], tensors) if n in taken})
        found = dict(zip(job["outputs"], map(torch.from_numpy, found)))
        return found if job["what"] == "coefficients" else found[job["outputs"][0]]
    return function

def run(job):
    dtypes = [getattr(torch, d) for d in job["dtypes"]]
    found = load(job)(*(torch.tensor(v, dtype=d) for v, d in zip(job["inputs"], dtypes)))
    if not isinstance(found, dict):
        found = {job["outputs"][0]: found}
    return {k: v.double().flatten().tolist() for k, v in found.items()}

print(json.dumps([run(job) for job in json.load(sys.stdin)]))
"""
_JSON = """
import json, sys
from symsi.exports.document import read_json
job = json.load(sys.stdin)
from symsi.exports.module import reference
read = read_json(job["path"])
print(json.dumps(reference(getattr(read, "functions", read))[1]))
"""
_TEX = """
import json, re, sys
from matplotlib.mathtext import MathTextParser
text = open(json.load(sys.stdin)["path"], encoding="utf-8").read()
slash = "[" + chr(92) * 2 + "]"
in_pieces = slash + "begin[{]cases[}](.*?)" + slash + "end[{]cases[}]"  # which matplotlib cannot set: a row of them
text = re.sub(in_pieces, lambda m: m[1].replace("&", ",").replace(chr(92) * 2, ";"), text, flags=re.S)
body = re.search(r"begin{aligned}(.*?)end{aligned}", text, re.S).group(1).rstrip(chr(92))
lines = [piece for line in body.split(chr(92) * 2) for piece in line.split("&") if piece.strip()]
lines += re.findall(r"[$]([^$]+)[$]", text[text.index("end{aligned}"):].partition("subsection")[2])
count = 0
for line in lines:
    MathTextParser("agg").parse("$" + re.sub(slash + "text[{][a-z ]*[}]", "", line.strip()) + "$")
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
    given: Conversion | Bridge,
    path: Path,
    what: str | None = None,
    *,
    aot: bool = False,
    dtype: str = "float32",
    rank: int = 4,
) -> Checked:
    """Run the file and compare with multiprecision values; `what` is as for `export`.

    Raises SymsiError where it cannot be run.
    """
    formulas = given.functions if isinstance(given, Bridge) else given
    if path.suffix == ".tex":
        return Checked(path, 0.0, "", int(_run(_TEX, {"path": str(path)})))
    if path.suffix == ".json":
        _, truth = reference(formulas)
        found = _run(_JSON, {"path": str(path)})
        return _compare(path, found, {n: [(v, v) for v in column] for n, column in truth.items()}, torch.float64)
    if path.suffix == ".onnx" and dtype == "bfloat16":
        raise SymsiError("onnxruntime takes numpy arrays, which have no bfloat16; pass --no-check.")
    if path.suffix == ".py":
        whole = given.fields if isinstance(given, Bridge) else (*FIELDS, "step")
        parts = _evaluate(given, path, ("coefficients", *whole), "py", "float32", 2)
        worst = max(parts, key=lambda c: c.worst_ulp)
        return Checked(path, worst.worst_ulp, worst.where, sum(c.values for c in parts))
    what = what or ("forward" if isinstance(given, Bridge) else "drift")
    (found,) = _evaluate(given, path, (what,), "aot" if aot else path.suffix[1:], dtype, rank)
    return found


def _evaluate(
    given: Conversion | Bridge, path: Path, functions: Sequence[str], kind: str, dtype: str, rank: int
) -> list[Checked]:
    """Run functions of one file, all in one process, and compare each."""
    x_type, t_type = DTYPES[dtype], torch.float64 if dtype == "float64" else torch.float32
    formulas = given.functions if isinstance(given, Bridge) else given
    predictions = ("first", "second") if isinstance(given, Bridge) else ("prediction",)
    raw, _ = reference(formulas)
    times = _rounded([s for s in raw if s >= formulas.start_time], t_type)
    times = [s for s in times if formulas.start_time <= s <= 1]
    draw = random.Random(0)  # noqa: S311 - test data
    values = {n: _rounded([draw.gauss(0, 1) for _ in times], x_type) for n in (*predictions, "x", "noise")}
    values |= {"t": times, "dt": _rounded([draw.random() for _ in times], t_type)}
    rows = [_exact(formulas, time) for time in times]
    points = [{name: column[k] for name, column in values.items()} for k in range(len(times))]
    of_field = partial(_bridge_field, given) if isinstance(given, Bridge) else _field
    jobs, truths = [], []
    for what in functions:
        names = (*predictions, "x", "noise", "t", "dt") if what == "step" else (*predictions, "x", "t")
        truth: dict[str, list[tuple[Any, Any] | tuple[None, None]]]
        if what == "coefficients":
            names, truth = ("t",), {n: [(r[n], r[n]) for r in rows] for n in formulas.coefficients}
        else:
            truth = {what: [of_field(what, row, point) for row, point in zip(rows, points, strict=True)]}
        jobs.append(
            {
                "kind": kind,
                "path": str(path),
                "what": what,
                "names": names,
                "inputs": [values[n] if n in _FLAT else [_deep(v, rank - 1) for v in values[n]] for n in names],
                "dtypes": [str(t_type).removeprefix("torch.") if n in _FLAT else dtype for n in names],
                "outputs": list(truth),
            }
        )
        truths.append(truth)
    found = zip(functions, run_alone(jobs), truths, strict=True)
    return [_compare(path, f, truth, t_type if w == "coefficients" else x_type, times) for w, f, truth in found]


def _exact(formulas: Formulas, time: float) -> Mapping[str, Any]:
    names = tuple(formulas.coefficients)
    end = 0 if time == formulas.start_time else 1 if time == 1 else None
    if end is None:
        row = formulas.evaluate_all(Rational(time), names)
        return {n: v if abs(v) > ZERO else mpmath.mpf(0) for n, v in row.items()}
    return {n: formulas.end_value(n, end) for n in names}


def _field(what: str, row: Mapping[str, Any], point: Mapping[str, float]) -> tuple[Any, Any] | tuple[None, None]:
    """The exact value and the size of its largest term, whose spacing is the unit of error."""
    name = "drift" if what == "step" else what
    point_mass = row["scale"] == 0
    a = row[f"{name}_input" if point_mass else f"{name}_state"]
    b, epsilon = row[f"{name}_prediction"], row["diffusion"]
    if a is None or b is None or (what == "step" and epsilon is None):
        return None, None
    with mpmath.workdps(50):
        terms = [a * mpmath.mpf(point["x"]), b * mpmath.mpf(point["prediction"])]
        if what == "step":
            h = mpmath.mpf(point["dt"])
            terms = [
                mpmath.mpf(0 if point_mass else point["x"]),
                *(h * v for v in terms),
                mpmath.sqrt(2 * epsilon * h) * point["noise"],
            ]
        return sum(terms), max(map(abs, terms))


def _bridge_field(
    bridge: Bridge, what: str, row: Mapping[str, Any], point: Mapping[str, float]
) -> tuple[Any, Any] | tuple[None, None]:
    """The same of F = F_state x + F_P P + F_Q Q."""
    parts = [row[f"{what}_{part}"] for part in ("state", *bridge.given)]
    if None in parts:
        return None, None
    with mpmath.workdps(50):
        terms = [c * mpmath.mpf(point[name]) for c, name in zip(parts, ("x", "first", "second"), strict=True)]
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


def run_alone(jobs: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Sequence[float]]]:
    """Run exported files in one process that cannot import symsi; return outputs by name of each job of `_ALONE`.

    Raises SymsiError where they do not run, or onnxruntime is missing.
    """
    if any(job["kind"] == "onnx" for job in jobs) and find_spec("onnxruntime") is None:
        raise SymsiError("checking ONNX needs onnxruntime: pip install symsi[export], or pass --no-check.")
    found: list[Mapping[str, Sequence[float]]] = _run(_ALONE, jobs)
    return found


def _run(script: str, job: Any) -> Any:
    done = subprocess.run(  # noqa: S603 - our own interpreter and script
        [sys.executable, "-c", script], input=json.dumps(job), capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        path = (job[0] if isinstance(job, list) else job)["path"]
        raise SymsiError(f"{path} does not run in a fresh process: {last}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def _rounded(values: Sequence[float], dtype: torch.dtype) -> list[float]:
    found: list[float] = torch.tensor(values, dtype=torch.float64).to(dtype).double().tolist()
    return found


def _deep(value: float, depth: int) -> Any:
    return value if depth == 0 else [_deep(value, depth - 1)]

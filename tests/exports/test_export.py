"""Exported files: run elsewhere, checked, atomic, and refused where they must be."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from symsi.coefficients.kernels import kernels
from symsi.coefficients.two_sided import bridge_kernels
from symsi.errors import SymsiError, UnknownNameError
from symsi.exports.by_suffix import SUFFIXES, export
from symsi.exports.check import check
from symsi.exports.document import read_json
from symsi.exports.graph import load_aot
from symsi.interpolants.lazy import lazy_schedule
from symsi.interpolants.schedule import Schedule
from symsi.interpolants.two_sided import Interpolant
from symsi.theory.bridge import bridge
from symsi.theory.conversion import Conversion, convert
from symsi.theory.record import from_record, record

USER = Schedule("(1-t)*(1+t/3)", "t*exp(t-1)")


def lazy() -> Conversion:
    return convert("linear", "lazy(kappa=1)", "optimal")


@pytest.mark.parametrize("suffix", [".py", ".tex", ".json"])
@pytest.mark.parametrize(
    "name", ["linear to lazy", *(pytest.param(n, marks=pytest.mark.slow) for n in ("implicit", "truncated"))]
)
def test_whole_conversions_survive_a_fresh_process(tmp_path: Path, suffix: str, name: str) -> None:
    conversion = {
        "linear to lazy": lazy(),
        "implicit": convert(USER, "vp", "alpha"),
        "truncated": convert("edm", "linear"),
    }[name]
    found = check(conversion, export(conversion, tmp_path / f"file{suffix}"))
    assert found.good, str(found)
    assert found.values > 10


@pytest.mark.parametrize(
    ("what", "dtype", "rank"),
    [("drift", "float32", 4), ("step", "bfloat16", 3), ("coefficients", "float64", 1), ("velocity", "float16", 2)],
)
def test_pt2_runs_where_symsi_cannot_be_imported(tmp_path: Path, what: str, dtype: str, rank: int) -> None:
    path = export(lazy(), tmp_path / "f.pt2", what, dtype=dtype, rank=rank)
    found = check(lazy(), path, what, dtype=dtype, rank=rank)
    assert found.good, str(found)


@pytest.mark.parametrize(
    ("what", "base", "target"),
    [
        ("drift", "linear", "lazy(kappa=1)"),
        pytest.param("coefficients", "trigonometric", "linear", marks=pytest.mark.slow),
        ("step", "cosine", "vp"),
        ("score", "ve", "trigonometric"),
    ],
)
def test_onnx_runs_in_onnxruntime(tmp_path: Path, what: str, base: str, target: str) -> None:
    conversion = convert(base, target, "optimal")
    found = check(conversion, export(conversion, tmp_path / "f.onnx", what), what)
    assert found.good, str(found)


def test_a_function_that_onnxruntime_lacks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SymsiError, match="erf cannot be written for onnx"):
        export(Schedule("1-t", "erf(t)/erf(1)"), tmp_path / "f.onnx")
    assert list(tmp_path.iterdir()) == []


def test_shapes_and_batch_stay_dynamic(tmp_path: Path) -> None:
    program = torch.export.load(export(lazy(), tmp_path / "f.pt2")).module()
    compiled = kernels(lazy())
    for shape in ((1, 1, 1, 1), (5, 3, 2, 7)):
        x, p, t = torch.randn(shape), torch.randn(shape), torch.rand(shape[0])
        torch.testing.assert_close(program(p, x, t), compiled.drift(p, x, t))


@pytest.mark.slow
def test_an_aot_package_runs_and_refuses_what_it_would_get_wrong(tmp_path: Path) -> None:
    path = export(lazy(), tmp_path / "f.pt2", aot=True, rank=2)
    assert check(lazy(), path, aot=True, rank=2).good
    package = load_aot(path)
    x, p, t = torch.randn(4, 6), torch.randn(4, 6), torch.rand(4)
    torch.testing.assert_close(package(p, x, t), kernels(lazy()).drift(p, x, t))
    for wrong in ((p.double(), x, t), (p, x[None], t), (p, x, t[:2]), (p, x, t.double())):
        with pytest.raises(SymsiError):
            package(*wrong)
    with pytest.raises(SymsiError, match="3 inputs"):
        package(x, t)


def test_the_module_checks_itself_and_knows_nothing_of_symsi(tmp_path: Path) -> None:
    path = export(lazy(), tmp_path / "lazy.py")
    text = path.read_text()
    assert "import symsi" not in text
    assert r"\bar\varepsilon_t &= \frac{1}{2}" in text
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "worst error 0.50 ulp" in done.stdout


def test_a_broken_module_fails_its_self_check(tmp_path: Path) -> None:
    path = export(lazy(), tmp_path / "lazy.py")
    path.write_text(path.read_text().replace("tau = t/", "tau = 1.001*t/"))
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert not check(lazy(), path).good


def test_values_beyond_float32_fail_no_self_check(tmp_path: Path) -> None:
    path = export(Schedule("(1-t)**4", "t"), tmp_path / "p.py")
    assert subprocess.run([sys.executable, str(path)], capture_output=True, check=False).returncode == 0


def test_a_name_from_outside_cannot_end_the_docstring(tmp_path: Path) -> None:
    evil = Schedule("1-t", "t", name='x"""\nimport os; os.abort()\n"""')
    path = export(convert(evil, "vp"), tmp_path / "f.py")
    assert "\nimport os" not in path.read_text()
    assert subprocess.run([sys.executable, str(path)], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("name", ["lazy", "implicit", "symbolic", "kappa"])
def test_json_reads_back_to_the_same_conversion(tmp_path: Path, name: str) -> None:
    conversion = {
        "lazy": lazy(),
        "implicit": convert(USER, "vp", "t*(1-t)"),
        "symbolic": convert("linear", lazy_schedule(kappa=1, variance=None), "optimal"),
        "kappa": convert("vp", "linear", "kappa=1/2", "noise"),
    }[name]
    assert read_json(export(conversion, tmp_path / "f.json")) == conversion


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("format", "other/1", "format"),
        ("epsilon", "__import__('os')", "cannot|unknown|not"),
        ("prediction", "momentum", "unknown"),
        ("coefficients", {}, "edited"),
        ("schedule", {"alpha": "1-t"}, "malformed"),
        ("schedule", 3, "malformed"),
        ("coefficients", ["scale"], "malformed"),
        ("drift", "1/0", "drift in the file"),
        ("limits", {}, "limits in the file"),
        ("remark", "trust me", "'remark' in the file is no part"),
    ],
)
def test_a_tampered_json_is_refused(tmp_path: Path, key: str, value: object, message: str) -> None:
    path = export(lazy(), tmp_path / "f.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(SymsiError, match=message):
        read_json(path)


@pytest.mark.parametrize("side", ["schedule", "target"])
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("noise_scale", "2"),
        ("noise_scale", "1 + 0"),
        ("data_scale", "2"),
        ("kind", "certain"),
        ("evidence", {"alpha > 0": "proved"}),
        ("parameters", ["n"]),
        ("alpha", "1 - t + 0"),
        ("remark", ""),
    ],
)
@pytest.mark.parametrize("pair", [("linear", "lazy(kappa=1)"), ("ve", "vp"), ("lazy(kappa=1/2)", "edm")], ids=" ".join)
def test_a_schedule_whose_record_is_changed_is_refused(
    tmp_path: Path, pair: tuple[str, str], key: str, value: object, side: str
) -> None:
    data = record(convert(*pair))
    with pytest.raises(SymsiError):
        from_record({**data, side: {**data[side], key: value}})


def test_a_changed_formula_is_named(tmp_path: Path) -> None:
    path = export(lazy(), tmp_path / "f.json")
    data = json.loads(path.read_text())
    for bad in ("1/3", "t.__class__", "2**(2**(2**99))", 5):
        path.write_text(json.dumps({**data, "coefficients": {**data["coefficients"], "diffusion": bad}}))
        with pytest.raises(SymsiError, match="diffusion in the file"):
            read_json(path)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"[]", b"null"])
def test_what_is_no_json_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "f.json"
    path.write_bytes(content)
    with pytest.raises(SymsiError):
        read_json(path)
    with pytest.raises(SymsiError, match="cannot read"):
        read_json(tmp_path / "missing.json")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_nothing_is_overwritten_unasked_and_nothing_half_written(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"f{suffix}"
    path.write_text("mine")
    with pytest.raises(SymsiError, match="exists"):
        export(convert("linear", "vp"), path)
    with pytest.raises(SymsiError, match="cannot write"):
        export(convert("linear", "vp"), tmp_path / "no" / f"f{suffix}")
    assert path.read_text() == "mine"
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        export(convert("linear", "vp"), path, force=True)
    assert path.read_text() == "mine"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_bad_requests_are_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SymsiError, match=r"suffix must be one of \.py, \.pt2"):
        export(lazy(), tmp_path / "f.txt")
    with pytest.raises(SymsiError, match=r"suffix \.pt2"):
        export(lazy(), tmp_path / "f.py", aot=True)
    with pytest.raises(UnknownNameError, match="'drift'"):
        export(lazy(), tmp_path / "f.pt2", "drifft")
    with pytest.raises(UnknownNameError, match="'float32'"):
        export(lazy(), tmp_path / "f.pt2", dtype="flaot32")
    with pytest.raises(SymsiError, match="rank"):
        export(lazy(), tmp_path / "f.pt2", rank=0)
    with pytest.raises(SymsiError, match="symbolic"):
        export(convert("linear", lazy_schedule(kappa=1, variance=None)), tmp_path / "f.py")
    monkeypatch.setattr("symsi.exports.graph.find_spec", lambda name: None)
    with pytest.raises(SymsiError, match=r"pip install symsi\[export\]"):
        export(lazy(), tmp_path / "f.onnx")
    for name in ("a" * 300 + ".json", "a\0.json"):
        with pytest.raises(SymsiError, match="cannot write"):
            export(lazy(), tmp_path / name)
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(SymsiError, match=r"C\+\+ compiler"):
        export(lazy(), tmp_path / "f.pt2", aot=True)
    assert list(tmp_path.iterdir()) == []


BRIDGE = ("linear(gamma=brownian(a=2))", "gamma/2")


def test_a_bridge_is_a_module_that_checks_itself_and_gives_the_same_fields(tmp_path: Path) -> None:
    b = bridge(*BRIDGE)
    path = export(b, tmp_path / "bridge.py")
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "worst error 0." in done.stdout
    space: dict[str, Any] = {"__name__": "exported"}
    exec(path.read_text(), space)
    x, v, latent = torch.randn(3, 4, 2, dtype=torch.float64).unbind()
    for t in (0.3, torch.rand(4, dtype=torch.float64)):
        for kind in b.fields:
            torch.testing.assert_close(space[kind](v, latent, x, t), bridge_kernels(b).field(kind, x, v, latent, t))


@pytest.mark.parametrize("suffix", [".pt2", ".onnx"])
def test_a_bridges_drift_is_a_graph_of_two_predictions(tmp_path: Path, suffix: str) -> None:
    b = bridge(*BRIDGE)
    path = export(b, tmp_path / f"bridge{suffix}", rank=2)
    x, v, latent = torch.randn(3, 5, 3).unbind()
    t = torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0])
    if suffix == ".pt2":
        found = torch.export.load(path).module()(v, latent, x, t)
    else:
        runtime = pytest.importorskip("onnxruntime")
        session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        inputs = {"first": v.numpy(), "second": latent.numpy(), "x": x.numpy(), "t": t.numpy()}
        taken = {i.name for i in session.get_inputs()}
        found = torch.from_numpy(session.run(None, {k: value for k, value in inputs.items() if k in taken})[0])
    torch.testing.assert_close(found, v - latent / 2)


def test_a_bridge_is_a_page_and_a_record(tmp_path: Path) -> None:
    b = bridge(*BRIDGE)
    assert "Proof (proved)" in export(b, tmp_path / "bridge.tex").read_text()
    assert read_json(export(b, tmp_path / "bridge.json")) == b
    with pytest.raises(UnknownNameError, match=r"'drift'.*forward"):
        export(b, tmp_path / "drift.pt2", "drift")


BRIDGES = {
    "linear": bridge(*BRIDGE),
    "written out": bridge(Interpolant("1-t**2", "t", "t*(1-t)"), "gamma", ("score", "ends")),
    "in pieces": bridge("encoding-decoding(gamma=brownian)", "gamma"),
}


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("written out", ".py"), ("written out", ".json"), *(("in pieces", s) for s in (".py", ".tex", ".json"))],
)
def test_whole_bridges_survive_a_fresh_process(tmp_path: Path, name: str, suffix: str) -> None:
    b = BRIDGES[name]
    path = export(b, tmp_path / f"bridge{suffix}")
    found = check(b, path)
    assert found.good, str(found)
    assert found.values > 10
    if suffix == ".json":
        assert read_json(path) == b


@pytest.mark.parametrize(
    ("suffix", "what", "dtype", "rank"),
    [(".pt2", "x1", "bfloat16", 3), (".onnx", None, "float32", 2), (".onnx", "coefficients", "float64", 1)],
)
def test_graphs_of_bridges_survive_a_fresh_process(
    tmp_path: Path, suffix: str, what: str | None, dtype: str, rank: int
) -> None:
    if suffix == ".onnx":
        pytest.importorskip("onnxruntime")
    b = BRIDGES["written out"]
    found = check(b, export(b, tmp_path / f"f{suffix}", what, dtype=dtype, rank=rank), what, dtype=dtype, rank=rank)
    assert found.good, str(found)
    assert found.values > 8


def test_the_check_of_a_bridge_sees_predictions_that_change_places_and_a_wrong_coefficient(tmp_path: Path) -> None:
    b = BRIDGES["linear"]
    path = export(b, tmp_path / "bridge.py")
    text = path.read_text()
    for right, wrong in (
        ("def forward(velocity, latent, x, t)", "def forward(latent, velocity, x, t)"),
        ("return mix(torch.ones_like", "return 1.001 * mix(torch.ones_like"),
    ):
        assert right in text
        path.write_text(text.replace(right, wrong))
        assert not check(b, path).good
    assert not check(bridge(BRIDGE[0], "gamma/3"), export(b, tmp_path / "f.pt2", rank=2), rank=2).good


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("epsilon", "__import__('os')", "unknown function"),
        ("epsilon", "gamma", "does not follow"),
        ("given", ["velocity"], "malformed"),
        ("given", ["velocity", "noise"], "unknown"),
        ("interpolant", 3, "malformed"),
        ("interpolant", {"name": "x", "alpha": "1-t", "beta": "t", "gamma": "Piecewise((t, t < 1))"}, "cannot read"),
        ("coefficients", {}, "'coefficients' in the file does not follow"),
        ("remark", "trust me", "'remark' in the file does not follow"),
    ],
)
def test_a_tampered_record_of_a_bridge_is_refused(tmp_path: Path, key: str, value: object, message: str) -> None:
    path = export(BRIDGES["linear"], tmp_path / "f.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(SymsiError, match=message):
        read_json(path)

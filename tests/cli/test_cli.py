"""The command line as a user meets it: output, JSON, exit codes, refusals without tracebacks."""

import io
import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sympy as sp

from symsi.cli import main


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "symsi", *arguments], capture_output=True, text=True, check=False)


def in_process(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str
) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["symsi", *arguments])
    code = 0
    try:
        main()
    except SystemExit as stop:
        code = int(stop.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


def test_help_answers_without_sympy_torch_or_matplotlib_and_teaches() -> None:
    code = (
        "import sys; sys.argv = ['symsi', '--help']\n"
        "from symsi.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'sympy', 'matplotlib', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Examples:" in done.stdout
    assert "derive" in done.stdout


def test_importing_symsi_loads_nothing_heavy() -> None:
    code = "import sys, symsi; assert not {'torch', 'sympy', 'matplotlib', 'numpy'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("command", ["derive", "verify", "export", "bench", "report"])
def test_each_command_has_help_with_an_example(command: str) -> None:
    done = run(command, "--help")
    assert done.returncode == 0
    assert "Examples:" in done.stdout
    assert f"symsi {command}" in done.stdout


def test_derive_prints_formulas_and_limits(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, err = in_process(
        capsys, monkeypatch, "derive", "--from", "linear", "--to", "lazy(kappa=1)", "--diffusion", "optimal"
    )
    assert (code, err) == (0, "")
    assert "epsilon   1/2" in out
    assert "drift" in out
    assert "~ 1/(2*sqrt(t))" in out


@pytest.mark.parametrize(
    "arguments",
    [
        ("--from", "linear", "--to", "lazy(kappa=1)", "--diffusion", "optimal"),
        ("--from", "ddpm", "--to", "vp", "--diffusion", "alpha"),
        ("--alpha", "(1-t)*(1+t/3)", "--beta", "t*exp(t-1)", "--to", "linear", "--diffusion", "kappa=0.5"),
        ("--alpha", "1-t**n", "--beta", "t**n", "--parameter", "n=3", "--prediction", "data"),
    ],
)
def test_the_json_of_derive_parses_back_to_the_same_expressions(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    code, out, _ = in_process(capsys, monkeypatch, "derive", *arguments, "--json")
    assert code == 0
    data = json.loads(out)
    for key in (
        "schedule",
        "target",
        "kind",
        "time",
        "scale",
        "diffusion",
        "drift",
        "velocity",
        "score",
        "limits",
        "latex",
    ):
        assert key in data
    formulas = [
        data[k] for k in ("time", "scale", "diffusion", "base_diffusion", "drift", "velocity", "score", "noise", "data")
    ]
    formulas += data["coefficients"].values()
    for text in formulas:
        assert sp.sstr(sp.sympify(text)) == text, text
    assert set(data["limits"]) == set(data["coefficients"])
    assert data["implicit"] == text_is_equation(data["time"])


def text_is_equation(text: str) -> bool:
    return text.startswith("Eq(")


DERIVE = ("derive", "--from", "linear", "--to", "lazy(kappa=1)", "--diffusion", "optimal")
VERIFY = ("verify", "--only", "T5", "--only", "T9")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no pdflatex here")
@pytest.mark.parametrize("arguments", [DERIVE, ("derive", "--from", "ddpm", "--to", "vp"), VERIFY], ids=" ".join)
def test_the_latex_that_is_printed_compiles(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    code, out, _ = in_process(capsys, monkeypatch, *arguments, "--latex")
    assert code == 0
    (tmp_path / "page.tex").write_text(out)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-2000:]
    wide = [float(points) for points in re.findall(r"Overfull \\hbox \((\d+)", done.stdout)]
    assert max(wide, default=0) < 40, "a formula leaves the page"


@pytest.mark.parametrize("arguments", [DERIVE, VERIFY], ids=" ".join)
def test_the_markdown_that_is_printed_has_closed_formulas_and_no_stray_markup(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    code, out, _ = in_process(capsys, monkeypatch, *arguments, "--markdown")
    assert code == 0
    assert out.startswith("# ")
    lines = out.splitlines()
    fences = [k for k, line in enumerate(lines) if line == "$$"]
    assert len(fences) % 2 == 0
    assert all(lines[k - 1] == "" for k in fences[::2])
    assert all(lines[k + 1] == "" for k in fences[1::2])
    formulas = [range(a, b + 1) for a, b in zip(fences[::2], fences[1::2], strict=True)]
    words = [line for k, line in enumerate(lines) if not any(k in f for f in formulas) and not line.startswith("|")]
    assert not [line for line in words if re.search(r"(?<!\\)[_$]|\w(?<!\\)\*(?!\*)|^    ", line)]


def test_one_way_to_print_is_asked_for_at_a_time(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for arguments in ((*DERIVE, "--json", "--latex"), (*VERIFY, "--markdown", "--steps")):
        code, out, err = in_process(capsys, monkeypatch, *arguments)
        assert (code, out) == (2, "")
        assert "give one of" in err


def test_verify_prints_the_json_that_is_promised(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = in_process(capsys, monkeypatch, "verify", "--only", "T9", "--only", "t5", "--json")
    assert code == 0
    data = json.loads(out)
    assert [p["id"] for p in data["theorems"]] == ["T9", "T5"]
    for p in data["theorems"]:
        assert p["proved"] is True
        assert p["numeric_points"] > 0
        assert p["max_residual"] < 1e-30
        assert p["statement"]
        assert {c["status"] for c in p["claims"]} <= {"covered", "cited"}
        assert all(c["steps"] if c["status"] == "covered" else c["citation"] for c in p["claims"])
        assert all(1 <= k <= p["steps"] for c in p["claims"] for k in (*c["steps"], *p["definitions"]))
    assert 0 < sum(p["seconds"] for p in data["theorems"]) <= data["seconds"] + 0.01


def test_verify_exits_with_one_when_a_theorem_fails(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("symsi.proofs.t09_lazy_condition.lazy_diffusion", lambda p, v: p.alpha)
    code, out, _ = in_process(capsys, monkeypatch, "verify", "--only", "T9")
    assert code == 1
    assert "refuted" in out


def test_verify_shows_what_each_claim_rests_on_and_which_steps_are_definitions(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = in_process(capsys, monkeypatch, *VERIFY)
    assert code == 0
    assert "T5   (c) W_bar is a Brownian motion. [cited: " in out
    assert (
        "T9   (c) With a mean, the same holds of the drift of the centred state x - beta m. [covered by step 5]" in out
    )
    assert "T9   mere definitions: 1" in out
    assert "10 claims: 9 covered, 1 cited, 0 open (90% covered)" in out


def test_verify_exits_with_one_when_a_claim_is_open(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("symsi.proofs.t09_lazy_condition.Derivation.cite", lambda *a: None)
    code, out, _ = in_process(capsys, monkeypatch, *VERIFY)
    assert code == 1
    assert "(c) W_bar is a Brownian motion. [open]" in out
    assert "2 of 2 proved" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("derive", "--from", "liner"), "Did you mean 'linear'"),
        (("derive", "--from", "linear", "--to", "lazy(kapa=1)"), "'kappa'"),
        (("derive", "--from", "linear", "--to", "lazy(kappa=-1)"), "kappa"),
        (("derive", "--from", "linear", "--to", "lazy(variance=0)"), "variance"),
        (("derive", "--from", "linear", "--diffusion", "-1"), "negative"),
        (("derive", "--from", "linear", "--diffusion", "kappa=-2"), "kappa"),
        (("derive", "--from", "linear", "--prediction", "v"), "Known"),
        (("derive",), "--from NAME"),
        (("derive", "--alpha", "1-t"), "--beta"),
        (("derive", "--from", "linear", "--to-alpha", "1-t"), "both --to-alpha and --to-beta"),
        (("derive", "--from", "linear", "--to", "vp", "--to-beta", "t"), "not both"),
        (("derive", "--to-alpha", "1-t", "--to-beta", "t"), "--from NAME"),
        (("derive", "--from", "polynomial", "--parameter", "n=3"), "polynomial(n=3)"),
        (("export", "--to-alpha", "1-t", "--to-beta", "t", "x.py"), "--from NAME"),
        (("derive", "--from", "linear", "--alpha", "1-t"), "not both"),
        (("derive", "--alpha", "1-t", "--beta", "t*(1-3.8*t+3.8*t**2)"), "must increase"),
        (("derive", "--alpha", "1-t**n", "--beta", "t"), "parameters="),
        (("derive", "--alpha", "1-t", "--beta", "t", "--parameter", "n"), "NAME=VALUE"),
        (("derive", "--alpha", "__import__('os').system('true')", "--beta", "t"), "not allowed"),
        (("derive", "--alpha", "9**9**9**9", "--beta", "t"), "exponent"),
        (("derive", "--alpha", "(" * 1000, "--beta", "t"), "bracket"),
        (("derive", "--interpolant", "linaer"), "Did you mean 'linear'"),
        (("derive", "--interpolant", "linear", "--gamma", "t"), "gamma must be 0 at t = 1"),
        (("derive", "--interpolant", "linear", "--gamma", "quadratic", "--to", "vp"), "--to is of a schedule"),
        (("derive", "--interpolant", "linear", "--given", "score,latent"), "say the same"),
        (("derive", "--interpolant", "linear", "--given", "score"), "two predictions"),
        (("derive", "--interpolant", "linear", "--diffusion", "gamma-1"), "not negative"),
        (("derive", "--gamma", "quadratic"), "--interpolant NAME"),
        (("derive", "--gamma", "t*(1-t)", "--alpha", "1-t"), "--alpha, --beta and --gamma"),
        (("verify", "--only", "T77"), "T7"),
        (("verfy",), "'verify'"),
        (("derive", "--nonsense"), "No such option"),
    ],
)
def test_bad_input_is_one_message_on_stderr_and_exit_code_two(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    started = time.perf_counter()
    code, out, err = in_process(capsys, monkeypatch, *arguments)
    assert code == 2
    assert out == ""
    assert err.startswith("symsi: ")
    assert err.count("\n") <= 2
    assert message in err
    assert "Traceback" not in err
    assert time.perf_counter() - started < 5


def test_a_target_is_named_or_written_out_alike(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    named = ("derive", "--from", "linear", "--to", "polynomial(n=3)", "--json")
    written = ("--to-alpha", "1-t**n", "--to-beta", "t**n", "--parameter", "n=3", "--json")
    data = [
        json.loads(in_process(capsys, monkeypatch, *arguments)[1])
        for arguments in (
            named,
            ("derive", "--from", "linear", *written),
            ("derive", "--alpha", "1-t**m", "--beta", "t**m", "--parameter", "m=1", *written),
        )
    ]
    assert data[0]["coefficients"] == data[1]["coefficients"] == data[2]["coefficients"]
    assert [d["target"]["name"] for d in data] == ["polynomial(n=3)", *2 * ["(alpha=1 - t**3, beta=t**3)"]]


BRIDGE = ("derive", "--interpolant", "linear", "--gamma", "sqrt(2*t*(1-t))", "--diffusion", "gamma")


def test_derive_prints_the_fields_between_two_laws(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = in_process(capsys, monkeypatch, *BRIDGE)
    assert code == 0
    assert "  forward    -eta_z + v" in out
    assert "  backward   eta_z + v" in out
    assert re.search(r"gamma_rate +1 - 2\*t", out)
    assert re.search(r"gamma_dot +~ sqrt\(2\)/\(2\*sqrt\(t\)\)", out)


def test_derive_writes_a_bridge_as_json_latex_and_markdown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = in_process(capsys, monkeypatch, *BRIDGE, "--json")
    assert code == 0
    assert json.loads(out)["fields"]["forward"] == "-eta_z + v"
    code, out, _ = in_process(capsys, monkeypatch, *BRIDGE, "--latex")
    assert code == 0
    assert out.startswith("\\documentclass")
    assert "Proof (proved)" in out
    code, out, _ = in_process(capsys, monkeypatch, *BRIDGE, "--markdown")
    assert code == 0
    assert out.startswith("# Fields of linear")


def test_derive_takes_an_interpolant_written_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = ("--alpha", "1-t**n", "--beta", "t", "--gamma", "t*(1-t)", "--parameter", "n=2")
    code, out, _ = in_process(capsys, monkeypatch, "derive", *written, "--given", "ends,score", "--json")
    assert code == 0
    assert json.loads(out)["interpolant"]["alpha"] == "1 - t**2"
    assert json.loads(out)["given"] == ["ends", "score"]


def test_export_and_report_take_a_target_as_derive_does() -> None:
    for command in ("derive", "export", "report"):
        words = run(command, "--help").stdout.split()
        for option in ("--from", "--alpha", "--beta", "--to", "--to-alpha", "--to-beta", "--parameter", "--diffusion"):
            assert option in words, (command, option)


def test_export_of_many_files_shows_progress_on_stderr_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    files = [str(tmp_path / name) for name in ("a.json", "b.json")]
    _, out, _ = in_process(capsys, monkeypatch, "export", "--no-check", "--from", "linear", *files)
    assert "exporting" in terminal.getvalue()
    assert out.splitlines() == [f"{file}: written, not checked" for file in files]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full device is Linux's")
def test_an_output_that_cannot_be_written_is_one_message() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "symsi", "derive", "--from", "linear"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (2, "symsi: cannot write the output: no space left on device.\n")


def test_export_writes_checks_and_says_how_good(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f.py"
    arguments = ("export", "--from", "linear", "--to", "vp", "--diffusion", "optimal", str(path))
    code, out, _ = in_process(capsys, monkeypatch, *arguments)
    assert code == 0
    assert "ulp of float32" in out
    code, out, err = in_process(capsys, monkeypatch, *arguments)
    assert code == 2
    assert "--force" in err
    code, out, _ = in_process(capsys, monkeypatch, *arguments, "--force", "--json", "--no-check")
    assert json.loads(out) == {"files": [{"file": str(path), "worst_ulp": None, "values": 0}]}


def test_export_takes_a_bridge_as_derive_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("--interpolant", "linear", "--gamma", "sqrt(2*t*(1-t))")
    code, out, _ = in_process(capsys, monkeypatch, "export", *asked, str(tmp_path / "bridge.py"))
    assert code == 0
    assert "ulp of float32" in out
    files = [str(tmp_path / name) for name in ("x1.pt2", "bridge.json")]
    code, _, _ = in_process(capsys, monkeypatch, "export", *asked, "--what", "x1", "--no-check", *files)
    assert code == 0
    assert json.loads(Path(files[1]).read_text())["given"] == ["velocity", "latent"]
    for foreign, words in (
        (("--from", "linear"), "--from is of a schedule"),
        (("--prediction", "noise"), "--prediction is of a schedule"),
        (("--what", "drift"), "forward"),
        (("--map", "digits28-map"), "leave --interpolant out"),
    ):
        code, _, err = in_process(capsys, monkeypatch, "export", *asked, *foreign, str(tmp_path / "other.pt2"))
        assert code == 2
        assert words in err
    code, _, err = in_process(capsys, monkeypatch, "export", "--given", "ends,score", str(tmp_path / "other.py"))
    assert code == 2
    assert "give --interpolant NAME" in err
    assert not list(tmp_path.glob("other*"))


def test_export_refuses_before_it_writes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = in_process(capsys, monkeypatch, "export", "--from", "linear", str(tmp_path / "a.py"), "b.doc")
    assert code == 2
    assert "suffix must be one of" in err
    assert list(tmp_path.iterdir()) == []


def test_the_certificate_is_json_that_meets_its_bounds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plot = tmp_path / "plot.png"
    schedules = ("--schedule", "linear", "--schedule", "lazy(kappa=1)")
    code, out, _ = in_process(
        capsys,
        monkeypatch,
        "bench",
        "certificate",
        *schedules,
        "--randoms",
        "30",
        "--workers",
        "1",
        "--json",
        "--plot",
        str(plot),
    )
    data = json.loads(out)
    assert code == 0
    assert data["worst_table_ulp"] <= 2
    assert data["worst_kernel_ulp"] <= 4
    assert data["nonfinite"] == 0
    by_coefficient = data["by_coefficient"]
    assert data["coefficients"] == sum(row["conversions"] for row in by_coefficient) == 128
    assert data["worst_kernel_ulp"] == max(row["kernel_ulp"] for row in by_coefficient)
    shipped = json.loads(
        (Path(__file__).parents[2] / "figures" / "certificate.json").read_text()
    )  # the report reads it
    assert [set(row) for row in by_coefficient] == [set(row) for row in shipped["by_coefficient"]]
    assert data["handwritten"]["nonfinite"] > 0
    assert plot.stat().st_size > 10_000


def test_the_certificate_of_bridges_is_json_and_a_table_and_refuses_what_is_of_conversions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("--interpolant", "linear(gamma=quadratic)", "--randoms", "5", "--workers", "1")
    code, out, _ = in_process(capsys, monkeypatch, "bench", "certificate", *asked, "--json")
    data = json.loads(out)
    assert code == 0
    assert data["coefficients"] == sum(row["bridges"] for row in data["by_coefficient"])
    assert data["nonfinite"] == 0
    code, out, _ = in_process(capsys, monkeypatch, "bench", "certificate", *asked)
    assert out.splitlines()[-1].startswith(f"1 interpolants, {data['coefficients']} coefficients")
    for foreign in (("--schedule", "linear"), ("--plot", str(tmp_path / "plot.png"))):
        code, _, err = in_process(capsys, monkeypatch, "bench", "certificate", "--bridges", *foreign)
        assert code == 2
        assert f"{foreign[0]} is of conversions" in err
    code, _, err = in_process(capsys, monkeypatch, "bench", "certificate", "--interpolant", "linaer")
    assert code == 2
    assert "'linear'" in err


def test_bench_kernels_refuses_a_gpu_that_is_not_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    code, _, err = in_process(capsys, monkeypatch, "bench", "kernels", "--device", "cuda")
    assert code == 2
    assert "--device cpu" in err

"""`symsi report` as a user meets it: a page, or a refusal before any work."""

import sys
from pathlib import Path

import pytest

from symsi.cli import main
from symsi.proofs import load

FEW = ("T9",)


def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["symsi", "report", *arguments])
    monkeypatch.setattr("symsi.cli.report.proved", lambda: [load(name)() for name in FEW])
    monkeypatch.setattr("symsi.cli.report.pairs", lambda: [("linear", "lazy(kappa=1)")])
    code = 0
    try:
        main()
    except SystemExit as stop:
        code = int(stop.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


def test_a_page_is_written_for_a_schedule_of_ones_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine.html"
    arguments = ("--alpha", "1-t**2", "--beta", "t", "--to", "vp", "--diffusion", "ode", "--figures", str(tmp_path))
    code, out, _ = run(capsys, monkeypatch, "-o", str(path), *arguments)
    assert code == 0
    assert "1 of 1 theorems proved, the conversion proved" in out
    text = path.read_text()
    assert text.startswith("<!doctype html>")
    assert "(alpha=1 - t**2, beta=t) to vp" in text
    assert "http" not in text.replace("http-equiv", "")


@pytest.mark.parametrize(
    ("arguments", "pair"),
    [
        ((), "linear to lazy(kappa=1, variance=1, beta=t)"),
        (("--from", "vp"), "vp to vp"),
        (("--to", "vp"), "linear to vp"),
    ],
)
def test_the_pair_is_linear_to_point_mass_where_none_is_named_and_one_schedule_stands_for_itself(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    pair: str,
) -> None:
    path = tmp_path / "report.html"
    code, _, _ = run(capsys, monkeypatch, "-o", str(path), "--figures", str(tmp_path), *arguments)
    assert code == 0
    assert f"<title>symsi report: {pair}</title>" in path.read_text()


def test_a_theorem_that_fails_is_on_the_page_and_in_the_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("symsi.proofs.t09_lazy_condition.lazy_diffusion", lambda p, v: p.alpha)
    path = tmp_path / "wrong.html"
    code, out, _ = run(capsys, monkeypatch, "-o", str(path), "--figures", str(tmp_path))
    assert code == 1
    assert "0 of 1 theorems proved" in out
    assert "Counterexample" in path.read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-o", "report.pdf"), "suffix must be .html"),
        (("-o", "there.html"), "--force"),
        (("-o", "nowhere/report.html"), "no such folder"),
        (("--figures", "nowhere"), "symsi figures --out nowhere"),
        (("--figures", "broken"), "make it again with `symsi bench nfe"),
        (("--from", "liner"), "Did you mean 'linear'"),
        (("--from", "linear", "--alpha", "1-t"), "not both"),
        (("--alpha", "<script>alert(1)</script>", "--beta", "t"), "not a formula"),
        (("--to", "<b>"), "unknown"),
    ],
)
def test_bad_input_is_refused_before_anything_is_proved(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there.html").write_text("mine")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "nfe.json").write_text("{")
    monkeypatch.setattr("symsi.proofs.t09_lazy_condition.prove", lambda: pytest.fail("proved"))
    code, out, err = run(capsys, monkeypatch, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("symsi: ")
    assert message in err
    assert {p.name for p in tmp_path.iterdir()} == {"there.html", "broken"}
    assert Path("there.html").read_text() == "mine"

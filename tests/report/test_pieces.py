"""The parts of the page, each from one small value."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import symsi
from symsi.algebra.proof import Derivation, Proof
from symsi.algebra.symbols import t
from symsi.errors import SymsiError
from symsi.proofs import THEOREMS, load
from symsi.report.derivation import derivation
from symsi.report.explore import explore, pairs
from symsi.report.html import Html, element, number, table
from symsi.report.mathml import size
from symsi.report.page import SHIPPED, check_target
from symsi.report.pictures import FIGURES, INTRODUCTION, beside, picture
from symsi.report.prose import prose
from symsi.report.tables import certificate, evaluations
from symsi.report.theorems import contents, theorem


@pytest.fixture(scope="module")
def proof() -> Proof:
    return load("T9")()


class Balanced(HTMLParser):
    """Fails where tags do not nest."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        if tag not in ("meta", "wbr"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("alpha^2 rho' > 0", "<i>α</i><sup>2</sup> <i>ρ</i>′ &gt; 0"),
        ("w^((1+kappa)/2) is", "<i>w</i><sup>(1+<i>κ</i>)/2</sup> is"),
        ("X_bar_t = c X_tau", '<i class="bar">X</i><sub><i>t</i></sub> = <i>c</i> <i>X</i><sub><i>τ</i></sub>'),
        ("epsilon* of T3", '<i>ε</i><sup>*</sup> of <a href="#T3">T3</a>'),
        ("the base's a < b", "the base’s a &lt; <i>b</i>"),
        ("dW_tau/sqrt(2)", "d<i>W</i><sub><i>τ</i></sub>/√(2)"),
        ("a 2 x 2 solve - exact", "a 2 × 2 solve − exact"),
        ("is -Z/alpha", "is −<i>Z</i>/<i>α</i>"),
        ("AB2 and T10", 'AB2 and <a href="#T10">T10</a>'),
    ],
)
def test_mathematics_in_a_sentence_is_typeset(text: str, expected: str) -> None:
    assert prose(text) == expected


def test_no_sentence_of_a_theorem_keeps_a_written_power_or_index(proof: Proof) -> None:
    for sentence in (proof.statement, *(s.claim for s in proof.steps)):
        shown = re.sub(r"<[^>]*>", "", prose(sentence))
        assert not re.search(r"[\^_]|lambda|epsilon|->", shown), shown


def test_text_is_escaped_and_html_is_not() -> None:
    assert element("p", "<b>", Html("<i>x</i>"), title='"') == '<p title="&quot;">&lt;b&gt;<i>x</i></p>'


def test_a_table_has_headers_of_columns_and_rows() -> None:
    text = table("what", ("a", "b"), [("<r>", "1")])
    assert text.count('scope="col"') == 2
    assert '<th scope="row">&lt;r&gt;</th>' in text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.5, "0.5"),
        (3025, "3,025"),
        (None, "–"),
        (float("nan"), "–"),
        (1.9e28, "1.9&#8239;·&#8239;10<sup>28</sup>"),
        (1e-61, "1.0&#8239;·&#8239;10<sup>−61</sup>"),
        (0, "0"),
        (123.4, "123"),
        (12345.6, "12,346"),
        (-3, "−3"),
        (99.6, "100"),
        (12.34, "12"),
        (1.25, "1.2"),
    ],
)
def test_a_number_is_typeset(value: float | None, expected: str) -> None:
    assert number(value) == expected


def test_a_theorem_shows_statement_verdict_rule_and_check_of_each_step(proof: Proof) -> None:
    text = theorem(proof)
    assert text.count('<p class="check">') == len(proof.steps) == 5
    assert text.count('class="verdict definition"') == len(proof.definitions) == 1
    assert text.count('class="verdict proved"') == 1 + len(proof.claims) + len(proof.steps) - 1
    assert "residual 0 by" in text
    assert '<article id="T9">' in text
    Balanced().feed(text)


def test_a_theorem_shows_its_claims_with_links_to_their_steps_and_what_is_assumed(proof: Proof) -> None:
    text = theorem(proof)
    assert 'covered</span> by step <a href="#T9-1">1</a>, <a href="#T9-2">2</a>' in text
    assert text.count('<li id="T9-') == len(proof.steps)
    assert text.count(">&gt;</mo><mn>0</mn>") == 1
    assert "Assumed, and nothing else: " in text


def test_a_cited_claim_shows_its_source_and_an_open_one_that_it_is_open() -> None:
    d = Derivation("X", "claims", "Let t be a number.")
    d.claim("a", "It is cited.")
    d.claim("b", "It is open.")
    d.cite("a", "a theorem", "Euler 1748")
    text = theorem(d.proof())
    assert ">cited</span>: a theorem (Euler 1748)</span>" in text
    assert ">open</span></span>" in text
    assert "Of 2 claims 1 cited, 1 open." in contents([d.proof()])


def test_a_refuted_step_shows_its_counterexample() -> None:
    d = Derivation("X", "false", "t = 2 t")
    t = d.symbol("t")
    d.equal("wrong", t, 2 * t, by="nothing")
    text = theorem(d.proof())
    assert "Counterexample: t=" in text
    assert "✗" in text
    assert "0 of 1 theorems proved" in contents([d.proof()])


def test_each_theorem_with_a_figure_exists_and_figures_stand_once() -> None:
    assert {name for f in FIGURES for name in f.theorems} <= set(THEOREMS)
    names = [f.name for f in (*FIGURES, INTRODUCTION)]
    assert len(names) == len(set(names)) == 12
    assert all(f.shows and f.caption for f in FIGURES)


def test_a_figure_is_inline_with_words_for_those_who_cannot_see_it(tmp_path: Path) -> None:
    (tmp_path / "schedules.png").write_bytes(b"png")
    text = beside("T10", tmp_path)
    assert 'src="data:image/png;base64,cG5n"' in text
    assert 'alt="' in text


def test_a_missing_figure_says_which_command_makes_it(tmp_path: Path) -> None:
    assert "symsi figures --only fewer_steps" in picture(INTRODUCTION, tmp_path)


def test_a_second_theorem_links_to_the_figure_of_the_first(tmp_path: Path) -> None:
    assert 'href="#figure-paths"' in beside("T7", tmp_path)
    assert 'id="figure-paths"' in beside("T5", tmp_path)
    assert beside("T8", tmp_path) == ""


@pytest.mark.parametrize(
    ("show", "command"), [(certificate, "symsi bench certificate"), (evaluations, "symsi bench nfe")]
)
def test_missing_measurements_say_which_command_makes_them(tmp_path: Path, show, command: str) -> None:
    assert command in show(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_measurements_that_are_not_ours_do_not_end_in_a_traceback(tmp_path: Path, text: str) -> None:
    (tmp_path / "nfe.json").write_text(text)
    if text == "{":
        with pytest.raises(SymsiError, match=r"make it again with `symsi bench nfe"):
            evaluations(tmp_path)
    else:
        assert "has not the columns" in evaluations(tmp_path)


def test_the_shipped_measurements_become_tables_with_every_row() -> None:
    data = json.loads((SHIPPED / "nfe.json").read_text())
    methods = {r["method"] for r in data["rows"]}
    assert evaluations(SHIPPED).count('scope="row"') == len(methods)
    rows = json.loads((SHIPPED / "certificate.json").read_text())["by_coefficient"]
    assert certificate(SHIPPED).count('scope="row"') == len(rows)


def test_the_chosen_pair_is_shown_with_every_field_and_limit() -> None:
    conversion = symsi.convert("linear", "vp", diffusion="optimal")
    text = derivation(conversion, conversion.proof())
    for label in ("Time", "Scale", "Velocity", "Score", "Noise", "Data", "Drift"):
        assert f"<dt>{label}</dt>" in text
    assert text.count('<th scope="row">') == len(conversion.coefficients)
    assert "no limit" in text
    Balanced().feed(text)


def test_a_conversion_without_a_closed_time_map_shows_its_equation() -> None:
    mine = symsi.Schedule("(1-t)*(1+t/3)", "t*exp(t-1)")
    conversion = symsi.convert(mine, "linear")
    assert "Time, implicitly" in derivation(conversion, conversion.proof())


def test_a_truncated_base_says_from_which_time_on_it_reaches() -> None:
    truncated = symsi.Schedule("1-t", "t+(1-t)/2000")
    conversion = symsi.convert(truncated, "linear")
    text = derivation(conversion, conversion.proof())
    assert '<th scope="col">at t = 5.0&#8239;·&#8239;10<sup>−4</sup></th>' in text


def test_a_limit_that_is_too_wide_for_its_cell_has_six_digits() -> None:
    conversion = symsi.convert("edm", "ddpm", diffusion="optimal")
    rate, time = conversion.limits["time_rate"][0], conversion.limits["time"][0]
    text = derivation(conversion, conversion.proof())
    assert size(rate.value)[0] > 60
    assert f"<mn>{float(rate.value):.6g}</mn>" in text
    assert f"<mn>{float(time.leading.diff(t)):.6g}</mn><mo>&InvisibleTimes;</mo><mi>t</mi>" in text
    limits = text[: text.index("<ol")]
    assert limits.count("≈") < 20  # the short ones stay exact


def test_the_data_to_explore_cannot_end_their_script() -> None:
    column = [0.0] * 51
    tables = {pair: dict.fromkeys(("time", "scale", "alpha", "beta"), column) for pair in pairs()}
    data = re.search(r'id="explore-data">(.*?)</script>', explore(tables), flags=re.DOTALL)
    assert data is not None
    assert len(json.loads(data[1])["tables"]) == len(pairs())
    assert "<" not in data[1]


def test_the_page_must_be_html_and_free(tmp_path: Path) -> None:
    with pytest.raises(SymsiError, match=r"suffix must be \.html"):
        check_target(tmp_path / "report.pdf")
    (tmp_path / "report.html").write_text("mine")
    with pytest.raises(SymsiError, match="--force"):
        check_target(tmp_path / "report.html")
    check_target(tmp_path / "report.html", force=True)

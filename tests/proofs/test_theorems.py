"""The theorems are proved, and the same machinery refutes them when a formula is wrong."""

import importlib
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sympy as sp

from symsi.algebra.claims import numbers, share_covered
from symsi.algebra.proof import Derivation, Proof, Status, StepKind, Verdict
from symsi.errors import UnknownNameError
from symsi.interpolants import lazy, rows
from symsi.interpolants.rows import Pair, Row, Triple
from symsi.proofs import THEOREMS, load, prove_all, run_script
from symsi.proofs.index import index
from symsi.theory import (
    diffusion,
    fields,
    flow_map,
    gaussian,
    modal,
    regression,
    rescaling,
    rules,
    three_parts,
    tilting,
    two_gaussians,
)
from symsi.theory.gaussian import Transition

SCRIPTS = Path(__file__).parents[2] / "derivations"
FILES = sorted(p.name for p in SCRIPTS.glob("t[0-9]*.py"))


@pytest.fixture(scope="module")
def proofs() -> dict[str, Proof]:
    return {name: load(name)() for name in THEOREMS}


def test_the_index_is_what_the_proofs_give(proofs: dict[str, Proof]) -> None:
    assert (SCRIPTS / "README.md").read_text() == index(proofs.values())


def test_processes_prove_the_same_in_the_same_order(proofs: dict[str, Proof]) -> None:
    for name, proof in zip(("T23", "T9"), prove_all(("T23", "T9"), workers=2), strict=True):
        assert replace(proof, seconds=0.0).markdown() == replace(proofs[name], seconds=0.0).markdown()


def test_no_step_is_justified_by_a_later_theorem(proofs: dict[str, Proof]) -> None:
    for name, proof in proofs.items():
        cited = {int(n) for s in proof.steps for n in re.findall(r"\bT(\d+)\b", s.rule)}
        assert all(n < int(name[1:]) for n in cited), name


def test_there_are_twenty_five_theorems_in_order() -> None:
    assert list(THEOREMS) == [f"T{k}" for k in range(1, 26)]


@pytest.mark.parametrize("name", THEOREMS)
def test_each_theorem_is_proved_exactly_and_to_thirty_digits(proofs: dict[str, Proof], name: str) -> None:
    proof = proofs[name]
    assert proof.verdict is Verdict.PROVED, [s.claim for s in proof.steps if s.verdict is not Verdict.PROVED]
    assert proof.max_residual < 1e-30
    assert all(s.method and s.points >= 2 for s in proof.steps if s.kind is StepKind.PROVED)


@pytest.mark.parametrize("name", ["T1", "T2", "T3", "T4", "T5", "T6", "T8", "T9", "T10", "T12"])
def test_the_schedule_of_a_theorem_is_undetermined(proofs: dict[str, Proof], name: str) -> None:
    unknown = {f.func.__name__ for s in proofs[name].steps for f in s.left.atoms(sp.core.function.AppliedUndef)}
    assert unknown & {"alpha", "beta", "alpha_bar", "A", "beta_t"}


def scaled(function: Callable[..., Any], factor: Any) -> Callable[..., Any]:
    return lambda *args: factor * function(*args)


def turned(r: Row, kind: str) -> Row:
    return Row(**{part: -value if kind == "score" else value for part, value in r.items()})


def rated(p: Triple, rate: Any) -> Triple:
    return replace(p, gamma_rate=rate)


def test_every_claim_is_covered_by_steps_or_cited_and_nine_in_ten_are_covered(proofs: dict[str, Proof]) -> None:
    claims = [c for proof in proofs.values() for c in proof.claims]
    assert all(proof.whole and proof.claims for proof in proofs.values())
    assert {c.status for c in claims} == {Status.COVERED, Status.CITED}
    assert all(c.citation for c in claims if c.status is Status.CITED)
    assert share_covered(claims) >= 0.9


def test_every_step_of_a_theorem_proves_a_claim(proofs: dict[str, Proof]) -> None:
    for name, proof in proofs.items():
        assert all(s.claims for s in proof.steps), name


def test_the_statement_is_its_premise_and_its_claims(proofs: dict[str, Proof]) -> None:
    for proof in proofs.values():
        assert proof.premise
        assert proof.statement == " ".join([proof.premise, *(c.text for c in proof.claims)])


def test_a_claim_whose_steps_are_deleted_is_open_and_the_theorem_not_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    original = Derivation.state

    def state(self: Derivation, claim: str, *arguments: Any, **options: Any) -> None:
        if "vanish" not in claim and "how far" not in claim and "S is positive" not in claim:
            original(self, claim, *arguments, **options)

    monkeypatch.setattr(Derivation, "state", state)
    proof = load("T9")()
    assert {c.key: c.status for c in proof.claims} == {"a": Status.COVERED, "b": Status.OPEN, "c": Status.COVERED}
    assert proof.proved
    assert not proof.whole


def small() -> tuple[Derivation, sp.Symbol]:
    d = Derivation("X", "small", "Let t be positive.")
    for key in ("a", "b"):
        d.claim(key, f"Claim {key}.")
    return d, d.symbol("t")


def test_a_claim_that_only_a_definition_or_an_unproved_step_names_is_open() -> None:
    d, t = small()
    d.equal("the same", t + 1, 1 + t, by="nothing", proves="a")
    d.equal("true", (t + 1) ** 2, t**2 + 2 * t + 1, by="expansion", proves="b")
    d.equal("false", t, 2 * t, by="nothing", proves="b")
    proof = d.proof()
    assert [c.status for c in proof.claims] == [Status.OPEN, Status.OPEN]
    assert [c.steps for c in proof.claims] == [(1,), (2, 3)]
    assert proof.definitions == (1,)
    assert proof.steps[0].checks == "definition: both sides are one expression"


def test_a_cited_claim_names_its_source_and_a_wrong_supporting_step_opens_it() -> None:
    d, t = small()
    d.equal("true", (t + 1) ** 2, t**2 + 2 * t + 1, by="expansion", proves=("a", "b"))
    d.cite("a", "a theorem", "Euler 1748")
    claim = d.proof().claims[0]
    assert str(claim) == "(a) Claim a. [cited: a theorem (Euler 1748); supported by step 1]"
    d.equal("false", t, 2 * t, by="nothing", proves="a")
    assert [c.status for c in d.proof().claims] == [Status.OPEN, Status.COVERED]


def test_a_claim_is_stated_once_and_before_it_is_proved() -> None:
    d, t = small()
    with pytest.raises(ValueError, match="stated twice"):
        d.claim("a", "again")
    with pytest.raises(ValueError, match="no claim 'c' is stated; there are a, b"):
        d.equal("true", t, t, by="nothing", proves="c")
    with pytest.raises(ValueError, match="no claim 'c'"):
        d.cite("c", "a theorem", "Euler 1748")


def test_a_sign_is_proved_only_where_the_declarations_show_it() -> None:
    d, t = small()
    rising, u = d.function("f", "increasing"), d.symbol("u", 0, 1)
    d.positive("a product", t * (1 - u) * sp.diff(rising(t), t), t * (1 - u) * sp.diff(rising(t), t), by="nothing")
    d.positive("not for all t", t - 1, t - 1, by="nothing")
    d.positive("a value of it", rising(t), rising(t), by="nothing")
    assert [s.verdict for s in d.proof().steps] == [Verdict.PROVED, Verdict.UNDECIDED, Verdict.UNDECIDED]
    assert d.proof().steps[0].latex().endswith("> 0")
    assert "the sign of the right side does not show" in d.proof().steps[1].checks


def test_step_numbers_in_a_row_are_drawn_together() -> None:
    assert numbers((1, 3, 4, 5, 9)) == "1, 3-5, 9"
    assert numbers(()) == ""


def maxima_to_the_end(increments: Callable[..., Any]) -> Callable[..., Any]:
    """The last weight uses the maximum, too."""

    def wrong(kind: str, rewards: Any, temperature: Any) -> Any:
        last = sp.Max(*rewards) if kind == "max" else rewards[-1]
        return increments(kind, [*rewards[:-1], last], temperature)

    return wrong


# Where a formula is used, how it is falsified, and the theorem that must notice.
WRONG: list[tuple[str, str, Any, Callable[[Callable[..., Any]], Callable[..., Any]]]] = [
    ("T1", "sign of the determinant", (rows, "determinant"), lambda f: scaled(f, -1)),
    (
        "T1",
        "noise and data rows swapped",
        (fields, "combine"),
        lambda f: lambda s, g, w: f(s, g, Row(noise=w["data"], data=w["noise"])),
    ),
    ("T1", "missing factor in epsilon*", (diffusion, "optimal_diffusion"), lambda f: scaled(f, 2)),
    ("T2", "score term with the wrong sign", (fields, "drift_row"), lambda f: lambda p, e: f(p, -e)),
    ("T3", "epsilon* without alpha", (diffusion, "optimal_diffusion"), lambda f: lambda p: f(p) / p.alpha),
    ("T3", "cost without its square", (diffusion, "excess_cost"), lambda f: lambda k: f(k) / (1 + k)),
    ("T4", "scale upside down", (rules, "scale"), lambda f: lambda b, t: 1 / f(b, t)),
    ("T4", "speed of tau without c^2", (rules, "time_rate"), lambda f: lambda b, t: rules.diffusion_factor(b, t)),
    (
        "T5",
        "factor without the scale",
        (rules, "diffusion_factor"),
        lambda f: lambda b, t: f(b, t) / rules.scale(b, t) ** 2,
    ),
    ("T6", "epsilon* of the wrong power", (diffusion, "optimal_diffusion"), lambda f: lambda p: f(p) * p.alpha),
    (
        "T6",
        "fields of the base taken for the target's",
        (rules, "field_in"),
        lambda f: lambda b, t, p, w, e: f(b, b, p, w, e),
    ),
    ("T7", "noise without the 2", (diffusion, "noise_increment"), lambda f: scaled(f, sp.sqrt(2))),
    (
        "T8",
        "flow map without the root",
        (gaussian, "flow_map"),
        lambda f: (
            lambda s, t, x, m, v: (
                t.beta * m + (x - s.beta * m) * gaussian.marginal_variance(t, v) / gaussian.marginal_variance(s, v)
            )
        ),
    ),
    (
        "T8",
        "transition of epsilon for epsilon*",
        (gaussian, "transition"),
        lambda f: lambda s, t, v, k: f(s, t, v, 2 * k),
    ),
    (
        "T8",
        "transition variance too small",
        (gaussian, "transition"),
        lambda f: lambda *a: Transition(f(*a).factor, f(*a).variance / 2),
    ),
    ("T9", "lazy diffusion without the half", (lazy, "lazy_diffusion"), lambda f: scaled(f, 2)),
    ("T10", "wrong exponent", (lazy, "lazy_alpha_squared"), lambda f: lambda k, v, b: f(k / 2, v, b)),
    (
        "T10",
        "wrong sign of kappa",
        (lazy, "lazy_alpha_squared"),
        lambda f: lambda k, v, b: v * (b ** (2 * k / (1 + k)) + b**2),
    ),
    ("T11", "drift row of the ODE", (fields, "drift_row"), lambda f: lambda p, e: f(p, 0 * e)),
    ("T12", "coordinate of another kappa", (modal, "coordinate_scale"), lambda f: lambda p, v, k: f(p, v, 2 * k)),
    ("T12", "residual rate without its factor", (modal, "residual_rate"), lambda f: lambda w, k: f(w, k) / (1 + k)),
    ("T12", "variance of another power", (modal, "coordinate_variance"), lambda f: lambda w, v, k: v * w ** (k + 1)),
    ("T13", "forward for backward", (three_parts, "drift_row"), lambda f: lambda p, e: f(p, -e)),
    ("T13", "sign of the score", (three_parts, "row"), lambda f: lambda p, k: turned(f(p, k), k)),
    ("T13", "gamma' for gamma gamma'", (three_parts, "written"), lambda f: lambda p, *a: f(rated(p, p.gamma_dot), *a)),
    ("T13", "given fields in the other order", (three_parts, "predict"), lambda f: lambda p, g, *a: f(p, g[::-1], *a)),
    ("T14", "a score's target of the wrong sign", (three_parts, "row"), lambda f: lambda p, k: turned(f(p, k), k)),
    ("T14", "epsilon for -epsilon", (three_parts, "drift_row"), lambda f: lambda p, e: f(p, -e)),
    ("T15", "velocity of another speed", (rescaling, "rescaled_field"), lambda f: lambda *a: f(*a[:5], a[5] ** 2)),
    ("T16", "variance without gamma", (two_gaussians, "bridge_variance"), lambda f: lambda p, e: f(p, e) - p.gamma**2),
    ("T16", "epsilon for -epsilon", (two_gaussians, "drift_row"), lambda f: lambda p, e: f(p, -e)),
    (
        "T16",
        "the ends swapped",
        (two_gaussians, "conditional_means"),
        lambda f: lambda p, e, x: {**f(p, e, x), "x0": f(p, e, x)["x1"], "x1": f(p, e, x)["x0"]},
    ),
    ("T16", "flow from t to s", (two_gaussians, "bridge_flow_map"), lambda f: lambda s, t, e, x: f(t, s, e, x)),
    (
        "T16",
        "y by S for its root",
        (two_gaussians, "bridge_coordinate"),
        lambda f: lambda p, e, x: f(p, e, x) / sp.sqrt(two_gaussians.bridge_variance(p, e)),
    ),
    (
        "T17",
        "gamma of a Brownian bridge between independent ends",
        (two_gaussians, "bridge_gamma_squared"),
        lambda f: lambda a, b, s, t: s**2 * t * (1 - t),
    ),
    ("T17", "backward drift", (two_gaussians, "gaussian_bridge_drift"), lambda f: lambda p, g, e, y: f(p, g, -e, y)),
    ("T17", "coupling of another variance", (two_gaussians, "bridge_covariance"), lambda f: scaled(f, 2)),
    ("T17", "twice the bridges' diffusion", (three_parts, "brownian_diffusion"), lambda f: lambda p, k: f(p, 2 * k)),
    ("T18", "diffusion by c", (rescaling, "rescaled_diffusion"), lambda f: lambda e, c, r: c * r * e),
    ("T18", "slope without the scale's own", (rescaling, "rescaled"), lambda f: lambda p, c, s, r: f(p, c, 0 * s, r)),
    (
        "T18",
        "score not divided",
        (rescaling, "rescaled_field"),
        lambda f: lambda k, *a: f(k.replace("score", "x0"), *a),
    ),
    (
        "T24",
        "error without the half of its cross term",
        (regression, "squared_error"),
        lambda f: lambda r, g, b, s: f(r, g, b / 2, s),
    ),
    ("T24", "row twice the best", (regression, "best_row"), lambda f: scaled(f, 2)),
    ("T24", "row of the transposed adjugate's sign", (regression, "best_row"), lambda f: lambda g, b: f(g, -b)),
    ("T24", "residual with the wrong sign", (regression, "least_error"), lambda f: lambda g, b, s: 2 * s - f(g, b, s)),
    ("T24", "ridge towards no row", (regression, "ridge_row"), lambda f: lambda g, b, p, w, k: f(g, b, 0 * p, w, k)),
    ("T24", "ridge of another weight", (regression, "ridge_row"), lambda f: lambda g, b, p, w, k: f(g, b, p, w, 2 * k)),
    (
        "T24",
        "moments of one mode counted twice",
        (regression, "moments_of_modes"),
        lambda f: lambda c, y: f([[*column, column[0]] for column in c], [*y, y[0]]),
    ),
    ("T24", "hidden fraction of another mode", (gaussian, "hidden"), lambda f: lambda p, v: f(p, 2 * v)),
    (
        "T24",
        "target without its root",
        (gaussian, "flow_map"),
        lambda f: lambda s, t, x, m, v: f(s, t, x, m, v) * sp.sqrt(gaussian.marginal_variance(t, v)),
    ),
    (
        "T25",
        "a prediction at the end for the sample's reward",
        (tilting, "increments"),
        lambda f: lambda k, r, v: f(k, [*r[:-1], r[-2]], v),
    ),
    ("T25", "a weight dropped", (tilting, "increments"), lambda f: lambda k, r, v: [f(k, r, v)[0], *f(k, r, v)[2:]]),
    ("T25", "running maxima of the sample too", (tilting, "increments"), maxima_to_the_end),
    ("T25", "offspring by equal shares", (tilting, "offspring"), lambda f: lambda w, n: f([1 for _ in w], n)),
    ("T25", "sum for mean weight", (tilting, "mean_weight"), lambda f: lambda w: len(w) * f(w)),
    ("T25", "predictions not corrected", (tilting, "correction"), lambda f: lambda r, g, v: 0 * r),
    ("T25", "parents not divided out", (tilting, "candidate"), lambda f: lambda w, g, r, v: f(w, g, 0 * r, v)),
    ("T25", "twist with the wrong sign", (tilting, "twist"), lambda f: scaled(f, -1)),
    ("T25", "twist of noise about -s", (tilting, "twist"), lambda f: lambda n, s: f(n, -s)),
    ("T25", "shift without the gain", (tilting, "linear_shift"), lambda f: lambda l, g, a, v: f(l, g / g, a, v)),
    (
        "T25",
        "linear tilt without the temperature",
        (tilting, "linear_tilt"),
        lambda f: lambda m, s, a, v: f(m, s, a, v / v),
    ),
    ("T25", "linear tilt downhill", (tilting, "linear_tilt"), lambda f: lambda m, s, a, v: f(m, s, -a, v)),
    (
        "T25",
        "quadratic tilt that keeps the variance",
        (tilting, "quadratic_tilt"),
        lambda f: lambda *a: replace(f(*a), variance=a[1]),
    ),
    (
        "T25",
        "quadratic tilt without the root",
        (tilting, "quadratic_tilt"),
        lambda f: lambda *a: replace(f(*a), narrowing=f(*a).narrowing ** 2),
    ),
    ("T25", "weights of the mixture kept", (tilting, "tilted_weights"), lambda f: lambda w, z: f(w, [1 for _ in z])),
    ("T25", "gain without beta", (tilting, "posterior_gain"), lambda f: lambda p, v: f(p, v) / p.beta),
]


@pytest.mark.parametrize(("theorem", "what", "place", "falsify"), WRONG, ids=[f"{w[0]}: {w[1]}" for w in WRONG])
def test_a_wrong_formula_is_refuted(
    monkeypatch: pytest.MonkeyPatch, theorem: str, what: str, place: Any, falsify: Callable[..., Any]
) -> None:
    home, name = place
    original = getattr(home, name)
    wrong = falsify(original)
    module = importlib.import_module(f"symsi.proofs.{THEOREMS[theorem]}")
    rooms = (
        rows,
        fields,
        diffusion,
        rules,
        gaussian,
        lazy,
        modal,
        regression,
        rescaling,
        three_parts,
        tilting,
        two_gaussians,
    )
    for user in (home, module, *rooms):
        if getattr(user, name, None) is original:
            monkeypatch.setattr(user, name, wrong)
    proof = module.prove()
    assert proof.verdict is Verdict.REFUTED, what
    refuted = [s for s in proof.steps if s.verdict is Verdict.REFUTED]
    assert refuted
    assert all(s.where and s.max_residual > 1e-10 and not s.method for s in refuted)


def test_a_false_statement_about_undetermined_functions_is_refuted_with_a_point() -> None:
    d = Derivation("X", "false", "alpha' = -alpha")
    t = d.symbol("t", 0.1, 0.9)
    alpha = d.function("alpha", "decreasing")(t)
    d.equal("wrong", sp.diff(alpha, t), -alpha, by="nothing")
    (step,) = d.proof().steps
    assert step.verdict is Verdict.REFUTED
    assert "alpha(t)=" in step.where


def test_what_numbers_confirm_but_algebra_does_not_reduce_is_undecided_and_not_proved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("symsi.algebra.checks.reduce_to_zero", lambda *args: "")
    d = Derivation("X", "true but not reduced", "t = t")
    t = d.symbol("t")
    d.equal("trivial", t, t, by="nothing")
    assert d.proof().verdict is Verdict.UNDECIDED
    assert not d.proof().proved


def test_a_proof_without_steps_is_not_proved() -> None:
    d = Derivation("X", "empty", "nothing")
    d.say("only words")
    assert not d.proof().proved


def test_an_undeclared_symbol_in_a_step_is_an_error() -> None:
    d = Derivation("X", "undeclared", "y = y")
    y = sp.Symbol("y")
    with pytest.raises(ValueError, match="declare"):
        d.equal("undeclared", y, 2 * y, by="nothing")


def test_a_wrong_limit_is_refuted() -> None:
    d = Derivation("X", "limit", "sin(w)/w -> 2")
    w = d.symbol("w", 0.1, 0.9)
    d.tends("wrong", sp.sin(w) / w, w, sp.Integer(2))
    assert d.proof().verdict is Verdict.REFUTED


def test_the_drift_of_another_multiple_diverges_at_a_point_mass() -> None:
    """b under epsilon* does not stay finite on every point-mass schedule; only under the own multiple it does."""
    from symsi.interpolants.schedule import at_end

    t = sp.Symbol("t")
    p = Pair.of(sp.sqrt(lazy.lazy_alpha_squared(sp.Rational(1, 2), sp.Integer(1), t)), t)
    own = fields.drift_row(p, sp.Rational(1, 2) * diffusion.optimal_diffusion(p))["noise"]
    other = fields.drift_row(p, diffusion.optimal_diffusion(p))["noise"]
    assert at_end(own, 0).value == 0
    assert at_end(other, 0).exponent == sp.Rational(-2, 3)


def test_an_unknown_theorem_is_refused_with_the_closest_name() -> None:
    with pytest.raises(UnknownNameError, match="T1"):
        load("T99")


def printed_well(text: str) -> bool:
    return "Claim." in text and "is proved" in text and "\\" in text


@pytest.mark.parametrize("name", THEOREMS)
def test_each_proof_prints_claim_steps_and_verdict(
    proofs: dict[str, Proof], name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [f"{THEOREMS[name]}.py"])
    with pytest.raises(SystemExit) as end:
        run_script(lambda: proofs[name])
    assert end.value.code == 0
    assert printed_well(capsys.readouterr().out)


@pytest.mark.parametrize(
    "script", [s if s == "t09_lazy_condition.py" else pytest.param(s, marks=pytest.mark.slow) for s in FILES]
)
def test_each_script_runs_by_itself(script: str) -> None:
    done = subprocess.run([sys.executable, SCRIPTS / script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert printed_well(done.stdout)


def test_a_script_prints_markdown_where_no_file_is_named() -> None:
    command = [sys.executable, SCRIPTS / "t07_same_noise.py", "--markdown"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("# T7")
    assert done.stdout.count("\n$$\n") % 2 == 0


def test_a_script_writes_markdown_whole_and_does_not_overwrite(tmp_path: Path) -> None:
    target = tmp_path / "t09.md"
    command = [sys.executable, SCRIPTS / "t09_lazy_condition.py", "--markdown", target]
    assert subprocess.run(command, check=False).returncode == 0
    assert target.read_text().startswith("# T9")
    assert "$$" in target.read_text()
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode != 0
    assert "exists" in again.stderr
    assert "Traceback" not in again.stderr


def test_the_slip_of_a_published_objective_is_refuted() -> None:
    """d/dt X_{s,t} at X_{s,t}(x), where it belongs at x."""
    d = Derivation("X", "slip", "")
    d.claim("a", "The residual with the slip is 0 at the exact map.")
    s, t, x = d.symbol("s", 0, 1), d.symbol("t", 0, 1), d.real("x")
    growth = d.function("g")(t) / d.function("g")(s)
    rate = sp.diff(d.function("g")(t), t) / d.function("g")(t)
    d.equal("At X_{s,t}(x).", sp.diff(growth * x, t).subs(x, growth * x) - rate * growth * x, 0, "slip", "a")
    assert d.proof().verdict is Verdict.REFUTED


WRONG_MAPS = [
    ("T21", "converted", lambda s, t, times, scales: flow_map.converted(s, t, times, scales[::-1])),
    ("T19", "semigroup", lambda direct, composed: 2 * direct - composed),
    ("T19", "renoised", lambda jumped, stop, share: flow_map.renoised(jumped, stop, share**2)),
    ("T19", "renoised", lambda jumped, stop, share: flow_map.renoised(stop, jumped, share)),
    ("T19", "reached", lambda stop, share: flow_map.reached(stop, 1 - share)),
    ("T20", "eulerian", lambda moved, v, x, s: flow_map.eulerian(moved, -v, x, s)),
    ("T20", "lagrangian", lambda moved, v, t: flow_map.lagrangian(moved, 2 * v, t)),
    ("T22", "slope", lambda moved, x, s, t: (moved + x) / (t - s)),
]


@pytest.mark.parametrize(("theorem", "name", "wrong"), WRONG_MAPS)
def test_a_wrong_formula_of_flow_maps_is_refuted(
    monkeypatch: pytest.MonkeyPatch, theorem: str, name: str, wrong: Callable[..., Any]
) -> None:
    monkeypatch.setattr(importlib.import_module(f"symsi.proofs.{THEOREMS[theorem]}"), name, wrong)
    assert load(theorem)().verdict is Verdict.REFUTED

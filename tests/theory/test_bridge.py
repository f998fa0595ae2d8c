"""Bridges as values: fields from two predictions, limits, proofs, records, and refusals that teach."""

import json

import pytest
import sympy as sp
from sympy import Rational

from symsi.algebra.multiprecision import evaluate
from symsi.algebra.parse import parse
from symsi.errors import DiffusionError, EndpointError, InterpolantError, UnknownNameError
from symsi.interpolants.named_two_sided import ENDS, interpolant
from symsi.interpolants.two_sided import Interpolant
from symsi.theory.bridge import SYMBOLS, Bridge, bridge
from symsi.theory.bridge_record import bridge_from_record, bridge_record
from symsi.theory.three_parts import PREDICTIONS, drift_row, row

t, x = sp.symbols("t x")
MEANS = {"x0": Rational(2), "x1": Rational(-3, 5), "latent": Rational(7, 4)}


def check(b: Bridge, time: Rational) -> None:
    now = b.interpolant.triple.at(time)
    epsilon = b.epsilon.subs(t, time)
    values = {kind: row(now, kind)(**MEANS) for kind in PREDICTIONS}
    values |= {"forward": drift_row(now, epsilon)(**MEANS), "backward": drift_row(now, -epsilon)(**MEANS)}
    point = {t: time, x: now.state(**MEANS), **{SYMBOLS[kind]: values[kind] for kind in b.given}}
    for kind in b.fields:
        assert abs(evaluate(b.field(kind) - values[kind], point)) < 1e-40, kind


GIVEN = [("velocity", "latent"), ("ends", "score"), ("x1", "latent"), ("x0", "x1")]


@pytest.mark.parametrize("given", GIVEN, ids=" ".join)
@pytest.mark.parametrize("name", ["linear(gamma=brownian(a=2))", "trigonometric(gamma=sine)"])
def test_every_field_is_its_row_over_the_means_and_is_proved(name: str, given: tuple[str, str]) -> None:
    b = bridge(name, "gamma/2", given)
    for time in (Rational(1, 7), Rational(5, 8)):
        check(b, time)
    if given != ("x0", "x1"):
        proof = b.proof()
        assert proof.proved
        assert proof.whole


def test_a_coefficient_changed_by_hand_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    b = bridge("linear", "gamma")
    wrong = {**b.coefficients, "forward_latent": -b.coefficients["forward_latent"]}
    monkeypatch.setitem(b.__dict__, "coefficients", wrong)
    assert b.proof().verdict == "refuted"


def test_the_drifts_have_limits_where_epsilon_is_of_the_size_of_gamma() -> None:
    b = bridge("linear(gamma=brownian(a=2))", "gamma")
    assert [end.value for end in b.limits["forward_latent"]] == [-1, -1]
    assert [end.value for end in b.limits["backward_latent"]] == [1, 1]
    b.require("forward", 0)
    with pytest.raises(EndpointError, match=r"score has no value at t = 0: score_latent ~ -sqrt\(2\)/\(2\*sqrt\(t\)\)"):
        b.require("score", 0)
    constant = bridge("linear", 1)
    with pytest.raises(EndpointError, match=r"forward has no value at t = 1: .* bears epsilon = O\(gamma\)"):
        constant.require("forward", 1)


def test_gamma_gamma_dot_stays_whole_where_gamma_dot_is_infinite() -> None:
    b = bridge("linear(gamma=brownian(a=2))", "ode", ("ends", "score"))
    assert sp.expand(b.coefficients["velocity_score"] - (2 * t - 1)) == 0
    assert [end.value for end in b.limits["velocity_score"]] == [-1, 1]


def test_encoding_and_decoding_determine_no_ends() -> None:
    b = bridge("encoding-decoding(gamma=sine)", "gamma")
    assert set(b.fields) == {"velocity", "score", "latent", "ends", "forward", "backward"}
    assert b.proof().proved
    with pytest.raises(UnknownNameError, match="field 'x0'"):
        b.field("x0")
    with pytest.raises(InterpolantError, match="does not determine x1"):
        bridge("encoding-decoding", "ode", ("velocity", "x1"))


def test_two_predictions_that_say_the_same_are_refused() -> None:
    for given in (("score", "latent"), ("velocity", "velocity")):
        with pytest.raises(InterpolantError, match="say the same"):
            bridge("linear", "ode", given)
    with pytest.raises(UnknownNameError, match="prediction 'noise'"):
        bridge("linear", "ode", ("velocity", "noise"))


@pytest.mark.parametrize(("text", "message"), [("gamma-1", "not negative"), ("sqrt(t-1/2)", "not real")])
def test_a_diffusion_that_is_none_is_refused(text: str, message: str) -> None:
    with pytest.raises(DiffusionError, match=message):
        bridge("linear", text)
    with pytest.raises(DiffusionError, match="also has optimal"):
        bridge("linear", sp.Symbol("optimal"))


def test_the_diffusion_of_brownian_bridges() -> None:
    assert bridge("linear(gamma=sqrt(3*t*(1-t)))", "brownian").epsilon == Rational(3, 2)
    turning = bridge("trigonometric(gamma=sqrt(2*cos(pi*t/2)*sin(pi*t/2)))", "brownian")
    assert sp.simplify(turning.epsilon - sp.pi / 2) == 0  # k = 2, of alpha beta' - alpha' beta = pi/2
    with pytest.raises(DiffusionError, match=r"of linear\(gamma=quadratic\) gamma\^2/\(alpha beta\) is t\*\(1 - t\)"):
        bridge("linear(gamma=quadratic)", "brownian")


def test_ends_that_never_meet_have_no_brownian_bridges() -> None:
    with pytest.raises(DiffusionError, match=r"of encoding-decoding\(gamma=sine\) alpha beta is 0.* Take 'linear'"):
        bridge("encoding-decoding(gamma=sine)", "brownian")
    assert bridge(interpolant("linear", "brownian", a=None), "brownian").epsilon == sp.Symbol("a") / 2


def test_a_diffusion_may_use_the_interpolants_own_coefficients() -> None:
    found = bridge("trigonometric(gamma=quadratic)", diffusion="alpha*beta**2*gamma")
    t = sp.Symbol("t")
    assert sp.simplify(found.epsilon - sp.cos(sp.pi * t / 2) * sp.sin(sp.pi * t / 2) ** 2 * t * (1 - t)) == 0


def test_a_record_is_json_whose_formulas_parse_back() -> None:
    b = bridge("linear(gamma=sqrt(2*t*(1-t)))", "gamma")
    data = json.loads(json.dumps(bridge_record(b)))
    for name, text in data["coefficients"].items():
        assert sp.simplify(parse(text) - b.coefficients[name]) == 0
    assert data["limits"]["gamma_rate"]["0"] == {"value": "1", "leading": "1", "text": "= 1"}
    assert data["limits"]["gamma_dot"]["1"]["value"] is None
    assert data["fields"]["forward"] == "-eta_z + v"
    assert "\\varepsilon" in data["latex"]


@pytest.mark.parametrize("gamma", ["brownian", "sigmoid"])
@pytest.mark.parametrize("ends", ENDS)
def test_a_record_is_derived_again_from_what_it_says(ends: str, gamma: str) -> None:
    b = bridge(f"{ends}(gamma={gamma})", "gamma/2", ("ends", "score"))
    assert bridge_from_record(json.loads(json.dumps(bridge_record(b)))) == b


@pytest.mark.parametrize("epsilon", ["alpha*gamma", "beta+gamma", "alpha**2*gamma", "gamma/(1+alpha)"])
@pytest.mark.parametrize("gamma", ["brownian", "sine"])
def test_a_diffusion_in_pieces_is_read_back(gamma: str, epsilon: str) -> None:
    b = bridge(f"encoding-decoding(gamma={gamma})", epsilon)
    assert b.epsilon.has(sp.Piecewise)
    assert bridge_from_record(json.loads(json.dumps(bridge_record(b)))) == b


def test_an_interpolant_of_ones_own_pieces_is_read_back() -> None:
    half = t < Rational(1, 2)
    alpha, beta = (
        sp.Piecewise(((1 - 4 * t**2) ** 2, half), (0, True)),
        sp.Piecewise((0, half), ((2 * t - 1) ** 2, True)),
    )
    b = bridge(Interpolant(alpha, beta, "t*(1-t)"), "gamma")
    assert bridge_from_record(json.loads(json.dumps(bridge_record(b)))) == b


def test_a_symbolic_parameter_stays_one() -> None:
    b = bridge(interpolant("linear", "brownian", a=None), "gamma")
    assert bridge_from_record(bridge_record(b)) == b
    assert b.functions.free_parameters == {sp.Symbol("a")}
    assert b.proof().proved
    assert b.limits["score_latent"][0].exponent == -Rational(1, 2)
